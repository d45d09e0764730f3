"""How many rows the files of a job hold, counted fast: for a total while the first are asked.

A quote that opens a CSV field hides line ends up to the next one; blank lines are no rows. What
the count takes for a row and the reader does not is a bad row: it is over all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import IO

from nemocli.core.faults import NemoError
from nemocli.io.batch.encoding import bare_suffix, open_unpacked
from nemocli.io.batch.inputs import Inputs

CHUNK = 1 << 20


def count_in_background(inputs: Inputs, told: Callable[[int], None]) -> None:
    """Count in a thread that nobody waits for, and tell; never, where a file cannot be counted."""
    if not inputs.pipe:
        threading.Thread(target=_count, args=(inputs, told), daemon=True).start()


def _count(inputs: Inputs, told: Callable[[int], None]) -> None:
    try:
        total = count_rows(inputs)
    except (OSError, EOFError, ValueError, NemoError):
        return
    if total is not None:
        told(total)


def count_rows(inputs: Inputs) -> int | None:
    """Rows of all files, or of the job's share of them; None where that takes reading them whole.
    Raises OSError, NemoError."""
    total = 0
    for path in inputs.paths:
        form = inputs.form_of(path)
        if form == "parquet":
            from nemocli.io.batch.parquet import parquet_count

            total += parquet_count(path)
            continue
        if form == "json" or inputs.encoding is not None or bare_suffix(path)[1] == "zstd":
            return None
        with open_unpacked(path) as file:
            total += _table_rows(file) if form in ("csv", "tsv") else _lines(file)
    if inputs.shard is not None:
        place, shares = inputs.shard
        total = (total - place + shares - 1) // shares
    return max(0, total)


def _lines(file: IO[bytes]) -> int:
    """Lines that are not blank."""
    return sum(not line.isspace() for line in file)


def _table_rows(file: IO[bytes]) -> int:
    """Line ends outside quotes, less the first line."""
    count, quoted, last = 0, False, b"\n"
    while chunk := file.read(CHUNK):
        for part in chunk.split(b'"'):
            if not quoted:
                count += part.count(b"\n")
            quoted = not quoted
        quoted = not quoted  # the chunk ended, not a quote
        last = chunk[-1:]
    return count + (last != b"\n") - 1
