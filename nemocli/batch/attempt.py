"""One attempt at a row, and what follows from how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from nemocli.batch.lines import (
    answer_line,
    attempt_line,
    failure_line,
    on_one_line,
    pack_answer,
)
from nemocli.batch.options import JobTerms, Question, RowWork
from nemocli.batch.ports import Results
from nemocli.batch.progress import Tally
from nemocli.batch.request import RowReply, Speller, completion_of, reply_to
from nemocli.batch.reuse import Recall
from nemocli.batch.rows import Row, worst_case
from nemocli.core.backoff import STOPPING_THERE, backoff_s
from nemocli.core.events import Failed, Fold
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Again
from nemocli.core.ports import Call, Entry, Validator, World
from nemocli.core.records import Begun
from nemocli.core.request import answers_in
from nemocli.core.values import JsonObject
from nemocli.engine.book import AttemptId, Times, entry_for
from nemocli.engine.call import open_door
from nemocli.engine.door import Door
from nemocli.engine.pool.pacing import BUSY, Word
from nemocli.engine.pool.ports import Admitted, CallGate, CallOutcome, Halt, Over, Step
from nemocli.engine.structured import complaint, json_in
from nemocli.wire.bulk import dumps

_NO_COST: JsonObject = {"usd": "0", "source": "free", "price_id": None}


class Asker:
    """Makes attempts. Whatever happens to one, it is booked and its place at the gate free."""

    def __init__(
        self,
        terms: JobTerms,
        world: World,
        gate: CallGate,
        results: Results,
        tally: Tally,
        *,
        check: Validator | None = None,
        recall: Recall | None = None,
        warn: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.terms = terms
        self.back: Callable[[RowWork], None] = lambda work: None
        self._world = world
        self._gate = gate
        self._results = results
        self._tally = tally
        self._check = check
        self._recall = recall
        self._warn = warn
        self._doors: dict[tuple[int, str | None], tuple[Door, Speller]] = {}
        self._opening = asyncio.Lock()
        told = terms.told
        self._told = dumps(told.about())
        self._plan = Plan(
            terms.targets,
            timeout_s=terms.timeout_s,
            run_id=told.run_id,
            command=told.command,
            tags=told.tags,
            project=told.project,
        )

    def _worst(self, row: Row, target: Target) -> int:
        """What a call for the row may cost, in pico-USD; 0 where money is not counted. Raises
        NemoError (budget) where a price is unknown."""
        if not self.terms.capped or target.free:
            return 0
        day = self._world.clock.now().date()
        return worst_case(row, target, day, cap=self.terms.cap_name)

    async def attempt(self, work: RowWork, index: int, admitted: Admitted) -> Step:
        """Put the attempt on record, wait to be let through, call, book; then what is next.

        It is on record before it waits, so that no call waits for the disk.
        """
        clock, terms, row = self._world.clock, self.terms, work.row
        attempt = AttemptId(clock.new_id(), len(work.entries) + 1, clock.now())
        try:
            door, speller = await self._door(index, row.model)
            call = speller.call(row)
            if self._recall is not None and self._recalled(self._recall, call, work, index):
                return Over()
            worst = await self._reserve(attempt, door.target, work)
        except NemoError as error:
            return self._unmade(work, index, attempt, error.fault)
        except asyncio.CancelledError:
            self._results.drop(attempt.id)
            raise
        try:
            grant = await admitted(index, row.chars // 4 + terms.output_tokens, worst)
        except BaseException:
            self._results.drop(attempt.id)
            raise
        self._results.begin(attempt.id)
        target, began = door.target, clock.monotonic()
        model = row.model or terms.spec.model or target.name
        question = Question(model, row.chars, answers_in(row.body))
        reply = RowReply(Fold())
        try:
            await reply_to(call, door, self._world, reply)
        finally:
            times = Times(None, clock.monotonic() - began)
            entry = entry_for(
                self._plan, target, question, reply.fold, attempt=attempt, times=times
            )
            self._tally.attempt(entry)
            self._gate.leave(grant, _outcome(entry, reply))
            if reply.fold.end is None:
                self._results.attempt(attempt_line(entry, terms.told))
                self._results.end(attempt.id)
        work.entries.append(entry)
        if work.repairs:
            self._tally.repair_pico += entry.cost.pico or 0
        step = self._judged(work, reply, target)
        self._results.end(attempt.id)
        return step

    def _recalled(self, recall: Recall, call: Call, work: RowWork, index: int) -> bool:
        """Whether the row needs no call, because its answer is known or on its way."""
        if work.repairs or work.name is not None:
            return False
        name = recall.name(call, work.row)
        if name is None:
            return False
        body = recall.find(name)
        if body is not None:
            self._answer_again(work, on_one_line(body), index)
            return True
        if recall.join(name, work):
            return True
        work.name = name
        return False

    def _answer_again(self, work: RowWork, body: bytes, index: int) -> None:
        provider = self.terms.targets[index].provider.name
        more: JsonObject = {"cached": True, "provider": provider, "cost": _NO_COST}
        line = answer_line(work.row, body, (), self.terms.told, status="cached", more=more)
        self._results.answer(line)
        self._tally.cached += 1
        self._tally.count_answer(cut=False)

    def _release(self, work: RowWork, body: bytes | None = None) -> None:
        """Those who waited for this row get its answer, or ask for themselves."""
        if self._recall is None or work.name is None:
            return
        if body is not None:
            self._recall.keep(work.name, body)
        for other in self._recall.waiting(work.name):
            if body is None:
                self.back(other)
            else:
                self._answer_again(other, body, work.targets[0])

    def _unmade(self, work: RowWork, index: int, attempt: AttemptId, fault: Fault) -> Step:
        """No call was made: nothing can have been billed."""
        target = self.terms.targets[index]
        fault = fault.at(target.provider.name)
        if fault.kind in STOPPING_THERE:
            return Halt(fault)
        fold = Fold()
        fold.add(Failed(fault))
        question = Question(work.row.model or target.name, work.row.chars)
        entry = entry_for(
            self._plan,
            target,
            question,
            fold,
            attempt=attempt,
            times=Times(None, 0.0),
            begun=False,
        )
        work.entries.append(entry)
        return self._failed(work, RowReply(fold), fault)

    async def _door(self, index: int, model: str | None) -> tuple[Door, Speller]:
        found = self._doors.get((index, model))
        if found is not None:
            return found
        async with self._opening:
            if (index, model) not in self._doors:
                target = self.terms.targets[index]
                if model is not None:
                    target = self.terms.named(target, model)
                door = await open_door(target, self._world)
                timeouts = door.target.provider.timeouts.within(self.terms.timeout_s)
                self._doors[index, model] = door, Speller(door, self.terms.spec, timeouts)
        return self._doors[index, model]

    async def _reserve(self, attempt: AttemptId, target: Target, work: RowWork) -> int:
        """Hold what it may cost, in pico-USD; 0 where money is not counted."""
        worst = self._worst(work.row, target)
        begun = Begun(
            attempt.id,
            attempt.at,
            target.provider.name,
            target.name,
            worst if self.terms.capped or target.free else None,
            work.row.ordinal,
            work.row.chars,
        )
        for line in await self._results.reserve(begun):
            self._warn(line)
        return worst

    def _judged(self, work: RowWork, reply: RowReply, target: Target) -> Step:
        entry = work.entries[-1]
        fault = entry.fault
        if fault is None or (fault.kind is FaultKind.TRUNCATED and reply.fold.text_chars):
            return self._answered(work, reply, target)
        return self._failed(work, reply, fault)

    def _answered(self, work: RowWork, reply: RowReply, target: Target) -> Step:
        told, entries, row = self.terms.told, work.entries, work.row
        wrong = self._check(json_in(reply.fold.text)) if self._check is not None else []
        if wrong:
            if work.repairs < self.terms.repairs:
                work.repairs += 1
                self._tally.repairs += 1
                work.row = repair_row(row, reply.fold.text, wrong)
                self._results.attempt(attempt_line(entries[-1], told))
                return Again(0.0)
            message = f"the answer does not fit the schema: {wrong[0]}"
            self._give_up(work, str(FaultKind.SCHEMA), message, reply)
            return Over()
        cut = entries[-1].fault is not None
        body = reply.body
        if body is None or row.kind != target.provider.dialect:
            body = completion_of(reply.fold, target.model)
        if cut or len(entries) > 1:
            status = "truncated" if cut else "ok"
            self._results.answer(answer_line(row, body, entries, told, status=status))
        else:
            self._results.quick_answer(pack_answer(row, body, entries[0], self._told))
        self._tally.count_answer(cut=cut)
        self._release(work, None if cut or work.repairs else body)
        return Over()

    def _failed(self, work: RowWork, reply: RowReply, fault: Fault) -> Step:
        last = work.targets[0]
        others = tuple(t for t in range(len(self.terms.targets)) if t > last)
        if fault.kind is FaultKind.RATE and work.refusals < self.terms.patience:
            work.refusals += 1
            self._tally.refused += 1
            return self._again(work, 0.0)
        if fault.kind in STOPPING_THERE:
            if others and not self.terms.spread:
                work.targets = others[:1]
                return self._again(work, 0.0)
            self._results.attempt(attempt_line(work.entries[-1], self.terms.told))
            return Halt(fault)
        work.failures += 1
        if fault.retryable and work.failures < self.terms.tries:
            wait = backoff_s(
                work.failures,
                base_s=self.terms.base_s,
                longest_s=self.terms.longest_s,
                jitter=self._world.clock.jitter(),
                asked_s=fault.retry_after_s,
            )
            return self._again(work, wait)
        if others and not self.terms.spread and fault.kind is not FaultKind.REQUEST:
            work.targets, work.failures = others[:1], 0
            return self._again(work, 0.0)
        self._give_up(work, str(fault.kind), fault.message, reply)
        return Over()

    def _again(self, work: RowWork, seconds: float) -> Step:
        self._tally.retries += 1
        self._results.attempt(attempt_line(work.entries[-1], self.terms.told))
        return Again(seconds)

    def _give_up(self, work: RowWork, code: str, message: str, reply: RowReply) -> None:
        line = failure_line(work.row, code, message, work.entries, self.terms.told, body=reply.body)
        self._results.fail(line)
        self._tally.failed += 1
        self._release(work)


def _outcome(entry: Entry, reply: RowReply) -> CallOutcome:
    fault = entry.fault
    tokens = (entry.usage.input_tokens or 0) + (entry.usage.output_tokens or 0)
    word: Word = "other"
    if reply.fold.answered or fault is None:
        word = "ok"
    elif fault.kind is FaultKind.RATE:
        word = "overloaded" if fault.status in BUSY else "refused"
    elif fault.status in BUSY:
        word = "overloaded"
    elif fault.kind is FaultKind.TIMEOUT and fault.sent:
        word = "lost"
    wait = fault.retry_after_s if fault is not None else None
    return CallOutcome(word, wait, tokens, entry.cost.pico, reply.calls_left)


def repair_row(row: Row, text: str, wrong: list[str]) -> Row:
    """The same question with the wrong answer and what is wrong with it."""
    ask = complaint(wrong)
    what = "messages" if row.kind == "chat" else "input"
    turns = row.body.get(what)
    before: list[Any] = (
        [{"role": "user", "content": turns}] if isinstance(turns, str) else list(cast(Any, turns))
    )
    after = [*before, {"role": "assistant", "content": text}, {"role": "user", "content": ask}]
    return replace(row, body={**row.body, what: after})
