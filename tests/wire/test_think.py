"""`<think>` is told apart from the answer however the text is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.wire.think import ThinkTags


def split(*texts: str) -> tuple[str, str]:
    """The reasoning and the answer."""
    tags = ThinkTags()
    pieces = [piece for text in texts for piece in tags.feed(text)] + list(tags.close())
    return "".join(t for k, t in pieces if k), "".join(t for k, t in pieces if not k)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("plain", "", "plain"),
        ("<think>why</think>\n\nanswer", "why", "answer"),
        ("\n <think>why</think>answer", "why", "answer"),
        ("<think></think>answer", "", "answer"),
        ("<think>a</think>\n<think>b</think> c", "ab", "c"),
        ("</think>\n\nanswer", "", "answer"),
        ("<think>never closed", "never closed", ""),
        ("<think>cut in the tag</thi", "cut in the tag</thi", ""),
        ("<thi", "", "<thi"),
        ("<thinker> is no tag", "", "<thinker> is no tag"),
        ("  led by blanks", "", "  led by blanks"),
        ("Write `</think>` to close.", "", "Write `</think>` to close."),
        ("Write <think>x</think>.", "", "Write <think>x</think>."),
        ("<think>x</think>Say </think> twice", "x", "Say </think> twice"),
        ("opened by the template</think>answer", "", "opened by the template</think>answer"),
        ("<think>a < b </ c</think>d", "a < b </ c", "d"),
        ("", "", ""),
    ],
)
def test_splits(text: str, reasoning: str, answer: str) -> None:
    assert split(text) == (reasoning, answer)
    assert split(*text) == (reasoning, answer)


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "<", "</", "th", "ink>", " ", "\n", "a"]),
        max_size=12,
    ).map("".join),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_any_cut_splits_the_same(text: str, cuts: list[int]) -> None:
    at = sorted({0, len(text), *(min(c, len(text)) for c in cuts)})
    assert split(*(text[a:b] for a, b in pairwise(at))) == split(text)


@given(st.text(max_size=40))
def test_text_without_tags_is_the_answer(text: str) -> None:
    if "think>" not in text:
        assert split(*text) == ("", text)
