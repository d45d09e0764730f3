"""What of a repository is here already, by looking at names, sizes and times only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nemocli.core.value_class import value_class
from nemocli.weights.journal import Journal
from nemocli.weights.ports import Stamp, Store
from nemocli.weights.repository import Blob
from nemocli.weights.segments import segment_count, segment_span


@value_class(frozen=True, slots=True)
class FoundContent:
    """One content: seats known to be good, seats that have to be read, seats that are empty; and
    the bytes an unfinished part seems to hold."""

    blob: Blob
    good: tuple[str, ...]
    unsure: tuple[str, ...]
    lacking: tuple[str, ...]
    partial: int = 0


@value_class(frozen=True, slots=True)
class Survey:
    """All contents of a listing."""

    found: tuple[FoundContent, ...]

    @property
    def size(self) -> int:
        """Bytes that all seats together will take."""
        return sum(f.blob.size for f in self.found)

    @property
    def present(self) -> int:
        """Bytes that are here, as far as names and sizes tell."""
        return sum(f.blob.size for f in self.found if not f.lacking)

    @property
    def partial(self) -> int:
        """Bytes of files begun."""
        return sum(f.partial for f in self.found if f.lacking)

    @property
    def to_fetch(self) -> int:
        """Bytes still to come."""
        return self.size - self.present - self.partial

    @property
    def unsure(self) -> tuple[tuple[Blob, str], ...]:
        """Files of the right size that nobody here has verified."""
        return tuple((f.blob, seat) for f in self.found for seat in f.unsure)


def survey(blobs: Sequence[Blob], store: Store, journal: Journal) -> Survey:
    """Look at every seat."""
    return Survey(tuple(_found(blob, store, journal) for blob in blobs))


def _found(blob: Blob, store: Store, journal: Journal) -> FoundContent:
    good, unsure, lacking = [], [], []
    for seat in store.seats(blob):
        stamp = store.stamp(seat)
        if stamp is None:
            lacking.append(seat)
        elif _trusted(blob, seat, stamp, journal):
            good.append(seat)
        else:
            unsure.append(seat)
    claims = journal.claims.get(blob.name, {})
    partial = min(store.part_bytes(blob), _claimed(claims, blob.size)) if lacking else 0
    return FoundContent(blob, tuple(good), tuple(unsure), tuple(lacking), partial)


def _trusted(blob: Blob, seat: str, stamp: Stamp, journal: Journal) -> bool:
    known = journal.verified.get(seat)
    return known is not None and known.name == blob.name and known.stamp == stamp


def _claimed(claims: Mapping[int, str], size: int) -> int:
    most = segment_count(size)
    spans = (segment_span(i, size) for i in claims if 0 <= i < most)
    return sum(end - first for first, end in spans)
