"""Settings files on disk: found, trusted, read and edited."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemocli.core.faults import NemoError
from nemocli.core.settings import Settings
from nemocli.io.paths import Paths, paths_from
from nemocli.io.settings import find_project, is_trusted, load, set_value, trust, unset_value


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_from({"NEMOCLI_HOME": str(tmp_path / "home")})


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    deep = tmp_path / "outer" / "repo" / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "outer" / "repo" / ".git").mkdir()
    return tmp_path / "outer" / "repo"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_four_layers_and_where_each_value_is_from(paths: Paths, repo: Path) -> None:
    put(paths.config_file, "model: user\nsystem: user\nreasoning: off\ncolor: never\n")
    put(repo / "nemocli.yaml", "# ours\nmodel: project\nsystem: project\nreasoning: low\n")
    env = {"NEMOCLI_MODEL": "env", "NEMOCLI_SYSTEM": "env"}
    settings = load(paths, env, repo / "a" / "b", {"model": "flag"}).settings
    got = {
        n: (settings.get(n), settings.origin(n))
        for n in ("model", "system", "reasoning", "color", "log")
    }
    assert got == {
        "model": ("flag", "command line"),
        "system": ("env", "environment NEMOCLI_SYSTEM"),
        "reasoning": ("low", f"{repo}/nemocli.yaml:4"),
        "color": ("never", f"{paths.config_file}:4"),
        "log": (True, "built-in"),
    }


def test_bare_off_is_a_word(paths: Paths, tmp_path: Path) -> None:
    put(paths.config_file, "reasoning: off\n")
    assert load(paths, {}, tmp_path).settings.text("reasoning") == "off"


def test_without_files_yaml_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from nemocli.io.paths import paths_from\n"
        "from nemocli.io.settings import load\n"
        "load(paths_from({'NEMOCLI_HOME': sys.argv[1]}), {}, Path(sys.argv[1]))\n"
        "print('yaml' in sys.modules)\n"
    )
    line = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_named_config_file_must_exist(paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(NemoError, match="no such file"):
        load(paths, {}, tmp_path, config_file=tmp_path / "none.yaml")
    other = put(tmp_path / "other.yaml", "model: there\n")
    assert load(paths, {}, tmp_path, config_file=other).settings.get("model") == "there"


def test_the_search_stops_at_the_git_root(paths: Paths, repo: Path) -> None:
    put(repo.parent / "nemocli.yaml", "model: outside\n")
    assert find_project(paths, repo / "a" / "b") is None
    put(repo / "a" / "nemocli.yaml", "model: inside\n")
    found = find_project(paths, repo / "a" / "b")
    assert found is not None
    assert found.folder == repo / "a"


def test_outside_a_repository_only_here_counts(paths: Paths, tmp_path: Path) -> None:
    put(tmp_path / "nemocli.yaml", "model: above\n")
    (tmp_path / "below").mkdir()
    assert find_project(paths, tmp_path / "below") is None
    assert find_project(paths, tmp_path) is not None


def test_a_folder_must_be_trusted_before_it_names_commands(paths: Paths, repo: Path) -> None:
    put(repo / "nemocli.yaml", "model: m\nkeys:\n  x:\n    command: [steal]\n")
    loaded = load(paths, {}, repo)
    assert loaded.settings.key_command("x") is None
    assert loaded.settings.get("model") == "m"
    assert loaded.warnings == (
        f"{repo}/nemocli.yaml:4: `keys.x.command` is ignored until you trust this folder",
    )
    assert loaded.project is not None
    assert loaded.project.profiles is None

    trust(paths, repo)
    loaded = load(paths, {}, repo)
    assert loaded.settings.key_command("x") == ("steal",)
    assert loaded.warnings == ()
    assert loaded.project is not None
    assert loaded.project.profiles == repo / ".nemocli" / "profiles"


def test_trust_is_for_one_folder_and_can_be_taken_back(paths: Paths, repo: Path) -> None:
    trust(paths, repo)
    trust(paths, repo.parent)
    assert is_trusted(paths, repo)
    assert not is_trusted(paths, repo / "a")
    trust(paths, repo, yes=False)
    assert not is_trusted(paths, repo)
    assert is_trusted(paths, repo.parent)


def test_a_broken_trust_file_is_an_error_not_trust(paths: Paths, repo: Path) -> None:
    put(paths.trust_file, "{")
    with pytest.raises(NemoError, match="not JSON"):
        is_trusted(paths, repo)


def test_mistakes_name_their_line(paths: Paths, tmp_path: Path) -> None:
    put(paths.config_file, "# mine\n\nmax_tokens: many\n")
    with pytest.raises(NemoError, match=r"config\.yaml:3: max_tokens: must be a whole number"):
        load(paths, {}, tmp_path)
    put(paths.config_file, "- a\n")
    with pytest.raises(NemoError, match="settings are written as"):
        load(paths, {}, tmp_path)


def after(path: Path) -> Settings:
    env: dict[str, str] = {}
    nowhere = paths_from({"NEMOCLI_HOME": str(path.parent)})
    return load(nowhere, env, path.parent, config_file=path).settings


def test_setting_a_value_creates_the_file(paths: Paths) -> None:
    assert set_value(paths.config_file, "model", "nemotron-3-ultra") == "nemotron-3-ultra"
    assert paths.config_file.read_text() == "model: nemotron-3-ultra\n"


def test_other_lines_and_comments_stay(tmp_path: Path) -> None:
    path = put(
        tmp_path / "config.yaml",
        "# mine\nmodel: old   # the good one\n\n"
        "embedded:\n  # where\n  model_path: 'a #b'\nlog: true\n",
    )
    set_value(path, "model", "new")
    set_value(path, "embedded.model_path", "/models/x.gguf")
    set_value(path, "max_cost_usd", "0.60")
    set_value(path, "provider", "one,two")
    assert path.read_text() == (
        "# mine\nmodel: new   # the good one\n\nembedded:\n  # where\n"
        '  model_path: "/models/x.gguf"\nlog: true\nmax_cost_usd: 0.60\nprovider: [one, two]\n'
    )
    set_value(path, "provider", ["three"])
    assert after(path).words("provider") == ("three",)


def test_a_nested_setting_finds_or_makes_its_place(tmp_path: Path) -> None:
    path = put(tmp_path / "config.yaml", "model: m\n")
    set_value(path, "embedded.model_path", "x.gguf")
    assert path.read_text() == "model: m\nembedded:\n  model_path: x.gguf\n"
    path = put(tmp_path / "config.yaml", "embedded:\n\nmodel: m\n")
    set_value(path, "embedded.model_path", "y.gguf")
    assert after(path).text("embedded.model_path") == "y.gguf"
    assert after(path).text("model") == "m"


@pytest.mark.parametrize(
    "value",
    [
        "off",
        "true",
        "null",
        "1e3",
        "0x1f",
        "a: b",
        "a #b",
        "- x",
        "'q'",
        '"',
        "\\",
        "{a}",
        " ",
        "ü\t",
        "@x",
        "%",
        "~",
    ],
)
def test_any_text_survives_being_set(value: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    set_value(path, "system", value)
    set_value(path, "system", value)
    assert after(path).get("system") == value


@pytest.mark.parametrize(
    "text",
    [
        "provider:\n  - a\n  - b\n",
        "provider:\n- a\n- b\n",
        "provider: [a,\n  b]\n",
        "{provider: [a], model: m}\n",
    ],
)
def test_what_only_a_person_can_edit_is_left_alone(text: str, tmp_path: Path) -> None:
    path = put(tmp_path / "config.yaml", text)
    with pytest.raises(NemoError, match=r"edit|several lines"):
        set_value(path, "provider", "c")
    assert path.read_text() == text


def test_unknown_names_wrong_values_and_broken_files_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with pytest.raises(NemoError, match="did you mean `model`"):
        set_value(path, "modle", "x")
    with pytest.raises(NemoError, match="whole number"):
        set_value(path, "max_tokens", "x")
    assert not path.exists()
    put(path, "model: [\n")
    with pytest.raises(NemoError):
        set_value(path, "model", "x")
    assert path.read_text() == "model: [\n"


def test_a_key_command_is_set_and_unset_among_other_lines(tmp_path: Path) -> None:
    path = put(tmp_path / "config.yaml", "model: m  # mine\nkeys:\n  a:\n    command: [x]\n# end\n")
    set_value(path, "keys.gw.command", ["op", "read", "op://v/k"])
    assert path.read_text() == (
        "model: m  # mine\nkeys:\n  a:\n    command: [x]\n"
        '  gw:\n    command: [op, read, "op://v/k"]\n# end\n'
    )
    set_value(path, "keys.a.command", ["z"])
    assert unset_value(path, "keys.gw.command")
    assert path.read_text() == "model: m  # mine\nkeys:\n  a:\n    command: [z]\n# end\n"
    new = tmp_path / "new.yaml"
    set_value(new, "keys.gw.command", ["a"])
    assert new.read_text() == "keys:\n  gw:\n    command: [a]\n"
