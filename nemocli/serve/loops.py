"""Agents that loop, told from agents that work: the same call failing again and again, or the same
tool called with the same arguments for the same result.

OpenCode made 351 calls in 50 s against a stream that ended without its end; a model that has lost
its way calls one tool for ever. Both cost money for nothing, and nobody may be watching.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from nemocli.core.request import Message

MOST_BODIES = 1000
"""Bodies whose failures are remembered."""
QUIET_S = 60.0
"""Without a failure, after which a body starts anew."""


def digest(body: bytes, session: str | None) -> bytes:
    """A body in its session, for comparing."""
    return sha256((session or "").encode() + b"\0" + body).digest()


@dataclass(slots=True)
class Failures:
    """How often each body has failed since it was last answered. `now` are seconds of any clock:
    after QUIET_S without a failure a body may be tried again, for an outage ends some day."""

    _counts: OrderedDict[bytes, tuple[int, float]] = field(default_factory=OrderedDict)

    def of(self, key: bytes, now: float) -> int:
        """How often in a row."""
        count, last = self._counts.get(key, (0, now))
        return count if now - last < QUIET_S else 0

    def fail(self, key: bytes, now: float) -> None:
        """Once more."""
        self._counts[key] = self.of(key, now) + 1, now
        self._counts.move_to_end(key)
        while len(self._counts) > MOST_BODIES:
            self._counts.popitem(last=False)

    def succeed(self, key: bytes) -> None:
        """It was answered: what failed before no longer counts."""
        self._counts.pop(key, None)


def count_repeats(messages: Sequence[Message]) -> int:
    """How many turns at the end of a conversation are one and the same: the model calls the same
    tools with the same arguments, and they answer the same."""
    rounds = _rounds(messages)
    count = 0
    for found in reversed(rounds):
        if found != rounds[-1]:
            break
        count += 1
    return count


def _rounds(messages: Sequence[Message]) -> list[tuple[object, ...]]:
    """Each turn with calls and its results, from the last thing the user said on."""
    found: list[tuple[object, ...]] = []
    for message in messages:
        if message.role == "user":
            found = []
        elif message.role == "assistant" and message.tool_calls:
            calls = tuple((c.name, c.arguments) for c in message.tool_calls)
            found.append((calls,))
        elif message.role == "tool" and found:
            found[-1] = (*found[-1], message.text)
        elif message.role == "assistant":
            found = []
    return found
