"""Values that are made by the hundred thousand: frozen to the type checker, and cheap to make.

A frozen dataclass sets each field through `object.__setattr__`, which costs three times an ordinary
one; a row of a batch makes twenty values with 130 fields. So these are frozen where it is checked,
by the type checker, and are ordinary at run time: equal, hashed and copied as frozen ones are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as value_class
else:
    from dataclasses import dataclass

    def value_class(*, frozen: bool, slots: bool) -> Any:  # noqa: ANN401 - a class decorator
        """`dataclass(frozen=True, slots=True)`, and frozen to the type checker alone."""
        assert frozen
        return dataclass(unsafe_hash=True, slots=slots)


__all__ = ["value_class"]
