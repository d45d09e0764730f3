"""Every setting there is, and which of its sources wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeAlias

from nemocli.core.faults import NemoError, config_error
from nemocli.core.request import EFFORTS
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject

Value: TypeAlias = "str | bool | int | Decimal | tuple[str, ...]"
Kind = Literal["text", "words", "argv", "count", "seconds", "usd", "flag"]
Reach = Literal["free", "tighten", "trusted"]


@value_class(frozen=True, slots=True)
class Setting:
    """One setting. `*` in a name stands for a provider's name.

    `project` says what a project file may do with it: set it, only make it stricter than the user
    did, or nothing unless the user trusts the folder (what runs code or moves a key).
    """

    name: str
    kind: Kind
    help: str
    default: Value | None = None
    choices: tuple[str, ...] = ()
    project: Reach = "free"

    @property
    def env(self) -> str | None:
        """The variable that sets it; None for those that only a file can."""
        return None if "*" in self.name else "NEMOCLI_" + self.name.upper().replace(".", "_")


SETTINGS: tuple[Setting, ...] = (
    Setting("provider", "words", "providers in the order they are tried"),
    Setting("model", "text", "model: a card's name, an alias, or a provider's own id"),
    Setting("system", "text", "system prompt"),
    Setting("reasoning", "text", "reasoning effort", choices=EFFORTS),
    Setting("max_tokens", "count", "most output tokens of one answer"),
    Setting("timeout_s", "seconds", "seconds for one attempt, all of it"),
    Setting("max_cost_usd", "usd", "most one run may cost, in USD", project="tighten"),
    Setting("fallback", "flag", "go on to the next provider when one fails", default=False),
    Setting("color", "text", "colour", default="auto", choices=("auto", "always", "never")),
    Setting("offline", "flag", "never leave this machine", default=False, project="tighten"),
    Setting("log", "flag", "keep sessions", default=True, project="tighten"),
    Setting("embedded.model_path", "text", "GGUF file of the embedded model", project="trusted"),
    Setting("keys.*.command", "argv", "command that prints a provider's key", project="trusted"),
    Setting(
        "storage",
        "text",
        "where `auth login` keeps keys",
        default="keyring",
        choices=("keyring", "file"),
        project="trusted",
    ),
)

Lines: TypeAlias = "Mapping[tuple[str | int, ...], int]"
"""The line, from 1, on which the value at a path of keys begins."""

_BY_NAME: Mapping[str, Setting] = {s.name: s for s in SETTINGS}
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_REFUSED = frozenset(
    {"base_url", "url", "endpoint", "proxy", "providers", "profiles", "auth", "keys"}
)
"""What a project file might try; elsewhere these are unknown settings like any other."""


@value_class(frozen=True, slots=True)
class Layer:
    """Settings from one source; `origins` says for each exactly where it was set."""

    values: Mapping[str, Value]
    origins: Mapping[str, str]


@value_class(frozen=True, slots=True)
class Settings:
    """Layers, strongest first, over the built-in defaults."""

    layers: tuple[Layer, ...] = ()

    def get(self, name: str) -> Value | None:
        """The value that won; None when nobody set it. Unknown names are a config fault."""
        for layer in self.layers:
            if name in layer.values:
                return layer.values[name]
        return setting(name).default

    def origin(self, name: str) -> str:
        """Where the value comes from: a flag, a variable, `FILE:LINE`, or `built-in`."""
        for layer in self.layers:
            if name in layer.values:
                return layer.origins[name]
        setting(name)
        return "built-in"

    def names(self) -> list[str]:
        """Every name with a meaning here: the table's, and those of providers that were set."""
        known = [s.name for s in SETTINGS if s.env is not None]
        given = {name for layer in self.layers for name in layer.values}
        return known + sorted(given.difference(known))

    def text(self, name: str) -> str | None:
        """A text setting."""
        value = self.get(name)
        return value if isinstance(value, str) else None

    def words(self, name: str) -> tuple[str, ...]:
        """A list setting; empty when nobody set it."""
        value = self.get(name)
        return value if isinstance(value, tuple) else ()

    def flag(self, name: str) -> bool:
        """A yes-or-no setting."""
        return self.get(name) is True

    def count(self, name: str) -> int | None:
        """A whole number."""
        value = self.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def amount(self, name: str) -> Decimal | None:
        """Seconds or USD, exactly as written."""
        value = self.get(name)
        return value if isinstance(value, Decimal) else None

    def key_command(self, provider: str) -> tuple[str, ...] | None:
        """The command that prints this provider's key, as an argument list."""
        return self.words(f"keys.{provider}.command") or None


