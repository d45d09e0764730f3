"""A conversation as it goes on: what is asked, what arrives, and all of it kept as it happens.

A question is on the disk before it is sent. The answer's turn is there from the first moment, with
status `running`, and grows there a few times a second; its end says how it went. So a kill loses
at most a moment of one answer, and a stop (a cancellation) keeps what had arrived.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from nemocli.chat.ports import Sessions
from nemocli.chat.session import (
    Session,
    Status,
    Turn,
    cost_of,
    last_question,
    messages_of,
)
from nemocli.core.budget import RunBudget
from nemocli.core.events import Event, Finished, Reasoning, Text
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import total_of
from nemocli.core.plan import Plan
from nemocli.core.ports import Entry, World
from nemocli.core.request import Effort, Request, ToolCall
from nemocli.core.usage import Usage, add
from nemocli.core.values import Json
from nemocli.engine.agent import LoopLimits, LoopOutcome, NoTools, ToolResult, Tools, converse
from nemocli.engine.call import Sink
from nemocli.engine.run import Answer

SAVE_S = 0.5
"""How often a growing answer is written down."""

Refusal = Callable[[ToolCall], Awaitable[str | None]]
_TRUNCATED = frozenset({FaultKind.TRUNCATED, FaultKind.CUT, FaultKind.BUDGET})


@dataclass(slots=True)
class Asking:
    """How the next question is asked: the plan, and what goes with every request."""

    plan: Plan
    model: str
    reasoning: Effort | None = None
    max_tokens: int | None = None
    options: dict[str, Json] = field(default_factory=dict)


class Conversation:
    """One conversation under way. `sessions` None keeps nothing; `begun`: it is kept already.
    `allow` says why a tool call may not be made, `shown` hears of each result."""

    def __init__(
        self,
        session: Session,
        asking: Asking,
        world: World,
        sessions: Sessions | None,
        *,
        tools: Tools | None = None,
        limits: LoopLimits | None = None,
        budget: RunBudget | None = None,
        begun: bool = False,
    ) -> None:
        self.session = session
        self.asking_how = asking
        self.tools: Tools = tools or NoTools()
        self.budget = budget
        self.limits = limits or LoopLimits()
        self._world = world
        self._sessions = sessions
        self.allow: Refusal | None = None
        self.shown: Callable[[ToolCall, ToolResult], None] = lambda call, result: None
        self._begun = begun
        self._turn: Turn | None = None
        self._answer: Answer | None = None
        self._saved_s = 0.0

    async def ask(self, text: str, sink: Sink) -> LoopOutcome:
        """Ask, and keep whatever comes of it. A cancellation goes on when that is kept."""
        self._add(Turn(self._world.clock.new_id(), "user", text, self._world.clock.now()))
        return await self.go_on(sink)

    async def go_on(self, sink: Sink) -> LoopOutcome:
        """Ask for an answer to the conversation as it stands."""
        how, clock = self.asking_how, self._world.clock
        provider = how.plan.targets[0].provider.name
        turns = messages_of(self.session.turns, self.session.system, provider)
        request = Request(how.model, turns, how.reasoning, how.max_tokens, how.options)
        plan = replace(how.plan, run_id=clock.new_id(), session=self.session.session_id, keep=True)
        return await converse(
            plan,
            request,
            self._world,
            self._watching(sink),
            tools=self.tools,
            steps=self,
            limits=self.limits,
            budget=self.budget,
        )

    def _watching(self, sink: Sink) -> Sink:
        """The sink, with the answer written down now and then as it grows."""

        def take(event: Event) -> None:
            sink(event)
            if isinstance(event, Text | Reasoning):
                now = self._world.clock.monotonic()
                if now - self._saved_s >= SAVE_S:
                    self._saved_s = now
                    self._save("running")

        return take

    # What the loop tells (`engine.agent.Steps`)

    def asking(self, answer: Answer) -> None:
        """A model call begins: its turn is there from now on."""
        clock = self._world.clock
        self._answer = answer
        self._turn = Turn(clock.new_id(), "assistant", "", clock.now(), "running")
        self._saved_s = clock.monotonic()
        self._add(self._turn)

    def after_answer(self, answer: Answer) -> None:
        """It is over, one way or another."""
        self._save(status_of(answer))
        self._turn = self._answer = None

    async def refusal(self, call: ToolCall) -> str | None:
        """Why a call may not be made; None where it may."""
        return await self.allow(call) if self.allow is not None else None

    def result(self, call: ToolCall, result: ToolResult) -> None:
        """A tool gave something back."""
        clock = self._world.clock
        status: Status = "error" if result.failed else "complete"
        turn = Turn(
            clock.new_id(), "tool", result.text, clock.now(), status, tool_call_id=call.call_id
        )
        self._add(turn)
        self.shown(call, result)

    # Turns

    def _save(self, status: Status) -> None:
        """The growing turn, as far as it is."""
        turn, answer = self._turn, self._answer
        if turn is None or answer is None:
            return
        fold = answer.fold
        done = status != "running"
        turn = replace(
            turn,
            text=fold.text,
            reasoning=fold.reasoning or None,
            status=status,
            provider=answer.target.provider.name,
            model=fold.started.model or answer.target.name,
        )
        if done:
            turn = replace(
                turn,
                details=tuple(fold.details),
                tool_calls=fold.tool_calls,
                finish_reason=fold.end.reason if isinstance(fold.end, Finished) else None,
                usage=_usage(answer.entries),
                cost_pico=_cost(answer.entries),
                cost_source=answer.entries[-1].cost.source if answer.entries else None,
                attempts=tuple(entry.attempt_id for entry in answer.entries),
            )
        self._turn = turn
        self._put(turn)

    def _add(self, turn: Turn) -> None:
        self.session = replace(self.session, turns=(*self.session.turns, turn))
        self._keep(turn)

    def _put(self, turn: Turn) -> None:
        turns = tuple(turn if t.turn_id == turn.turn_id else t for t in self.session.turns)
        self.session = replace(
            self.session,
            turns=turns,
            provider=turn.provider or self.session.provider,
            model=turn.model or self.session.model,
        )
        self._keep(turn)

    def _keep(self, turn: Turn) -> None:
        if self._sessions is None:
            return
        if not self._begun:
            self._begun = True
            self._sessions.begin(replace(self.session, turns=()))
        self._sessions.keep(self.session.session_id, turn)

    def drop(self, place: int) -> Sequence[Turn]:
        """Take the turns from a place on out of the conversation."""
        gone = self.session.turns[place:]
        self.session = replace(
            self.session,
            turns=self.session.turns[:place],
            undone_pico=total_of((self.session.undone_pico, cost_of(gone))),
        )
        if self._sessions is not None and self._begun:
            self._sessions.undo(self.session.session_id, [turn.turn_id for turn in gone])
        return gone

    def undo(self, count: int = 1) -> Sequence[Turn]:
        """Take back the last questions and their answers."""
        gone: tuple[Turn, ...] = ()
        for _ in range(count):
            place = last_question(self.session.turns)
            if place is None:
                break
            gone = (*self.drop(place), *gone)
        return gone

    def change(self, **new: object) -> None:
        """Another name, system prompt, path."""
        self.session = replace(self.session, **new)  # type: ignore[arg-type]
        if self._sessions is not None and self._begun:
            self._sessions.change(self.session)

    def fork(self, name: str | None = None) -> Session:
        """Go on in a copy; what is copied is what was there before."""
        clock = self._world.clock
        old, now = self.session, clock.now()
        copies = tuple(replace(turn, turn_id=clock.new_id()) for turn in old.turns)
        self.session = replace(
            old,
            session_id=clock.new_id(),
            name=name,
            created_at=now,
            updated_at=now,
            forked_from=old.session_id,
            turns=copies,
            undone_pico=0,
        )
        if self._sessions is not None:
            try:
                self._sessions.begin(self.session)
            except NemoError:
                self.session = old
                raise
            self._begun = True
        return old

    def renew(self) -> None:
        """Begin anew, with the same system prompt; what was said is kept where it is."""
        clock, old = self._world.clock, self.session
        now = clock.now()
        self.session = Session(
            clock.new_id(), now, now, system=old.system, project=old.project, tags=old.tags
        )
        self._begun = False

    def summarise(self, summary: str, kept: Sequence[Turn], entries: Sequence[Entry] = ()) -> None:
        """Put a summary in the place of all turns but the last ones. `entries` are the calls that
        made it."""
        clock = self._world.clock
        before, old = self.session.undone_pico, self.session.turns[: -len(kept) or None]
        self.drop(0)
        # Those that are kept stand there again.
        self.session = replace(self.session, undone_pico=total_of((before, cost_of(old))))
        words = f"Summary of the conversation so far:\n\n{summary}"
        turn = Turn(clock.new_id(), "user", words, clock.now())
        if entries:
            turn = replace(
                turn,
                cost_pico=_cost(entries),
                cost_source=entries[-1].cost.source,
                attempts=tuple(entry.attempt_id for entry in entries),
            )
        self._add(turn)
        for turn in kept:
            self._add(replace(turn, turn_id=clock.new_id()))


def status_of(answer: Answer) -> Status:
    """How an answer ended; one that nobody judged was stopped."""
    fault: Fault | None = answer.fault
    if fault is None:
        return "complete" if answer.fold.end is not None else "interrupted"
    if fault.kind is FaultKind.INTERRUPTED:
        return "interrupted"
    cut = fault.kind in _TRUNCATED and answer.fold.text_chars
    return "truncated" if cut else "error"


def _usage(entries: Sequence[Entry]) -> Usage:
    total = Usage()
    for entry in entries:
        total = add(total, entry.usage)
    return total


def _cost(entries: Sequence[Entry]) -> int | None:
    return total_of(entry.cost.pico for entry in entries)
