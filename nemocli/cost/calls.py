"""Calls as the ledger shows them: one attempt with its settlement applied, and sums over many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nemocli.core.value_class import value_class

if TYPE_CHECKING:  # sums are read at every `cost`, and need none of these
    from datetime import datetime

    from nemocli.core.money import Cost
    from nemocli.core.ports import Entry


Dimension = Literal[
    "provider",
    "upstream",
    "model",
    "project",
    "status",
    "day",
    "week",
    "month",
    "tag",
    "session",
    "run",
    "command",
]
"""What calls can be told apart by. Weeks begin on Monday and go by that day."""

BUCKETS: tuple[Dimension, ...] = (
    "day",
    "week",
    "month",
    "provider",
    "upstream",
    "model",
    "project",
    "tag",
    "session",
    "run",
    "command",
    "status",
)


@value_class(frozen=True, slots=True)
class Where:
    """Which calls are meant; None leaves a field open."""

    provider: str | None = None
    model: str | None = None
    command: str | None = None
    project: str | None = None
    session: str | None = None
    run_id: str | None = None
    tag: str | None = None


EVERYTHING = Where()


@value_class(frozen=True, slots=True)
class CallRow:
    """One attempt. `entry` has the settlement applied, `booked` is the cost it was entered at,
    `settled_at` (UTC) when its seller confirmed it, None while nobody has."""

    entry: Entry
    booked: Cost
    settled_at: datetime | None = None


@value_class(frozen=True, slots=True)
class Total:
    """Sums over the attempts of one model at one provider, or over those with the same `key`: a
    value for each dimension that was asked for, `""` where a call has none.

    Token sums leave out unknown counts: `uncounted` is the number of attempts whose input or output
    is unknown, `estimated` of those with counts that are guesses, `flagged` of those whose cost
    somebody should look at. `pico` leaves out `unpriced`
    attempts. `list_pico` is what attempts that cost nothing would have cost at `list_seller`; sums
    with and without such a seller are separate totals.
    """

    provider: str
    model: str
    list_seller: str | None = None
    calls: int = 0
    ok: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: int = 0
    uncounted: int = 0
    unpriced: int = 0
    settled: int = 0
    pico: int = 0
    list_pico: int = 0
    flagged: int = 0
    key: tuple[str, ...] = ()
