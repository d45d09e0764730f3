"""What tests of `nemocli batch` share: rows, a server that looks at what it is asked, lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.run import Done, Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Behaviour, Exchange, Reply, Status
from tests.servers.channel import Request


@dataclass(frozen=True, slots=True)
class Each:
    """Decides by the request."""

    choose: Callable[[Request], Behaviour | Answer]

    def play(self, exchange: Exchange) -> None:
        chosen = self.choose(exchange.request)
        (Reply(chosen) if isinstance(chosen, Answer) else chosen).play(exchange)


def prompt_of(request: Request) -> str:
    """The last thing a user said."""
    return str(request.json["messages"][-1]["content"])


def echo(request: Request) -> Answer:
    """An answer that says whose it is."""
    return Answer(f"re: {prompt_of(request)}", cost=0.0001)


def refusing(*words: str) -> Each:
    """Rows with one of these words are no good; the rest are answered."""

    def choose(request: Request) -> Behaviour | Answer:
        bad = any(word in prompt_of(request) for word in words)
        return Status(400, {"error": {"message": "no such thing"}}) if bad else echo(request)

    return Each(choose)


def write_rows(home: Home, rows: Sequence[Any], name: str = "in.jsonl") -> Path:
    """Rows as JSON lines; bytes and texts stand as they are."""
    lines = []
    for row in rows:
        line = json.dumps(row) if isinstance(row, Mapping) else row
        lines.append(line if isinstance(line, bytes) else line.encode())
    path = home.cwd / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def prompts(count: int) -> list[dict[str, Any]]:
    return [{"custom_id": f"q{n}", "prompt": f"question {n}"} for n in range(count)]


def batch(home: Home, *args: str, rows: Sequence[Any] | None = None, **given: Any) -> Done:
    """`batch run in.jsonl -o out.jsonl` as people type it."""
    if rows is not None:
        write_rows(home, rows)
    line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
    return run(*line, *args, home=home, **given)


def lines_of(home: Home, name: str = "out.jsonl") -> list[dict[str, Any]]:
    path = home.cwd / name
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def failures_of(home: Home, name: str = "out.jsonl") -> list[dict[str, Any]]:
    return lines_of(home, f"{name}.errors.jsonl")


def answers(home: Home, name: str = "out.jsonl") -> dict[str, str]:
    """Texts by custom_id."""
    return {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in lines_of(home, name)
    }


def ordinals(home: Home, name: str = "out.jsonl") -> list[int]:
    return [line["x_nemocli"]["ordinal"] for line in lines_of(home, name)]
