"""Token counts: parts stay inside their wholes, guesses stay marked, unknown stays unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.usage import (
    MOST_TOKENS,
    Usage,
    add,
    estimate,
    from_disjoint,
    superset,
    tokens_in,
)

counts = st.none() | st.integers(0, 10**6)
anything = st.none() | st.integers(-5, 10**13)
usages = st.builds(Usage, *[anything] * 5, st.sampled_from(["reported", "estimated"]))
small = st.builds(Usage, *[counts] * 5, st.sampled_from(["reported", "estimated"]))


@given(usages)
def test_what_superset_leaves_always_fits(usage: Usage) -> None:
    sound = superset(usage)
    parts_in = (sound.cached_input_tokens or 0) + (sound.cache_write_tokens or 0)
    assert sound.input_tokens is None or parts_in <= sound.input_tokens
    assert sound.output_tokens is None or (sound.reasoning_tokens or 0) <= sound.output_tokens
    for count in (sound.input_tokens, sound.output_tokens, parts_in, sound.reasoning_tokens or 0):
        assert count is None or 0 <= count <= MOST_TOKENS
    assert sound.source == usage.source
    assert superset(sound) == sound


@given(small)
def test_superset_leaves_a_sound_count_alone(usage: Usage) -> None:
    whole = Usage(
        (usage.input_tokens or 0) + (usage.cached_input_tokens or 0),
        usage.cached_input_tokens,
        None,
        (usage.output_tokens or 0) + (usage.reasoning_tokens or 0),
        usage.reasoning_tokens,
        usage.source,
    )
    assert superset(whole) == whole


@pytest.mark.parametrize(
    ("sent", "believed"),
    [
        (Usage(10, 12, 3, 5, 2), Usage(10, None, 3, 5, 2)),
        (Usage(10, 8, 3, 5, 2), Usage(10, 8, None, 5, 2)),
        (Usage(10, 2, 30, 5, 2), Usage(10, 2, None, 5, 2)),
        (Usage(10, 2, 3, 5, 6), Usage(10, 2, 3, 5, None)),
        (Usage(None, 2, 3, None, 6), Usage(None, 2, 3, None, 6)),
        (Usage(MOST_TOKENS + 1, None, None, 5), Usage(None, None, None, 5)),
    ],
)
def test_only_the_wrong_part_is_dropped(sent: Usage, believed: Usage) -> None:
    assert superset(sent) == believed


@given(small)
def test_disjoint_counts_become_supersets(usage: Usage) -> None:
    whole = from_disjoint(usage)
    assert superset(Usage(whole.input_tokens, whole.cached_input_tokens, whole.cache_write_tokens))
    if usage.input_tokens is None:
        assert whole == usage
    else:
        parts = (usage.cached_input_tokens or 0) + (usage.cache_write_tokens or 0)
        assert whole.input_tokens == usage.input_tokens + parts
        assert whole.output_tokens == usage.output_tokens


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_guess_is_marked_and_sound(given_chars: int, text: int, reasoning: int) -> None:
    usage = estimate(given_chars, text, reasoning)
    assert usage.source == "estimated"
    assert usage.known
    assert superset(usage) == usage


def test_part_of_a_token_is_a_token() -> None:
    assert [tokens_in(n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


@given(small, small, small)
def test_adding_does_not_depend_on_the_order(a: Usage, b: Usage, c: Usage) -> None:
    assert add(a, b) == add(b, a)
    assert add(add(a, b), c) == add(a, add(b, c))


@given(small)
def test_adding_an_unknown_count_keeps_what_is_known(usage: Usage) -> None:
    assert add(usage, Usage()) == usage
