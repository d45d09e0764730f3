"""One thing that `doctor` looked at, and what came of it."""

from __future__ import annotations

from typing import Literal

from nemocli.core.faults import ExitCode, Fault
from nemocli.core.value_class import value_class

State = Literal["ok", "warn", "fail"]


@value_class(frozen=True, slots=True)
class Check:
    """One finding. `warn` is worth knowing, `fail` keeps something from working; `exit_code` is
    then what kind of thing."""

    name: str
    state: State
    said: str
    hint: str | None = None
    exit_code: ExitCode = ExitCode.CONFIG


def failure(name: str, fault: Fault) -> Check:
    """A check that ended in a fault."""
    return Check(name, "fail", fault.message, fault.advice, fault.exit_code)
