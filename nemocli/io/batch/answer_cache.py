"""Answers kept by what was asked: one SQLite file."""

from __future__ import annotations

from pathlib import Path

from nemocli.io.sqlite import Connection, open_store, sqlite_errors, writing

_MIGRATIONS = (("CREATE TABLE answers (name BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",),)
AT_ONCE = 256
"""Answers written in one go; so many are lost by a kill, and only here."""


class StoredAnswers:
    """Fills `batch.ports.Answers`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._book: Connection | None = None
        self._fresh: dict[bytes, bytes] = {}

    def get(self, name: bytes) -> bytes | None:
        """The body of that name. Raises NemoError where the file cannot be read."""
        fresh = self._fresh.get(name)
        if fresh is not None:
            return fresh
        with sqlite_errors(self._path):
            ask = "SELECT body FROM answers WHERE name = ?"
            found = self._opened().execute(ask, (name,)).fetchone()
        return None if found is None else bytes(found[0])

    def put(self, name: bytes, body: bytes) -> None:
        """Keep it."""
        self._fresh[name] = body
        if len(self._fresh) >= AT_ONCE:
            self._write()

    def close(self) -> None:
        """Write what is left, and let go."""
        self._write()
        if self._book is not None:
            self._book.close()
            self._book = None

    def _write(self) -> None:
        if not self._fresh:
            return
        with sqlite_errors(self._path):
            book = self._opened()
            with writing(book):
                book.executemany(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?)", self._fresh.items()
                )
        self._fresh.clear()

    def _opened(self) -> Connection:
        if self._book is None:
            self._book = open_store(self._path, _MIGRATIONS)
        return self._book
