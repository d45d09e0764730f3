"""Retry, move on, or stop: one pure decision over what has happened so far."""

from __future__ import annotations

from nemocli.core.backoff import ELSEWHERE, backoff_s
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.value_class import value_class

AT_ONCE = frozenset({FaultKind.RATE, FaultKind.QUOTA})
"""Kinds for which waiting is worse than asking someone else."""


@value_class(frozen=True, slots=True)
class FailedAttempt:
    """A failed attempt: which target (index), what went wrong, and whether the user saw any of
    the reply."""

    target: int
    fault: Fault
    shown: bool


@value_class(frozen=True, slots=True)
class Again:
    """Ask the same target once more after so many seconds."""

    after_s: float


@value_class(frozen=True, slots=True)
class Next:
    """Ask the next target."""


@value_class(frozen=True, slots=True)
class Stop:
    """Give up; the last fault is the answer."""


Step = Again | Next | Stop


@value_class(frozen=True, slots=True)
class Policy:
    """`tries` per target, `budget` retries over the whole request; waits in seconds double from
    `base_s`, jittered; a server's own Retry-After is obeyed up to `longest_s`."""

    tries: int = 3
    budget: int = 6
    base_s: float = 0.5
    longest_s: float = 60.0
    fallback: bool = True


def decide(policy: Policy, history: tuple[FailedAttempt, ...], targets: int, jitter: float) -> Step:
    """The next step after the last attempt failed. `jitter` is in [0, 1).

    Nothing is tried again once part of a reply was seen: two models' words are never spliced.
    """
    last = history[-1]
    if last.shown:
        return Stop()
    elsewhere = policy.fallback and last.fault.kind in ELSEWHERE and last.target + 1 < targets
    if elsewhere and last.fault.kind in AT_ONCE:
        return Next()
    here = sum(a.target == last.target for a in history)
    if last.fault.retryable and here < policy.tries and len(history) <= policy.budget:
        wait = backoff_s(
            here,
            base_s=policy.base_s,
            longest_s=policy.longest_s,
            jitter=jitter,
            asked_s=last.fault.retry_after_s,
        )
        if wait <= policy.longest_s:
            return Again(wait)
    return Next() if elsewhere else Stop()
