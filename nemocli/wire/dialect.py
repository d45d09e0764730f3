"""The two questions a dialect answers, how to ask and how to read, and what all of them share."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from nemocli.core.events import Event
from nemocli.core.faults import Fault, FaultKind, NemoError, usage_error
from nemocli.core.plan import Target
from nemocli.core.ports import Call
from nemocli.core.provider import Provider, plain
from nemocli.core.request import LIMIT_FIELDS, Request
from nemocli.core.values import Json, JsonObject, json_part, merge

DIALECTS: Mapping[str, str] = {
    "chat": "nemocli.wire.chat.request",
    "responses": "nemocli.wire.responses.request",
}
"""Name in a provider's file to module; a module here fills `Dialect`."""

"""Spellings of the most output tokens a reply may have."""


class Decoder(Protocol):
    """Bytes of one reply's body to events, in any cut; exactly one end comes, and it comes last.

    Raises nothing: whatever a server sends becomes events.
    """

    @property
    def ended(self) -> bool:
        """Whether the server announced the end, after which only counts may follow."""

    @property
    def single(self) -> bool:
        """Once the body is over: whether it was exactly one JSON document."""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete."""

    def close(self) -> Iterator[Event]:
        """The connection is over; what is missing without an announced end is a failure."""

    def whole(self, body: bytes) -> list[Event]:
        """The events of a body that is here to its end: `feed` and `close` in one."""

    def document(self, payload: JsonObject) -> list[Event]:
        """The same of a body that was exactly this object."""


class Dialect(Protocol):
    """One way of asking and answering."""

    def encode(self, target: Target, request: Request, base_url: str) -> Call:
        """The call without its key and timeouts: the same bytes for the same wish.

        Raises NemoError (usage) for a reasoning effort the target does not have.
        """

    def decoder(self, target: Target, request: Request) -> Decoder:
        """A decoder for the one reply to this request."""

    def usual(self, target: Target, payload: JsonObject) -> list[Event] | None:
        """The events of a whole reply of the usual kind, read at once; None for one that a decoder
        has to look at."""


@cache
def dialect_named(name: str) -> Dialect:
    """The dialect of that name. Raises NemoError (config) when there is none."""
    if name not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise NemoError(
            Fault(FaultKind.CONFIG, f"no dialect {name!r}", f"one of: {known}", sent=False)
        )
    return cast(Dialect, import_module(DIALECTS[name]))


def call_for(
    target: Target, request: Request, base_url: str, own: JsonObject, *, path: str, limit: str
) -> Call:
    """The POST of a dialect's own body `own` to its `path`; `limit` is its name for the most
    output tokens."""
    provider = target.provider
    accept = "text/event-stream" if own.get("stream") else "application/json"
    headers = {"content-type": "application/json", "accept": accept}
    headers.update({name.lower(): value for name, value in provider.headers.items()})
    url = base_url.rstrip("/") + provider.path(path)
    return Call("POST", url, headers, encode(body_for(target, request, own, limit)))


def body_for(target: Target, request: Request, own: JsonObject, limit: str) -> dict[str, Json]:
    """Everything that has a say in a body, later over earlier: the card's sampling, the dialect's
    own fields, the user's options, the provider's `rename` and `drop`, its patch, the patch of the
    reasoning effort, and once more the options, which nothing may overrule but `drop`.

    Patches come after the dialect's own fields, or `null` could not remove one.
    """
    provider = target.provider
    most, options = _limited(request)
    if most is not None:
        own = {**own, limit: most}
    sampling = {k: v for k, v in target.sampling(request.reasoning).items() if k not in own}
    body = _spelt(merge({**own, **sampling}, options), provider)
    body = merge(body, provider.body)
    if request.reasoning is not None:
        body = merge(body, target.effort_patch(request.reasoning))
    return merge(body, _spelt(options, provider))


def _limited(request: Request) -> tuple[Json, JsonObject]:
    """The most output tokens, and the options without them.

    A limit that was set (by `--max-tokens`, or to keep a budget) is never raised by an option.
    """
    if request.max_tokens is None:
        return None, request.options
    options = {k: v for k, v in request.options.items() if k not in LIMIT_FIELDS}
    return request.most_output, options


def _spelt(body: JsonObject, provider: Provider) -> dict[str, Json]:
    """The fields under the provider's names for them, without those it does not take."""
    out: dict[str, Json] = {}
    for name, value in body.items():
        spelt = provider.rename.get(name, name)
        if name in provider.drop or spelt in provider.drop or (spelt != name and spelt in body):
            continue
        out[spelt] = value
    return out


