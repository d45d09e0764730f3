"""JSON as a type, and the few questions asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

__all__ = [
    "Json",
    "JsonObject",
    "amount",
    "count",
    "dig",
    "json_part",
    "mappings",
    "merge",
]

Json: TypeAlias = "bool | int | float | Decimal | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]


@lru_cache(maxsize=1024)
def _split(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def dig(data: Json, path: str) -> Json:
    """The value at a dotted path (`usage.cost`), None where any step is missing."""
    for key in _split(path):
        if type(data) is not dict and not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def merge(base: JsonObject, patch: JsonObject) -> dict[str, Json]:
    """JSON merge patch (RFC 7396): null removes, an object descends, anything else replaces."""
    out = dict(base)
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping):
            under = out.get(key)
            out[key] = merge(under if isinstance(under, Mapping) else {}, value)
        else:
            out[key] = value
    return out


def json_part(value: object) -> object:
    """A part of a body as an encoder of JSON takes it, for what it does not know by itself: exact
    decimals, sets and mappings that are no `dict`. Raises TypeError."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def mappings(value: Json) -> list[JsonObject]:
    """The objects of a list, without anything else that is in it."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def count(value: Json) -> int | None:
    """A token count as servers spell it: a non-negative whole number, or None."""
    if type(value) is int:
        return value if value >= 0 else None
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return int(value) if value >= 0 and value == int(value) else None


def amount(value: Json) -> Decimal | None:
    """A sum of money as servers spell it: a finite non-negative number or numeric string."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() and number >= 0 else None
