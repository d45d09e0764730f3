"""What is piped in, of every kind that a stdin can be, and files that are attached."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nemocli.core.faults import ExitCode, NemoError
from nemocli.io.stdin import MOST_BYTES, SILENT_S, read_attachment
from nemocli.io.text import text_of


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
    ("data", "said"),
    [
        (b"ok\xff", r"byte 2"),
        (b"\xef\xbb\xbfok\xff", r"byte 5"),
        (b"\xff\xfea\0b", r"UTF-16 text \(byte 4"),
        (b"\x7fELF\0\0", "NUL byte at 4"),
        (b"\xef\xbb\xbf\xc3\xa9\0", "NUL byte at 5"),
        (b"a" * 20_000 + b"\0", "NUL byte at 20000"),
        ("é\0".encode("utf-16"), "NUL byte at 4"),
    ],
    ids=lambda v: str(v)[:30],
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
    for odd in ("~no_such_user_here/x", "a\0b", "x" * 300):
        with pytest.raises(NemoError) as caught:
            read_attachment(odd)
        assert caught.value.fault.exit_code is ExitCode.CONFIG


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "notes.txt").write_text("x")
    assert read_attachment("~/notes.txt") == ("~/notes.txt", "x")


def test_a_dash_is_no_file() -> None:
    with pytest.raises(NemoError, match="stdin") as caught:
        read_attachment("-")
    assert caught.value.fault.exit_code is ExitCode.USAGE


def test_a_pipe_with_a_name_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("x" * 200_000,))
    writer.start()
    assert read_attachment(str(pipe))[1] == "x" * 200_000
    writer.join()


def test_what_has_no_end_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(NemoError, match="more than 64 MiB: /dev/zero"):
        read_attachment("/dev/zero")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(NemoError, match="large"):
        read_attachment(str(large))


def test_a_name_cannot_drive_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a\x1b[2Jb.txt"
    file.write_text("x")
    name, _ = read_attachment(os.fspath(file))
    assert "\x1b" not in name


READ = """
import sys
from nemocli.core.faults import NemoError
from nemocli.io.stdin import read_stdin
sys.stderr.write("ready\\n"); sys.stderr.flush()
try:
    print(ascii(read_stdin(wanted=sys.argv[1] == "wanted")))
except NemoError as error:
    print(error.fault.kind, error.fault.message)
"""
ROOT = str(Path(__file__).parents[2])


def reading(stdin: object, *, wanted: bool) -> subprocess.Popen[str]:
    """A program that prints what it finds on such a stdin, and has come as far as to look."""
    process = subprocess.Popen(
        [sys.executable, "-c", READ, "wanted" if wanted else "spare"],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=stdin,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    return process


def found(process: subprocess.Popen[str], then: str | None = None, timeout: float = 50) -> str:
    out, err = process.communicate(then, timeout=timeout)
    assert (process.returncode, err) == (0, "")
    return out.rstrip("\n")


@pytest.mark.parametrize("wanted", [True, False])
def test_files_and_ends_are_read_wanted_or_not(tmp_path: Path, wanted: bool) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(b"a\r\n\xc3\xa9\n")
    with file.open("rb") as source:
        assert found(reading(source, wanted=wanted)) == ascii("a\r\n\u00e9\n")
    assert found(reading(subprocess.DEVNULL, wanted=wanted)) == "''"
    ours, theirs = os.pipe()
    os.write(theirs, b"sent ")
    os.close(theirs)
    assert found(reading(ours, wanted=wanted)) == "'sent '"
    os.close(ours)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_closed_stdin_and_a_terminal_are_none(wanted: bool) -> None:
    word = "wanted" if wanted else "spare"
    line = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", READ, word]
    closed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
    assert closed.stdout == "None\n"
    ours, theirs = pty.openpty()
    assert found(reading(theirs, wanted=wanted)) == "None"
    os.close(ours)
    os.close(theirs)


def test_an_idle_pipe_is_left_alone_unless_it_is_wanted() -> None:
    ours, theirs = os.pipe()
    begun = time.monotonic()
    assert found(reading(ours, wanted=False), timeout=60) == "None"
    assert time.monotonic() - begun >= SILENT_S
    process = reading(ours, wanted=True)
    os.write(theirs, b"at last")
    os.close(theirs)
    assert found(process) == "'at last'"
    os.close(ours)


def test_a_pipe_that_begins_late_is_not_dropped() -> None:
    ours, theirs = os.pipe()
    process = reading(ours, wanted=False)
    time.sleep(0.3)
    os.write(theirs, b"late")
    os.close(theirs)
    assert found(process) == "'late'"
    os.close(ours)


@pytest.mark.parametrize(
    ("data", "said", "hint"),
    [
        (b"a\0b", "not text (a NUL byte at 1)", "iconv -t utf-8"),
        ("hello world".encode("utf-16-le"), "NUL byte at 1", "iconv -f UTF-16LE"),
        ("hello world".encode("utf-16-be"), "NUL byte at 0", "iconv -f UTF-16BE"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "a picture", "ask -f"),
    ],
)
def test_what_is_no_text_is_refused_on_every_way_in(data: bytes, said: str, hint: str) -> None:
    with pytest.raises(NemoError) as caught:
        text_of(data, "stdin")
    assert said in caught.value.fault.message
    assert hint in str(caught.value.fault.hint)


@pytest.mark.parametrize("blocking", [True, False])
def test_what_has_begun_is_read_to_its_end(blocking: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"first ")
        process = reading(ours, wanted=False)
        ours.setblocking(blocking)
        theirs.sendall(b"x" * 300_000)
        theirs.shutdown(socket.SHUT_WR)
        assert found(process) == ascii("first " + "x" * 300_000)


def test_a_stdin_that_is_no_text_is_said_with_its_place(tmp_path: Path) -> None:
    process = reading(subprocess.PIPE, wanted=True)
    assert process.stdin is not None
    process.stdin.buffer.write(b"abc\xff")
    assert found(process) == "config stdin: not UTF-8 text (byte 3)"
    with (tmp_path / "out").open("wb") as unreadable:
        assert "cannot read stdin" in found(reading(unreadable, wanted=False))
    with Path("/dev/zero").open("rb") as endless:
        assert "more than 64 MiB" in found(reading(endless, wanted=False))
