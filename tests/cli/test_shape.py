"""The command line itself: help, typos, options that stand anywhere, versions."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from nemocli.cli.commands import COMMANDS
from nemocli.version import __version__
from tests.run import Home, argv, run, run_pty
from tests.servers.answer import Answer
from tests.servers.stub import Stub

ASK = ("ask", "-p", "stub", "-m", "x/anything")


def test_alone_it_says_what_to_type_next(home: Home) -> None:
    done = run(home=home)
    assert done.code == 0
    assert "nemocli ask" in done.text
    assert "nemocli auth login nvidia" in done.text
    home.env["OPENROUTER_API_KEY"] = "sk-or-v1-0123456789"
    assert "goes to openrouter" in run(home=home).text


def test_help_lists_every_command_by_what_it_is_for(home: Home) -> None:
    done = run("--help", home=home)
    assert (done.code, run("-h", home=home).out) == (0, done.out)
    for row in COMMANDS:
        assert re.search(rf"^  {row.name} +{re.escape(row.help)}$", done.text, re.MULTILINE)
    assert max(map(len, done.text.splitlines())) <= 100


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_every_command_has_help(home: Home, row) -> None:
    done = run(row.name, "--help", home=home)
    assert (done.code, done.err) == (0, "")
    assert done.text.startswith(f"Usage: nemocli {row.name}")
    assert "\x1b" not in done.text
    assert not re.search(r"[\w,;]\.\.\.$", done.text, re.MULTILINE), "a list that is cut"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("aks",), r"did you mean `nemocli ask`"),
        (("models", "lss"), r"`nemocli models --help`|No such command"),
        (("ask", "--modle", "x"), r"--model"),
        (("what is the capital of France?",), r"nemocli ask"),
        (("ask", "one", "two"), r"quotes"),
        (("--color", "maybe", "version"), r"auto, always or never"),
        (("ask", "-p", "opnrouter", "hi"), r"did you mean `openrouter`"),
        (("ask", "-o", "novalue", "hi"), r"name=value"),
        (("ask", "--max-tokens", "0", "hi"), r"max-tokens"),
        (("auth",), r"(?m)^  login +"),
        (("weights",), r"(?m)^  pull +"),
        (("cost", "budget"), r"(?m)^  set +"),
        (("cost", "--since", "yesterweek"), r"2026-11-01"),
        (("help", "exit"), r"exit-codes"),
    ],
)
def test_what_was_mistyped_is_named_with_a_way_out(home: Home, args, said: str) -> None:
    done = run(*args, home=home)
    assert (done.code, done.out) == (2, b"")
    assert re.search(said, done.err)
    assert "Traceback" not in done.err
    assert home.attempts() == []


@pytest.mark.parametrize(
    "args",
    [
        ("nvapi-abcdefghijkl1234567",),
        ("ask", "-p", "nvapi-abcdefghijkl1234567", "hi"),
        ("ask", "-o", "hf_abcdefghijkl1234567", "hi"),
        ("ask", "--sk-or-v1-abcdefghijkl1234567"),
    ],
)
def test_a_key_typed_in_the_wrong_place_is_not_repeated(home: Home, args) -> None:
    done = run(*args, home=home)
    assert done.code == 2
    assert "abcdefghijkl" not in done.text
    assert "***" in done.err


@pytest.mark.parametrize(
    "args", [("--timeout", "soon"), ("--max-cost", "lots"), ("--reasoning", "x")]
)
def test_a_value_that_cannot_be_is_refused(home: Home, args) -> None:
    done = run("ask", *args, "hi", "--json", home=home)
    assert done.code in (2, 3)
    assert done.error()["code"] in ("usage", "config")


def test_options_for_every_command_may_stand_after_it(home: Home) -> None:
    with Stub(Answer("Hello")) as stub:
        home.provider("stub", stub.url)
        quiet = run(*ASK, "hi", "-q", home=home)
        debug = run(*ASK, "hi", "--debug", home=home)
        asked = run(*ASK, "--", "--debug", home=home)
    assert (quiet.out, quiet.err) == (b"Hello\n", "")
    assert "chat/completions" in debug.err
    assert asked.code == 0
    assert stub.asked()[-1].json["messages"][-1]["content"] == "--debug"


def test_versions_are_one_line_or_one_object(home: Home) -> None:
    assert run("--version", home=home).text == f"nemocli {__version__}\n"
    assert run("-q", "--version", home=home).text == f"nemocli {__version__}\n"
    assert run("version", "--json", home=home).json()["version"] == __version__


def test_another_settings_file_can_be_used(home: Home) -> None:
    other = home.cwd / "other.yaml"
    other.write_text("reasoning: low\n")
    assert run("--config", str(other), "config", "get", "reasoning", home=home).text == "low\n"
    missing = run("--config", "nowhere.yaml", "config", "show", home=home)
    assert (missing.code, "nowhere.yaml" in missing.err) == (3, True)


def test_a_broken_settings_file_is_one_line_with_its_place(home: Home) -> None:
    home.folder.mkdir(parents=True, exist_ok=True)
    (home.folder / "config.yaml").write_text("reasoning: low\nprovder: x\n")
    done = run("ask", "hi", home=home)
    assert done.code == 3
    assert "config.yaml:2" in done.err
    assert "did you mean `provider`" in done.err


def test_failures_are_objects_where_json_was_asked_for(home: Home) -> None:
    done = run("models", "info", "nothing-like-it", "--json", home=home)
    assert (done.code, done.out) == (2, b"")
    assert done.error()["exit_code"] == 2


def test_a_bug_is_one_line_and_exit_1(home: Home) -> None:
    home.folder.mkdir(parents=True, exist_ok=True)
    (home.folder / "cache").write_text("a file where a folder belongs")
    done = run("models", "ls", home=home)
    assert done.code in (0, 3), done.err
    assert "Traceback" not in done.err


def test_the_module_and_the_command_are_one(home: Home) -> None:
    done = subprocess.run(
        argv("--version"), env=home.environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == f"nemocli {__version__}\n"


def test_a_terminal_that_waits_is_told_what_for(home: Home) -> None:
    from tests.servers.behaviours import Stall

    with Stub(Stall(answer=Answer("Never"))) as stub:
        home.provider("stub", stub.url)
        seen = run_pty(*ASK, "hi", home=home, keys=[("stub: waiting", b"\x03")], timeout=20)
    assert seen.code == 130
    assert "waiting" in seen.text


def test_the_receipt_counts_every_attempt(home: Home) -> None:
    with Stub(Answer("a", cost=0.001)) as stub:
        home.provider("stub", stub.url)
        run(*ASK, "--tag", "t1", "hi", home=home)
    row = home.attempts()[0]
    assert json.loads(row["tags"]) == ["t1"]
    cost = run("cost", "--tag", "t1", "--json", home=home).json()
    assert (cost["total"]["usd"], cost["total"]["calls"]) == ("0.001", 1)
    assert run("cost", "--tag", "t2", "--json", home=home).json()["total"]["calls"] == 0
    assert run("cost", "--since", "1h", home=home).code == 0
