"""Rows out of files and pipes, one at a time: JSONL, CSV, TSV, lines of text, Parquet."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast

from nemocli.core.faults import config_error, usage_error
from nemocli.core.records import Record
from nemocli.io.files import file_error

if TYPE_CHECKING:
    from nemocli.core.values import Json

Format = Literal["jsonl", "csv", "tsv", "text", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv", "tsv", "text", "parquet")
SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "text",
    ".text": "text",
    ".parquet": "parquet",
}
LONGEST_LINE = 256 * 2**20
"""Bytes of a line that is still read whole."""

_BOM = b"\xef\xbb\xbf"
_STDIN = 0


@dataclass(slots=True)
class Inputs:
    """The files of a job, in order. Iterating gives every record once, in flat memory; `size` is
    their bytes together, None where a pipe is among them. `shard` (I of N, from 0) leaves out the
    records of other shards; ordinals stay those of the whole."""

    paths: tuple[str, ...]
    form: Format | None = None
    shard: tuple[int, int] | None = None
    size: int | None = field(init=False)
    pipe: bool = field(init=False)

    def __post_init__(self) -> None:
        sizes = [_size(path) for path in self.paths]
        self.size = None if None in sizes else sum(s or 0 for s in sizes)
        self.pipe = self.size is None

    def __iter__(self) -> Iterator[Record]:
        at, ordinal = 0, 0
        share = self.shard
        for path in self.paths:
            for record in _records(path, self.form or _form(path), ordinal, at):
                ordinal = record.ordinal + 1
                if share is None or record.ordinal % share[1] == share[0]:
                    yield record
            at += _size(path) or 0


def inputs_of(
    given: Sequence[str], form: str | None = None, shard: tuple[int, int] | None = None
) -> Inputs:
    """The files that names and patterns mean (`-` is stdin). Raises NemoError where one is not
    there, cannot be read, or its format is unknown."""
    if form is not None and form not in FORMATS:
        raise usage_error(f"--format {form!r} is none", f"one of: {', '.join(FORMATS)}")
    paths: list[str] = []
    for name in given:
        if name == "-" or not glob.has_magic(name) or Path(name).exists():
            paths.append(name)
            continue
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - as typed, `~` aside
        if not found:
            raise usage_error(f"no file matches {name!r}")
        paths += found
    for path in paths:
        if path == "-":
            continue
        try:
            with open(path, "rb"):  # noqa: PTH123 - a name as typed
                pass
        except OSError as error:
            raise file_error("cannot read", Path(path), error) from error
        if form is None and Path(path).suffix.lower() not in SUFFIXES:
            raise usage_error(
                f"{path}: what is in it cannot be told from its name",
                f"`--format` says it: {', '.join(FORMATS)}",
            )
    if paths.count("-") > 1:
        raise usage_error("stdin can be read once")
    return Inputs(tuple(paths), next((f for f in FORMATS if f == form), None), shard)


def _form(path: str) -> Format:
    return "jsonl" if path == "-" else SUFFIXES[Path(path).suffix.lower()]


def _size(path: str) -> int | None:
    try:
        status = os.fstat(_STDIN) if path == "-" else os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _records(path: str, form: Format, first: int, at: int) -> Iterator[Record]:
    name = "stdin" if path == "-" else path
    try:
        if form == "parquet":
            yield from _parquet(path, name, first, at)
            return
        with _opened(path) as file:
            match form:
                case "csv" | "tsv":
                    yield from _csv(file, name, first, at, "\t" if form == "tsv" else ",")
                case "text":
                    yield from _text(file, name, first, at)
                case _:
                    yield from _jsonl(file, name, first, at)
    except OSError as error:
        raise file_error("cannot read", Path(name), error) from error


def _opened(path: str) -> IO[bytes]:
    if path == "-":
        return cast("IO[bytes]", sys.stdin.buffer)
    return open(path, "rb", buffering=1 << 18)  # noqa: PTH123 - closed by the caller


def _lines(file: IO[bytes], at: int) -> Iterator[tuple[int, bytes, int]]:
    """Number from 1, the line without its end, and the bytes up to its end. A first BOM is none of
    its text; what is longer than any row comes cut, with the rest skipped."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        at += len(line)
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            while (more := file.readline(LONGEST_LINE)) and not more.endswith(b"\n"):
                at += len(more)
            at += len(more)
        if number == 1 and line.startswith(_BOM):
            line = line[len(_BOM) :]
        yield number, line.rstrip(b"\r\n"), at


