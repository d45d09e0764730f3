"""From a record of the input to a row that can be asked, or to what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from hashlib import blake2b
from typing import Any, Literal, cast

from nemocli.batch.spec import Spec
from nemocli.core.budget import output_bound
from nemocli.core.faults import Fault, NemoError
from nemocli.core.plan import Target
from nemocli.core.records import Record
from nemocli.core.request import EFFORTS, LIMIT_FIELDS, Effort, answers_in
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.wire.bulk import dumps, loads_exactly

Kind = Literal["chat", "responses"]
URLS: Mapping[str, Kind] = {
    "/v1/chat/completions": "chat",
    "/chat/completions": "chat",
    "/v1/responses": "responses",
    "/responses": "responses",
}
PROMPTS = ("prompt", "text", "question", "input")
"""Columns that are the question where there is no template, the first that is there."""

NAMES = ("custom_id", "id")
_NUMBERS: Mapping[str, Callable[[str], Json]] = {
    "max_tokens": int,
    "max_completion_tokens": int,
    "n": int,
    "seed": int,
    "temperature": float,
    "top_p": float,
    "frequency_penalty": float,
    "presence_penalty": float,
}
OVERRIDES = (*_NUMBERS, "stop", "user", "tools", "tool_choice", "response_format", "metadata")
"""Columns that change how one row is asked."""

LONGEST_NAME = 512
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

Renderer = Callable[[Mapping[str, Json]], str]
"""A template of another language, of a row's columns; raises ValueError."""


@value_class(frozen=True, slots=True)
class Row:
    """One question. `key` is 8 bytes of its name and of all that is asked, `chars` its length."""

    ordinal: int
    where: str
    custom_id: str
    named: bool
    kind: Kind
    body: Mapping[str, Json]
    raw: bytes
    key: bytes
    chars: int
    reasoning: Effort | None = None
    model: str | None = None


@value_class(frozen=True, slots=True)
class Bad:
    """A record that is no question: a stable code, and one line for people."""

    ordinal: int
    where: str
    custom_id: str
    raw: bytes
    code: str
    message: str


class _Unfit(Exception):
    """Code and message; never leaves this module."""

    def __init__(self, code: str, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.name = code, message, name


def row_of(record: Record, spec: Spec, jinja: Renderer | None = None) -> Row | Bad:
    """The row a record means under a job's settings."""
    name = f"row-{record.ordinal + 1}"
    try:
        if record.problem is not None:
            raise _Unfit(*record.problem)
        values = record.values if record.values is not None else _parsed(record.line or b"")
        given = _name_of(values)
        name = given or name
        kind, body, effort, model = _question(values, spec, jinja)
    except _Unfit as unfit:
        return Bad(
            record.ordinal, record.where, name, record.raw, unfit.code, one_line(unfit.message, 300)
        )
    text = dumps(body, ordered=True)
    said = f"{name}\0{kind}\0{effort}\0{model}\0".encode("utf-8", "surrogatepass")
    key = blake2b(said + text, digest_size=8, key=spec.fingerprint).digest()
    return Row(
        record.ordinal,
        record.where,
        name,
        given is not None,
        kind,
        body,
        record.raw,
        key,
        len(text),
        effort,
        model,
    )


def _parsed(line: bytes) -> Mapping[str, Json]:
    try:
        value = loads_exactly(line)
    except UnicodeDecodeError as error:
        raise _Unfit("not_utf8", f"not UTF-8 (byte {error.start + 1})") from error
    except RecursionError as error:
        raise _Unfit("bad_json", "nested too deeply") from error
    except ValueError as error:
        said = getattr(error, "msg", None) or str(error)
        at = f" (column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise _Unfit("bad_json", f"not JSON: {said}{at}") from error
    if isinstance(value, str):
        return {"prompt": value}
    if not isinstance(value, dict):
        raise _Unfit("bad_json", f"a row is an object or a text, not {type(value).__name__}")
    return value


def _name_of(values: Mapping[str, Json]) -> str | None:
    for column in NAMES:
        name = values.get(column)
        if isinstance(name, bool) or name is None or name == "":
            continue
        if not isinstance(name, str | int) or len(str(name)) > LONGEST_NAME:
            raise _Unfit("bad_custom_id", f"{column} is a text of up to {LONGEST_NAME} characters")
        return str(name)
    return None


def _question(
    values: Mapping[str, Json], spec: Spec, jinja: Renderer | None
) -> tuple[Kind, Mapping[str, Json], Effort | None, str | None]:
    if "body" in values or "url" in values:
        kind, body = _item(values)
        effort = None
    else:
        kind, body, effort = "chat", _chat(values, spec, jinja), _effort(values.get("reasoning"))
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise _Unfit("bad_body", "model is a text")
    if spec.system and kind == "chat":
        body = _with_system(body, spec.system)
    if spec.max_tokens is not None and not any(n in body for n in LIMIT_FIELDS):
        body = {**body, "max_tokens": spec.max_tokens}
    body = {**spec.options, **body} if spec.options else body
    return kind, body, effort or spec.reasoning, None if spec.forced else model or None


def _item(values: Mapping[str, Json]) -> tuple[Kind, Mapping[str, Json]]:
    """A line of an OpenAI Batch file."""
    method, url, body = values.get("method", "POST"), values.get("url"), values.get("body")
    if method != "POST":
        raise _Unfit("bad_method", f"method is POST, not {method!r}")
    if not isinstance(body, dict):
        raise _Unfit("missing_body", "there is no body")
    if url is None:
        url = "/v1/responses" if "input" in body and "messages" not in body else next(iter(URLS))
    kind = URLS.get(url) if isinstance(url, str) else None
    if kind is None:
        raise _Unfit("bad_url", f"url is one of {', '.join(list(URLS)[::2])}, not {url!r}")
    if kind == "chat":
        _check_messages(body.get("messages"))
    elif not body.get("input"):
        raise _Unfit("bad_body", "body.input is missing")
    return kind, body


def _check_messages(messages: Json) -> None:
    if not isinstance(messages, list) or not messages:
        raise _Unfit("bad_body", "messages is a list with at least one message")
    if not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages):
        raise _Unfit("bad_body", "every message is an object with a role")


