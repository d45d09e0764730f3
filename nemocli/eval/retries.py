"""What kind of retry a tool call is: wasted, harmful, or what a good agent does.

R1 invalid: it never reached the tool. R2 corrected: other arguments right after an error. R3 blind:
the same call after an error that will not pass. R4 redundant: a read that was answered already, in
the same state. R5 a write done twice where the gold path has it once. R6 justified: the same call
after a fault that passes. Requests sent again by the transport are counted apart, as T.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from nemocli.core.value_class import value_class
from nemocli.eval.task import Task
from nemocli.eval.world import CallKind

Retry = Literal["R1", "R2", "R3", "R4", "R5", "R6"]
WASTED: frozenset[Retry] = frozenset({"R1", "R3", "R4", "R5"})


@value_class(frozen=True, slots=True)
class Made:
    """A tool call as it was made; `arguments` in one spelling, `version` the state's before."""

    turn: int
    name: str
    arguments: str
    kind: CallKind
    version: int


@dataclass(slots=True)
class Retries:
    """Feed it calls in order; it says what each is."""

    task: Task
    _before: list[Made] = field(default_factory=list)
    _gold: Counter[tuple[str, str]] = field(default_factory=Counter)
    _done: Counter[tuple[str, str]] = field(default_factory=Counter)

    def of(self, call: Made) -> Retry | None:
        """The code of a call; None where it is no retry."""
        found = self._code(call)
        self._before.append(call)
        if call.kind == "ok":
            self._done[call.name, call.arguments] += 1
        return found

    def _code(self, call: Made) -> Retry | None:
        if call.kind == "invalid":
            return "R1"
        same = [b for b in self._before if (b.name, b.arguments) == (call.name, call.arguments)]
        if same and same[-1].kind == "transient":
            return "R6"
        if same and same[-1].kind == "error" and same[-1].version == call.version:
            return "R3"
        if call.kind == "ok" and self._done[call.name, call.arguments]:
            return self._repeated(call, same)
        return "R2" if self._corrects(call) else None

    def _repeated(self, call: Made, same: Sequence[Made]) -> Retry | None:
        """A call that was answered before."""
        tool = self.task.tool(call.name)
        if tool is not None and tool.kind == "read":
            return "R4" if any(b.version == call.version for b in same) else None
        return "R5" if self._once(call) else None

    def _corrects(self, call: Made) -> bool:
        """Whether it comes right after an error of the same tool, in the same turn."""
        last = self._before[-1] if self._before else None
        if last is None or last.kind not in ("error", "invalid"):
            return False
        return (last.name, last.turn) == (call.name, call.turn)

    def _once(self, call: Made) -> bool:
        """Whether the gold path makes this write at most as often as it was made before."""
        from nemocli.eval.world import canonical

        wanted = sum(
            g.name == call.name and canonical(g.args) == call.arguments for g in self.task.gold
        )
        return self._done[call.name, call.arguments] >= max(1, wanted)


def faults_survived(calls: Sequence[Made]) -> tuple[int, int]:
    """Passing faults that were met, and those after which the same tool answered."""
    met = [i for i, call in enumerate(calls) if call.kind == "transient"]
    survived = sum(
        any(c.name == calls[i].name and c.kind == "ok" for c in calls[i + 1 :]) for i in met
    )
    return len(met), survived