def _jsonl(file: IO[bytes], name: str, ordinal: int, at: int) -> Iterator[Record]:
    for number, line, end in _lines(file, at):
        if not line or line.isspace():
            continue
        raw = blake2b(line, digest_size=8).digest()
        problem = None
        if len(line) > LONGEST_LINE:
            problem = ("too_large", f"a line above {LONGEST_LINE // 2**20} MiB")
        elif b"\0" in line:
            problem = ("bad_json", f"a NUL byte (byte {line.index(0) + 1})")
        kept = None if problem else line
        yield Record(ordinal, f"{name}:{number}", raw, end, kept, None, problem)
        ordinal += 1


def _text(file: IO[bytes], name: str, ordinal: int, at: int) -> Iterator[Record]:
    for number, line, end in _lines(file, at):
        if not line or line.isspace():
            continue
        raw = blake2b(line, digest_size=8).digest()
        try:
            values: dict[str, Json] | None = {"prompt": line.decode()}
            problem = ("bad_text", "a NUL byte") if b"\0" in line else None
        except UnicodeDecodeError as error:
            values, problem = None, ("not_utf8", f"not UTF-8 (byte {error.start + 1})")
        yield Record(ordinal, f"{name}:{number}", raw, end, None, values, problem)
        ordinal += 1


def _csv(file: IO[bytes], name: str, ordinal: int, at: int, comma: str) -> Iterator[Record]:
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _table(_Counted(text, at), name, ordinal, comma)
    finally:
        text.detach()


def _table(lines: _Counted, name: str, ordinal: int, comma: str) -> Iterator[Record]:
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(lines, delimiter=comma, strict=True)
    columns: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if columns is None:
                raise config_error(f"{name}:{number}: {error}") from error
            raw = blake2b(f"{number}".encode(), digest_size=8).digest()
            problem = ("bad_csv", str(error))
            yield Record(ordinal, f"{name}:{number}", raw, lines.at, problem=problem)
            ordinal += 1
            continue
        if columns is None:
            columns = _header(cells, f"{name}:{number}")
            continue
        if not cells or cells == [""]:
            continue
        yield _cells(columns, cells, f"{name}:{number}", ordinal, lines.at)
        ordinal += 1


def _header(cells: list[str], where: str) -> list[str]:
    columns = [cell.strip() for cell in cells]
    twice = {c for c in columns if columns.count(c) > 1}
    if twice or not all(columns):
        what = f"two columns are called {min(twice)!r}" if twice else "a column has no name"
        raise config_error(f"{where}: {what}", "the first line of a CSV names its columns")
    return columns


def _cells(columns: list[str], cells: list[str], where: str, ordinal: int, at: int) -> Record:
    data = "\x1f".join(cells).encode("utf-8", "surrogateescape")
    raw = blake2b(data, digest_size=8).digest()
    problem = None
    if len(cells) != len(columns):
        problem = ("bad_csv", f"{len(cells)} fields where the first line names {len(columns)}")
    elif b"\0" in data:
        problem = ("bad_text", "a NUL byte")
    else:
        try:
            data.decode()
        except UnicodeDecodeError:
            problem = ("not_utf8", "not UTF-8")
    values = None if problem else dict(zip(columns, cells, strict=True))
    return Record(ordinal, where, raw, at, None, values, problem)


class _Counted:
    """Lines of text for the csv module, with their bytes counted."""

    def __init__(self, text: io.TextIOWrapper, at: int) -> None:
        self._text = text
        self.at = at

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self.at += len(line) if line.isascii() else len(line.encode("utf-8", "surrogateescape"))
        return line


def _parquet(path: str, name: str, ordinal: int, at: int) -> Iterator[Record]:
    from nemocli.io.batch.parquet import parquet_rows

    for values in parquet_rows(path, name):
        text = json.dumps(values, default=str, sort_keys=True).encode()
        raw = blake2b(text, digest_size=8).digest()
        plain = cast("dict[str, Json]", json.loads(text))
        yield Record(ordinal, f"{name}: row {ordinal + 1}", raw, at, None, plain)
        ordinal += 1
