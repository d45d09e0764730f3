"""The world of a task: its state, and what a call of a tool does to it.

Effects run on a copy, which takes the state's place only when all of them hold: a call that fails
leaves no trace. Every successful write makes a new version, so that a retry can be told from a
call that makes sense again.
"""

from __future__ import annotations

import ast
import copy
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from nemocli.core.value_class import value_class
from nemocli.eval.expr import ExprError, compile_expr, evaluate, fill
from nemocli.eval.machine import FILES, Machine, MachineResult
from nemocli.eval.task import Task, ToolDef

CallKind = Literal["ok", "error", "transient", "invalid"]


@value_class(frozen=True, slots=True)
class CallResult:
    """What came of a call. `invalid`: it never reached the tool; `transient`: a fault put in its
    way; `error`: the tool said no. `version` is the state's before the call; `outside` what a
    machine did for it."""

    kind: CallKind
    value: Any
    version: int
    outside: MachineResult | None = None

    @property
    def text(self) -> str:
        """What the model is shown."""
        if self.kind == "ok":
            return canonical(self.value)
        return canonical({"error": self.value})


class TaskWorld:
    """One attempt's own copy of a task's state."""

    def __init__(self, task: Task, machine: Machine | None = None) -> None:
        self.task = task
        self._machine = machine
        self.state: dict[str, Any] = copy.deepcopy(dict(task.state))
        self.initial = copy.deepcopy(self.state)
        self.version = 0
        self.made_ids: set[str] = set()
        self.broken: list[tuple[int, str]] = []
        self.turn = 1
        self._calls: Counter[str] = Counter()
        self._ids = 0
        self.leaves: dict[frozenset[str], tuple[dict[str, str], dict[str, str]]] = {}
        """Of a finished world: what `grade` worked out of it."""

    def call(self, name: str, arguments: str, outside: MachineResult | None = None) -> CallResult:
        """Do what a model asked for; `outside` is what a machine did for it when it was recorded.
        Raises nothing: whatever is wrong with it is the result."""
        tool = self.task.tool(name)
        if tool is None:
            known = ", ".join(t.name for t in self.task.tools) or "none"
            return CallResult(
                "invalid", f"there is no tool {name!r}; there are: {known}", self.version
            )
        try:
            args = json.loads(arguments or "{}")
        except (ValueError, RecursionError) as error:
            return CallResult("invalid", f"the arguments are not JSON: {error}", self.version)
        wrong = misfit(args, tool.parameters)
        if wrong is not None:
            return CallResult("invalid", wrong, self.version)
        self._calls[name] += 1
        for fault in tool.faults:
            if self._calls[name] in fault.on_call:
                kind: CallKind = "transient" if fault.transient else "error"
                return CallResult(kind, fault.error, self.version)
        if tool.backend == "declarative":
            return self._done(tool, args, None)
        if outside is None:
            outside = self._carried_out(tool, args)
        return replace(self._done(tool, args, outside), outside=outside)

    def _carried_out(self, tool: ToolDef, args: dict[str, Any]) -> MachineResult:
        if tool.backend == "replay":
            return lookup_recorded(tool, args)
        if self._machine is None:
            return MachineResult(False, "this tool runs on a machine, and there is none here")
        return self._machine.run(tool, args, self.state)

    def _done(
        self, tool: ToolDef, args: dict[str, Any], outside: MachineResult | None
    ) -> CallResult:
        before, version = self.state, self.version
        names: dict[str, Any] = {**args, "args": args, "turn": self.turn}
        usual: Any = "done"
        changes = tool.kind == "write"
        if outside is not None:
            if not outside.ok:
                return CallResult("error", outside.value, version)
            names["result"] = usual = outside.value
        if changes:  # the effects of a read change nothing (`task._tool` sees to it)
            self.state = copy.deepcopy(before)
            if outside is not None:
                self._take(outside)
        try:
            for effect in tool.effects:
                error = self._effect(effect, names)
                if error is not None:
                    self.state = before
                    return CallResult("error", error, version)
            value = fill(tool.returns, self._names(names)) if tool.returns is not None else usual
            value = copy.deepcopy(value)
        except ExprError as error:
            self.state = before
            return CallResult("error", f"the request cannot be carried out: {error}", version)
        if changes and self.state != before:
            self.version += 1
        self._watch()
        return CallResult("ok", value, version)

    def _take(self, outside: MachineResult) -> None:
        """What a machine left behind."""
        if outside.state is not None:
            self.state = copy.deepcopy(dict(outside.state))
        if outside.files is not None and isinstance(self.state.get(FILES), Mapping):
            self.state[FILES] = dict(outside.files)

    def _names(self, names: Mapping[str, Any]) -> dict[str, Any]:
        return {"state": self.state, "vars": dict(self.task.values), **names}

    def _effect(self, effect: Mapping[str, Any], names: dict[str, Any]) -> str | None:
        known = self._names(names)
        if "require" in effect:
            try:
                holds = bool(evaluate(str(effect["require"]), known))
            except ExprError:
                holds = False
            return None if holds else str(fill(effect.get("error", "not possible"), known))
        if "let" in effect:
            names[str(effect["let"])] = fill(effect.get("to"), known)
        elif "set" in effect:
            owner, key = self._place(str(effect["set"]), known)
            owner[key] = copy.deepcopy(fill(effect.get("to"), known))
        elif "append" in effect:
            self._append(effect, known, names)
        elif "remove" in effect:
            rows = evaluate(f"state.{effect['remove']}", known)
            test = str(effect.get("where", "true"))
            rows[:] = [row for row in rows if not evaluate(test, {**known, "it": row})]
        return None

    def _append(
        self, effect: Mapping[str, Any], known: dict[str, Any], names: dict[str, Any]
    ) -> None:
        self._ids += 1
        made = f"{effect.get('id', 'N')}-{self._ids}"
        value = copy.deepcopy(fill(effect.get("value"), {**known, "new_id": made}))
        rows = evaluate(f"state.{effect['append']}", known)
        if not isinstance(rows, list):
            raise ExprError(f"{effect['append']} is no list")
        self.made_ids.add(made)
        rows.append(value)
        names["last"] = value

    def _place(self, path: str, known: Mapping[str, Any]) -> tuple[Any, Any]:
        """The object and the key that a path such as `stock[sku].free` means."""
        node = compile_expr(f"state.{path}")
        if isinstance(node, ast.Attribute):
            return evaluate(ast.unparse(node.value), known), node.attr
        if isinstance(node, ast.Subscript):
            key = evaluate(ast.unparse(node.slice), known)
            return evaluate(ast.unparse(node.value), known), key
        raise ExprError(f"{path} is no place in the state")

    def _watch(self) -> None:
        """Note each invariant that does not hold (any more)."""
        for text in self.task.invariants:
            if not self.holds(text) and text not in (seen for _, seen in self.broken):
                self.broken.append((self.turn, text))

    def holds(self, text: str) -> bool:
        """Whether an expression is true of the state."""
        try:
            return bool(evaluate(text, self._names({"initial": self.initial})))
        except ExprError:
            return False


