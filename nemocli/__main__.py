"""`nemocli` and `python -m nemocli`: three answers need no program, the rest is `cli.app`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line of this process and exit."""
    args = sys.argv[1:]
    if args == ["--version"]:
        from nemocli.version import __version__

        with suppress(OSError):  # the program says in words what is wrong with stdout
            os.write(1, f"nemocli {__version__}\n".encode())
            return
    if args[:1] == ["__complete"]:
        from nemocli.complete import complete

        complete(args[1:])
        return
    if args == ["cost", "statusline"]:
        from nemocli.cli.prompt import answered

        if answered():
            return
    from nemocli.cli.app import main as run

    sys.exit(run(args))


if __name__ == "__main__":
    main()
