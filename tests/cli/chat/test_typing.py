"""What one types into a chat beside messages: Tab, vi keys, and the commands for text and paths."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from tests.cli.chat.talking import CHAT, contents, left, ready, say, turns
from tests.run import Home, run
from tests.screen import Terminal
from tests.servers.answer import Answer
from tests.servers.behaviours import Raw
from tests.servers.stub import Stub

SERVER = """
import sys
from mcp.server import MCPServer
server = MCPServer("sums")

@server.tool()
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

server.run("streamable-http", port=int(sys.argv[1]))
"""


def test_tab_offers_commands_paths_models_and_files(home: Home, stub: Stub) -> None:
    (home.cwd / "notes.txt").write_text("The moon is far.\n")
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        terminal.type("/reas\t")
        terminal.until("> /reasoning")
        terminal.type("\x15/provider st\t")
        terminal.until("> /provider stub")
        terminal.type("\x15/model nemotron-3-u\t")
        terminal.until("> /model nemotron-3-ultra")
        terminal.type("\x15/file no\t")
        terminal.until("> /file notes.txt")
        terminal.type("\x15/e\t")
        terminal.until("/export")
        terminal.type("\x15")
        assert left(terminal) == 0
    assert stub.requests == []


def test_vi_keys_on_request(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, "--vi", home=home) as terminal:
        ready(terminal)
        terminal.type("one twoo")
        terminal.settle(0.2)
        terminal.type("\x1b")
        terminal.settle(1.0)
        terminal.type("x0dw")
        terminal.settle(0.3)
        say(terminal, "", "to first token")
        assert left(terminal) == 0
    assert contents(stub) == ["two"]


def test_an_earlier_question_is_changed_and_asked_again(
    home: Home, stub: Stub, tmp_path: Path
) -> None:
    editor = tmp_path / "ed"
    editor.write_text('#!/bin/sh\nsed -i s/moon/sun/ "$1"\n')
    editor.chmod(0o755)
    with Terminal(*CHAT, home=home, env={"VISUAL": "", "EDITOR": str(editor)}) as terminal:
        ready(terminal)
        say(terminal, "how far is the moon", lambda: len(home.attempts()) == 1)
        say(terminal, "and mars", lambda: len(home.attempts()) == 2)
        say(terminal, "/edit 1", lambda: len(home.attempts()) == 3)
        terminal.until("> how far is the sun")
        say(terminal, "/cost", "in all: $0.0003")
        terminal.until("taken back: $0.0002")
        assert left(terminal) == 0
    assert contents(stub) == ["how far is the sun"]
    assert [t["text"] for t in turns(home)] == ["how far is the sun", "Hello."]


def test_the_answer_or_its_code_goes_to_the_clipboard(home: Home, stub: Stub) -> None:
    stub.script(Answer("So:\n\n```sh\nls -l\n```\n", cost=0.0001))
    with Terminal(*CHAT, home=home, env={"DISPLAY": "", "WAYLAND_DISPLAY": ""}) as terminal:
        ready(terminal)
        say(terminal, "/copy", "nothing to copy")
        say(terminal, "how", "to first token")
        say(terminal, "/copy code", "handed to the terminal's clipboard")
        assert left(terminal) == 0
    copied = terminal.raw.split(b"\x1b]52;c;")[1].split(b"\x07")[0]
    assert base64.b64decode(copied) == b"ls -l"


def test_sources_stand_under_an_answer(home: Home, stub: Stub) -> None:
    piece = {"choices": [{"index": 0, "delta": {"content": "It is far [1]."}}]}
    last = {
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "citations": ["https://moon.example/far"],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5},
    }
    events = "".join(f"data: {json.dumps(e)}\n\n" for e in (piece, last))
    stub.script(Raw(events + "data: [DONE]\n\n", "text/event-stream"))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "how far", "to first token")
        assert any("[1]" in t and "https://moon.example/far" in t for t in terminal.lines())
        assert left(terminal) == 0


def test_the_status_line_says_path_model_context_and_cost(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, home=home, columns=120) as terminal:
        ready(terminal)
        say(terminal, "hello", "to first token")
        terminal.until(lambda: "$0.0001" in terminal.screen.display[-1])
        status = terminal.screen.display[-1]
        assert left(terminal) == 0
    assert "stub" in status
    assert "x/anything" in status
    assert "context" in status
    assert "to first token" in status
    assert "tokens/s" in status


def test_two_chats_at_once_keep_to_themselves(home: Home, stub: Stub) -> None:
    with (
        Terminal(*CHAT, "--session", "one", home=home) as one,
        Terminal(*CHAT, "--session", "two", home=home) as two,
    ):
        ready(one)
        ready(two)
        for number in range(3):
            one.type(f"in one {number}\r")
            two.type(f"in two {number}\r")
            one.until(lambda number=number: len(home.attempts()) >= 2 * number + 2)
            two.until(lambda number=number: len(home.attempts()) >= 2 * number + 2)
            one.settle(0.15)
            two.settle(0.15)
        assert left(one) == left(two) == 0
    for name in ("one", "two"):
        said = [t["text"] for t in turns(home, name) if t["role"] == "user"]
        assert said == [f"in {name} {number}" for number in range(3)]


def test_a_conversation_is_named_found_by_its_first_letters_and_gone_on_with(
    home: Home, stub: Stub
) -> None:
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "hello", "to first token")
        say(terminal, "/save plans", "goes on with it")
        say(terminal, "/clear", "a new conversation")
        say(terminal, "other", lambda: len(home.attempts()) == 2)
        assert left(terminal) == 0
    assert contents(stub) == ["other"]
    rows = run("sessions", "ls", "--json", home=home).json()["sessions"]
    first = next(r["id"] for r in rows if r["name"] == "plans")
    others = [r["id"] for r in rows if r["id"] != first]
    length = next(n for n in range(1, 40) if not any(o.startswith(first[:n]) for o in others))
    shown = run("sessions", "show", first[: max(length, 6)], "--json", home=home).json()
    assert [t["text"] for t in shown["turns"]] == ["hello", "Hello."]
    with Terminal(*CHAT, "--session", "plans", home=home) as terminal:
        ready(terminal)
        say(terminal, "more", lambda: len(home.attempts()) == 3)
        assert left(terminal) == 0
    assert contents(stub) == ["hello", "Hello.", "more"]


def test_tools_of_an_mcp_server_over_http(home: Home, stub: Stub) -> None:
    import socket
    import subprocess

    program = home.cwd / "sums.py"
    program.write_text(SERVER)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    entry = {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"X-Team": "${TEAM:-none}"}}
    (home.cwd / "mcp.json").write_text(json.dumps({"mcpServers": {"sums": entry}}))
    call = (("add", '{"a": 2, "b": 40}'),)
    stub.script(Answer("", tool_calls=call), Answer("It is 42.", cost=0.0001))
    server = subprocess.Popen(
        [sys.executable, str(program), str(port)], stderr=subprocess.DEVNULL, cwd=home.cwd
    )
    try:
        _until_open(port)
        with Terminal(*CHAT, "--mcp", "mcp.json", home=home) as terminal:
            terminal.until("sums: 1 tools", timeout=40)
            ready(terminal)
            say(terminal, "add", "call it?")
            say(terminal, "once", "It is 42.")
            assert left(terminal) == 0
    finally:
        server.kill()
        server.wait()
    assert stub.requests[-1].json["messages"][-1]["content"] == "42"


def _until_open(port: int) -> None:
    import socket
    import time

    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it never listened")


def test_the_conversation_goes_along_to_another_dialect(home: Home, stub: Stub) -> None:
    home.provider("agent", stub.url, extends="perplexity")
    with Terminal(*CHAT, "-s", "be brief", home=home) as terminal:
        ready(terminal)
        say(terminal, "first", lambda: len(home.attempts()) == 1)
        say(terminal, "/provider agent", "from here on: agent")
        say(terminal, "/model x/anything", "x/anything")
        say(terminal, "second", lambda: len(home.attempts()) == 2)
        terminal.settle(0.3)
        assert left(terminal) == 0
    chat, responses = (request.json for request in stub.requests)
    assert [m["role"] for m in chat["messages"]] == ["system", "user"]
    assert "messages" not in responses
    assert responses["instructions"] == "be brief"
    assert [item["content"] for item in responses["input"]] == ["first", "Hello.", "second"]
    assert [t["text"] for t in turns(home)] == ["first", "Hello.", "second", "Hello."]


def test_old_turns_give_way_unasked_where_that_was_said(home: Home, stub: Stub) -> None:
    stub.script(
        Answer("A long tale.", usage={"prompt_tokens": 990_000, "completion_tokens": 30}),
        Answer("They told a tale."),
        Answer("Bye."),
    )
    home.provider("stub", stub.url, models={"nemotron-3-ultra": "x/anything"})
    line = ("chat", "-p", "stub", "-m", "nemotron-3-ultra", "--auto-compact")
    with Terminal(*line, home=home) as terminal:
        ready(terminal)
        say(terminal, "one", lambda: len(home.attempts()) == 1)
        say(terminal, "two", "Bye.")
        assert left(terminal) == 0
    assert contents(stub)[0].startswith("Summary of the conversation so far:")
