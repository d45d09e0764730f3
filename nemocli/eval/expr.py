"""Expressions of task files: a small part of Python's grammar, walked over by hand.

Names, attributes of objects (`state.orders`), indices, comparisons, `and`/`or`/`not`, arithmetic,
`x if c else y`, lists, dicts, comprehensions and a few functions. There is no `eval`, no attribute
of a Python object can be reached, and every expression ends: what it may do is counted.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from threading import Lock
from typing import Any

from nemocli.core.values import Json

MOST_STEPS = 100_000
MOST_TEXT = 100_000
MOST_LENGTH = 4_000
"""Characters of an expression."""


class ExprError(ValueError):
    """An expression that is none, reaches for what it may not, or cannot be worked out."""


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "len": len,
    "all": all,
    "any": any,
    "sum": sum,
    "min": min,
    "max": max,
    "abs": abs,
    "round": round,
    "sorted": sorted,
    "str": str,
    "int": int,
    "float": float,
    "values": lambda d: list(d.values()),
    "keys": lambda d: list(d.keys()),
    "items": lambda d: [list(pair) for pair in d.items()],
    "lower": lambda s: str(s).lower(),
    "get": lambda d, key, default=None: d.get(key, default),
    "unique": lambda xs: len(list(xs)) == len({str(x) for x in xs}),
    "startswith": lambda s, prefix: str(s).startswith(str(prefix)),
    "range": lambda *bounds: list(range(*bounds)) if max(map(abs, bounds)) <= 10_000 else [],
}
_BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: lambda a, b: a is b,
    ast.IsNot: lambda a, b: a is not b,
}
_NODES = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Attribute, ast.Subscript, ast.Slice,
    ast.Compare, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.IfExp,
    ast.List, ast.Tuple, ast.Dict, ast.ListComp, ast.GeneratorExp, ast.comprehension, ast.Store,
    ast.Call, *_BINARY, *_COMPARE,
)  # fmt: skip


_PARSING = Lock()
"""Two threads in Python's parser at once can fail in it (CPython 3.11, recursion depth)."""


@lru_cache(maxsize=4096)
def compile_expr(text: str) -> ast.expr:
    """The expression, checked. Raises ExprError."""
    if len(text) > MOST_LENGTH:
        raise ExprError(f"longer than {MOST_LENGTH} characters")
    try:
        with _PARSING:
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExprError(f"not an expression: {error}") from None
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise ExprError(f"{type(node).__name__} is not allowed in `{text}`")
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name.startswith("_"):
                raise ExprError(f"{name!r} is not allowed in `{text}`")
        if isinstance(node, ast.Call) and (
            not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS or node.keywords
        ):
            raise ExprError(f"only these can be called: {', '.join(FUNCTIONS)}")
    return tree.body


def evaluate(text: str, names: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON value
    """What an expression comes to. Raises ExprError; nothing else."""
    tree = compile_expr(text)
    try:
        return _Walk(names).of(tree)
    except ExprError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, ArithmeticError, AttributeError) as error:
        raise ExprError(f"`{text}`: {type(error).__name__}: {error}") from None
    except (RecursionError, MemoryError):
        raise ExprError(f"`{text}`: too deep or too large") from None


