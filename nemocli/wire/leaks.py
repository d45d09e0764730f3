"""Tool calls that a server left in the text of an answer, seen under any cut of the stream.

A server without its tool parser, or one whose model slips late in a long session, sends the model's
own markup as text. The text stays what it is: only the model's words are there to be read.
"""

from __future__ import annotations

import re

from nemocli.core.events import Warned

_MARKUP = re.compile(
    r"<tool_call>\s*(?:<function=|\{)|<function=[\w.-]{1,64}>\s*(?:<parameter=|</function>)"
    r"|<TOOLCALL>\s*\[|\[TOOL_CALLS\]"
)
_LONGEST = 120
"""Characters that the beginning of a match may take."""


class LeakWatch:
    """Looks through an answer's text for calls; `found` once one was seen."""

    __slots__ = ("_tail", "found")

    def __init__(self) -> None:
        self._tail = ""
        self.found = False

    def feed(self, text: str) -> None:
        """The next piece of the answer."""
        if self.found or not (self._tail or "<" in text or "[" in text):
            return
        text = self._tail + text
        self.found = _MARKUP.search(text) is not None
        last = text[-_LONGEST:]
        self._tail = last if "<" in last or "[" in last else ""

    def warnings(self, provider: str) -> tuple[Warned, ...]:
        """What to tell the user."""
        if not self.found:
            return ()
        return (
            Warned(
                "leaked_tool_call",
                f"the answer holds a tool call as text: {provider}'s server does not parse the"
                " model's calls; start it with `--enable-auto-tool-choice --tool-call-parser"
                " qwen3_coder` (vLLM, SGLang), or use another path with `-p`",
            ),
        )
