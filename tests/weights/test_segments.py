"""Segments: every byte is somebody's, and nobody's twice."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nemocli.weights.repository import Blob
from nemocli.weights.segments import (
    LEAST_SHARED,
    SEGMENT,
    SMALL,
    Board,
    Piece,
    missing,
    segment_count,
    segment_span,
)

SIZES = st.integers(0, 40 * SEGMENT)


@given(SIZES, st.data())
def test_good_and_missing_are_the_whole_file(size: int, data: st.DataObject) -> None:
    count = segment_count(size)
    good = data.draw(st.sets(st.integers(0, max(0, count - 1)), max_size=count)) if count else set()
    spans = list(missing(size, good))
    covered = sorted([*spans, *(segment_span(i, size) for i in good)])
    at = 0
    for start, end in covered:
        assert start == at
        assert end > start
        at = end
    assert at == size
    # As long as can be: two stretches never touch.
    assert all(one[1] < other[0] for one, other in pairwise(spans))


@given(
    st.lists(st.integers(1, 12 * SEGMENT) | st.integers(1, SMALL), min_size=1, max_size=8),
    st.integers(1, 6),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_every_byte_is_fetched_once_however_the_work_is_shared(
    sizes, workers, helpers, chance
) -> None:
    sizes.sort(reverse=True)
    blobs = [Blob(f"{n:064x}", size, None, (f"{n}",)) for n, size in enumerate(sizes)]
    board = Board(deque(blobs))
    held: list[Piece | None] = [None] * (workers + helpers)
    fetched: dict[str, list[tuple[int, int]]] = {blob.name: [] for blob in blobs}
    while not board.idle:
        number = chance.randrange(workers + helpers)
        piece = held[number]
        if piece is None:
            task = board.take(small=number >= workers)
            if isinstance(task, Blob):
                board.open(task, [(0, task.size)])
            else:
                held[number] = task
            blob = task.blob if isinstance(task, Piece) else task
            assert blob is None or number < workers or blob.size <= SMALL
            continue
        step = min(piece.left, chance.randrange(1, SEGMENT))
        fetched[piece.blob.name].append((piece.at, piece.at + step))
        piece.at += step
        if not piece.left:
            board.finish(piece)
            held[number] = None
    for blob in blobs:
        at = 0
        for start, end in sorted(fetched[blob.name]):
            assert start == at
            at = end
        assert at == blob.size


def test_a_file_of_a_server_without_ranges_is_one_workers() -> None:
    blob = Blob("a" * 64, 8 * LEAST_SHARED, None, ("a",))
    board = Board(deque([blob]))
    assert board.take() is blob
    board.open(blob, [(0, blob.size)])
    assert isinstance(board.take(), Piece)
    board.whole_only.add(blob.name)
    assert board.take() is None
    board.whole_only.clear()
    assert isinstance(board.take(), Piece)


def test_helpers_take_the_smallest_while_others_take_the_largest() -> None:
    sizes = (5 * SEGMENT, SEGMENT, SMALL, 10, 1)
    blobs = [Blob(f"{n:064x}", size, None, (f"{n}",)) for n, size in enumerate(sizes)]
    board = Board(deque(blobs))
    assert [board.take(small=True), board.take(), board.take(small=True)] == [
        blobs[4],
        blobs[0],
        blobs[3],
    ]
    assert board.take(small=True) is blobs[2]
    assert board.take(small=True) is None
