"""A benchmark's simulator in a process of its own, asked line by line.

The program is one file of ours that imports a benchmark's wheels and nothing of nemocli. It is
started without the user's site folder and environment (`-I`), outside of any user's folder, with no
key, and ends with the context. A line of JSON `{"op": …, …}` is answered by one, `{"ok": …}` or
`{"error": "…"}`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.io.programs import NEUTRAL_FOLDER, bare_environment

MOST_LINE = 64 << 20
"""Bytes of one answer."""


class SimulatorProcess:
    """`name` is what messages call it; `program` the file, `arguments` what it is given."""

    def __init__(
        self, name: str, program: Path, arguments: tuple[Path, ...], env: Mapping[str, str]
    ) -> None:
        self._name = name
        self._line = (str(program), *map(str, arguments))
        self._env = env
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            *self._line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=bare_environment(self._env),
            cwd=NEUTRAL_FOLDER,
            limit=MOST_LINE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def ask(self, op: str, **given: Any) -> Any:  # noqa: ANN401 - what each operation says
        """Have an operation carried out. Raises NemoError where the process cannot."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        async with self._turn:
            process.stdin.write(json.dumps({"op": op, **given}).encode() + b"\n")
            try:
                await process.stdin.drain()
                line = await process.stdout.readline()
            except (OSError, ValueError) as error:
                raise self._failed(str(error)) from error
        if not line:
            raise self._failed("its process ended")
        said = json.loads(line)
        if "error" in said:
            raise self._failed(str(said["error"]))
        return said["ok"]

    async def tasks(self, category: str) -> list[str]:
        """The names of a category's tasks."""
        return [str(name) for name in await self.ask("ids", category=category)]

    async def check(self, what: str) -> tuple[int, int]:
        """A check of the simulator itself: tasks judged right, of how many."""
        right, count = await self.ask("check", what=what)
        return int(right), int(count)

    def _failed(self, why: str) -> NemoError:
        message = f"{self._name}'s simulator: {why}"
        return NemoError(Fault(FaultKind.INTERNAL, message, sent=False))
