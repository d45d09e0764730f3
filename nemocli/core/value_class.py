"""Classes of values: shown, compared and hashed by their fields, and frozen to the type checker.

A frozen dataclass writes six functions as text and compiles them, half a millisecond a class: that
was a quarter of what a command took to start. And it sets each field through `object.__setattr__`,
which takes three times as long as an ordinary assignment, of which a row of a batch has 130. Of
these classes one function is written, the one that makes a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["value_class"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value_class
else:
    from collections.abc import Callable, Sequence
    from dataclasses import dataclass, fields
    from operator import attrgetter

    def value_class(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """`dataclass(frozen=True, slots=True)`, but that nothing is frozen at run time."""
        assert frozen

        def build(body: type) -> type:
            value = dataclass(repr=False, eq=False, slots=slots)(body)
            value._compared = _values_of([f.name for f in fields(value) if f.compare])
            for name, method in _SHARED.items():
                if name not in body.__dict__:
                    setattr(value, name, method)
            return value

        return build

    def _values_of(names: Sequence[str]) -> Callable[[object], tuple[Any, ...]]:
        if len(names) > 1:
            return attrgetter(*names)
        return lambda value: tuple(getattr(value, name) for name in names)

    def _text_of(self: object) -> str:
        parts = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
        return f"{self.__class__.__qualname__}({', '.join(parts)})"

    def _is_equal(self: object, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        values = self.__class__._compared
        return values(self) == values(other)

    def _hash_of(self: object) -> int:
        return hash(self.__class__._compared(self))

    _SHARED = {"__repr__": _text_of, "__eq__": _is_equal, "__hash__": _hash_of}
