"""What a pull remembers between runs: its journal, its status, and who holds the repository."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nemocli.io.files import HeldError, NoLocksError, lock
from nemocli.io.liveness import birth_of, has_ended
from nemocli.io.weights.part import disk_error, sync_folder

JOURNAL = "journal.jsonl"
OWNER = "owner.json"
LOCK = "lock"

FRESH_S = 30.0
"""An owner of another machine who has not been heard of for so long is taken to be gone."""


class StateFolder:
    """One folder of small files beside the weights; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal: int | None = None
        self._held = False
        self._guard = threading.Lock()

    def make(self) -> None:
        """The folder, and `parts` in it."""
        folder = self.path / "parts"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error("cannot make the folder", folder, error) from error

    @contextmanager
    def lock(self) -> Iterator[str | None]:
        """Hold the repository: None when it is ours, else who has it.

        The system's lock ends with its process, however that dies. Where it does not reach across
        machines (some network file systems), a note that its owner keeps touching stands in.
        """
        self.make()
        with ExitStack() as stack:
            other = None
            try:
                stack.enter_context(lock(self.path / LOCK, 0.0, shared=True))
            except HeldError:
                yield self._owner()
                return
            except NoLocksError:
                other = self.owner()  # the note alone has to do
            if (other := other or self._elsewhere()) is not None:
                yield other
                return
            self._take()
            try:
                yield None
            finally:
                self._held = False
                self.close()
                with suppress(OSError):
                    (self.path / OWNER).unlink()

    def owner(self) -> str | None:
        """Who is pulling now, as `process 123 on host`; None when nobody is."""
        said = self._read_owner()
        if said is None:
            return None
        if said.get("host") == socket.gethostname():
            pid, birth = said.get("pid"), said.get("birth")
            if not isinstance(pid, int):
                return None
            dead = has_ended(pid, birth if isinstance(birth, str) else None)
            return None if dead or (dead is None and not _alive(pid)) else _named(said)
        return self._elsewhere()

    def journal(self) -> bytes:
        """All of it; empty when there is none."""
        try:
            return (self.path / JOURNAL).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise disk_error("cannot read", self.path / JOURNAL, error) from error

    def rewrite_journal(self, data: bytes) -> None:
        """Begin anew with this."""
        with self._guard:
            self._close_journal()
            self._replace(JOURNAL, data)

    def note(self, line: bytes) -> None:
        """One more line, in one write: a kill leaves it whole or leaves it out."""
        with self._guard:
            try:
                if self._journal is None:
                    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                    self._journal = os.open(self.path / JOURNAL, flags, 0o666)
                os.write(self._journal, line)
            except OSError as error:
                raise disk_error("cannot write", self.path / JOURNAL, error) from error

    def sync(self) -> None:
        """The journal is on the disk when this returns."""
        with self._guard, suppress(OSError):
            if self._journal is not None:
                os.fsync(self._journal)

    def read(self, name: str) -> str | None:
        """A small file's text; None when there is none."""
        try:
            return (self.path / name).read_text("utf-8")
        except (FileNotFoundError, UnicodeDecodeError, NotADirectoryError):
            return None
        except OSError as error:
            raise disk_error("cannot read", self.path / name, error) from error

    def write(self, name: str, text: str) -> None:
        """Replace a small file at once; also says that its owner lives."""
        self._replace(name, text.encode())
        if self._held:
            with suppress(OSError):
                os.utime(self.path / OWNER)

    def close(self) -> None:
        """Let go of the journal."""
        with self._guard:
            self._close_journal()

    def _close_journal(self) -> None:
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None

    def _replace(self, name: str, data: bytes) -> None:
        path = self.path / name
        replace_file(path, data, durable=name != "status.json")

    def _take(self) -> None:
        me = {
            "pid": os.getpid(),
            "birth": birth_of(os.getpid()),
            "host": socket.gethostname(),
            "since": time.time(),
        }
        self._held = True
        self._replace(OWNER, json.dumps(me).encode())

    def _owner(self) -> str:
        """Whoever holds the system's lock; it may not have written its note yet."""
        said = self._read_owner()
        return "another pull" if said is None else _named(said)

    def _elsewhere(self) -> str | None:
        """An owner on another machine who was heard of lately, by the file system's own clock."""
        said = self._read_owner()
        if said is None or said.get("host") == socket.gethostname():
            return None
        probe = self.path / f".now-{os.urandom(4).hex()}"
        try:
            probe.touch()
            age = probe.stat().st_mtime - (self.path / OWNER).stat().st_mtime
        except OSError:
            return None
        finally:
            with suppress(OSError):
                probe.unlink()
        return _named(said) if age < FRESH_S else None

    def _read_owner(self) -> dict[str, object] | None:
        try:
            said = json.loads((self.path / OWNER).read_bytes())
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) else None


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".nemocli-{os.urandom(8).hex()}")  # of a length of its own
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            beside.replace(path)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
    except OSError as error:
        raise disk_error("cannot write", path, error) from error
    if durable:
        sync_folder(path.parent)


def _named(said: dict[str, object]) -> str:
    return f"process {said.get('pid')} on {said.get('host')}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
