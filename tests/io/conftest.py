"""A book of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nemocli.io.ledger.ledger import SqliteLedger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    book = SqliteLedger(path)
    yield book
    book.close()
