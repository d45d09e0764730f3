"""Large files under way: their room taken at once, written at any place, on the disk when said."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.quantities import size_text
from nemocli.io.files import file_error

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM)


class PartFile:
    """Fills `core.weight_ports.Part`; also for files that are only read."""

    def __init__(self, path: Path, size: int | None = None) -> None:
        """Open for reading; with a `size` for writing too, made and brought to that size."""
        self._path = path
        flags = os.O_RDONLY if size is None else os.O_RDWR | os.O_CREAT
        try:
            self._handle = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
            if size is not None and os.fstat(self._handle).st_size != size:
                os.ftruncate(self._handle, size)
        except OSError as error:
            raise disk_error("cannot open", path, error) from error

    def write(self, data: memoryview, offset: int) -> None:
        """All of it, at a place."""
        try:
            while data:
                written = os.pwrite(self._handle, data, offset)
                offset += written
                data = data[written:]
        except OSError as error:
            raise disk_error("cannot write", self._path, error) from error

    def read(self, view: memoryview, offset: int) -> int:
        """Bytes from a place; fewer only at the end of the file."""
        got = 0
        try:
            while got < len(view):
                count = os.preadv(self._handle, [view[got:]], offset + got)
                if not count:
                    break
                got += count
        except OSError as error:
            raise disk_error("cannot read", self._path, error) from error
        return got

    def sync(self) -> None:
        """On the disk when this returns."""
        try:
            os.fsync(self._handle)
        except OSError as error:
            raise disk_error("cannot write", self._path, error) from error

    def reserve(self, size: int) -> None:
        """Take the room for so many bytes; nothing happens where the file system cannot."""
        if not size:
            return
        try:
            allocate(self._handle, size)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise disk_error(f"no room for {size_text(size)}:", self._path, error) from error

    def close(self) -> None:
        """Let go; twice does no harm."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            with suppress(OSError):
                os.close(handle)


def allocate(handle: int, size: int) -> None:
    """fallocate(2) itself: the portable call of that name writes every block where the file system
    does not know how, which for these sizes takes an hour."""
    call = _fallocate()
    if call is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    while call(handle, 0, 0, size) != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


@cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    call = library.fallocate64 if hasattr(library, "fallocate64") else library.fallocate
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    call.restype = ctypes.c_int
    known: Callable[[int, int, int, int], int] = call
    return known


def sync_folder(path: Path) -> None:
    """The names in a folder are on the disk when this returns."""
    if os.name == "nt":
        return
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise disk_error("cannot write", path, error) from error


def disk_error(what: str, path: Path, error: OSError) -> NemoError:
    """A fault that names the file; a full disk also says how to go on."""
    if error.errno in _NO_ROOM:
        return NemoError(
            Fault(
                FaultKind.CONFIG,
                f"the disk is full: {what} {path}: {error.strerror}",
                "free some space; the same command goes on from here",
                sent=False,
            )
        )
    if error.errno == errno.EFBIG:
        message = f"this file system cannot hold a file that large: {path}"
        return NemoError(Fault(FaultKind.CONFIG, message, sent=False))
    return file_error(what, path, error)
