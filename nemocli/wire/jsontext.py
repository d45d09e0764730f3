"""JSON from a wire: exact numbers, and questions that no answer can make fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import cast

from nemocli.core.values import Json, JsonObject, amount

_MOST_EXPONENT = 60
"""Numbers further from 1 than this are nonsense, and dear to compute with."""

_BLANK = " \t\r\n"
_BETWEEN = frozenset(_BLANK + "\0")
_PADDING = _BLANK + "\0\ufeff"

_NOTHING: JsonObject = {}


def _exact(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if abs(number.adjusted()) <= _MOST_EXPONENT else None


def _no_number(_: str) -> None:
    """`NaN` and `Infinity`, which some servers write, mean that nothing is known."""


# Raw control characters inside strings are against the standard, common, and harmless here.
_DECODER = json.JSONDecoder(parse_float=_exact, parse_constant=_no_number, strict=False)


def parse(text: str) -> Json:
    """The value of a JSON text; fractions become Decimal. Raises ValueError and nothing else."""
    text = text.strip(_BLANK)
    try:
        value, end = _DECODER.raw_decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if end != len(text):
        raise ValueError(f"something follows the value: {text[end : end + 20]!r}")
    return cast(Json, value)


def parse_each(text: str) -> tuple[list[Json], str]:
    """The JSON values that stand one after another, and what follows that is none. Never raises."""
    values: list[Json] = []
    text = text.strip(_PADDING)
    at = 0
    while at < len(text):
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        values.append(value)
        while text[at : at + 1] in _BETWEEN and at < len(text):
            at += 1
    return values, text[at:]


def parse_first(text: str) -> Json:
    """The first JSON value of a text; whatever follows it is ignored. Raises ValueError."""
    try:
        value: Json = _DECODER.raw_decode(text.lstrip(_PADDING))[0]
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def mapping(value: Json) -> JsonObject:
    """The object, or an empty one where something else stands."""
    return value if isinstance(value, Mapping) else _NOTHING


def string(value: Json) -> str | None:
    """The text, or None where something else or nothing stands."""
    return value if isinstance(value, str) and value else None


def usd(value: Json) -> Decimal | None:
    """An amount of dollars that is one: `core.values.amount` without absurd exponents."""
    sum_ = amount(value)
    return sum_ if sum_ is not None and abs(sum_.adjusted()) <= _MOST_EXPONENT else None
