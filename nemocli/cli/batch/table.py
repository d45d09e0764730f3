"""Results as a table beside their input: CSV, TSV or Parquet, in the order of the input."""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast

from nemocli.batch.lines import settlement_of
from nemocli.batch.report import Result, result_of
from nemocli.batch.rows import PROMPTS
from nemocli.batch.table import TableShape, columns_of, shape_of
from nemocli.core.faults import NemoError, config_error
from nemocli.core.text import spreadsheet_safe
from nemocli.io.batch.inputs import Inputs, inputs_of
from nemocli.io.batch.job import BatchJob

if TYPE_CHECKING:
    from nemocli.cli.batch.wish import BatchOptions
    from nemocli.core.records import Record
    from nemocli.core.values import Json, JsonObject

TableForm = Literal["csv", "tsv", "parquet"]
SUFFIXES: Mapping[str, TableForm] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet"
}  # fmt: skip
LOOKED_AT = 1000
"""Records of an input whose keys make its columns."""


def table_form(path: Path) -> TableForm | None:
    """The table a name stands for; None for JSON lines."""
    return SUFFIXES.get(path.suffix.lower())


def lines_beside(path: Path) -> Path:
    """The output lines that a table is made from: they stay, and say more."""
    return path.with_name(f"{path.name}.jsonl") if table_form(path) else path


def write_beside(
    job: BatchJob, wish: BatchOptions, folder: Path, into: Path, form: TableForm
) -> int:
    """Write a table of a job into a file; how many rows. Raises NemoError where the input cannot be
    read again."""
    rows = table_rows(job, wish, folder)
    if form == "parquet":
        from nemocli.io.batch.parquet import write_parquet

        shape = cast("TableShape", next(rows))
        return write_parquet(into, shape.columns, cast("Iterator[list[object]]", rows))
    from nemocli.io.files import write_lines

    return write_lines(into, texts(rows, form)) - 1


def texts(rows: Iterator[TableShape | list[object]], form: TableForm) -> Iterator[str]:
    """Rows as lines of CSV or TSV, the names first."""
    shape = cast("TableShape", next(rows))
    sign = "\t" if form == "tsv" else ","
    yield csv_line(list(shape.columns), sign)
    for cells in rows:
        yield csv_line(cast("list[object]", cells), sign)


def csv_line(cells: list[object], sign: str = ",", *, raw: bool = False) -> str:
    """One line with its end. What came from outside as text stays text in a spreadsheet."""
    line = io.StringIO()
    shown = [
        "" if c is None else c if raw or not isinstance(c, str) else spreadsheet_safe(c)
        for c in cells
    ]
    csv.writer(line, lineterminator="\n", delimiter=sign).writerow(shown)
    return line.getvalue()


def table_rows(
    job: BatchJob, wish: BatchOptions, folder: Path
) -> Iterator[TableShape | list[object]]:
    """The shape, then the cells of every record of the input. Raises NemoError."""
    inputs = _inputs(wish, folder)
    shape = shape_of(_columns(inputs), _schema(wish, folder))
    yield shape
    with _Answers(job) as answers:
        for record in inputs:
            yield shape.cells(columns_of(_values(record)), answers.of(record.ordinal))


def _inputs(wish: BatchOptions, folder: Path) -> Inputs:
    names = [name if name == "-" else str(folder / name) for name in wish.inputs]
    inputs = inputs_of(names, wish.form, delimiter=wish.delimiter, encoding=wish.encoding)
    if inputs.pipe:
        raise config_error("the input came from a pipe and is not here any more")
    return inputs


def _schema(wish: BatchOptions, folder: Path) -> JsonObject | None:
    if wish.schema is None:
        return None
    from nemocli.io.json_schema import schema_argument

    beside = folder / wish.schema
    try:
        return schema_argument(str(beside) if beside.is_file() else wish.schema)
    except OSError:  # a long list of fields is no file's name
        return schema_argument(wish.schema)


def _columns(inputs: Inputs) -> list[str]:
    names: dict[str, None] = {}
    for record in islice(replace(inputs), LOOKED_AT):
        names |= dict.fromkeys(columns_of(_values(record)))
    return list(names) or [PROMPTS[0]]


def _values(record: Record) -> Mapping[str, Json]:
    if record.values is not None:
        return record.values
    try:
        said: Json = json.loads(record.line or b"null")
    except (ValueError, RecursionError):
        return {}
    if isinstance(said, str):
        return {PROMPTS[0]: said}
    return said if isinstance(said, dict) else {}


class _Answers:
    """Output lines by their row: 8 bytes a row are held, the lines stay on the disk. A later line
    of a row takes the place of an earlier one."""

    def __init__(self, job: BatchJob) -> None:
        self._paths = (job.out, job.errors)
        self._places = array("q")
        self._files: list[IO[bytes]] = []
        self._stack = ExitStack()

    def __enter__(self) -> _Answers:
        for number, path in enumerate(self._paths):
            file: IO[bytes] = path.open("rb") if path.exists() else io.BytesIO()
            self._files.append(self._stack.enter_context(file))
            at = 0
            for line in file:
                if line.endswith(b"\n"):
                    self._put(self._ordinal(line, path), at << 1 | number)
                at += len(line)
        return self

    def _ordinal(self, line: bytes, path: Path) -> int:
        try:
            return settlement_of(line).ordinal
        except ValueError as error:
            raise config_error(f"{path}: a line that is no output of a batch: {error}") from error

    def _put(self, ordinal: int, place: int) -> None:
        missing = ordinal + 1 - len(self._places)
        if missing > 0:
            self._places.extend([-1] * missing)
        self._places[ordinal] = place

    def of(self, ordinal: int) -> Result | None:
        """What became of a row; None where it is not over."""
        place = self._places[ordinal] if ordinal < len(self._places) else -1
        if place < 0:
            return None
        file = self._files[place & 1]
        file.seek(place >> 1)
        return result_of(file.readline())

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def reason_of(error: NemoError) -> str:
    """Why a table has only what the output says."""
    return f"the input's columns are left out: {error.fault.message}"
