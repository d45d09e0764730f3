"""Value classes beside the frozen dataclasses that they stand for."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.value_class import value_class

Made = Callable[[type], type]
simple = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))


def _class(made: Made) -> Any:
    class Row:
        """A row."""

        first: object
        second: object = 2
        secret: object = field(repr=False, default="s")
        note: object = field(compare=False, default=None)

    return made(Row)


NEW = _class(value_class(frozen=True, slots=True))
OLD = _class(dataclass(frozen=True, slots=True))


@value_class(frozen=True, slots=True)
class Pair:
    """Two, for a pickle."""

    left: int
    right: str = ""


@value_class(frozen=True, slots=True)
class Nothing:
    """No field at all."""


@value_class(frozen=True, slots=True)
class Own:
    """One field, and words of its own."""

    value: int

    def __repr__(self) -> str:
        return f"<{self.value}>"

    def __hash__(self) -> int:
        return 7


@given(simple, simple, simple, simple)
def test_shown_and_made_as_a_frozen_dataclass(a: object, b: object, c: object, d: object) -> None:
    new, old = NEW(a, b, secret=c, note=d), OLD(a, b, secret=c, note=d)
    assert repr(new) == repr(old)
    assert "secret" not in repr(new)
    assert [getattr(new, f.name) for f in fields(new)] == [a, b, c, d]
    assert NEW.__match_args__ == OLD.__match_args__


@given(st.tuples(simple, simple, simple, simple), st.tuples(simple, simple, simple, simple))
def test_equal_and_hashed_as_a_frozen_dataclass(one: tuple[Any, ...], two: tuple[Any, ...]) -> None:
    assert (NEW(*one) == NEW(*two)) is (OLD(*one) == OLD(*two))
    assert hash(NEW(*one)) == hash(OLD(*one))
    assert NEW(*one) != OLD(*one)
    assert (NEW(*one) == NEW(*one[:3], "another note")) is True


def test_copied_replaced_and_pickled() -> None:
    pair = Pair(1, "a")
    assert replace(pair, right="b") == Pair(1, "b")
    assert copy.copy(pair) == copy.deepcopy(pair) == pickle.loads(pickle.dumps(pair)) == pair


def test_no_field_or_one() -> None:
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(())
    assert repr(Nothing()) == "Nothing()"
    assert Nothing() != Pair(1)
    assert Own(1) == Own(1) != Own(2)


def test_what_a_class_says_itself_stays() -> None:
    assert repr(Own(3)) == "<3>"
    assert hash(Own(3)) == 7


def test_a_value_has_no_other_fields() -> None:
    assert not hasattr(Pair(1), "__dict__")
