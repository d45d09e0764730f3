"""What a file of rows is written in: its compression, its encoding, its delimiter.

Judged from the beginning of the file, before a row is read: a wrong guess would spoil every row.
"""

from __future__ import annotations

import codecs
import gzip
import io
from pathlib import Path
from typing import IO, cast

from nemocli.core.faults import NemoError, config_error, usage_error

HEAD = 1 << 16
"""Bytes of a file that are looked at."""
DELIMITERS = ",;\t|"
NAMES = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}

_SIGNS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_PACKED = {".gz": "gzip", ".zst": "zstd"}
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def bare_suffix(path: str) -> tuple[str, str | None]:
    """The suffix that says the format, in lower case, and the compression around it, if any."""
    name = Path(path)
    packed = _PACKED.get(name.suffix.lower())
    return (Path(name.stem) if packed else name).suffix.lower(), packed


def open_unpacked(path: str) -> IO[bytes]:
    """A file's bytes, unpacked where its name says that it is packed. Raises OSError, NemoError."""
    packed = bare_suffix(path)[1]
    if packed == "gzip":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if packed == "zstd":
        try:
            import zstandard
        except ImportError as error:
            raise config_error(
                f"{path}: zstd needs its package", "`pip install 'nemocli[zstd]'`, or unpack it"
            ) from error
        return cast("IO[bytes]", io.BufferedReader(zstandard.open(path, "rb")))
    return open(path, "rb", buffering=1 << 18)  # noqa: PTH123 - closed by the caller


def encoding_of(name: str) -> str:
    """Python's name of an encoding. Raises NemoError (usage) for one that nobody knows."""
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise usage_error(
            f"--encoding {name!r} is not known", "for example utf-16, windows-1252, latin-1, cp932"
        ) from None


def check_encoding(name: str, head: bytes, *, lines_are_judged: bool) -> None:
    """Refuse a file whose beginning is not UTF-8; where lines are judged one by one, only one that
    is plainly something else. Raises NemoError."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            raise _not_utf8(name, f"it is {encoding.upper()}", encoding)
    if _half_zeros(head):
        low = head[1::2].count(0) >= head[::2].count(0)
        raise _not_utf8(name, "it looks like UTF-16", "utf-16-le" if low else "utf-16-be")
    if lines_are_judged:
        return
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        line = head.count(b"\n", 0, error.start) + 1
        raise _not_utf8(
            f"{name}:{line}", f"byte {error.start + 1} is not UTF-8", "windows-1252"
        ) from None


def _half_zeros(head: bytes) -> bool:
    """Whether every other byte is NUL, as in ASCII written as UTF-16."""
    some = head[:256]
    zeros = max(some[::2].count(0), some[1::2].count(0))
    return len(some) >= 4 and zeros >= 0.4 * (len(some) / 2) and zeros >= 2


def _not_utf8(where: str, what: str, encoding: str) -> NemoError:
    return config_error(f"{where}: {what}", f"`--encoding {encoding}` reads it")


def delimiter_in(header: str) -> str:
    """The delimiter of a first line: the one that stands in it most often outside quotes, the
    comma where none does."""
    counts = dict.fromkeys(DELIMITERS, 0)
    quoted = False
    for sign in header:
        if sign == '"':
            quoted = not quoted
        elif not quoted and sign in counts:
            counts[sign] += 1
    return max(DELIMITERS, key=lambda sign: counts[sign])


def delimiter_named(text: str) -> str:
    """`,`, `;`, `tab` and so on as one character. Raises NemoError (usage)."""
    sign = _SIGNS.get(text, text)
    if len(sign) != 1 or sign in '"\r\n':
        what = f"--delimiter takes one character, not {text!r}"
        raise usage_error(what, "for example ';' or tab")
    return sign


class Transcoded:
    """A file's lines from another encoding, as UTF-8. Raises NemoError where it is not that."""

    def __init__(self, file: IO[bytes], encoding: str, name: str) -> None:
        self._text = io.TextIOWrapper(file, encoding, newline="\n")
        self._name = name
        self._number = 0
        self._encoding = encoding

    def readline(self, limit: int = -1, /) -> bytes:
        """The next line with its end."""
        self._number += 1
        try:
            return self._text.readline(limit).encode("utf-8", "replace")
        except UnicodeError as error:
            raise config_error(
                f"{self._name}:{self._number}: not {self._encoding} as `--encoding` says: {error}"
            ) from error
