"""Prices that were refreshed or set by hand: a file of JSON lines that only grows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import Price
from nemocli.cost.prices import price_from, price_json


def read_prices(path: Path) -> tuple[Price, ...]:
    """Every row, oldest first; none where there is no file. Raises NemoError naming the line. A
    last line without its end was being written by a process that is gone: it is not there yet."""
    from nemocli.io.files import read_text

    text = read_text(path)
    if text is None:
        return ()
    found = []
    for number, line in enumerate(text.split("\n")[:-1], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("it is no object")
            found.append(price_from(row))
        except ValueError as error:
            raise NemoError(
                Fault(
                    FaultKind.CONFIG,
                    f"{path}:{number}: not a price row: {error}",
                    "mend or remove that line",
                    sent=False,
                )
            ) from None
    return tuple(found)


def add_prices(path: Path, prices: Iterable[Price], fetched_at: str) -> None:
    """Append rows, durable when it returns. Raises NemoError, and then nothing was added."""
    from nemocli.io.files import lock, read_text, write_private

    lines = [json.dumps(price_json(p, fetched_at), ensure_ascii=False) + "\n" for p in prices]
    with lock(path.with_name(f"{path.name}.lock")):
        text = read_text(path) or ""
        whole = text[: text.rfind("\n") + 1]  # less what a killed process had begun to write
        write_private(path, whole + "".join(lines))
