"""Token counts. Totals include their parts: cached inside input, reasoning inside output."""

from __future__ import annotations

from typing import Literal

from nemocli.core.value_class import value_class

UsageSource = Literal["reported", "estimated"]

CHARS_PER_TOKEN = 4
"""Rule of thumb for English text with byte-pair tokenizers; only for estimates, always marked."""

MOST_TOKENS = 10**12
"""A count above this is not a count: no reply is that long, and sums must stay within 64 bits."""


@value_class(frozen=True, slots=True)
class Usage:
    """Five token classes as supersets; None is unknown, never zero.

    `cached_input_tokens` and `cache_write_tokens` are inside `input_tokens`; `reasoning_tokens` is
    inside `output_tokens` (the rule of OpenAI, OpenRouter, vLLM and OpenTelemetry's gen_ai.usage).
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    source: UsageSource = "reported"

    @property
    def known(self) -> bool:
        """Whether both totals are there, so that a price can be applied."""
        return self.input_tokens is not None and self.output_tokens is not None


def superset(usage: Usage) -> Usage:
    """Make every part fit in its whole: a part larger than its whole is a wrong part, dropped.

    Servers do send such counts (a reasoning count above the completion count was seen on hosted
    vLLM); believing the part would bill tokens twice. Counts beyond MOST_TOKENS become unknown.
    """
    total = _within(usage.input_tokens, MOST_TOKENS)
    made = _within(usage.output_tokens, MOST_TOKENS)
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    if cached is written is usage.reasoning_tokens is None:  # nothing that could be too large
        return Usage(total, None, None, made, None, usage.source)
    most_in = MOST_TOKENS if total is None else total
    cached = _within(cached, most_in)
    written = _within(written, most_in - (cached or 0))
    reasoning = _within(usage.reasoning_tokens, MOST_TOKENS if made is None else made)
    return Usage(total, cached, written, made, reasoning, usage.source)


def _within(count: int | None, most: int) -> int | None:
    return count if count is not None and 0 <= count <= most else None


def from_disjoint(usage: Usage) -> Usage:
    """Anthropic-style counts, where input excludes both cache classes, as supersets."""
    if usage.input_tokens is None:
        return usage
    total = usage.input_tokens + (usage.cached_input_tokens or 0) + (usage.cache_write_tokens or 0)
    return Usage(
        total,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.source,
    )


def merge(old: Usage, new: Usage) -> Usage:
    """Counts of one reply that were said one after another: the later hold, but one that is missing
    or zero never erases one that is known."""
    return superset(
        Usage(
            _later(old.input_tokens, new.input_tokens),
            _later(old.cached_input_tokens, new.cached_input_tokens),
            _later(old.cache_write_tokens, new.cache_write_tokens),
            _later(old.output_tokens, new.output_tokens),
            _later(old.reasoning_tokens, new.reasoning_tokens),
            new.source,
        )
    )


def _later(old: int | None, new: int | None) -> int | None:
    return new if new or old is None else old


def estimate(input_chars: int, output_chars: int, reasoning_chars: int = 0) -> Usage:
    """A marked guess from lengths in characters, for replies that never said their counts."""
    return Usage(
        input_tokens=tokens_in(input_chars),
        output_tokens=tokens_in(output_chars + reasoning_chars),
        reasoning_tokens=tokens_in(reasoning_chars) if reasoning_chars else None,
        source="estimated",
    )


def tokens_in(chars: int) -> int:
    """Tokens in so many characters, rounded up."""
    return -(-chars // CHARS_PER_TOKEN)


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None and b is None else (a or 0) + (b or 0)


def add(a: Usage, b: Usage) -> Usage:
    """Class by class; estimated if either is."""
    return Usage(
        _sum(a.input_tokens, b.input_tokens),
        _sum(a.cached_input_tokens, b.cached_input_tokens),
        _sum(a.cache_write_tokens, b.cache_write_tokens),
        _sum(a.output_tokens, b.output_tokens),
        _sum(a.reasoning_tokens, b.reasoning_tokens),
        "estimated" if "estimated" in (a.source, b.source) else "reported",
    )
