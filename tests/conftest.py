"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A new user: nothing configured, no keys, nobody's environment."""
    return Home(tmp_path / "user")
