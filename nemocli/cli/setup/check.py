"""One thing that `doctor` looked at, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nemocli.core.faults import ExitCode, Fault

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
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