class _Walk:
    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = dict(names)
        self._steps = 0

    def of(self, node: ast.expr) -> Any:  # noqa: ANN401
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise ExprError("it takes too many steps")
        value = getattr(self, f"_{type(node).__name__.lower()}")(node)
        if isinstance(value, str | list) and len(value) > MOST_TEXT:
            raise ExprError("it grows too large")
        return value

    def _constant(self, node: ast.Constant) -> Any:  # noqa: ANN401
        return node.value

    def _name(self, node: ast.Name) -> Any:  # noqa: ANN401
        if node.id in self._names:
            return self._names[node.id]
        named = {"true": True, "false": False, "null": None}
        if node.id in named:
            return named[node.id]
        raise ExprError(f"there is no {node.id!r}")

    def _attribute(self, node: ast.Attribute) -> Any:  # noqa: ANN401
        owner = self.of(node.value)
        if not isinstance(owner, Mapping):
            raise ExprError(f"{type(owner).__name__} has no field {node.attr!r}")
        if node.attr not in owner:
            raise ExprError(f"there is no field {node.attr!r}")
        return owner[node.attr]

    def _subscript(self, node: ast.Subscript) -> Any:  # noqa: ANN401
        owner = self.of(node.value)
        if isinstance(node.slice, ast.Slice):
            low, high = (self.of(e) if e else None for e in (node.slice.lower, node.slice.upper))
            return owner[low:high]
        key = self.of(node.slice)
        if isinstance(owner, Mapping) and key not in owner:
            raise ExprError(f"there is no entry {key!r}")
        return owner[key]

    def _compare(self, node: ast.Compare) -> bool:
        left = self.of(node.left)
        for op, each in zip(node.ops, node.comparators, strict=True):
            right = self.of(each)
            if not _COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def _boolop(self, node: ast.BoolOp) -> Any:  # noqa: ANN401
        value: Any = None
        for each in node.values:
            value = self.of(each)
            if bool(value) != isinstance(node.op, ast.And):
                return value
        return value

    def _unaryop(self, node: ast.UnaryOp) -> Any:  # noqa: ANN401
        value = self.of(node.operand)
        return not value if isinstance(node.op, ast.Not) else -value

    def _binop(self, node: ast.BinOp) -> Any:  # noqa: ANN401
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(node.op, ast.Mult) and isinstance(left, str | list):
            raise ExprError("texts and lists are not multiplied")
        if isinstance(node.op, ast.Mult) and isinstance(right, str | list):
            raise ExprError("texts and lists are not multiplied")
        if isinstance(left, Decimal) != isinstance(right, Decimal):
            left, right = (Decimal(str(v)) if isinstance(v, float) else v for v in (left, right))
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            raise ExprError("texts are not formatted")
        return _BINARY[type(node.op)](left, right)

    def _ifexp(self, node: ast.IfExp) -> Any:  # noqa: ANN401
        return self.of(node.body if self.of(node.test) else node.orelse)

    def _list(self, node: ast.List) -> list[Any]:
        return [self.of(each) for each in node.elts]

    def _tuple(self, node: ast.Tuple) -> list[Any]:
        return [self.of(each) for each in node.elts]

    def _dict(self, node: ast.Dict) -> dict[str, Any]:
        pairs = zip(node.keys, node.values, strict=True)
        return {str(self.of(k)): self.of(v) for k, v in pairs if k is not None}

    def _listcomp(self, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
        found: list[Any] = []
        self._comprehend(node, 0, found)
        return found

    _generatorexp = _listcomp

    def _comprehend(
        self, node: ast.ListComp | ast.GeneratorExp, depth: int, found: list[Any]
    ) -> None:
        if depth == len(node.generators):
            found.append(self.of(node.elt))
            return
        part = node.generators[depth]
        for value in list(self.of(part.iter)):
            kept = dict(self._names)
            self._bind(part.target, value)
            if all(self.of(test) for test in part.ifs):
                self._comprehend(node, depth + 1, found)
            self._names = kept

    def _bind(self, target: ast.expr, value: Any) -> None:  # noqa: ANN401
        if isinstance(target, ast.Name):
            self._names[target.id] = value
        elif isinstance(target, ast.Tuple):
            for each, part in zip(target.elts, value, strict=True):
                self._bind(each, part)
        else:
            raise ExprError("a comprehension binds names")

    def _call(self, node: ast.Call) -> Any:  # noqa: ANN401
        assert isinstance(node.func, ast.Name)
        return FUNCTIONS[node.func.id](*[self.of(each) for each in node.args])


def fill(value: Json, names: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """A value of a task file with its expressions worked out: a text that begins with `=` is one,
    `{name}` in other texts is replaced. Raises ExprError."""
    if isinstance(value, str):
        if value.startswith("="):
            return evaluate(value[1:], names)
        return _replaced(value, names)
    if isinstance(value, Mapping):
        return {str(k): fill(v, names) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [fill(v, names) for v in value]
    return value


def _replaced(text: str, names: Mapping[str, Any]) -> str:
    for name, value in names.items():
        mark = "{" + name + "}"
        if mark in text:
            text = text.replace(mark, str(value))
    return text
