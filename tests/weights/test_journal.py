"""The journal: whatever a kill or a disk leaves of it, it is read, and never believed too far."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from nemocli.weights import journal
from nemocli.weights.journal import Journal, Verified
from nemocli.weights.ports import Stamp

NAMES = st.text("0123456789abcdef", min_size=40, max_size=64)
CLAIMS = st.dictionaries(
    st.integers(0, 10_000), st.text("0123456789abcdef", min_size=8, max_size=16), min_size=1
)
STAMPS = st.builds(Stamp, st.integers(0, 2**50), st.integers(0, 2**62))
SEATS = st.text(min_size=1, max_size=40)
JOURNALS = st.builds(
    Journal,
    st.dictionaries(NAMES, CLAIMS, max_size=4),
    st.dictionaries(SEATS, st.builds(Verified, NAMES, STAMPS), max_size=4),
)


@given(JOURNALS)
def test_what_is_written_is_read(said: Journal) -> None:
    assert journal.read(journal.journal_bytes(said)) == said


@given(JOURNALS, st.data())
def test_a_torn_journal_says_less_and_nothing_else(said: Journal, data: st.DataObject) -> None:
    whole = journal.journal_bytes(said)
    torn = journal.read(whole[: data.draw(st.integers(0, len(whole)))])
    for name, claims in torn.claims.items():
        assert claims.items() <= said.claims[name].items()
    assert torn.verified.items() <= said.verified.items()


@given(st.binary())
def test_any_bytes_are_a_journal(data: bytes) -> None:
    journal.read(data)


@given(st.recursive(st.none() | st.floats() | st.text(), st.lists), SEATS)
def test_no_line_of_json_breaks_it(value: object, key: str) -> None:
    for row in ({"b": value, "i": value, "c": "ff"}, {"s": key, "b": key, "size": value}):
        journal.read(json.dumps({**row, "mtime_ns": value}).encode())
    journal.read(b"[" * 100_000)


def test_a_dropped_content_has_no_claims() -> None:
    text = journal.line("ab" * 32, 0, "00ff00ff") + journal.drop_line("ab" * 32)
    assert journal.read(text) == Journal()
