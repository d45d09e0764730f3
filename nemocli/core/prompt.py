"""One message out of what was typed, piped and attached; and code out of an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
"""A line with its end. `splitlines` would also cut at U+2028 and form feeds, the code's own."""
_FENCE = re.compile(r"(?P<indent> {0,3})(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^\r\n]*)[\r\n]*\Z")
_TICKS = re.compile(r"`{3,}")


def assemble(typed: str | None, piped: str | None, files: Sequence[tuple[str, str]] = ()) -> str:
    """The user's message: the typed prompt, then each attached file under its name in a fence no
    line of it can close, then what was piped in; a blank line between them.

    What comes alone comes as it is, but for one newline at the end of a pipe.
    """
    parts = [typed] if typed and typed.strip() else []
    parts += [_attached(name, text) for name, text in files]
    if piped and piped.strip():
        end = "\r\n" if piped.endswith("\r\n") else "\n"
        parts.append(piped.removesuffix(end))
    return "\n\n".join(parts)


def _attached(name: str, text: str) -> str:
    longest = max((len(run) for run in _TICKS.findall(text)), default=2)
    fence = "`" * max(3, longest + 1)
    body = text if text.endswith("\n") or not text else text + "\n"
    return f"{name}:\n{fence}\n{body}{fence}"


def first_code_block(text: str) -> str | None:
    """What stands inside the first fence (CommonMark 0.31, section 4.5), None without one.

    A fence that is never closed ends with the text: a cut answer keeps its code.
    """
    mark, indent = "", 0
    inside: list[str] = []
    for line in _LINE.findall(text):
        fence = _FENCE.match(line)
        if not mark:
            if fence and not ("`" in fence["mark"] and "`" in fence["info"]):
                mark, indent = fence["mark"], len(fence["indent"])
        elif _closes(fence, mark):
            return "".join(inside)
        else:
            lead = len(line) - len(line.lstrip(" "))
            inside.append(line[min(indent, lead) :])
    return "".join(inside) if mark else None


def _closes(fence: re.Match[str] | None, mark: str) -> bool:
    if fence is None or fence["info"].strip():
        return False
    return fence["mark"][0] == mark[0] and len(fence["mark"]) >= len(mark)
