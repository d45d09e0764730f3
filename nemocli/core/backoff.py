"""When to ask again: one formula, and one table of what a kind of fault means for the next call.

Three policies stand on it: of one answer (`core/policy`), of a batch's rows (`batch/attempt`) and
of files (`weights/retry`). None asks earlier than the server said.
"""

from __future__ import annotations

from nemocli.core.faults import PASSING, FaultKind

ELSEWHERE = PASSING | {
    FaultKind.AUTH,
    FaultKind.UNAVAILABLE,
    FaultKind.QUOTA,
    FaultKind.REFUSED,
    FaultKind.TLS,
    FaultKind.PROTOCOL,
    FaultKind.CORRUPT,
}
"""Kinds that another provider, or another source of a file, may not have."""

STOPPING = frozenset(
    {
        FaultKind.QUOTA,
        FaultKind.AUTH,
        FaultKind.OFFLINE,
        FaultKind.CONFIG,
        FaultKind.BUDGET,
    }
)
"""Kinds that every further call with the same key and settings would meet too."""

STOPPING_THERE = STOPPING | {FaultKind.UNAVAILABLE, FaultKind.TLS, FaultKind.REFUSED}
"""And what every further call to the same model at the same address would meet."""


def backoff_s(
    failures: int,
    *,
    base_s: float,
    longest_s: float,
    jitter: float,
    asked_s: float | None = None,
) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1): what the server asked for,
    else doubling from `base_s` up to `longest_s`, less up to a half by `jitter` in [0, 1)."""
    if asked_s is not None:
        return asked_s
    doubled = base_s * 2.0 ** min(failures - 1, 64)
    return min(longest_s, doubled) * (0.5 + jitter / 2)
