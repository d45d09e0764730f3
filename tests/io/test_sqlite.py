"""A store is private, is made once however many ask, migrates with a backup, and says what is
wrong with it in one line."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.io.sqlite import open_store, sqlite_errors, writing

FIRST = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",)
SECOND = (
    "ALTER TABLE notes ADD COLUMN length INTEGER",
    "UPDATE notes SET length = length(text)",
)
BROKEN = ("ALTER TABLE notes ADD COLUMN length INTEGER", "UPDATE nothing SET x = 1")

ROOT = Path(__file__).parents[2]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def notes(connection: sqlite3.Connection) -> list[str]:
    return [row["text"] for row in connection.execute("SELECT text FROM notes ORDER BY id")]


def fault_of_opening(path: Path, migrations: tuple[tuple[str, ...], ...] = (FIRST,)) -> Fault:
    with pytest.raises(NemoError) as raised:
        open_store(path, migrations, busy_s=0.1)
    return raised.value.fault


def interrupted_write(connection: sqlite3.Connection) -> None:
    with writing(connection):
        connection.execute("INSERT INTO notes (text) VALUES ('half')")
        raise KeyboardInterrupt


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def one_note(tmp_path: Path) -> Path:
    path = tmp_path / "notes.db"
    with closing(open_store(path, (FIRST,))) as connection:
        connection.execute("INSERT INTO notes (text) VALUES ('kept')")
    return path


def test_files_are_0600_and_new_folders_0700_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "home" / "data" / "notes.db"
    before = os.umask(0)
    try:
        with closing(open_store(path, (FIRST,))) as connection:
            connection.execute("INSERT INTO notes (text) VALUES ('x')")
            modes = {p.name: mode(p) for p in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"notes.db": 0o600, "notes.db-wal": 0o600, "notes.db-shm": 0o600}
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


def test_a_file_others_could_read_is_closed_to_them(one_note: Path) -> None:
    one_note.chmod(0o644)
    open_store(one_note, (FIRST,)).close()
    assert mode(one_note) == 0o600


def test_it_waits_for_other_writers_and_keeps_foreign_keys(one_note: Path) -> None:
    with closing(open_store(one_note, (FIRST,))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] == 10_000
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_migration_keeps_every_row_and_leaves_a_copy_of_what_was(one_note: Path) -> None:
    with closing(open_store(one_note, (FIRST, SECOND))) as connection:
        assert notes(connection) == ["kept"]
        assert connection.execute("SELECT length FROM notes").fetchone()[0] == 4
    copy = one_note.with_name("notes.db.v1.backup")
    assert mode(copy) == 0o600
    with closing(open_store(copy, (FIRST,))) as old:
        assert notes(old) == ["kept"]
    assert sorted(p.name for p in one_note.parent.iterdir()) == ["notes.db", "notes.db.v1.backup"]


def test_the_copy_holds_rows_that_are_still_in_the_write_ahead_log(one_note: Path) -> None:
    with closing(open_store(one_note, (FIRST,))) as writer:
        writer.execute("INSERT INTO notes (text) VALUES ('in the log')")
        open_store(one_note, (FIRST, SECOND)).close()
    with closing(open_store(one_note.with_name("notes.db.v1.backup"), (FIRST,))) as old:
        assert notes(old) == ["kept", "in the log"]


def test_a_new_file_needs_no_copy(tmp_path: Path) -> None:
    open_store(tmp_path / "notes.db", (FIRST, SECOND)).close()
    assert [p.name for p in tmp_path.iterdir()] == ["notes.db"]


def test_a_migration_that_fails_changes_nothing(one_note: Path) -> None:
    with pytest.raises(NemoError):
        open_store(one_note, (FIRST, BROKEN))
    with closing(open_store(one_note, (FIRST,))) as connection:
        assert notes(connection) == ["kept"]
        assert [c["name"] for c in connection.execute("PRAGMA table_info(notes)")] == ["id", "text"]


def test_a_migration_whose_copy_cannot_be_made_is_not_begun(one_note: Path) -> None:
    one_note.with_name("notes.db.v1.backup").mkdir()
    fault = fault_of_opening(one_note, (FIRST, SECOND))
    assert fault.kind is FaultKind.CONFIG
    with closing(open_store(one_note, (FIRST,))) as connection:
        assert notes(connection) == ["kept"]


def test_a_file_of_a_newer_version_is_refused_untouched(one_note: Path) -> None:
    open_store(one_note, (FIRST, SECOND)).close()
    before = one_note.read_bytes()
    fault = fault_of_opening(one_note)
    assert fault.kind is FaultKind.CONFIG
    assert "written by a newer nemocli" in fault.message
    assert one_note.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("my shopping list\n" * 100)
    fault = fault_of_opening(path)
    assert fault.kind is FaultKind.CONFIG
    assert f"{path} is damaged or not a database" in fault.message
    assert path.read_text() == "my shopping list\n" * 100


def test_the_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    assert "some other program" in fault_of_opening(path).message
    with closing(sqlite3.connect(path)) as other:
        assert [r[0] for r in other.execute("SELECT name FROM sqlite_master")] == ["theirs"]


def test_damage_inside_is_told_where_it_is_met(one_note: Path) -> None:
    with one_note.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    with (
        closing(open_store(one_note, (FIRST,))) as connection,
        pytest.raises(NemoError, match="damaged"),
        sqlite_errors(one_note),
    ):
        connection.execute("SELECT * FROM notes").fetchall()


def test_a_path_through_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fault = fault_of_opening(tmp_path / "file" / "notes.db")
    assert fault.kind is FaultKind.CONFIG
    assert "not a directory" in fault.message


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.db").mkdir()
    assert "cannot be opened" in fault_of_opening(tmp_path / "notes.db").message


@pytest.fixture
def common_folder() -> Iterator[Path]:
    """A folder an unprivileged process can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize("there", [False, True], ids=["no file yet", "file of someone else"])
