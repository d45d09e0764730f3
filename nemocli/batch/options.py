"""How a job is done, and a row on its way through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nemocli.batch.lines import Told
from nemocli.batch.rows import Row
from nemocli.batch.spec import Spec
from nemocli.core.plan import Target
from nemocli.core.ports import Entry
from nemocli.core.value_class import value_class


@value_class(frozen=True, slots=True)
class JobTerms:
    """How a job is done.

    `tries` are failed calls a row may have; refusals for coming too often are not counted, until
    there are `patience` of them for one row. Waits in seconds double from `base_s` up to
    `longest_s`. `capped`: money is counted before a call, for the cap called `cap_name`. `repairs`
    are answers sent back for not fitting the schema, `output_tokens` a guess for limits of tokens
    per minute. `named` is the same provider's target for a model that a row names; it may raise
    NemoError.
    """

    targets: tuple[Target, ...]
    spec: Spec
    told: Told
    spread: bool = False
    tries: int = 4
    patience: int = 100
    base_s: float = 0.5
    longest_s: float = 30.0
    timeout_s: float | None = None
    capped: bool = False
    cap_name: str = "`--max-cost`"
    output_tokens: int = 1024
    repairs: int = 1
    fail_fast: bool = False
    named: Callable[[Target, str], Target] = lambda target, model: replace(
        target, model=model, card=None, offer=None
    )


@dataclass(slots=True)
class RowWork:
    """A row under way: its attempts so far, the targets it may be asked of next, and the name its
    answer is kept under, where it is."""

    row: Row
    targets: tuple[int, ...]
    entries: list[Entry] = field(default_factory=list)
    failures: int = 0
    refusals: int = 0
    repairs: int = 0
    name: bytes | None = None


@value_class(frozen=True, slots=True)
class Question:
    """A row as the ledger sees it."""

    model: str
    chars: int
    answers: int = 1
