"""Tools of a task that are no data: what a real machine does, as values.

A task stays a document. Where its tool has another back end, a machine carries the call out and
says what came of it; that is kept in the record, so that an attempt is judged again without one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from nemocli.core.value_class import value_class

if TYPE_CHECKING:
    from nemocli.eval.task import ToolDef

FILES = "files"
"""The part of a state that is a folder: texts by path. Tools that run there see them as files, and
what a writing tool leaves there is the state afterwards."""


@value_class(frozen=True, slots=True)
class MachineResult:
    """What came of a call: a value where it is `ok`, else why not. `files` is the folder
    afterwards, None where the tool has none; `state` takes the place of the whole state."""

    ok: bool
    value: Any
    files: Mapping[str, str] | None = None
    state: Mapping[str, Any] | None = None

    def event(self) -> dict[str, Any]:
        """For a record."""
        found: dict[str, Any] = {"ok": self.ok, "value": self.value}
        if self.files is not None:
            found["files"] = dict(self.files)
        if self.state is not None:
            found["state"] = dict(self.state)
        return found


def result_from(event: Mapping[str, Any]) -> MachineResult:
    """An outcome as `event` wrote it."""
    return MachineResult(
        bool(event["ok"]), event.get("value"), event.get("files"), event.get("state")
    )


class Machine(Protocol):
    """Carries out calls, one attempt's worth of them."""

    def run(
        self, tool: ToolDef, args: Mapping[str, Any], state: Mapping[str, Any]
    ) -> MachineResult:
        """Do it, and wait for it. Raises nothing: what goes wrong is the outcome."""


Machines = Callable[[], AbstractContextManager[Machine]]
"""A machine of its own for each attempt, with nothing left of it afterwards."""
