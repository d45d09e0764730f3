"""A short list of fields as a JSON Schema: `name, age int, tags [string]: what it is about`."""

from __future__ import annotations

import re

from nemocli.core.faults import NemoError, usage_error
from nemocli.core.values import Json, JsonObject

TYPES: dict[str, JsonObject] = {
    "str": {"type": "string"},
    "string": {"type": "string"},
    "text": {"type": "string"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "any": {},
}
"""The words a type may be. Without one a field is a string."""

_WORD = r"[^\s,:|?\[\]{}]+"
_TYPE = rf"(?:one\s+of\s+)?{_WORD}(?:\s*\|\s*{_WORD})*"
_FIELD = re.compile(
    r"(?P<name>[^\W\d][\w-]*)(?P<optional>\?)?"
    rf"(?:\s+(?P<type>{_TYPE}|\[\s*(?:{_TYPE})?\s*\])(?P<late>\?)?)?"
    r"\s*(?::\s*(?P<about>.+))?",
    re.DOTALL,
)
_ONE_OF = re.compile(r"one\s+of\s+")


def schema_of_fields(text: str) -> JsonObject:
    """The schema of an object with these fields, or, in `[...]`, of a list of such objects.

    Fields are separated by commas or newlines: `name [TYPE][?][: description]`, where TYPE is a
    word of `TYPES`, `a|b|c` (or `one of a|b|c`) for one of several words, `[TYPE]` for a list, and
    `?` makes the field optional. Raises NemoError (usage) naming the field that cannot be read.
    """
    inner = text.strip()
    many = inner.startswith("[") and inner.endswith("]")
    if many:
        inner = inner[1:-1]
    properties: dict[str, Json] = {}
    required: list[str] = []
    for number, part in enumerate(_parts(inner), 1):
        found = _FIELD.fullmatch(part)
        if found is None:
            raise _unreadable(part, number)
        name = found["name"]
        if name in properties:
            raise usage_error(f"--schema: the field {name!r} is there twice")
        properties[name] = _typed(found, part, number)
        if not (found["optional"] or found["late"]):
            required.append(name)
    if not properties:
        raise usage_error("--schema: there is no field in it", "`--schema 'name, age int'`")
    one: dict[str, Json] = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {"type": "array", "items": one} if many else one


def _parts(text: str) -> list[str]:
    """Fields. A comma in a description is part of it: always where each field has a line of its
    own, else when no field follows it."""
    lines = text.strip().splitlines()
    parts: list[str] = []
    for line in lines:
        about = False
        for piece in line.split(","):
            field = piece.strip()
            if field and about and (len(lines) > 1 or not _FIELD.fullmatch(field)):
                parts[-1] += f", {field}"
            elif field:
                parts.append(field)
                about = ":" in field
    return parts


def _typed(found: re.Match[str], part: str, number: int) -> JsonObject:
    word = found["type"] or "string"
    if word.startswith("["):
        inner = word[1:-1].strip() or "string"
        made: dict[str, Json] = {"type": "array", "items": _one(inner, part, number)}
    else:
        made = dict(_one(word, part, number))
    if found["about"]:
        made["description"] = found["about"].strip()
    return made


def _one(word: str, part: str, number: int) -> JsonObject:
    one_of = _ONE_OF.match(word)
    if one_of or "|" in word:
        choices = word[one_of.end() if one_of else 0 :].split("|")
        return {"type": "string", "enum": list(dict.fromkeys(c.strip() for c in choices))}
    if word.lower() not in TYPES:
        raise _unreadable(part, number)
    return TYPES[word.lower()]


def _unreadable(part: str, number: int) -> NemoError:
    return usage_error(
        f"--schema: field {number} cannot be read: {part[:60]!r}",
        f"a field is `name TYPE: description`; types: {', '.join(TYPES)}, a|b, [TYPE]",
    )
