"""The machine of an attempt: a folder of its own, programs in it, addresses, tool servers.

Programs start with an argument list and no shell, in a folder that is gone afterwards, with no key
in their environment, a bound on their time and on what they say. That is order, not a cage: what
such a tool runs, runs as the user. So a suite with such tools is refused until its folder is named.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from nemocli.core.faults import NemoError
from nemocli.core.request import ToolCall
from nemocli.eval.machine import FILES, MachineResult
from nemocli.eval.world import canonical
from nemocli.io.programs import bare_environment, find_program

if TYPE_CHECKING:
    from nemocli.eval.machine import Machines
    from nemocli.eval.task import ToolDef
    from nemocli.io.mcp import McpTools

USUAL_S = 60.0
LONGEST_S = 900.0
MOST_SAID = 64 << 10
"""Characters of what a program says that a model is shown."""
MOST_FILES = 500
MOST_BYTES = 8 << 20
"""Of a folder that is kept as a state."""
_PASSED_OVER = frozenset({"__pycache__", ".pytest_cache", ".git", ".mypy_cache", ".ruff_cache"})
_PLACE = re.compile(r"\{(\w+)\}")
_RUNNER = """
import importlib.util, json, sys
path, name = sys.argv[1], sys.argv[2]
spec = importlib.util.spec_from_file_location("tools", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
given = json.load(sys.stdin)
found = getattr(module, name)(given["state"], given["args"])
sys.stdout.flush()
print("\\0" + json.dumps({"result": found, "state": given["state"]}, default=str))
"""
"""Calls one function in a process of its own. It may change the state it is given."""


def machines(suite: Path, env: Mapping[str, str]) -> Machines:
    """A machine for each attempt at tasks of a suite's folder."""

    return partial(_opened, suite, env)


@contextmanager
def _opened(suite: Path, env: Mapping[str, str]) -> Iterator[LocalMachine]:
    with tempfile.TemporaryDirectory(prefix="nemocli-eval-", ignore_cleanup_errors=True) as folder:
        machine = LocalMachine(suite, Path(folder).resolve(), env)
        try:
            yield machine
        finally:
            machine.close()


class LocalMachine:
    """Fills `eval.machine.Machine` on this machine."""

    def __init__(self, suite: Path, folder: Path, env: Mapping[str, str]) -> None:
        self._suite = suite.resolve()
        self._folder = folder
        self._env = env
        self._running: set[subprocess.Popen[bytes]] = set()
        self._servers: _Servers | None = None
        self._closed = False

    def close(self) -> None:
        """End what still runs."""
        self._closed = True
        for process in list(self._running):
            _killed(process)
        if self._servers is not None:
            self._servers.close()

    def run(
        self, tool: ToolDef, args: Mapping[str, Any], state: Mapping[str, Any]
    ) -> MachineResult:
        """Carry a call out."""
        try:
            match tool.backend:
                case "shell":
                    return self._shell(tool, args, state)
                case "python":
                    return self._python(tool, args, state)
                case "http":
                    return _asked(tool, args)
                case _:
                    return self._server(tool, args)
        except (OSError, ValueError, NemoError) as error:
            said = error.fault.message if isinstance(error, NemoError) else str(error)
            return MachineResult(False, f"the tool cannot run: {said}")

    def _shell(
        self, tool: ToolDef, args: Mapping[str, Any], state: Mapping[str, Any]
    ) -> MachineResult:
        argv = [_put(part, args) for part in tool.settings["argv"]]
        argv[0] = self._program(argv[0])
        given = _put(str(tool.settings.get("stdin", "")), args).encode()
        self._lay_out(state)
        code, said = self._process(argv, given, _limit(tool))
        value = {"exit": code, "output": said}
        return MachineResult(True, value, self._found(state) if tool.kind == "write" else None)

    def _python(
        self, tool: ToolDef, args: Mapping[str, Any], state: Mapping[str, Any]
    ) -> MachineResult:
        name, _, function = str(tool.settings["call"]).rpartition(":")
        file = (self._suite / name).resolve()
        if not file.is_relative_to(self._suite) or not file.is_file():
            return MachineResult(False, f"the tool cannot run: there is no {name} in the suite")
        self._lay_out(state)
        argv = [sys.executable, "-I", "-c", _RUNNER, str(file), function]
        given = canonical({"args": dict(args), "state": dict(state)}).encode()
        code, said = self._process(argv, given, _limit(tool), whole=True)
        _, mark, last = said.rpartition("\0")
        if code or not mark:
            return MachineResult(False, _last_line(said) or f"the tool ended with {code}")
        found = json.loads(last)
        after = found["state"] if tool.kind == "write" else None
        return MachineResult(True, found["result"], None, after)

    def _server(self, tool: ToolDef, args: Mapping[str, Any]) -> MachineResult:
        if self._servers is None:
            self._servers = _Servers(self._env)
        name = str(tool.settings.get("tool") or tool.name)
        failed, text = self._servers.call(tool.settings, name, args)
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        return MachineResult(not failed, value)

    def _program(self, name: str) -> str:
        if name in ("python", "python3"):
            return sys.executable
        found = find_program(name, self._env)
        if found is None:
            raise ValueError(f"`{name}` is not installed")
        return found

    def _process(
        self, argv: list[str], given: bytes, limit_s: float, *, whole: bool = False
    ) -> tuple[int, str]:
        """Exit code and what it said; a program that takes too long ends with its children."""
        env = bare_environment(self._env) | {
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
        }
        with subprocess.Popen(  # noqa: S603 - the task's, whose folder was named as trusted
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=env,
            start_new_session=True,
        ) as process:
            self._running.add(process)
            try:
                if self._closed:
                    _killed(process)
                out, _ = process.communicate(given, timeout=limit_s)
                code = process.returncode
            except subprocess.TimeoutExpired:
                _killed(process)
                out, _ = process.communicate()
                code, out = 124, out + f"\nstopped after {limit_s:g} s".encode()
            finally:
                self._running.discard(process)
                _killed(process)
        said = out.decode("utf-8", "replace").replace(str(self._folder), ".")
        return code, said if whole else _shortened(said)

    def _lay_out(self, state: Mapping[str, Any]) -> None:
        """The folder as the state says it, and nothing else."""
        files = state.get(FILES)
        if not isinstance(files, Mapping):
            return
        wanted = {self._place(str(name)): str(text) for name, text in files.items()}
        for file in self._each():
            if file not in wanted:
                file.unlink()
        for file, text in wanted.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8", newline="")

    def _place(self, name: str) -> Path:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{name!r} is no path inside the folder")
        return self._folder / path

    def _each(self) -> Iterator[Path]:
        for root, folders, files in os.walk(self._folder):
            folders[:] = sorted(f for f in folders if f not in _PASSED_OVER)
            yield from (Path(root) / name for name in sorted(files))

    def _found(self, state: Mapping[str, Any]) -> dict[str, str] | None:
        """The folder as a state. Raises ValueError for one that is no set of texts."""
        if not isinstance(state.get(FILES), Mapping):
            return None
        found: dict[str, str] = {}
        size = 0
        for file in self._each():
            if file.is_symlink() or not file.is_file():
                continue
            data = file.read_bytes()
            size += len(data)
            if size > MOST_BYTES or len(found) >= MOST_FILES:
                raise ValueError("the tool left more files than a task may have")
            name = file.relative_to(self._folder).as_posix()
            found[name] = data.decode("utf-8", "replace")
        return found


class _Servers:
    """Tool servers of one attempt, on a loop of their own."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._open: dict[str, McpTools] = {}
        self._stack = AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        self._asked: asyncio.Queue[Any] = asyncio.Queue()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.daemon = True
        self._thread.start()

    def call(self, way: Mapping[str, Any], name: str, args: Mapping[str, Any]) -> tuple[bool, str]:
        """Whether it failed, and what came. Raises NemoError where a server does not start."""
        done: Any = asyncio.run_coroutine_threadsafe(self._told(way, name, args), self._loop)
        failed, text = done.result(LONGEST_S)
        return bool(failed), str(text)

    def close(self) -> None:
        """End the servers."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._asked.put_nowait, None)
        self._thread.join(10)
        if not self._thread.is_alive():
            self._loop.close()

    async def _told(self, way: Mapping[str, Any], name: str, args: Mapping[str, Any]) -> Any:  # noqa: ANN401
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._asked.put((way, name, args, reply))
        return await reply

    async def _serve(self) -> None:
        """Open and call in one task: a server has to end where it began."""
        async with self._stack:
            while (asked := await self._asked.get()) is not None:
                way, name, args, reply = asked
                try:
                    reply.set_result(await self._one(way, name, args))
                except Exception as error:  # noqa: BLE001 - it is the caller's
                    reply.set_exception(error)

    async def _one(self, way: Mapping[str, Any], name: str, args: Mapping[str, Any]) -> Any:  # noqa: ANN401
        from nemocli.io.mcp import McpTools, Server

        key = canonical(dict(way))
        if key not in self._open:
            tools = McpTools()
            given = tuple(map(str, way.get("args") or ()))
            server = Server("task", way.get("command"), given, url=way.get("url"))
            await tools.open(self._stack, server, bare_environment(self._env))
            self._open[key] = tools
        result = await self._open[key].call(ToolCall("task", name, canonical(dict(args))))
        return result.failed, result.text


def _asked(tool: ToolDef, args: Mapping[str, Any]) -> MachineResult:
    """The arguments as a JSON body, the reply as JSON or as text."""
    method = str(tool.settings.get("method") or "POST").upper()
    body = None if method == "GET" else canonical(dict(args)).encode()
    request = urllib.request.Request(  # noqa: S310 - the task's own address, http or https
        _put(tool.settings["url"], args), body, {"content-type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=_limit(tool)) as reply:  # noqa: S310
            return MachineResult(True, _read(reply.read(MOST_SAID)))
    except urllib.error.HTTPError as error:
        return MachineResult(False, _read(error.read(MOST_SAID)) or f"HTTP {error.code}")


def _read(data: bytes) -> Any:  # noqa: ANN401 - JSON
    text = data.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put(text: str, args: Mapping[str, Any]) -> str:
    """`{name}` as the argument of that name; a text stays one argument, whatever is in it."""

    def value(found: re.Match[str]) -> str:
        given = args.get(found[1])
        if given is None:
            return found[0]
        return given if isinstance(given, str) else canonical(given)

    return _PLACE.sub(value, text)


def _limit(tool: ToolDef) -> float:
    return min(LONGEST_S, float(tool.settings.get("timeout_s") or USUAL_S))


def _shortened(said: str) -> str:
    if len(said) <= MOST_SAID:
        return said
    half = MOST_SAID // 2
    return f"{said[:half]}\n[{len(said) - MOST_SAID:,} characters left out]\n{said[-half:]}"


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


def _killed(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
