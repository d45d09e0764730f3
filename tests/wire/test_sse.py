"""Any cut of an event stream gives the same events, in time that grows with its length."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.wire.sse import LONGEST, MOST_STRAY, ServerEvent, SseParser

NEWLINES = (b"\n", b"\r\n", b"\r")


def parsed(*chunks: bytes) -> list[ServerEvent]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: a\ndata: b\n\n", [ServerEvent("a\nb")]),
        (b"data: a\rdata: b\r\r", [ServerEvent("a\nb")]),
        (b"data: a\r\ndata: b\r\n\r\n", [ServerEvent("a\nb")]),
        (b"event: x\ndata:y\n\ndata: z\n\n", [ServerEvent("y", "x"), ServerEvent("z")]),
        (b"data:  two blanks\n\n", [ServerEvent(" two blanks")]),
        (b": hello\n\n:\n\ndata: a\n\n", [ServerEvent("a")]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [ServerEvent("a")]),
        (b"event: lonely\n\ndata: a\n\n", [ServerEvent("a")]),
        (b"data\n\n", [ServerEvent("")]),
        (b"\xef\xbb\xbfdata: a\n\n", [ServerEvent("a")]),
        (b"data: a", []),
        (b"nonsense\nmore: nonsense\n\n", []),
        ("data: a\u2028b\u0085c\u000bd\n\n".encode(), [ServerEvent("a\u2028b\u0085c\u000bd")]),
        (b"data: \xff\n\n", [ServerEvent("\N{REPLACEMENT CHARACTER}")]),
    ],
)
def test_reads(raw: bytes, expected: list[ServerEvent]) -> None:
    assert parsed(raw) == expected
    assert parsed(*(raw[i : i + 1] for i in range(len(raw)))) == expected


PIECES = st.lists(
    st.sampled_from(
        [
            b"data",
            b"event",
            b"id",
            b":",
            b" ",
            b"\n",
            b"\r",
            b"\r\n",
            b"data: a\r\n",
            b"data: b\r",
            b"\xf0\x9f",
            b"\xa6\x99",
            b"x",
        ]
    )
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)


@given(PIECES, st.lists(st.integers(0, 200), max_size=8))
def test_any_cut_reads_the_same(raw: bytes, cuts: list[int]) -> None:
    at = sorted({0, len(raw), *(min(c, len(raw)) for c in cuts)})
    pieces = [raw[a:b] for a, b in pairwise(at)]
    assert parsed(*pieces) == parsed(raw)
    assert parsed(*(raw[i : i + 1] for i in range(len(raw)))) == parsed(raw)


def test_an_event_is_there_as_soon_as_its_blank_line_is() -> None:
    assert parsed(b"data: a\r\r") == [ServerEvent("a")]


def test_pending_tells_whether_something_was_begun() -> None:
    parser = SseParser()
    list(parser.feed(b"data: a\n\n"))
    assert not parser.pending
    list(parser.feed(b"dat"))
    assert parser.pending
    list(parser.feed(b"a: b\n"))
    assert parser.pending
    assert list(parser.flush()) == [ServerEvent("b")]
    assert not parser.pending


@pytest.mark.parametrize("line", [b"x" * 65536, b": comment"])
def test_what_is_no_data_does_not_add_up(line: bytes) -> None:
    parser = SseParser()
    assert not [e for _ in range(400) for e in parser.feed(line + b"\n")]
    assert len(parser.stray) <= 2 * MOST_STRAY


def test_what_stood_between_the_events_is_kept_until_the_next_data() -> None:
    parser = SseParser()
    list(parser.feed(b'{"error":\n "m"}\n: comment\n'))
    assert parser.stray == b'{"error":\n "m"}\n'
    list(parser.feed(b"data: x\n"))
    assert parser.stray == b""


def seconds(size: int) -> float:
    raw = b"data: " + b"x" * size + b"\n\n"
    pieces = [raw[i : i + 512] for i in range(0, len(raw), 512)]
    begun = time.process_time()
    (event,) = parsed(*pieces)
    assert len(event.data) == size
    return time.process_time() - begun


def test_a_giant_line_in_small_chunks_takes_linear_time() -> None:
    small = min(seconds(500_000) for _ in range(3))
    assert seconds(8_000_000) < max(16 * 6 * small, 0.5)


@pytest.mark.parametrize("line", [b"x" * 65536, b"data: y\n" * 8192], ids=["line", "event"])
def test_what_never_ends_is_refused(line: bytes) -> None:
    parser = SseParser()
    pieces = [line] * (2 * LONGEST // len(line) * 8)
    with pytest.raises(NemoError) as caught:
        any(event for piece in pieces for event in parser.feed(piece))
    assert caught.value.fault.kind is FaultKind.PROTOCOL
