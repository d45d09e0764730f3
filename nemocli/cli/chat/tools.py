"""Tools in a chat: started from files, shown as they are called, allowed by the person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.core.text import one_line
from nemocli.io.mcp import McpTools, servers_in

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from nemocli.cli.chat.talk import Talk
    from nemocli.core.request import ToolCall
    from nemocli.engine.agent import ToolResult

SHOWN = 300
"""Characters of arguments and of a result that are shown."""
ALWAYS, NEVER = "allowed in this chat", "never"


async def open_tools(talk: Talk, stack: AsyncExitStack, files: tuple[str, ...]) -> None:
    """Start every server that the files name. Raises NemoError."""
    tools, env = McpTools(), talk.setup.env
    for file in files:
        for server in servers_in(file, env):
            count = await tools.open(stack, server, env)
            talk.say(f"{server.name}: {count} tools")
    conversation = talk.conversation
    conversation.tools = tools
    conversation.allow = lambda call: refusal(talk, call)
    conversation.shown = lambda call, result: show(talk, call, result)


async def refusal(talk: Talk, call: ToolCall) -> str | None:
    """Ask whether a call may be made: once, always in this chat, not now, or never."""
    talk.pause()
    talk.setup.out.line(f"{call.name}({one_line(call.arguments, SHOWN)})")
    known = talk.approvals.get(call.name)
    if known == ALWAYS:
        return None
    if known != NEVER:
        said = (await talk.choose("call it? [o]nce, in this [s]ession, [n]o, ne[v]er: ")).lower()
        if said[:1] in ("o", "y"):
            return None
        if said[:1] == "s":
            talk.approvals[call.name] = ALWAYS
            return None
        if said[:1] == "v" or said == "never":
            talk.approvals[call.name] = NEVER
    return "The user does not allow this call."


def show(talk: Talk, call: ToolCall, result: ToolResult) -> None:
    """What came back."""
    mark = "failed: " if result.failed else ""
    talk.say(f"{call.name}: {mark}{one_line(result.text, SHOWN)}")
