"""The one door: attempts in order until one answers, each reserved before and booked after."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nemocli.core.budget import RunBudget, output_bound
from nemocli.core.events import (
    Event,
    Failed,
    Finished,
    Fold,
    Reasoning,
    Retrying,
    Text,
    ToolCallPart,
)
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import Pico
from nemocli.core.outcome import shortfall
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Again, FailedAttempt, Next, decide
from nemocli.core.ports import Clock, Entry, Reservation, World
from nemocli.core.request import Request
from nemocli.core.value_class import value_class
from nemocli.engine.book import AttemptId, Times, entry_for
from nemocli.engine.call import Sink, call, open_door

BYTES_PER_TOKEN_AT_WORST = 3
"""UTF-8 bytes of input per token when a promise must not be broken, but for digits and marks: many
vocabularies have a token for each of those. Below this lies only noise."""

IMAGE_TOKENS = 3_000
"""Of one picture, when a promise must not be broken: what sellers count for the largest."""
_LETTERS = b" abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + bytes(range(128, 256))


@dataclass(slots=True)
class Answer:
    """What a run came to: the last attempt's fold and target, every attempt's ledger row, and the
    fault that ended it (None when the answer is complete). `warnings` are lines for the user;
    `lowered` is the bound on output tokens that the hard cap called `cap` forced, where one did;
    `attempt_id` names the row of the attempt under way."""

    fold: Fold
    target: Target
    entries: list[Entry] = field(default_factory=list)
    fault: Fault | None = None
    warnings: list[str] = field(default_factory=list)
    lowered: int | None = None
    cap: str = ""
    attempt_id: str = ""

    @property
    def last(self) -> Entry | None:
        """The row of the attempt that decided, None when there was none."""
        return self.entries[-1] if self.entries else None

    def warn(self, line: str) -> None:
        """Keep a line for the user, once."""
        if line not in self.warnings:
            self.warnings.append(line)


async def run(
    plan: Plan,
    request: Request,
    world: World,
    sink: Sink,
    *,
    budget: RunBudget | None = None,
    answer: Answer | None = None,
) -> Answer:
    """Ask the plan's targets in order. Events reach the sink; failures are held back until the
    policy gives up, and are then in the answer.

    Give `answer` to have it filled in place, so that what arrived survives a cancellation: then
    the attempt is booked, and the cancellation goes on.
    """
    if answer is None:
        answer = Answer(Fold(), plan.targets[0])
    if budget is None and plan.max_cost_pico is not None:
        budget = RunBudget(plan.max_cost_pico)
    job = _Job(plan, request, world, sink, budget, answer)
    history: tuple[FailedAttempt, ...] = ()
    index = 0
    while True:
        fold = await job.attempt(plan.targets[index])
        target = answer.target
        answer.fault = _judged(answer)
        if isinstance(fold.end, Finished):
            for warned in fold.end.warnings:
                answer.warn(warned.message)
        if not isinstance(fold.end, Failed):
            return answer
        history += (FailedAttempt(index, fold.end.fault, fold.shown),)
        match decide(plan.policy, history, len(plan.targets), world.clock.jitter()):
            case Again(after_s):
                sink(Retrying(fold.end.fault, after_s, target.provider.name))
                await world.clock.sleep(after_s)
            case Next():
                index += 1
                sink(Retrying(fold.end.fault, 0, plan.targets[index].provider.name))
            case _:
                return answer


def _judged(answer: Answer) -> Fault | None:
    """What is wrong with the last reply; a token limit that a budget set is the budget's end."""
    name = answer.target.provider.name
    fault = shortfall(answer.fold, name)
    if fault is None or fault.kind is not FaultKind.TRUNCATED or answer.lowered is None:
        return fault
    message = f"the answer was cut after {answer.lowered} output tokens, where {answer.cap} ends"
    return Fault(FaultKind.BUDGET, message, f"raise {answer.cap}", name)


