"""A job on the disk: its files, who works on it, and what it was started with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.core.faults import NemoError, config_error
from nemocli.core.records import BAD, FAILED, Reader
from nemocli.io.batch.files import errors_of, folder_of
from nemocli.io.batch.index import Index
from nemocli.io.batch.spool import BEFORE, NAMES
from nemocli.io.files import (
    PRIVATE_FILE,
    HeldError,
    file_error,
    lock,
    private_folder,
    write_private,
)

if TYPE_CHECKING:
    from nemocli.io.batch.writer import About, Keeper, Recovered, Words

LOCK_S = 1.5
"""For the writer of a job that was just killed to finish its last group."""


class StoredPast:
    """Fills `batch.feed.Past`; `stale` are rows that were over and ask something else now. What is
    over in any of the folders is over."""

    def __init__(self, fingerprint: bytes, *folders: Path) -> None:
        self._all = [Index(folder / "index", fingerprint) for folder in folders]
        self._index = self._all[0]
        self.stale: set[int] = set()
        if len(self._all) > 1:
            self.is_settled = self._settled_anywhere  # type: ignore[method-assign]

    def is_settled(self, ordinal: int, raw: bytes) -> bool:
        """Whether exactly this record is over."""
        return self._index.is_settled(ordinal, raw)

    def _settled_anywhere(self, ordinal: int, raw: bytes) -> bool:
        return any(index.is_settled(ordinal, raw) for index in self._all)

    def same(self, ordinal: int, raw: bytes, key: bytes) -> bool:
        """Whether a record that is written differently asks what was asked."""
        found = [index.slot(ordinal) for index in self._all]
        if any(state and known == key for _, known, state in found):
            return True
        self.replace(ordinal)
        return False

    def replace(self, ordinal: int) -> None:
        """A record is no question any more, or another."""
        if any(index.slot(ordinal)[2] for index in self._all):
            self.stale.add(ordinal)

    def close(self) -> None:
        """Let go of the files."""
        for index in self._all:
            index.close()


class BatchJob:
    """The files of one output. A context manager that holds the job: a second process is refused
    while the first lives."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = folder_of(out)
        self.errors = errors_of(out)
        self.under_way = self.folder / "under-way"
        self._file = self.folder / "job.json"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Nobody else works on it meanwhile. Raises NemoError where somebody does."""
        parent = self.out.parent
        if not parent.is_dir():
            raise config_error(f"{parent} is no folder", "make it, or name another with `-o`")
        if not os.access(parent, os.W_OK):
            raise config_error(f"{parent} cannot be written to", "name another place with `-o`")
        private_folder(self.folder)
        try:
            with lock(self.folder / "lock", LOCK_S):
                yield
        except HeldError as error:
            raise config_error(
                f"{self.out} is being written by another nemocli",
                "wait for it to finish (`nemocli batch status`), or name another file with `-o`",
            ) from error

    def clear(self) -> None:
        """Start over."""
        for path in (self.out, self.errors, *self._own()):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise file_error("cannot remove", path, error) from error

    def remove(self) -> None:
        """It is in another job's output now."""
        self.clear()
        with suppress(OSError):
            (self.folder / "lock").unlink(missing_ok=True)
            self.folder.rmdir()

    def _own(self) -> list[Path]:
        kept = ("index", "job.json", "held.jsonl", "under-way", "retried.jsonl", "answers.db")
        names = (*kept, *NAMES, *BEFORE, "remote.json", "remote-items.jsonl")
        return [self.folder / name for name in names]

    @property
    def running(self) -> bool:
        """Whether somebody works on it."""
        if not self.folder.exists():
            return False
        try:
            with lock(self.folder / "lock", 0.0):
                return False
        except NemoError:
            return True

    def counts(self) -> dict[int, int]:
        """Rows by how they ended (`core.records`). Raises NemoError for another version's job."""
        if not (self.folder / "index").exists():
            return {}
        index = Index(self.folder / "index", b"")
        try:
            return index.counts()
        finally:
            index.close()

    def reopen(self, read: Reader, *, bad: bool) -> int:
        """Have failed rows asked again, `bad` ones too; how many. Their lines are kept aside: what
        came of them may have been paid for."""
        again = {FAILED, BAD} if bad else {FAILED}
        index = Index(self.folder / "index", b"")
        count = 0
        beside = self.errors.with_name(f".{self.errors.name}.part")
        try:
            with (
                self.errors.open("rb") as old,
                beside.open("wb") as new,
                (self.folder / "retried.jsonl").open("ab") as aside,
            ):
                for line in old:
                    row = read(line)
                    if row.state in again:
                        aside.write(line)
                        index.forget(row.ordinal)
                        count += 1
                    else:
                        new.write(line)
                for file in (aside, new):
                    file.flush()
                    os.fsync(file.fileno())
            beside.replace(self.errors)
            index.write_head(index.out_size, size_of(self.errors))
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise file_error("cannot rewrite", self.errors, error) from error
        finally:
            index.close()
            beside.unlink(missing_ok=True)
        if not size_of(self.errors):
            self.errors.unlink(missing_ok=True)
        return count

    def facts(self) -> dict[str, Any] | None:
        """What is remembered; None where nothing is, or nothing that can be read."""
        try:
            said = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) else None

    def remember(self, facts: Mapping[str, Any]) -> None:
        """Replace it."""
        write_private(self._file, json.dumps(facts, ensure_ascii=False, indent=1, default=str))

    def remote(self) -> dict[str, Any] | None:
        """What was handed to a provider's own batch; None where nothing was."""
        try:
            said = json.loads((self.folder / "remote.json").read_bytes())
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) else None

    def failures(self) -> int:
        """Rows that failed, bad ones among them."""
        counts = self.counts()
        return counts.get(FAILED, 0) + counts.get(BAD, 0)

    def note_items(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep what is needed to know the answers of a batch again."""
        path = self.folder / "remote-items.jsonl"
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        _append(path, data)

    def remember_remote(self, said: Mapping[str, Any]) -> None:
        """Replace that."""
        write_private(self.folder / "remote.json", json.dumps(said, indent=1))

    def live(self, said: Mapping[str, Any]) -> None:
        """How far the run has come, for whoever asks meanwhile."""
        facts = self.facts()
        if facts is not None:
            self.remember({**facts, "live": said})

    def register(self, path: Path) -> None:
        """Add it to the list of jobs."""
        name = str(self.out.absolute())
        if name in all_outputs(path):
            return
        private_folder(path.parent)
        _append(path, json.dumps({"out": name}).encode() + b"\n")

    def keeper(
        self, ledger: Path, about: About, words: Words, fingerprint: bytes, *, ordered: bool
    ) -> Keeper:
        """What writes it."""
        from nemocli.io.batch.writer import Keeper
        from nemocli.io.ledger.ledger import SqliteLedger

        name = blake2b(str(self.out.absolute()).encode(), digest_size=8).hexdigest()
        return Keeper(
            self.out,
            SqliteLedger(ledger),
            about,
            words,
            fingerprint=fingerprint,
            ordered=ordered,
            rescue=ledger.with_name(f"batch-{name}.jsonl"),
        )

    def check(self, fingerprint: bytes) -> None:
        """Raises NemoError where what is there answers something else."""
        index = Index(self.folder / "index", fingerprint)
        known = index.fingerprint
        index.close()
        if known != fingerprint:
            raise config_error(
                f"{self.out} holds answers of another job: the model, the prompt or an option"
                " differs",
                "name another file with `-o`, or `--restart` writes over it",
            )

    def compact(self, stale: set[int], read: Reader) -> int:
        """Take lines out that a later one replaces; how many."""
        if not stale:
            return 0
        index = Index(self.folder / "index", b"")
        try:
            gone = sum(_without(path, stale, read, index) for path in (self.out, self.errors))
            index.write_head(size_of(self.out), size_of(self.errors))
        finally:
            index.close()
        return gone


def all_outputs(path: Path) -> list[str]:
    """The outputs of all jobs, oldest first."""
    found: list[str] = []
    with suppress(OSError, UnicodeDecodeError):
        for line in path.read_text("utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                found.append(str(json.loads(line)["out"]))
    return found


def _append(path: Path, data: bytes) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise file_error("cannot write", path, error) from error


def recover(make: Callable[[], Keeper]) -> Recovered:
    """Bring a job's files to where they agree."""
    keeper = make()
    try:
        return keeper.recover()
    finally:
        keeper.close()


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _without(path: Path, stale: set[int], read: Reader, index: Index) -> int:
    if not path.exists():
        return 0
    beside = path.with_name(f".{path.name}.part")
    gone = 0
    try:
        with path.open("rb") as old, beside.open("wb") as new:
            for line in old:
                row = read(line)
                if row.ordinal in stale:
                    raw, key, state = index.slot(row.ordinal)
                    if (raw, key, state) != (row.raw, row.key, row.state):
                        gone += 1
                        continue
                new.write(line)
            new.flush()
            os.fsync(new.fileno())
        beside.replace(path)
    except OSError as error:
        raise file_error("cannot rewrite", path, error) from error
    finally:
        beside.unlink(missing_ok=True)
    return gone
