"""The gates of an evaluation: what day 1, days 2-3 and week 2 have to show. Pure decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from statistics import fmean
from typing import Any

from nemocli.core.value_class import value_class
from nemocli.eval.metrics import ArmSummary, Results, scores_of
from nemocli.eval.stats import Interval, mean_interval
from nemocli.eval.verdict import Verdict

CARD_SHARE = 33 / 36
"""Of the probes of the behaviour card that have to be right."""


@value_class(frozen=True, slots=True)
class Gate:
    """Whether a stage is passed; why not, and what to do about it."""

    name: str
    passed: bool
    reasons: tuple[str, ...]
    next_step: str


def best_cell(summaries: Mapping[str, ArmSummary]) -> str:
    """The way of asking that did best: most successes, then fewest model turns per completed task.
    The first of the table wins a tie: it is the model's own default."""

    def rank(name: str) -> tuple[float, float]:
        summary = summaries[name]
        turns = summary.turns_per_completed
        return -summary.successes, turns if turns is not None else float("inf")

    return min(summaries, key=rank)


def gate_1(card: Results, smoke: Results, folder: str) -> Gate:
    """Day 1: nothing unusable came, the card holds, and every smoke task was done once at least."""
    every = [m for results in (card, smoke) for ms in results.values() for m in ms]
    reasons: list[str] = []
    unusable = [m for m in every if m.cls == "fail.serving"]
    if unusable:
        reasons.append(
            f"{len(unusable)} attempts failed in serving ({unusable[0].why}): the server's parsers"
            " are missing or wrong, or another path serves it better"
        )
    scored = scores_of(m for ms in card.values() for m in ms)
    right = sum(m.cls == "success" for m in scored)
    if not scored:
        reasons.append("no probe of the card was answered")
    elif right < CARD_SHARE * len(scored):
        reasons.append(f"{right} of {len(scored)} probes of the card are right: {_worst(card)}")
    undone = sorted(t for t, ms in smoke.items() if not any(m.cls == "success" for m in ms))
    if undone or not smoke:
        named = ", ".join(undone) or "none was run"
        reasons.append(f"smoke tasks that were never completed: {named}{_cause(smoke, undone)}")
    lost = sum(m.cls == "infra" for m in every)
    if lost > 0.05 * max(1, len(every)):
        reasons.append(f"{lost} of {len(every)} attempts were lost to infrastructure: run it again")
    step = f"nemocli eval day3 {folder} --baseline PROVIDER:MODEL"
    return Gate("1", not reasons, tuple(reasons), step if not reasons else "nemocli fit")


def _worst(card: Results) -> str:
    """The probes that were wrong, the worst first, with what was wrong."""
    rows = []
    for task, attempts in card.items():
        bad = [m for m in scores_of(attempts) if m.cls != "success"]
        if bad:
            rows.append((len(bad), f"{task} ({bad[0].why})"))
    return "; ".join(text for _, text in sorted(rows, reverse=True)[:3])


def _cause(results: Results, tasks: Sequence[str]) -> str:
    whys = [m.why for t in tasks for m in results.get(t, ()) if m.why]
    return f" ({whys[0]})" if whys else ""


def gate_2(verdict: Verdict, folder: str) -> Gate:
    """Days 2-3: ADOPT passes, MARGINAL passes with a plan that somebody accepts, nothing else."""
    if verdict.decision == "ADOPT":
        return Gate("2", True, (), f"nemocli eval week2 {folder} --candidate nim:MODEL")
    reasons = tuple(verdict.reasons)
    if verdict.decision == "MARGINAL":
        return Gate("2", False, reasons, f"nemocli eval plan {folder}")
    return Gate("2", False, reasons, f"nemocli eval report {folder} -o report.html")


def parity(before: Results, now: Results, alpha: float = 0.05) -> Interval:
    """The difference of success per task between two paths to one model, now minus before."""
    shared = sorted(before.keys() & now.keys())
    differences = []
    for task in shared:
        pair = [scores_of(results[task]) for results in (before, now)]
        if all(pair):
            one, other = (fmean(m.cls == "success" for m in ms) for ms in pair)
            differences.append(other - one)
    return mean_interval(differences, alpha)


@value_class(frozen=True, slots=True)
class ServedTasks:
    """What a server of one's own makes of the tasks at one load: tasks an hour, completed ones
    among them, their price in USD (None where the GPUs' is not known), and the share of the time
    that it has to be busy so that a completed task costs what it costs hosted."""

    at_once: int
    tasks_per_hour: float
    completed_per_hour: float
    usd_per_completed: Decimal | None
    break_even: float | None


def serving_of(
    at_once: int,
    tasks_per_s: float,
    success: float,
    usd_per_hour: Decimal | None,
    hosted_pico: float | None,
) -> ServedTasks:
    """From what was measured: tasks a second at a load, the share of them that is completed.
    `hosted_pico` is what a completed task costs on a hosted path."""
    tasks = tasks_per_s * 3600
    done = tasks * success
    usd = usd_per_hour / Decimal(repr(done)) if usd_per_hour is not None and done else None
    share = float(usd) * 1e12 / hosted_pico if usd is not None and hosted_pico else None
    return ServedTasks(at_once, tasks, done, usd, share)


def _no_parity(difference: Interval, margin: float) -> Iterator[str]:
    low, high = difference.low, difference.high
    if low is None or high is None:
        yield "no task was run on both paths"
    elif low < -margin or high > margin:
        yield (
            f"parity is not shown: the difference of success is between {low:+.0%} and"
            f" {high:+.0%}, and has to be within {margin:.0%} either way"
        )


def gate_3(
    difference: Interval,
    margin: float,
    rates: tuple[float | None, float | None],
    slow: str | None = None,
) -> Gate:
    """Week 2: the same quality, shown by two one-sided tests within the margin; retries as few;
    `slow` says which limit of time no load kept."""
    reasons = list(_no_parity(difference, margin))
    before, now = rates
    if before is not None and now is not None and now > before + 0.05:
        reasons.append(f"the retry rate rose from {before:.1%} to {now:.1%}")
    if slow is not None:
        reasons.append(slow)
    step = "nemocli eval report" if reasons else "nemocli cost what-if --gpus 8xH100"
    return Gate("3", not reasons, tuple(reasons), step)


def gate_json(gate: Gate) -> dict[str, Any]:
    """A gate for programs."""
    return {
        "gate": gate.name,
        "passed": gate.passed,
        "reasons": list(gate.reasons),
        "next": gate.next_step,
    }


def card_rows(card: Results) -> list[tuple[str, str, str]]:
    """The behaviour card: each probe, how many were right, and what was wrong first."""
    rows = []
    for task in sorted(card):
        scored = scores_of(card[task])
        right = sum(m.cls == "success" for m in scored)
        why = next((m.why for m in card[task] if m.why), "")
        rows.append((task.removeprefix("card-"), f"{right}/{len(scored)}", why))
    return rows
