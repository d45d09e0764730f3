"""What a good reply looks like on the wire, in both dialects, streamed and whole.

Chat completions as OpenRouter and NVIDIA's gateway send them, Responses as Perplexity's Agent API
does (typed events, no `[DONE]`); shapes from their documentation as of November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.servers.channel import Framing, Request

Dialect = Literal["chat", "responses"]
UsagePlace = Literal["after", "finish", "none"]

HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]52;c;ZXZpbA==\x07 \x1b]0;title\x07 \x1b[2J\x1b[1;1H over\rwritten "
    "\u202egnp.exe\u202c \u2066hidden\u2069 \x9b5A \x7f\x08 tab\there"
)
"""Colours, the clipboard, the title, cursor moves, a carriage return, bidi overrides, C1, DEL."""


def _usage() -> dict[str, Any]:
    return {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and how it is sent.

    `tool_calls` are (name, arguments) pairs; `usage` is in chat-completions spelling and None for
    a server that never counts; `cost` in USD goes into `usage.cost`; `finish` None leaves the
    terminal signal out; `piece` is characters a delta; `sizes` are HTTP chunk sizes taken in turn
    whatever the events are; `done` None follows the dialect; `delay_s` is before the headers,
    `gap_s` between events; `garbage` follows the last event; `whole` ignores that a stream was
    asked for.
    """

    text: str = "Hello, world."
    reasoning: str = ""
    tool_calls: tuple[tuple[str, str], ...] = ()
    usage: Mapping[str, Any] | None = field(default_factory=_usage)
    finish: str | None = "stop"
    cost: float | None = None
    model: str | None = None
    upstream: str | None = None
    reasoning_field: str = "reasoning"
    usage_place: UsagePlace = "after"
    comments: int = 0
    empty_choices: bool = False
    done: bool | None = None
    newline: str = "\n"
    piece: int = 4
    garbage: str = ""
    framing: Framing = "chunked"
    sizes: tuple[int, ...] = ()
    delay_s: float = 0.0
    gap_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False

    def counts(self) -> dict[str, Any] | None:
        """The usage object, cost included."""
        if self.usage is None:
            return None
        return {**self.usage, **({"cost": self.cost} if self.cost is not None else {})}


def crlf(text: str = "Hello, world.") -> Answer:
    """Lines end in CR LF, which the SSE standard allows."""
    return Answer(text, newline="\r\n")


def commented(text: str = "Hello, world.") -> Answer:
    """Keep-alive comments before and between the events."""
    return Answer(text, comments=2)


def split_utf8(text: str = "héllo wörld 日本語 🦙 \u2028 end") -> Answer:
    """Every HTTP chunk is one byte: all multi-byte characters are cut."""
    return Answer(text, sizes=(1,))


def odd_chunks(text: str = "Hello, world.") -> Answer:
    """Chunk boundaries that know nothing of lines or events."""
    return Answer(text, sizes=(1, 7, 3, 64, 2, 200))


def giant_line(size: int = 4_000_000) -> Answer:
    """One event of several megabytes."""
    return Answer("x" * size, piece=size)


def hostile() -> Answer:
    """Text that would like to own the terminal."""
    return Answer(HOSTILE, piece=3)


def reasoning_only() -> Answer:
    """Thoughts, then a proper end without a word of answer."""
    return Answer("", reasoning="Let me think about it.", finish="stop")


def length(text: str = "Cut at the limit") -> Answer:
    """The token limit was reached."""
    return Answer(text, finish="length")


def frames(
    answer: Answer, dialect: Dialect, stream: bool, request: Request, reply_id: str
) -> list[bytes]:
    """The body in the pieces it is sent in: one per event, or the whole in one."""
    asked = request.json
    model = answer.model or (asked.get("model") if isinstance(asked, dict) else None) or "stub"
    make = _Chat if dialect == "chat" else _Responses
    shape = make(answer, model, reply_id)
    if not stream or answer.whole:
        return [json.dumps(shape.whole(), ensure_ascii=False).encode()]
    return list(_events(answer, shape.events(), dialect))


def _events(answer: Answer, events: list[dict[str, Any]], dialect: Dialect) -> list[bytes]:
    nl = answer.newline
    comment = f": OPENROUTER PROCESSING{nl}{nl}" * answer.comments
    out = [
        f"{comment}data: {json.dumps(event, ensure_ascii=False)}{nl}{nl}".encode()
        for event in events
    ]
    if answer.done if answer.done is not None else dialect == "chat":
        out.append(f"data: [DONE]{nl}{nl}".encode())
    if answer.garbage:
        out.append(answer.garbage.encode())
    return out


def sliced(text: str, size: int) -> list[str]:
    """The text in pieces of so many characters."""
    return [text[i : i + size] for i in range(0, len(text), size)]


