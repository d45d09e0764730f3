"""`nemocli chat`: one event loop in which one types, and answers come."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from nemocli.chat.conversation import Conversation
from nemocli.chat.session import Session
from nemocli.chat.slash import Slash, parse
from nemocli.cli.chat.options import ChatOptions, asking_of
from nemocli.cli.event_loop import run_async
from nemocli.cli.sessions.show import store_of
from nemocli.core.budget import RunBudget
from nemocli.core.faults import Fault, NemoError, usage_error
from nemocli.core.money import Pico
from nemocli.io.keyboard import QuietKeyboard

if TYPE_CHECKING:
    from nemocli.chat.conversation import Asking
    from nemocli.cli.chat.talk import Talk
    from nemocli.cli.context import Setup
    from nemocli.io.sessions.store import SqliteSessions

TERMINAL = "/dev/tty"


def run_chat(setup: Setup, wish: ChatOptions) -> int:
    """Talk until Ctrl-D; the exit code."""
    piped = _piped(setup)
    asking, choice, cap = asking_of(setup, replace(wish, fallback=True) if wish.compare else wish)
    if wish.compare:
        _comparable(wish, asking)
    store = store_of(setup) if wish.log else None
    if choice.notice:
        setup.err.warn(choice.notice)
    if wish.compare:
        return run_async(
            lambda: _comparing(setup, wish, asking, store, piped=piped, cap=cap),
            interrupt=_interrupt,
        )
    session, begun = _session(setup, wish, store)
    return run_async(
        lambda: _talking(setup, wish, asking, store, session, begun=begun, piped=piped, cap=cap),
        interrupt=_interrupt,
    )


_answering: set[asyncio.Task[object]] = set()
"""The answer under way, which Ctrl-C stops; the chat goes on."""


def _interrupt() -> None:
    for task in list(_answering):
        task.cancel()


def _piped(setup: Setup) -> str | None:
    """What was piped in, for the first message; the terminal is opened again to type into. Raises
    NemoError (usage) where nobody can type or read."""
    terminal = setup.terminal
    if terminal.stdout and terminal.stdin:
        return None
    hint = "`nemocli ask` is for scripts and pipes"
    if not terminal.stdout:
        raise usage_error("a chat needs a terminal to write to", hint)
    from nemocli.io.stdin import read_stdin

    try:
        handle = os.open(TERMINAL, os.O_RDWR)
    except OSError:
        raise usage_error("a chat needs a terminal to type into", hint) from None
    text = read_stdin(wanted=True)
    os.dup2(handle, 0)
    os.close(handle)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the process's own from now on
    return text


def _session(setup: Setup, wish: ChatOptions, store: SqliteSessions | None) -> tuple[Session, bool]:
    """The conversation to go on with, or a new one; whether it is kept already."""
    if wish.again or wish.session is not None:
        if store is None:
            raise usage_error("a conversation that is kept is logged", "leave out `--no-log`")
        found = _found(store, wish.session)
        if found is not None:
            return store.load(found), True
    now = setup.clock.now()
    fresh = Session(
        setup.clock.new_id(),
        now,
        now,
        name=wish.session,
        system=setup.settings.text("system"),
        project=setup.project,
        tags=wish.tags,
    )
    return fresh, False


def _found(store: SqliteSessions, name: str | None) -> str | None:
    """The id of a conversation; None where a name is new."""
    if name is None:
        return store.resolve("last")
    try:
        return store.resolve(name)
    except NemoError as error:
        if "begins several" in error.fault.message:
            raise
        return None


async def _talking(
    setup: Setup,
    wish: ChatOptions,
    asking: Asking,
    store: SqliteSessions | None,
    session: Session,
    *,
    begun: bool,
    piped: str | None,
    cap: Pico | None,
) -> int:
    from nemocli.cli.chat.talk import Talk
    from nemocli.cli.world import world_of

    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(world_of(setup))
        if store is not None:
            stack.callback(store.close)
        budget = None if cap is None else RunBudget(cap)
        conversation = Conversation(session, asking, world, store, budget=budget, begun=begun)
        keyboard = stack.enter_context(QuietKeyboard())
        talk = Talk(setup, wish, conversation, world, keyboard)
        if wish.mcp:
            from nemocli.cli.chat.tools import open_tools

            await open_tools(talk, stack, wish.mcp)
        talk.attach(wish.files, piped)
        if begun:
            talk.recap()
        await _loop(Alone(talk))
    return 0


def _comparable(wish: ChatOptions, asking: Asking) -> None:
    """Raises NemoError (usage) where there is nothing to compare, or no way to."""
    if len(asking.plan.targets) < 2:
        raise usage_error(
            "`--compare` needs two paths", "name them: `chat --compare -p openrouter -p nvidia`"
        )
    if wish.again or wish.session is not None or wish.mcp:
        raise usage_error("`--compare` goes without `--continue`, `--session` and `--mcp`")


async def _comparing(
    setup: Setup,
    wish: ChatOptions,
    asking: Asking,
    store: SqliteSessions | None,
    *,
    piped: str | None,
    cap: Pico | None,
) -> int:
    """Each path has a conversation of its own; one of them may be gone on with alone."""
    from nemocli.cli.chat.compare import Compared
    from nemocli.cli.chat.talk import Talk
    from nemocli.cli.world import world_of

    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(world_of(setup))
        if store is not None:
            stack.callback(store.close)
        budget = None if cap is None else RunBudget(cap)  # one cap over all of them
        keyboard = stack.enter_context(QuietKeyboard())
        talks = []
        for target in asking.plan.targets:
            plan = replace(asking.plan, targets=(target,))
            how = replace(asking, plan=plan, options=dict(asking.options))
            tagged = replace(wish, tags=(*wish.tags, "compare"))
            session, _ = _session(setup, tagged, store)
            conversation = Conversation(session, how, world, store, budget=budget)
            talks.append(Talk(setup, wish, conversation, world, keyboard))
        talks[0].attach(wish.files, piped)
        compared = Compared(talks)
        talks[0].below = compared.status
        await _loop(compared)
        if compared.kept is not None:
            talks[0].below = talks[0].status
            await _loop(Alone(compared.kept))
    return 0


class Alone:
    """One chat for the loop: its commands, and room for the next message."""

    kept: object = None

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    @property
    def attached(self) -> list[tuple[str, str]]:
        """What goes along with the next message."""
        return self._talk.attached

    async def line(self) -> str:
        """The next message or command."""
        return await self._talk.line()

    async def command(self, slash: Slash) -> None:
        """Carry out a command."""
        from nemocli.cli.chat.commands import run_command

        await run_command(self._talk, slash)

    async def message(self, text: str) -> None:
        """Ask, where there is room for the answer."""
        from nemocli.cli.chat.compact import make_room

        await make_room(self._talk)
        await self._talk.message(text)

    def say(self, line: str) -> None:
        """A remark."""
        self._talk.say(line)

    def fail(self, fault: Fault) -> None:
        """What went wrong, and what to type next."""
        self._talk.fail(fault)


class Talking(Protocol):
    """What the loop works with: a chat, or several at once."""

    @property
    def attached(self) -> list[tuple[str, str]]: ...
    @property
    def kept(self) -> object: ...
    async def line(self) -> str: ...
    async def command(self, slash: Slash) -> None: ...
    async def message(self, text: str) -> None: ...
    def say(self, line: str) -> None: ...
    def fail(self, fault: Fault) -> None: ...


async def _loop(talk: Talking) -> None:
    """A message, its answer, and so on until one leaves, or goes on with something else."""
    idle_interrupts = 0
    while talk.kept is None:
        try:
            text = await talk.line()
        except EOFError:
            return
        except KeyboardInterrupt:
            idle_interrupts += 1
            if idle_interrupts > 1:
                return
            talk.say("Ctrl-C again leaves; so does Ctrl-D")
            continue
        idle_interrupts = 0
        if not text.strip() and not talk.attached:
            continue
        try:
            said = parse(text)
            if isinstance(said, Slash) and said.name == "quit":
                return
            await _stoppable(talk, said)
        except NemoError as error:
            talk.fail(error.fault)


async def _stoppable(talk: Talking, said: Slash | str) -> None:
    """Carry out what was typed, in a task of its own that Ctrl-C stops."""
    work = talk.command(said) if isinstance(said, Slash) else talk.message(said)
    task: asyncio.Task[object] = asyncio.create_task(work)
    _answering.add(task)
    try:
        await asyncio.wait({task})
    finally:
        _answering.discard(task)
        if not task.done():  # the chat itself is told to end
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