def setting(name: str) -> Setting:
    """The row of a name, `keys.anyone.command` included. Raises a config fault with a guess."""
    if found := _find(name):
        return found
    raise config_error(_unknown(name), _advice(name))


def coerce(row: Setting, raw: Json) -> Value:
    """A value as YAML, a variable or a flag spells it. Raises ValueError saying what is wanted."""
    match row.kind:
        case "flag":
            return _flag(raw)
        case "words":
            return _words(raw)
        case "argv":
            return _argv(raw)
        case "count":
            return _count(raw)
        case "seconds" | "usd":
            return _number(raw, zero=row.kind == "usd")
        case "text":
            return _text(raw, row.choices)


def settings_schema() -> JsonObject:
    """The JSON Schema of a settings file, for editors."""
    whole: dict[str, Json] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nemocli settings",
        "type": "object",
        "additionalProperties": False,
    }
    properties: dict[str, Json] = {"schema": {"type": "string"}}
    for row in SETTINGS:
        head, _, rest = row.name.partition(".")
        if not rest:
            properties[row.name] = _described(row)
            continue
        inner: JsonObject = {rest.removeprefix("*."): _described(row)}
        group: JsonObject = {"type": "object", "properties": inner, "additionalProperties": False}
        if rest.startswith("*."):
            group = {"type": "object", "additionalProperties": group}
        properties[head] = group
    return {**whole, "properties": properties}


def _described(row: Setting) -> JsonObject:
    words: JsonObject = {"type": "array", "items": {"type": "string"}}
    kinds: dict[Kind, JsonObject] = {
        "text": {"type": "string"},
        "words": {"anyOf": [{"type": "string"}, words]},
        "argv": words,
        "count": {"type": "integer", "minimum": 1},
        "seconds": {"type": "number", "exclusiveMinimum": 0},
        "usd": {"type": "number", "minimum": 0},
        "flag": {"type": "boolean"},
    }
    said: dict[str, Json] = {**kinds[row.kind], "description": row.help}
    if row.choices:
        # YAML reads the bare words on and off as booleans in most editors.
        said["enum"] = [*row.choices, *([False] if "off" in row.choices else [])]
        del said["type"]
    return said


def from_flags(flags: Mapping[str, Json]) -> Layer:
    """What was typed; None is not typed. Raises NemoError."""
    values = {n: _coerced(setting(n), v, f"`{n}`") for n, v in flags.items() if v is not None}
    return Layer(values, dict.fromkeys(values, "command line"))


def from_env(env: Mapping[str, str]) -> Layer:
    """The `NEMOCLI_*` variables that are settings; an empty one is not set. Raises NemoError."""
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for row in SETTINGS:
        if row.env is not None and env.get(row.env, "").strip():
            values[row.name] = _coerced(row, env[row.env].strip(), row.env)
            origins[row.name] = f"environment {row.env}"
    return Layer(values, origins)


def from_file(data: JsonObject, lines: Lines, file: str) -> Layer:
    """A user's file. Raises NemoError `FILE:LINE: ...` for unknown names and wrong values."""
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for path, raw in _leaves(data):
        name, place = ".".join(path), _place(file, lines, path)
        row = _find(name)
        if row is None:
            raise config_error(f"{place}: {_unknown(name)}", _advice(name))
        values[name] = _coerced(row, raw, f"{place}: {name}")
        origins[name] = place
    return Layer(values, origins)


