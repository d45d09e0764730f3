"""BFCL's multi-turn tasks: fetched once by their pinned sums, run in a process of their own.

The wheels are read where they lie, nothing of them is installed (`simulator.py`, `bfcl_child.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nemocli.eval.public_suite import PublicTask, task_from
from nemocli.io.eval.simulator import SimulatorProcess
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
_PROGRAM = Path(__file__).with_name("bfcl_child.py")


class Bfcl(SimulatorProcess):
    """Fills `eval.public_suite.Benchmark`. An async context manager: the process ends with it."""

    @classmethod
    async def fetch(cls, fetcher: Fetcher, env: Mapping[str, str]) -> Self:
        """With its wheels on this machine. Raises NemoError."""
        wheels = tuple([await fetcher.get(pin) for pin in PINS])
        return cls("BFCL", _PROGRAM, wheels, env)

    async def task(self, name: str) -> PublicTask:
        """What a model is shown of one."""
        return task_from(name, await self.ask("task", name=name))

    async def open(self, task: str, attempt: str) -> None:
        """Begin an attempt."""
        await self.ask("open", name=task, attempt=attempt)

    async def call(self, attempt: str, name: str, arguments: JsonObject) -> str:
        """A call of a model; what goes wrong in it is in the text."""
        return str(await self.ask("call", attempt=attempt, name=name, arguments=arguments))

    async def end_turn(self, attempt: str) -> str | None:
        """What is wrong by now."""
        why = await self.ask("end_turn", attempt=attempt)
        return None if why is None else str(why)

    async def close(self, attempt: str) -> None:
        """The attempt is over."""
        await self.ask("close", attempt=attempt)
