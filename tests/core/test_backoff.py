"""One formula under the three retry policies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.backoff import backoff_s
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.policy import Again, FailedAttempt, Next, Policy, Stop, decide
from nemocli.weights.pull.retry import Patience, Wait, again


@pytest.mark.parametrize(
    ("failures", "jitter", "wanted"),
    [(1, 0.0, 0.25), (2, 0.0, 0.5), (3, 0.5, 1.5), (9, 0.0, 15.0), (10_000, 0.0, 15.0)],
)
def test_waits_double_up_to_the_longest(failures: int, jitter: float, wanted: float) -> None:
    assert backoff_s(failures, base_s=0.5, longest_s=30, jitter=jitter) == wanted


@given(st.integers(1, 500), st.floats(0, 10), st.floats(0, 100), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_negative_nor_longer_than_said(
    failures: int, base_s: float, longest_s: float, jitter: float
) -> None:
    wait = backoff_s(failures, base_s=base_s, longest_s=longest_s, jitter=jitter)
    assert 0 <= wait <= longest_s


@given(st.integers(1, 500), st.floats(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_nobody_asks_earlier_than_the_server_said(
    failures: int, asked_s: float, jitter: float
) -> None:
    said = {"base_s": 0.5, "longest_s": 30.0, "jitter": jitter, "asked_s": asked_s}
    assert backoff_s(failures, **said) == asked_s


def failed(kind: FaultKind, wait_s: float | None = None) -> FailedAttempt:
    return FailedAttempt(0, Fault(kind, "no", retry_after_s=wait_s), shown=False)


@pytest.mark.parametrize(
    ("kind", "wait_s", "targets", "answer", "file"),
    [
        (FaultKind.SERVER, None, 1, Again(0.25), Wait(0.25, elsewhere=False)),
        (FaultKind.SERVER, None, 2, Again(0.25), Wait(0.0, elsewhere=True)),
        (FaultKind.RATE, 60.0, 1, Again(60.0), Wait(60.0, elsewhere=False)),
        (FaultKind.RATE, 120.0, 1, Stop(), Wait(120.0, elsewhere=False)),
        (FaultKind.RATE, 1200.0, 1, Stop(), None),
        (FaultKind.RATE, None, 2, Next(), Wait(0.0, elsewhere=True)),
        (FaultKind.AUTH, None, 1, Stop(), None),
        (FaultKind.AUTH, None, 2, Next(), Wait(0.0, elsewhere=True)),
        (FaultKind.REFUSED, None, 1, Stop(), Wait(0.25, elsewhere=False)),
        (FaultKind.REQUEST, None, 2, Stop(), None),
        (FaultKind.CORRUPT, None, 2, Next(), Wait(0.0, elsewhere=True)),
    ],
)
def test_what_a_kind_means_for_an_answer_and_for_a_file(
    kind: FaultKind, wait_s: float | None, targets: int, answer: object, file: object
) -> None:
    attempt = failed(kind, wait_s)
    assert decide(Policy(), (attempt,), targets, 0.0) == answer
    assert again(attempt.fault, 1, targets, Patience(), 0.0) == file
