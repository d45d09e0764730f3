"""What a server says when it refuses, in any of the shapes that refusals have.

Shapes met: OpenAI's `{"error": {message, type, code, param}}`, the same without the envelope,
`{"error": "text"}`, problem details (RFC 9457: title, detail), FastAPI's `detail: [{loc, msg}]`,
aggregators' `metadata` and `availability` (2026-08-19: no `code` there), text, and web pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject, mappings
from nemocli.wire.jsontext import mapping, parse, string, usd

LONGEST_MESSAGE = 240
MOST_TEXT = 64 * 1024
"""Characters of a body that are looked at; an error is at its beginning or nowhere."""

_DEEPEST = 8
_MOST_ITEMS = 3
# Bounded, so that a page of half-open tags costs no more than any other.
# Compiled when a server refuses.
_TITLE = r"(?i)<title[^>]{0,200}>([^<]{0,300})"
_PAGE = r"(?i)\s*<(?:!doctype|html|head|body|\?xml|!--|[a-z])"
_CODE_FIELDS = ("code", "error_type", "type", "http_status", "status", "status_code")
_BLAND = r"(?i)provider returned error|upstream error|error|unknown error"


@value_class(frozen=True, slots=True)
class Complaint:
    """`codes` are numbers and words in the order of their weight; `retryable` and `retry_after_s`
    (seconds) what the body says about trying again; `upstream` whose words `message` are."""

    message: str = ""
    codes: tuple[int | str, ...] = ()
    upstream: str | None = None
    retryable: bool | None = None
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    page: bool = False

    @property
    def status(self) -> int | None:
        """The HTTP error status among the codes, if any."""
        return next((c for c in self.codes if isinstance(c, int)), None)


def read_body(body: bytes) -> Complaint:
    """The complaint in the body of a refusal; an empty one for an empty body. Never raises."""
    text = body[:MOST_TEXT].decode("utf-8", "replace").strip().removeprefix("\ufeff")
    if text[:1] in ("{", "["):
        try:
            return complaint_of(parse(text))
        except ValueError:
            pass  # cut or never JSON: its text is all there is
    if re.match(_PAGE, text):
        return Complaint(_title(text), page=True)
    return Complaint(one_line(text, LONGEST_MESSAGE))


def complaint_of(value: Json) -> Complaint:
    """The complaint in a JSON value."""
    data = _innermost(value)
    metadata = mapping(data.get("metadata"))
    availability = mapping(data.get("availability"))
    after = availability.get("retry_after", metadata.get("retry_after", data.get("retry_after")))
    retryable = availability.get("retryable")
    seconds = usd(after)
    return Complaint(
        message=one_line(_message(value, 0) or "", LONGEST_MESSAGE),
        codes=tuple(_codes(data, metadata, availability)),
        upstream=_short(metadata.get("provider_name") or data.get("provider_name")),
        retryable=retryable if isinstance(retryable, bool) else None,
        retry_after_s=None if seconds is None else float(seconds),
        headers={
            k.lower(): str(v)
            for k, v in mapping(metadata.get("headers")).items()
            if isinstance(v, str | int)
        },
    )


def _innermost(value: Json) -> JsonObject:
    """The object that holds the message: `error` where there is one."""
    data = _object(value)
    for _ in range(_DEEPEST):
        inner = _object(data.get("error"))
        if not inner:
            break
        data = inner
    return data


def _object(value: Json) -> JsonObject:
    """The object, or the first of a list of them."""
    return next(iter(mappings(value)), {}) if isinstance(value, list) else mapping(value)


def _codes(*places: JsonObject) -> Iterator[int | str]:
    words: list[str] = []
    for place in places:
        for name in _CODE_FIELDS:
            code = place.get(name)
            if isinstance(code, str) and code.strip().isdecimal() and len(code) < 5:
                code = int(code)
            if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
                yield code
            elif isinstance(code, str) and code:
                words.append(code[:100])
    yield from words


def _message(value: Json, depth: int) -> str | None:
    if depth > _DEEPEST or not value:
        return None
    if isinstance(value, str):
        return _unwrapped(value, depth)
    if isinstance(value, list):
        said = [m for v in value[:_MOST_ITEMS] if (m := _message(v, depth + 1))]
        return "; ".join(said) or None
    return _said_in(mapping(value), depth)


def _said_in(data: JsonObject, depth: int) -> str | None:
    if said_where := _located(data):
        return said_where
    for name in ("error", "message", "detail", "title", "errors", "msg", "reason"):
        said_here = _message(data.get(name), depth + 1)
        if said_here:
            raw = mapping(data.get("metadata")).get("raw")
            more = _message(raw, depth + 1) if re.fullmatch(_BLAND, said_here) else None
            return f"{said_here}: {more}" if more else said_here
    return None


def _located(data: JsonObject) -> str | None:
    """FastAPI's item: which field, and what about it."""
    message, where = string(data.get("msg")), data.get("loc")
    if message is None or not isinstance(where, list):
        return None
    return f"{'.'.join(str(step) for step in where[:8])}: {message}"


def _unwrapped(text: str, depth: int) -> str:
    """The message in a JSON text inside a message, as gateways pass on what they were told."""
    inner = text[:MOST_TEXT].strip()
    if inner.startswith("{"):
        try:
            return _message(parse(inner), depth + 1) or inner
        except ValueError:
            pass
    return inner


def _title(page: str) -> str:
    found = re.search(_TITLE, page)
    if found is None:
        return ""
    from html import unescape

    return one_line(unescape(found[1]), 80)


def _short(value: Json) -> str | None:
    name = string(value)
    return one_line(name, 60) if name else None
