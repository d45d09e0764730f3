"""JSON in bulk: a million lines in, a million lines out. orjson, and the standard library wherever
that one is stricter than JSON files in the wild."""

from __future__ import annotations

import json
from typing import cast

import orjson

from nemocli.core.values import Json, json_part

_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * 19
"""As many digits as the largest integer of 64 bits has: orjson makes a fraction of a larger one."""


def loads(data: bytes) -> Json:
    """The value of a JSON text. Raises ValueError with the standard library's words and place."""
    try:
        return cast(Json, orjson.loads(data))
    except orjson.JSONDecodeError:
        return cast(Json, json.loads(data.decode("utf-8")))


def loads_exactly(data: bytes) -> Json:
    """The same of what is sent on: an integer above 64 bits stays one."""
    if _LONG in data.translate(_DIGITS):
        return cast(Json, json.loads(data.decode("utf-8")))
    return loads(data)


def dumps(value: object, *, ordered: bool = False) -> bytes:
    """Compact UTF-8; `ordered` by keys. Raises ValueError for what JSON cannot say."""
    try:
        return orjson.dumps(value, json_part, orjson.OPT_SORT_KEYS if ordered else None)
    except TypeError:  # half a character, an integer above 64 bits
        try:
            text = json.dumps(value, sort_keys=ordered, separators=(",", ":"), default=json_part)
        except TypeError as error:
            raise ValueError(str(error)) from error
        return text.encode("ascii")
