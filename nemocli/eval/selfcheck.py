"""The machine checked against what is known: statistics with known truths, and its own lint.

No key and no network. Each check has what was published or is exact, what was measured just now,
and where the figure is from.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from nemocli.core.value_class import value_class
from nemocli.eval.judge import Measures
from nemocli.eval.stats import (
    OBRIEN_FLEMING,
    fisher,
    mcnemar,
    mean_interval,
    pass_at_k,
    pass_hat_k,
    t_quantile,
    wilson,
)
from nemocli.eval.verdict import VerdictPolicy, decide


@value_class(frozen=True, slots=True)
class SelfCheck:
    """One check: its name, the figure it should come to, the one it came to, and whether it is
    near enough."""

    name: str
    published: float
    measured: float
    ok: bool
    source: str


def _near(name: str, published: float, measured: float, by: float, source: str) -> SelfCheck:
    return SelfCheck(name, published, measured, abs(published - measured) <= by, source)


def _within(name: str, most: float, measured: float, source: str) -> SelfCheck:
    return SelfCheck(name, most, measured, measured <= most, source)


def checks(draws: int = 400) -> Iterator[SelfCheck]:
    """All of them; `draws` simulated runs each."""
    table = "NIST/SEMATECH e-Handbook, table of Student's t"
    yield _near("t quantile .975, 11 df", 2.201, t_quantile(0.975, 11), 5e-4, table)
    yield _near("t quantile .95, 2 df", 2.920, t_quantile(0.95, 2), 5e-4, table)
    low = wilson(0, 10).high or 0.0
    yield _near("Wilson upper bound, 0 of 10", 0.2775, low, 1e-3, "Wilson 1927")
    yield _near("Fisher's tea", 0.4857, fisher(3, 1, 1, 3), 1e-4, "Fisher 1935")
    yield _near("McNemar exact, 1 against 9", 0.0215, mcnemar(1, 9), 1e-4, "binomial")
    yield _near("pass@2 of 2 in 4", 5 / 6, pass_at_k(4, 2, 2) or 0.0, 1e-9, "arXiv 2107.03374")
    yield _near("pass^2 of 2 in 4", 1 / 6, pass_hat_k(4, 2, 2) or 0.0, 1e-9, "arXiv 2406.12045")
    coverage = sum(_covers(seed) for seed in range(draws * 5)) / (draws * 5)
    yield _near("coverage of a 90 % interval at 12 tasks", 0.90, coverage, 0.025, "by design")
    same = _share("ADOPT", draws, 1.0, 0.0)
    yield _within(
        "ADOPT of identical arms, 24 x 5", 0.07 + _noise(draws), same, "the rule's design"
    )
    worse = _share("ADOPT", draws, 0.7, -0.2)
    yield _within(
        "ADOPT of an arm 20 points worse", 0.03 + _noise(draws), worse, "the rule's design"
    )
    half = _share("ADOPT", draws, 0.5, 0.0)
    yield SelfCheck("ADOPT at half the price, 24 x 5", 0.7, half, half >= 0.7, "the rule's design")
    peeked = _peeked(draws * 5)
    yield _within(
        "false alarms with 3 looks (O'Brien-Fleming)", 0.065, peeked, "O'Brien, Fleming 1979"
    )


def _noise(draws: int) -> float:
    """Two standard errors of a share of 5 %."""
    return 2 * math.sqrt(0.05 * 0.95 / draws)


def _covers(seed: int) -> bool:
    chance = random.Random(seed)  # noqa: S311 - a simulation
    found = mean_interval([chance.gauss(0.1, 0.3) for _ in range(12)])
    return found.low is not None and found.high is not None and found.low <= 0.1 <= found.high


def _share(decision: str, draws: int, price: float, loss: float) -> float:
    hits = sum(simulate(seed, price=price, loss=loss) == decision for seed in range(draws))
    return hits / draws


def simulate(
    seed: int, *, tasks: int = 24, epochs: int = 5, base: float = 0.6, price: float = 1.0,
    loss: float = 0.0,
) -> str:  # fmt: skip
    """The verdict on two arms with a known truth: difficulties of tasks vary as in published
    trajectories (intraclass correlation .40), the arms' correlate, failures cost 1.4 times."""
    chance = random.Random(f"{seed}:{tasks}:{epochs}:{base}:{price}:{loss}")  # noqa: S311
    first: dict[str, list[Measures]] = {}
    second: dict[str, list[Measures]] = {}
    for number in range(tasks):
        level = chance.gauss(0, 0.8)
        ease = [_clamped(_beta(chance, base)), 0.0]
        ease[1] = _clamped(0.6 * ease[0] + 0.4 * _beta(chance, base))
        wins = (_clamped(ease[1] + loss), ease[0])
        for arm, p, factor in ((first, wins[0], price), (second, wins[1], 1.0)):
            tilt = chance.gauss(0, 0.3)
            arm[f"t{number}"] = [
                _made(chance, p, factor * math.exp(level + tilt)) for _ in range(epochs)
            ]
    return decide(first, second, VerdictPolicy(target="population")).decision


def _beta(chance: random.Random, base: float) -> float:
    scale = 1 / 0.4 - 1
    return chance.betavariate(base * scale, (1 - base) * scale)


def _clamped(p: float) -> float:
    return min(0.99, max(0.01, p))


def _made(chance: random.Random, p: float, cost: float) -> Measures:
    good = chance.random() < p
    pico = cost * math.exp(chance.gauss(0, 0.4)) * (1.0 if good else 1.4)
    return Measures("success" if good else "fail.model", model_turns=8, cost_pico=int(pico * 1e10))


def _peeked(draws: int) -> float:
    """How often a true null is refused at one of three looks."""
    bounds, hits = OBRIEN_FLEMING[3], 0
    for seed in range(draws):
        chance, total = random.Random(seed), 0.0  # noqa: S311 - a simulation
        for look in range(1, 4):
            total += chance.gauss(0, 1)
            if abs(total / math.sqrt(look)) > bounds[look - 1]:
                hits += 1
                break
    return hits / draws