_COMPACT = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=json_part
)
_ESCAPED = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=json_part)


def encode(body: JsonObject) -> bytes:
    """The body as UTF-8 JSON. Raises NemoError (usage) for what JSON cannot say."""
    try:
        if _large(body):
            from nemocli.wire.bulk import dumps

            # It writes a number that JSON cannot say as `null`, of which there may be none at all.
            data = dumps(body)
            if b"null" not in data or _finite(plain(body)):
                return data
        text = _COMPACT.encode(body)
    except (ValueError, TypeError, RecursionError) as error:
        raise usage_error(f"an option cannot be written as JSON: {error}") from error
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character: escaped, it still arrives as it is
        return _ESCAPED.encode(body).encode()


LARGE = 8_000
"""Characters of messages from which a faster encoder is worth loading."""


def _large(body: JsonObject) -> bool:
    """Whether the conversation in a body is long, as far as a look at its texts can tell."""
    turns = body.get("messages") or body.get("input")
    if isinstance(turns, str):
        return len(turns) > LARGE
    if not isinstance(turns, list):
        return False
    texts = (turn.get("content") for turn in turns if isinstance(turn, Mapping))
    return sum(len(text) for text in texts if isinstance(text, str)) > LARGE


def _finite(value: Json) -> bool:
    """Whether every number is one that JSON can say."""
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def streams(target: Target, request: Request) -> bool:
    """Whether this reply is asked for as a stream."""
    wanted = request.options.get("stream") is not False
    return wanted and request.stream and target.provider.streaming


def schema_instruction(schema: JsonObject) -> str:
    """What a model is told where no server enforces the schema (or only that it is JSON)."""
    shape = json.dumps(plain(schema), ensure_ascii=False)
    return (
        "Answer with one JSON value and nothing else: no explanation, no Markdown fence. "
        f"It must satisfy this JSON Schema:\n{shape}"
    )


def response_format(target: Target, request: Request) -> JsonObject:
    """The body field that has the server enforce the schema, as far as it can; else nothing.

    The same in both dialects: chat's shape, which Perplexity's Agent API also takes at the top
    level (it refuses `text.format`; perplexityai 0.46.1, response_create_params).
    """
    if request.schema is None:
        return {}
    match target.structured_output:
        case "json_schema":
            strict = strict_ready(request.schema)
            named: JsonObject = {"name": "answer", "strict": strict, "schema": request.schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case _:
            return {}


def strict_ready(schema: Json) -> bool:
    """Whether strict mode takes a schema: an object whose every property is required and that is
    closed, all the way down (OpenAI, structured outputs guide, 2026). Elsewhere it is a 400."""
    return _closed(schema) and isinstance(schema, Mapping) and schema.get("type") == "object"


def _closed(schema: Json) -> bool:
    if isinstance(schema, list | tuple):
        return all(_closed(part) for part in schema)
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, Mapping):
        names = set(properties) if isinstance(properties, Mapping) else set()
        required = schema.get("required")
        if schema.get("additionalProperties") is not False:
            return False
        if not isinstance(required, list | tuple) or names != set(required):
            return False
    return all(_closed(part) for part in schema.values())


def instruction(target: Target, request: Request) -> str | None:
    """The words that stand in for a schema nobody enforces."""
    if request.schema is None or target.structured_output == "json_schema":
        return None
    return schema_instruction(request.schema)


def arguments_to_send(text: str) -> str:
    """A call's arguments, fit to be handed back.

    Chat templates parse them, and a server answers 400 to every later turn of a conversation that
    holds broken ones (vLLM, chat_utils): broken text goes back inside an object.
    """
    try:
        whole = isinstance(json.loads(text or "{}"), dict)
    except (ValueError, RecursionError):
        whole = False
    return (text or "{}") if whole else json.dumps({"malformed_arguments": text})
