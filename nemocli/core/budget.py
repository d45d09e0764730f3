"""Caps on spending, of a run or over a period: reserve before the call, settle after it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Literal

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import Pico, Price, table_cost, usd_text
from nemocli.core.usage import MOST_TOKENS, Usage
from nemocli.core.value_class import value_class
from nemocli.core.values import Json

LEAST_OUTPUT = 16
"""Output tokens below which a call is not worth making."""


@dataclass(slots=True)
class RunBudget:
    """A hard cap over one run. One event loop owns it, so check and reserve cannot race."""

    cap: Pico
    spent: int = 0
    reserved: int = 0

    @property
    def left(self) -> int:
        """What may still be promised, in pico-USD."""
        return self.cap - self.spent - self.reserved

    def reserve(self, pico: int) -> bool:
        """Promise an amount; False, and nothing promised, when it does not fit."""
        if pico > self.left:
            return False
        self.reserved += pico
        return True

    def settle(self, reserved: int, actual: int | None) -> None:
        """Replace a promise by what it came to; an unknown outcome is counted as the promise."""
        self.reserved -= reserved
        self.spent += reserved if actual is None else actual


@value_class(frozen=True, slots=True)
class Bound:
    """A call that fits: its worst case in pico-USD and the output tokens it may use."""

    worst: Pico
    max_tokens: int
    lowered: bool


def output_bound(
    left: int,
    price: Price | None,
    input_tokens: int,
    max_tokens: int | None,
    limit: int | None,
    *,
    cap: str = "`--max-cost`",
    answers: int = 1,
) -> Bound | Fault:
    """The most output that fits what is left of a cap, or the fault that says why none does. Each
    of several `answers` may be that long.

    A price nobody knows cannot be capped: that is a fault, not a pass.
    """
    if price is None:
        return Fault(
            FaultKind.BUDGET,
            f"no price is known for this model here, so {cap} cannot be kept",
            f"add a price row to the provider's file, or do without {cap}",
            sent=False,
        )
    wanted = min(max_tokens or limit or 65_536, MOST_TOKENS)
    dearest = _dearest(price, input_tokens)

    def cost(output_tokens: int) -> Pico:
        return _worst(dearest, input_tokens, output_tokens * answers)

    worst = cost(wanted)
    if worst <= left:
        return Bound(worst, wanted, lowered=False)
    fits = max(0, bisect_right(range(wanted + 1), left, key=cost) - 1)
    if max_tokens is not None or fits < LEAST_OUTPUT:
        return Fault(
            FaultKind.BUDGET,
            f"this call may cost {usd_text(worst)} USD and {usd_text(max(0, left))} USD is left"
            f" of {cap}",
            f"`--max-tokens {fits}` fits" if fits >= LEAST_OUTPUT else f"raise {cap}",
            sent=False,
        )
    return Bound(cost(fits), fits, lowered=True)


def _dearest(price: Price, input_tokens: int) -> Price:
    """Every token at the dearest rate of its side: writing a cache can cost more than input, and a
    call may turn out shorter than was feared."""
    nothing = Decimal(0)
    read = [price.input, price.cached_input, price.cache_write]
    made = [price.output, price.reasoning]
    for tier in (t for t in price.tiers if t.above < input_tokens):
        read += [tier.input, tier.cached_input]
        made.append(tier.output)
    return replace(
        price,
        input=max(rate or nothing for rate in read),
        output=max(rate or nothing for rate in made),
        cached_input=None,
        cache_write=None,
        reasoning=None,
        tiers=(),
    )


def _worst(dearest: Price, input_tokens: int, output_tokens: int) -> Pico:
    usage = Usage(min(input_tokens, MOST_TOKENS), output_tokens=output_tokens)
    return table_cost(usage, dearest) or Pico(0)


Per = Literal["run", "day", "week", "month", "total"]
PERIODS: tuple[Per, ...] = ("run", "day", "week", "month", "total")


@value_class(frozen=True, slots=True)
class Budget:
    """So much per run, day, week, month or in all, for the calls of a provider, project (a folder)
    or tag, or for every call. A hard one refuses what does not fit, the other only warns; both warn
    from `warn` per cent on. Days are those of `zone` (IANA name; empty: the machine's own)."""

    name: str
    per: Per
    pico: int
    warn: int = 80
    hard: bool = True
    zone: str = ""
    provider: str | None = None
    project: str | None = None
    tag: str | None = None

    def covers(self, provider: str, project: str | None, tags: Sequence[str]) -> bool:
        """Whether a call counts towards it."""
        return (
            self.provider in (None, provider)
            and self.project in (None, project)
            and (self.tag is None or self.tag in tags)
        )

    def period(self, at: datetime, run_id: str, zone: tzinfo | None) -> str:
        """The name of the period a moment is in; `zone` None is the machine's own."""
        if self.per == "run":
            return run_id
        day = at.astimezone(zone).date()
        match self.per:
            case "day":
                return day.isoformat()
            case "week":
                return (day - timedelta(days=day.weekday())).isoformat()
            case "month":
                return day.isoformat()[:7]
            case _:
                return "all"

    @property
    def what(self) -> str:
        """In words: `$5 a day at nvidia`."""
        often = {"run": " a run", "total": " in all"}.get(self.per, f" a {self.per}")
        scope = ((" at ", self.provider), (" in ", self.project), (" tagged ", self.tag))
        over = "".join(f"{word}{value}" for word, value in scope if value is not None)
        return f"{usd_text(self.pico)} USD{often}{over}"


@value_class(frozen=True, slots=True)
class Use:
    """A budget in one of its periods: settled, and held by calls under way, in pico-USD."""

    budget: Budget
    period: str
    spent: int = 0
    held: int = 0

    @property
    def left(self) -> int:
        """What may still be promised."""
        return self.budget.pico - self.spent - self.held

    @property
    def percent(self) -> int:
        """How much of it is used up or held, rounded down; a budget of nothing always is."""
        used = self.spent + self.held
        return used * 100 // self.budget.pico if self.budget.pico else 100


def refusal(use: Use, pico: int | None) -> Fault:
    """Why a call does not fit a hard budget."""
    name = use.budget.name
    if pico is None:
        return Fault(
            FaultKind.BUDGET,
            f"no price is known for this model here, so the budget {name!r} cannot be kept",
            "`nemocli cost prices` lists what is known; add a price row to the provider's file",
            sent=False,
        )
    held = f", {usd_text(use.held)} held by calls under way" if use.held else ""
    return Fault(
        FaultKind.BUDGET,
        f"the budget {name!r} ({use.budget.what}) has {usd_text(use.spent)} USD spent{held}; "
        f"this call may cost {usd_text(pico)}",
        f"lower `--max-tokens`, or `nemocli cost budget set {name} USD` raises it",
        sent=False,
    )


def warning(use: Use) -> str | None:
    """What is said once a budget is nearly, or more than, used up."""
    if use.percent < use.budget.warn:
        return None
    return f"budget {use.budget.name!r}: {use.percent} % of {use.budget.what} is used"


def use_json(use: Use) -> dict[str, Json]:
    """One row of `nemocli.budgets/1`; money as decimal strings."""
    b = use.budget
    return {
        "name": b.name,
        "per": b.per,
        "usd": usd_text(b.pico),
        "warn_percent": b.warn,
        "hard": b.hard,
        "zone": b.zone or None,
        "provider": b.provider,
        "project": b.project,
        "tag": b.tag,
        "period": use.period,
        "spent_usd": usd_text(use.spent),
        "held_usd": usd_text(use.held),
        "left_usd": usd_text(use.left),
        "used_percent": use.percent,
    }
