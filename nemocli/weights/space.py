"""Whether there is room for everything, before the first byte is asked for."""

from __future__ import annotations

from nemocli.core.faults import config_error
from nemocli.core.quantities import size_text
from nemocli.core.value_class import value_class
from nemocli.weights.ports import Space

SPARE = 64 * 1024 * 1024
"""Bytes left free for journals, folders and everybody else."""

SPARE_FILES = 16


@value_class(frozen=True, slots=True)
class Need:
    """What is still to be written: bytes that no part holds yet, and new files."""

    size: int
    files: int


def lack(need: Need, space: Space) -> int:
    """Bytes that are missing on the target; 0 when all fits."""
    return max(0, need.size + SPARE - space.free) if need.size else 0


def check_room(need: Need, space: Space, folder: str) -> None:
    """Raises a config fault (exit 3) when it cannot all be written."""
    short = lack(need, space)
    if short:
        raise config_error(
            f"not enough space in {folder}: {size_text(need.size)} are to be written,"
            f" {size_text(space.free)} are free, {size_text(short)} are missing"
            f" ({size_text(SPARE)} stay free)",
            "free some space, or choose another place with --local-dir or HF_HUB_CACHE",
        )
    if space.files is not None and need.files + SPARE_FILES > space.files:
        raise config_error(
            f"{folder} has room for {space.files} more files (inodes), and {need.files} are needed",
            "remove some small files, or choose another place with --local-dir",
        )
