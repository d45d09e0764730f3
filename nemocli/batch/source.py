"""Records to rows, less those that are over."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Protocol

from nemocli.batch.progress import Tally
from nemocli.batch.rows import Bad, Renderer, Row, row_of
from nemocli.batch.spec import Spec
from nemocli.core.records import Record


class Past(Protocol):
    """What is over. `is_settled` by the 8 bytes of a record as it was read; `same` by those of
    what it asks, for one that is only written differently. Both note a row that was over and now
    is another; `replace` notes one that is no question any more."""

    def is_settled(self, ordinal: int, raw: bytes) -> bool: ...
    def same(self, ordinal: int, raw: bytes, key: bytes) -> bool: ...
    def replace(self, ordinal: int) -> None: ...


Item = Row | Bad | int


class UsedNames:
    """Whether a name was used before, in 16 MiB for two million names: a table of fingerprints that
    never misses one, and takes fewer than one in a billion new ones for known."""

    SLOTS = 1 << 22
    MOST = 2_000_000

    def __init__(self) -> None:
        self._prints = array("I", bytes(4 * self.SLOTS))
        self._count = 0

    def take(self, name: str) -> bool:
        """Whether it was, and from now on is."""
        if self._count >= self.MOST:
            return False
        number, prints, last = hash(name), self._prints, self.SLOTS - 1
        place, mark = number & last, (number >> 22 & 0xFFFFFFFF) or 1
        while (found := prints[place]) != 0:
            if found == mark:
                return True
            place = place + 1 & last
        prints[place] = mark
        self._count += 1
        return False


class Feed:
    """Rows as they are wanted. Where the order of the input matters, the ordinals of rows that are
    over come too. `warn` gets one line for a name that comes twice."""

    def __init__(
        self,
        records: Iterable[Record] | AsyncIterable[Record],
        spec: Spec,
        past: Past | None,
        tally: Tally,
        *,
        ordered: bool = False,
        jinja: Renderer | None = None,
        context: int | None = None,
        warn: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._slow = aiter(records) if isinstance(records, AsyncIterable) else None
        self._quick = None if isinstance(records, AsyncIterable) else iter(records)
        self._spec = spec
        self._past = past
        self._tally = tally
        self._ordered = ordered
        self._jinja = jinja
        self._context = context
        self._warn = warn
        self._names: UsedNames | None = None
        self._twice = 0

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        if self._slow is not None:
            async for record in self._slow:
                item = self._item(record)
                if item is not None:
                    return item
        elif self._quick is not None:
            for record in self._quick:
                item = self._item(record)
                if item is not None:
                    return item
        raise StopAsyncIteration

    def _item(self, record: Record) -> Item | None:
        """What is to be done about a record; None: nothing, it is over."""
        tally, past = self._tally, self._past
        tally.at = record.at
        if past is not None and past.is_settled(record.ordinal, record.raw):
            if self._ordered:
                return record.ordinal
            tally.skipped += 1
            return None
        item = row_of(record, self._spec, self._jinja)
        if isinstance(item, Row):
            if past is not None and past.same(record.ordinal, item.raw, item.key):
                return record.ordinal
            item = self._fitting(item)
            if isinstance(item, Row) and item.named:
                self._check_name(item)
        elif past is not None:
            past.replace(record.ordinal)
        return item

    def _fitting(self, row: Row) -> Row | Bad:
        """A row that can be answered within the model's context, as far as lengths tell."""
        if self._context is None or row.chars // 6 <= self._context:
            return row
        message = f"about {row.chars // 4:,} tokens, above the context of {self._context:,}"
        return Bad(row.ordinal, row.where, row.custom_id, row.raw, "over_context", message)

    def _check_name(self, row: Row) -> None:
        if self._names is None:
            self._names = UsedNames()
        if self._names.take(row.custom_id):
            self._twice += 1
            if self._twice <= 3:
                self._warn(
                    f"{row.where}: custom_id {row.custom_id!r} was used before; "
                    "x_nemocli.ordinal tells the rows apart"
                )
