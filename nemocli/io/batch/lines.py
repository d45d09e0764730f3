"""The lines of an output file, whole ones only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nemocli.io.files import file_error

BLOCK = 1 << 20


def lines_in(*paths: Path) -> Iterator[bytes]:
    """Line by line, file after file; a file that is not there has none, and a last line without its
    end is none. Raises NemoError for a file that cannot be read."""
    for path in paths:
        try:
            with path.open("rb", buffering=BLOCK) as file:
                yield from (line for line in file if line.endswith(b"\n"))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise file_error("cannot read", path, error) from error
