"""A keeper in a process of its own, so that the ledger is written while the next calls are made.

Writing a row to the ledger takes about as long as all else that is done for it. A thread would not
help: SQLite hands the interpreter's lock back after every statement and then queues for it.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from nemocli.core.faults import Fault, FaultKind, NemoError

if TYPE_CHECKING:
    from nemocli.core.records import WrittenLines

_SIZE = struct.Struct("<I")
_NICENESS = 5
"""Whoever makes the calls goes first: what is written comes in groups, and may wait."""
_GONE = "the process that writes the output has ended"

Said = list[tuple[str, ...] | Fault]


class Commits(Protocol):
    """What a keeper does."""

    def commit(self, lines: WrittenLines) -> Said: ...
    def close(self) -> None: ...


class Inline:
    """A keeper in this process: where there is no fork, and for tests."""

    def __init__(self, keeper: Commits) -> None:
        self._keeper = keeper

    async def commit(self, lines: WrittenLines) -> Said:
        """Write a group. Raises NemoError."""
        await asyncio.sleep(0)  # let others join it
        return self._keeper.commit(lines)

    async def close(self) -> None:
        """Let go of the files."""
        self._keeper.close()


class Child:
    """A keeper behind a socket. `begin` forks: before there are threads or an event loop.

    The child outlives a kill of its parent just long enough to finish what it was given, and holds
    on to what it inherited (the lock of the job) until then.
    """

    def __init__(self, make: Callable[[], Commits]) -> None:
        ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            ours.close()
            _serve(theirs, make)
        theirs.close()
        self._socket = ours
        for number in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            with suppress(OSError):
                ours.setsockopt(socket.SOL_SOCKET, number, 1 << 20)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def commit(self, lines: WrittenLines) -> Said:
        """Write a group. Raises NemoError."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(sock=self._socket)
        data = pickle.dumps(lines, pickle.HIGHEST_PROTOCOL)
        self._writer.write(_SIZE.pack(len(data)) + data)
        try:
            size = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))[0]
            said: Said | Fault = pickle.loads(await self._reader.readexactly(size))  # noqa: S301 - our own child
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise NemoError(Fault(FaultKind.INTERNAL, _GONE, sent=False)) from error
        if isinstance(said, Fault):
            raise NemoError(said)
        return said

    async def close(self) -> None:
        """Wait until it has let go of the files."""
        if self._writer is not None:
            self._writer.close()
            with suppress(ConnectionError):
                await self._writer.wait_closed()
        else:
            self._socket.close()
        pid, self._pid = self._pid, 0
        if pid:
            with suppress(ChildProcessError):
                await asyncio.to_thread(os.waitpid, pid, 0)


def start_writer(make: Callable[[], Commits], *, fork: bool = True) -> Child | Inline:
    """In a child, where the system can fork and may."""
    return Child(make) if fork and hasattr(os, "fork") else Inline(make())


def _serve(pipe: socket.socket, make: Callable[[], Commits]) -> None:
    """The child's whole life."""
    code = 1
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        os.nice(_NICENESS)
        keeper = make()
        try:
            _listen(pipe, keeper)
            code = 0
        finally:
            keeper.close()
    finally:
        os._exit(code)


def _listen(pipe: socket.socket, keeper: Commits) -> None:
    with pipe, pipe.makefile("rb") as incoming:
        while len(head := incoming.read(_SIZE.size)) == _SIZE.size:
            data = incoming.read(_SIZE.unpack(head)[0])
            said: Said | Fault
            try:
                said = keeper.commit(pickle.loads(data))  # noqa: S301 - our own parent
            except NemoError as error:
                said = error.fault
            except (ValueError, EOFError, pickle.UnpicklingError) as error:
                said = Fault(FaultKind.INTERNAL, f"the output was not written: {error}", sent=False)
            answer = pickle.dumps(said, pickle.HIGHEST_PROTOCOL)
            with suppress(BrokenPipeError):
                pipe.sendall(_SIZE.pack(len(answer)) + answer)
