"""`nemocli` and `python -m nemocli`: four answers need no program, the rest is `cli.app`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line of this process and exit."""
    ended: list[int] = []
    if not atexit._ncallbacks():
        atexit.register(_leave, ended)
    _leave_working_folder()
    gc.set_threshold(100_000, 20, 50)  # a start makes 40,000 objects that stay: a twentieth of it
    args = sys.argv[1:]
    if args == ["--version"]:
        from nemocli.version import __version__

        with suppress(OSError):  # the program says in words what is wrong with stdout
            os.write(1, f"nemocli {__version__}\n".encode())
            return
    if args in (["--help"], ["-h"]):
        from nemocli.cli.help.text import root_help

        with suppress(OSError):
            os.write(1, root_help().encode())
            return
    if args[:1] == ["__complete"]:
        from nemocli.complete import complete

        complete(args[1:])
        return
    if args == ["cost", "statusline"]:
        from nemocli.cli.cost.statusline import print_statusline

        if print_statusline():
            return
    from nemocli.cli.app import main as run

    ended.append(run(args))
    sys.exit(ended[0])


def _leave(ended: list[int]) -> None:
    """Called last of all: memory that goes with the process need not be taken apart, which is a
    tenth of a short command's time. What cannot be written is left to the interpreter to say."""
    with suppress(OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if ended:
            os._exit(ended[0])


def _leave_working_folder() -> None:
    """`python -m nemocli` and an empty entry of PYTHONPATH put the folder one stands in on the
    module path: a `yaml.py` in a cloned repository would run. The package itself is found already.
    """
    with suppress(OSError):
        here = os.getcwd()  # noqa: PTH109 - pathlib is not imported for this
        if here not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
            sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]


if __name__ == "__main__":
    main()
