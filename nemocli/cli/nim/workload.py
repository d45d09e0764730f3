"""What a bench asks: prompts of a file, the recorded turns of an evaluation, or invented ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, cycle
from pathlib import Path
from typing import Any

from nemocli.core.faults import config_error, usage_error
from nemocli.core.request import Effort, Message, Request, ToolCall, ToolSpec
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.io.files import read_text
from nemocli.nim.bench import invent_prompt
from nemocli.nim.load import Session

ROLES = ("system", "user", "assistant", "tool")


@value_class(frozen=True, slots=True)
class BenchRequest:
    """What every request has in common."""

    model: str
    max_tokens: int
    reasoning: Effort | None
    options: Mapping[str, Json]

    def request(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> Request:
        """One request."""
        return Request(
            self.model,
            tuple(messages),
            self.reasoning,
            self.max_tokens,
            self.options,
            tuple(tools),
        )


@value_class(frozen=True, slots=True)
class Workload:
    """Sessions without end, and what they are in a word. `known` are those that repeat."""

    what: str
    sessions: Iterator[Session]
    known: tuple[Session, ...] = ()


def from_invented(wish: BenchRequest, tokens: int) -> Workload:
    """Prompts of one length, each unlike any other."""
    made = ((wish.request([Message("user", invent_prompt(tokens, seed))]),) for seed in count(1))
    return Workload(f"invented prompts of about {tokens:,} tokens", made)


def from_prompts(wish: BenchRequest, file: Path) -> Workload:
    """Lines of text, or JSON Lines with `prompt`, `messages` or a batch row's `body`. Raises
    NemoError naming file and line."""
    text = read_text(file)
    if text is None:
        raise usage_error(f"{file}: no such file")
    found: list[Session] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found.append((wish.request(_messages(line, f"{file}:{number}")),))
    if not found:
        raise config_error(f"{file}: no prompts are in it")
    return Workload(f"{len(found)} prompts of {file.name}", cycle(found), tuple(found))


def _messages(line: str, where: str) -> list[Message]:
    if not line.lstrip().startswith("{"):
        return [Message("user", line)]
    try:
        row = json.loads(line)
    except ValueError as error:
        raise config_error(f"{where}: {error}") from None
    body = row.get("body")
    row = body if isinstance(body, dict) else row
    if isinstance(row.get("prompt"), str):
        return [Message("user", row["prompt"])]
    turns = row.get("messages")
    if not isinstance(turns, list) or not turns:
        raise config_error(f"{where}: neither `prompt` nor `messages`")
    messages = []
    for turn in turns:
        role = turn.get("role") if isinstance(turn, dict) else None
        content = turn.get("content") if isinstance(turn, dict) else None
        if role not in ROLES or not isinstance(content, str):
            raise config_error(f"{where}: a message has a role and text")
        messages.append(Message(role, content, tool_call_id=turn.get("tool_call_id")))
    return messages


def from_run(wish: BenchRequest, folder: Path) -> Workload:
    """The attempts of a recorded evaluation: each turn as it was asked, history and tools with it.
    Raises NemoError."""
    from nemocli.io.eval.runs import run_at
    from nemocli.io.eval.suite import load_suite

    run = run_at(folder)
    suite = load_suite(run.folder.parent.parent, trusted=True)
    tasks = {task.task_id: task for task in suite.tasks}
    found: list[Session] = []
    for each in run.results():
        task = tasks.get(each.slot.task)
        if task is None:
            continue
        specs = [ToolSpec(t.name, t.description, dict(t.parameters)) for t in task.tools]
        begin = [Message("system", task.system)] if task.system else []
        turns = tuple(
            wish.request(messages, specs)
            for messages in conversations_of(run.events(each.slot), begin)
        )
        if turns:
            found.append(turns)
    if not found:
        raise usage_error(
            f"{folder}: no attempt of that run ended", "`nemocli eval status` shows it"
        )
    turns_ = sum(map(len, found))
    what = f"{len(found)} recorded sessions with {turns_} turns"
    return Workload(what, cycle(found), tuple(found))


def conversations_of(
    events: Sequence[Mapping[str, Any]], begin: Sequence[Message]
) -> Iterator[list[Message]]:
    """The conversation before each call of the model, from the record of an attempt."""
    messages = list(begin)
    for event in events:
        match event.get("type"):
            case "user":
                messages.append(Message("user", str(event["text"])))
            case "model":
                yield list(messages)
                calls = tuple(ToolCall(*map(str, call)) for call in event.get("calls") or ())
                messages.append(
                    Message("assistant", str(event.get("text") or ""), tool_calls=calls)
                )
            case "tool":
                text, name = str(event.get("result") or ""), str(event.get("id") or "")
                messages.append(Message("tool", text, tool_call_id=name))


def write_payloads(folder: Path, workload: Workload, encoded: Sequence[Sequence[bytes]]) -> int:
    """The same requests as AIPerf's raw payloads: a file for each session, a body on each line.
    How many files. Raises NemoError."""
    from nemocli.io.files import write_lines

    if not workload.known:
        raise usage_error("invented prompts have no end", "--export goes with --prompts or --run")
    folder.mkdir(parents=True, exist_ok=True)
    for number, bodies in enumerate(encoded, 1):
        write_lines(folder / f"session-{number:05d}.jsonl", (body.decode() for body in bodies))
    return len(encoded)
