"""Weights carried from machine to machine: a folder, or a tar stream that is read as it comes."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.io.weights.part import disk_error, sync_folder

BLOCK = 1 << 20


class TarOut:
    """A tar stream (POSIX pax) to stdout or a file; members in order, the manifest first."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._tar = tarfile.open(  # noqa: SIM115 - closed by `close`
            fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=BLOCK
        )

    def add_text(self, name: str, text: str) -> None:
        """A small file."""
        data = text.encode()
        with stream_errors("the tar stream"):
            self._tar.addfile(_member(name, len(data)), io.BytesIO(data))

    def add(
        self, name: str, size: int, fill: Callable[[Callable[[memoryview], None]], None]
    ) -> None:
        """A large one, written by `fill`, which must write exactly `size` bytes."""
        with stream_errors("the tar stream"):
            member = _member(name, size)
            header = member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            out = self._tar.fileobj
            assert out is not None
            out.write(header)

            def write(data: memoryview) -> None:
                out.write(bytes(data))

            fill(write)
            if size % tarfile.BLOCKSIZE:
                out.write(b"\0" * (tarfile.BLOCKSIZE - size % tarfile.BLOCKSIZE))

    def close(self) -> None:
        """The end of the archive."""
        with stream_errors("the tar stream"):
            self._tar.close()
            self._stream.flush()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


@contextmanager
def tar_members(stream: IO[bytes], where: str) -> Iterator[Iterator[tuple[str, int, IO[bytes]]]]:
    """Name, size and bytes of each plain file, in the order they come."""

    def members(tar: tarfile.TarFile) -> Iterator[tuple[str, int, IO[bytes]]]:
        for member in tar:
            data = tar.extractfile(member) if member.isfile() else None
            if data is not None:
                yield member.name.removeprefix("./"), member.size, data

    try:
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            yield members(tar)
    except (tarfile.TarError, EOFError) as error:
        raise config_error(f"{where} is no whole tar archive: {error}") from error
    except OSError as error:
        raise config_error(f"cannot read {where}: {error.strerror or error}") from error


def copy_stream(source: IO[bytes], target: Path, where: str) -> None:
    """A member's bytes into a file. Raises NemoError when the stream ends early."""
    try:
        with target.open("wb") as file:
            while data := source.read(BLOCK):
                file.write(data)
    except tarfile.TarError as error:
        raise config_error(f"{where} ended in the middle: {error}") from error
    except OSError as error:
        raise disk_error("cannot write", target, error) from error


@contextmanager
def new_file(target: Path) -> Iterator[Callable[[memoryview], None]]:
    """A file that appears under its name only when it is whole."""
    beside = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:

            def write(data: memoryview) -> None:
                file.write(data)

            yield write
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise disk_error("cannot write", target, error) from error
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def stream_errors(what: str) -> Iterator[None]:
    """A stream that cannot be written, in words; a reader that left is no failure of ours."""
    try:
        yield
    except BrokenPipeError as error:
        message = f"whoever read {what} has left"
        raise NemoError(Fault(FaultKind.CONFIG, message, sent=False)) from error
    except OSError as error:
        raise config_error(f"cannot write {what}: {error.strerror or error}") from error


def stdout_bytes() -> IO[bytes]:
    """For an archive. Raises a config fault on a terminal."""
    if sys.stdout.isatty():
        raise config_error("a tar archive is not for a terminal", "redirect it: `> weights.tar`")
    return sys.stdout.buffer


def stdin_bytes() -> IO[bytes]:
    """An archive from a pipe. Raises a config fault on a terminal."""
    if sys.stdin.isatty():
        raise config_error("`-` reads a tar archive from a pipe", "redirect it: `< weights.tar`")
    return sys.stdin.buffer


def world_readable(folder: Path) -> None:
    """So that a container's own user can read it (NIM runs as user 1000)."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            with suppress(OSError):
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
