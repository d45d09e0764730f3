"""Outputs of shares joined into one, and an output brought into the order of its input."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nemocli.core.faults import config_error
from nemocli.core.records import Reader
from nemocli.io.batch.files import errors_of, folder_of
from nemocli.io.batch.index import Index
from nemocli.io.batch.job import BatchJob, size_of
from nemocli.io.batch.lines import lines_in
from nemocli.io.batch.writer import About, Words
from nemocli.io.files import file_error


@dataclass(slots=True)
class Joined:
    """What came of joining parts: rows that are new, that were there, that stand in for older ones,
    and calls that were booked."""

    fresh: int = 0
    known: int = 0
    replaced: int = 0
    booked: int = 0


def merge_outputs(
    job: BatchJob, parts: Sequence[Path], ledger: Path, about: About, words: Words
) -> Joined:
    """Take the rows of other output files into a job that is held. Parts stay as they are. Raises
    NemoError where a part is of another job, or is no output at all."""
    found = Joined()
    prints = {p: fingerprint_of(folder_of(p)) for p in (job.out, *parts)}
    known = {f for f in prints.values() if f}
    if len(known) > 1:
        first = next(f for f in prints.values() if f)
        other = next(p for p, f in prints.items() if f not in (None, first))
        raise config_error(f"{other} is of another job", "join the shares of one job")
    keeper = job.keeper(ledger, about, words, next(iter(known), bytes(16)), ordered=False)
    stale: set[int] = set()
    try:
        keeper.recover()
        before = keeper.attempts_booked
        for part in parts:
            if not part.exists():
                raise config_error(f"{part}: no such file", "name the outputs of the shares")
            for group in _grouped(lines_in(part, errors_of(part))):
                try:
                    fresh, replaced = keeper.adopt(group)
                except ValueError as error:
                    raise config_error(f"{part}: {error}", "join outputs of batch jobs") from error
                found.fresh += fresh
                found.known += len(group) - fresh
                stale |= replaced
        found.booked = keeper.attempts_booked - before
    finally:
        keeper.close()
    job.compact(stale, words.line)
    found.replaced = len(stale)
    return found


def _grouped(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while group := list(islice(lines, 512)):
        yield group


def fingerprint_of(folder: Path) -> bytes | None:
    """What the rows of a job were asked under; None where nothing remembers it."""
    if not (folder / "index").exists():
        return None
    index = Index(folder / "index", b"")
    index.close()
    return index.fingerprint


def in_order(out: Path, read: Reader) -> None:
    """Bring the output into the order of the input: eight bytes a row are held."""
    size = size_of(out)
    beside = out.with_name(f".{out.name}.part")
    try:
        with out.open("rb", buffering=1 << 20) as old, beside.open("wb") as new:
            places = array("q")
            at = 0
            for line in old:
                ordinal = read(line).ordinal
                if ordinal >= len(places):
                    places.extend([-1] * (ordinal + 1 - len(places)))
                places[ordinal] = at
                at += len(line)
            for place in places:
                if place >= 0:
                    old.seek(place)
                    new.write(old.readline())
            new.flush()
            os.fsync(new.fileno())
        if size_of(beside) == size:
            beside.replace(out)
    except OSError as error:
        raise file_error("cannot rewrite", out, error) from error
    finally:
        beside.unlink(missing_ok=True)
