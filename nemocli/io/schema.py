"""JSON Schema: what `--schema` was given, and whether an answer satisfies it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.ports import Validator
from nemocli.core.schema import schema_of_fields
from nemocli.core.text import one_line
from nemocli.core.values import JsonObject
from nemocli.io.files import read_text

if TYPE_CHECKING:
    from jsonschema.protocols import Validator as Checker

MOST_COMPLAINTS = 20


def schema_argument(text: str) -> JsonObject:
    """The schema an argument means: inline JSON, a file, or a list of fields.

    Raises NemoError with the position of what is wrong.
    """
    given = text.strip()
    if given.startswith("{"):
        return _parsed(given, "--schema")
    file = Path(given.removeprefix("@")).expanduser()
    looks = given.startswith("@") or given.endswith(".json") or os.sep in given
    if looks or (len(given) < 256 and file.is_file()):
        content = read_text(file)
        if content is None:
            raise usage_error(f"--schema: no such file: {file}")
        return _parsed(content, str(file))
    return schema_of_fields(given)


def _parsed(text: str, where: str) -> JsonObject:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}:{error.colno}"
        raise config_error(f"{place}: not JSON: {error.msg}") from error
    except RecursionError:
        raise config_error(f"{where}: nested too deeply") from None
    if not isinstance(value, dict):
        raise config_error(f"{where}: a JSON Schema is an object")
    return value


def validator(schema: JsonObject) -> Validator:
    """A function from an answer's text to what is wrong with it. Raises NemoError (config) for a
    schema that is none. References are resolved inside the schema only: nothing is fetched."""
    checker = checker_for(schema, "--schema")

    def complaints(text: str) -> list[str]:
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except ValueError as error:
            return [f"not JSON: {one_line(str(error), 120)}"]
        except RecursionError:
            return ["nested too deeply"]
        return found_in(checker, value)

    return complaints


def checker_for(schema: Mapping[str, Any], where: object) -> Checker:
    """A checker of the draft the schema names, 2020-12 where it names none."""
    import jsonschema
    from referencing import Registry

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        at = "/".join(str(step) for step in error.absolute_path)
        raise config_error(f"{where}: /{at}: {one_line(error.message, 200)}") from error
    made: Checker = kind(
        schema,
        registry=Registry(),  # an empty one: the default would fetch what a $ref names
        format_checker=kind.FORMAT_CHECKER,
    )
    return made


def found_in(
    checker: Checker, value: object, said: Callable[[Any], str] | None = None
) -> list[str]:
    """What is wrong with a value, at most so many lines, each with its place."""
    from referencing.exceptions import Unresolvable

    lines = []
    try:
        for error in checker.iter_errors(value):  # type: ignore[arg-type]
            at = "/".join(str(step) for step in error.absolute_path)
            lines.append(said(error) if said else one_line(f"at /{at}: {error.message}", 240))
            if len(lines) >= MOST_COMPLAINTS:
                break
    except Unresolvable as error:
        raise _unresolved(error) from error
    except RecursionError:
        lines.append("nested too deeply")
    return lines


def _unresolved(error: Exception) -> NemoError:
    return config_error(
        f"--schema: {one_line(str(error), 160)}", "a schema must hold all it refers to"
    )


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
