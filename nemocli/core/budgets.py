"""Caps on spending over a period, as values: which calls one covers, and what it says to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import usd_text
from nemocli.core.values import Json

Per = Literal["run", "day", "week", "month", "total"]
PERIODS: tuple[Per, ...] = ("run", "day", "week", "month", "total")


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
