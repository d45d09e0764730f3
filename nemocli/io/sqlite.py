"""SQLite files that are private, survive a kill and migrate with a backup; the only importer."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from nemocli.core.faults import Fault, FaultKind, NemoError

Connection = sqlite3.Connection
Record = sqlite3.Row
Refused = sqlite3.IntegrityError
"""A row that a key, a check or a trigger of the schema turns away."""

Migration = Sequence[str]
"""Statements that lead from one version to the next, run in one transaction."""

BUSY_S = 10.0
"""How long to wait for another process's write; a write here takes well under a millisecond."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SHUT = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


def open_store(path: Path, migrations: Sequence[Migration], busy_s: float = BUSY_S) -> Connection:
    """Open a database, made or brought up to the last of `migrations` where needed.

    File 0600 (SQLite gives its -wal and -shm the same mode), new folders 0700, WAL, foreign keys
    on, autocommit. `synchronous=NORMAL`: a committed write survives the death of the process at any
    moment; a power cut may take the last moments before it but cannot damage the file. An existing
    file is copied to `NAME.vN.backup` before it is migrated from version N. Any number of processes
    may do this at once. Raises NemoError, and leaves the file as it was, when it cannot.
    """
    with sqlite_errors(path):
        _make_private(path)
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        try:
            connection.row_factory = Record
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            if _version(connection) != len(migrations):
                _bring_up(connection, path, migrations, busy_s)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say about a file into one clear NemoError."""
    try:
        yield
    except sqlite3.Error as error:
        raise NemoError(_fault(error, path)) from error
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise NemoError(_config(f"{path}: {why.lower()}", _ELSEWHERE)) from error


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """One transaction that holds the write lock from its first statement: all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk or a failing one has already rolled it back.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _make_private(path: Path) -> None:
    """An existing file is never opened here: closing it would drop this process's SQLite locks."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _version(connection: Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _bring_up(
    connection: Connection, path: Path, migrations: Sequence[Migration], busy_s: float
) -> None:
    _check_version(_version(connection), path, migrations)
    _use_wal(connection, busy_s)
    with writing(connection):
        version = _version(connection)
        _check_version(version, path, migrations)
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise NemoError(_config(f"{path} is a database of some other program", _ELSEWHERE))
        if 0 < version < len(migrations):
            _back_up(path, path.with_name(f"{path.name}.v{version}.backup"))
        for migration in migrations[version:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _check_version(version: int, path: Path, migrations: Sequence[Migration]) -> None:
    if version > len(migrations):
        message = f"{path} was written by a newer nemocli (its version {version}, "
        message += f"known here: {len(migrations)})"
        raise NemoError(_config(message, "upgrade nemocli, or point NEMOCLI_HOME elsewhere"))


def _use_wal(connection: Connection, busy_s: float) -> None:
    """The switch to WAL does not wait for others by itself, whatever the busy timeout says."""
    until = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _back_up(path: Path, copy: Path) -> None:
    """A whole copy under its name, or none; the caller holds the write lock, so nothing is lost."""
    part = copy.with_name(f"{copy.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)
        part.replace(copy)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


_ELSEWHERE = "check the folder, or point NEMOCLI_HOME elsewhere"


def _config(message: str, hint: str) -> Fault:
    return Fault(FaultKind.CONFIG, message, hint, sent=False)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; errors of the Python module itself have none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _fault(error: sqlite3.Error, path: Path) -> Fault:
    code = _code(error)
    if code in _DAMAGED:
        return _config(
            f"{path} is damaged or not a database",
            f"move it away to start afresh; `sqlite3 {path} .recover` may save its rows",
        )
    if code in _BUSY:
        return _config(f"{path} stayed locked by another process", "try again, or end that process")
    if code in _SHUT:
        return _config(f"{path} cannot be opened for writing", _ELSEWHERE)
    if code == sqlite3.SQLITE_FULL:
        return _config(f"the disk is full: {path} cannot grow", "free some space")
    if code == sqlite3.SQLITE_IOERR:
        return _config(
            f"{path} cannot be read or written: {error}", "check the disk, and its space"
        )
    return Fault(FaultKind.INTERNAL, f"{path}: {error}", None, sent=False)
