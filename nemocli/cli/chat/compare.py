"""`chat --compare`: one line to type into, several paths that answer, each with its own history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nemocli.chat.slash import Slash
from nemocli.cli.ask.compare import foot, head, side_by_side
from nemocli.cli.ask.receipt import usd
from nemocli.cli.chat.commands import run_command
from nemocli.cli.terminal.side_by_side import SideBySide, lines_of
from nemocli.core.events import Event, Fold, Text
from nemocli.core.faults import Fault, FaultKind, usage_error
from nemocli.core.prompt import assemble
from nemocli.core.text import neutral
from nemocli.engine.run import Answer
from nemocli.engine.waiting import acknowledge_stop

if TYPE_CHECKING:
    from nemocli.cli.chat.talk import Talk
    from nemocli.core.plan import Target

ALL = frozenset({"undo", "system", "clear", "reasoning"})
"""Commands that every conversation carries out."""
FIRST = frozenset({"help", "file", "export", "copy"})
"""Commands for which the first one stands."""


class Compared:
    """Several conversations that are told the same. Fills what the loop of a chat works with."""

    def __init__(self, talks: list[Talk]) -> None:
        self._talks = talks
        self.kept: Talk | None = None

    @property
    def attached(self) -> list[tuple[str, str]]:
        """What goes along with the next message."""
        return self._talks[0].attached

    def say(self, line: str) -> None:
        """A remark."""
        self._talks[0].say(line)

    def fail(self, fault: Fault) -> None:
        """What went wrong, and what to type next."""
        self._talks[0].fail(fault)

    async def line(self) -> str:
        """The next message or command."""
        return await self._talks[0].line()

    def status(self) -> str:
        """Below the line: who is compared, and what all of it cost."""
        names = [_target_of(talk).provider.name for talk in self._talks]
        costs = [talk.conversation.session.cost_pico for talk in self._talks]
        known = [c for c in costs if c is not None]
        money = usd(sum(known)) if len(known) == len(costs) else "cost unknown"
        return f" {' | '.join(names)} · {money} · /keep NAME goes on with one"

    async def command(self, slash: Slash) -> None:
        """Carry out a command. Raises NemoError (usage)."""
        if slash.name == "keep":
            self._keep(slash.rest.strip())
        elif slash.name == "cost":
            for talk in self._talks:
                talk.say(head(_target_of(talk)))
                await run_command(talk, slash)
        elif slash.name in ALL:
            for talk in self._talks:
                await run_command(talk, slash)
        elif slash.name in FIRST:
            await run_command(self._talks[0], slash)
        else:
            names = ", ".join(f"/{name}" for name in sorted({*ALL, *FIRST, "cost", "keep"}))
            raise usage_error(f"/{slash.name} does not go with --compare", f"these do: {names}")

    def _keep(self, name: str) -> None:
        found = [t for t in self._talks if _target_of(t).provider.name == name]
        if not found:
            names = ", ".join(_target_of(talk).provider.name for talk in self._talks)
            raise usage_error(
                f"/keep {name or 'NAME'}: nobody here is called that", f"/keep {names}"
            )
        self.kept = found[0]
        self.say(f"from here on: {head(_target_of(found[0]))}")

    async def message(self, text: str) -> None:
        """Ask all of them, show their answers beside one another, and what each took."""
        first = self._talks[0]
        whole = assemble(text, first.piped, first.attached)
        first.attached, first.piped = [], None
        beside = side_by_side(first.setup, [head(_target_of(talk)) for talk in self._talks])
        answers = [Answer(Fold(), _target_of(talk)) for talk in self._talks]
        took = [0.0] * len(self._talks)

        async def one(place: int, talk: Talk) -> None:
            began = talk.world.clock.monotonic()

            def sink(event: Event) -> None:
                if beside is not None and isinstance(event, Text):
                    beside.add(place, event.text)

            try:
                outcome = await talk.conversation.ask(whole, sink)
                answers[place] = outcome.answers[-1]
            except asyncio.CancelledError:
                acknowledge_stop()
                answers[place].fault = Fault(FaultKind.INTERRUPTED, "stopped")
            took[place] = talk.world.clock.monotonic() - began
            if beside is not None:
                beside.end(place)

        tasks = [asyncio.create_task(one(n, talk)) for n, talk in enumerate(self._talks)]
        await _together(tasks)
        self._show(answers, took, beside)

    def _show(self, answers: list[Answer], took: list[float], beside: SideBySide | None) -> None:
        """What is not on the screen yet."""
        out = self._talks[0].setup.out
        if beside is not None:
            beside.close()
            beside.block(
                [
                    ["", *lines_of(foot(a, s), beside.width)]
                    for a, s in zip(answers, took, strict=True)
                ]
            )
        else:
            for answer, seconds in zip(answers, took, strict=True):
                out.line(f"## {head(answer.target)}\n")
                out.line(neutral(answer.fold.text or "(nothing)").rstrip("\n"))
                out.line(f"\n{foot(answer, seconds)}\n")
        for answer in answers:
            for line in answer.warnings:
                self._talks[0].setup.err.warn(f"{answer.target.provider.name}: {line}")


async def _together(tasks: list[asyncio.Task[None]]) -> None:
    """Until all are over; Ctrl-C stops each, and each keeps what it has."""
    try:
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        acknowledge_stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _target_of(talk: Talk) -> Target:
    return talk.conversation.asking_how.plan.targets[0]
