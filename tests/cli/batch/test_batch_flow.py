"""Limits found over real sockets: a server that refuses, its minutes shortened, and no settings.

Every row is answered, and few calls are refused on the way. How close the pace comes to the limit
is a figure, not a promise: `tests/bench/flow.py` prints it; the learner itself is tested by
`tests/engine/pool/test_pacing.py`, in simulated time and over hours.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.flow import LIMITS, Limit, measure
from tests.run import Home

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.rule)
def test_a_limit_is_found_and_kept(home: Home, limit: Limit) -> None:
    short = replace(limit, rows=limit.rows // 4)
    seen = measure(home, short)
    assert seen.good == short.rows
    assert seen.refused <= 0.2 * seen.asked, "peers' defaults have up to 0.9 refused; ours 0.04"
    assert 0.8 <= seen.money <= 1.2, "what it would cost, said at half-way"
