"""What commands that ask have in common: their options as settings, and `-O name=value`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nemocli.core.faults import config_error, usage_error
from nemocli.core.policy import Policy
from nemocli.core.request import EFFORTS, Effort, answers_in
from nemocli.core.values import Json, JsonObject

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


class Asked(Protocol):
    """The options of such a command, as typed."""

    @property
    def providers(self) -> tuple[str, ...]: ...
    @property
    def model(self) -> str | None: ...
    @property
    def system(self) -> str | None: ...
    @property
    def reasoning(self) -> str | None: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def timeout(self) -> str | None: ...
    @property
    def max_cost(self) -> str | None: ...
    @property
    def options(self) -> tuple[str, ...]: ...


def retry_base_s(setup: Setup, default: float = Policy().base_s) -> float:
    """Seconds before the first retry of a call; `NEMOCLI_RETRY_BASE_S` shortens them, for tests and
    the impatient. Raises NemoError (config)."""
    raw = setup.env.get("NEMOCLI_RETRY_BASE_S")
    if not raw:
        return default
    try:
        base_s = float(raw)
    except ValueError:
        base_s = -1
    if not 0 <= base_s <= Policy().longest_s:
        raise config_error(f"NEMOCLI_RETRY_BASE_S: not a number of seconds: {raw!r}")
    return base_s


def settle_options(setup: Setup, wish: Asked, **more: Json) -> JsonObject:
    """Make settings of what was typed, and `more`; the body fields that are none. Raises
    NemoError."""
    setup.flags(
        provider=list(wish.providers) or None,
        model=wish.model,
        system=wish.system,
        reasoning=wish.reasoning,
        max_tokens=wish.max_tokens,
        timeout_s=wish.timeout,
        max_cost_usd=wish.max_cost,
        **more,
    )
    fields, ours = body_options(wish.options)
    setup.flags(**ours)
    return fields


def one_answer(fields: JsonObject) -> JsonObject:
    """The fields, of which none asks for several answers. Raises NemoError (usage): all of them are
    paid for, and one is shown."""
    if answers_in(fields) > 1:
        raise usage_error("`-O n`: one answer at a time", "`nemocli batch` keeps several")
    return fields


def effort_of(word: str | None) -> Effort | None:
    for effort in EFFORTS:
        if word == effort:
            return effort
    return None


def body_options(given: tuple[str, ...]) -> tuple[JsonObject, dict[str, Json]]:
    """`k=v` as body fields, JSON where it reads as JSON, `a.b=v` inside objects; and the one that
    is a setting of this program instead."""
    import json

    fields: dict[str, Json] = {}
    own: dict[str, Json] = {}
    for item in given:
        name, equals, raw = item.partition("=")
        if not name or not equals:
            raise usage_error(f"-O takes `name=value`, not {item!r}")
        try:
            value: Json = json.loads(raw)
        except ValueError:
            value = raw
        if name == "model_path":
            own["embedded.model_path"] = raw
        else:
            _put(fields, name.split("."), value)
    return fields, own


def _put(fields: dict[str, Json], path: list[str], value: Json) -> None:
    for key in path[:-1]:
        inner = fields.setdefault(key, {})
        if not isinstance(inner, dict):
            raise usage_error(f"-O {'.'.join(path)}: {key!r} has a value already")
        fields = inner
    fields[path[-1]] = value