def _chat(values: Mapping[str, Json], spec: Spec, jinja: Renderer | None) -> Mapping[str, Json]:
    """A plain row: messages of its own, or a prompt out of its columns."""
    body: dict[str, Json] = {}
    if isinstance(values.get("messages"), list) and spec.template is None:
        _check_messages(values["messages"])
        messages = list(cast(Sequence[Json], values["messages"]))
    else:
        messages = [{"role": "user", "content": _prompt(values, spec, jinja)}]
    system = values.get("system")
    if isinstance(system, str) and system:
        messages.insert(0, {"role": "system", "content": system})
    body["messages"] = messages
    for name in OVERRIDES:
        value = values.get(name)
        if value is not None and value != "":
            body[name] = _number(name, value)
    model = values.get("model")
    if isinstance(model, str) and model:
        body["model"] = model
    return body


def _number(name: str, value: Json) -> Json:
    if not isinstance(value, str) or name not in _NUMBERS:
        return value
    try:
        return _NUMBERS[name](value)
    except ValueError as error:
        raise _Unfit("bad_column", f"{name} is a number, not {value[:40]!r}") from error


def _effort(value: Json) -> Effort | None:
    if value in (None, ""):
        return None
    for effort in EFFORTS:
        if value == effort:
            return effort
    raise _Unfit("bad_column", f"reasoning is one of {', '.join(EFFORTS)}, not {value!r}")


def _prompt(values: Mapping[str, Json], spec: Spec, jinja: Renderer | None) -> str:
    if spec.template is None:
        for name in PROMPTS:
            value = values.get(name)
            if isinstance(value, str) and value.strip():
                return value
        have = ", ".join(list(values)[:8]) or "nothing"
        raise _Unfit(
            "missing_prompt",
            f"no prompt: name a column {PROMPTS[0]!r}, or use --template (there are {have})",
        )
    if jinja is not None:
        try:
            return jinja(values)
        except ValueError as error:
            raise _Unfit("bad_template", str(error)) from error
    return fill(spec.template, values)


def fill(template: str, values: Mapping[str, Json]) -> str:
    """`{column}` put in; `{{` and `}}` are braces."""

    def put(found: re.Match[str]) -> str:
        whole, name = found[0], found[1]
        if whole in ("{{", "}}"):
            return whole[0]
        if name is None:
            raise _Unfit("bad_template", "a brace alone: write {{ or }} for one")
        if name.strip() not in values:
            have = ", ".join(list(values)[:8]) or "nothing"
            raise _Unfit("missing_column", f"no column {name.strip()!r} (there are {have})")
        return display(values[name.strip()])

    return _FIELD.sub(put, template)


def columns_of(template: str) -> list[str]:
    """The columns a template names. Raises ValueError for one that can never be filled."""
    names: list[str] = []
    for found in _FIELD.finditer(template):
        if found[1] is not None:
            names.append(found[1].strip())
        elif found[0] not in ("{{", "}}"):
            raise ValueError("a brace alone: write {{ or }} for one")
    return names


def display(value: Json) -> str:
    """A column's value in a prompt."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _with_system(body: Mapping[str, Json], system: str) -> Mapping[str, Json]:
    """The job's system prompt, where the row has none."""
    messages = cast(list[Any], body.get("messages") or [])
    if messages and messages[0].get("role") == "system":
        return body
    return {**body, "messages": [{"role": "system", "content": system}, *messages]}


def limit_in(body: Mapping[str, Json]) -> int | None:
    """A row's own limit of output tokens."""
    for name in LIMIT_FIELDS:
        value = body.get(name)
        if isinstance(value, int):
            return value
    return None


def worst_case(row: Row, target: Target, day: date, *, cap: str = "`--max-cost`") -> int:
    """What a call for the row may cost on a day, in pico-USD. Raises NemoError (budget) where a
    price is unknown, and `cap` cannot be kept."""
    price, limit = target.price(day), target.output_limit
    size, most, answers = row.chars // 2 + 64, limit_in(row.body), answers_in(row.body)
    fits = output_bound(1 << 62, price, size, most, limit, cap=cap, answers=answers)
    if isinstance(fits, Fault):
        raise NemoError(fits)
    return fits.worst
