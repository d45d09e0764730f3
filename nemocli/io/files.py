"""Private files: written whole or not at all, one writer at a time."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error

if TYPE_CHECKING:
    import mmap

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_POLL_S = 0.02


def private_folder(path: Path) -> None:
    """Make a folder, and whatever is missing above it, for the user alone."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        if not path.is_dir():
            raise NotADirectoryError(20, "Not a directory")
    except OSError as error:
        raise file_error("cannot make the folder", path, error) from error


def write_private(path: Path, data: bytes | str) -> None:
    """Replace a file at once, readable by its owner only, and on the disk when this returns.

    A link is followed, so that a file kept elsewhere stays there. Raises NemoError naming the path
    and the reason (full disk, read-only); what was there before is then untouched.
    """
    target = path.resolve() if path.is_symlink() else path
    private_folder(target.parent)
    beside = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
    try:
        try:
            _write_new(beside, data.encode("utf-8") if isinstance(data, str) else data)
            beside.replace(target)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
        _sync_folder(target.parent)
    except OSError as error:
        raise file_error("cannot write", path, error) from error


def map_file(path: Path, size: int, *, fresh: bool = True) -> mmap.mmap:
    """So many bytes of a file as memory that a kill does not take back; `fresh` without what was in
    it. Raises OSError where the disk has no room: a page without would end the process."""
    import mmap

    flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if fresh else 0)
    file = os.open(path, flags, PRIVATE_FILE)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, size)
        else:
            os.ftruncate(file, size)
        return mmap.mmap(file, size)
    finally:
        os.close(file)


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write an ordinary file whole or not at all, line by line; how many. Raises NemoError."""
    beside, count = path.with_name(f".{path.name}.part"), 0
    try:
        with beside.open("w", encoding="utf-8", errors="replace", newline="") as file:
            for line in lines:
                file.write(line)
                count += 1
        beside.replace(path)
    except OSError as error:
        raise file_error("cannot write", path, error) from error
    finally:
        beside.unlink(missing_ok=True)
    return count


def read_text(path: Path) -> str | None:
    """The text of a UTF-8 file; None when there is no file. Raises NemoError otherwise."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise file_error("cannot read", path, error) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        from nemocli.io.text import encoding_hint

        what = f"{path}: not UTF-8 text (byte {error.start})"
        raise config_error(what, encoding_hint(data)) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


class HeldError(NemoError):
    """Another process has the lock."""


class NoLocksError(NemoError):
    """The file system has no locks."""


_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})


@contextmanager
def lock(path: Path, timeout_s: float = 10.0, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock that other processes and threads respect; `path` is a file made for it, readable
    by its owner alone, or `shared` with whom the folder is shared with.

    Gone with the process, however that ends. Raises HeldError when it is not free in time,
    NoLocksError where there are none, NemoError when the file cannot be opened.
    """
    if not shared:
        private_folder(path.parent)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666 if shared else PRIVATE_FILE)
    except OSError as error:
        raise file_error("cannot lock", path, error) from error
    try:
        _wait(handle, path, timeout_s)
        try:
            yield
        finally:
            _unlock(handle)
    finally:
        os.close(handle)


def file_error(what: str, path: Path, error: OSError) -> NemoError:
    """A fault that says what could not be done to which file, and the system's reason."""
    return config_error(f"{what} {path}: {error.strerror or error}")


def _wait(handle: int, path: Path, timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while True:
        try:
            _try_lock(handle)
        except (BlockingIOError, PermissionError) as error:
            if time.monotonic() >= until:
                message = f"{path} is held by another nemocli"
                hint = "wait for it to finish, or stop it"
                raise HeldError(Fault(FaultKind.CONFIG, message, hint, sent=False)) from error
            time.sleep(_POLL_S)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise NoLocksError(file_error("cannot lock", path, error).fault) from error
            raise file_error("cannot lock", path, error) from error
        else:
            return


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _write_new(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with open(handle, "wb") as file:  # noqa: PTH123 - a handle that was born private
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return  # folders cannot be opened there; the rename is journalled
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
