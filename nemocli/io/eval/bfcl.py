"""BFCL's multi-turn tasks: fetched once by their pinned sums, run in a process of their own.

The wheels are read where they lie, nothing of them is installed, and their machines run in a child
that stands outside of any user's folder and gets no key (`bfcl_child.py`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.eval.public_suite import PublicTask, task_from
from nemocli.io.programs import NEUTRAL_FOLDER, bare_environment
from nemocli.io.servers.pinned import Pin

if TYPE_CHECKING:
    from nemocli.core.values import JsonObject
    from nemocli.io.servers.fetch import Fetcher

VERSION = "2026.3.23"
CATEGORIES = ("base", "miss_func", "miss_param", "long_context")
PINS = tuple(
    Pin(
        file,
        size,
        sha256,
        ({"kind": "index", "requirement": requirement, "sha256": sha256},),
    )
    for file, size, sha256, requirement in (
        (
            "bfcl_eval-2026.3.23-py3-none-any.whl",
            1_925_664,
            "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
            "bfcl-eval==2026.3.23",
        ),
        (
            "mpmath-1.3.0-py3-none-any.whl",
            536_198,
            "a0b2b9fe80bbcd81a6647ff13108738cfb482d481d826cc0e02f5b35e5c88d2c",
            "mpmath==1.3.0",
        ),
    )
)
_CHILD = Path(__file__).with_name("bfcl_child.py")
MOST_LINE = 64 << 20


class Bfcl:
    """Fills `eval.public_suite.Benchmark`. An async context manager: the process ends with it."""

    def __init__(self, wheels: tuple[Path, ...], env: Mapping[str, str]) -> None:
        self._wheels = wheels
        self._env = env
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @classmethod
    async def fetched(cls, fetcher: Fetcher, env: Mapping[str, str]) -> Self:
        """With its wheels on this machine. Raises NemoError."""
        return cls(tuple([await fetcher.get(pin) for pin in PINS]), env)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(_CHILD),
            *map(str, self._wheels),
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

    async def _ask(self, op: str, **given: Any) -> Any:  # noqa: ANN401 - what each operation says
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
                raise _failed(str(error)) from error
        if not line:
            raise _failed("its process ended")
        said = json.loads(line)
        if "error" in said:
            raise _failed(str(said["error"]))
        return said["ok"]

    async def tasks(self, category: str) -> list[str]:
        """The names of a category's tasks."""
        return [str(name) for name in await self._ask("ids", category=category)]

    async def task(self, name: str) -> PublicTask:
        """What a model is shown of one."""
        return task_from(name, await self._ask("task", name=name))

    async def open(self, task: str, attempt: str) -> None:
        """Begin an attempt."""
        await self._ask("open", name=task, attempt=attempt)

    async def call(self, attempt: str, name: str, arguments: JsonObject) -> str:
        """A call of a model; what goes wrong in it is in the text."""
        return str(await self._ask("call", attempt=attempt, name=name, arguments=arguments))

    async def end_turn(self, attempt: str) -> str | None:
        """What is wrong by now."""
        why = await self._ask("end_turn", attempt=attempt)
        return None if why is None else str(why)

    async def close(self, attempt: str) -> None:
        """The attempt is over."""
        await self._ask("close", attempt=attempt)

    async def check(self, what: str) -> tuple[int, int]:
        """A check of the machine itself: tasks judged right, of how many."""
        right, count = await self._ask("check", what=what)
        return int(right), int(count)


def _failed(why: str) -> NemoError:
    message = f"BFCL's machines: {why}"
    return NemoError(Fault(FaultKind.INTERNAL, message, sent=False))
