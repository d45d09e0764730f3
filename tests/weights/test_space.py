"""Room on a disk, at the very edge of it."""

from __future__ import annotations

import pytest

from nemocli.core.faults import NemoError
from nemocli.weights.ports import Space
from nemocli.weights.space import SPARE, SPARE_FILES, Need, check_room, lack


@pytest.mark.parametrize(
    ("free", "lacking"),
    [(1000 + SPARE, 0), (1000 + SPARE - 1, 1), (1000, SPARE), (0, 1000 + SPARE), (10**12, 0)],
)
def test_spare_room_is_asked_for_beside_what_is_written(free: int, lacking: int) -> None:
    assert lack(Need(1000, 1), Space(free, None)) == lacking
    assert lack(Need(0, 1), Space(0, None)) == 0


def test_the_line_names_what_stays_free_and_files_have_an_edge_too() -> None:
    with pytest.raises(NemoError, match="stay free"):
        check_room(Need(1000, 1), Space(1000, None), "/x")
    check_room(Need(1000, 4), Space(10**12, 4 + SPARE_FILES), "/x")
    with pytest.raises(NemoError, match="inodes"):
        check_room(Need(1000, 4), Space(10**12, 3 + SPARE_FILES), "/x")
