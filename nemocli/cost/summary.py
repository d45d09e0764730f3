"""What calls came to, per provider and model: sums that always say what they leave out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING

from nemocli.core.value_class import value_class
from nemocli.cost.calls import CallRow, Dimension, Total

if TYPE_CHECKING:
    from nemocli.cost.leases import Lease


@value_class(frozen=True, slots=True)
class SummaryLine:
    """Sums of one model at one provider, of one `key`, or of all of them; `""` where they differ.

    `pico` is the sum of the known costs, None when no cost is known at all; `unpriced` calls are
    not in it. Token sums leave out the unknown counts of `uncounted` calls and contain the guesses
    of `estimated` ones. `list_pico` says per seller what calls that cost nothing are listed at.
    """

    provider: str = ""
    model: str = ""
    calls: int = 0
    ok: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: int = 0
    uncounted: int = 0
    pico: int | None = 0
    unpriced: int = 0
    settled: int = 0
    list_pico: Mapping[str, int] = field(default_factory=dict)
    list_calls: int = 0
    flagged: int = 0
    key: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Calls that did not end well; they may have cost money all the same."""
        return self.calls - self.ok


@value_class(frozen=True, slots=True)
class Summary:
    """Lines, dearest first, and their total, from `since` until before `until` (None is open).

    `by` says what the keys of the lines are, None for provider and model. `killed` is the number of
    calls whose process died before it could book them, `leases` what GPUs of one's own cost beside
    them, `pruned` the number of calls that only rollups remember.
    """

    lines: tuple[SummaryLine, ...]
    total: SummaryLine
    since: datetime | None = None
    until: datetime | None = None
    killed: int = 0
    by: tuple[Dimension, ...] | None = None
    leases: tuple[Lease, ...] = ()
    pruned: int = 0

    @property
    def idle(self) -> int:
        """What GPUs of one's own cost without a call to show for it, in pico-USD."""
        return sum(lease.idle for lease in self.leases)


def summarise(
    totals: Iterable[Total],
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    killed: int = 0,
    by: tuple[Dimension, ...] | None = None,
    whole: Iterable[Total] | None = None,
    leases: tuple[Lease, ...] = (),
    pruned: int = 0,
) -> Summary:
    """Totals in any order, any number of them about the same model, to one summary. `whole` are
    the totals of everything where those of the lines overlap, as calls with two tags do."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[Total]] = {}
    for total in totals:
        groups.setdefault((total.provider, total.model, total.key), []).append(total)
    lines = [_line(parts, *names) for names, parts in groups.items()]
    if by is not None and by[0] in TIMES:
        lines.sort(key=lambda line: (line.key[0], -(line.pico or 0), line.key))
    else:
        lines.sort(key=lambda line: (-(line.pico or 0), line.provider, line.model, line.key))
    everything = [t for parts in groups.values() for t in parts] if whole is None else list(whole)
    return Summary(tuple(lines), _line(everything), since, until, killed, by, leases, pruned)


TIMES = ("day", "week", "month")


def total_of(row: CallRow) -> Total:
    """One call as a sum of one, for rows that were picked by hand."""
    entry, usage, cost = row.entry, row.entry.usage, row.entry.cost
    listed = cost.pico == 0 and bool(cost.list_pico)
    return Total(
        entry.provider,
        entry.model,
        (cost.list_price_id or "").split("/")[0] if listed else None,
        1,
        int(entry.status == "ok"),
        usage.input_tokens or 0,
        usage.cached_input_tokens or 0,
        usage.cache_write_tokens or 0,
        usage.output_tokens or 0,
        usage.reasoning_tokens or 0,
        int(usage.source == "estimated"),
        int(not usage.known),
        int(cost.pico is None),
        int(row.settled_at is not None),
        cost.pico or 0,
        (cost.list_pico or 0) if listed else 0,
        int(bool(cost.flags)),
    )


def _line(
    parts: list[Total], provider: str = "", model: str = "", key: tuple[str, ...] = ()
) -> SummaryLine:
    calls = sum(t.calls for t in parts)
    unpriced = sum(t.unpriced for t in parts)
    pico = None if 0 < unpriced == calls else sum(t.pico for t in parts)
    listed: dict[str, int] = {}
    for t in parts:
        if t.list_seller is not None:
            listed[t.list_seller] = listed.get(t.list_seller, 0) + t.list_pico
    return SummaryLine(
        provider,
        model,
        calls,
        sum(t.ok for t in parts),
        sum(t.input_tokens for t in parts),
        sum(t.cached_input_tokens for t in parts),
        sum(t.cache_write_tokens for t in parts),
        sum(t.output_tokens for t in parts),
        sum(t.reasoning_tokens for t in parts),
        sum(t.estimated for t in parts),
        sum(t.uncounted for t in parts),
        pico,
        unpriced,
        sum(t.settled for t in parts),
        dict(sorted(listed.items())),
        sum(t.calls for t in parts if t.list_seller is not None),
        sum(t.flagged for t in parts),
        key,
    )
