"""Limits and budget over all calls of a job, in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Literal

from nemocli.core.budget import RunBudget
from nemocli.core.money import usd_text
from nemocli.core.value_class import value_class
from nemocli.engine.pool.pacing import Pacer, Pinned, Ticket
from nemocli.engine.pool.ports import CallOutcome, Grant, Refusal
from nemocli.engine.waiting import FOREVER

Spread = Literal["order", "weight", "price", "speed"]
SPREADS: tuple[Spread, ...] = ("order", "weight", "price", "speed")


@value_class(frozen=True, slots=True)
class TargetLane:
    """One target: the limits that are pinned, its weight, and US dollars per million output
    tokens where they are known (for the order of `price`)."""

    name: str
    pinned: Pinned = field(default_factory=Pinned)
    weight: float = 1.0
    price: float | None = None
    likely_rpm: float | None = None


class LocalGate:
    """Fills `ports.CallGate`. `now` is a clock in seconds that never runs backwards."""

    def __init__(
        self,
        lanes: Sequence[TargetLane],
        now: Callable[[], float],
        budget: RunBudget | None = None,
        spread: Spread = "order",
    ) -> None:
        self.lanes = tuple(lanes)
        self.pacers = [Pacer(lane.pinned, now(), lane.likely_rpm) for lane in lanes]
        self.budget = budget
        self._now = now
        self._spread = spread
        self._out: dict[int, tuple[Ticket, int]] = {}
        self._next = 0
        self._served = [0.0] * len(lanes)

    def choose(self, targets: Sequence[int], waiting: Sequence[int]) -> int:
        """The target that a row had best wait for."""
        if len(targets) == 1 or self._spread == "order":
            return targets[0]
        lanes, pacers, served = self.lanes, self.pacers, self._served

        def load(target: int) -> float:
            return (pacers[target].under_way + waiting[target]) / pacers[target].cap

        if self._spread == "speed":
            return min(targets, key=load)
        free = [t for t in targets if load(t) <= 1.5] or list(targets)
        if self._spread == "price":
            return min(free, key=lambda t: (lanes[t].price is None, lanes[t].price or 0.0))
        return min(free, key=lambda t: (served[t] + waiting[t] + 1) / max(lanes[t].weight, 1e-9))

    async def enter(self, target: int, tokens: int, worst: int) -> Grant | Refusal:
        """Let a call through, or say when to ask again. `worst` is what it may cost, in pico-USD; 0
        where nothing is counted."""
        now, budget, pacer = self._now(), self.budget, self.pacers[target]
        wait = pacer.wait(now, tokens)
        if wait > 0:
            return Refusal(wait)
        if budget is not None and not budget.reserve(worst):
            if budget.reserved > 0:
                return Refusal(FOREVER)
            left = usd_text(max(0, budget.left))
            return Refusal(
                None,
                f"{left} USD of `--max-cost` is left, and the next call may cost {usd_text(worst)}",
            )
        self._next += 1
        self._out[self._next] = pacer.start(now, tokens), worst
        self._served[target] += 1
        return Grant(target, self._next)

    def leave(self, grant: Grant, outcome: CallOutcome) -> None:
        """A call is over."""
        ticket, worst = self._out.pop(grant.ticket)
        pacer, now = self.pacers[grant.target], self._now()
        pacer.finish(ticket, now, outcome.word, outcome.wait_s, outcome.tokens)
        if outcome.calls_left is not None:
            pacer.hint(now, *outcome.calls_left)
        if self.budget is not None:
            self.budget.settle(worst, outcome.pico)

    @property
    def limits(self) -> Mapping[str, str]:
        """Each target's limits in words."""
        return {lane.name: p.limit for lane, p in zip(self.lanes, self.pacers, strict=True)}

    @property
    def why(self) -> str:
        """What moved the first target's limit last."""
        return self.pacers[0].why