def lookup_recorded(tool: ToolDef, args: Mapping[str, Any]) -> MachineResult:
    """What a tool of recorded results says; a call that was not recorded is an error of its own."""
    wanted = canonical(args)
    for row in tool.settings.get("results") or ():
        if canonical(row.get("args") or {}) == wanted:
            return MachineResult(True, row.get("value"))
    return MachineResult(False, "this call is not in the recording")


def misfit(args: object, schema: Mapping[str, Any]) -> str | None:
    """What is wrong with arguments, by the part of JSON Schema that tools are written in; None
    where they fit."""
    if not isinstance(args, dict):
        return "the arguments are not an object"
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in args:
            return f"{name!r} is missing"
    for name, value in args.items():
        rule = properties.get(name)
        if rule is None:
            if schema.get("additionalProperties") is True:
                continue
            return f"there is no argument {name!r}"
        wrong = _wrong(value, rule)
        if wrong is not None:
            return f"{name!r} {wrong}"
    return None


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float, Decimal),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def _wrong(value: object, rule: Mapping[str, Any]) -> str | None:
    kind = rule.get("type")
    types = _TYPES.get(str(kind))
    whole = kind == "integer" and isinstance(value, float) and value.is_integer()
    if types is not None and not whole:
        boolean = isinstance(value, bool) and kind != "boolean"
        if boolean or not isinstance(value, types):
            return f"is not of type {kind}"
    if "enum" in rule and value not in rule["enum"]:
        return f"is not one of {', '.join(map(str, rule['enum']))}"
    if kind == "array" and isinstance(value, list) and isinstance(rule.get("items"), Mapping):
        return next((w for v in value if (w := _wrong(v, rule["items"])) is not None), None)
    return None


def canonical(value: object) -> str:
    """JSON in one spelling: 25 and 25.0 are the same, and so are keys in any order."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=str)


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
