"""An answer on the terminal: finished blocks are printed once, only the growing one is redrawn.

What grows is shown as it came, in a few lines at the bottom that are erased and written again, at
most thirty times a second and in one write, so that nothing flickers; when its block is finished
they give way to it for good. So the scrollback is clean, and what was printed survives a resize.
"""

from __future__ import annotations

import asyncio
import io
import re
import time
from typing import TYPE_CHECKING

from nemocli.chat.blocks import Block, Blocks
from nemocli.cli.terminal.tables import columns, fold_lines
from nemocli.core.events import Citation, Event, Reasoning, Retrying, Text, ToolCallPart
from nemocli.core.text import neutral, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

FRAME_S = 1 / 30
MOST_LINES = 8
"""Lines of what grows that are shown at once."""
_HOLD, _SHOW = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronised update: terminals that know it draw once; others ignore it."""
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+([^\n`*_\[]*?)[ \t]*#*[ \t]*")
_SGR = re.compile(r"\x1b\[[0-9;]*m")
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class Painter:
    """The sink of one answer. `write` takes text that is harmless already; `rich` False writes the
    text as it comes, for terminals that obey nothing."""

    def __init__(
        self,
        write: Callable[[str], None],
        size: Callable[[], tuple[int, int]],
        *,
        colour: bool,
        rich: bool = True,
        show_reasoning: bool = False,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._write = write
        self._size = size
        self._colour = colour
        self._rich = rich
        self._show_reasoning = show_reasoning
        self._tell = tell
        self._blocks = Blocks()
        self._console: Console | None = None
        self._buffer = io.StringIO()
        self._drawn: list[str] = []
        self._painted_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._anything = False
        self._began_s = time.monotonic()
        self._thought = ""
        self._thought_chars = 0
        self._thinking = False
        self._citations: list[Citation] = []
        self._waiting = "waiting for the first token"

    # Events

    def event(self, event: Event) -> None:
        """The next event of the answer."""
        match event:
            case Text(text):
                self._end_thought()
                self._text(neutral(text))
            case Reasoning(text):
                self._reason(neutral(text))
            case Citation():
                if event not in self._citations:
                    self._citations.append(event)
            case ToolCallPart(name=name) if name:
                self._waiting = f"calling {one_line(name, 60)}"
            case Retrying(fault, after_s, provider):
                self._commit("")
                wait = f" in {after_s:.0f} s" if after_s >= 1 else ""
                self._tell(f"{fault.message}; asking {provider}{wait}")
            case _:
                pass

    def tick(self) -> None:
        """Nothing came for a while: say how long."""
        if self._rich and not self._anything and not self._thinking:
            waited = time.monotonic() - self._began_s
            self._draw([f"{self._waiting} ({waited:.0f} s)"])

    def end(self) -> None:
        """The answer is over: what was left is finished."""
        self._end_thought()
        if not self._rich:
            if self._anything:
                self._write("\n")
        else:
            self._commit("".join(map(self._rendered, self._blocks.close())))
        for number, source in enumerate(self._citations, 1):
            title = f"{one_line(source.title, 100)}  " if source.title else ""
            self._write(self._dim(f"[{number}] {title}{one_line(source.url, 300)}") + "\n")
        self._citations.clear()

    # Text

    def _text(self, text: str) -> None:
        if not self._rich:
            self._anything = True
            self._write(text)
            return
        found = self._blocks.feed(text)
        if found:
            self._commit("".join(map(self._rendered, found)))
        self._paint_soon()

    def _rendered(self, block: Block) -> str:
        first, self._anything = not self._anything, True
        gap = "\n" if block.gap and block.begins and not first else ""
        return gap + (self._code(block) if block.kind == "code" else self._markdown(block.text))

    def _markdown(self, text: str) -> str:
        heading = _HEADING.fullmatch(text)
        if heading:
            from rich.text import Text as Words

            return self._printed(Words(heading[1].strip(), "bold"))
        from rich.markdown import Markdown

        return self._printed(Markdown(text, hyperlinks=False, code_theme="ansi_dark"))

    def _code(self, block: Block) -> str:
        """Code as it stands, coloured where its language is known; a line longer than the terminal
        is left to it, so that it can be copied whole."""
        parts = [self._dim(f"```{one_line(block.language, 40)}") + "\n"] if block.begins else []
        if block.text:
            parts.append(self._coloured(block.text, block.language) + "\n")
        if block.ends:
            parts.append(self._dim("```") + "\n")
        return "".join(parts)

    def _coloured(self, text: str, language: str) -> str:
        if not self._colour or not language:
            return text
        from pygments import highlight
        from pygments.formatters.terminal import TerminalFormatter
        from pygments.lexers import get_lexer_by_name
        from pygments.util import ClassNotFound

        try:
            lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        except ClassNotFound:
            return text
        return highlight(text, lexer, TerminalFormatter(bg="dark"))

    def _printed(self, thing: object) -> str:
        """What rich makes of a thing, at the width of now."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=self._buffer,
                force_terminal=True,
                color_system="standard" if self._colour else None,
                no_color=not self._colour,
                highlight=False,
                legacy_windows=False,
            )
        self._console.width = max(20, self._size()[0])
        self._console.print(thing)
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        lines = [
            "" if not _SGR.sub("", line).strip() else line.rstrip() for line in text.split("\n")
        ]
        return "\n".join(lines).strip("\n") + "\n"

    # Reasoning

    def _reason(self, text: str) -> None:
        if not self._thinking:
            self._thinking = True
            self._thought_at = time.monotonic()
        self._thought_chars += len(text)
        if not self._rich:
            return
        if not self._show_reasoning:
            self._thought = (self._thought + text)[-400:]
            self._paint_soon()
            return
        *lines, self._thought = (self._thought + text).split("\n")
        if lines:
            self._commit("".join(self._dim(line) + "\n" for line in lines))
        self._paint_soon()

    def _end_thought(self) -> None:
        """Reasoning is over: one line stands for it."""
        if not self._thinking:
            return
        self._thinking = False
        spent = time.monotonic() - self._thought_at
        line = f"thought for {spent:.1f} s, {self._thought_chars:,} characters"
        if self._show_reasoning and self._thought:
            self._commit(self._dim(self._thought) + "\n")
        elif not self._show_reasoning:
            line += " (/reasoning show)"
        self._commit(self._dim(line) + "\n")
        self._thought, self._thought_chars = "", 0

    # The growing part

    def _paint_soon(self) -> None:
        """At most so many times a second; the first at once."""
        now = time.monotonic()
        if now - self._painted_s >= FRAME_S:
            self._paint()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(FRAME_S - (now - self._painted_s), self._paint)

    def _paint(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._painted_s = time.monotonic()
        width = self._size()[0]
        if self._thinking:
            lines = (self._thought or " ").split("\n")[-2:]
            self._draw([_tail(line, width - 1) for line in lines])
            return
        growing = self._blocks.growing
        lines = growing[-width * MOST_LINES :].split("\n") if growing else []
        self._draw(fold_lines(lines, width - 1)[-MOST_LINES:], plain=True)

    def _draw(self, lines: list[str], *, plain: bool = False) -> None:
        shown = [line if plain else self._dim(line) for line in lines]
        self._put("\n".join(shown))
        self._drawn = lines

    def _commit(self, text: str) -> None:
        """Print for good, where the growing part stands."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if text or self._drawn:
            self._put(text)
        self._drawn = []

    def _put(self, text: str) -> None:
        """One write: what grew is erased, the text stands in its place."""
        if not self._rich:
            self._write(text)
            return
        self._write(f"{_HOLD}{self._erase()}{text}{_SHOW}")

    def _erase(self) -> str:
        """Back to the beginning of what was drawn, whatever the width is by now."""
        if not self._drawn:
            return ""
        width = max(1, self._size()[0])
        rows = sum(max(1, -(-columns(line) // width)) for line in self._drawn)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\x1b[J"

    def _dim(self, text: str) -> str:
        return f"{_DIM}{text}{_PLAIN}" if self._rich and self._colour else text


def _tail(line: str, width: int) -> str:
    """The end of a line, in so many columns."""
    line = line[-width:]
    while columns(line) > width:
        line = line[1:]
    return line
