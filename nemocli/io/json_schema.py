"""JSON Schema: what `--schema` was given, and whether an answer satisfies it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.ports import Validator
from nemocli.core.provider import plain
from nemocli.core.schema import schema_of_fields
from nemocli.core.text import one_line
from nemocli.core.values import Json, JsonObject
from nemocli.io.files import read_text

if TYPE_CHECKING:
    from jsonschema.protocols import Validator as Checker

MOST_COMPLAINTS = 20
LONGEST = 240
"""Characters of one complaint."""
MOST_EXPONENT = 10_000
"""Numbers further from 1 than this are refused: to compute with them takes for ever."""
_SCHEMA_WORDS = frozenset(
    {"properties", "$ref", "$defs", "anyOf", "oneOf", "allOf", "items", "enum", "const", "not"}
)
"""Words that only a schema has; `type` stands in wrappers too."""
_INT_DIGITS = 4000
"""Python refuses to turn much more than this into an int; a Decimal takes any length."""


def schema_argument(text: str) -> JsonObject:
    """The schema an argument means: inline JSON, a file (of JSON, or of fields) or a list of
    fields. Only `{` in front makes it inline, only `@` in front surely a file.

    Raises NemoError with the position of what is wrong.
    """
    given = text.strip()
    if given.startswith("{"):
        return _unwrapped(_parsed(given, "--schema"))
    name = given.removeprefix("@")
    content = _content(name)
    if content is not None:
        if name.endswith(".json") or content.lstrip().startswith("{"):
            return _unwrapped(_parsed(content, name))
        return _fields_in(content, name)
    if given.startswith("@") or _looks_like_a_path(given):
        raise usage_error(f"--schema: no such file: {name}")
    return schema_of_fields(given)


def _unwrapped(schema: JsonObject) -> JsonObject:
    """The schema inside what OpenAI's API wants around one: `{name, schema}`, also as the value of
    `json_schema` or of a whole `response_format`. As a schema such a wrapper would allow all."""
    for name in ("response_format", "json_schema"):
        if isinstance(inner := schema.get(name), Mapping) and not _SCHEMA_WORDS & schema.keys():
            schema = inner
    inner = schema.get("schema")
    if isinstance(inner, Mapping) and not _SCHEMA_WORDS & schema.keys():
        return inner
    return schema


def _content(name: str) -> str | None:
    try:
        file = Path(name).expanduser()
        if not file.exists() or file.is_dir():
            return None
    except (OSError, ValueError, RuntimeError):  # too long, or in no other way a name of a file
        return None
    return read_text(file)


def _looks_like_a_path(text: str) -> bool:
    """A slash may be in a description (`km/h`), but not in fields without one."""
    return not re.search(r"[\s,:]", text) and (text.endswith(".json") or os.sep in text)


def _fields_in(content: str, name: str) -> JsonObject:
    try:
        return schema_of_fields(content)
    except NemoError as error:
        what = error.fault.message.removeprefix("--schema: ")
        raise config_error(f"{name}: {what}", error.fault.hint) from error


def _parsed(text: str, where: str) -> JsonObject:
    try:
        value = plain(_exact(text))
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}:{error.colno}"
        raise config_error(f"{place}: not JSON: {error.msg}") from error
    except ValueError as error:
        raise config_error(f"{where}: not JSON: {error}") from error
    except RecursionError:
        raise config_error(f"{where}: nested too deeply") from None
    if not isinstance(value, Mapping):
        raise config_error(f"{where}: a JSON Schema is an object")
    return value


def validator(schema: JsonObject) -> Validator:
    """A function from an answer's text to what is wrong with it; numbers are compared exactly.

    Raises NemoError (config) here, before anything is billed, for a schema that is none, or that
    refers to what is not in it: nothing is fetched.
    """
    where = "--schema"
    checker = checker_for(schema, where)
    try:
        exact = _exact(json.dumps(plain(schema)))
        assert isinstance(exact, dict)
        exact.pop("$schema", None)  # or a `$ref` to the root would bring back the plain checker
        checker = checker.evolve(schema=exact)
        next(iter(checker.iter_errors(None)), None)
    except RecursionError:
        raise config_error(f"{where}: it refers to itself without end") from None
    except ValueError as error:
        raise config_error(f"{where}: {error}") from error

    def complaints(text: str) -> list[str]:
        try:
            value = _exact(text)
        except ValueError as error:
            return [f"not JSON: {one_line(str(error), 120)}"]
        except RecursionError:
            return ["nested too deeply"]
        return schema_errors(checker, value)

    return complaints


def checker_for(schema: Mapping[str, Any], where: object) -> Checker:
    """A checker of the draft the schema names, 2020-12 where it names none. Raises NemoError."""
    from jsonschema import SchemaError
    from jsonschema.validators import extend
    from referencing import Registry

    kind = _draft(schema, where)
    try:
        kind.check_schema(dict(schema))
        _check_references(kind, schema, where)
    except SchemaError as error:
        what = _short(error.message)
        raise config_error(f"{where}: {_pointer(error.absolute_path)}: {what}") from error
    except RecursionError:
        raise config_error(f"{where}: nested too deeply") from None
    except (ValueError, OverflowError) as error:  # a URL or a pattern that only looks like one
        raise config_error(f"{where}: {one_line(str(error))}") from error
    exact = extend(  # type: ignore[no-untyped-call]
        kind,
        {"multipleOf": _multiple_of},
        type_checker=kind.TYPE_CHECKER.redefine("integer", _is_whole),
    )
    made: Checker = exact(
        schema,
        registry=Registry(),  # an empty one: the default would fetch what a $ref names
        format_checker=kind.FORMAT_CHECKER,
    )
    return made


def schema_errors(checker: Checker, value: object) -> list[str]:
    """What is wrong with a value, at most so many lines, each with its place."""
    from referencing.exceptions import Unresolvable

    lines: list[str] = []
    try:
        for error in checker.iter_errors(value):  # type: ignore[arg-type]
            lines.append(_short(f"at {_pointer(error.absolute_path)}: {error.message}"))
            if len(lines) >= MOST_COMPLAINTS:
                break
    except Unresolvable as error:
        raise _unresolved(str(error.ref), "--schema") from error
    except RecursionError:
        lines.append("nested too deeply")
    return lines


def _draft(schema: Mapping[str, Any], where: object) -> Any:  # noqa: ANN401 - made at run time
    import jsonschema

    newest = jsonschema.Draft202012Validator
    default = newest.META_SCHEMA["$schema"]
    named = str(schema.get("$schema", default))
    kind = jsonschema.validators.validator_for({"$schema": named}, default=newest)
    if named.rstrip("#") != kind.META_SCHEMA["$schema"].rstrip("#"):
        raise config_error(
            f"{where}: /$schema: no known draft: {one_line(named)}",
            f"leave it out, or write {default}",
        )
    return kind


def _check_references(kind: Any, schema: Mapping[str, Any], where: object) -> None:  # noqa: ANN401
    """See that every reference leads to a schema inside this one."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    root = specification_with(kind.META_SCHEMA["$schema"]).create_resource(schema)
    todo = [(root, Registry().resolver_with_root(root))]
    while todo:
        part, resolver = todo.pop()
        for ref in _references(part.contents):
            try:
                target = resolver.lookup(ref).contents
            except (Unresolvable, LookupError, TypeError, ValueError) as error:
                raise _unresolved(ref, where) from error
            if not isinstance(target, Mapping | bool):
                raise _unresolved(ref, where)
        todo += [(sub, resolver.in_subresource(sub)) for sub in part.subresources()]