def from_project(
    data: JsonObject, lines: Lines, file: str, user: Settings
) -> tuple[Layer, tuple[str, ...]]:
    """A project's file in a folder nobody vouched for: its harmless part, and a line for each
    setting it was refused. `user` is what holds without it."""
    refused: list[str] = []
    allowed: dict[str, Json] = {}
    for path, raw in _leaves(data):
        name, place = ".".join(path), _place(file, lines, path)
        row = _find(name)
        if (row is None and path[0] in _REFUSED) or (row is not None and row.project == "trusted"):
            refused.append(f"{place}: `{name}` is ignored until you trust this folder")
        elif row is not None and _loosens(row, raw, user):
            refused.append(f"{place}: `{name}` is looser than yours and is ignored")
        else:
            allowed[name] = raw
    flat_lines: Lines = {(".".join(map(str, p)),): line for p, line in lines.items()}
    return from_file(allowed, flat_lines, file), tuple(refused)


def _loosens(row: Setting, raw: Json, user: Settings) -> bool:
    if row.project != "tighten":
        return False
    try:
        value = coerce(row, raw)
    except ValueError:
        return False  # reported as a wrong value
    yours = user.get(row.name)
    if isinstance(value, Decimal):
        return isinstance(yours, Decimal) and value > yours
    return value != yours and value == row.default


def _find(name: str) -> Setting | None:
    if name in _BY_NAME:
        return None if "*" in name else _BY_NAME[name]
    first, _, rest = name.partition(".")
    middle, _, last = rest.rpartition(".")
    return _BY_NAME.get(f"{first}.*.{last}") if middle else None


def _leaves(data: JsonObject, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], Json]]:
    for key, value in data.items():
        here = (*path, str(key))
        if value is None or here == ("schema",):
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, here)
        else:
            yield here, value


def _place(file: str, lines: Lines, path: tuple[str, ...]) -> str:
    line = lines.get(path)
    return f"{file}:{line}" if line else file


def _coerced(row: Setting, raw: Json, what: str) -> Value:
    try:
        return coerce(row, raw)
    except ValueError as error:
        raise _wrong(what, error) from error


def _wrong(what: str, error: ValueError) -> NemoError:
    return config_error(f"{what}: {error}")


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [s.name for s in SETTINGS], n=1)
    return f"unknown setting `{name}`" + (f"; did you mean `{near[0]}`?" if near else "")


def _advice(name: str) -> str | None:
    if name.partition(".")[0] in _REFUSED - {"keys"}:
        return "addresses are set in profiles/providers/NAME.yaml"
    return "`nemocli config show` lists the settings"


def _flag(raw: Json) -> bool:
    word = str(raw).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(f"must be true or false, not {_shown(raw)}")


def _words(raw: Json) -> tuple[str, ...]:
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(p, str | int) for p in parts):
        raise ValueError(f"must be a list of words, not {_shown(raw)}")
    return tuple(word for p in parts if (word := str(p).strip()))


def _argv(raw: Json) -> tuple[str, ...]:
    listed = isinstance(raw, list | tuple) and all(isinstance(p, str | int) for p in raw)
    if not isinstance(raw, list | tuple) or not listed or not raw or not str(raw[0]):
        raise ValueError("must be a list of arguments such as [pass, show, key]; no shell reads it")
    return tuple(str(p) for p in raw)


def _count(raw: Json) -> int:
    if isinstance(raw, bool) or not str(raw).strip().isdecimal() or int(str(raw)) < 1:
        raise ValueError(f"must be a whole number above 0, not {_shown(raw)}")
    return int(str(raw))


def _number(raw: Json, *, zero: bool) -> Decimal:
    try:
        number = Decimal(str(raw).strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(raw, bool) or not number.is_finite() or number < 0 or not (number or zero):
        raise ValueError(
            f"must be a number {'of 0 or more' if zero else 'above 0'}, not {_shown(raw)}"
        )
    return number


def _text(raw: Json, choices: tuple[str, ...]) -> str:
    if isinstance(raw, list | tuple | Mapping | bool):
        raise ValueError(f"must be text, not {_shown(raw)}")
    if choices and str(raw) not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, not {_shown(raw)}")
    return str(raw)


def _shown(raw: Json) -> str:
    return repr(raw if isinstance(raw, str) else str(raw))[:60]
