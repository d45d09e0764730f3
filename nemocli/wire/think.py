"""`<think>` in the text of an answer, told apart from the answer under any cut of the stream.

Servers started without a reasoning parser leave the model's own tags in the text. What counts:

- `<think>` before any text of the answer (blanks aside) opens reasoning, `</think>` ends it.
- `</think>` before any text ends reasoning that came another way (in a field of its own, or opened
  by the chat template) and is dropped.
- Once text of the answer has begun, tags are text: answers about tags are answers.

So reasoning that the template opened and that arrives as plain text stays text, its bare `</think>`
with it: what was shown cannot be taken back, and holding the answer back until no tag can follow
would end streaming for everyone. Such a server needs its reasoning parser switched on.
"""

from __future__ import annotations

from collections.abc import Iterator

OPEN = "<think>"
CLOSE = "</think>"


class ThinkTags:
    """Splits text into pieces of reasoning (True) and of the answer (False)."""

    __slots__ = ("_answering", "_blank", "_held", "_tagged", "_thinking")

    def __init__(self) -> None:
        self._answering = False
        self._thinking = False
        self._tagged = False  # a tag was seen: blanks around it are its own, not the answer's
        self._blank = ""
        self._held = ""  # what may become a tag

    @property
    def answering(self) -> bool:
        """Whether the answer has begun: from here on text is text."""
        return self._answering

    def feed(self, text: str) -> Iterator[tuple[bool, str]]:
        """The pieces that are certain now."""
        if self._answering:
            yield False, text
            return
        text = self._held + text
        self._held = ""
        while text:
            if self._thinking:
                text, piece = self._inside(text)
                if piece:
                    yield True, piece
            else:
                text = self._before(text)
                if self._answering:
                    blank, self._blank = self._blank, ""
                    yield False, blank + text
                    return

    def close(self) -> Iterator[tuple[bool, str]]:
        """What was held back, now that nothing follows."""
        left, self._held = self._held, ""
        if self._thinking:
            if left:
                yield True, left
        elif self._blank + left:
            yield False, self._blank + left
        self._blank = ""

    def _inside(self, text: str) -> tuple[str, str]:
        """What is left to read, and the piece of reasoning before it."""
        end = text.find(CLOSE)
        if end >= 0:
            self._thinking = False
            return text[end + len(CLOSE) :], text[:end]
        keep = _begun(text, CLOSE)
        self._held = text[len(text) - keep :]
        return "", text[: len(text) - keep]

    def _before(self, text: str) -> str:
        bare = text.lstrip()
        if not self._tagged:
            self._blank += text[: len(text) - len(bare)]
        for tag in (OPEN, CLOSE):
            if bare.startswith(tag):
                self._thinking = tag == OPEN
                self._tagged, self._blank = True, ""
                return bare[len(tag) :]
            if tag.startswith(bare):
                self._held = bare
                return ""
        self._answering = True
        return bare


def _begun(text: str, tag: str) -> int:
    """How many characters at the end of the text may be the beginning of the tag."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
