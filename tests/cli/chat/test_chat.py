"""`nemocli chat` in a real terminal: what is typed, what is drawn, what is kept."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.chat.talking import CHAT, contents, left, ready, say, turns
from tests.run import KEY, Home, run
from tests.screen import Terminal
from tests.servers.answer import HOSTILE, Answer
from tests.servers.behaviours import Cut, Status
from tests.servers.stub import Stub

MARKDOWN = """# Title

Some *text* with `code` and **much** more.

- one
- two

```python
def f(x):
    return x
```

| a | b |
|---|---|
| 1 | 2 |

The end.
"""


def test_a_conversation_is_drawn_and_kept(home: Home, stub: Stub) -> None:
    stub.script(Answer(MARKDOWN, cost=0.0001, gap_s=0.005))
    with Terminal(*CHAT, "-s", "be brief", home=home) as terminal:
        ready(terminal)
        say(terminal, "hello", "to first token")
        shown = terminal.lines()
        assert "Title" in shown
        assert " • one" in shown
        assert "def f(x):" in shown, "code can be copied as it stands"
        assert "    return x" in shown
        assert terminal.text().count("The end.") == 1, "nothing is drawn twice"
        assert "Some text with code and much more." in shown
        say(terminal, "and more", lambda: len(stub.requests) == 2)
        assert left(terminal) == 0
    assert contents(stub) == ["be brief", "hello", MARKDOWN, "and more"]
    kept = turns(home)
    assert [t["role"] for t in kept] == ["user", "assistant"] * 2
    assert kept[1]["text"] == MARKDOWN
    assert (kept[1]["status"], kept[1]["cost"]["usd"]) == ("complete", "0.0001")
    assert {row["session"] for row in home.attempts()} == {
        run("sessions", "ls", "--json", home=home).json()["sessions"][0]["id"]
    }
    found = run("sessions", "search", "much more", "--json", home=home).json()["found"]
    assert [f["role"] for f in found] == ["assistant"] * 2


def test_a_paste_of_fifty_lines_is_one_message(home: Home, stub: Stub) -> None:
    text = "\n".join(f"line {n}" for n in range(50))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        terminal.paste(text.replace("\n", "\r"))
        terminal.settle(0.3)
        assert stub.requests == []
        say(terminal, "", "to first token")
        assert left(terminal) == 0
    assert [contents(stub, n) for n in range(len(stub.requests))] == [[text]]


def test_a_paste_that_never_ends_does_not_lock_the_keyboard(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        terminal.paste("lost end", ended=False)
        terminal.until("lost end", timeout=10)
        say(terminal, " and typed", "to first token")
        assert left(terminal) == 0
    assert contents(stub) == ["lost end and typed"]


@pytest.mark.parametrize("keys", ["\n", "\x1b\r", "\\\r"], ids=["ctrl-j", "alt-enter", "backslash"])
def test_lines_are_broken_by_hand(home: Home, stub: Stub, keys: str) -> None:
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        terminal.type("one")
        terminal.settle(0.1)
        terminal.type(keys)
        terminal.settle(0.6)
        say(terminal, "two", "to first token")
        assert left(terminal) == 0
    assert contents(stub) == ["one\ntwo"]


def test_ctrl_c_stops_the_answer_keeps_it_and_goes_on(home: Home, stub: Stub) -> None:
    stub.script(Answer("word " * 500, gap_s=0.05), Answer("Hello again.", cost=0.0001))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        terminal.type("hello\r")
        terminal.until("word word")
        terminal.type("\x03")
        terminal.until("the text above is incomplete")
        assert stub.requests[0].gone.wait(5), "the connection is closed"
        say(terminal, "go on", "Hello again.")
        assert left(terminal) == 0
    assert contents(stub)[1].startswith("word ")
    stopped = turns(home)[1]
    assert stopped["status"] == "interrupted"
    assert stopped["text"].startswith("word word")
    assert [row["status"] for row in home.attempts()] == ["aborted", "ok"]


def test_ctrl_c_twice_at_an_empty_line_leaves(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        terminal.type("\x03")
        terminal.until("Ctrl-C again leaves")
        terminal.settle(0.2)
        terminal.type("\x03")
        assert terminal.end() == 0


def test_commands_change_the_conversation(home: Home, stub: Stub) -> None:
    home.provider("other", stub.url)
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "first", "to first token")
        say(terminal, "/undo", "2 turns taken back")
        terminal.type("\x15")  # the question stands in the line again
        say(terminal, "second", lambda: len(stub.requests) == 2)
        terminal.settle(0.4)
        assert contents(stub) == ["second"]
        say(terminal, "/retry -p other", "other ·")
        terminal.settle(0.4)
        assert contents(stub) == ["second"]
        say(terminal, "/provider stub", "from here on: stub")
        say(terminal, "/fork", "a copy of")
        say(terminal, "third", lambda: len(stub.requests) == 4)
        terminal.settle(0.4)
        assert contents(stub) == ["second", "Hello.", "third"]
        say(terminal, "/save plans", "goes on with it")
        say(terminal, "/mdoel x", "did you mean `/model`?")
        say(terminal, "/budget 0.5", "0.5 USD")
        say(terminal, "/export talk.md", "4 turns in talk.md")
        assert left(terminal) == 0
    assert len(stub.requests) == 4, "no typo was sent"
    listed = run("sessions", "ls", "--json", home=home).json()["sessions"]
    assert [(s["name"], s["turns"]) for s in listed] == [("plans", 4), (None, 2)]
    document = (home.cwd / "talk.md").read_text()
    assert "third" in document
    assert (home.cwd / "talk.md").stat().st_mode & 0o077 == 0


def test_it_goes_on_where_it_stopped(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "remember me", "to first token")
        assert left(terminal) == 0
    with Terminal(*CHAT, "-c", home=home) as terminal:
        ready(terminal)
        assert "> remember me" in terminal.lines()
        say(terminal, "who am I", lambda: len(stub.requests) == 2)
        assert left(terminal) == 0
    assert contents(stub) == ["remember me", "Hello.", "who am I"]


def test_no_log_leaves_nothing(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, "--no-log", home=home) as terminal:
        ready(terminal)
        say(terminal, "a very secret plan", "to first token")
        assert left(terminal) == 0
    assert len(home.attempts()) == 1, "money is booked all the same"
    assert home.files_holding("very secret plan") == []


def test_a_kill_in_mid_answer_loses_a_moment_at_most(home: Home, stub: Stub) -> None:
    stub.script(Answer("word " * 500, gap_s=0.02))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        terminal.type("hello\r")
        terminal.until("word word word")
        terminal.settle(0.0)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            terminal.pump(0.1)
        os.kill(terminal.process.pid, signal.SIGKILL)
        terminal.process.wait()
    [asked, answered] = turns(home)
    assert (asked["text"], answered["status"]) == ("hello", "interrupted")
    assert answered["text"].startswith("word word")
    with sqlite3.connect(home.folder / "data" / "sessions.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_a_resize_in_mid_stream_leaves_the_text_whole(home: Home, stub: Stub) -> None:
    words = [f"w{n}" for n in range(300)]
    stub.script(Answer(" ".join(words) + "\n\nThe end.", gap_s=0.002))
    with Terminal(*CHAT, home=home, columns=200, rows=30) as terminal:
        ready(terminal)
        terminal.type("hello\r")
        terminal.until("w40")
        terminal.resize(60, 20)
        terminal.until("The end.")
        terminal.settle()
        text = " ".join(terminal.lines())
        assert left(terminal) == 0
    shown = text[text.index("w299") - 5000 :]
    assert [w for w in words if w not in shown.split()] == []
    assert terminal.text().count("The end.") == 1


@pytest.mark.parametrize("columns", [40, 200])
def test_it_fits_the_terminal(home: Home, stub: Stub, columns: int) -> None:
    stub.script(Answer(MARKDOWN.replace("much", "much 日本語 e\u0301 👩‍💻 שלום"), cost=0.0001))
    with Terminal(*CHAT, home=home, columns=columns) as terminal:
        ready(terminal)
        say(terminal, "hello", "The end.")
        assert "日本語" in terminal.text().replace(" ", "")
        assert "    return x" in terminal.lines()
        assert left(terminal) == 0


def test_no_colour_means_none(home: Home, stub: Stub) -> None:
    stub.script(Answer(MARKDOWN, cost=0.0001))
    with Terminal(*CHAT, home=home, env={"NO_COLOR": "1"}) as terminal:
        ready(terminal)
        say(terminal, "hello", "The end.")
        assert left(terminal) == 0
    answer = terminal.raw[terminal.raw.index(b"Title") :]
    assert re.findall(rb"\x1b\[(?:3[0-7]|9[0-7]|[34]8;)[0-9;]*m", answer) == []


def test_a_dumb_terminal_gets_the_text_as_it_came(home: Home, stub: Stub) -> None:
    stub.script(Answer(MARKDOWN, cost=0.0001))
    with Terminal(*CHAT, home=home, env={"TERM": "dumb"}) as terminal:
        ready(terminal)
        say(terminal, "hello", "The end.")
        assert "Some *text* with `code` and **much** more." in terminal.lines()
        assert left(terminal) == 0


def test_nothing_a_model_says_is_obeyed(home: Home, stub: Stub) -> None:
    stub.script(Answer(HOSTILE + "\n\n```\n" + HOSTILE + "\n```\n\ndone", cost=0.0001))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        before = len(terminal.raw)
        say(terminal, "hello", "done")
        said = terminal.raw[before:]
        assert left(terminal) == 0
    for evil in (b"\x1b]0;", b"\x1b[2J", b"\x1b]52", b"\x07"):
        assert evil not in said


def test_reasoning_is_folded_to_a_line_or_shown(home: Home, stub: Stub) -> None:
    stub.script(Answer("Four.", reasoning="Two and two make four.", cost=0.0001))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "2+2", "to first token")
        assert "Two and two" not in terminal.text()
        assert "thought for" in terminal.text()
        say(terminal, "/reasoning show", "shown")
        say(terminal, "again", "Two and two make four.")
        assert left(terminal) == 0
    assert turns(home)[1]["reasoning"] == "Two and two make four."


@pytest.mark.parametrize(("fault", "words"), [(Cut(2), "connection"), (Status(401), "key")])
def test_a_failure_is_said_and_the_chat_goes_on(
    home: Home, stub: Stub, fault: Any, words: str
) -> None:
    stub.script(fault, Answer("Hello again.", cost=0.0001))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "hello", "nemocli:")
        assert words in terminal.text()
        say(terminal, "again", "Hello again.")
        assert left(terminal) == 0
    assert turns(home)[1]["status"] in ("truncated", "error")


def test_files_go_along_after_their_size_is_said(home: Home, stub: Stub) -> None:
    (home.cwd / "src").mkdir()
    (home.cwd / "src" / "a.py").write_text("print(1)\n")
    (home.cwd / "src" / "b.bin").write_bytes(b"\x00\xff")
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "/file src", "tokens, 1 left out as no text")
        say(terminal, "what is it", "to first token")
        assert left(terminal) == 0
    assert contents(stub) == ["what is it\n\nsrc/a.py:\n```\nprint(1)\n```"]


def test_the_editor_writes_a_message(home: Home, stub: Stub, tmp_path: Path) -> None:
    editor = tmp_path / "ed"
    editor.write_text('#!/bin/sh\nprintf "from\\nthe editor" > "$1"\n')
    editor.chmod(0o755)
    with Terminal(*CHAT, home=home, env={"EDITOR": str(editor)}) as terminal:
        ready(terminal)
        say(terminal, "/edit", "the editor")
        say(terminal, "", "to first token")
        say(terminal, "/edit 1", lambda: len(stub.requests) == 1)
        assert left(terminal) == 0
    assert contents(stub) == ["from\nthe editor"]


def test_an_editor_gets_the_terminal_as_it_was(home: Home, stub: Stub, tmp_path: Path) -> None:
    """A line editor reads what is typed, and its echo, as in a shell."""
    editor = tmp_path / "ed"
    editor.write_text('#!/bin/sh\nread -r line\nprintf "%s" "$line" > "$1"\n')
    editor.chmod(0o755)
    with Terminal(*CHAT, home=home, env={"EDITOR": str(editor)}) as terminal:
        ready(terminal)
        say(terminal, "hello", "to first token")
        terminal.type("/edit\r")
        terminal.settle(0.3)
        terminal.type("by the line\r")
        terminal.until(lambda: terminal.text().count("by the line") == 2)  # echoed, and a draft
        say(terminal, "", lambda: len(stub.requests) == 2)
        assert left(terminal) == 0
    assert contents(stub)[-1] == "by the line"


def test_what_is_typed_at_any_time_is_the_next_message(home: Home, stub: Stub) -> None:
    """Right behind a receipt too, where the next line is not there yet."""
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        for number in range(1, 6):
            terminal.type(f"question {number}\r")
            terminal.until(lambda n=number: terminal.text().count("to first token") == n)
        terminal.until(lambda: len(stub.requests) == 5)
        assert left(terminal) == 0
    assert contents(stub)[::2] == [f"question {number}" for number in range(1, 6)]


def test_what_is_piped_in_goes_along(home: Home, stub: Stub) -> None:
    read, write = os.pipe()
    os.write(write, b"piped text\n")
    os.close(write)
    with Terminal(*CHAT, home=home, stdin=read) as terminal:
        os.close(read)
        ready(terminal)
        assert "stdin goes along" in terminal.text()
        say(terminal, "sum it up", "to first token")
        assert left(terminal) == 0
    assert contents(stub) == ["sum it up\n\npiped text"]


def test_without_a_terminal_it_names_ask(home: Home, stub: Stub) -> None:
    done = run(*CHAT, home=home, input="hello\n")
    assert (done.code, done.out) == (2, b"")
    assert "nemocli ask" in done.err


def test_a_cap_stops_before_the_next_call(home: Home, server: Stub) -> None:
    price = {"model": "x/anything", "valid_from": "2026-01-01", "input": 1, "output": 1}
    server.requests.clear()
    server.script(Answer("Hello.", cost=0.0001))
    home.provider("stub", server.url, prices=[price])
    with Terminal(*CHAT, "--max-cost", "0.000001", home=home) as terminal:
        ready(terminal)
        say(terminal, "hello", "--max-cost")
        assert left(terminal) == 0
    assert server.requests == []


def test_old_turns_give_way_to_a_summary_after_a_yes(home: Home, stub: Stub) -> None:
    said = ("Hello.", "Hello.", "They greeted.", "Bye.")
    stub.script(*(Answer(text, cost=0.01) for text in said))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "one", lambda: len(home.attempts()) == 1)
        say(terminal, "two", lambda: len(home.attempts()) == 2)
        say(terminal, "/compact", "[y/N]")
        say(terminal, "y", "2 turns are summarised")
        say(terminal, "three", "Bye.")
        say(terminal, "/cost", "in all: $0.04")
        assert left(terminal) == 0
    assert run("sessions", "ls", "--json", home=home).json()["sessions"][0]["cost_usd"] == "0.04"
    assert contents(stub) == [
        "Summary of the conversation so far:\n\nThey greeted.", "two", "Hello.", "three"
    ]  # fmt: skip


def test_history_is_private_and_forgets_on_request(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "kept", "to first token")
        say(terminal, " not kept", lambda: len(stub.requests) == 2)
        terminal.settle(0.3)
        terminal.type("\x1b[A")
        terminal.settle(0.3)
        terminal.type("\x15")
        assert left(terminal) == 0
    history = home.folder / "state" / "chat-history"
    assert "+kept" in history.read_text()
    assert "not kept" not in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_no_key_is_written_anywhere(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "hello", "to first token")
        assert left(terminal) == 0
    assert home.files_holding(KEY) == []
    assert KEY not in terminal.text()


SERVER = """
from mcp.server import MCPServer
server = MCPServer("sums")

