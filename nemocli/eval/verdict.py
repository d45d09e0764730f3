"""Adopt, reject, or say what is missing: two arms on the same tasks, compared in pairs.

The rule is asymmetric on purpose. ADOPT needs the primary metric (cost per completed task, failures
included) shown better and success shown not much worse; REJECT needs harm shown; everything between
is MARGINAL and says what would settle it. INVALID is a run that cannot be judged at all. What these
rules do at given truths is tested by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from statistics import fmean, pvariance, stdev
from typing import Literal

from nemocli.core.value_class import value_class
from nemocli.eval.judge import Measures
from nemocli.eval.metrics import Results, scores_of
from nemocli.eval.stats import (
    NOTHING,
    Interval,
    fieller,
    fisher,
    look_alpha,
    mcnemar,
    mean_interval,
    ratio_interval,
    t_quantile,
)

Decision = Literal["ADOPT", "REJECT", "MARGINAL", "INVALID"]
Target = Literal["suite", "population"]
LEAST_TASKS, LEAST_EPOCHS = 5, 3
POPULATION_FROM = 20
"""Tasks from which the verdict speaks of tasks like these, not only of these."""
MOST_INFRA = 0.05


@value_class(frozen=True, slots=True)
class VerdictPolicy:
    """What counts as better, fixed before the run. `margin` is the loss of success that may be
    borne, `gain` the share by which the primary metric must be lower, `alpha` one-sided."""

    margin: float = 0.10
    gain: float = 0.0
    alpha: float = 0.05
    primary: Literal["cost", "turns"] = "cost"
    target: Target | None = None
    strict: bool = False
    looks: int = 1


@value_class(frozen=True, slots=True)
class Verdict:
    """The decision, the sentences that caused it, and the numbers they rest on."""

    decision: Decision
    target: Target
    reasons: tuple[str, ...]
    success: Mapping[str, object]
    difference: Interval
    cost_ratio: Interval
    cost: tuple[float | None, float | None]
    turns_ratio: Interval
    turns: tuple[float | None, float | None]
    needs: Mapping[str, object] = field(default_factory=dict)
    validity: Mapping[str, object] = field(default_factory=dict)
    break_even: tuple[float | None, float | None, float | None] = (None, None, None)


def decide(
    candidate: Results,
    baseline: Results,
    policy: VerdictPolicy,
    *,
    families: Mapping[str, str] | None = None,
    problems: Sequence[str] = (),
    look: int = 1,
) -> Verdict:
    """The verdict on two arms. `problems` are reasons from outside for which the run is invalid."""
    tasks = [t for t in candidate if t in baseline]
    first, second = _scored(candidate, tasks), _scored(baseline, tasks)
    invalid = [*problems, *_invalid(candidate, baseline, tasks, first, second)]
    paired = [t for t in tasks if first[t] and second[t]]
    target: Target = policy.target or ("population" if len(paired) >= POPULATION_FROM else "suite")
    alpha = policy.alpha if policy.looks == 1 else look_alpha(policy.looks, look)
    arms = (first, second)
    difference = _difference(arms, paired, target, alpha, families or {})
    cost = _ratio(arms, paired, target, alpha, _cost)
    turns = _ratio(arms, paired, target, alpha, _turns)
    primary = cost if policy.primary == "cost" else turns
    decision, reasons = _rule(policy, difference, primary)
    if invalid:
        decision, reasons = "INVALID", invalid
    elif target == "suite":
        reasons.append(f"on these {len(paired)} tasks; of tasks like these it says little")
    return Verdict(
        decision,
        target,
        tuple(reasons),
        {"candidate": _share(first, paired), "baseline": _share(second, paired)},
        difference,
        cost,
        (_per_completed(first, paired, _cost), _per_completed(second, paired, _cost)),
        turns,
        (_per_completed(first, paired, _turns), _per_completed(second, paired, _turns)),
        _needs(policy, arms, paired, primary, difference) if decision == "MARGINAL" else {},
        _validity(candidate, baseline, first, second, paired),
        _break_even(arms, paired),
    )


def _scored(results: Results, tasks: Sequence[str]) -> dict[str, list[Measures]]:
    return {t: scores_of(results[t]) for t in tasks}


def _invalid(
    candidate: Results,
    baseline: Results,
    tasks: Sequence[str],
    first: Mapping[str, Sequence[Measures]],
    second: Mapping[str, Sequence[Measures]],
) -> list[str]:
    found = []
    if len(tasks) < LEAST_TASKS:
        found.append(f"{len(tasks)} tasks; at least {LEAST_TASKS} are needed")
    least = min((min(len(first[t]), len(second[t])) for t in tasks), default=0)
    if tasks and least < LEAST_EPOCHS:
        found.append(f"{least} scored attempts of a task; at least {LEAST_EPOCHS} are needed")
    lost = [_lost(candidate), _lost(baseline)]
    for name, (infra, every) in zip(("candidate", "baseline"), lost, strict=True):
        if every and infra / every > MOST_INFRA:
            found.append(f"{infra} of {every} attempts of the {name} were lost to infrastructure")
    (a, n), (b, m) = lost
    if fisher(a, n - a, b, m - b) < 0.05:
        found.append("infrastructure failures are not spread evenly over the arms")
    return found


def _lost(results: Results) -> tuple[int, int]:
    every = [m for attempts in results.values() for m in attempts]
    return sum(m.cls == "infra" for m in every), len(every)


# What is compared


def _good(m: Measures) -> float:
    return float(m.cls == "success")


def _cost(m: Measures) -> float:
    return float(m.cost_pico) if m.cost_pico is not None else math.nan


def _turns(m: Measures) -> float:
    return float(m.model_turns)


def _difference(
    arms: tuple[Mapping[str, Sequence[Measures]], Mapping[str, Sequence[Measures]]],
    tasks: Sequence[str],
    target: Target,
    alpha: float,
    families: Mapping[str, str],
) -> Interval:
    each = {t: fmean(map(_good, arms[0][t])) - fmean(map(_good, arms[1][t])) for t in tasks}
    if target == "population":
        groups: dict[str, list[float]] = {}
        for t, value in each.items():
            groups.setdefault(families.get(t, t), []).append(value)
        clustered = len(groups) >= POPULATION_FROM
        return mean_interval(
            [fmean(g) for g in groups.values()] if clustered else [*each.values()], alpha
        )
    if not each:
        return NOTHING
    variance, freedom = 0.0, 0
    for t in tasks:
        for arm in arms:
            values = [_good(m) for m in arm[t]]
            freedom += len(values) - 1
            variance += _smoothed(values) / len(values)
    return _around(fmean(each.values()), math.sqrt(variance) / len(tasks), freedom, alpha)


def _smoothed(values: Sequence[float]) -> float:
    """The variance of successes of one task; that of one more success and failure where all are
    alike: three of three do not prove that a task never fails."""
    n, s = len(values), sum(values)
    if 0 < s < n:
        return pvariance(values) * n / max(1, n - 1)
    p = (s + 1) / (n + 2)
    return p * (1 - p)


def _around(point: float, error: float, freedom: int, alpha: float) -> Interval:
    half = t_quantile(1 - alpha, max(1, freedom)) * error
    return Interval(point, max(-1.0, point - half), min(1.0, point + half))


def _ratio(
    arms: tuple[Mapping[str, Sequence[Measures]], Mapping[str, Sequence[Measures]]],
    tasks: Sequence[str],
    target: Target,
    alpha: float,
    measure: Callable[[Measures], float],
) -> Interval:
    """The ratio of something per completed task, candidate to baseline."""
    pairs = [
        [(fmean(map(measure, arm[t])), fmean(map(_good, arm[t]))) for t in tasks] for arm in arms
    ]
    if any(math.isnan(value) for arm in pairs for value, _ in arm) or not tasks:
        return NOTHING
    if target == "population":
        return ratio_interval(pairs[0], pairs[1], alpha)
    sums = [[fmean(column) for column in zip(*arm, strict=True)] for arm in pairs]
    if min(min(s) for s in sums) <= 0:
        return NOTHING
    variance, freedom = 0.0, 0
    for arm, (above, below) in zip(arms, sums, strict=True):
        for t in tasks:
            values = [measure(m) / above - _good(m) / below for m in arm[t]]
            freedom += len(values) - 1
            spread = stdev(values) ** 2 if len(values) > 1 else 0.0
            variance += max(spread, _smoothed([_good(m) for m in arm[t]]) / below**2 * 0.25) / len(
                values
            )
    half = t_quantile(1 - alpha, max(1, freedom)) * math.sqrt(variance) / len(tasks)
    point = (sums[0][0] / sums[0][1]) / (sums[1][0] / sums[1][1])
    return Interval(point, point * math.exp(-min(half, 700)), point * math.exp(min(half, 700)))


def _rule(
    policy: VerdictPolicy, difference: Interval, primary: Interval
) -> tuple[Decision, list[str]]:
    d = policy.margin
    if difference.point is None or difference.low is None or difference.high is None:
        return "MARGINAL", ["nothing can be compared"]
    guard = (
        difference.low > -d if policy.strict else difference.point > -d and difference.low > -2 * d
    )
    better = primary.high is not None and primary.high < 1 - policy.gain
    dearer = primary.low is not None and primary.low > 1
    what = "cost" if policy.primary == "cost" else "turns"
    if difference.high < -d:
        return "REJECT", [f"it succeeds less often, by more than {d:.0%}"]
    if dearer and difference.low <= 0:
        return "REJECT", [f"its {what} per completed task is higher, and success not shown better"]
    if better and guard:
        return "ADOPT", [f"its {what} per completed task is lower, and success holds"]
    missing = []
    if not better:
        missing.append(f"that its {what} per completed task is lower is not shown")
    if not guard:
        missing.append(f"that success falls by less than {d:.0%} is not shown")
    return "MARGINAL", missing


# What is told beside it


def _share(arm: Mapping[str, Sequence[Measures]], tasks: Sequence[str]) -> float | None:
    return fmean(fmean(map(_good, arm[t])) for t in tasks) if tasks else None


def _per_completed(
    arm: Mapping[str, Sequence[Measures]],
    tasks: Sequence[str],
    measure: Callable[[Measures], float],
) -> float | None:
    values = [measure(m) for t in tasks for m in arm[t]]
    good = sum(_good(m) for t in tasks for m in arm[t])
    total = math.fsum(values) if values else math.nan
    return None if not good or math.isnan(total) else total / good


def _needs(
    policy: VerdictPolicy,
    arms: tuple[Mapping[str, Sequence[Measures]], Mapping[str, Sequence[Measures]]],
    tasks: Sequence[str],
    primary: Interval,
    difference: Interval,
) -> dict[str, object]:
    """Tasks (at the epochs of now) that would show at 80 % power what the points say, and what the
    attempts would cost, from the variances that were seen."""
    if len(tasks) < 2 or primary.point is None or primary.high is None or difference.point is None:
        return {}
    z = t_quantile(1 - policy.alpha, 1e6)
    width = math.log(primary.high / primary.point) if primary.high > 0 else math.inf
    effect = math.log((1 - policy.gain) / primary.point) if primary.point < 1 - policy.gain else 0.0
    epochs = fmean(len(arms[0][t]) for t in tasks)
    if effect <= 0 or not math.isfinite(width) or width <= 0:
        return {"tasks": None, "why": "the point is not better: more of the same settles little"}
    count = math.ceil(len(tasks) * (width / z * (z + 0.8416) / effect) ** 2)
    costs = [m.cost_pico for arm in arms for t in tasks for m in arm[t]]
    known = [c for c in costs if c is not None]
    usd = fmean(known) * count * epochs * 2 / 1e12 if known else None
    return {
        "tasks": max(count, len(tasks) + 1),
        "epochs": round(epochs),
        "attempts": round(max(count, len(tasks) + 1) * epochs * 2),
        "usd": None if usd is None else f"{usd:.4f}",
    }


def _validity(
    candidate: Results,
    baseline: Results,
    first: Mapping[str, Sequence[Measures]],
    second: Mapping[str, Sequence[Measures]],
    tasks: Sequence[str],
) -> dict[str, object]:
    wins = sum(_share(first, [t]) > _share(second, [t]) for t in tasks)  # type: ignore[operator]
    losses = sum(_share(first, [t]) < _share(second, [t]) for t in tasks)  # type: ignore[operator]
    lost = [_lost(candidate), _lost(baseline)]
    worst = [
        sum(_good(m) for ms in arm.values() for m in ms) / max(1, every)
        for arm, (_, every) in zip((first, second), lost, strict=True)
    ]
    return {
        "tasks": len(tasks),
        "epochs": min((len(first[t]) for t in tasks), default=0),
        "infra": {"candidate": lost[0][0], "baseline": lost[1][0]},
        "success_if_infra_failed": {"candidate": worst[0], "baseline": worst[1]},
        "sign_test_p": mcnemar(wins, losses),
        "providers": sorted({p for r in (candidate, baseline) for ms in r.values() for m in ms
                             for p in m.providers}),
    }  # fmt: skip


def _break_even(
    arms: tuple[Mapping[str, Sequence[Measures]], Mapping[str, Sequence[Measures]]],
    tasks: Sequence[str],
) -> tuple[float | None, float | None, float | None]:
    """The price of a failed task, in US dollars, at which both arms cost the same."""
    above = [fmean(map(_cost, arms[0][t])) - fmean(map(_cost, arms[1][t])) for t in tasks]
    below = [fmean(map(_good, arms[0][t])) - fmean(map(_good, arms[1][t])) for t in tasks]
    if not tasks or any(math.isnan(a) for a in above):
        return None, None, None
    return fieller([a / 1e12 for a in above], below)
