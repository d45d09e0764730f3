"""The clipboard: the system's own program where there is one, else the terminal's (OSC 52)."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Mapping

from nemocli.io.programs import NEUTRAL_FOLDER, bare_environment, find_program

PROGRAMS = (
    ("wl-copy",),
    ("xclip", "-selection", "clipboard"),
    ("xsel", "--clipboard", "--input"),
    ("pbcopy",),
    ("clip.exe",),
)
MOST_OSC52 = 74_000
"""Bytes that terminals take at the most (xterm's limit for the encoded text is 100,000)."""


def copy(text: str, env: Mapping[str, str], write: Callable[[str], None]) -> str:
    """Put a text there; a line that says how."""
    data = text.encode("utf-8", "replace")
    shown = {k: env[k] for k in ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY") if k in env}
    for name, *arguments in PROGRAMS:
        program = find_program(name, env)
        usable = name not in ("wl-copy", "xclip", "xsel") or shown
        if program is None or not usable:
            continue
        try:
            done = subprocess.run(  # noqa: S603 - found by its name, told nothing but the text
                [program, *arguments],
                input=data,
                env=bare_environment(env) | shown,
                cwd=NEUTRAL_FOLDER,
                timeout=5,
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return f"{len(text):,} characters copied by {name}"
    if len(data) > MOST_OSC52:
        return "too long for the terminal's clipboard, and no program for it is here"
    write(f"\x1b]52;c;{base64.b64encode(data).decode()}\x07")
    return f"{len(text):,} characters handed to the terminal's clipboard"
