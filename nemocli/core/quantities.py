"""Amounts of bytes and time, for people."""

from __future__ import annotations


def size_text(count: float) -> str:
    """`352.3 GB`: decimal, as weights are sold."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.2f} TB"


def count_of(count: int, word: str, plural: str | None = None) -> str:
    """`1 row`, `2 rows`, `2 retries`."""
    return f"{count:,} {word if count == 1 else plural or word + 's'}"


def time_text(seconds: float | None) -> str:
    """`2 h 05 min`, `48 min`, `12 s`."""
    if seconds is None:
        return "unknown"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
