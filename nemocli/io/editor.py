"""The user's editor on a text of ours: a private file, in a private folder."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nemocli.core.faults import config_error, usage_error
from nemocli.io.programs import find_program, without_keys

EDITORS = ("sensible-editor", "editor", "nano", "vi", "notepad")


def edit_text(text: str, env: Mapping[str, str]) -> str:
    """What the text is after `$VISUAL` or `$EDITOR` was closed. Raises NemoError."""
    given = env.get("VISUAL") or env.get("EDITOR")
    words = shlex.split(given) if given else []
    names = [words[0]] if words else EDITORS
    program = next((found for name in names if (found := find_program(name, env))), None)
    if program is None:
        what = (
            f"$EDITOR is {given!r}, and there is no such program" if given else "no editor is here"
        )
        raise usage_error(what, "set EDITOR to the path of one")
    with tempfile.TemporaryDirectory(prefix="nemocli-") as folder:
        file = Path(folder, "message.md")
        file.touch(0o600)
        file.write_text(text, "utf-8", errors="replace")
        done = subprocess.run(  # noqa: S603 - the user's own editor
            [program, *words[1:], str(file)], cwd=folder, env=without_keys(env), check=False
        )
        if done.returncode:
            raise config_error(f"the editor ended with {done.returncode}; the text is as it was")
        return file.read_text("utf-8", errors="replace")
