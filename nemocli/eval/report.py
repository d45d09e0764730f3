"""A run in words and numbers: complete enough to argue about, and clear about what it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemocli.core.money import usd_short
from nemocli.core.value_class import value_class
from nemocli.eval.metrics import ArmSummary, Results
from nemocli.eval.stats import Interval
from nemocli.eval.verdict import Verdict, VerdictPolicy

RETRIES = {
    "R1": "invalid call",
    "R2": "corrected after an error",
    "R3": "same call after an error",
    "R4": "read again for nothing",
    "R5": "write done twice",
    "R6": "again after a passing fault",
    "R7": "the user had to ask again",
}
_NO_LONGER = "what it does not show"


@value_class(frozen=True, slots=True)
class RunFacts:
    """All that is known of a run: what was fixed, what came of it, what it means, and the command
    that shows it again."""

    manifest: Mapping[str, Any]
    results: Mapping[str, Results]
    summaries: Mapping[str, ArmSummary]
    verdict: Verdict | None
    policy: VerdictPolicy
    command: str


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """`nemocli.verdict/1`. Money as decimal strings in US dollars."""
    candidate, baseline = verdict.cost
    return {
        "schema": "nemocli.verdict/1",
        "verdict": verdict.decision,
        "target": verdict.target,
        "reasons": list(verdict.reasons),
        "success": {**verdict.success, "difference": interval_json(verdict.difference)},
        "cost_per_completed": {
            "candidate_usd": _usd(candidate),
            "baseline_usd": _usd(baseline),
            "ratio": interval_json(verdict.cost_ratio),
        },
        "turns_per_completed": {
            "candidate": verdict.turns[0],
            "baseline": verdict.turns[1],
            "ratio": interval_json(verdict.turns_ratio),
        },
        "needs": dict(verdict.needs),
        "validity": dict(verdict.validity),
        "break_even_usd": dict(zip(("point", "low", "high"), verdict.break_even, strict=True)),
    }


def interval_json(interval: Interval) -> dict[str, float | None]:
    """A point and its bounds; a bound that is not finite is null."""
    return {
        name: None if value is None or abs(value) == float("inf") else round(value, 6)
        for name, value in (
            ("point", interval.point), ("low", interval.low), ("high", interval.high)
        )
    }  # fmt: skip


def _usd(pico: float | None) -> str | None:
    return None if pico is None else f"{pico / 1e12:.9f}".rstrip("0").rstrip(".")


def arm_json(summary: ArmSummary) -> dict[str, Any]:
    """What an arm adds to the verdict: retries, coherence."""
    return {
        "retry_rate": summary.retry_rate,
        "coherence_horizon": summary.horizon,
        "coherent": summary.coherent,
        "success": interval_json(summary.success),
    }


def report(facts: RunFacts) -> str:
    """The whole of it as Markdown."""
    manifest, results, summaries = facts.manifest, facts.results, facts.summaries
    verdict, command = facts.verdict, facts.command
    arms = list(summaries)
    lines = [f"# {manifest.get('suite')}: {', '.join(arms)}", ""]
    lines += decision_lines(verdict, arms)
    lines += ["", "## The guide's five questions", ""]
    lines += _rows(["", *arms], questions(summaries))
    lines += ["", "## By task", "", *_rows(["task", *arms], _by_task(results, arms))]
    lines += ["", "## Retries", "", *_rows(["kind", *arms], retry_rows(summaries))]
    lines += ["", "## Coherence", "", *_rows(["", *arms], coherence_rows(summaries))]
    lines += ["", "## Attempts by class", "", *_rows(["class", *arms], _classes(summaries))]
    lines += ["", f"## {_NO_LONGER.capitalize()}", ""]
    lines += [f"- {line}" for line in limits(manifest, verdict)]
    lines += ["", "## Again", "", f"`{command}`", ""]
    return "\n".join(lines)


def decision_lines(verdict: Verdict | None, arms: Sequence[str]) -> list[str]:
    """The verdict and what it rests on, a line of Markdown each."""
    if verdict is None or len(arms) < 2:
        return ["One arm: nothing is compared."]
    lines = [f"**{verdict.decision}** ({arms[0]} against {arms[1]})", ""]
    lines += [f"- {reason}" for reason in verdict.reasons]
    lines.append(f"- success: {_signed(verdict.difference)} in percentage points")
    lines.append(f"- cost per completed task: {_times(verdict.cost_ratio)}")
    lines.append(f"- model turns per completed task: {_times(verdict.turns_ratio)}")
    point, low, high = verdict.break_even
    if point is not None and point > 0:
        bounds = "" if low is None or high is None else f" ({low:,.4f} to {high:,.4f})"
        lines.append(f"- both cost the same where a failed task costs ${point:,.4f}{bounds}")
    if verdict.needs.get("tasks"):
        money = f", about ${verdict.needs['usd']}" if verdict.needs.get("usd") else ""
        lines.append(
            f"- to settle it: about {verdict.needs['tasks']} tasks at {verdict.needs['epochs']}"
            f" epochs ({verdict.needs['attempts']} attempts{money})"
        )
    return lines


def _signed(interval: Interval) -> str:
    if interval.point is None or interval.low is None or interval.high is None:
        return "unknown"
    return f"{interval.point:+.0%} ({interval.low:+.0%} to {interval.high:+.0%})".replace(
        "%", " pp"
    )


def _times(interval: Interval) -> str:
    if interval.point is None or interval.low is None or interval.high is None:
        return "not comparable (no success in an arm, or a cost that nobody knows)"
    return f"{interval.point:.2f}x ({interval.low:.2f} to {interval.high:.2f})"


def questions(summaries: Mapping[str, ArmSummary]) -> list[list[str]]:
    """What the guide asks of a model, a row each and a cell an arm."""
    every = list(summaries.values())
    return [
        ["completed", *(f"{s.successes}/{s.scored}{_bounds(s.success)}" for s in every)],
        ["cost per completed task", *(_money(s) for s in every)],
        ["model turns per completed task", *(_number(s.turns_per_completed) for s in every)],
        ["retry rate of tool calls", *(_percent(s.retry_rate) for s in every)],
        ["coherent attempts", *(f"{s.coherent}/{s.scored}" for s in every)],
        [
            "tokens out per completed task",
            *(_number(s.tokens_per_completed["output"]) for s in every),
        ],
        [
            "reasoning tokens in that",
            *(_number(s.tokens_per_completed["reasoning"]) for s in every),
        ],
        ["time to first token (median)", *(_seconds(s.ttft_s) for s in every)],
        ["time of an attempt", *(_seconds(s.wall_s) for s in every)],
        ["every attempt of a task good (pass^k)", *(_last(s.pass_hat) for s in every)],
    ]


def _money(summary: ArmSummary) -> str:
    if summary.cpct_pico is None:
        if summary.spent_pico is None:
            return "unknown"
        return f"> {usd_short(summary.spent_pico)} (no success in {summary.scored})"
    shadow = summary.shadow_cpct_pico
    listed = f", list {usd_short(round(shadow))}" if shadow and not summary.cpct_pico else ""
    return usd_short(round(summary.cpct_pico)) + listed


def _bounds(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f" ({interval.low:.0%} to {interval.high:.0%})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _last(values: Mapping[int, float]) -> str:
    return "-" if not values else f"{values[max(values)]:.0%} of k={max(values)}"


def _by_task(results: Mapping[str, Results], arms: Sequence[str]) -> list[list[str]]:
    tasks = sorted({task for arm in arms for task in results[arm]})
    return [[task, *(_task_cell(results[arm].get(task, ())) for arm in arms)] for task in tasks]


def _task_cell(attempts: Sequence[Any]) -> str:
    good = sum(m.cls == "success" for m in attempts)
    whys = [m.why for m in attempts if m.why]
    why = f"; {whys[0]}" if whys else ""
    return f"{good}/{len(attempts)}{why}"


def retry_rows(summaries: Mapping[str, ArmSummary]) -> list[list[str]]:
    """Retries by kind, a cell an arm."""
    rows = [
        [f"{code} {what}", *(str(s.retries.get(code, 0)) for s in summaries.values())]
        for code, what in RETRIES.items()
    ]
    rows.append(
        ["T sent again by the transport", *(str(s.transport_retries) for s in summaries.values())]
    )
    recovered = [f"{s.recovery[0]}/{s.recovery[1]}" for s in summaries.values()]
    return [*rows, ["passing faults survived", *recovered]]


def coherence_rows(summaries: Mapping[str, ArmSummary]) -> list[list[str]]:
    """Probes by kind and distance, and how long attempts stay coherent."""
    every = list(summaries.values())
    kinds = sorted({kind for s in every for kind in s.probes})
    rows = [[f"probes: {kind}", *(_right(s.probes.get(kind)) for s in every)] for kind in kinds]
    distances = sorted({d for s in every for d in s.by_distance})
    rows += [
        [f"facts {d} turns back", *(_right(s.by_distance.get(d)) for s in every)] for d in distances
    ]
    horizons = [str(s.horizon) if s.horizon is not None else "beyond the tasks" for s in every]
    return [*rows, ["turns until half are not coherent", *horizons]]


def _right(pair: tuple[int, int] | None) -> str:
    return "-" if pair is None else f"{pair[0]}/{pair[1]}"


def _classes(summaries: Mapping[str, ArmSummary]) -> list[list[str]]:
    names = sorted({cls for s in summaries.values() for cls in s.classes})
    return [[cls, *(str(s.classes.get(cls, 0)) for s in summaries.values())] for cls in names]


def limits(manifest: Mapping[str, Any], verdict: Verdict | None) -> list[str]:
    """What a run does not show."""
    tasks = len(manifest.get("tasks") or {})
    lines = [
        f"{tasks} tasks, scripted users: how a model takes surprises of people is not in it",
        "tasks are simulations; your own agent and your own data may differ",
    ]
    if verdict is not None and verdict.target == "suite":
        lines.append("the verdict is about these tasks, not about tasks like them")
    if verdict is not None:
        infra = verdict.validity.get("success_if_infra_failed")
        if isinstance(infra, Mapping):
            said = ", ".join(f"{arm} {share:.0%}" for arm, share in infra.items())
            lines.append(f"were lost attempts counted as failures, success would be: {said}")
    return lines


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    cells = [[str(c).replace("|", "\\|").replace("\n", " ") for c in row] for row in rows]
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in cells),
    ]
