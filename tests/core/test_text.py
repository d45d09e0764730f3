"""Whatever a model or a server sends, a terminal only sees text."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.text import neutral, one_line

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=200)
HARMFUL = st.sampled_from(
    "\x00\x07\x08\x1b\x7f\x85\x9b\r\u061c\u200e\u200f\u202a\u202e\u2066\u2069\u2028\u2029\ud800\udfff"
    "\U000e0001\U000e007f"
)


def obeyed(text: str) -> list[str]:
    """What is left that a terminal would act on or that hides what is written."""
    return [
        c
        for c in text
        if (unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t")
        or c in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        or 0xE0000 <= ord(c) <= 0xE007F
    ]


@given(st.lists(st.one_of(ANYTHING, HARMFUL)).map("".join))
def test_nothing_a_terminal_obeys_survives(text: str) -> None:
    assert obeyed(neutral(text)) == []


@given(st.lists(st.one_of(ANYTHING, HARMFUL, st.just("\r\n"))))
def test_however_a_stream_is_cut_the_whole_is_the_same(pieces: list[str]) -> None:
    assert "".join(map(neutral, pieces)) == neutral("".join(pieces))


@given(ANYTHING)
def test_doing_it_twice_changes_nothing(text: str) -> None:
    assert neutral(neutral(text)) == neutral(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "plain, ünïcode, 日本語, 👩‍👩‍👧 and\ttabs\n",
            "plain, ünïcode, 日本語, 👩‍👩‍👧 and\ttabs\n",
        ),
        ("a\r\nb\r\n", "a\nb\n"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("bell\x07 del\x7f csi\x9b31m", "bell␇ del␡ csi\ufffd31m"),
        ("evil\u202etxt.exe", "evil\ufffdtxt.exe"),
        ("progress 1%\rprogress 2%", "progress 1%progress 2%"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_what_is_shown_instead(text: str, shown: str) -> None:
    assert neutral(text) == shown


@given(ANYTHING, st.integers(1, 40))
def test_one_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line
    assert obeyed(line) == []


def test_clean_text_costs_next_to_nothing() -> None:
    text = "An answer with several lines, é and 日本語.\n" * 2000
    start = time.perf_counter()
    for _ in range(20):
        neutral(text)
    assert time.perf_counter() - start < 5
