"""Tab: candidates from the tree and the cache, in the shells that are here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.complete import candidates
from tests.run import ROOT, Home, run


def offered(home: Home, *words: str) -> list[str]:
    done = run("__complete", "--", *words, home=home)
    assert (done.code, done.err) == (0, "")
    return [line.split("\t")[0] for line in done.text.splitlines()]


def test_commands_options_and_values_are_offered(home: Home) -> None:
    assert offered(home, "as") == ["ask"]
    assert offered(home, "providers", "te") == ["test"]
    assert offered(home, "ask", "--rea") == ["--reasoning"]
    assert offered(home, "ask", "--reasoning", "") == ["off", "low", "medium", "high"]
    assert offered(home, "ask", "--reasoning=h") == ["--reasoning=high"]
    assert offered(home, "ask", "--deb") == ["--debug"]
    assert "--reasoning" not in offered(home, "cost", "--")
    assert offered(home, "ask", "-p", "openr") == ["openrouter"]
    assert "nemotron-3-ultra:free" in offered(home, "ask", "-m", "nemotron-3-u")
    assert offered(home, "config", "get", "reas") == ["reasoning"]
    assert offered(home, "help", "exit") == ["exit-codes"]
    assert offered(home, "completion", "z") == ["zsh"]
    assert offered(home, "nonsense", "") == []
    assert offered(home, "ask", "-f", "") == [], "files are the shell's own business"


def test_a_provider_of_ones_own_is_offered_once_it_was_seen(home: Home) -> None:
    home.provider("mine", "https://mine.invalid/v1")
    assert run("providers", "ls", home=home).code == 0
    assert "mine" in offered(home, "ask", "-p", "")


def test_a_spoilt_cache_is_no_matter(home: Home) -> None:
    cache = home.folder / "cache"
    cache.mkdir(parents=True)
    for text in ("not json", "[]", '{"providers": 3}', '{"providers": {"x": 3}}'):
        (cache / "completion.json").write_text(text)
        assert isinstance(offered(home, "ask", "-p", ""), list)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_any_words_have_candidates_or_none(words: list[str]) -> None:
    tree = json.loads((ROOT / "completions" / "tree.json").read_text())
    assert isinstance(candidates(words, tree, tree["names"]), list)


@pytest.fixture
def on_path(home: Home) -> Home:
    folder = home.root / "bin"
    folder.mkdir()
    (folder / "nemocli").write_text(f'#!/bin/sh\nexec {sys.executable} -m nemocli "$@"\n')
    (folder / "nemocli").chmod(0o755)
    home.env["PATH"] = f"{folder}:{home.environment()['PATH']}"
    return home


def shell(home: Home, *line: str) -> str:
    done = subprocess.run(
        line, env=home.environment(), cwd=home.cwd, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


BASH = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_nemocli; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def bash(home: Home, words: str) -> list[str]:
    script = ROOT / "completions" / "nemocli.bash"
    return shell(home, "bash", "-c", BASH.format(script=script, words=words)).split("\n")[:-1]


def test_bash_completes(on_path: Home) -> None:
    assert bash(on_path, "nemocli as") == ["ask"]
    assert bash(on_path, 'nemocli ask --reasoning ""')[0] == "off"
    (on_path.cwd / "notes.txt").write_text("x")
    assert bash(on_path, "nemocli ask -f no") == ["notes.txt"]


def test_bash_runs_nothing_it_completes(on_path: Home) -> None:
    (on_path.cwd / "$(touch owned)").write_text("x")
    cache = on_path.folder / "cache"
    cache.mkdir(parents=True)
    (cache / "completion.json").write_text(
        '{"providers": {"$(touch owned)": "", "`touch owned`": ""}}'
    )
    found = bash(on_path, 'nemocli ask -p ""')
    assert "\\$\\(touch\\ owned\\)" in found
    bash(on_path, "nemocli ask -f ''")
    assert not (on_path.cwd / "owned").exists()


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_take_the_script(on_path: Home, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not here")
    script = {"zsh": "_nemocli", "fish": "nemocli.fish"}[name]
    assert shell(on_path, name, "-n", str(ROOT / "completions" / script)) == ""


def test_a_script_is_printed_and_said_where_it_goes(home: Home) -> None:
    done = run("completion", "bash", home=home)
    assert done.out == (ROOT / "completions" / "nemocli.bash").read_bytes()
    assert "bash-completion" in done.err
    assert run("completion", "tcsh", home=home).code == 2


def test_what_is_checked_in_is_what_the_program_has() -> None:
    from nemocli.cli.completion_scripts import generated

    for name, content in generated().items():
        file = Path(ROOT, "completions", name)
        assert file.read_text() == content, "run `python -m nemocli.cli.completion_scripts`"
