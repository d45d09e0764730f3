"""A conversation on a terminal: wait for the line, say something, leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.run import Home, run
from tests.screen import Terminal
from tests.servers.stub import Stub

CHAT = ("chat", "-p", "stub", "-m", "x/anything")


def ready(terminal: Terminal) -> None:
    """The line can be typed into."""
    terminal.until(lambda: any(line.startswith(">") for line in terminal.lines()))
    terminal.settle(0.15)


def say(terminal: Terminal, text: str, wanted: str | Callable[[], bool]) -> None:
    """A message, and what must come of it."""
    terminal.type(text + "\r")
    terminal.until(wanted)
    terminal.settle(0.15)


def left(terminal: Terminal) -> int:
    """Leave; the exit code."""
    terminal.settle(0.15)
    terminal.type("\x04")
    return terminal.end()


def turns(home: Home, name: str = "last") -> list[dict[str, Any]]:
    """What a conversation keeps."""
    found: list[dict[str, Any]] = run("sessions", "show", name, "--json", home=home).json()["turns"]
    return found


def contents(stub: Stub, number: int = -1) -> list[str]:
    """The messages of a request."""
    return [m["content"] for m in stub.requests[number].json["messages"]]
