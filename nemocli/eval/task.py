"""Tasks of `nemocli.eval/v1`: a world as a JSON document, tools on it, turns, and a gold path.

A task is data. What a model says is never run; expressions (`eval.expr`) are the author's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from hashlib import sha256
from typing import Any, Literal, cast

from nemocli.core.value_class import value_class
from nemocli.eval.backends import BACKENDS, TRUSTED, wrong_settings
from nemocli.eval.expr import ExprError, compile_expr, fill

SCHEMA = "nemocli.eval/v1"
Role = Literal["consider", "control", "private"]
ROLES: tuple[Role, ...] = ("consider", "control", "private")
PROBES = ("recall", "update", "absent", "provenance")
_EFFECTS = ("require", "set", "append", "remove", "let")


class TaskError(ValueError):
    """What is wrong with a task, with its place in the file: `tools[0].effects[1]: ...`."""


@value_class(frozen=True, slots=True)
class FaultRule:
    """An error put in the way of some calls of a tool, counted from 1."""

    on_call: tuple[int, ...]
    error: str
    transient: bool = True


@value_class(frozen=True, slots=True)
class ToolDef:
    """One tool of a task. A `read` tool changes nothing; `effects` run on a copy of the state and
    count only when all of them hold."""

    name: str
    kind: Literal["read", "write"]
    description: str
    parameters: Mapping[str, Any]
    effects: tuple[Mapping[str, Any], ...] = ()
    returns: Any = None
    faults: tuple[FaultRule, ...] = ()
    backend: str = "declarative"
    settings: Mapping[str, Any] = field(default_factory=dict)


@value_class(frozen=True, slots=True)
class Probe:
    """A question about a fact inside a turn, judged by the words of the answer."""

    fact: str
    kind: str
    expect_any: tuple[str, ...]
    reject_any: tuple[str, ...] = ()


@value_class(frozen=True, slots=True)
class UserTurn:
    """What the user says, what must hold afterwards, and what is said once where it does not."""

    user: str
    checks: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    sets: Mapping[str, Any] = field(default_factory=dict)
    nudge: str | None = None


@value_class(frozen=True, slots=True)
class GoldCall:
    """A call of the one path that is known to be right; `turn` from 1."""

    turn: int
    name: str
    args: Mapping[str, Any]
    optional: bool = False


@value_class(frozen=True, slots=True)
class TaskBudget:
    """The most that one attempt may take; None is no bound."""

    model_calls: int = 40
    tool_calls: int = 60
    usd: float | None = None
    wall_s: float | None = 900.0
    output_tokens: int | None = None


@value_class(frozen=True, slots=True)
class Task:
    """A task as its file says it, or one instance of it with its variables put in."""

    task_id: str
    family: str
    role: Role
    state: Mapping[str, Any]
    tools: tuple[ToolDef, ...]
    turns: tuple[UserTurn, ...]
    system: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    invariants: tuple[str, ...] = ()
    gold: tuple[GoldCall, ...] = ()
    equals_gold: bool = True
    final: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    collateral: bool = False
    budget: TaskBudget = field(default_factory=TaskBudget)
    digest: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def tool(self, name: str) -> ToolDef | None:
        """The tool of that name."""
        return next((tool for tool in self.tools if tool.name == name), None)

    @property
    def trusted_only(self) -> list[str]:
        """Tools that a stranger's file may not bring along."""
        return [tool.name for tool in self.tools if tool.backend in TRUSTED]


def task_of(data: object) -> Task:
    """The task a document describes. Raises TaskError naming the place."""
    top = _mapping(data, "the task")
    _known(top, "the task", {
        "schema", "id", "family", "role", "vars", "system", "state", "tools", "invariants", "turns",
        "gold", "final", "budget", "title", "notes",
    })  # fmt: skip
    if top.get("schema") != SCHEMA:
        raise TaskError(f"schema: it must be {SCHEMA}, not {top.get('schema')!r}")
    role = next((r for r in ROLES if r == top.get("role", "consider")), None)
    if role is None:
        raise TaskError(f"role: one of {', '.join(ROLES)}, not {top.get('role')!r}")
    final = _mapping(top.get("final") or {}, "final")
    _known(final, "final", {"state", "that", "ignore", "collateral"})
    task = Task(
        _text(top, "id", "the task"),
        str(top.get("family") or top.get("id")),
        role,
        _mapping({} if top.get("state") is None else top["state"], "state"),
        tuple(_tool(t, f"tools[{i}]") for i, t in enumerate(_list(top, "tools"))),
        tuple(_turn(t, f"turns[{i}]") for i, t in enumerate(_list(top, "turns"))),
        str(top.get("system") or ""),
        _mapping(top.get("vars") or {}, "vars"),
        tuple(_expressions(_list(top, "invariants"), "invariants")),
        tuple(_gold(g, f"gold[{i}]") for i, g in enumerate(_list(top, "gold"))),
        final.get("state", "equals_gold" if top.get("gold") else None) == "equals_gold",
        tuple(_expressions(_list(final, "that"), "final.that")),
        tuple(map(str, final.get("ignore") or ())),
        final.get("collateral", "forbid") == "allow",
        _budget(_mapping(top.get("budget") or {}, "budget")),
        digest_of(top),
        top,
    )
    _check(task)
    return task