@server.tool()
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

server.run("stdio")
"""


def test_tools_of_an_mcp_server_are_called_when_they_are_allowed(home: Home, stub: Stub) -> None:
    import json
    import sys

    (home.cwd / "sums.py").write_text(SERVER)
    entry = {"command": sys.executable, "args": [str(home.cwd / "sums.py")]}
    (home.cwd / "mcp.json").write_text(json.dumps({"mcpServers": {"sums": entry}}))
    call = (("add", '{"a": 2, "b": 40}'),)
    stub.script(Answer("", tool_calls=call), Answer("It is 42.", cost=0.0001))
    with Terminal(*CHAT, "--mcp", "mcp.json", home=home) as terminal:
        terminal.until("sums: 1 tools", timeout=40)
        ready(terminal)
        say(terminal, "add", "call it?")
        assert 'add({"a": 2, "b": 40})' in terminal.text()
        say(terminal, "s", "It is 42.")
        say(terminal, "/tools", "allowed in this chat")
        assert left(terminal) == 0
    sent = stub.requests[-1].json["messages"]
    assert sent[-1] == {
        "role": "tool",
        "tool_call_id": sent[-2]["tool_calls"][0]["id"],
        "content": "42",
    }
    assert [t["role"] for t in turns(home)] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.slow
def test_a_hundred_thousand_characters_stay_in_the_scrollback(home: Home, stub: Stub) -> None:
    stub.script(Answer("\n\n".join(f"paragraph {n}" for n in range(1500)), cost=0.0001))
    with Terminal(*CHAT, home=home) as terminal:
        ready(terminal)
        say(terminal, "hello", "paragraph 1499")
        shown = [line for line in terminal.lines() if line.startswith("paragraph")]
        assert left(terminal) == 0
    assert shown == [f"paragraph {n}" for n in range(1500)]


def test_sessions_are_tagged_exported_and_removed(home: Home, stub: Stub) -> None:
    with Terminal(*CHAT, "--session", "plans", "--tag", "work", home=home) as terminal:
        ready(terminal)
        say(terminal, "hello", "to first token")
        assert left(terminal) == 0
    assert run("sessions", "tag", "plans", "draft", home=home).code == 0
    row = run("sessions", "ls", "--tag", "draft", "--json", home=home).json()["sessions"][0]
    assert (row["name"], row["tags"], row["cost_usd"]) == ("plans", ["work", "draft"], "0.0001")
    assert "## You\n\nhello" in run("sessions", "export", "plans", home=home).text
    refused = run("sessions", "rm", "plans", home=home)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert run("sessions", "rm", "plans", "--yes", home=home).code == 0
    assert run("sessions", "ls", "--json", home=home).json()["sessions"] == []
    assert len(home.attempts()) == 1
    missing = run("sessions", "show", "plans", home=home)
    assert (missing.code, "sessions ls" in missing.err) == (2, True)
