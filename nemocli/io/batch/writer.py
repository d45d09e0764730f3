"""The files of a job, brought forward a group at a time: output, errors, book, index.

In that order. A kill between two of them leaves lines that the index does not speak of; they are
read again, and what of them is missing in the ledger is booked. So no answer is lost, none is
booked twice, and a torn last line is cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nemocli.core.faults import Fault, NemoError, config_error
from nemocli.core.money import Cost, Pico
from nemocli.core.ports import Entry, Reservation
from nemocli.core.records import DONE, Begun, Reader, SettledRecord, WrittenLines
from nemocli.core.usage import Usage, estimate
from nemocli.core.value_class import value_class
from nemocli.io.batch.files import Appended, OrderWindow, errors_of, folder_of, whole_lines
from nemocli.io.batch.in_flight import leftovers
from nemocli.io.batch.index import Index
from nemocli.io.batch.spool import arrivals, forget
from nemocli.io.files import private_folder
from nemocli.io.ledger.ledger import SqliteLedger, entry_of_killed


@value_class(frozen=True, slots=True)
class About:
    """What all attempts of a run have in common."""

    run_id: str
    command: str = "batch"
    project: str | None = None
    tags: tuple[str, ...] = ()


@value_class(frozen=True, slots=True)
class Words:
    """What lines mean: an output line, the line of one attempt, an answer that is packed (its line,
    and what that means; all three raise ValueError), and what an attempt of estimated tokens is
    thought to have cost."""

    line: Reader
    attempt: Callable[[bytes], Entry]
    unpack: Callable[[bytes], tuple[bytes, SettledRecord]]
    price: Callable[[Entry], Cost]


@value_class(frozen=True, slots=True)
class Recovered:
    """What an earlier run left: bytes of a torn line that were cut, lines whose attempts had not
    been booked, attempts that were begun and never heard of again, and lines that had arrived and
    were not written."""

    torn: int = 0
    replayed: int = 0
    unsettled: tuple[Entry, ...] = ()
    rescued: int = 0


class Keeper:
    """Owns the files of a job, and a ledger of its own. Used by one thread. `rescue` is a file for
    what its disk does not take."""

    def __init__(
        self,
        out: Path,
        ledger: SqliteLedger,
        about: About,
        words: Words,
        *,
        fingerprint: bytes,
        ordered: bool = False,
        rescue: Path | None = None,
    ) -> None:
        self.out = out
        self._rescue = rescue
        self.errors = errors_of(out)
        self.folder = folder_of(out)
        private_folder(self.folder)
        self._ledger = ledger
        self._about = about
        self._words = words
        self._read = words.line
        self.index = Index(self.folder / "index", fingerprint)
        self._out = Appended(out, self.index.out_size)
        self._err = Appended(self.errors, self.index.err_size)
        self._window = OrderWindow(self.folder / "held.jsonl", self._read) if ordered else None
        self._noted = self.folder / "under-way"
        self.attempts_booked = 0
        self._full: Fault | None = None

    # What was there before

    def recover(self) -> Recovered:
        """Bring index and book up to the output, and settle what was under way."""
        if not (self.index.out_size or self.index.err_size):
            self._check_ours()
        torn = self._out.cut_torn() + self._err.cut_torn()
        if self._out.size < self.index.out_size or self._err.size < self.index.err_size:
            self.index.clear(self.index.fingerprint)  # lines were taken out by hand
            self._out.kept = self._err.kept = 0
        replayed = self._replayed(self._out) + self._replayed(self._err)
        self.index.write_head(self._out.size, self._err.size)
        self.index.reread()
        if self._window is not None:
            self._window.save()
        rescued = self._take_back()
        return Recovered(torn, replayed, self._unsettled(), rescued)

    def _check_ours(self) -> None:
        for file in (self._out, self._err):
            first = next(file.lines_from(0), None)
            if first is None:
                continue
            try:
                self._read(first)
            except ValueError as error:
                raise config_error(
                    f"{file.path} is there already and is no output of a batch job",
                    "name another file with `-o`, or `--restart` writes over it",
                ) from error

    def _replayed(self, file: Appended) -> int:
        """Lines beyond what the index speaks of, a thousand at a time."""
        count, waiting = 0, list[SettledRecord]()
        for line in file.lines_from(file.kept):
            try:
                waiting.append(self._read(line))
                if self._window is not None:
                    self._window.drop(waiting[-1].ordinal)
            except ValueError as error:
                raise config_error(
                    f"{file.path}: a line that is none of this job's: {str(error)[:80]}",
                    "take it out, or start over with `--restart`",
                ) from error
            if len(waiting) >= 1000:
                count += self._settle(waiting)
                waiting = []
        count += self._settle(waiting)
        file.kept = file.size
        return count

    def _settle(self, rows: Sequence[SettledRecord]) -> int:
        entries = [entry for row in rows for entry in row.entries]
        booked = self._ledger.find_booked(entry.attempt_id for entry in entries)
        missing = [entry for entry in entries if entry.attempt_id not in booked]
        if missing:
            self._ledger.group(missing, ())
            self.attempts_booked += len(missing)
        self.index.write_all(rows)
        return len({row.ordinal for row in rows if any(e in missing for e in row.entries)})

    def _unsettled(self) -> tuple[Entry, ...]:
        """Attempts that were sent before a kill: booked as aborted, their input estimated. Those
        that were never sent are taken off the record."""
        noted = {name: (sent, chars) for name, sent, chars in leftovers(self._noted)}
        left = [r for r in self._ledger.orphans() if r.attempt_id in noted]
        sent = [r for r in left if noted[r.attempt_id][0]]
        entries = tuple(self._aborted(r, noted[r.attempt_id][1]) for r in sent)
        unsent = [r.attempt_id for r in left if not noted[r.attempt_id][0]]
        if left:
            self._ledger.group(entries, (), unsent)
        self._noted.unlink(missing_ok=True)
        return entries

    def _aborted(self, reservation: Reservation, chars: int) -> Entry:
        usage = estimate(chars, 0) if chars else Usage()
        entry = replace(entry_of_killed(reservation), usage=usage)
        return replace(entry, cost=self._words.price(entry))

    # What is written now

    def commit(self, lines: WrittenLines) -> list[tuple[str, ...] | Fault]:
        """Write a group; for each attempt about to be made its warnings, or a budget's refusal.
        Raises NemoError where the disk does not take it."""
        made = [self._words.unpack(answer) for answer in lines.packed]
        settled = [row for _, row in made]
        settled += [self._read(line) for line in (*lines.done, *lines.failed)]
        lines = replace(lines, done=(*(line for line, _ in made), *lines.done))
        # Attempts before a row's last came by themselves.
        entries = [entry for row in settled for entry in row.entries[-1:]]
        entries += [self._words.attempt(line) for line in lines.attempts]
        try:
            self._write(lines, settled)
        except NemoError as error:
            self._full = self._full or error.fault
            self._ledger.group(entries, ())  # what was paid is booked all the same
            raise self._rescued((*lines.done, *lines.failed), self._full) from error
        begun = [self._reservation(b) for b in lines.begun]
        said = self._ledger.group(entries, begun, lines.dropped)
        if settled:
            self.index.write_all(settled)
            self.index.write_head(self._out.size, self._err.size)
        return said

    def _write(self, lines: WrittenLines, settled: Sequence[SettledRecord]) -> None:
        """All of it to its place. After a first failure nothing goes there any more: what follows
        would leave gaps."""
        if self._full is not None:
            raise NemoError(self._full)
        if self._window is None:
            self._out.append(lines.done)
            self._err.append(lines.failed)
            return
        self._out.append(self._window.turn(lines, settled))
        self._err.append(lines.failed)
        self._window.save()  # after the output: at worst a line is in both

    def _rescued(self, lines: Sequence[bytes], fault: Fault) -> NemoError:
        """What came goes to another disk, where there is room; the fault says so."""
        if self._rescue is None or not lines:
            return NemoError(fault)
        try:
            private_folder(self._rescue.parent)
            with self._rescue.open("ab") as file:
                file.write(b"".join(lines))
                file.flush()
                os.fsync(file.fileno())
        except (OSError, NemoError):
            return NemoError(fault)
        hint = f"what came meanwhile is in {self._rescue}; make room and run the command again"
        return NemoError(replace(fault, hint=hint))

    def _take_back(self) -> int:
        """What had arrived at a kill, and what had to be put elsewhere, goes where it belongs; how
        many lines."""
        try:
            lines = [
                self._words.unpack(data)[0] if packed else data
                for packed, data in arrivals(self.folder)
            ]
        except ValueError as error:
            message = f"{self.folder}: what had arrived at a kill cannot be read: {error}"
            raise config_error(message, "start over with `--restart`") from error
        taken, _ = self.adopt(lines)
        forget(self.folder)
        if self._rescue is not None and self._rescue.exists():
            taken += self.adopt(whole_lines(self._rescue))[0]
            self._rescue.unlink()
        return taken

    def adopt(self, lines: Sequence[bytes]) -> tuple[int, set[int]]:
        """Take in lines of another part of the job: how many were new, and the rows among them that
        had ended otherwise here. What of their attempts is not in the ledger is booked. Raises
        ValueError for a line that is none, NemoError where the disk does not take them."""
        self.index.reread()
        fresh, replaced = [], set()
        for line in lines:
            row = self._read(line)
            known = self.index.slot(row.ordinal)
            if known == (row.raw, row.key, row.state):
                continue
            if known[2]:
                replaced.add(row.ordinal)
            fresh.append((row, line))
        done = [(row.ordinal, line) for row, line in fresh if row.state == DONE]
        if self._window is None:
            self._out.append([line for _, line in done])
        else:
            self._window.hold(done)
        self._err.append([line for row, line in fresh if row.state != DONE])
        self._settle([row for row, _ in fresh])
        self.index.write_head(self._out.size, self._err.size)
        return len(fresh), replaced

    def book(self, entries: Sequence[Entry]) -> None:
        """Book attempts that belong to no line, unless they are."""
        known = self._ledger.find_booked(entry.attempt_id for entry in entries)
        missing = [entry for entry in entries if entry.attempt_id not in known]
        if missing:
            self._ledger.group(missing, ())

    def _reservation(self, begun: Begun) -> Reservation:
        about = self._about
        return Reservation(
            begun.attempt_id,
            begun.at,
            begun.provider,
            begun.model,
            None if begun.pico is None else Pico(begun.pico),
            about.run_id,
            about.command,
            about.project,
            about.tags,
        )

    def close(self) -> None:
        """Let go of everything."""
        self._out.close()
        self._err.close(keep_empty=False)
        self.index.close()
        self._ledger.close()
