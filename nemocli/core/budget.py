"""Reserve before the call, settle after it: arithmetic only."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from decimal import Decimal

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import Pico, Price, table_cost, usd_text
from nemocli.core.usage import MOST_TOKENS, Usage

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


@dataclass(frozen=True, slots=True)
class Bound:
    """A call that fits: its worst case in pico-USD and the output tokens it may use."""

    worst: Pico
    max_tokens: int
    lowered: bool


def bound(
    left: int,
    price: Price | None,
    input_tokens: int,
    max_tokens: int | None,
    limit: int | None,
    *,
    cap: str = "`--max-cost`",
) -> Bound | Fault:
    """The most output that fits what is left of a cap, or the fault that says why none does.

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
    dearest = _dearest(price)

    def cost(output_tokens: int) -> Pico:
        return _worst(dearest, input_tokens, output_tokens)

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


def _dearest(price: Price) -> Price:
    """Every token at the dearest rate of its side: writing a cache can cost more than input."""
    nothing = Decimal(0)
    return replace(
        price,
        input=max(price.input, price.cached_input or nothing, price.cache_write or nothing),
        output=max(price.output, price.reasoning or nothing),
        cached_input=None,
        cache_write=None,
        reasoning=None,
    )


def _worst(dearest: Price, input_tokens: int, output_tokens: int) -> Pico:
    usage = Usage(min(input_tokens, MOST_TOKENS), output_tokens=output_tokens)
    return table_cost(usage, dearest) or Pico(0)