@dataclass(frozen=True, slots=True)
class _Chat:
    answer: Answer
    model: str
    reply_id: str

    def whole(self) -> dict[str, Any]:
        a = self.answer
        message: dict[str, Any] = {"role": "assistant", "content": a.text}
        if a.reasoning:
            message[a.reasoning_field] = a.reasoning
        if a.tool_calls:
            message["tool_calls"] = [
                {"id": f"call_{i}", "type": "function", "function": {"name": n, "arguments": args}}
                for i, (n, args) in enumerate(a.tool_calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": a.finish}
        body = self._frame("chat.completion", [choice])
        return body if a.counts() is None else {**body, "usage": a.counts()}

    def events(self) -> list[dict[str, Any]]:
        a = self.answer
        out = [self._frame("chat.completion.chunk", [])] if a.empty_choices else []
        out.append(self._delta({"role": "assistant", "content": ""}))
        out += [self._delta({a.reasoning_field: p}) for p in sliced(a.reasoning, a.piece)]
        out += [self._delta({"content": p}) for p in sliced(a.text, a.piece)]
        for index, (name, arguments) in enumerate(a.tool_calls):
            head = {"index": index, "id": f"call_{index}", "type": "function"}
            out.append(self._call({**head, "function": {"name": name, "arguments": ""}}))
            for p in sliced(arguments, a.piece):
                out.append(self._call({"index": index, "function": {"arguments": p}}))
        counts = a.counts() if a.usage_place != "none" else None
        if a.finish is not None:
            last = self._delta({"content": ""}, a.finish)
            if counts is not None and a.usage_place == "finish":
                last["usage"] = counts
            out.append(last)
        if counts is not None and a.usage_place == "after":
            out.append({**self._frame("chat.completion.chunk", []), "usage": counts})
        return out

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        return self._delta({"tool_calls": [call]})

    def _delta(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return self._frame("chat.completion.chunk", [choice])

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self.reply_id, "object": kind, "created": 1, "model": self.model}
        if self.answer.upstream is not None:
            head["provider"] = self.answer.upstream
        return {**head, "choices": choices}


@dataclass(frozen=True, slots=True)
class _Responses:
    answer: Answer
    model: str
    reply_id: str

    def whole(self) -> dict[str, Any]:
        return self._response(self._status())

    def events(self) -> list[dict[str, Any]]:
        a = self.answer
        out: list[dict[str, Any]] = [
            {"type": "response.created", "response": self._response("in_progress", False)},
        ]
        thought = {"type": "response.reasoning_text.delta", "item_id": "rs_0"}
        said = {"type": "response.output_text.delta", "item_id": "msg_0"}
        out += [{**thought, "delta": p} for p in sliced(a.reasoning, a.piece)]
        out += [{**said, "delta": p} for p in sliced(a.text, a.piece)]
        for index, (name, arguments) in enumerate(a.tool_calls, 1):
            out += self._call(index, name, arguments)
        if a.finish is not None:
            status = self._status()
            out.append({"type": f"response.{status}", "response": self._response(status)})
        return [{**event, "sequence_number": n} for n, event in enumerate(out)]

    def _call(self, index: int, name: str, arguments: str) -> list[dict[str, Any]]:
        at = {"output_index": index, "item_id": f"fc_{index}"}
        item = {**self._function(index, name, ""), "status": "in_progress"}
        done = self._function(index, name, arguments)
        kind = "response.function_call_arguments"
        return [
            {"type": "response.output_item.added", "output_index": index, "item": item},
            *({"type": f"{kind}.delta", **at, "delta": p} for p in sliced(arguments, 4)),
            {"type": f"{kind}.done", **at, "arguments": arguments},
            {"type": "response.output_item.done", "output_index": index, "item": done},
        ]

    def _function(self, index: int, name: str, arguments: str) -> dict[str, Any]:
        return {
            "type": "function_call",
            "id": f"fc_{index}",
            "call_id": f"call_{index}",
            "name": name,
            "arguments": arguments,
        }

    def _status(self) -> str:
        return "incomplete" if self.answer.finish == "length" else "completed"

    def _response(self, status: str, full: bool = True) -> dict[str, Any]:
        a = self.answer
        output: list[dict[str, Any]] = []
        if full and a.text:
            content = [{"type": "output_text", "text": a.text, "annotations": []}]
            output.append(
                {"type": "message", "id": "msg_0", "role": "assistant", "content": content}
            )
        if full:
            output += [self._function(i, n, args) for i, (n, args) in enumerate(a.tool_calls, 1)]
        body: dict[str, Any] = {
            "id": self.reply_id,
            "object": "response",
            "created_at": 1,
            "status": status,
            "model": self.model,
            "output": output,
        }
        if status == "incomplete":
            body["incomplete_details"] = {"reason": "max_output_tokens"}
        if full and a.usage is not None and a.usage_place != "none":
            body["usage"] = self._counts(a.usage)
        return body

    def _counts(self, usage: Mapping[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {
            "input_tokens": usage.get("prompt_tokens"),
            "output_tokens": usage.get("completion_tokens"),
            "total_tokens": usage.get("total_tokens"),
        }
        if self.answer.cost is not None:
            out["cost"] = {"currency": "USD", "total_cost": self.answer.cost}
        return out
