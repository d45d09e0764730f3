"""Results beside the input they answer: the input's columns, then the answer's, then its facts.

Columns of the answer are the schema's fields (nested ones with dots), else one, `answer`. A name
that the input has already gets an underscore behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

from nemocli.batch.report import Result
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject

Kind = Literal["text", "count", "number", "flag", "usd"]
FACTS: Mapping[str, Kind] = {
    "status": "text",
    "error": "text",
    "cost_usd": "usd",
    "provider": "text",
}
_KINDS: Mapping[str, Kind] = {"integer": "count", "number": "number", "boolean": "flag"}
_NOT_SHOWN = frozenset({"method", "url", "body", "messages"})
DEEPEST = 4
"""Levels of nested fields that become columns; what is below stands as JSON."""


@value_class(frozen=True, slots=True)
class Field:
    """One column of an answer: its name, the way to it, what is in it."""

    name: str
    path: tuple[str, ...]
    kind: Kind


@value_class(frozen=True, slots=True)
class TableShape:
    """The columns of a table: of the input, of the answer, and the facts under their own names."""

    given: tuple[str, ...]
    fields: tuple[Field, ...]
    facts: tuple[str, ...]

    @property
    def columns(self) -> dict[str, Kind]:
        """Names in order, and what is in them."""
        named: dict[str, Kind] = dict.fromkeys(self.given, "text")
        named |= {field.name: field.kind for field in self.fields}
        return named | dict(zip(self.facts, FACTS.values(), strict=True))

    def cells(self, values: Mapping[str, Json], result: Result | None) -> list[object]:
        """One row: what was asked, what was answered, how it went. No result: not asked yet."""
        row: list[object] = [_text(values.get(name)) for name in self.given]
        row += self._answers(result)
        if result is None:
            return [*row, "waiting", None, None, None]
        usd = None if result.usd is None else Decimal(result.usd)
        return [*row, result.status, result.error_message, usd, result.provider]

    def _answers(self, result: Result | None) -> list[object]:
        answer = result.answer if result is not None else None
        if len(self.fields) == 1 and not self.fields[0].path:
            return [answer]
        try:
            said: Json = json.loads(answer or "null", parse_float=Decimal)
        except (ValueError, RecursionError):
            said = None
        return [_fitting(_at(said, field.path), field.kind) for field in self.fields]


def shape_of(given: Sequence[str], schema: JsonObject | None) -> TableShape:
    """The columns for an input with the columns `given`, and answers that fit a schema, if any."""
    taken = {*given}

    def fresh(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    fields = list(_fields(schema, (), DEEPEST)) if schema is not None else []
    if not fields:
        fields = [Field("answer", (), "text")]
    named = tuple(Field(fresh(f.name), f.path, f.kind) for f in fields)
    return TableShape(tuple(given), named, tuple(fresh(name) for name in FACTS))


def _fields(schema: JsonObject, path: tuple[str, ...], depth: int) -> Iterable[Field]:
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        here = (*path, str(name))
        kinds = inner.get("type") if isinstance(inner, Mapping) else None
        if kinds == "object" and depth > 1 and isinstance(inner, Mapping):
            yield from list(_fields(inner, here, depth - 1)) or [
                Field(".".join(here), here, "text")
            ]
        else:
            yield Field(".".join(here), here, _KINDS.get(str(kinds), "text"))


def _at(value: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _fitting(value: Json, kind: Kind) -> object:
    """A value for a column of a kind; nothing where it does not fit there."""
    match kind:
        case "count":
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        case "number":
            known = isinstance(value, int | Decimal) and not isinstance(value, bool)
            return value if known else None
        case "flag":
            return value if isinstance(value, bool) else None
        case _:
            return _text(value)


def _text(value: Json) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def columns_of(values: Mapping[str, Json]) -> dict[str, Json]:
    """What of a record is shown beside its answer: its columns, or for a line of an OpenAI Batch
    file its name and what was asked last."""
    shown = {k: v for k, v in values.items() if k not in _NOT_SHOWN}
    body = values.get("body")
    turns = (body if isinstance(body, Mapping) else values).get("messages")
    if isinstance(turns, list) and turns and isinstance(turns[-1], Mapping):
        shown.setdefault("prompt", turns[-1].get("content"))
    return shown
