"""Programs of others, run without a shell: bounded in time and in what they may say."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

MOST_OUTPUT = 8 * 1024 * 1024
"""Bytes of one stream that are kept; a program that says more is not answering a question."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. `code` None: it was stopped because its time was over."""

    code: int | None
    out: bytes
    err: str

    @property
    def last_line(self) -> str:
        """What it said last, for people."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1] if lines else ""


async def run(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Finished:
    """Run a program to its end, with no stdin and in a session of its own.

    However this is left, by time or by cancellation, the program and its children are gone. Raises
    OSError when it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
        start_new_session=True,
    )
    over = False
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            await process.wait()
    except TimeoutError:
        over, out, err = True, b"", b""
    finally:
        await _end(process)
    code = None if over else process.returncode
    return Finished(code, out, err.decode("utf-8", "replace"))


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    parts: list[bytes] = []
    size = 0
    while stream is not None and (part := await stream.read(65536)):
        if size < MOST_OUTPUT:
            parts.append(part)
        size += len(part)
    return b"".join(parts)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    await process.wait()
