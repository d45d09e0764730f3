"""Markdown cut into blocks while it streams: a block that is finished never changes again.

A paragraph, a heading, a list item, a table or a quote is a block; a fenced code block comes in
parts of whole lines, so that it can be shown while it grows. The cost is linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from nemocli.core.value_class import value_class

CODE_LINES = 24
"""Lines of code that are shown at once while a code block goes on."""

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})\s*([^`\s]*)[^`]*$")
_ITEM = re.compile(r"^ {0,3}([-*+]|\d{1,9}[.)])(\s|$)")
_HEADING = re.compile(r"^ {0,3}#{1,6}(\s|$)")
_RULE = re.compile(r"^ {0,3}([-*_])( *\1){2,} *$")


@value_class(frozen=True, slots=True)
class Block:
    """Finished text. `gap`: a blank line stands before it. Of code, `language` is its fence's word,
    `begins` and `ends` say which end of the block this part is."""

    kind: Literal["text", "code"]
    text: str
    gap: bool = True
    language: str = ""
    begins: bool = True
    ends: bool = True


@dataclass(slots=True)
class Blocks:
    """Feed it text in any cut; it gives blocks as they are finished, and keeps what still grows."""

    _rest: list[str] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _kind: Literal["", "text", "item", "code"] = ""
    _mark: str = ""
    _language: str = ""
    _inner: str = ""
    _begun: bool = False
    _blank: bool = False
    _gap: bool = False

    @property
    def growing(self) -> str:
        """What is not finished yet, as it came."""
        return "".join([*(line + "\n" for line in self._lines), *self._rest])

    def feed(self, text: str) -> list[Block]:
        """The blocks that this text finishes."""
        if "\n" not in text:
            if text:
                self._rest.append(text)
            return []
        *lines, rest = ("".join(self._rest) + text).split("\n")
        self._rest = [rest] if rest else []
        found: list[Block] = []
        for line in lines:
            self._line(line.rstrip("\r"), found)
        return found

    def close(self) -> list[Block]:
        """What was left: the text ends here, with or without its last line's end."""
        found: list[Block] = []
        if self._rest:
            line, self._rest = "".join(self._rest), []
            self._line(line, found)
        self._finish(found)
        return found

    def _line(self, line: str, found: list[Block]) -> None:
        if self._kind == "code":
            self._code_line(line, found)
            return
        if self._inner:  # code inside a list item belongs to the item
            self._lines.append(line)
            fence = _FENCE.match(line.lstrip())
            if fence and fence[2].startswith(self._inner) and not fence[3]:
                self._inner = ""
            return
        if not line.strip():
            self._blank_line(found)
            return
        fence = _FENCE.match(line)
        if self._kind == "item" and line[:2] == "  " and not (_ITEM.match(line) and self._blank):
            inner = _FENCE.match(line.lstrip())
            self._inner = inner[2] if inner else ""
            self._keep(line)
        elif fence:
            self._finish(found)
            self._kind, self._mark, self._language = "code", fence[2], fence[3]
            self._begun = False
        else:
            self._text_line(line, found)

    def _text_line(self, line: str, found: list[Block]) -> None:
        item = bool(_ITEM.match(line)) and not _RULE.match(line)
        alone = bool(_HEADING.match(line) or (_RULE.match(line) and self._kind != "text"))
        if item or alone or (self._kind == "item" and self._blank):
            self._finish(found)
        self._kind = self._kind or ("item" if item else "text")
        self._keep(line)
        if alone:
            self._finish(found)

    def _blank_line(self, found: list[Block]) -> None:
        if self._kind == "text":
            self._finish(found)
        self._blank = True

    def _keep(self, line: str) -> None:
        if self._blank and self._lines:
            self._lines.append("")
        elif self._blank:
            self._gap = True
        self._blank = False
        self._lines.append(line)

    def _code_line(self, line: str, found: list[Block]) -> None:
        fence = _FENCE.match(line)
        if fence and fence[2].startswith(self._mark) and not fence[3]:
            self._code_part(found, ends=True)
            return
        self._lines.append(line)
        if len(self._lines) >= CODE_LINES:
            self._code_part(found, ends=False)

    def _code_part(self, found: list[Block], *, ends: bool) -> None:
        text = "\n".join(self._lines)
        found.append(Block("code", text, True, self._language, not self._begun, ends))
        self._lines, self._begun = [], True
        if ends:
            self._kind, self._mark, self._blank, self._gap = "", "", True, False

    def _finish(self, found: list[Block]) -> None:
        if self._kind == "code":
            self._code_part(found, ends=True)
            return
        if self._lines:
            gap = self._gap or self._kind == "text"
            found.append(Block("text", "\n".join(self._lines), gap))
        self._lines, self._kind, self._inner = [], "", ""
        self._gap = self._blank
        self._blank = False
