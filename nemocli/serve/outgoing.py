"""What a client gets: events as chunks of a chat completion, an answer as a whole one, and errors
in the same dialect with a status that makes an agent do the right thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from nemocli.core.events import Event, Finished, Fold, Metered, Reasoning, Text, ToolCallPart
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.usage import Usage

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": waiting\n\n"

_STATUS = {
    FaultKind.REQUEST: 400,
    FaultKind.USAGE: 400,
    FaultKind.BUDGET: 400,
    FaultKind.LOOP: 400,
    FaultKind.AUTH: 401,
    FaultKind.QUOTA: 402,
    FaultKind.RATE: 429,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.SERVER: 502,
    FaultKind.NETWORK: 502,
    FaultKind.REFUSED: 502,
    FaultKind.TLS: 502,
    FaultKind.PROTOCOL: 502,
    FaultKind.CUT: 502,
    FaultKind.TIMEOUT: 504,
    FaultKind.OFFLINE: 503,
    FaultKind.INTERRUPTED: 503,
}
_OWN = frozenset({FaultKind.REQUEST, FaultKind.UNAVAILABLE, FaultKind.SERVER})
"""Kinds for which the seller's own status says more."""


class ClientReply(Protocol):
    """How one reply is written in a client's dialect: as a stream, or whole."""

    @property
    def keep_alive(self) -> bytes:
        """What says that the model is waited for."""

    @property
    def last(self) -> bytes:
        """What ends a stream of the dialect whose server left that out; often nothing."""

    def chunk(self, event: Event) -> bytes:
        """What an event looks like; nothing for those that are not for the client, or not yet."""

    def end(self, fold: Fold) -> bytes:
        """The rest of a reply that is complete."""

    def fail(self, fault: Fault) -> bytes:
        """The end of a stream that broke off; the connection is then cut."""

    def whole(self, fold: Fold) -> bytes:
        """A complete reply as one object."""


class ChatReply:
    """One reply as chunks, or whole. Usage is sent in a stream where it was asked for."""

    keep_alive: bytes = KEEP_ALIVE
    last: bytes = DONE

    def __init__(self, reply_id: str, model: str, created: int, *, include_usage: bool) -> None:
        self._about = {
            "id": reply_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._model, self._created = model, created
        self._usage = include_usage
        self._begun = False

    def chunk(self, event: Event) -> bytes:
        """What an event looks like; nothing for those that are not for the client."""
        match event:
            case Text(text):
                return self._delta({"content": text})
            case Reasoning(text, details):
                said: dict[str, Any] = {"reasoning": text}
                return self._delta(said | ({"reasoning_details": list(details)} if details else {}))
            case ToolCallPart():
                return self._delta({"tool_calls": [_part(event)]})
            case _:
                return b""

    def end(self, fold: Fold) -> bytes:
        """The finish, the usage and the last line of a reply that is complete."""
        reason = fold.end.reason if isinstance(fold.end, Finished) else "stop"
        out = self._delta({}, reason)
        if self._usage and (usage := usage_json(fold.metered)) is not None:
            out += _event({**self._about, "choices": [], "usage": usage})
        return out + DONE

    def whole(self, fold: Fold) -> bytes:
        """The same as one object."""
        return completion(fold, str(self._about["id"]), self._model, self._created)

    def fail(self, fault: Fault) -> bytes:
        """The end of a reply that broke off."""
        return _event(_error(fault))

    def _delta(self, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        first = {} if self._begun else {"role": "assistant", "content": ""}
        self._begun = True
        choice = {"index": 0, "delta": {**first, **delta}, "finish_reason": finish}
        return _event({**self._about, "choices": [choice]})


def _part(part: ToolCallPart) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": part.arguments}
    out: dict[str, Any] = {"index": part.index, "function": function}
    if part.name is not None:
        function["name"] = part.name
        out["type"] = "function"
    if part.call_id is not None:
        out["id"] = part.call_id
    return out


def _event(value: object) -> bytes:
    return b"data: " + json_bytes(value) + b"\n\n"


def json_bytes(value: object) -> bytes:
    """JSON as it is sent; half a character becomes a question mark."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def completion(fold: Fold, reply_id: str, model: str, created: int) -> bytes:
    """A whole reply."""
    message: dict[str, Any] = {"role": "assistant", "content": fold.text or None}
    if fold.reasoning:
        message["reasoning"] = fold.reasoning
    if fold.details:
        message["reasoning_details"] = list(fold.details)
    if fold.has_calls:
        message["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in fold.tool_calls
        ]
    elif message["content"] is None:
        message["content"] = ""
    reason = fold.end.reason if isinstance(fold.end, Finished) else "stop"
    said: dict[str, Any] = {
        "id": reply_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
    }
    if (usage := usage_json(fold.metered)) is not None:
        said["usage"] = usage
    if fold.citations:
        said["citations"] = [citation.url for citation in fold.citations]
    return json_bytes(said)


def usage_json(metered: Metered | None) -> dict[str, Any] | None:
    """Token counts as the seller gave them; None where it gave none, for none are made up."""
    usage: Usage | None = metered.usage if metered is not None else None
    if usage is None or not usage.known or usage.source != "reported":
        return None
    total_in, total_out = usage.input_tokens or 0, usage.output_tokens or 0
    out: dict[str, Any] = {
        "prompt_tokens": total_in,
        "completion_tokens": total_out,
        "total_tokens": total_in + total_out,
    }
    if usage.cached_input_tokens is not None:
        out["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        out["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return out


def status_of(fault: Fault) -> int:
    """The HTTP status of a failure. A budget is a 400: every agent stops at it after one call."""
    if fault.kind in _OWN and fault.status is not None and fault.status >= 400:
        return fault.status
    return _STATUS.get(fault.kind, 500)


def error_json(fault: Fault) -> bytes:
    """The envelope of an error."""
    return json_bytes(_error(fault))


def error_headers(fault: Fault) -> Iterator[tuple[str, str]]:
    """What tells an SDK whether to try again, and when."""
    if not fault.retryable:
        yield "x-should-retry", "false"
    if fault.retry_after_s is not None:
        yield "retry-after", str(max(1, round(fault.retry_after_s)))


def error_text(fault: Fault) -> str:
    """Who failed, how, and what to do."""
    hint = f" ({fault.advice})" if fault.advice else ""
    return f"{fault.provider or 'nemocli'}: {fault.message}{hint}"


def _error(fault: Fault) -> dict[str, Any]:
    code = "budget_exceeded" if fault.kind is FaultKind.BUDGET else fault.kind.value
    status = status_of(fault)
    kind = "invalid_request_error" if status < 500 and status != 429 else "api_error"
    return {
        "error": {
            "message": error_text(fault),
            "type": kind,
            "code": code,
            "param": None,
        }
    }
