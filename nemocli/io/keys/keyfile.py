"""Two small private files: the keys of those without a keyring, and who keeps whose key."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.value_class import value_class
from nemocli.io.files import file_error, lock, read_text, write_private

Rows = dict[str, dict[str, str]]


@value_class(frozen=True, slots=True)
class Placed:
    """Where a provider's key is kept (`keyring` or `file`) and the one origin it may go to."""

    storage: str
    origin: str
    stored_at: str


def index(path: Path) -> dict[str, Placed]:
    """Which storage has whose key. Nothing in the file is secret."""
    return {
        name: Placed(row["storage"], row["origin"], row.get("stored_at", ""))
        for name, row in _rows(path).items()
        if "storage" in row and "origin" in row
    }


def note(path: Path, provider: str, placed: Placed | None) -> None:
    """Remember where a provider's key is; None forgets it."""
    _change(path, provider, None if placed is None else asdict(placed))


def read_key(path: Path, provider: str) -> tuple[str, str] | None:
    """Key and origin from the key file. Raises NemoError when others may read the file."""
    _check_private(path)
    row = _rows(path).get(provider)
    return (row["key"], row["origin"]) if row and "key" in row and "origin" in row else None


def write_key(path: Path, provider: str, key: str | None, origin: str) -> None:
    """Keep a key in the key file, which is private again afterwards; None removes it."""
    if key is None and provider not in _rows(path):
        return
    _change(path, provider, None if key is None else {"origin": origin, "key": key})


def _check_private(path: Path) -> None:
    if os.name == "nt":
        return  # the user's profile folder is private there; mode bits say nothing
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise file_error("cannot read", path, error) from error
    if mode & 0o077:
        raise NemoError(
            Fault(
                FaultKind.AUTH,
                f"{path} holds keys and other users can read it",
                f"type `chmod 600 {path}`; if they may have read it, replace the keys",
                sent=False,
            )
        )


def _rows(path: Path) -> Rows:
    text = read_text(path)
    if text is None:
        return {}
    try:
        data: Any = json.loads(text)
    except ValueError:
        # What the parser says could quote the file.
        raise _broken(path) from None
    if not isinstance(data, dict):
        raise _broken(path)
    return {
        str(name): {str(k): v for k, v in row.items() if isinstance(v, str)}
        for name, row in data.items()
        if isinstance(row, dict)
    }


def _broken(path: Path) -> NemoError:
    return config_error(f"{path}: not JSON as nemocli writes it", "delete it and log in again")


def _change(path: Path, provider: str, row: dict[str, str] | None) -> None:
    with lock(path.with_suffix(".lock")):
        rows = {name: kept for name, kept in _rows(path).items() if name != provider}
        if row is not None:
            rows[provider] = row
        write_private(path, json.dumps(rows, indent=2, sort_keys=True) + "\n")
