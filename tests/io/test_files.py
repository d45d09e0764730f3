"""Private files are whole or absent, and one writer holds a lock at a time."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nemocli.core.faults import FaultKind, NemoError
from nemocli.io.files import lock, private_folder, read_text, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_its_owners_alone_and_so_are_the_folders_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_private(path, "text")
    assert path.read_bytes() == b"text"
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    write_private(tmp_path / "file", b"\x00")
    assert mode(tmp_path) == 0o755


def test_replacing_makes_an_open_file_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    write_private(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_full_disk_is_named_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from nemocli.core.faults import NemoError\n"
        "from nemocli.io.files import write_private\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    write_private(Path(sys.argv[1]), b'x' * 5000)\n"
        "except NemoError as error:\n"
        "    print(error.fault.kind, error.fault.message)\n"
    )
    line = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"config cannot write {path}: ")
    assert os.strerror(errno.EFBIG) in done.stdout
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_through_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NemoError) as error:
        write_private(tmp_path / "file" / "x" / "y", "")
    assert error.value.fault.kind is FaultKind.CONFIG
    assert "Not a directory" in error.value.fault.message
    with pytest.raises(NemoError):
        private_folder(tmp_path / "file")


def test_reading_tells_absent_from_unreadable(tmp_path: Path) -> None:
    assert read_text(tmp_path / "none") is None
    with pytest.raises(NemoError, match="cannot read"):
        read_text(tmp_path)
    (tmp_path / "bytes").write_bytes(b"ok\xff")
    with pytest.raises(NemoError, match=r"not UTF-8 text \(byte 2\)"):
        read_text(tmp_path / "bytes")


def test_a_lock_excludes_other_processes_and_dies_with_them(tmp_path: Path) -> None:
    path = tmp_path / "state" / "x.lock"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nemocli.io.files import lock\n"
        "with lock(Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    line = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(NemoError, match="held by another nemocli"), lock(path, 0.1):
            pass
        holder.kill()
    with lock(path, 5):
        pass


def test_a_lock_excludes_other_threads(tmp_path: Path) -> None:
    path, count = tmp_path / "n.lock", tmp_path / "n"
    count.write_text("0")

    def add() -> None:
        for _ in range(20):
            with lock(path):
                count.write_text(str(int(count.read_text()) + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "80"


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with lock(tmp_path / "l"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with lock(tmp_path / "l", 0):
        pass
