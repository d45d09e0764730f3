"""The public validator accepts what is exported for finance tools."""

from __future__ import annotations

import csv
import io
import subprocess
import venv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nemocli.core.money import Cost, Pico
from nemocli.core.ports import Entry
from nemocli.core.usage import Usage
from nemocli.cost.leases import Lease
from nemocli.io.ledger.ledger import SqliteLedger
from tests.run import Home, run


@pytest.mark.slow
def test_the_focus_validator_finds_nothing(tmp_path: Path) -> None:
    """Its only release (1.0.0) has the rules of a draft of FOCUS 1.0: columns of 1.2, but for four
    that were still called otherwise, and finds its list of currencies only from where it is."""
    home = Home(tmp_path / "user")
    ledger = SqliteLedger(home.folder / "data" / "ledger.db")
    begin = datetime.now(UTC) - timedelta(hours=3)
    for n, (pico, source) in enumerate([(1_704_000_000, "table"), (0, "free"), (None, "unknown")]):
        ledger.enter(
            Entry(
                f"a{n}", "r", 1, begin, "ask", "openrouter" if n else "nim", "nemotron-3-ultra",
                "nemotron-3-ultra", "ok", Usage(1000, 200, 0, 500, 100),
                Cost(None if pico is None else Pico(pico), source, None, Pico(5), "x/y"),  # type: ignore[arg-type]
                tags=("x", 'odd "tag"'), project="/src, here",
            )
        )  # fmt: skip
    ledger.start_lease(Lease("night", "nim", 8, "H100", 10**12, "given", begin))
    ledger.stop_lease("night", begin + timedelta(hours=1))
    ledger.close()
    done = run("cost", "export", "--format", "focus", home=home)
    assert done.text.count("\n") == 4, "a header, two calls, idle time"
    data = tmp_path / "focus.csv"
    drafts = {"InvoiceIssuer": "InvoiceIssuerName", "Provider": "ProviderName",
              "Publisher": "PublisherName", "ResourceID": "ResourceId"}  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(done.text)))
    with data.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, [*rows[0], *drafts])
        writer.writeheader()
        writer.writerows(row | {old: row[new] for old, new in drafts.items()} for row in rows)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    wanted = ["focus-validator==1.0.0", "multimethod<2"]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    line = [python.with_name("focus-validator"), "--data-file", data, "--validate-version", "1.0"]
    where = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    checked = subprocess.run(line, capture_output=True, text=True, check=False, cwd=where)
    assert "Validation succeeded" in checked.stdout, checked.stdout + checked.stderr
