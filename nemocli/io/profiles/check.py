"""What is wrong with a profile file, said so that its writer can mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.redact import Redactor
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject
from nemocli.io.yaml import Document, Path

Told = tuple[str, str | None]
"""What is wrong, and the hint that mends it."""


def config_fault(file: str, line: int, what: str, hint: str | None = None) -> Fault:
    """A fault that points at a line of a file."""
    return Fault(FaultKind.CONFIG, f"{file}:{line}: {what}", hint, sent=False)


class Checker:
    """One schema, compiled once. The schema is ours and valid: a test holds that."""

    def __init__(self, schema: JsonObject) -> None:
        from nemocli.io.json_schema import checker_for

        self._first_line = f"its first line is `schema: {schema['$id']}`"
        self._validator = checker_for(dict(schema), schema["$id"])

    def fault(self, document: Document, file: str) -> Fault | None:
        """The first thing wrong in reading order, as `FILE:LINE: what`, or None.

        An unknown key goes before what it may have caused: a missing one.
        """
        if not isinstance(document.data, Mapping):
            return config_fault(file, 1, "a profile is written as `key: value`", self._first_line)
        wrong = [_wrong(e) for e in self._validator.iter_errors(cast(Any, document.data))]
        if not wrong:
            return None
        first = min(wrong, key=lambda w: (_LATER.get(w.rule, 1), document.line(w.place)))
        what, hint = _TOLD.get(first.rule, _unfit)(first)
        if "'schema'" in what:
            hint = self._first_line
        return config_fault(file, document.line(first.place), what, hint)


def _wrong(error: Any) -> _Wrong:  # noqa: ANN401 - the library's types leave its fields open
    path: Path = tuple(error.absolute_path)
    return _Wrong(error.validator, error.validator_value, error.instance, path, error.schema)


_LATER = {"additionalProperties": 0, "required": 2}


@value_class(frozen=True, slots=True)
class _Wrong:
    """One broken rule of the schema: its name and value, and what it was broken by, where."""

    rule: str
    wanted: Any
    value: Json
    path: Path
    schema: JsonObject

    @property
    def name(self) -> str:
        """The path as people write it; items are counted from 1."""
        text = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in self.path)
        return text.removeprefix(".") or "this file"

    @property
    def inside(self) -> str:
        return f" in {self.name}" if self.path else ""

    @property
    def known(self) -> list[str]:
        return sorted(cast(JsonObject, self.schema.get("properties", {})))

    @property
    def unknown(self) -> str:
        return next(k for k in cast(JsonObject, self.value) if k not in self.known)

    @property
    def place(self) -> Path:
        return (*self.path, self.unknown) if self.rule == "additionalProperties" else self.path

    @property
    def shown(self) -> str:
        match self.value:
            case None:
                return "null"
            case bool():
                return str(self.value).lower()
            case list():
                return "a list"
            case Mapping():
                return "a mapping"
        text = repr(self.value) if isinstance(self.value, str) else str(self.value)
        text = Redactor().text(text)
        return text if len(text) <= 60 else f"{text[:57]}..."


def _unknown_key(w: _Wrong) -> Told:
    hint = _near(w.unknown, w.known) or f"known here: {', '.join(w.known)}"
    return f"unknown key {w.unknown!r}{w.inside}", hint


def _missing_key(w: _Wrong) -> Told:
    missing = [repr(k) for k in w.wanted if k not in cast(JsonObject, w.value)]
    return f"missing key{'s' * (len(missing) > 1)} {', '.join(missing)}{w.inside}", None


_TYPES = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a mapping (`key: value`)",
}


def _wrong_type(w: _Wrong) -> Told:
    types: Sequence[str] = [w.wanted] if isinstance(w.wanted, str) else w.wanted
    hint = None
    if "string" in types and not isinstance(w.value, list | Mapping):
        hint = f"put it in quotes: '{w.value if not isinstance(w.value, bool) else w.shown}'"
    elif "array" in types and isinstance(w.value, str):
        hint = f"write [{w.value}]"
    wanted = " or ".join(_TYPES[t] for t in types if t in _TYPES)
    return f"{w.name} must be {wanted}, not {w.shown}", hint


def _not_allowed(w: _Wrong) -> Told:
    allowed = [str(v) for v in w.wanted if v is not None]
    hint = _near(str(w.value), allowed)
    return f"{w.name} must be one of {', '.join(allowed)}, not {w.shown}", hint


def _not_the_one(w: _Wrong) -> Told:
    return f"{w.name} must be {w.wanted!r}, not {w.shown}", None


def _too_small(w: _Wrong) -> Told:
    return f"{w.name} must be at least {w.wanted}, not {w.shown}", None


def _too_large(w: _Wrong) -> Told:
    return f"{w.name} must be at most {w.wanted}, not {w.shown}", None


def _wrong_format(w: _Wrong) -> Told:
    if w.wanted == "date":
        return f"{w.name} is no day: {w.shown}", "write it as 2026-10-19"
    return f"{w.name} is no regular expression: {w.shown}", None


def _neither(w: _Wrong) -> Told:
    keys = " or ".join(repr(k) for way in w.wanted for k in way["required"])
    return f"{w.name} needs {keys}", None


def _twice(w: _Wrong) -> Told:
    return f"{w.name} says something twice", None


def _unfit(w: _Wrong) -> Told:
    """Patterns and lengths; the schema's own description says what is meant."""
    text = w.schema.get("description")
    return f"{w.name} cannot be {w.shown}", str(text) if text else None


_TOLD: Mapping[str, Callable[[_Wrong], Told]] = {
    "additionalProperties": _unknown_key,
    "required": _missing_key,
    "type": _wrong_type,
    "enum": _not_allowed,
    "const": _not_the_one,
    "minimum": _too_small,
    "maximum": _too_large,
    "format": _wrong_format,
    "anyOf": _neither,
    "uniqueItems": _twice,
}


def _near(word: str, known: Sequence[str]) -> str | None:
    near = get_close_matches(word, known, 1)
    return f"did you mean {near[0]!r}?" if near else None
