"""What an attempt came to: the end state against the gold one, probes by their words, one class.

Ids that the world made are not compared: an agent that reserved twice and gave one back has other
numbers in the same world. Lists of records are compared whatever their order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from nemocli.core.value_class import value_class
from nemocli.eval.expr import ExprError, fill
from nemocli.eval.machine import Machine
from nemocli.eval.task import Probe, Task
from nemocli.eval.world import CallResult, TaskWorld, canonical

AttemptClass = Literal[
    "success", "fail.model", "fail.limit", "fail.serving", "infra", "harness", "user_sim"
]
CLASSES: tuple[AttemptClass, ...] = (
    "success", "fail.model", "fail.limit", "fail.serving", "infra", "harness", "user_sim"
)  # fmt: skip
MOST_FAULTS = 10
SCORED = frozenset({"success", "fail.model", "fail.limit", "fail.serving"})
"""Classes that are in the denominator of success, and whose cost counts."""
LOST = frozenset(CLASSES) - SCORED
"""Classes that say nothing about an arm: such attempts are made once more."""


@value_class(frozen=True, slots=True)
class Difference:
    """Paths by what became of them: changed in the gold state alone, changed to something else,
    changed though the gold path leaves them."""

    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    collateral: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is none."""
        return not (self.missing or self.wrong or self.collateral)


@value_class(frozen=True, slots=True)
class ProbeResult:
    """One probe: which turn asked, how far back its fact was given, and whether it was right."""

    turn: int
    fact: str
    kind: str
    distance: int
    right: bool


def gold_world(task: Task, machine: Machine | None = None) -> TaskWorld:
    """The world after the gold path. What goes wrong in it is in its results, for the lint."""
    world = TaskWorld(task, machine)
    for call in task.gold:
        world.turn = call.turn
        play(world, call.name, call.args)
    return world


def play(world: TaskWorld, name: str, args: Mapping[str, Any]) -> list[CallResult]:
    """A gold call, made again while faults are in its way that pass. Expressions in its arguments
    (`=state.orders[0].id`) are worked out now."""
    results: list[CallResult] = []
    while len(results) < MOST_FAULTS:
        try:
            now = fill(dict(args), {"state": world.state, "vars": dict(world.task.values)})
        except ExprError as error:
            return [*results, CallResult("error", str(error), world.version)]
        results.append(world.call(name, canonical(now)))
        if results[-1].kind != "transient":
            break
    return results


def flat(value: object, made_ids: set[str], path: str = "") -> dict[str, str]:
    """Every leaf of a state by its path; lists as multisets of their items, made ids as one."""
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key, inner in value.items():
            name = "*" if str(key) in made_ids else str(key)
            found |= flat(inner, made_ids, f"{path}.{name}" if path else name)
        return found or {path: "{}"}
    if isinstance(value, list):
        items = sorted(canonical(_unmade(item, made_ids)) for item in value)
        return {f"{path}[]": canonical(items)} if items else {f"{path}[]": "[]"}
    return {path: canonical(_unmade(value, made_ids))}


def _unmade(value: object, made_ids: set[str]) -> object:
    if isinstance(value, str):
        return "*" if value in made_ids else value
    if isinstance(value, Mapping):
        return {k: _unmade(v, made_ids) for k, v in value.items()}
    if isinstance(value, list):
        return [_unmade(v, made_ids) for v in value]
    return value


def difference(world: TaskWorld, gold: TaskWorld) -> Difference:
    """How an end state differs from the gold one, outside of what the task ignores."""
    made = world.made_ids | gold.made_ids
    now = _kept(flat(world.state, made), world.task.ignore)
    before, wanted = _known(gold, made)
    changed = {p for p in before.keys() | now.keys() if before.get(p) != now.get(p)}
    due = {p for p in before.keys() | wanted.keys() if before.get(p) != wanted.get(p)}
    return Difference(
        tuple(sorted(due - changed)),
        tuple(sorted(p for p in due & changed if now.get(p) != wanted.get(p))),
        tuple(sorted(changed - due)),
    )


def _known(gold: TaskWorld, made: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The leaves of the initial and of the gold state, worked out once for each set of ids."""
    key = frozenset(made)
    if key not in gold.leaves:
        before, wanted = (
            _kept(flat(state, made), gold.task.ignore) for state in (gold.initial, gold.state)
        )
        gold.leaves[key] = (before, wanted)
    return gold.leaves[key]


def _kept(leaves: Mapping[str, str], ignore: Sequence[str]) -> dict[str, str]:
    return {
        path: leaf
        for path, leaf in leaves.items()
        if not any(path == i or path.startswith((f"{i}.", f"{i}[")) for i in ignore)
    }


def says(text: str, words: str) -> bool:
    """Whether an answer holds the words, as words: `2` is not in `12`."""
    folded = " ".join(text.lower().split())
    wanted = re.escape(" ".join(words.lower().split()))
    before = r"(?<![\w.])" if words[:1].isalnum() else ""
    after = r"(?![\w]|\.\d)" if words[-1:].isalnum() else ""
    return re.search(before + wanted + after, folded) is not None


def grade_probe(probe: Probe, answer: str, turn: int, given: Mapping[str, int]) -> ProbeResult:
    """A probe on an answer; `given` says in which turn each fact was given or changed last."""
    right = any(says(answer, w) for w in probe.expect_any)
    right = right and not any(says(answer, w) for w in probe.reject_any)
    distance = turn - given[probe.fact] if probe.fact in given else 0
    return ProbeResult(turn, probe.fact, probe.kind, distance, right)


def grade_end(world: TaskWorld, gold: TaskWorld | None) -> tuple[bool, Difference]:
    """Whether the end state is right, and how it differs where it is compared."""
    task = world.task
    apart = difference(world, gold) if gold is not None and task.equals_gold else Difference()
    if task.collateral:
        apart = Difference(apart.missing, apart.wrong)
    return apart.empty and all(world.holds(text) for text in task.final), apart
