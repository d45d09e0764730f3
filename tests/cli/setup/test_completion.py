"""What is offered when Tab is pressed: by the program, and through real shells."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.complete import candidates
from tests.run import ROOT, Home, run, run_pty

SCRIPTS = ROOT / "completions"


def offered(home: Home, *words: str) -> list[str]:
    """The values for the last word; nothing may ever be said on stderr."""
    done = run("__complete", "--", *words, home=home)
    assert (done.code, done.err) == (0, "")
    return [line.partition("\t")[0] for line in done.text.splitlines()]


def test_commands_and_their_subcommands(home: Home) -> None:
    assert {"ask", "models", "cost", "keys", "help"} <= set(offered(home, ""))
    assert offered(home, "mod") == ["models"]
    assert offered(home, "models", "") == ["ls", "info", "probe", "default"]
    assert offered(home, "--color", "never", "-q", "prov") == ["providers"]


def test_each_candidate_says_what_it_is(home: Home) -> None:
    done = run("__complete", "--", "ask", "-p", "nvid", home=home)
    value, _, about = done.text.rstrip("\n").partition("\t")
    assert value == "nvidia"
    assert "build.nvidia.com" in about


def test_options_of_the_command_and_of_every_command(home: Home) -> None:
    assert offered(home, "ask", "--js") == ["--json", "--jsonl"]
    assert "--offline" in offered(home, "ask", "--off")
    assert "--online" in offered(home, "doctor", "--on")
    assert offered(home, "ask", "--", "--js") == []


def test_values_of_options(home: Home) -> None:
    assert offered(home, "ask", "--reasoning", "") == ["off", "low", "medium", "high"]
    assert offered(home, "ask", "--reasoning=h") == ["--reasoning=high"]
    assert offered(home, "--color", "a") == ["auto", "always"]
    assert "openrouter" in offered(home, "ask", "-p", "")
    assert "openrouter" in offered(home, "ask", "-p", "nvidia", "-p", "open")
    assert offered(home, "completion", "") == ["bash", "zsh", "fish"]
    assert "exit-codes" in offered(home, "help", "ex")
    assert "max_cost_usd" in offered(home, "config", "get", "max")


def test_models_and_their_other_names(home: Home) -> None:
    names = offered(home, "ask", "-m", "nemo")
    assert {"nemotron-3-ultra", "nemotron-3-ultra:free", "nemotron"} <= set(names)
    assert "nemotron-3-ultra" in offered(home, "models", "info", "nemotron-3-u")


def test_models_are_those_of_the_provider_that_was_named(home: Home) -> None:
    here = offered(home, "ask", "-p", "perplexity", "-m", "")
    assert "nemotron-3-ultra" in here
    assert "perplexity/nemotron-3-ultra-550b-a55b" in here
    assert not {n for n in here if n.startswith("smollm")}
    assert offered(home, "ask", "--provider=embedded", "-m", "smol")
    assert "nemotron-3-ultra" in offered(home, "ask", "-p", "vllm", "-m", "nemotron-3-u")


def test_files_are_left_to_the_shell(home: Home) -> None:
    assert offered(home, "ask", "-f", "") == []
    assert offered(home, "--config", "") == []


def test_nothing_is_offered_after_what_is_not_known(home: Home) -> None:
    assert offered(home, "bogus", "") == []
    assert offered(home, "models", "bogus", "") == []
    assert offered(home) == offered(home, "")


def test_a_provider_of_ones_own_is_offered_after_the_next_command(home: Home) -> None:
    home.provider("homemade", "https://llm.example.org/v1")
    assert offered(home, "ask", "-p", "home") == []
    run("providers", "ls", home=home)
    assert offered(home, "ask", "-p", "home") == ["homemade"]
    (home.folder / "profiles" / "providers" / "homemade.yaml").unlink()
    run("providers", "ls", home=home)
    assert offered(home, "ask", "-p", "home") == []


def test_a_warm_cache_is_not_written_again(home: Home) -> None:
    cache = home.folder / "cache" / "completion.json"
    run("models", "ls", home=home)
    before = cache.stat().st_mtime_ns
    run("models", "ls", home=home)
    assert cache.stat().st_mtime_ns == before
    assert cache.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"providers": 7, "models": ["x"], "models_at": {"nvidia": 3}}',
        b'{"providers": {"nvidia": null}, "models_at": []}',
    ],
)
def test_a_broken_cache_is_never_noticed(home: Home, content: bytes) -> None:
    cache = home.folder / "cache" / "completion.json"
    cache.parent.mkdir(parents=True)
    cache.write_bytes(content)
    assert "nvidia" in offered(home, "ask", "-p", "nvid")
    assert "nemotron-3-ultra" in offered(home, "ask", "-p", "nvidia", "-m", "nemotron-3-u")


def test_a_cache_that_is_a_folder_or_a_closed_stdout_is_never_noticed(home: Home) -> None:
    (home.folder / "cache" / "completion.json").mkdir(parents=True)
    assert "nvidia" in offered(home, "ask", "-p", "nvid")
    closed = f"{shlex.quote(sys.executable)} -m nemocli __complete -- '' >&-"
    done = run(home=home, line=["sh", "-c", closed])
    assert (done.code, done.err) == (0, "")


def test_names_that_would_drive_a_terminal_are_left_out(home: Home) -> None:
    cache = home.folder / "cache" / "completion.json"
    cache.parent.mkdir(parents=True)
    names = {"a\x1b[2J": "x", "b\nc": "x", "d\u202e": "x", "e": "t\x1b]0;x\x07itle", "f\ud800": ""}
    cache.write_text(json.dumps({"providers": names}))
    done = run("__complete", "--", "ask", "-p", "", home=home)
    assert done.out == b"e\tt]0;xitle\n"


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_any_words_have_candidates_or_none(words: list[str]) -> None:
    tree = json.loads((SCRIPTS / "tree.json").read_text())
    rows = candidates(words, tree, tree["names"])
    assert all(isinstance(value, str) and isinstance(about, str) for value, about in rows)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_as_it_is_shipped(home: Home, shell: str) -> None:
    done = run("completion", shell, home=home)
    name = {"bash": "nemocli.bash", "zsh": "_nemocli", "fish": "nemocli.fish"}[shell]
    assert done.out == (SCRIPTS / name).read_bytes()
    assert "--install" in done.err


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/nemocli"),
        ("zsh", ".local/share/zsh/site-functions/_nemocli"),
        ("fish", ".config/fish/completions/nemocli.fish"),
    ],
)
def test_installing_puts_it_where_the_shell_looks(home: Home, shell: str, place: str) -> None:
    done = run("completion", shell, "--install", home=home)
    assert done.text == f"{home.root / place}\n"
    assert (home.root / place).read_bytes() == run("completion", shell, home=home).out
    assert run("completion", shell, "--install", home=home).code == 0, "again is an update"


def test_installing_replaces_nobody_elses_file(home: Home) -> None:
    file = home.root / ".config" / "fish" / "completions" / "nemocli.fish"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    assert run("completion", "fish", "--install", home=home).code == 3
    assert file.read_text() == "# mine\n"


def test_an_unknown_shell_is_refused(home: Home) -> None:
    done = run("completion", "tcsh", home=home)
    assert (done.code, done.out) == (2, b"")
    assert "bash" in done.err


# --- real shells ---------------------------------------------------------------------------------


@pytest.fixture
def shells(home: Home) -> Home:
    """Somebody with the program on PATH and a few files with names that mean harm."""
    folder = home.root / "bin"
    folder.mkdir()
    program = folder / "nemocli"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nemocli "$@"\n')
    program.chmod(0o755)
    home.env["PATH"] = f"{folder}:{os.environ['PATH']}"
    (home.cwd / "notes and more.txt").write_text("x")
    (home.cwd / "$(touch harm)`touch harm`;touch harm").write_text("x")
    return home


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


def in_bash(home: Home, *words: str, line: str | None = None) -> list[str]:
    """COMPREPLY as the script leaves it; with `line`, as readline would call it."""
    array = " ".join(shlex.quote(w) for w in words)
    script = (
        f"source {shlex.quote(str(SCRIPTS / 'nemocli.bash'))}\n"
        f"COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}\n"
    )
    if line is not None:
        script += f"COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}\n"
    done = run(
        home=home, line=["bash", "-c", script + '_nemocli; printf "%s\\n" "${COMPREPLY[@]}"']
    )
    assert (done.code, done.err) == (0, "")
    return [row for row in done.text.splitlines() if row]


def test_bash_completes_commands_options_and_names(shells: Home) -> None:
    needs("bash")
    assert in_bash(shells, "nemocli", "mod") == ["models"]
    assert in_bash(shells, "nemocli", "ask", "--reasoning", "") == ["off", "low", "medium", "high"]
    assert "nemotron-3-ultra" in in_bash(shells, "nemocli", "ask", "-m", "nemo")
    assert "openrouter" in in_bash(shells, "nemocli", "ask", "-p", "")
    assert in_bash(shells, "nemocli", "ask", "-f", "") == [], "files are the shell's own"


def test_bash_completes_words_that_it_parts_itself(shells: Home) -> None:
    needs("bash")
    words = ("nemocli", "ask", "--reasoning", "=", "h")
    assert in_bash(shells, *words, line="nemocli ask --reasoning=h") == ["high"]
    words = ("nemocli", "ask", "-m", "nemotron-3-ultra", ":", "fr")
    assert in_bash(shells, *words, line="nemocli ask -m nemotron-3-ultra:fr") == ["free"]
    words = ("nemocli", "ask", "-m", "nemotron-3-ultra", ":")
    line = "nemocli  ask -m nemotron-3-ultra:"
    assert "free" in in_bash(shells, *words, line=line)


HOSTILE = ["$(touch harm)", "`touch harm`", "; touch harm", "a'b\"", "*", "-m=$(touch harm)", "\\"]


@pytest.mark.parametrize("word", HOSTILE)
def test_bash_runs_nothing_of_what_was_typed(shells: Home, word: str) -> None:
    needs("bash")
    in_bash(shells, "nemocli", "ask", "-m", word)
    in_bash(shells, "nemocli", word, "", line=f"nemocli {word} ")
    in_bash(shells, word, "ask", "", line=f"{word} ask ")
    assert not (shells.cwd / "harm").exists()


def test_bash_quotes_names_that_mean_harm(shells: Home) -> None:
    needs("bash")
    cache = shells.folder / "cache" / "completion.json"
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps({"providers": {"$(touch harm)": "", "it's": ""}}))
    assert in_bash(shells, "nemocli", "ask", "-p", "") == ["\\$\\(touch\\ harm\\)", "it\\'s"]
    assert not (shells.cwd / "harm").exists()


def completed(home: Home, shell: str, start: str, typing: str, expected: str) -> None:
    """Type into an interactive shell, press Tab, and see the line become what is expected."""
    program = shutil.which(shell)
    assert program is not None
    options = {"bash": ("--norc", "--noprofile", "-i"), "zsh": ("-f", "-i")}[shell]
    keys = [
        ("", b"PS1=rea'dy> '\n"),
        ("ready> ", start.encode() + b"; echo s''tarted\n"),
        ("started", typing.encode() + b"\t"),
        (expected, b"\x15exit\n"),
    ]
    env = {"HISTFILE": "/dev/null", "INPUTRC": "/dev/null", "TERM": "dumb"}
    screen = run_pty(
        home=home, line=[program, *options], keys=keys, env=env, timeout=20, size=(40, 200)
    )
    assert expected in screen.text.partition("started\r\n")[2]


@pytest.mark.parametrize(
    ("typing", "expected"),
    [
        ("nemocli ask --reasoning=hi", "--reasoning=high "),
        ("nemocli ask -m nemotron-3-ultra:fr", "nemotron-3-ultra:free "),
        ("nemocli ask -p embed", "embedded "),
        ("nemocli ask -f notes", "notes\\ and\\ more.txt "),
        ('nemocli ask -f "notes', '"notes and more.txt" '),
    ],
)
def test_bash_on_a_terminal(shells: Home, typing: str, expected: str) -> None:
    needs("bash")
    completed(
        shells, "bash", f"source {shlex.quote(str(SCRIPTS / 'nemocli.bash'))}", typing, expected
    )
    assert not (shells.cwd / "harm").exists()


@pytest.mark.parametrize(
    ("typing", "expected"),
    [
        ("nemocli ask --reasoning=hi", "--reasoning=high "),
        ("nemocli ask -m nemotron-3-ultra:fr", "nemotron-3-ultra:free "),
        ("nemocli ask -p embed", "embedded "),
        ("nemocli doct", "doctor "),
        ("nemocli ask -f notes", "notes\\ and\\ more.txt "),
        ("nemocli ask -f \\$", "touch\\ harm "),
    ],
)
def test_zsh_on_a_terminal(shells: Home, typing: str, expected: str) -> None:
    needs("zsh")
    folder = shlex.quote(str(SCRIPTS))
    start = f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D"
    completed(shells, "zsh", start, typing, expected)
    assert not (shells.cwd / "harm").exists()


def test_fish_completes_commands_options_and_names(shells: Home) -> None:
    needs("fish")

    def fish(typing: str) -> list[str]:
        source = f"source {shlex.quote(str(SCRIPTS / 'nemocli.fish'))}"
        done = run(
            home=shells, line=["fish", "--no-config", "-c", f"{source}; complete -C $argv", typing]
        )
        assert done.code == 0, done.err
        return [row.partition("\t")[0] for row in done.text.splitlines()]

    assert fish("nemocli mod") == ["models"]
    assert set(fish("nemocli ask --reasoning ")) == {"off", "low", "medium", "high"}
    assert "nemotron-3-ultra:free" in fish("nemocli ask -m nemotron-3-u")
    assert fish("nemocli ask --reasoning=h") == ["--reasoning=high"]
    assert fish("nemocli ask -f notes") == ["notes and more.txt"]
    assert "ask" in fish("nemocli ")
    for word in HOSTILE:
        fish(f"nemocli ask -m {word}")
        fish(f"nemocli {word} ")
    assert not (shells.cwd / "harm").exists()
