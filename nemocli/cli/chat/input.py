"""The line one types into: prompt_toolkit with the keys of a chat, and nothing lost in a paste."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth

from nemocli.chat.slash import COMMANDS
from nemocli.core.value_class import value_class

if TYPE_CHECKING:
    from prompt_toolkit.input import Input

PASTE_S = 1.0
"""Silence after which a paste is taken for whole, though its end mark never came."""


@value_class(frozen=True, slots=True)
class TabNames:
    """What Tab offers behind a command."""

    providers: Callable[[], Iterable[str]]
    models: Callable[[], Iterable[str]]


class PrivateHistory(FileHistory):
    """What was typed, for this user's eyes; what begins with a space is not kept."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        path.chmod(0o600)
        super().__init__(str(path))

    def store_string(self, string: str) -> None:
        """Keep a message."""
        if not string.startswith(" "):
            with suppress(OSError):
                super().store_string(string)


class SlashCompleter(Completer):
    """Commands, and what may follow them."""

    def __init__(self, names: TabNames) -> None:
        self._names = names
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: Any) -> Iterable[Completion]:
        """For the word under the cursor."""
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, rest = text[1:].partition(" ")
        if not space:
            for command in COMMANDS:
                if command.name.startswith(name):
                    yield Completion(f"/{command.name}", -len(text), display_meta=command.help)
            return
        word = rest.rpartition(" ")[2]
        if name in ("file", "export"):
            yield from self._paths.get_completions(Document(word, len(word)), complete_event)
            return
        for value in sorted(self._values(name)):
            if value.startswith(word):
                yield Completion(value, -len(word))

    def _values(self, name: str) -> set[str]:
        match name:
            case "provider":
                return set(self._names.providers())
            case "model":
                return set(self._names.models())
            case "reasoning":
                return {"show", "hide", "off", "low", "medium", "high"}
            case "retry":
                return {"-p", "-m", *self._names.providers(), *self._names.models()}
            case _:
                return set()


def key_bindings() -> KeyBindings:
    """Enter sends; Ctrl-J, Alt-Enter and a backslash before Enter break the line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.char_before_cursor == "\\":
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("c-j")
    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


class InputLine:
    """Asks for one message after another."""

    def __init__(
        self,
        history: Path | None,
        names: TabNames,
        status: Callable[[], str],
        *,
        vi: bool = False,
        colour: bool = True,
        source: Input | None = None,
    ) -> None:
        kept: History = InMemoryHistory()
        if history is not None:
            with suppress(OSError):
                kept = PrivateHistory(history)
        self._session: PromptSession[str] = PromptSession(
            multiline=True,
            key_bindings=key_bindings(),
            history=kept,
            completer=SlashCompleter(names),
            complete_while_typing=False,
            bottom_toolbar=status,
            prompt_continuation="  ",
            editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
            enable_history_search=False,
            color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
            input=source,
        )

    async def ask(self, default: str = "") -> str:
        """The next message. Raises EOFError for Ctrl-D on an empty line, KeyboardInterrupt for
        Ctrl-C."""
        watching = asyncio.create_task(self._end_lost_pastes())
        try:
            return await self._session.prompt_async("> ", default=default, handle_sigint=False)
        finally:
            watching.cancel()

    async def confirm(self, question: str) -> str:
        """One line of answer to a question."""
        asking: PromptSession[str] = PromptSession(input=self._session.input)
        return await asking.prompt_async(question, handle_sigint=False)

    async def _end_lost_pastes(self) -> None:
        """A terminal, or a slow line, can lose the mark that ends a paste; then no key would ever
        be heard again. After a silence the paste is taken for whole."""
        source: Any = self._session.input
        before: str | None = None
        while True:
            await asyncio.sleep(PASTE_S / 2)
            parser = getattr(source, "vt100_parser", None)
            if not getattr(parser, "_in_bracketed_paste", False):
                before = None
                continue
            now = getattr(parser, "_paste_buffer", "")
            if now == before and parser is not None:
                parser.feed("\x1b[201~")
                processor = self._session.app.key_processor
                processor.feed_multiple(source.read_keys())
                processor.process_keys()
            before = now
