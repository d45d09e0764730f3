"""What a run says: a verdict, a report, one attempt turn by turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.eval.suites import suite_at
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.text import one_line
from nemocli.eval.judge import judge
from nemocli.eval.metrics import ArmSummary, summary_of
from nemocli.eval.plan import Slot
from nemocli.eval.report import RunFacts, arm_json, report, verdict_json
from nemocli.eval.task import instance
from nemocli.eval.verdict import Verdict, VerdictPolicy, decide
from nemocli.io.eval.runs import results_of, run_at
from nemocli.io.eval.suite import is_suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nemocli.cli.context import Setup
    from nemocli.eval.judge import Measures
    from nemocli.eval.page import Story

EXITS = {"ADOPT": 0, "REJECT": 11, "MARGINAL": 12, "INVALID": 13}


class JudgedRun:
    """A run with all that is worked out from it."""

    def __init__(self, folder: Path, look: int = 1) -> None:
        self.run = run_at(folder)
        self.manifest = self.run.manifest
        self.arms: list[str] = [arm["name"] for arm in self.manifest["arms"]]
        results = results_of(self.run)
        self.results = {arm: results.get(arm, {}) for arm in self.arms}
        self.summaries: dict[str, ArmSummary] = {
            arm: summary_of(tasks) for arm, tasks in self.results.items()
        }
        self.policy, problems = self._policy()
        self.verdict: Verdict | None = None
        if len(self.arms) > 1:
            self.verdict = decide(
                self._consider(self.arms[0]),
                self._consider(self.arms[1]),
                self.policy,
                families=self.manifest.get("families"),
                problems=problems,
                look=look,
            )

    def facts(self, options: str = "") -> RunFacts:
        """The run for a report; `options` of the command that makes it again."""
        command = f"nemocli eval report {self.run.folder}{options}"
        return RunFacts(
            self.manifest, self.results, self.summaries, self.verdict, self.policy, command
        )

    def _consider(self, arm: str) -> dict[str, list[Measures]]:
        """The tasks that decide; controls are told apart."""
        roles = self.manifest.get("roles") or {}
        return {t: ms for t, ms in self.results[arm].items() if roles.get(t) != "control"}

    def _policy(self) -> tuple[VerdictPolicy, list[str]]:
        """The suite's policy, and why the run is invalid where it was changed since."""
        suite = self.run.folder.parent.parent
        if not is_suite(suite):
            return VerdictPolicy(), []
        try:
            found = suite_at(suite, suite)
        except NemoError as error:
            return VerdictPolicy(), [f"the suite cannot be read: {error.fault.message}"]
        if found.policy_digest != self.manifest["policy_digest"]:
            return found.policy, ["the policy was changed after the run began"]
        return found.policy, []


def decide_run(setup: Setup, folder: Path, look: int, *, as_json: bool) -> int:
    """The verdict; the exit code that goes with it."""
    found = JudgedRun(folder, look)
    verdict = found.verdict
    if verdict is None:
        raise usage_error("one arm cannot be compared", "`eval run` takes two `--arm`")
    said = verdict_json(verdict)
    arms = {
        role: arm_json(found.summaries[arm])
        for role, arm in zip(("candidate", "baseline"), found.arms, strict=False)
    }
    said["retry_rate"] = {role: arm["retry_rate"] for role, arm in arms.items()}
    said["coherence_horizon"] = {role: arm["coherence_horizon"] for role, arm in arms.items()}
    said["run"] = str(found.run.folder)
    found.run.keep("verdict.json", json.dumps(said, indent=2) + "\n")
    if as_json:
        setup.out.json(said)
    else:
        setup.out.line(f"{verdict.decision} ({found.arms[0]} against {found.arms[1]})")
        for reason in verdict.reasons:
            setup.out.line(f"- {reason}")
        setup.err.dim(f"`nemocli eval report {found.run.folder}` shows the numbers")
    return EXITS[verdict.decision]


def report_run(setup: Setup, folder: Path, out: str | None, *, html: bool) -> None:
    """The report as Markdown, or as a page where that is asked for or the file's name says so."""
    found = JudgedRun(folder)
    html = html or (out is not None and out.lower().endswith((".html", ".htm")))
    facts = found.facts(" --html -o report.html" if html else "")
    if html:
        from nemocli.eval.page import page

        text = page(facts, _stories(found))
    else:
        text = report(facts)
    if out is None:
        setup.out.text(text)
        return
    from nemocli.io.files import write_private

    write_private(Path(out), text)
    setup.err.dim(f"written to {out}")


def _stories(found: JudgedRun) -> Iterator[Story]:
    """Attempts worth reading first: of each task and arm one that failed and one that did not, then
    the others."""
    from nemocli.eval.page import Story

    every = sorted(found.run.results(), key=lambda f: (f.slot.task, f.slot.arm, f.slot.epoch))
    later = found.run.regrade()
    seen: set[tuple[str, str, bool]] = set()
    first: list[tuple[Slot, Measures]] = []
    rest: list[tuple[Slot, Measures]] = []
    for each in every:
        measures = later.get(each.slot, each.measures)
        kind = (each.slot.task, each.slot.arm, measures.cls == "success")
        (rest if kind in seen else first).append((each.slot, measures))
        seen.add(kind)
    for slot, measures in (*first, *rest):
        yield Story(slot.arm, slot.task, slot.epoch, measures, found.run.events(slot))


