"""One row asked of one target: its body in that provider's words, and what the reply means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from nemocli.batch.lines import on_one_line
from nemocli.batch.rows import Row
from nemocli.batch.spec import Spec
from nemocli.core.events import Event, Failed, Finished, Fold
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Target
from nemocli.core.ports import Call, World
from nemocli.core.ports import Reply as HttpReply
from nemocli.core.provider import Provider, Timeouts
from nemocli.core.request import Message, Request
from nemocli.core.values import Json
from nemocli.engine.call import refusal_of
from nemocli.engine.door import Door, authorise, without_key
from nemocli.wire.bulk import dumps
from nemocli.wire.dialect import call_for, dialect_named, instruction, response_format
from nemocli.wire.headers import calls_left
from nemocli.wire.http import request_id_of
from nemocli.wire.reply import plain_document

MOST_BODY = 64 * 2**20
_OWN = ("model", "messages", "input", "stream", "stream_options")
_EACH = ("messages", "input", "user", "metadata", "seed")
"""Fields that differ from row to row."""
_LIMIT = {"chat": "max_tokens", "responses": "max_output_tokens"}
_TEXT = ("text", "input_text", "output_text")


_PLAIN = Request("", (), stream=False)


@dataclass(slots=True)
class RowReply:
    """What came: the fold of its events, and the body where it was one JSON document; on one
    line."""

    fold: Fold
    body: bytes | None = None
    calls_left: tuple[float, float] | None = None


class Speller:
    """Spells rows for one target. What consecutive rows have in common is worked out once."""

    def __init__(self, door: Door, spec: Spec, timeouts: Timeouts) -> None:
        self._door = door
        self._spec = spec
        self._timeouts = timeouts
        provider = door.target.provider
        touched = {*provider.drop, *provider.rename, *provider.body}
        self._own = tuple(name for name in _EACH if name not in touched)
        self._rest: object = None
        self._call: Call | None = None

    def call(self, row: Row) -> Call:
        """The call, with its key. Raises NemoError (request) for a row this target cannot take."""
        if row.kind != self._door.target.provider.dialect or self._spec.schema is not None:
            return self._slowly(row)
        body, own = row.body, self._own
        rest = (row.reasoning, {k: v for k, v in body.items() if k not in own})
        call = self._call
        if call is None or rest != self._rest:
            call = self._call = self._slowly(replace(row, body=rest[1]))
            self._rest = rest
        each = (b',"%b":%b' % (name.encode(), dumps(body[name])) for name in own if name in body)
        parts = (call.body[:-1], *each, b"}")
        return Call(
            call.method,
            call.url,
            call.headers,
            b"".join(parts),
            call.timeouts,
            call.secrets,
            call.ca,
        )

    def _slowly(self, row: Row) -> Call:
        door, spec = self._door, self._spec
        target = door.target
        dialect = target.provider.dialect
        request = _request(row, spec)
        if row.kind != dialect:
            whole = _translated(row, request)
            call = dialect_named(dialect).encode(target, whole, door.base_url)
        else:
            own: dict[str, Json] = {"model": target.model, "stream": False}
            what = "messages" if row.kind == "chat" else "input"
            if what in row.body:
                own[what] = row.body[what]
            if spec.schema is not None:
                own[what] = _instructed(own[what], instruction(target, request))
                own |= response_format(target, request)
            limit = _LIMIT.get(dialect, "max_tokens")
            call = call_for(target, request, door.base_url, own, path=dialect, limit=limit)
        return authorise(call, target.provider, door.key, self._timeouts)


def _request(row: Row, spec: Spec) -> Request:
    rest = {k: v for k, v in row.body.items() if k not in _OWN}
    return Request(
        row.model or spec.model or "",
        (),
        row.reasoning,
        None,
        rest,
        schema=spec.schema,
        stream=False,
    )


def _instructed(messages: Json, words: str | None) -> Json:
    """With the words in the first system message."""
    if words is None:
        return messages
    if not isinstance(messages, list):
        return f"{words}\n\n{messages}"
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") == "system":
        return [{**first, "content": f"{first.get('content')}\n\n{words}"}, *messages[1:]]
    return [{"role": "system", "content": words}, *messages]


def _translated(row: Row, request: Request) -> Request:
    """A row of the other dialect, as far as both can say it: text in turns."""
    given = row.body.get("messages") if row.kind == "chat" else row.body.get("input")
    turns = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages = tuple(_message(turn) for turn in cast(list[Any], turns or []))
    instructions = row.body.get("instructions")
    if isinstance(instructions, str):
        messages = (Message("system", instructions), *messages)
    rest = {k: v for k, v in request.options.items() if k != "instructions"}
    most = next(
        (
            rest.pop(n)
            for n in ("max_tokens", "max_completion_tokens", "max_output_tokens")
            if n in rest
        ),
        None,
    )
    return replace(
        request, messages=messages, options=rest, max_tokens=most if isinstance(most, int) else None
    )


def _message(turn: Mapping[str, Any]) -> Message:
    role, content = turn.get("role"), turn.get("content")
    if isinstance(content, list) and all(p.get("type") in _TEXT for p in content):
        content = "".join(str(p.get("text", "")) for p in content)
    if role not in ("system", "user", "assistant") or not isinstance(content, str):
        raise NemoError(
            Fault(
                FaultKind.REQUEST,
                "this row is more than text in turns, which this provider's dialect cannot take",
                "use a provider of the row's own dialect",
                sent=False,
            )
        )
    return Message(role, content)


async def reply_to(call: Call, door: Door, world: World, reply: RowReply) -> None:
    """Ask once. Every failure is in the fold; nothing is raised but a cancellation."""
    target, provider = door.target, door.target.provider
    fold = reply.fold
    try:
        async with world.transport.send(call) as answer:
            headers = answer.headers
            reply.calls_left = calls_left(headers)
            if (fault := await refusal_of(answer, target, call.url, world)) is not None:
                fold.add(Failed(without_key(fault, door.key)))
                return
            data, broken = await _received(answer)
            events, reply.body = _read(data, target)
            for event in events:
                cut = isinstance(event, Failed) and event.fault.kind is FaultKind.CUT
                fold.add(Failed(broken.fault) if cut and broken is not None else event)
            name = request_id_of(headers)
            if name is not None:
                fold.started = replace(fold.started, request_id=name)
    except NemoError as error:
        if fold.end is None:
            fold.add(Failed(without_key(error.fault.at(provider.name), door.key)))


def _read(data: bytes, target: Target) -> tuple[list[Event], bytes | None]:
    """The events of a body, and the body on one line where it was exactly one JSON document."""
    dialect = dialect_named(target.provider.dialect)
    plain = plain_document(data, target.provider)
    if plain is not None:
        payload, strict = plain
        usual = dialect.usual(target, payload)
        if usual is None:
            usual = dialect.decoder(target, _PLAIN).document(payload)
        body = data.strip()
        one_line = strict and b"\n" not in body and b"\r" not in body
        return usual, body if one_line else on_one_line(body)
    decoder = dialect.decoder(target, _PLAIN)
    events = [*decoder.feed(data), *decoder.close()]
    several = data.lstrip()[:1] == b"{" and not decoder.single
    if several and isinstance(events[-1], Finished):
        return [Failed(_several(target.provider))], None
    return events, on_one_line(data.strip()) if decoder.single else None


def _several(provider: Provider) -> Fault:
    """A document and something after it: of such a body nobody can say whose answer it is."""
    message = f"{provider.name} sent a body that is not one JSON document"
    return Fault(FaultKind.PROTOCOL, message, "a proxy may have mixed answers: ask again")


async def _received(answer: HttpReply) -> tuple[bytes, NemoError | None]:
    """The body as far as it came, and what broke it off."""
    if answer.body is not None and len(answer.body) <= MOST_BODY:
        return answer.body, None
    parts, size = [], 0
    try:
        async for chunk in answer.chunks:
            parts.append(chunk)
            size += len(chunk)
            if size > MOST_BODY:
                break
    except NemoError as error:
        return b"".join(parts), error
    return b"".join(parts), None


def completion_of(fold: Fold, model: str) -> bytes:
    """A reply that was no JSON document, as the chat completion it amounts to."""
    usage = fold.metered.usage if fold.metered is not None else None
    message: dict[str, Json] = {"role": "assistant", "content": fold.text}
    if fold.reasoning:
        message["reasoning"] = fold.reasoning
    if fold.has_calls:
        message["tool_calls"] = [
            {
                "id": c.call_id,
                "type": "function",
                "function": {"name": c.name, "arguments": c.arguments},
            }
            for c in fold.tool_calls
        ]
    reason = getattr(fold.end, "reason", None)
    said: dict[str, Json] = {
        "id": fold.started.reply_id,
        "object": "chat.completion",
        "model": fold.started.model or model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
    }
    if fold.citations:
        said["citations"] = [c.url for c in fold.citations]
    if usage is not None and usage.known:
        said["usage"] = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0),
        }
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")
