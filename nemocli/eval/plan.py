"""Which attempts a run makes, and in which order: paired, and the arms interleaved."""

from __future__ import annotations

import random
from collections.abc import Sequence

from nemocli.core.value_class import value_class


@value_class(frozen=True, slots=True)
class Slot:
    """One attempt to be made: an arm, a task, an epoch from 1."""

    arm: str
    task: str
    epoch: int

    @property
    def name(self) -> str:
        """How its record is called."""
        return f"{self.arm}/{self.task}.{self.epoch}"


def schedule(arms: Sequence[str], tasks: Sequence[str], epochs: int, seed: str) -> list[Slot]:
    """Every attempt. Tasks are shuffled in each epoch and the arms of a task in each block, so that
    the time of day and a provider's load fall on all arms alike. A seed always gives one order."""
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    slots: list[Slot] = []
    for epoch in range(1, epochs + 1):
        for task in chance.sample(list(tasks), len(tasks)):
            slots += [Slot(arm, task, epoch) for arm in chance.sample(list(arms), len(arms))]
    return slots
