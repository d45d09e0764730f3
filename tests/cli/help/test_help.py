"""Help on topics and commands, in step with the tables it is written from."""

from __future__ import annotations

import re

import pytest

from nemocli.cli.commands import COMMANDS
from nemocli.core.faults import EXIT, ExitCode, FaultKind
from nemocli.core.settings import SETTINGS
from tests.run import Home, run

TOPICS = ("exit-codes", "environment", "formats", "providers", "streams", "scripting")


def text_of(home: Home, *topic: str) -> str:
    done = run("help", *topic, home=home)
    assert done.code == 0, done.err
    return done.text


def test_without_a_topic_commands_and_topics_are_listed(home: Home) -> None:
    text = text_of(home)
    assert all(re.search(rf"^  {row.name} +\S", text, re.MULTILINE) for row in COMMANDS)
    assert all(topic in text.splitlines()[-1] for topic in TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_plain_text_that_fits_a_page(home: Home, topic: str) -> None:
    done = run("help", topic, home=home, env={"FORCE_COLOR": "1"})
    assert done.code == 0, done.err
    assert b"\x1b" not in done.out
    assert done.text.endswith("\n")
    if topic != "environment":  # its addresses are as long as they are
        assert max(map(len, done.text.splitlines())) <= 160


def test_every_exit_code_and_every_kind_of_failure_is_there(home: Home) -> None:
    rows = dict(re.findall(r"^(\d+) +(.+)$", text_of(home, "exit-codes"), re.MULTILINE))
    assert set(rows) == {str(int(code)) for code in ExitCode}
    for kind in FaultKind:
        assert str(kind) in rows[str(int(EXIT[kind]))].replace(",", " ").split()


def test_every_variable_that_is_read_is_there(home: Home) -> None:
    home.provider("mine", "https://llm.example.org/v1")
    text = text_of(home, "environment")
    names = {row.env for row in SETTINGS if row.env}
    names |= {"NEMOCLI_HOME", "NO_COLOR", "FORCE_COLOR", "HTTPS_PROXY", "NO_PROXY"}
    names |= {"SSL_CERT_FILE", "NVIDIA_API_KEY", "HF_TOKEN", "MINE_API_KEY", "HF_ENDPOINT"}
    assert not {name for name in names if name not in text}


def test_the_environment_holds_nothing_of_the_users_own(home: Home) -> None:
    home.env["OPENROUTER_API_KEY"] = "sk-or-v1-FAKEFAKE5c0ffee"
    assert "5c0ffee" not in text_of(home, "environment")


def test_broken_settings_do_not_keep_help_from_helping(home: Home) -> None:
    home.folder.mkdir()
    (home.folder / "config.yaml").write_text("color: purple\n")
    assert "NVIDIA_API_KEY" in text_of(home, "environment")


def test_the_fields_of_an_answer_are_those_that_are_printed(home: Home) -> None:
    from tests.servers.stub import Stub

    with Stub() as stub:
        home.provider("stub", stub.url)
        answer = run("ask", "-p", "stub", "-m", "x/anything", "--json", "hi", home=home).json()
    text = text_of(home, "formats")
    assert answer["schema"] in text
    for name, value in answer.items():
        assert re.search(rf"\b{name}\b", text), name
        for inner in value if isinstance(value, dict) else ():
            assert re.search(rf"\b{inner}\b", text), inner


def test_where_files_are_is_the_truth(home: Home) -> None:
    text = text_of(home, "formats")
    assert f"{home.folder}/data/ledger.db" in text
    assert f"{home.folder}/config.yaml" in text


@pytest.mark.parametrize("words", [("ask",), ("keys",), ("models", "probe"), ("doctor",)])
def test_help_on_a_command_is_its_own_help(home: Home, words: tuple[str, ...]) -> None:
    assert text_of(home, *words) == run(*words, "--help", home=home).text


def test_a_word_that_is_both_is_the_topic_and_leads_to_the_command(home: Home) -> None:
    done = run("help", "providers", home=home)
    assert (done.code, done.err) == (0, "")
    assert "-p" in done.text
    assert "nemocli providers --help" in done.text
    assert "Usage" in text_of(home, "providers", "test")


def test_an_unknown_topic_is_refused_with_the_nearest(home: Home) -> None:
    done = run("help", "exitcodes", home=home)
    assert (done.code, done.out) == (2, b"")
    assert "exit-codes" in done.err
    assert run("help", "exit-codes", "more", home=home).code == 2
    assert run("help", "models", "bogus", home=home).code == 2
