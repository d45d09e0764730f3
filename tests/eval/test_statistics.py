"""Intervals and verdicts against known truths."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from nemocli.eval.judge import Measures
from nemocli.eval.metrics import horizon, summary_of
from nemocli.eval.selfcheck import checks, simulate
from nemocli.eval.stages import gate_3, serving_of
from nemocli.eval.stats import (
    Interval,
    fieller,
    mean_interval,
    pass_at_k,
    pass_hat_k,
    ratio_interval,
    t_cdf,
    t_quantile,
)
from nemocli.eval.verdict import VerdictPolicy, decide


def attempts(good: int, bad: int, cost: int = 100, **more) -> list[Measures]:
    return [
        Measures("success" if n < good else "fail.model", model_turns=5, cost_pico=cost, **more)
        for n in range(good + bad)
    ]


def arm(good: int = 4, bad: int = 1, cost: int = 100, tasks: int = 12, spread: int = 7):
    return {f"t{n}": attempts(good, bad, cost + n % spread) for n in range(tasks)}


def test_quantiles_are_the_tables() -> None:
    for p, freedom, value in [(0.95, 1, 6.3138), (0.975, 4, 2.7764), (0.95, 11, 1.7959),
                              (0.975, 30, 2.0423), (0.95, 1e6, 1.6449)]:  # fmt: skip
        assert t_quantile(p, freedom) == pytest.approx(value, abs=2e-4)
    assert t_cdf(t_quantile(0.9, 7), 7) == pytest.approx(0.9, abs=1e-9)


def test_an_interval_covers_what_it_says_at_twelve_tasks() -> None:
    chance, hits = random.Random(1), 0
    for _ in range(4000):
        found = mean_interval([chance.gauss(0, 1) for _ in range(12)], 0.025)
        hits += found.low <= 0 <= found.high
    assert 0.94 <= hits / 4000 <= 0.96


@pytest.mark.slow  # `eval selfcheck`, which is run by default, simulates the same
@pytest.mark.parametrize("draws", [400])
def test_the_rule_does_what_was_designed(draws: int) -> None:
    for check in checks(draws):
        assert check.ok, check


@pytest.mark.slow
def test_verdicts_at_known_truths() -> None:
    def share(decision: str, **truth) -> float:
        return sum(simulate(seed, **truth) == decision for seed in range(1500)) / 1500

    for tasks in (12, 24):
        assert share("ADOPT", tasks=tasks) <= 0.07 + 0.012
        assert share("ADOPT", tasks=tasks, price=0.7, loss=-0.2) <= 0.03 + 0.009
    assert share("ADOPT", price=0.5) >= 0.75
    assert share("REJECT", price=1.5) >= 0.3


def test_identical_logs_are_marginal() -> None:
    verdict = decide(arm(), arm(), VerdictPolicy())
    assert verdict.decision == "MARGINAL"
    assert verdict.difference.point == 0


def test_a_clear_win_is_adopted_and_its_mirror_rejected() -> None:
    cheap, dear = arm(cost=40), arm(cost=100)
    win = decide(cheap, dear, VerdictPolicy())
    assert win.decision == "ADOPT"
    loss = decide(dear, cheap, VerdictPolicy())
    assert loss.decision == "REJECT"
    assert win.cost_ratio.point == pytest.approx(1 / loss.cost_ratio.point)
    assert win.difference.point == -loss.difference.point


def test_a_model_that_fails_more_is_rejected_however_cheap() -> None:
    assert decide(arm(1, 4, cost=1), arm(5, 0, cost=100), VerdictPolicy()).decision == "REJECT"


def test_no_success_at_all_is_handled() -> None:
    none = arm(0, 5)
    verdict = decide(none, none, VerdictPolicy())
    assert verdict.decision == "MARGINAL"
    assert verdict.cost == (None, None)
    assert decide(none, arm(5, 0), VerdictPolicy()).decision == "REJECT"
    assert summary_of(none).cpct_pico is None


def test_what_cannot_be_judged_is_invalid() -> None:
    few = decide(arm(tasks=4), arm(tasks=4), VerdictPolicy())
    assert few.decision == "INVALID"
    short = decide(arm(2, 0), arm(2, 0), VerdictPolicy())
    assert "at least 3" in short.reasons[0]
    lost = {t: [*ms, replace(ms[0], cls="infra")] for t, ms in arm().items()}
    uneven = decide(lost, arm(), VerdictPolicy())
    assert uneven.decision == "INVALID"
    assert any("infrastructure" in r for r in uneven.reasons)
    assert decide(arm(cost=1), arm(), VerdictPolicy(), problems=["changed"]).decision == "INVALID"


def test_the_target_is_said() -> None:
    assert decide(arm(tasks=12), arm(tasks=12), VerdictPolicy()).target == "suite"
    assert decide(arm(tasks=24), arm(tasks=24), VerdictPolicy()).target == "population"
    assert "on these 12 tasks" in decide(arm(), arm(), VerdictPolicy()).reasons[-1]


def test_what_would_settle_it_is_said_with_its_price() -> None:
    chance = random.Random(3)
    noisy = {t: [replace(m, cost_pico=int(1e9 * chance.lognormvariate(-0.15, 1))) for m in ms]
             for t, ms in arm().items()}  # fmt: skip
    other = {t: [replace(m, cost_pico=int(1e9 * chance.lognormvariate(0, 1))) for m in ms]
             for t, ms in arm().items()}  # fmt: skip
    verdict = decide(noisy, other, VerdictPolicy(target="population"))
    assert verdict.decision == "MARGINAL"
    assert verdict.needs["tasks"] is None or verdict.needs["tasks"] > 12


def test_costs_nobody_knows_are_not_guessed() -> None:
    unknown = {t: [replace(m, cost_pico=None) for m in ms] for t, ms in arm().items()}
    verdict = decide(unknown, arm(), VerdictPolicy())
    assert (verdict.decision, verdict.cost[0]) == ("MARGINAL", None)


def test_coherence_ends_where_half_are_broken() -> None:
    made = [Measures("fail.model", user_turns=6, first_break=b) for b in (2, 2, 4, None)]
    assert horizon(made) == 2
    assert horizon([Measures("success", user_turns=6)] * 3) is None


def test_small_things() -> None:
    assert pass_at_k(3, 1, 4) is None
    assert pass_hat_k(3, 3, 3) == 1.0
    point, low, high = fieller([1.0, 1.2, 0.9, 1.1], [0.5, 0.6, 0.4, 0.5])
    assert low < point < high
    assert fieller([1, 1], [0.0, 0.0]) == (None, None, None)
    assert ratio_interval([(1, 0)], [(1, 1)]).point is None


def test_what_a_completed_task_costs_on_gpus_of_ones_own() -> None:
    """Half a task a second, 80 % completed, at 36 USD an hour: 1,440 an hour, 2.5 cents each."""
    found = serving_of(4, 0.5, 0.8, Decimal(36), 0.05e12)
    assert found.tasks_per_hour == pytest.approx(1800)
    assert found.completed_per_hour == pytest.approx(1440)
    assert found.usd_per_completed == Decimal(36) / Decimal("1440.0")
    assert found.break_even == pytest.approx(0.5)
    assert serving_of(4, 0.5, 0.0, Decimal(36), 1.0).usd_per_completed is None
    assert serving_of(4, 0.5, 0.8, None, 1.0).break_even is None
    assert serving_of(4, 0.5, 0.8, Decimal(36), None).break_even is None


def test_a_limit_that_no_load_keeps_fails_gate_3() -> None:
    same = Interval(0.0, -0.01, 0.01)
    assert gate_3(same, 0.1, (0.0, 0.0)).passed
    slow = gate_3(same, 0.1, (0.0, 0.0), "95 % of requests keep ttft <= 5 ms at no load")
    assert not slow.passed
    assert "ttft" in slow.reasons[0]
