"""Keys and passwords, taken out of whatever is about to be shown or written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

MARK = "***"
FRAGMENT = 8
"""So many characters in a row shared with a secret give too much of it away."""
SHORTEST = 4
"""Secrets below this length are ordinary words; removing them would only hide the text."""

_NAMES = r"key|token|secret|passw|authorization|cookie|credential"
SENSITIVE = re.compile(_NAMES, re.IGNORECASE)
"""Names of headers, query parameters and JSON fields whose values are never shown."""

# Nothing here may scan far and then fail: every unbounded run is consumed by the match it is in.
# Compiled when something is to be shown: most commands show nothing that may hold a secret.
_SHAPES = (
    r"(?:nvapi-|hf_|pplx-|gh[opsu]_|(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))sk-)[A-Za-z0-9_-]{8,}"
    r"|eyJ[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*){0,2}"
)
_SCHEMES = r"(?i)\b(bearer|basic)(\s{1,8})[A-Za-z0-9._~+/=-]{6,}"
_USERINFO = r"://[^/\s@\"'<>]{1,512}@"
_FIELD = rf"""(?isx)
    (?P<head>(?P<name>(?:{_NAMES})[\w.-]{{0,40}})(?:\\{{0,8}}["'])?\s{{0,8}}[:=]\s{{0,8}})
    (?:(?P<open>\\{{1,8}}["'])(?:(?!(?P=open)).)*   # a JSON string inside a JSON string
      |"(?:[^"\\]|\\.)*\\?
      |'(?:[^'\\]|\\.)*\\?
      |(?<==)(?P<plain>[^\s&;,"'<>\#(){{}}\[\]]+)
      |(?=[^\s,;"'{{}}\[\]]{{0,200}}\d)(?P<word>[^\s,;"'{{}}\[\]]{{8,}})
    )"""
_LINE = r"(?i)((?:authorization|cookie)[ \t]{0,8}:[ \t]{0,8})(?![\"'\\])[^\r\n]+"


class Redactor:
    """Removes the given secrets, anything that looks like one, and what is named like one.

    Takes time linear in the text. No output holds a given secret of 4 characters or more, nor 8
    characters in a row of one; a percent-encoded or JSON-escaped secret counts as itself.
    """

    __slots__ = ("_grams", "_short", "_whole")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for s in secrets if len(s) >= SHORTEST for form in _spellings(s)}
        self._whole = tuple(forms)
        self._short = tuple(form for form in forms if len(form) < FRAGMENT)
        self._grams = frozenset(
            form[i : i + FRAGMENT] for form in forms for i in range(len(form) - FRAGMENT + 1)
        )

    def text(self, text: str) -> str:
        """The text with everything secret replaced by `***`."""
        out = self._without_fragments(text)
        for form in self._short:
            out = out.replace(form, MARK)
        out = re.sub(_USERINFO, f"://{MARK}@", out)
        out = re.sub(_LINE, rf"\1{MARK}", out)
        out = re.sub(_FIELD, _hidden, out)
        out = re.sub(_SCHEMES, rf"\1\2{MARK}", out)
        out = re.sub(_SHAPES, MARK, out)
        # Marks and their neighbours could, in theory, spell a secret anew.
        return MARK if self._leaks(out) else out

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers with the values of sensitive names replaced whole."""
        return {
            self.text(name): MARK if SENSITIVE.search(name) else self.text(value)
            for name, value in headers.items()
        }

    def url(self, url: str) -> str:
        """A URL without its user, password and sensitive query values."""
        return self.text(url)

    def body(self, body: bytes | str) -> str:
        """A body as text; bytes that are not UTF-8 become marks."""
        return self.text(body if isinstance(body, str) else body.decode("utf-8", "replace"))

    def _leaks(self, text: str) -> bool:
        return any(form in text for form in self._whole)

    def _without_fragments(self, text: str) -> str:
        grams = self._grams
        if not grams:
            return text
        out: list[str] = []
        done = hidden = 0  # text up to `done` is written, up to `hidden` is part of a secret
        for i in range(len(text) - FRAGMENT + 1):
            if text[i : i + FRAGMENT] in grams:
                if i > hidden or not hidden:
                    out += (text[done:i], MARK)
                done = hidden = i + FRAGMENT
        return "".join((*out, text[done:])) if out else text


def without_key_shapes(text: str) -> str:
    """The text without what has the shape of a key, for what a person typed in the wrong place."""
    return re.sub(_SHAPES, MARK, text)


def _spellings(secret: str) -> set[str]:
    return {
        secret,
        quote(secret, safe="", errors="replace"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }


def _hidden(match: re.Match[str]) -> str:
    value = match["plain"] or match["word"]
    if value and value.isdigit() and match["name"].lower().endswith("tokens"):
        return match[0]  # a count, not a key
    head = match["head"]
    tail = match[0][len(head) :]
    quoted = match["open"] or (tail[0] if tail[0] in "\"'" else "")
    return f"{head}{quoted}{MARK}"
