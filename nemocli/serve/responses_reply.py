"""The Responses dialect at the gateway: how a client is answered.

Items are opened as the model begins them and closed when it has gone on to the next: one that it
did not finish is never closed, and a reply that breaks off ends as `response.failed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from nemocli.core.events import Citation, Event, Finished, Fold, Metered, Reasoning, Text
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.request import ToolCall
from nemocli.core.values import JsonObject
from nemocli.serve.incoming import ToolName
from nemocli.serve.outgoing import error_text, json_bytes
from nemocli.serve.responses import seal

_CODES = {
    FaultKind.RATE: "rate_limit_exceeded",
    FaultKind.QUOTA: "insufficient_quota",
    FaultKind.BUDGET: "insufficient_quota",
    FaultKind.LOOP: "insufficient_quota",
    FaultKind.REQUEST: "invalid_prompt",
    FaultKind.AUTH: "invalid_prompt",
}
"""Codes that Codex acts on; the rest is `server_error`, which it asks again after."""


class ResponsesReply:
    """One reply as events, or whole."""

    last: bytes = b""

    def __init__(
        self, reply_id: str, model: str, created: int, tools: Mapping[str, ToolName]
    ) -> None:
        self._id = reply_id if reply_id.startswith("resp") else f"resp_{reply_id}"
        self._model, self._created, self._tools = model, created, tools
        self._number = 0
        self._items: list[dict[str, Any]] = []
        self._open: str | None = None
        self._said = StringIO()
        self._details: list[JsonObject] = []
        self._begun = False

    @property
    def keep_alive(self) -> bytes:
        """An event with data: comments do not keep Codex waiting."""
        return self._start() + self._about("response.in_progress", "in_progress")

    def chunk(self, event: Event) -> bytes:
        """What an event looks like; nothing for those that come later or are not for the client."""
        match event:
            case Text(text) if text:
                return self._into("message") + self._delta("response.output_text.delta", text)
            case Reasoning(text, details) if text or details:
                out = self._into("reasoning")
                self._details += details
                return out + (self._delta("response.reasoning_text.delta", text) if text else b"")
            case _:
                return b""

    def end(self, fold: Fold) -> bytes:
        """Tool calls, the counts and the last event of a reply that is complete."""
        out = self._start() + self._closed(fold.citations)
        for call in fold.tool_calls:
            out += self._call(call)
        status, event = "completed", "response.completed"
        if _cut_short(fold) is not None:
            status, event = "incomplete", "response.incomplete"
        return out + self._about(event, status, fold)

    def whole(self, fold: Fold) -> bytes:
        """The same as one object."""
        if fold.reasoning or fold.details:
            self._items.append(self._reasoning(fold.reasoning, fold.details))
        if fold.text or not fold.has_calls:
            self._items.append(self._message(fold.text, fold.citations))
        for call in fold.tool_calls:
            self._items.append(self._function(call))
        status = "completed" if _cut_short(fold) is None else "incomplete"
        return json_bytes(self._response(status, fold))

    def fail(self, fault: Fault) -> bytes:
        """The end of a reply that broke off."""
        error = {"code": _CODES.get(fault.kind, "server_error"), "message": error_text(fault)}
        response = {**self._response("failed"), "error": error}
        return self._start() + self._event("response.failed", {"response": response})

    def _start(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        out = self._about("response.created", "in_progress")
        return out + self._about("response.in_progress", "in_progress")

    def _about(self, kind: str, status: str, fold: Fold | None = None) -> bytes:
        return self._event(kind, {"response": self._response(status, fold)})

    def _response(self, status: str, fold: Fold | None = None) -> dict[str, Any]:
        why = _cut_short(fold) if fold is not None else None
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._model,
            "error": None,
            "incomplete_details": {"reason": why} if why else None,
            "output": list(self._items) if status in ("completed", "incomplete") else [],
            "usage": usage_of(fold.metered) if fold is not None else None,
        }

    def _into(self, kind: str) -> bytes:
        if self._open == kind:
            return b""
        out = self._start() + self._closed()
        self._open = kind
        item = self._message("") if kind == "message" else self._reasoning("", ())
        item = {**item, "content": [], "status": "in_progress"}
        item.pop("encrypted_content", None)
        out += self._event("response.output_item.added", {**self._at(), "item": item})
        return out + self._event("response.content_part.added", {**self._in(), "part": _part(kind)})

    def _delta(self, kind: str, text: str) -> bytes:
        self._said.write(text)
        return self._event(kind, {**self._in(), "delta": text})

    def _closed(self, citations: list[Citation] | None = None) -> bytes:
        """The item under way, which the model has finished."""
        kind = self._open
        if kind is None:
            return b""
        text = self._said.getvalue()
        if kind == "message":
            done, item = "response.output_text.done", self._message(text, citations or ())
        else:
            done, item = "response.reasoning_text.done", self._reasoning(text, self._details)
        out = self._event(done, {**self._in(), "text": text})
        part = item["content"][0] if item["content"] else _part(kind)
        out += self._event("response.content_part.done", {**self._in(), "part": part})
        out += self._event("response.output_item.done", {**self._at(), "item": item})
        self._items.append(item)
        self._open, self._said, self._details = None, StringIO(), []
        return out

    def _call(self, call: ToolCall) -> bytes:
        item = self._function(call)
        given = "input" if item["type"] == "custom_tool_call" else "arguments"
        stem = "custom_tool_call_input" if given == "input" else "function_call_arguments"
        about = {"output_index": len(self._items), "item_id": item["id"]}
        begun = {**item, given: "", "status": "in_progress"}
        out = self._event("response.output_item.added", {**self._at(), "item": begun})
        out += self._event(f"response.{stem}.delta", {**about, "delta": item[given]})
        out += self._event(f"response.{stem}.done", {**about, given: item[given]})
        out += self._event("response.output_item.done", {**self._at(), "item": item})
        self._items.append(item)
        return out

    def _function(self, call: ToolCall) -> dict[str, Any]:
        """A call under the name the client knows the tool by."""
        known = self._tools.get(call.name) or ToolName(call.name)
        name = f"fc_{self._id}_{len(self._items)}"
        about = {"id": name, "call_id": call.call_id, "name": known.name}
        if known.space is not None:
            about["namespace"] = known.space
        if known.custom:
            given = (call.parse() or {}).get("input")
            text = given if isinstance(given, str) else call.arguments
            return {"type": "custom_tool_call", **about, "input": text, "status": "completed"}
        said = {"arguments": call.arguments or "{}", "status": "completed"}
        return {"type": "function_call", **about, **said}

    def _message(
        self, text: str, citations: list[Citation] | tuple[Citation, ...] = ()
    ) -> dict[str, Any]:
        part = {"type": "output_text", "text": text, "annotations": list(_annotations(citations))}
        return {
            "type": "message",
            "id": f"msg_{self._id}_{len(self._items)}",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }

    def _reasoning(
        self, text: str, details: list[JsonObject] | tuple[JsonObject, ...]
    ) -> dict[str, Any]:
        return {
            "type": "reasoning",
            "id": f"rs_{self._id}_{len(self._items)}",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": text}],
            "encrypted_content": seal(text, details),
            "status": "completed",
        }

    def _at(self) -> dict[str, Any]:
        return {"output_index": len(self._items)}

    def _in(self) -> dict[str, Any]:
        """The part under way, by item and position."""
        stem = "msg" if self._open == "message" else "rs"
        item = f"{stem}_{self._id}_{len(self._items)}"
        return {"item_id": item, **self._at(), "content_index": 0}

    def _event(self, kind: str, data: Mapping[str, Any]) -> bytes:
        said = {"type": kind, "sequence_number": self._number, **data}
        self._number += 1
        return f"event: {kind}\ndata: ".encode() + json_bytes(said) + b"\n\n"


def _part(kind: str) -> dict[str, Any]:
    if kind == "message":
        return {"type": "output_text", "text": "", "annotations": []}
    return {"type": "reasoning_text", "text": ""}


def _annotations(citations: list[Citation] | tuple[Citation, ...]) -> Iterator[dict[str, Any]]:
    for found in citations:
        about = {"type": "url_citation", "url": found.url, "title": found.title or ""}
        yield {**about, "start_index": 0, "end_index": 0}


def _cut_short(fold: Fold) -> str | None:
    """Why an answer that ended is not whole, in the dialect's word."""
    reason = fold.end.reason if isinstance(fold.end, Finished) else "stop"
    return {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reason)


def usage_of(metered: Metered | None) -> dict[str, Any] | None:
    """Token counts as the seller gave them; None where it gave none, for none are made up."""
    usage = metered.usage if metered is not None else None
    if usage is None or not usage.known or usage.source != "reported":
        return None
    total_in, total_out = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": total_in,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens or 0},
        "output_tokens": total_out,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": total_in + total_out,
    }