def digest_of(data: object) -> str:
    """16 digits that change when a document does."""
    text = json.dumps(data, sort_keys=True, default=str, ensure_ascii=False)
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _check(task: Task) -> None:
    if not task.turns:
        raise TaskError("turns: there is none")
    names = [tool.name for tool in task.tools]
    if len(set(names)) != len(names):
        raise TaskError("tools: two have the same name")
    for place, call in enumerate(task.gold):
        if call.name not in names:
            raise TaskError(f"gold[{place}].name: there is no tool {call.name!r}")
        if not 1 <= call.turn <= len(task.turns):
            raise TaskError(f"gold[{place}].turn: there are {len(task.turns)} turns")
    if not (task.equals_gold or task.final or any(t.probes or t.checks for t in task.turns)):
        raise TaskError("final: nothing says when the task is done")


def _tool(data: object, where: str) -> ToolDef:
    row = _mapping(data, where)
    _known(row, where, {
        "name", "kind", "description", "parameters", "effects", "returns", "faults", "backend",
        "aliases", "latency_ms", "settings",
    })  # fmt: skip
    kind = str(row.get("kind", "read"))
    backend = str(row.get("backend", "declarative"))
    if kind not in ("read", "write"):
        raise TaskError(f"{where}.kind: read or write, not {kind!r}")
    if backend not in BACKENDS:
        raise TaskError(f"{where}.backend: one of {', '.join(BACKENDS)}, not {backend!r}")
    effects = tuple(
        _effect(e, f"{where}.effects[{i}]") for i, e in enumerate(_list(row, "effects"))
    )
    changing = any(set(e) & {"set", "append", "remove"} for e in effects)
    if kind == "read" and changing:
        raise TaskError(f"{where}.effects: a read tool changes nothing")
    faults = tuple(_fault(f, f"{where}.faults[{i}]") for i, f in enumerate(_list(row, "faults")))
    parameters = row.get("parameters") or {"type": "object", "properties": {}}
    settings = _mapping(row.get("settings") or {}, f"{where}.settings")
    if (wrong := wrong_settings(backend, settings)) is not None:
        raise TaskError(f"{where}.settings{wrong}")
    return ToolDef(
        _text(row, "name", where),
        cast(Literal["read", "write"], kind),
        str(row.get("description") or ""),
        _mapping(parameters, f"{where}.parameters"),
        effects,
        row.get("returns"),
        faults,
        backend,
        settings,
    )


def _effect(data: object, where: str) -> Mapping[str, Any]:
    row = _mapping(data, where)
    kinds = [kind for kind in _EFFECTS if kind in row]
    if len(kinds) != 1:
        raise TaskError(f"{where}: exactly one of {', '.join(_EFFECTS)}")
    for name, value in row.items():
        if name in ("require", "where") or (isinstance(value, str) and value.startswith("=")):
            _expression(str(value).removeprefix("="), f"{where}.{name}")
    if kinds[0] in ("set", "append", "remove"):
        _expression(f"state.{row[kinds[0]]}", f"{where}.{kinds[0]}")
    return row


def _fault(data: object, where: str) -> FaultRule:
    row = _mapping(data, where)
    calls = row.get("on_call")
    if not isinstance(calls, Sequence) or not all(isinstance(c, int) for c in calls):
        raise TaskError(f"{where}.on_call: a list of call numbers")
    return FaultRule(tuple(calls), _text(row, "error", where), bool(row.get("transient", True)))


def _turn(data: object, where: str) -> UserTurn:
    row = _mapping(data, where)
    _known(row, where, {"user", "check", "probe", "sets", "nudge"})
    checks = [_mapping(c, f"{where}.check").get("that") for c in _list(row, "check")]
    return UserTurn(
        _text(row, "user", where),
        tuple(_expressions(checks, f"{where}.check")),
        tuple(_probe(p, f"{where}.probe[{i}]") for i, p in enumerate(_list(row, "probe"))),
        _mapping(row.get("sets") or {}, f"{where}.sets"),
        None if row.get("nudge") is None else str(row["nudge"]),
    )


