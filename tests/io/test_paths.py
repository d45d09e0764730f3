"""Where files go, and that asking creates none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemocli.io.paths import paths_from

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG folders")


def test_nemocli_home_holds_everything(tmp_path: Path) -> None:
    home = tmp_path / "home"
    paths = paths_from({"NEMOCLI_HOME": str(home), "XDG_CONFIG_HOME": "/elsewhere"})
    assert paths.config_file == home / "config.yaml"
    assert paths.profiles == home / "profiles"
    assert paths.ledger == home / "data" / "ledger.db"
    assert {paths.data, paths.state, paths.cache} == {home / n for n in ("data", "state", "cache")}
    assert not home.exists()


def test_without_it_the_xdg_folders() -> None:
    env = {
        "HOME": "/home/u",
        "XDG_CONFIG_HOME": "/c",
        "XDG_DATA_HOME": "/d",
        "XDG_STATE_HOME": "/s",
        "XDG_CACHE_HOME": "/k",
    }
    paths = paths_from(env)
    assert paths.config_file == Path("/c/nemocli/config.yaml")
    assert paths.ledger == Path("/d/nemocli/ledger.db")
    assert paths.trust_file == Path("/s/nemocli/trusted.json")
    assert paths.completion_cache == Path("/k/nemocli/completion.json")


def test_without_those_their_defaults_and_relative_ones_are_ignored() -> None:
    paths = paths_from({"HOME": "/home/u", "XDG_DATA_HOME": "relative", "XDG_STATE_HOME": ""})
    assert paths.config == Path("/home/u/.config/nemocli")
    assert paths.data == Path("/home/u/.local/share/nemocli")
    assert paths.state == Path("/home/u/.local/state/nemocli")
    assert paths.cache == Path("/home/u/.cache/nemocli")


def test_a_tilde_and_a_relative_home_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths_from({"NEMOCLI_HOME": "~/n", "HOME": "/home/u"}).config == Path("/home/u/n")
    assert paths_from({"NEMOCLI_HOME": "n"}).config == tmp_path / "n"


def test_nothing_else_is_imported_for_it() -> None:
    code = (
        "import sys\n"
        "import nemocli.io.paths as p, nemocli.io.settings, nemocli.io.keys.store\n"
        "import nemocli.io.files\n"
        "p.paths_from({'HOME': '/x'})\n"
        "print([m for m in ('platformdirs', 'yaml', 'keyring', 'httpx2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
