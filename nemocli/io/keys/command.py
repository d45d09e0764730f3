"""Commands that print a key."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.redact import Redactor
from nemocli.core.text import one_line
from nemocli.io.programs import NEUTRAL_FOLDER, find_program

COMMAND_S = 10.0


def first_line(provider: str, argv: tuple[str, ...], env: Mapping[str, str]) -> str:
    """The first line a key command prints; it is run without a shell and may not ask anything.

    `env` is all it gets. Raises NemoError (auth).
    """
    said = f"the key command of {provider} ({one_line(argv[0], 60)})"
    hint = "see `keys.*.command` in `nemocli config show`"
    program = find_program(argv[0], env)
    if program is None:
        raise _no_key(f"{said} cannot be run: No such file, or not an absolute path", hint)
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, as an argument list
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(env),
            cwd=NEUTRAL_FOLDER,
            timeout=COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _no_key(f"{said} did not end within {COMMAND_S:g} s", hint) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _no_key(f"{said} cannot be run: {reason}", hint) from error
    lines = done.stdout.decode("utf-8", "replace").splitlines() or [""]
    if done.returncode:
        complaint = Redactor(lines).text(done.stderr.decode("utf-8", "replace"))
        first = one_line(complaint.strip().partition("\n")[0])
        raise _no_key(
            f"{said} ended with {done.returncode}" + (f": {first}" if first else ""), hint
        )
    return lines[0]


def _no_key(message: str, hint: str | None) -> NemoError:
    return NemoError(Fault(FaultKind.AUTH, message, hint, sent=False))