def test_a_folder_that_cannot_be_written_is_told(common_folder: Path, there: bool) -> None:
    path = common_folder / "notes.db"
    if there:
        open_store(path, (FIRST,)).close()
        path.chmod(0o400)
    common_folder.chmod(0o555)
    code = """
import os, sys
from pathlib import Path
from nemocli.core.faults import NemoError
from nemocli.io.sqlite import open_store
if os.getuid() == 0:
    os.setuid(65534)
try:
    open_store(Path(sys.argv[1]), (("CREATE TABLE notes (id)",),), busy_s=0.1)
except NemoError as error:
    print(error.fault.kind, error.fault.message)
"""
    out, err = run(code, path).communicate()
    assert err == ""
    assert out.startswith(f"config {path}")


def test_a_lock_that_stays_is_told_after_the_wait(one_note: Path) -> None:
    with closing(open_store(one_note, (FIRST,))) as holder, writing(holder):
        fault = fault_of_opening(one_note, (FIRST, SECOND))
    assert fault.kind is FaultKind.CONFIG
    assert "stayed locked by another process" in fault.message


def test_a_full_disk_is_told_and_loses_nothing(one_note: Path) -> None:
    with closing(open_store(one_note, (FIRST,))) as connection:
        connection.execute("PRAGMA max_page_count = 2")
        with pytest.raises(NemoError, match="the disk is full"), sqlite_errors(one_note):
            connection.execute("INSERT INTO notes (text) VALUES (?)", ("x" * 100_000,))
        assert notes(connection) == ["kept"]


def test_a_file_that_may_not_grow_is_told_and_loses_nothing(one_note: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from nemocli.core.faults import NemoError
from nemocli.io.sqlite import open_store, sqlite_errors
path = Path(sys.argv[1])
connection = open_store(path, (("CREATE TABLE notes (id)",),))
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    with sqlite_errors(path):
        for _ in range(100):
            connection.execute("INSERT INTO notes (text) VALUES ('more')")
            print("kept")
except NemoError as error:
    print(error.fault.kind, error.fault.message)
connection.close()
"""
    out, err = run(code, one_note).communicate()
    assert err == ""
    *kept, told_so = out.splitlines()
    assert told_so.startswith(f"config {one_note} cannot be read or written")
    with closing(open_store(one_note, (FIRST,))) as connection:
        assert notes(connection) == ["kept", *["more"] * len(kept)]


def test_a_transaction_is_all_or_nothing(one_note: Path) -> None:
    with closing(open_store(one_note, (FIRST,))) as connection:
        with pytest.raises(KeyboardInterrupt):
            interrupted_write(connection)
        assert notes(connection) == ["kept"]
        with writing(connection):
            connection.execute("INSERT INTO notes (text) VALUES ('whole')")
        assert notes(connection) == ["kept", "whole"]


@pytest.mark.parametrize("version", [0, 1], ids=["new", "old"])
def test_eight_processes_may_open_it_at_once(tmp_path: Path, version: int) -> None:
    path = tmp_path / "data" / "notes.db"
    if version:
        open_store(path, (FIRST,)).close()
    code = """
import sys
from pathlib import Path
from nemocli.io.sqlite import open_store
first, second = sys.argv[2], sys.argv[3]
print("ready", flush=True)
sys.stdin.readline()
connection = open_store(Path(sys.argv[1]), ((first,), (second,)))
connection.execute("INSERT INTO notes (text) VALUES ('x')")
connection.close()
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), FIRST[0], SECOND[0]],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in processes] == [""] * 8
    with closing(open_store(path, ((FIRST[0],), (SECOND[0],)))) as connection:
        assert notes(connection) == ["x"] * 8
