"""Files that are attached; pipes are tested with the whole program in tests/cli."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nemocli.core.faults import NemoError
from nemocli.io.inputs import read_attachment


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\n", "plain\n"),
        ("über".encode(), "über"),
        (b"\xef\xbb\xbfmarked", "marked"),
        ("wide ✓".encode("utf-16"), "wide ✓"),
        (b"", ""),
        (b"a\r\nb", "a\r\nb"),
    ],
)
def test_text_comes_as_it_is(tmp_path: Path, data: bytes, text: str) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(data)
    assert read_attachment(str(file)) == (str(file), text)


@pytest.mark.parametrize(
    ("data", "said"), [(b"ok\xff", r"byte 2"), (b"\x7fELF\0\0", "NUL byte at 4")]
)
def test_what_is_no_text_is_refused_with_the_place(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "in.bin"
    file.write_bytes(data)
    with pytest.raises(NemoError, match=said) as caught:
        read_attachment(str(file))
    assert "in.bin" in caught.value.fault.message


def test_folders_and_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NemoError, match="is a folder"):
        read_attachment(str(tmp_path))
    with pytest.raises(NemoError, match=r"nothing\.txt"):
        read_attachment(str(tmp_path / "nothing.txt"))


def test_a_name_cannot_drive_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a\x1b[2Jb.txt"
    file.write_text("x")
    name, _ = read_attachment(os.fspath(file))
    assert "\x1b" not in name
