"""What conversations need of the outside: a place where every turn is on the disk as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from nemocli.chat.session import Session, Turn
from nemocli.core.value_class import value_class


@value_class(frozen=True, slots=True)
class FoundTurn:
    """A turn that holds what was searched for; `excerpt` has the words in it between «»."""

    session_id: str
    name: str | None
    turn_id: str
    role: str
    at: datetime
    excerpt: str


class Sessions(Protocol):
    """The store. Every method is durable when it returns; all raise NemoError."""

    def begin(self, session: Session) -> None: ...
    def keep(self, session_id: str, turn: Turn) -> None: ...
    def undo(self, session_id: str, turns: Sequence[str]) -> None: ...
    def change(self, session: Session) -> None: ...
    def load(self, session_id: str) -> Session: ...
    def resolve(self, name: str) -> str: ...
