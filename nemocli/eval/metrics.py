"""What the attempts of an arm come to, failures included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from statistics import fmean, median

from nemocli.core.value_class import value_class
from nemocli.eval.grade import SCORED, AttemptClass
from nemocli.eval.judge import Measures
from nemocli.eval.retries import WASTED
from nemocli.eval.stats import Interval, pass_at_k, pass_hat_k, wilson

Results = Mapping[str, Sequence[Measures]]
"""The attempts of one arm by task, in the order of their epochs."""


@value_class(frozen=True, slots=True)
class ArmSummary:
    """An arm in numbers. Money in pico-USD per completed task (None: no success, or a cost that
    nobody knows), times in seconds, shares between 0 and 1."""

    attempts: int
    classes: Mapping[AttemptClass, int]
    scored: int
    successes: int
    success: Interval
    spent_pico: int | None
    cpct_pico: float | None
    shadow_cpct_pico: float | None
    turns_per_completed: float | None
    survivors_turns: float | None
    overshoot: float | None
    nudges: float
    retry_rate: float | None
    first_try_validity: float | None
    retries: Mapping[str, int]
    transport_retries: int
    recovery: tuple[int, int]
    coherent: int
    horizon: int | None
    probes: Mapping[str, tuple[int, int]]
    by_distance: Mapping[int, tuple[int, int]]
    tokens_per_completed: Mapping[str, float | None]
    wall_s: float | None
    ttft_s: float | None
    pass_at: Mapping[int, float] = field(default_factory=dict)
    pass_hat: Mapping[int, float] = field(default_factory=dict)


def summary_of(results: Results) -> ArmSummary:
    """The numbers of an arm."""
    every = [m for attempts in results.values() for m in attempts]
    scored = scores_of(every)
    good = [m for m in scored if m.cls == "success"]
    codes: Counter[str] = Counter()
    for m in scored:
        codes.update(m.retries)
    calls = sum(m.tool_calls for m in scored)
    costs = [m.cost_pico for m in scored]
    known = [c for c in costs if c is not None]
    shadows = [m.shadow_pico for m in scored if m.shadow_pico is not None]
    done = [m for m in good if m.completed_at is not None]
    return ArmSummary(
        len(every),
        Counter(m.cls for m in every),
        len(scored),
        len(good),
        wilson(len(good), len(scored)),
        sum(known) if len(known) == len(costs) else None,
        _per(sum(known), len(good)) if len(known) == len(costs) else None,
        _per(sum(shadows), len(good)) if len(shadows) == len(scored) else None,
        _per(sum(m.model_turns for m in scored), len(good)),
        median(m.completed_at or 0 for m in done) if done else None,
        fmean(m.model_turns - (m.completed_at or 0) for m in done) if done else None,
        fmean(m.nudges for m in scored) if scored else 0.0,
        _per(sum(codes[c] for c in WASTED), calls),
        _per(sum(m.first_try_valid for m in scored), calls),
        codes,
        sum(m.transport_retries for m in every),
        (sum(m.faults_survived for m in scored), sum(m.faults_met for m in scored)),
        sum(m.coherent for m in scored),
        horizon(scored),
        _probes(scored, "kind"),
        {int(k): v for k, v in _probes(scored, "distance").items()},
        {
            name: _per(sum(getattr(m, f"{name}_tokens") for m in scored), len(good))
            for name in ("input", "cached", "output", "reasoning")
        },
        fmean(m.wall_s - m.waiting_s for m in scored) if scored else None,
        median(t for m in scored for t in m.ttft_s) if any(m.ttft_s for m in scored) else None,
        _over_tasks(results, pass_at_k),
        _over_tasks(results, pass_hat_k),
    )


def scores_of(attempts: Iterable[Measures]) -> list[Measures]:
    """The attempts that say something about the model."""
    return [m for m in attempts if m.cls in SCORED]


def _per(total: float, count: int) -> float | None:
    return total / count if count else None


def _probes(scored: Sequence[Measures], by: str) -> dict[str, tuple[int, int]]:
    """Right ones and all of them, by kind or by distance in user turns."""
    found: dict[str, tuple[int, int]] = {}
    for m in scored:
        for probe in m.probes:
            right, every = found.get(str(probe[by]), (0, 0))
            found[str(probe[by])] = (right + bool(probe["right"]), every + 1)
    return found


def horizon(scored: Sequence[Measures]) -> int | None:
    """User turns at which half of the attempts are not coherent any more (Kaplan and Meier); None
    where more than half are so to their end."""
    return next((turn for turn, alive in enumerate(survival(scored), 1) if alive <= 0.5), None)


def survival(scored: Sequence[Measures]) -> list[float]:
    """The share that is coherent after each user turn."""
    alive, found = 1.0, list[float]()
    for turn in range(1, max((m.user_turns for m in scored), default=0) + 1):
        at_risk = sum(m.user_turns >= turn and (m.first_break or turn) >= turn for m in scored)
        broke = sum(m.first_break == turn for m in scored)
        alive *= 1 - broke / at_risk if at_risk else 1.0
        found.append(alive)
    return found


def _over_tasks(
    results: Results, measure: Callable[[int, int, int], float | None]
) -> dict[int, float]:
    """pass@k or pass^k, the mean over tasks, for each k that every task has the epochs for."""
    counts = [
        (len(scored), sum(m.cls == "success" for m in scored))
        for attempts in results.values()
        if (scored := scores_of(attempts))
    ]
    most = min((n for n, _ in counts), default=0)
    return {
        k: fmean(share for n, s in counts if (share := measure(n, s, k)) is not None)
        for k in range(1, most + 1)
    }
