"""`eval record`: one run of an agent of the user's own as an attempt, seen through the gateway."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.serve.run import ServeOptions
from nemocli.cli.serve.start import Ran, run_behind
from nemocli.core.faults import ExitCode, usage_error
from nemocli.core.money import Pico, usd_short, usd_text
from nemocli.core.value_class import value_class
from nemocli.eval.judge import Measures
from nemocli.eval.plan import Slot
from nemocli.eval.task import digest_of
from nemocli.eval.verdict import VerdictPolicy
from nemocli.io.eval.runs import Run
from nemocli.io.eval.suite import is_suite, load_suite
from nemocli.io.programs import find_program, without_keys
from nemocli.io.serve.recorder import read_recording
from nemocli.serve.attempt import UNKNOWN, SeenOnWire, describe, read_exchanges
from nemocli.version import __version__

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.values import Json
    from nemocli.eval.grade import AttemptClass

SCHEMA = "nemocli.eval_record/1"
DIGEST = "recorded"
INFRA = frozenset({"network", "connection_refused", "timeout", "server_error", "rate_limited",
                   "cut_stream", "tls", "unavailable"})  # fmt: skip
"""Faults of the path: an agent that ended on one is not judged."""


@value_class(frozen=True, slots=True)
class RecordOptions:
    """The command line."""

    arm: str
    task: str
    epoch: int | None = None
    check: str | None = None
    timeout_s: float = 1800.0
    providers: tuple[str, ...] = ()
    model: str | None = None
    max_cost: str | None = None
    anew: bool = False


def record(
    setup: Setup, folder: Path, wish: RecordOptions, words: list[str], *, as_json: bool
) -> int:
    """Run it, look at what went through, grade it, keep it. Raises NemoError."""
    for name, what in ((wish.arm, "--arm"), (wish.task, "--task")):
        if not name or not all(c.isalnum() or c in "._-" for c in name):
            raise usage_error(f"{what} {name!r}", "letters, digits, dots and hyphens")
    where = ", ".join(wish.providers) or "the usual path"
    about = {"command": words, "provider": where, "model": wish.model or ""}
    run = open_recorded_run(setup, folder, wish.arm, (wish.task,), about, anew=wish.anew)
    with run.hold():
        slot = Slot(wish.arm, wish.task, wish.epoch or _next_epoch(run, wish))
        kept = run.folder / "recordings" / wish.arm / f"{wish.task}.{slot.epoch}"
        serve = ServeOptions(
            providers=wish.providers,
            model=wish.model,
            max_cost=wish.max_cost,
            tags=(f"arm:{wish.arm}", f"task:{wish.task}"),
            loops=8,
            record=str(kept.absolute()),
            command="eval record",
        )
        ran = run_behind(setup, serve, words, timeout_s=wish.timeout_s)
        code = _checked(setup, wish) if wish.check is not None and not ran.late else None
        found = read_exchanges(read_recording(kept))
        measures = _measures(ran, found, code)
        ended = {"exit": ran.code, "check": code, "command": words}
        keep_attempt(setup, run, slot, found.events, measures, ended)
    said: dict[str, Json] = {"schema": SCHEMA, "run": str(run.folder), "attempt": slot.name,
                             **_record_json(ran, code, measures, found)}  # fmt: skip
    if as_json:
        setup.out.json(said)
        return ExitCode.OK
    money = "cost unknown" if found.cost_pico is None else usd_short(Pico(found.cost_pico))
    why = f" ({measures.why})" if measures.why else ""
    setup.out.line(f"{slot.name}: {measures.cls}{why} · {money} · {measures.wall_s:,.0f} s")
    setup.err.dim(describe(found))
    return ExitCode.OK


def _record_json(
    ran: Ran, check: int | None, measures: Measures, found: SeenOnWire
) -> dict[str, Json]:
    return {
        "class": measures.cls,
        "why": measures.why,
        "exit": ran.code,
        "check": check,
        "model_turns": found.turns,
        "side_calls": found.side_calls,
        "tool_calls": found.tool_calls,
        "sent_again": found.sent_again,
        "cost_usd": None if found.cost_pico is None else usd_text(Pico(found.cost_pico)),
        "unknown": list(UNKNOWN),
    }


def open_recorded_run(
    setup: Setup,
    folder: Path,
    arm: str,
    tasks: Sequence[str],
    about: Mapping[str, Any],
    *,
    anew: bool = False,
) -> Run:
    """The newest recorded run of the folder, with this arm and these tasks in it; else a new one.
    `about` is what is known of the arm. Raises NemoError."""
    runs = sorted(p for p in (folder / "runs").glob("*") if (p / "manifest.json").is_file())
    last = Run(runs[-1]) if runs and not anew else None
    if last is not None and not last.manifest.get("recorded"):
        last = None
    policy = load_suite(folder, trusted=True) if is_suite(folder) else None
    run = last or Run(folder / "runs" / setup.clock.new_id())
    manifest: dict[str, Any] = (
        {k: v for k, v in last.manifest.items() if k != "schema"}
        if last is not None
        else {
            "suite": folder.resolve().name,
            "suite_digest": DIGEST,
            "policy_digest": policy.policy_digest if policy else digest_of(asdict(VerdictPolicy())),
            "recorded": True,
            "tasks": {},
            "families": {},
            "roles": {},
            "arms": [],
            "epochs": 1,
            "began_at": setup.clock.now().isoformat(),
            "version": __version__,
        }
    )
    for task in tasks:
        manifest["tasks"].setdefault(task, DIGEST)
        manifest["families"].setdefault(task, task)
        manifest["roles"].setdefault(task, "private")
    if arm not in [each["name"] for each in manifest["arms"]]:
        known = {"name": arm, "recorded": True, "provider": "recorded", "model": ""}
        manifest["arms"].append({**known, **about})
    run.begin(manifest)
    return run


def _next_epoch(run: Run, wish: RecordOptions) -> int:
    done = [
        f.slot.epoch for f in run.results() if (f.slot.arm, f.slot.task) == (wish.arm, wish.task)
    ]
    return max(done, default=0) + 1


def _checked(setup: Setup, wish: RecordOptions) -> int:
    """The exit code of the user's own check, run where they stand."""
    shell = find_program("sh", setup.env)
    if shell is None:
        raise usage_error("`sh` is not installed", "leave out --check, or put sh into PATH")
    env = without_keys(setup.env, setup.key_names())
    line = [shell, "-c", wish.check or "true"]
    try:
        done = subprocess.run(line, env=env, timeout=wish.timeout_s, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return 124
    return done.returncode


def _measures(ran: Ran, found: SeenOnWire, check: int | None) -> Measures:
    cls, why = _class(ran, found, check)
    return Measures(
        cls,
        why,
        user_turns=1,
        model_turns=found.turns,
        tool_calls=found.tool_calls,
        completed_at=found.turns if cls == "success" else None,
        cost_pico=found.cost_pico,
        input_tokens=found.input_tokens,
        cached_tokens=found.cached_tokens,
        output_tokens=found.output_tokens,
        reasoning_tokens=found.reasoning_tokens,
        wall_s=ran.seconds,
        ttft_s=found.ttft_s,
        transport_retries=found.sent_again,
        retries={"R1": found.invalid_calls} if found.invalid_calls else {},
        first_try_valid=found.tool_calls - found.invalid_calls,
        providers=found.providers,
    )


def _class(ran: Ran, found: SeenOnWire, check: int | None) -> tuple[AttemptClass, str]:
    if not found.events:
        return "harness", "no call went through the gateway: is the agent pointed at it?"
    if ran.late:
        return "fail.limit", "time"
    fault = found.last_fault
    if fault is not None and fault.get("code") == "budget":
        return "fail.limit", "usd"
    if ran.code and fault is not None and fault.get("code") in INFRA:
        return "infra", str(fault.get("message"))
    if check is not None:
        return ("success", "") if check == 0 else ("fail.model", f"the check ended with {check}")
    return ("success", "") if ran.code == 0 else ("fail.model", f"the agent ended with {ran.code}")


def keep_attempt(
    setup: Setup,
    run: Run,
    slot: Slot,
    events: Sequence[Mapping[str, Any]],
    measures: Measures,
    about: Mapping[str, Any],
) -> None:
    """Write an attempt down that was made elsewhere. Raises NemoError."""
    kept = run.record(slot)
    try:
        at = setup.clock.now().isoformat()
        kept.event({"type": "begin", "slot": slot.name, "task_digest": DIGEST, "at": at, **about})
        for event in events:
            kept.event(event)
        kept.end(measures)
    finally:
        kept.close()
