"""A pull as it is shown on terminals of any width."""

from __future__ import annotations

import pytest

from tests.cli.weights.weights_case import NAME, to_hub
from tests.run import Home
from tests.screen import Terminal
from tests.servers.hub import Hub
from tests.servers.repository import small


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_speed_and_time_are_the_last_to_go(home: Home, columns: int) -> None:
    line = ("weights", "pull", NAME, "--local-dir", "out", "--limit-rate", "400k")
    with (
        Hub(small(shards=2, size=1_500_000)) as hub,
        Terminal(*line, home=home, columns=columns, env=to_hub(hub)) as terminal,
    ):
        terminal.until(" left")
        shown = next(text for text in terminal.lines() if " left" in text)
    assert "/s, " in shown
    assert "…" not in shown
    assert ("━" in shown) == (columns >= 60)
    assert (" of " in shown) == (columns >= 80)
