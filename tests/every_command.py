"""Every command's help, in this Python: nothing of it may fail to be imported or drawn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from nemocli.cli.app import command_in
from nemocli.cli.commands import COMMANDS


def paths(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The words of a command, and of those under it."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, (*path, name))


def main() -> int:
    """Run them; the number of those that failed."""
    failed = 0
    for row in COMMANDS:
        for path in paths(command_in(row.module), (row.name,)):
            line = [sys.executable, "-m", "nemocli", *path, "--help"]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode:
                failed += 1
                sys.stderr.write(f"{' '.join(path)}: {done.stderr}\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