def status_run(setup: Setup, folder: Path, *, as_json: bool) -> None:
    """How many attempts are made, and how they ended."""
    run = run_at(folder)
    manifest, done = run.manifest, run.results()
    total = len(manifest["arms"]) * len(manifest["tasks"]) * manifest["epochs"]
    classes: dict[str, dict[str, int]] = {}
    for each in done:
        arm = classes.setdefault(each.slot.arm, {})
        arm[each.measures.cls] = arm.get(each.measures.cls, 0) + 1
    if as_json:
        setup.out.json(
            {
                "schema": "nemocli.eval_status/1",
                "run": str(run.folder),
                "attempts": len(done),
                "planned": total,
                "classes": {arm: dict(found) for arm, found in classes.items()},
            }
        )
        return
    setup.out.line(f"{run.folder}: {len(done)} of {total} attempts")
    for name, counts in classes.items():
        setup.out.line(f"{name}: " + ", ".join(f"{n} {cls}" for cls, n in counts.items()))


def _slot(name: str) -> Slot:
    arm, slash, rest = name.partition("/")
    task, dot, epoch = rest.rpartition(".")
    if not slash or not dot or not epoch.isdecimal():
        raise usage_error(f"an attempt is ARM/TASK.EPOCH, not {name!r}")
    return Slot(arm, task, int(epoch))


def show_attempt(setup: Setup, folder: Path, name: str, *, as_json: bool) -> None:
    """What was said and done, in order."""
    run, slot = run_at(folder), _slot(name)
    events = run.events(slot)
    if not events:
        raise usage_error(f"{run.name} has no attempt {name!r}", "`eval status` counts them")
    if as_json:
        setup.out.json({"schema": "nemocli.eval_attempt/1", "attempt": name, "events": events})
        return
    for event in events:
        setup.out.lines(_lines(event))


def _lines(event: dict[str, Any]) -> list[str]:
    match event["type"]:
        case "user":
            mark = " (asked again)" if event.get("nudge") else ""
            return ["", f"turn {event['turn']}{mark}", f"user: {event['text']}"]
        case "model":
            text = [f"model: {event['text']}"] if event.get("text") else []
            calls = [f"  {c[1]}({one_line(c[2], 200)})" for c in event.get("calls") or ()]
            fault = event.get("fault")
            return text + calls + ([f"  failed: {fault['message']}"] if fault else [])
        case "tool":
            return [f"  -> {one_line(str(event['result']), 200)}"]
        case "limit":
            return [f"stopped at a limit: {event['name']}"]
        case "end":
            measures = event["measures"]
            return ["", f"{measures['cls']}{': ' + measures['why'] if measures['why'] else ''}"]
        case _:
            return []


def regrade_run(setup: Setup, folder: Path, *, as_json: bool) -> None:
    """Judge what is on record with the tasks of now, and keep both judgements."""
    run = run_at(folder)
    suite = suite_at(run.folder.parent.parent, run.folder.parent.parent)
    tasks = {task.task_id: task for task in suite.tasks}
    found: dict[Slot, Measures] = {}
    changed = []
    for each in run.results():
        if each.slot.task in tasks:
            task = instance(tasks[each.slot.task], each.slot.epoch)
            found[each.slot] = judge(task, run.events(each.slot))
            if found[each.slot].cls != each.measures.cls:
                changed.append((each.slot.name, each.measures.cls, found[each.slot].cls))
    run.keep_regrade(found)
    if as_json:
        rows = [{"attempt": n, "before": b, "now": a} for n, b, a in changed]
        setup.out.json(
            {"schema": "nemocli.eval_regrade/1", "attempts": len(found), "changed": list(rows)}
        )
        return
    for name, before, now in changed:
        setup.out.line(f"{name}: {before} -> {now}")
    setup.err.dim(f"{len(found)} attempts judged anew, {len(changed)} differ; no call was made")


def plan_run(setup: Setup, folder: Path, *, as_json: bool) -> None:
    """What a pilot says about the size of the run that settles it."""
    found = JudgedRun(folder)
    if found.verdict is None:
        raise usage_error("one arm cannot be compared", "`eval run` takes two `--arm`")
    needs: dict[str, Any] = dict(found.verdict.needs)
    if as_json:
        setup.out.json(
            {"schema": "nemocli.eval_plan/1", "verdict": found.verdict.decision, "needs": needs}
        )
        return
    if found.verdict.decision in ("ADOPT", "REJECT"):
        setup.out.line(f"nothing more: the verdict is {found.verdict.decision}")
    elif not needs.get("tasks"):
        setup.out.line(str(needs.get("why") or "a pilot of two epochs or more tells the variances"))
    else:
        money = f", about ${needs['usd']}" if needs.get("usd") else ", at a cost nobody knows"
        setup.out.line(
            f"about {needs['tasks']} tasks at {needs['epochs']} epochs:"
            f" {needs['attempts']} attempts{money}"
        )
