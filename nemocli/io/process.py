"""Programs of others, run without a shell: bounded in time and in what they may say."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from nemocli.core.value_class import value_class
from nemocli.io.programs import NEUTRAL_FOLDER

MOST_OUTPUT = 8 * 1024 * 1024
"""Bytes of one stream; a program that says more is not answering a question, and is stopped."""

POLL_S = 0.5


@value_class(frozen=True, slots=True)
class ProgramEnd:
    """How a program ended. `code` None: it was stopped because its time was over."""

    code: int | None
    out: bytes
    err: str

    @property
    def last_line(self) -> str:
        """What it said last, for people."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    @property
    def complaint(self) -> str:
        """Why it failed: the last line of stderr, or for those who complain there, the first of
        stdout."""
        lines = self.out.decode("utf-8", "replace").splitlines()
        return self.last_line or next((line.strip() for line in lines if line.strip()), "")


async def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    timeout_s: float,
    folder: str | os.PathLike[str] = NEUTRAL_FOLDER,
) -> ProgramEnd:
    """Run a program to its end in `folder`, with no stdin and in a session of its own.

    When it is left by time or by cancellation, the program and its children are gone; what a
    program leaves running on purpose stays. Raises OSError when it cannot be started.
    """
    # Files, not pipes: a server it leaves behind would hold a pipe open, and this would wait.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=dict(env),
            cwd=folder,
            start_new_session=True,
        )
        over = False
        try:
            async with asyncio.timeout(timeout_s):
                await _ended(process, (out, err))
        except TimeoutError:
            over = True
        finally:
            await _end(process)
        code = None if over else process.returncode
        return ProgramEnd(code, _said(out), _said(err).decode("utf-8", "replace"))


async def _ended(process: asyncio.subprocess.Process, said: Sequence[IO[bytes]]) -> None:
    waiting = asyncio.ensure_future(process.wait())
    try:
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=POLL_S)
            if any(os.fstat(file.fileno()).st_size > MOST_OUTPUT for file in said):
                return
    finally:
        waiting.cancel()


def _said(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(MOST_OUTPUT)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    await process.wait()
