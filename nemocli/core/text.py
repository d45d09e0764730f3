"""Text from elsewhere, made harmless for a terminal."""

from __future__ import annotations

import re

UNKNOWN = "\N{REPLACEMENT CHARACTER}"

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_BREAKS = (0x2028, 0x2029)
_TAGS = range(0xE0000, 0xE0080)
_SURROGATES = range(0xD800, 0xE000)

_MARKS: dict[int, str | None] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\N{SYMBOL FOR DELETE}",
    **dict.fromkeys((*range(0x80, 0xA0), *_BIDI, *_BREAKS, *_TAGS, *_SURROGATES), UNKNOWN),
    ord("\t"): "\t",
    ord("\n"): "\n",
    ord("\r"): None,
}

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def neutral(text: str) -> str:
    """The text without anything a terminal would obey: escape sequences, bidi overrides, tags.

    Newline and tab stay, carriage returns vanish (so CRLF is a newline), the rest is replaced by
    marks that can be seen. One character at a time: however a stream is cut, the whole is the same.
    """
    if text.isprintable() or not _HARMFUL.search(text):
        return text
    return text.translate(_MARKS)


def one_line(text: str, limit: int = 200) -> str:
    """The text as one harmless line of at most `limit` characters, for messages."""
    line = neutral(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def wrap(text: str, width: int, indent: str = "  ", first: int = 0) -> str:
    """The text broken at words to a width in columns; lines after the first begin with `indent`.
    `first` columns of the first line are taken already. A word that is longer than a line stays
    whole: it is a command or an address, to be copied."""
    lines = []
    for paragraph in text.split("\n"):
        line, used = "", first
        for word in paragraph.split(" "):
            if line and used + len(line) + 1 + len(word) > width:
                lines.append(line)
                line, used = indent + word, 0
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
        first = 0
    return "\n".join(lines)


def spreadsheet_safe(text: str) -> str:
    """A text cell of CSV that a spreadsheet takes for text: what it would run as a formula gets a
    leading apostrophe (OWASP, CSV injection). Numbers stay as they are."""
    if text and text[0] in _FORMULA and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


_FORMULA = frozenset("=+-@\t\r")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
