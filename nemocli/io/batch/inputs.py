"""Rows out of files and pipes, one at a time: JSONL, CSV, TSV, lines of text, Parquet."""

from __future__ import annotations

import csv
import glob
import json
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Protocol, cast

from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.records import Record
from nemocli.io.batch.encoding import (
    HEAD,
    NAMES,
    Transcoded,
    bare_suffix,
    check_encoding,
    delimiter_in,
    delimiter_named,
    encoding_of,
    open_unpacked,
)
from nemocli.io.files import file_error

if TYPE_CHECKING:
    from nemocli.core.values import Json

Format = Literal["jsonl", "csv", "tsv", "text", "parquet", "json"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv", "tsv", "text", "parquet", "json")
_ALSO: dict[str, Format] = {"txt": "text", "ndjson": "jsonl", "tab": "tsv"}
SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "text",
    ".text": "text",
    ".parquet": "parquet",
}
LONGEST_LINE = 256 * 2**20
"""Bytes of a line that is still read whole."""


class ByteLines(Protocol):
    """Bytes, a line at a time; `b""` at the end."""

    def readline(self, limit: int = -1, /) -> bytes: ...


_BOM = b"\xef\xbb\xbf"
_STDIN = 0


@dataclass(slots=True)
class Inputs:
    """The files of a job, in order. Iterating gives every record once, in flat memory; `size` is
    their bytes together, None where a pipe or a packed file is among them. `shard` (I of N, from 0)
    leaves out the records of other shards; ordinals stay those of the whole. `delimiter` of CSV and
    `encoding` are what the files say, unless they are given."""

    paths: tuple[str, ...]
    form: Format | None = None
    shard: tuple[int, int] | None = None
    delimiter: str | None = None
    encoding: str | None = None
    size: int | None = field(init=False)
    pipe: bool = field(init=False)

    def __post_init__(self) -> None:
        sizes = [_size(path) for path in self.paths]
        packed = any(bare_suffix(path)[1] for path in self.paths)
        self.size = None if None in sizes or packed else sum(s or 0 for s in sizes)
        self.pipe = None in sizes

    def form_of(self, path: str) -> Format:
        """What a file holds."""
        return self.form or _form(path)

    def inspect(self) -> list[str]:
        """Look at the beginning of every file that can be read twice; what of it should be said.
        Raises NemoError for an encoding that was not given."""
        said = []
        for path in self.paths:
            form = self.form_of(path)
            if form == "parquet" or _size(path) is None or path == "-":
                continue
            try:
                with open_unpacked(path) as file:
                    head = file.read(HEAD)
            except (OSError, EOFError) as error:
                raise _unreadable(path, error) from error
            if self.encoding is None:
                check_encoding(path, head, lines_are_judged=form not in ("csv", "tsv"))
            if form == "csv" and self.delimiter is None:
                found = delimiter_in(_first_line(head, self.encoding))
                if found != ",":
                    said.append(f"{path}: columns are separated by {NAMES[found]}")
        return said

    def __iter__(self) -> Iterator[Record]:
        at, ordinal = 0, 0
        share = self.shard
        for path in self.paths:
            for record in self._records(path, ordinal, at):
                ordinal = record.ordinal + 1
                if share is None or record.ordinal % share[1] == share[0]:
                    yield record
            at += _size(path) or 0

    def _records(self, path: str, first: int, at: int) -> Iterator[Record]:
        name = "stdin" if path == "-" else path
        form = self.form_of(path)
        try:
            if form == "parquet":
                yield from _parquet(path, name, first, at)
                return
            raw = cast("IO[bytes]", sys.stdin.buffer) if path == "-" else open_unpacked(path)
            with raw:
                file: ByteLines = raw
                if self.encoding is not None:
                    file = Transcoded(raw, self.encoding, name)
                match form:
                    case "csv" | "tsv":
                        sign = self.delimiter or ("\t" if form == "tsv" else None)
                        yield from _table(_Counted(file, at), name, first, sign)
                    case "text":
                        yield from _text(file, name, first, at)
                    case "json":
                        yield from _json(file, name, first, at)
                    case _:
                        yield from _jsonl(file, name, first, at)
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(name, error) from error


