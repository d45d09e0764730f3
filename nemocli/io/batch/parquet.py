"""Parquet, where pyarrow is installed: rows in, a table out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemocli.core.faults import NemoError, config_error
from nemocli.io.files import file_error

ROWS = 1024
"""Rows held at once."""


def parquet_rows(path: str, name: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a file, in flat memory. Raises NemoError where it is none."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise _missing(name) from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS):
                yield from batch.to_pylist()
    except (ArrowException, ValueError) as error:
        raise config_error(f"{name}: not Parquet that can be read: {error}") from error


def parquet_count(path: str) -> int:
    """How many rows a file says it has. Raises NemoError."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise _missing(path) from error
    try:
        return int(parquet.read_metadata(path).num_rows)
    except (ArrowException, ValueError) as error:
        raise config_error(f"{path}: not Parquet that can be read: {error}") from error


def write_parquet(path: Path, columns: Mapping[str, str], rows: Iterator[Sequence[object]]) -> int:
    """Write rows of `columns` (name to `text`, `count`, `number`, `flag` or `usd`); how many. An
    amount is a decimal of twelve places. Raises NemoError, and leaves no half a file."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise _missing(str(path)) from error
    kinds = {
        "text": pa.string(),
        "count": pa.int64(),
        "usd": pa.decimal128(38, 12),
        "number": pa.float64(),
        "flag": pa.bool_(),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    beside, count = path.with_name(f".{path.name}.part"), 0
    try:
        with parquet.ParquetWriter(beside, schema) as writer:
            for group in _groups(rows):
                count += len(group)
                table = [pa.array(c, t) for c, t in zip(zip(*group, strict=True), schema.types)]  # noqa: B905
                writer.write_batch(pa.record_batch(table, schema=schema))
        beside.replace(path)
    except OSError as error:
        raise file_error("cannot write", path, error) from error
    finally:
        beside.unlink(missing_ok=True)
    return count


def _groups(rows: Iterator[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    group: list[Sequence[object]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS:
            yield group
            group = []
    if group:
        yield group


def _missing(name: str) -> NemoError:
    return config_error(f"{name}: Parquet needs pyarrow", "`pip install 'nemocli[parquet]'`")
