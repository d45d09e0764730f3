"""Bytes of the same dialect go on as they came, but for the end and what nobody asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nemocli.serve.frames import Frames

DONE = b"data: [DONE]\n\n"
COUNTS = b'data: {"choices": [], "usage": {"prompt_tokens": 1}}\n\n'
BLANK = st.sampled_from([b"\n\n", b"\r\n\r\n"])
WORDS = st.text(max_size=20).filter(lambda text: "[DONE]" not in text)
LINE = WORDS.map(lambda text: text.replace("\n", "").replace("\r", "").encode())
FRAME = st.tuples(st.sampled_from([b"data: ", b": ", b"event: x\ndata: "]), LINE, BLANK).map(
    b"".join
)


def fed(data: bytes, cuts: list[int], *, counts: bool = True) -> tuple[bytes, bytes]:
    """What is shown of some bytes in pieces, and what is kept for the end."""
    frames, out, start = Frames(counts=counts), b"", 0
    for cut in [*sorted(c % (len(data) + 1) for c in cuts), len(data)]:
        out += b"".join(frames.feed(data[start:cut]))
        start = cut
    return out, frames.end()


@given(st.lists(FRAME, max_size=8), st.lists(st.integers(0, 400), max_size=8))
def test_every_byte_goes_on_and_the_end_is_held(frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frames)
    shown, end = fed(data + DONE, cuts)
    assert shown == data
    assert end == DONE


def test_counts_are_left_out_for_those_who_did_not_ask() -> None:
    answer = b'data: {"choices": [{"delta": {"content": "usage"}}], "usage": null}\n\n'
    assert fed(answer + COUNTS + DONE, [], counts=False) == (answer, DONE)
    assert fed(answer + COUNTS + DONE, [], counts=True) == (answer + COUNTS, DONE)


def test_nothing_after_the_terminal_event_is_shown_before_its_time() -> None:
    end = b'event: response.completed\ndata: {"type":"response.completed"}\n\n'
    text = b'data: {"type":"response.output_text.delta","delta":"[DONE]"}\n\n'
    assert fed(text + end + b": late\n\n", [5, 30, 61]) == (text, end + b": late\n\n")


def test_half_an_event_is_never_shown() -> None:
    frames = Frames(counts=True)
    assert list(frames.feed(b'data: {"a": 1}\n\ndata: {"b')) == [b'data: {"a": 1}\n\n']