def inputs_of(
    given: Sequence[str],
    form: str | None = None,
    shard: tuple[int, int] | None = None,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Inputs:
    """The files that names and patterns mean (`-` is stdin). Raises NemoError where one is not
    there, cannot be read, or its format is unknown."""
    form = _ALSO.get(form or "", form)
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
        if form is None and bare_suffix(path)[0] not in SUFFIXES:
            raise usage_error(
                f"{path}: what is in it cannot be told from its name",
                f"`--format` says it: {', '.join(FORMATS)}",
            )
    if paths.count("-") > 1:
        raise usage_error("stdin can be read once")
    return Inputs(
        tuple(paths),
        next((f for f in FORMATS if f == form), None),
        shard,
        None if delimiter is None else delimiter_named(delimiter),
        None if encoding is None else encoding_of(encoding),
    )


def _form(path: str) -> Format:
    return "jsonl" if path == "-" else SUFFIXES[bare_suffix(path)[0]]


def _size(path: str) -> int | None:
    try:
        status = os.fstat(_STDIN) if path == "-" else os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _first_line(head: bytes, encoding: str | None) -> str:
    text = head.decode(encoding or "utf-8-sig", "replace")
    return text.lstrip("\ufeff").partition("\n")[0]


def _unreadable(path: str, error: Exception) -> NemoError:
    if isinstance(error, OSError) and error.errno is not None:
        return file_error("cannot read", Path(path), error)
    return config_error(f"{path}: it cannot be unpacked: {error}", "is it whole?")


def _lines(file: ByteLines, at: int) -> Iterator[tuple[int, bytes, int]]:
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


def _jsonl(file: ByteLines, name: str, ordinal: int, at: int) -> Iterator[Record]:
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


def _text(file: ByteLines, name: str, ordinal: int, at: int) -> Iterator[Record]:
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


def _json(file: ByteLines, name: str, ordinal: int, at: int) -> Iterator[Record]:
    """A file of one JSON array, or of JSON lines that are called so."""
    first = file.readline(LONGEST_LINE)
    while first and first.isspace():
        first = file.readline(LONGEST_LINE)
    rest = iter(lambda: file.readline(LONGEST_LINE), b"")
    if not first.lstrip(_BOM + b" \t\r\n").startswith(b"["):
        yield from _jsonl(_Before(first, file), name, ordinal, at)
        return
    data = first.removeprefix(_BOM) + b"".join(rest)
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise config_error(f"{name}: not one JSON array: {error}") from error
    for number, row in enumerate(rows, 1):
        line = json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
        raw = blake2b(line, digest_size=8).digest()
        yield Record(ordinal, f"{name}[{number}]", raw, at + len(data), line)
        ordinal += 1


class _Before:
    """A first line, and the file it was read from."""

    def __init__(self, first: bytes, file: ByteLines) -> None:
        self._first = first
        self._file = file

    def readline(self, limit: int = -1) -> bytes:
        first, self._first = self._first, b""
        return first or self._file.readline(limit)


def _table(lines: _Counted, name: str, ordinal: int, comma: str | None) -> Iterator[Record]:
    csv.field_size_limit(LONGEST_LINE)
    if comma is None:
        comma = delimiter_in(lines.peek())
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

    def __init__(self, file: ByteLines, at: int) -> None:
        self._file = file
        self._first: str | None = None
        self.at = at
        self._began = False

    def __iter__(self) -> Iterator[str]:
        return self

    def peek(self) -> str:
        """The first line, which comes again."""
        if self._first is None and not self._began:
            self._first = self._read()
        return self._first or ""

    def __next__(self) -> str:
        line, self._first = self._first if self._first is not None else self._read(), None
        if not line:
            raise StopIteration
        return line

    def _read(self) -> str:
        line = self._file.readline(LONGEST_LINE)
        self.at += len(line)
        if not self._began:
            self._began = True
            line = line.removeprefix(_BOM)
        return line.decode("utf-8", "surrogateescape")


def _parquet(path: str, name: str, ordinal: int, at: int) -> Iterator[Record]:
    from nemocli.io.batch.parquet import parquet_rows

    for values in parquet_rows(path, name):
        text = json.dumps(values, default=str, sort_keys=True).encode()
        raw = blake2b(text, digest_size=8).digest()
        plain = cast("dict[str, Json]", json.loads(text))
        yield Record(ordinal, f"{name}: row {ordinal + 1}", raw, at, None, plain)
        ordinal += 1
