"""Where files lie: the shared cache as huggingface_hub writes it, and a plain folder of one's own.

Format: huggingface_hub 2.4.0 (2026-11), `file_download`, `_local_folder`, `_tree_cache`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from nemocli.core.faults import config_error, usage_error
from nemocli.weights.repository import Listing, RemoteFile

HUB = "https://huggingface.co"
"""The endpoint when HF_ENDPOINT does not name another."""

STATE = ".nemocli"
"""What is ours inside a repository's folder of the shared cache, which ignores it."""

LOCAL_META = ".cache/huggingface"
"""What is bookkeeping in a plain folder; never taken for part of the repository."""

LOCAL_STATE = f"{LOCAL_META}/nemocli"

NIM_HUB = "huggingface/hub"
"""The same cache inside the cache folder of a NIM."""

CACHE_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file marks a cache folder, which backups may leave out.\n"
    "# See https://bford.info/cachedir/\n"
)

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_TRUE = frozenset({"1", "true", "yes", "on"})


def check_repo(text: str) -> str:
    """`ORG/NAME`, or a usage fault."""
    bad = "--" in text or ".." in text or len(text) > 96
    if bad or not _REPO.fullmatch(text):
        raise usage_error(
            f"{text!r} is no repository", "write ORG/NAME, or the name of a model card"
        )
    return text


def repo_folder(repo: str) -> str:
    """The folder of a model repository in the cache."""
    return "--".join(("models", *repo.split("/")))


def repo_of_folder(name: str) -> str | None:
    """The reverse; None for a folder that holds no model."""
    kind, _, rest = name.partition("--")
    return rest.replace("--", "/") if kind == "models" and rest else None


def link_target(path: str, name: str) -> str:
    """What the link at `snapshots/COMMIT/path` points to: its content, relative to the link."""
    up = path.count("/") + 2
    return "../" * up + f"blobs/{name}"


def cache_root(env: Mapping[str, str], home: str) -> str:
    """HF_HUB_CACHE, else `hub` in HF_HOME, else in the user's cache folder."""
    if root := env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE"):
        return expand(root, env, home)
    return f"{hf_home(env, home)}/hub"


def hf_home(env: Mapping[str, str], home: str) -> str:
    """HF_HOME, else the folder of that name in the user's cache folder."""
    if root := env.get("HF_HOME"):
        return expand(root, env, home)
    cache = expand(env.get("XDG_CACHE_HOME") or f"{home}/.cache", env, home)
    return f"{cache}/huggingface"


def endpoint_of(env: Mapping[str, str]) -> str:
    """HF_ENDPOINT without its last slash, else the Hub itself. Raises NemoError (config) for one
    with a user or password in it, which would end up in manifests and logs."""
    endpoint = (env.get("HF_ENDPOINT") or HUB).strip().rstrip("/")
    if "@" in endpoint.partition("://")[2].partition("/")[0]:
        raise config_error(
            "HF_ENDPOINT holds a user or a password", "leave it out; HF_TOKEN takes a token"
        )
    return endpoint


def is_true(value: str | None) -> bool:
    """Whether a variable such as HF_HUB_OFFLINE says yes."""
    return (value or "").strip().lower() in _TRUE


def tree_file(files: Sequence[RemoteFile]) -> str:
    """`trees/COMMIT.json`: from it the ecosystem knows, offline, that a snapshot is whole."""
    rows = {
        f.path: {
            "size": f.size,
            "blob_id": f.oid,
            **({} if f.sha256 is None else {"lfs_sha256": f.sha256, "lfs_size": f.size}),
            **({} if f.xet is None else {"xet_hash": f.xet}),
        }
        for f in sorted(files, key=lambda f: f.path)
    }
    return json.dumps({"format_version": 1, "files": rows}, indent=1)


def read_tree_file(text: str) -> tuple[RemoteFile, ...] | None:
    """The reverse; None for anything else."""
    try:
        data = json.loads(text)
        if data["format_version"] != 1:
            return None
        return tuple(
            RemoteFile(
                path, row["size"], row["blob_id"], row.get("lfs_sha256"), row.get("xet_hash")
            )
            for path, row in data["files"].items()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def metadata_file(listing: Listing, etag: str, at: float) -> str:
    """A plain folder's note on one file: commit, digest, and when (seconds since 1970)."""
    return f"{listing.commit}\n{etag}\n{at}\n"


def expand(path: str, env: Mapping[str, str], home: str) -> str:
    """A path of a variable, with variables and `~` in it (huggingface_hub 2.4.0, `constants`). One
    that is not set stays as it is written."""
    path = _VARIABLE.sub(lambda m: env.get(m[1] or m[2], m[0]), path)
    return home + path[1:] if path == "~" or path.startswith("~/") else path