def _references(contents: object) -> Iterator[str]:
    """What a schema points at; the drafts themselves are at hand and need no looking up."""
    if isinstance(contents, Mapping):
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            ref = contents.get(key)
            if isinstance(ref, str) and "://json-schema.org/" not in ref:
                yield ref


def _unresolved(ref: str, where: object) -> NemoError:
    return config_error(
        f"{where}: `$ref` to {one_line(ref, 120)!r}, which is not in it",
        "a schema must hold all it refers to: nothing is fetched",
    )


class _Number(Decimal):
    """A number as the answer spells it, which is also how a complaint shows it."""

    def __repr__(self) -> str:
        return str(self)


def _exact(text: str) -> Json:
    """A JSON text without loss. Raises ValueError (a JSONDecodeError with the position) or
    RecursionError."""
    value: Json = json.loads(
        text, parse_float=_fraction, parse_int=_whole, parse_constant=_no_constant
    )
    return value


def _fraction(text: str) -> Decimal:
    try:
        number = _Number(text)
        if abs(number.adjusted()) <= MOST_EXPONENT:
            return number
    except InvalidOperation:  # an exponent that no Decimal has
        pass
    raise ValueError(f"a number out of all proportion: {one_line(text, 40)}")


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= _INT_DIGITS else _fraction(text)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _is_whole(_: object, value: object) -> bool:
    if isinstance(value, _Number):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _multiple_of(
    checker: Checker,
    step: Any,  # noqa: ANN401 - the library's own signature
    value: Any,  # noqa: ANN401
    _: object,
) -> Iterator[Exception]:
    """Exact for numbers of any length; the library's own would divide floats, or overflow."""
    from fractions import Fraction

    from jsonschema import ValidationError

    if checker.is_type(value, "number") and Fraction(value) % Fraction(step):
        yield ValidationError(f"{value!r} is not a multiple of {step}")


def _pointer(path: Any) -> str:  # noqa: ANN401 - a deque of names and positions
    return "/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _short(text: str) -> str:
    """A complaint in a line: what is wrong is said at its end, so the middle goes first."""
    line = one_line(text, len(text) + 1)
    half = LONGEST // 2
    return line if len(line) <= LONGEST else f"{line[:half]} … {line[-half:]}"
