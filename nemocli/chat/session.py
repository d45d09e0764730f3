"""A conversation as a value: its turns, and what the model is asked next.

A turn is never taken out: what is undone stays on the disk, out of the conversation. A turn that
was stopped keeps what had arrived, and the model is shown it as its own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Literal

from nemocli.core.money import total_of
from nemocli.core.request import Message, Role, ToolCall
from nemocli.core.usage import Usage, tokens_in
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject

Status = Literal["running", "complete", "truncated", "interrupted", "error"]


@value_class(frozen=True, slots=True)
class Turn:
    """One message of a conversation and how it came to be.

    `at` is UTC; `cost_pico` pico-USD, None unknown; `provider` and `model` are those that answered
    (None for what a person typed). `attempts` are the ledger's rows of it.
    """

    turn_id: str
    role: Role
    text: str
    at: datetime
    status: Status = "complete"
    reasoning: str | None = None
    details: tuple[JsonObject, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    provider: str | None = None
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_pico: int | None = None
    cost_source: str | None = None
    finish_reason: str | None = None
    attempts: tuple[str, ...] = ()

    @property
    def chars(self) -> int:
        """Length in characters of what is sent of it again."""
        return len(self.text) + sum(len(c.name) + len(c.arguments) for c in self.tool_calls)


@value_class(frozen=True, slots=True)
class Session:
    """A conversation. `turns` are those in force, oldest first; `provider` and `model` what it was
    last asked of."""

    session_id: str
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    provider: str | None = None
    model: str | None = None
    system: str | None = None
    project: str | None = None
    forked_from: str | None = None
    tags: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    undone_pico: int | None = 0
    """What turns cost that were taken back, in pico-USD; None unknown."""

    @property
    def status(self) -> Status:
        """That of the last turn."""
        return self.turns[-1].status if self.turns else "complete"

    @property
    def cost_pico(self) -> int | None:
        """What all of it cost, with what was taken back, in pico-USD; None where one of the sums
        is unknown."""
        return total_of((cost_of(self.turns), self.undone_pico))


def cost_of(turns: Sequence[Turn]) -> int | None:
    """Sum over the turns that calls were made for, in pico-USD; None where one is unknown."""
    return total_of(t.cost_pico for t in turns if t.role == "assistant" or t.attempts)


def messages_of(
    turns: Sequence[Turn], system: str | None, provider: str | None
) -> tuple[Message, ...]:
    """What the model is shown. A provider's own reasoning items go back to that provider alone; a
    failed answer without a word is left out, and so is a tool call that nothing answers."""
    messages = [Message("system", system)] if system else []
    answered = {turn.tool_call_id for turn in turns if turn.role == "tool"}
    called: set[str] = set()
    for turn in turns:
        if turn.role == "tool":
            if turn.tool_call_id in called:
                messages.append(Message("tool", turn.text, tool_call_id=turn.tool_call_id))
            continue
        calls = tuple(c for c in turn.tool_calls if c.call_id in answered)
        called |= {c.call_id for c in calls}
        if turn.role == "assistant" and not turn.text and not calls:
            continue
        own = turn.provider == provider
        messages.append(
            Message(
                turn.role,
                turn.text,
                turn.reasoning if own and calls else None,
                turn.details if own else (),
                calls,
            )
        )
    return tuple(messages)


def last_question(turns: Sequence[Turn]) -> int | None:
    """The place of the last turn that a person typed."""
    return next((i for i in reversed(range(len(turns))) if turns[i].role == "user"), None)


def question(turns: Sequence[Turn], number: int) -> int | None:
    """The place of the Nth question, from 1; from the end where N is below 0."""
    places = [i for i, turn in enumerate(turns) if turn.role == "user"]
    place = number - 1 if number > 0 else len(places) + number
    return places[place] if 0 <= place < len(places) else None


def context_tokens(turns: Sequence[Turn], system: str | None) -> tuple[int, bool]:
    """How much of the context the conversation takes, in tokens, and whether that is an estimate:
    the last answer's counts, and what came after it by its length."""
    for place in reversed(range(len(turns))):
        usage = turns[place].usage
        if turns[place].role == "assistant" and usage.known:
            after = sum(turn.chars for turn in turns[place + 1 :])
            whole = (usage.input_tokens or 0) + (usage.output_tokens or 0)
            return whole + tokens_in(after), bool(after) or usage.source == "estimated"
    return tokens_in(sum(turn.chars for turn in turns) + len(system or "")), True
