"""After a failure: wait and go on, ask elsewhere, or give up. Pure decisions."""

from __future__ import annotations

from nemocli.core.backoff import ELSEWHERE, backoff_s
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.value_class import value_class

ENOUGH = 1024 * 1024
"""Bytes that came through make the next failure a first one."""

_OF_ONE_FILE = frozenset(
    {
        FaultKind.CORRUPT,
        FaultKind.UNAVAILABLE,
        FaultKind.PROTOCOL,
        FaultKind.SERVER,
        FaultKind.CUT,
        FaultKind.REQUEST,
    }
)
FORBIDDEN = 403
"""Of one file: an owner may withhold it and give the others."""


@value_class(frozen=True, slots=True)
class Patience:
    """`tries` in a row without progress, waits doubling from `base_s` up to `longest_s`, a server's
    own Retry-After obeyed up to `obeyed_s`."""

    tries: int = 8
    base_s: float = 0.5
    longest_s: float = 30.0
    obeyed_s: float = 900.0


@value_class(frozen=True, slots=True)
class Wait:
    """Go on after so many seconds; `elsewhere`: with the next source, if there is another."""

    after_s: float
    elsewhere: bool


def again(
    fault: Fault, failures: int, sources: int, patience: Patience, jitter: float
) -> Wait | None:
    """What to do after the `failures`-th failure in a row; None: give up. `jitter` is in [0, 1).

    A refusal that would only be repeated is worth a try with each other source, and no more.
    """
    refused = fault.kind is FaultKind.REFUSED and fault.retry is None  # hubs start again
    passing = fault.retryable or refused
    elsewhere = sources > 1 and fault.kind in ELSEWHERE
    most = patience.tries if passing else min(sources, patience.tries) - 1
    if failures > most or not (passing or elsewhere):
        return None
    if elsewhere and failures < sources:
        return Wait(0.0, elsewhere=True)
    wait = backoff_s(
        failures,
        base_s=patience.base_s,
        longest_s=patience.longest_s,
        jitter=jitter,
        asked_s=fault.retry_after_s,
    )
    return Wait(wait, elsewhere) if wait <= patience.obeyed_s else None


def of_one_file(fault: Fault) -> bool:
    """Whether a failure says nothing about other files; any other ends the run."""
    return fault.kind in _OF_ONE_FILE or fault.status == FORBIDDEN