@value_class(frozen=True, slots=True)
class _Job:
    """What every attempt of a run has in common."""

    plan: Plan
    request: Request
    world: World
    sink: Sink
    budget: RunBudget | None
    answer: Answer

    async def attempt(self, target: Target) -> Fold:
        """Open, reserve, call, and book whatever became of it."""
        answer, clock = self.answer, self.world.clock
        answer.fold = fold = Fold(keep=self.plan.keep)
        answer.target = target
        attempt = AttemptId(clock.new_id(), len(answer.entries) + 1, clock.now())
        answer.attempt_id = attempt.id
        watch = _Stopwatch(clock)
        request, promised, begun = self.request, 0, False
        answer.lowered = unreserved = None
        try:
            door = await open_door(target, self.world)
            answer.target = door.target
            row = self._row(door.target, attempt)
            noted, unreserved = self._note(row)
            if not noted:
                request, row = self._promise(door.target, row)
                unreserved = unreserved or self._reserve(row)
            if self.budget is not None:
                promised = row.pico or 0
                self.budget.reserve(promised)
            watch.start()
            begun = True
            sink = watch.watching(tee(fold, self.sink))
            await call(door, request, self.world, sink, self.plan.timeout_s)
        except NemoError as error:
            fold.add(Failed(error.fault.at(target.provider.name)))
        finally:
            times = watch.read()
            entry = entry_for(
                self.plan, answer.target, request, fold, attempt=attempt, times=times, begun=begun
            )
            self._book(entry, promised, unreserved)
        return fold

    def _row(self, target: Target, attempt: AttemptId) -> Reservation:
        return Reservation(
            attempt.id,
            attempt.at,
            target.provider.name,
            target.name,
            Pico(0) if target.free else None,
            self.plan.run_id,
            self.plan.command,
            self.plan.project,
            self.plan.tags,
        )

    def _note(self, row: Reservation) -> tuple[bool, Fault | None]:
        """Note the attempt at once where there is no cap of any kind: whether that is all there is
        to do, and what kept it from being noted."""
        if self.budget is not None:
            return False, None
        try:
            return self.world.ledger.note(row), None
        except NemoError as error:
            return False, error.fault

    def _promise(self, target: Target, row: Reservation) -> tuple[Request, Reservation]:
        """The request with an output bound that fits every cap, and the worst case held for it."""
        caps = [] if target.free else self._caps(row)
        if not caps:
            return self.request, row
        left, name = min(caps)
        price = target.price(row.at.date())
        size = _worst_input(self.request)
        asked = self.request.most_output
        most, answers = target.output_limit, self.request.answers
        fits = output_bound(left, price, size, asked, most, cap=name, answers=answers)
        if isinstance(fits, Fault):
            raise NemoError(fits)
        if fits.lowered:
            self.answer.lowered, self.answer.cap = fits.max_tokens, name
        return replace(self.request, max_tokens=fits.max_tokens), replace(row, pico=fits.worst)

    def _caps(self, row: Reservation) -> list[tuple[int, str]]:
        """What every hard cap over the call leaves, in pico-USD, and what the cap is called."""
        caps = [] if self.budget is None else [(self.budget.left, "`--max-cost`")]
        try:
            room = self.world.ledger.room(row)
        except NemoError as error:  # said when the attempt is booked
            self.answer.warn(f"budgets were not checked: {error.fault.message}")
            return caps
        return caps if room is None else [*caps, (room.left, f"the budget {room.budget!r}")]

    def _reserve(self, row: Reservation) -> Fault | None:
        """Hold the worst case; what kept it from being noted does not keep the call from being
        made. Raises NemoError when a budget does."""
        try:
            for line in self.world.ledger.reserve(row):
                self.answer.warn(line)
        except NemoError as error:  # an answer without its row is better than no answer
            if error.fault.kind is FaultKind.BUDGET:
                raise
            return error.fault
        return None

    def _book(self, entry: Entry, promised: int, unreserved: Fault | None) -> None:
        """Enter the attempt. What is wrong with the ledger is said once, and for the row first."""
        self.answer.entries.append(entry)
        if self.budget is not None:
            self.budget.settle(promised, entry.cost.pico)
        wrong = unreserved
        try:
            self.world.ledger.enter(entry)
        except NemoError as error:
            wrong = error.fault
        if wrong is not None:
            self.answer.warn(wrong.message)


def _worst_input(request: Request) -> int:
    """Input tokens at the most, with room for what a chat template adds to each message."""
    parts = [m.text + (m.reasoning or "") for m in request.messages]
    parts += [c.name + c.arguments for m in request.messages for c in m.tool_calls]
    parts += [f"{t.name}{t.description}{t.parameters}" for t in request.tools]
    parts += [str(d) for m in request.messages for d in m.reasoning_details]
    parts.append(str(request.schema or ""))
    data = "".join(parts).encode("utf-8", "surrogatepass")
    marks = len(data.translate(None, _LETTERS))
    letters = -(-(len(data) - marks) // BYTES_PER_TOKEN_AT_WORST)
    pictures = sum(message.images for message in request.messages)
    return marks + letters + 16 * (len(request.messages) + 1) + IMAGE_TOKENS * pictures


def tee(fold: Fold, sink: Sink) -> Sink:
    """Fold everything; let the outside see all but the failures, which may yet be mended."""

    def take(event: Event) -> None:
        fold.add(event)
        if not isinstance(event, Failed):
            sink(event)

    return take


class _Stopwatch:
    """Time to first token and in all; reasoning counts as tokens, starting a server does not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = clock.monotonic()
        self._first: float | None = None

    def start(self) -> None:
        self._begun = self._clock.monotonic()

    def watching(self, sink: Sink) -> Sink:
        def take(event: Event) -> None:
            if self._first is None and isinstance(event, Text | Reasoning | ToolCallPart):
                self._first = self._clock.monotonic()
            sink(event)

        return take

    def read(self) -> Times:
        ttft = None if self._first is None else self._first - self._begun
        return Times(ttft, self._clock.monotonic() - self._begun)
