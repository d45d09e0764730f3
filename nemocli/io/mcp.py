"""Tools of MCP servers, through the protocol's own SDK (an extra): programs over stdio, or HTTP.

The file is the ecosystem's usual one: `{"mcpServers": {NAME: {"command", "args", "env", "cwd"}}}`
or `{"url", "headers"}`; `${VAR}` in values of `env` and `headers` is taken from the environment. A
program starts in its own `cwd`, else outside of the folder one stands in, and gets only what the
file gives it beside the SDK's few safe variables.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import field
from pathlib import Path
from typing import Any

from nemocli.core.faults import NemoError, config_error
from nemocli.core.request import ToolCall, ToolSpec
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.engine.agent import ToolResult
from nemocli.io.files import read_text
from nemocli.io.programs import NEUTRAL_FOLDER, find_program

START_S = 30.0
CALL_S = 300.0
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@value_class(frozen=True, slots=True)
class Server:
    """One entry of a file: a program with its arguments, or an address."""

    name: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(repr=False, default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


def servers_in(path: str, env: Mapping[str, str]) -> list[Server]:
    """The servers a file names. Raises NemoError with the place where it is not as it should be."""
    text = read_text(Path(path).expanduser())
    if text is None:
        raise config_error(f"--mcp {path}: no such file", "it holds JSON with `mcpServers`")
    try:
        said: Any = json.loads(text)
        rows = said["mcpServers"]
        return [_server(str(name), row, env) for name, row in rows.items()]
    except json.JSONDecodeError as error:
        raise config_error(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise config_error(
            f"{path}: `mcpServers` maps names to `command` and `args`, or to `url`: {error}"
        ) from error


def _server(name: str, row: Any, env: Mapping[str, str]) -> Server:  # noqa: ANN401 - whatever stands there
    command, url = row.get("command"), row.get("url")
    if bool(command) == bool(url):
        raise ValueError(f"{name} needs a command or a url")
    values = {str(k): _filled(str(v), env) for k, v in (row.get("env") or {}).items()}
    headers = {str(k): _filled(str(v), env) for k, v in (row.get("headers") or {}).items()}
    args = tuple(_filled(str(a), env) for a in row.get("args") or ())
    return Server(name, command, args, values, row.get("cwd"), url, headers)


def _filled(text: str, env: Mapping[str, str]) -> str:
    def put(found: re.Match[str]) -> str:
        value = env.get(found[1], found[2])
        if value is None:
            raise ValueError(f"${{{found[1]}}} is not set")
        return value

    return _VARIABLE.sub(put, text)


class McpTools:
    """Fills `engine.agent.Tools` over servers that are open. Tools of one name are told apart by
    their server's name in front."""

    checks = False

    def __init__(self) -> None:
        self._tools: dict[str, tuple[Any, str, ToolSpec]] = {}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """All of them."""
        return tuple(spec for _, _, spec in self._tools.values())

    async def open(self, stack: AsyncExitStack, server: Server, env: Mapping[str, str]) -> int:
        """Start or reach a server, which ends with the stack; how many tools it has. Raises
        NemoError."""
        import asyncio

        try:
            from mcp import Client, MCPError
        except ImportError as error:
            raise config_error("tools of MCP servers need a package", _EXTRA) from error
        try:
            async with asyncio.timeout(START_S):
                client = await stack.enter_async_context(Client(_way(server, env, stack)))
                listed = await client.list_tools()
        except TimeoutError as error:
            raise _failed(server, f"it did not start within {START_S:g} s") from error
        except (OSError, MCPError, ExceptionGroup, RuntimeError) as error:
            raise _failed(server, str(error)) from error
        for tool in listed.tools:
            name = tool.name if tool.name not in self._tools else f"{server.name}__{tool.name}"
            spec = ToolSpec(name, tool.description or "", dict(tool.input_schema))
            self._tools[name] = (client, tool.name, spec)
        return len(listed.tools)

    async def call(self, call: ToolCall) -> ToolResult:
        """Call one. What goes wrong is in the result."""
        from mcp import MCPError

        client, name, _ = self._tools[call.name]
        try:
            done = await client.call_tool(name, dict(call.parse() or {}), CALL_S)
        except (MCPError, OSError, RuntimeError, TimeoutError) as error:
            return ToolResult(f"The tool failed: {one_line(str(error), 500)}", failed=True)
        parts = [getattr(part, "text", None) or f"[{part.type}]" for part in done.content]
        return ToolResult("\n".join(parts), failed=bool(done.is_error))


def _way(server: Server, env: Mapping[str, str], stack: AsyncExitStack) -> Any:  # noqa: ANN401 - the SDK's types
    if server.url is not None:
        if not server.headers:
            return server.url
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        client = httpx2.AsyncClient(headers=dict(server.headers), timeout=CALL_S)
        return streamable_http_client(server.url, http_client=client)
    from mcp import StdioServerParameters

    program = find_program(server.command or "", env)
    if program is None:
        raise _failed(server, f"no program {server.command!r} on PATH, or not an absolute path")
    return StdioServerParameters(
        command=program,
        args=list(server.args),
        env=dict(server.env),
        cwd=os.path.expanduser(server.cwd) if server.cwd else NEUTRAL_FOLDER,  # noqa: PTH111
    )


_EXTRA = "`pip install 'nemocli[mcp]'`"


def _failed(server: Server, why: str) -> NemoError:
    return config_error(
        f"the MCP server {server.name} cannot be used: {one_line(why, 200)}",
        "see its entry in the `--mcp` file",
    )
