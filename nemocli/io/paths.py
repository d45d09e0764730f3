"""Where things are kept on this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from nemocli.core.faults import config_error
from nemocli.core.value_class import value_class

APP = "nemocli"


@value_class(frozen=True, slots=True)
class Paths:
    """Four folders and the files in them. Nothing is created by asking."""

    config: Path
    data: Path
    state: Path
    cache: Path

    @property
    def config_file(self) -> Path:
        """The user's settings."""
        return self.config / "config.yaml"

    @property
    def profiles(self) -> Path:
        """The user's own profiles: `providers/` and `models/`."""
        return self.config / "profiles"

    @property
    def ledger(self) -> Path:
        """The ledger of every call, an SQLite file."""
        return self.data / "ledger.db"

    @property
    def sessions(self) -> Path:
        """Conversations, an SQLite file."""
        return self.data / "sessions.db"

    @property
    def prices(self) -> Path:
        """Prices that were refreshed or set by hand."""
        return self.data / "prices.jsonl"

    @property
    def keys_file(self) -> Path:
        """Keys of those who have no keyring. In data, because people publish their config."""
        return self.data / "keys.json"

    @property
    def keys_index(self) -> Path:
        """Which storage holds whose key; no key is in it."""
        return self.state / "keys-index.json"

    @property
    def trust_file(self) -> Path:
        """Folders whose project files may set what others may not."""
        return self.state / "trusted.json"

    @property
    def profile_cache(self) -> Path:
        """Profiles as read last, so that YAML need not be."""
        return self.cache / "profiles.json"

    @property
    def completion_cache(self) -> Path:
        """What shell completion answers from."""
        return self.cache / "completion.json"


def paths_from(env: Mapping[str, str]) -> Paths:
    """Everything under NEMOCLI_HOME where that is set; else the XDG folders, or on macOS and
    Windows the platform's own."""
    if home := env.get("NEMOCLI_HOME"):
        root = _expanded(home, env).absolute()
        return Paths(root, root / "data", root / "state", root / "cache")
    if sys.platform in ("darwin", "win32"):
        return _platform()
    return Paths(
        _xdg(env, "XDG_CONFIG_HOME", ".config"),
        _xdg(env, "XDG_DATA_HOME", ".local/share"),
        _xdg(env, "XDG_STATE_HOME", ".local/state"),
        _xdg(env, "XDG_CACHE_HOME", ".cache"),
    )


def _xdg(env: Mapping[str, str], name: str, default: str) -> Path:
    # A relative path in these variables is to be ignored (XDG Base Directory 0.8, "Basics").
    value = env.get(name, "")
    return (Path(value) if value.startswith("/") else user_home(env) / default) / APP


def user_home(env: Mapping[str, str]) -> Path:
    """The user's home folder. Raises NemoError (config) where there is none, as for a numeric user
    in a container: HOME is not set, and no account says more."""
    if home := env.get("HOME"):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError:
        raise config_error(
            "no home folder: HOME is not set, and this user has no account here",
            "set NEMOCLI_HOME to a folder for settings, keys and the ledger",
        ) from None


def _expanded(path: str, env: Mapping[str, str]) -> Path:
    if path == "~" or path.startswith(("~/", "~\\")):
        return user_home(env) / path[2:]
    return Path(path)


def _platform() -> Paths:
    import platformdirs

    folders = platformdirs.PlatformDirs(APP, appauthor=False)
    return Paths(
        folders.user_config_path,
        folders.user_data_path,
        folders.user_state_path,
        folders.user_cache_path,
    )
