"""`nemocli fit` as flags, as questions, and what it does with nonsense."""

from __future__ import annotations

import pytest

from tests.run import Home, run, run_pty


def test_flags_and_json(home: Home) -> None:
    done = run("fit", "--kind", "coding", "--turns", "9", "--tools", "--context", "64k", "--json",
               home=home)  # fmt: skip
    assert (done.code, done.json()["answer"]) == (0, "consider")
    assert done.json()["task"]["context"] == 64_000
    told = run("fit", "--kind", "chat", "--turns", "1", "--no-tools", home=home)
    assert told.text.startswith("SKIP\n")
    assert "8 H100" in told.text


@pytest.mark.parametrize(
    "args", [("--kind", "cooking"), ("--context", "much"), ("--place", "moon"), ("--turns", "0")]
)
def test_nonsense_is_a_usage_error(home: Home, args: tuple[str, ...]) -> None:
    assert run("fit", *args, home=home).code == 2


def test_on_a_terminal_it_asks(home: Home) -> None:
    keys = [
        ("What kind", b"agent\r"),
        ("How many turns", b"many\r"),
        ("is no number", b"12\r"),
        ("call tools", b"y\r"),
        ("tokens at its longest", b"64k\r"),
        ("What goes in", b"\r"),
        ("First token", b"\r"),
        ("calls a day", b"\r"),
        ("data go", b"\r"),
    ]
    screen = run_pty("fit", home=home, keys=keys)
    assert b"CONSIDER" in screen.seen
