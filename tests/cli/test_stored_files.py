"""What earlier versions wrote is read as before: a home of each date is in `tests/io/stored`.

Each holds two answers in the ledger, a budget, a setting, a batch of three rows and a small pulled
repository. Add one when a format changes; never change one that is there.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.run import ROOT, Home, run
from tests.servers.answer import Answer
from tests.servers.stub import Stub

STORED = sorted((ROOT / "tests" / "io" / "stored").glob("*.tar.gz"))


@pytest.fixture(params=STORED, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, home: Home) -> Home:
    path: Path = request.param
    with tarfile.open(path) as archive:
        archive.extractall(home.root, filter="data")
    return home


def test_a_home_of_an_earlier_version_is_read_as_before(old: Home) -> None:
    spent = run("cost", "--json", "--since", "2026-11-01", home=old).json()
    assert spent["total"]["calls"] == 5
    assert spent["total"]["usd"] == "0.0005"
    assert "5" in run("cost", "budget", "ls", home=old).text
    assert run("config", "get", "color", home=old).text.strip() == "never"
    shown = run("batch", "status", "out.jsonl", "--json", home=old)
    assert (shown.json()["state"], shown.json()["answered"]) == ("complete", 3)
    checked = run("weights", "verify", "w", home=old)
    assert checked.code == 0, checked.err


def test_a_batch_of_an_earlier_version_is_resumed(old: Home) -> None:
    with Stub(Answer("Hello.", cost=0.0001)) as stub:
        old.provider("stub", stub.url)
        line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
        done = run(*line, home=old)
        assert done.code == 0, done.err
        assert stub.requests == []
        assert run("cost", "budget", "rm", "day", home=old).code == 0
        rows = old.cwd / "in.jsonl"
        rows.write_text(rows.read_text() + '{"prompt": "d"}\n')
        more = run(*line, home=old)
        assert more.code == 0, more.err
        assert len(stub.requests) == 1
    assert len((old.cwd / "out.jsonl").read_text().splitlines()) == 4
