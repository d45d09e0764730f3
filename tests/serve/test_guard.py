"""Who may come in: Host, Origin and token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.serve.guard import Guard

GUARD = Guard("right", 8080)
RIGHT = {"host": "127.0.0.1:8080", "authorization": "Bearer right"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080"]
)
def test_loopback_names_with_our_port_come_in(host: str) -> None:
    assert GUARD.refuses({**RIGHT, "host": host}) is None


@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1", "127.0.0.1:80", "evil.test:8080", "localhost.evil.test:8080", "10.0.0.7:8080",
     "127.0.0.1:8080.evil.test", "localhost:8080:8080", "[::1]", "127.0.0.1:+8080", "127.0.0.1:٨٠"],
)  # fmt: skip
def test_other_hosts_stay_out_whatever_the_token(host: str) -> None:
    assert (GUARD.refuses({**RIGHT, "host": host}) or (0,))[0] == 403


def test_pages_of_a_browser_stay_out() -> None:
    for origin in ("http://evil.test", "null", "http://127.0.0.1:8080"):
        assert (GUARD.refuses({**RIGHT, "origin": origin}) or (0,))[0] == 403


@given(st.text(max_size=30).filter(lambda t: t.strip() != "right"))
def test_only_the_token_opens(token: str) -> None:
    for headers in ({"authorization": f"Bearer {token}"}, {"x-api-key": token}):
        assert GUARD.refuses({"host": RIGHT["host"], **headers}) == (
            401,
            "the token is missing or wrong",
        )
    assert GUARD.refuses({"host": RIGHT["host"], "x-api-key": "right"}) is None


def test_a_server_that_is_open_on_purpose_is_reached_by_address_or_name() -> None:
    guard = Guard("right", 8080, frozenset({"models.test"}), addresses=True)
    assert guard.refuses({**RIGHT, "host": "10.0.0.7:8080"}) is None
    assert guard.refuses({**RIGHT, "host": "models.test"}) is None
    assert guard.refuses({**RIGHT, "host": "other.test:8080"}) is not None
