"""One chat: the line one types into, the answers drawn, and what goes along with a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from nemocli.chat.session import context_tokens
from nemocli.cli.ask.receipt import receipt, usd
from nemocli.cli.chat.input import InputLine, TabNames
from nemocli.cli.chat.render import Painter
from nemocli.cli.terminal.streams import screen_size
from nemocli.core.events import Event
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.prompt import assemble
from nemocli.core.text import neutral, one_line
from nemocli.core.usage import tokens_in
from nemocli.engine.waiting import acknowledge_stop
from nemocli.io.attachments import attachments

if TYPE_CHECKING:
    from nemocli.chat.conversation import Conversation
    from nemocli.cli.chat.options import ChatOptions
    from nemocli.cli.context import Setup
    from nemocli.core.ports import World
    from nemocli.engine.agent import LoopOutcome
    from nemocli.engine.run import Answer
    from nemocli.io.keyboard import QuietKeyboard

TICK_S = 0.5
FULL = 0.85
"""Share of the context above which old turns should be summarised."""


class Talk:
    """What the loop and the commands work with."""

    def __init__(
        self,
        setup: Setup,
        wish: ChatOptions,
        conversation: Conversation,
        world: World,
        keyboard: QuietKeyboard,
    ) -> None:
        self.setup = setup
        self.wish = wish
        self.conversation = conversation
        self.world = world
        self.keyboard = keyboard
        self.attached: list[tuple[str, str]] = []
        self.piped: str | None = None
        self.show_reasoning = wish.show_reasoning
        self.draft = ""
        self.pace = ""
        self.approvals: dict[str, str] = {}
        self._rich = setup.env.get("TERM") not in (None, "", "dumb")
        names = TabNames(
            lambda: setup.catalogue.providers,
            lambda: [*setup.catalogue.cards, conversation.asking_how.model],
        )
        history = setup.paths.state / "chat-history" if wish.log else None
        self.below = self.status
        self._line = InputLine(
            history, names, self._below_line, vi=wish.vi, colour=setup.terminal.colour_out
        )

    def _below_line(self) -> str:
        return self.below()

    # What is typed

    async def line(self) -> str:
        """The next message or command."""
        default, self.draft = self.draft, ""
        return await self._line.ask(default)

    async def confirm(self, question: str) -> bool:
        """Whether a question is answered with yes."""
        return (await self.choose(f"{question} [y/N] ")).lower() in ("y", "yes")

    async def choose(self, question: str) -> str:
        """What a question is answered with; nothing for Ctrl-C."""
        try:
            return (await self._line.confirm(question)).strip()
        except (EOFError, KeyboardInterrupt):
            return ""

    # What goes along

    def attach(self, paths: tuple[str, ...] | list[str], piped: str | None = None) -> None:
        """Send files along with the next message, and what was piped in. Raises NemoError."""
        if piped is not None and piped.strip():
            self.piped = piped
            self.say(f"stdin goes along: {_sized(piped)}")
        for path in paths:
            found, passed = attachments(path)
            self.attached += found
            text = "".join(text for _, text in found)
            many = f" in {len(found)} files" if len(found) != 1 else ""
            left = f", {passed} left out as no text" if passed else ""
            self.say(f"{one_line(path, 200)} goes along: {_sized(text)}{many}{left}")

    # What is answered

    async def message(self, text: str) -> None:
        """Ask, draw the answer, say what it cost."""
        whole = assemble(text, self.piped, self.attached)
        self.attached, self.piped = [], None
        await self.answer(lambda sink: self.conversation.ask(whole, sink))

    async def answer(self, ask: Callable[[Callable[[Event], None]], object]) -> None:
        """Draw one answer, and how it ended."""
        painter = self.painter()
        self._painter = painter
        began = self.world.clock.monotonic()
        outcome: LoopOutcome | None = None
        ticking = asyncio.create_task(_ticking(painter))
        fault: Fault | None = None
        try:
            outcome = await ask(painter.event)  # type: ignore[misc]
        except asyncio.CancelledError:
            acknowledge_stop()
            fault = Fault(FaultKind.INTERRUPTED, "stopped; the text above is incomplete")
        finally:
            ticking.cancel()
            painter.end()
        self._tell(outcome, fault, self.world.clock.monotonic() - began)

    def painter(self) -> Painter:
        """A sink for one answer."""
        terminal = self.setup.terminal
        return Painter(
            self.setup.out.paint,
            screen_size,
            colour=terminal.colour_out,
            rich=self._rich,
            show_reasoning=self.show_reasoning,
            tell=self.say,
        )

    def pause(self) -> None:
        """Something else is printed in the middle of an answer."""
        self._painter.end()

    def _tell(self, outcome: LoopOutcome | None, fault: Fault | None, total_s: float) -> None:
        """The receipt, and what went wrong."""
        if outcome is not None and outcome.answers:
            last = outcome.answers[-1]
            for line in last.warnings:
                self.setup.err.warn(line)
            self.pace = _pace(last)
            self.say(receipt(last, total_s))
            fault = outcome.fault
        if fault is not None:
            self.fail(fault)

    def full(self) -> int | None:
        """How full the context is, in percent, where old turns had better be summarised."""
        used, limit = self.context()
        if limit is None or used < FULL * limit:
            return None
        return 100 * used // limit

    # What is said

    def say(self, line: str) -> None:
        """A remark."""
        self.setup.err.dim(line)

    def fail(self, fault: Fault) -> None:
        """What went wrong, and what to type next."""
        self.setup.err.error(fault)

    def context(self) -> tuple[int, int | None]:
        """Tokens the conversation takes, and the most there may be."""
        session = self.conversation.session
        used, _ = context_tokens(session.turns, session.system)
        return used, self.conversation.asking_how.plan.targets[0].context

    def status(self) -> str:
        """Below the line: path, model, context, money, speed."""
        how, session = self.conversation.asking_how, self.conversation.session
        target = how.plan.targets[0]
        used, limit = self.context()
        room = f"{used:,} tokens of context"
        if limit is not None:
            room = f"{used:,} of {limit:,} tokens of context"
        cost = session.cost_pico
        money = "cost unknown" if cost is None else usd(cost)
        parts = [target.provider.name, target.name, room, money, self.pace]
        return " " + " · ".join(one_line(part, 60) for part in parts if part)

    def recap(self) -> None:
        """Where a conversation that is gone on with stood."""
        session = self.conversation.session
        name = session.name or session.session_id[:10]
        self.say(f"{name}: {len(session.turns)} turns so far")
        for turn in session.turns[-2:]:
            mark = "> " if turn.role == "user" else ""
            ended = "" if turn.status == "complete" else f" ({turn.status})"
            self.setup.out.line(neutral(mark + one_line(turn.text, 2000) + ended))


def _pace(answer: Answer) -> str:
    """The last answer's time to first token, and how fast it came after that."""
    last = answer.last
    if last is None or last.ttft_s is None:
        return ""
    out, writing_s = last.usage.output_tokens or 0, (last.total_s or 0.0) - last.ttft_s
    rate = f", {out / writing_s:,.0f} tokens/s" if out and writing_s > 0 else ""
    return f"{last.ttft_s:.2f} s to first token{rate}"


def _sized(text: str) -> str:
    return f"{len(text.encode('utf-8', 'replace')):,} bytes, about {tokens_in(len(text)):,} tokens"


async def _ticking(painter: Painter) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        painter.tick()
