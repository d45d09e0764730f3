"""The file of those who may use a gateway: a name and the digest of a token for each."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemocli.core.faults import config_error, usage_error
from nemocli.io.files import read_text, write_private
from nemocli.io.yaml import read, to_yaml
from nemocli.serve.guard import Holder, digest_of

SCHEMA = "nemocli.serve_keys/1"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def holders_in(file: Path) -> dict[str, Holder]:
    """Holders by the digest of their token. Raises NemoError (config) naming file and line."""
    found: dict[str, Holder] = {}
    for name, row in _rows(file).items():
        digest = str(row.get("sha256") or "")
        if not NAME.fullmatch(str(name)) or not _DIGEST.fullmatch(digest):
            raise config_error(
                f"{file}: {name}: a name, and `sha256` with 64 hex digits",
                f"`nemocli serve --keys {file} --new-key {name}` makes one",
            )
        tags = row.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise config_error(f"{file}: {name}: `tags` is a list of texts")
        if digest in found:
            raise config_error(f"{file}: {name} and {found[digest].name} have the same token")
        found[digest] = Holder(str(name), tuple(tags))
    if not found:
        raise config_error(
            f"{file}: nobody is in it", f"`nemocli serve --keys {file} --new-key NAME`"
        )
    return found


def new_key(file: Path, name: str) -> str:
    """A token for a name, made now; the file keeps its digest alone. Raises NemoError."""
    if not NAME.fullmatch(name):
        raise usage_error(f"--new-key {name!r}", "letters, digits, dots and hyphens")
    rows = {k: dict(v) for k, v in _rows(file).items()} if file.exists() else {}
    token = secrets.token_urlsafe(24)
    rows[name] = {**rows.get(name, {}), "sha256": digest_of(token.encode())}
    write_private(file, to_yaml({"schema": SCHEMA, "keys": rows}))
    return token


def _rows(file: Path) -> Mapping[str, Mapping[str, Any]]:
    text = read_text(file)
    if text is None:
        raise config_error(f"{file}: no such file", f"`nemocli serve --keys {file} --new-key NAME`")
    document = read(text, str(file))
    data = document.data
    keys = data.get("keys") if isinstance(data, Mapping) else None
    if (
        not isinstance(data, Mapping)
        or data.get("schema") != SCHEMA
        or not isinstance(keys, Mapping)
    ):
        raise config_error(f"{file}:1: not {SCHEMA}: `keys` with names")
    for name, row in keys.items():
        if not isinstance(row, Mapping):
            raise config_error(f"{file}:{document.line(('keys', name))}: {name}: names and values")
    return keys  # type: ignore[return-value]
