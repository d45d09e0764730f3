"""What carries out a tool of a task, and what each kind has to be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

TRUSTED = frozenset({"python", "shell", "http", "mcp"})
"""Back ends that touch the machine or the network: refused unless their folder is named."""
_NUMBER = (int, Decimal)
SETTINGS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "declarative": {},
    "replay": {"results": (list,)},
    "python": {"call": (str,), "timeout_s": _NUMBER},
    "shell": {"argv": (list,), "stdin": (str,), "timeout_s": _NUMBER},
    "http": {"url": (str,), "method": (str,), "timeout_s": _NUMBER},
    "mcp": {"command": (str,), "args": (list,), "url": (str,), "tool": (str,)},
}
"""What each back end is told, and of which type."""
BACKENDS = tuple(SETTINGS)
_NEEDED = {"replay": "results", "python": "call", "shell": "argv", "http": "url"}
_CALL = re.compile(r"[A-Za-z_][\w/-]*\.py:[A-Za-z_]\w*")


def wrong_settings(backend: str, settings: Mapping[str, Any]) -> str | None:
    """What is wrong with the settings of a back end, its place first; None where nothing is."""
    known = SETTINGS[backend]
    for name, value in settings.items():
        if name not in known:
            return f": there is no field {name!r}"
        if not isinstance(value, known[name]) or isinstance(value, bool):
            return f".{name}: not of the type that a {backend} tool takes"
    needed = _NEEDED.get(backend)
    if needed is not None and not settings.get(needed):
        return f".{needed}: a {backend} tool needs it"
    return next((said for test, said in _RULES.get(backend, ()) if not test(settings)), None)


_RULES: Mapping[str, tuple[tuple[Callable[[Mapping[str, Any]], bool], str], ...]] = {
    "mcp": ((lambda s: bool(s.get("command")) != bool(s.get("url")), ": a command or a url"),),
    "shell": ((lambda s: all(isinstance(a, str) for a in s["argv"]), ".argv: a list of texts"),),
    "python": (
        (
            lambda s: _CALL.fullmatch(s["call"]) is not None,
            ".call: FILE.py:FUNCTION, a file in the suite's folder",
        ),
    ),
    "http": (
        (lambda s: s["url"].startswith(("http://", "https://")), ".url: http:// or https://"),
    ),
}