def _probe(data: object, where: str) -> Probe:
    row = _mapping(data, where)
    kind = str(row.get("kind", "recall"))
    if kind not in PROBES:
        raise TaskError(f"{where}.kind: one of {', '.join(PROBES)}, not {kind!r}")
    expect = tuple(map(str, _list(row, "expect_any")))
    if not expect:
        raise TaskError(f"{where}.expect_any: at least one text")
    return Probe(str(row.get("fact", "")), kind, expect, tuple(map(str, _list(row, "reject_any"))))


def _gold(data: object, where: str) -> GoldCall:
    row = _mapping(data, where)
    turn = row.get("turn", 1)
    if not isinstance(turn, int):
        raise TaskError(f"{where}.turn: a number")
    args = _mapping(row.get("args") or {}, f"{where}.args")
    return GoldCall(turn, _text(row, "name", where), args, bool(row.get("optional")))


def _budget(row: Mapping[str, Any]) -> TaskBudget:
    _known(row, "budget", {"model_calls", "tool_calls", "usd", "wall_s", "output_tokens"})
    usual = TaskBudget()
    try:
        return TaskBudget(
            int(row.get("model_calls", usual.model_calls)),
            int(row.get("tool_calls", usual.tool_calls)),
            None if row.get("usd") is None else float(row["usd"]),
            float(row.get("wall_s", usual.wall_s)),
            None if row.get("output_tokens") is None else int(row["output_tokens"]),
        )
    except (TypeError, ValueError) as error:
        raise TaskError(f"budget: {error}") from None


def _expressions(values: Sequence[object], where: str) -> list[str]:
    return [_expression(str(value), f"{where}[{i}]") for i, value in enumerate(values)]


def _expression(text: str, where: str) -> str:
    try:
        compile_expr(text)
    except ExprError as error:
        raise TaskError(f"{where}: {error}") from None
    return text


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TaskError(f"{where}: names and values, not {type(value).__name__}")
    return cast(Mapping[str, Any], value)


def _list(row: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TaskError(f"{name}: a list, not {type(value).__name__}")
    return value


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise TaskError(f"{where}.{name}: a text is missing")
    return value


def _known(row: Mapping[str, Any], where: str, names: set[str]) -> None:
    from difflib import get_close_matches

    for name in row:
        if name not in names:
            near = get_close_matches(str(name), names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TaskError(f"{where}: there is no field {name!r}{hint}")


def instance(task: Task, epoch: int) -> Task:
    """The task with its variables drawn for an epoch: the same ones for every arm. `{name}` in
    texts is replaced, expressions see them as `vars.name`, and the state is worked out. Raises
    TaskError."""
    chance = random.Random(f"{task.task_id}:{epoch}")  # noqa: S311 - the same for every arm
    drawn: dict[str, Any] = {}
    try:
        for name, rule in task.variables.items():
            drawn[name] = _drawn(name, rule, epoch, chance, drawn)
        names = {**drawn, "vars": drawn}
        raw = {k: _put(v, drawn) for k, v in task.raw.items() if k not in ("vars", "state")}
        state = fill(dict(task.state), names)
    except ExprError as error:
        raise TaskError(f"vars: {error}") from None
    made = task_of({**raw, "state": state})
    return replace(made, values=drawn, digest=task.digest)


def _put(value: Any, drawn: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """`{name}` in every text."""
    if isinstance(value, str):
        for name, each in drawn.items():
            value = value.replace("{" + name + "}", str(each))
        return value
    if isinstance(value, Mapping):
        return {k: _put(v, drawn) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_put(v, drawn) for v in value]
    return value


def _drawn(
    name: str, rule: object, epoch: int, chance: random.Random, drawn: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - JSON
    if rule == "epoch":
        return epoch
    if isinstance(rule, Mapping) and len(rule) == 1:
        kind, value = next(iter(rule.items()))
        if kind == "int" and isinstance(value, Sequence) and len(value) == 2:
            return chance.randint(int(value[0]), int(value[1]))
        if kind == "choice" and isinstance(value, Sequence) and value:
            return chance.choice(list(value))
    if isinstance(rule, int | str):
        return fill(rule, {**drawn, "vars": drawn})
    raise TaskError(
        f"vars.{name}: `epoch`, {{int: [LOW, HIGH]}} or {{choice: [...]}}, or `=` and an expression"
    )
