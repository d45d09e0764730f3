"""One look at everything an answer depends on; and help topics that agree with the program."""

from __future__ import annotations

import os

import pytest

from nemocli.core.faults import EXIT, ExitCode
from nemocli.core.settings import SETTINGS
from tests.run import KEY, Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub


def checks(done) -> dict[str, dict]:
    return {c["check"]: c for c in done.json()["checks"]}


def test_a_new_user_is_well_and_told_of_keys(home: Home) -> None:
    done = run("doctor", "--json", home=home)
    assert done.code == 0, done.text
    found = checks(done)
    assert found["profiles"]["state"] == "ok"
    assert (found["keys"]["state"], found["keyring"]["state"]) == ("warn", "warn")
    assert found["ledger"]["state"] == "ok"
    assert not home.folder.exists() or not (home.folder / "data").exists(), "looking makes nothing"


def test_no_secret_is_shown(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1")
    for done in (run("doctor", home=home), run("doctor", "--json", home=home)):
        assert KEY not in done.text + done.err
        assert KEY[-4:] not in done.text
        assert "STUB_API_KEY" in done.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_a_folder_that_cannot_be_written_is_found(home: Home) -> None:
    home.folder.mkdir(parents=True)
    home.folder.chmod(0o500)
    done = run("doctor", "--json", home=home)
    home.folder.chmod(0o700)
    assert done.code == 3


def test_broken_files_and_open_files_are_found(home: Home) -> None:
    folder = home.folder / "profiles" / "providers"
    folder.mkdir(parents=True)
    (folder / "one.yaml").write_text("nonsense: 1\n")
    data = home.folder / "data"
    data.mkdir()
    (data / "keys.json").write_text("{}")
    (data / "keys.json").chmod(0o644)
    done = run("doctor", "--json", home=home)
    found = checks(done)
    assert done.code == 3
    assert "one.yaml" in found["profile"]["said"]
    assert "chmod 600" in found["privacy"]["hint"]


def test_a_spoilt_ledger_is_found(home: Home) -> None:
    data = home.folder / "data"
    data.mkdir(parents=True)
    (data / "ledger.db").write_bytes(b"not a database at all" * 100)
    done = run("doctor", "--json", home=home)
    assert (done.code, checks(done)["ledger"]["state"]) == (3, "fail")


def test_online_reaches_those_with_a_key(home: Home) -> None:
    with Stub(Answer()) as good, Stub() as bad:
        bad.on("/v1/models", Status(401))
        home.provider("good", good.url)
        home.provider("bad", bad.url)
        done = run("doctor", "--online", "--json", home=home)
    found = checks(done)
    assert done.code == 3
    assert found["reach good"]["state"] == "ok"
    assert (found["reach bad"]["state"], "auth login bad" in found["reach bad"]["hint"]) == (
        "fail",
        True,
    )


def test_exit_codes_are_all_explained(home: Home) -> None:
    text = run("help", "exit-codes", home=home).text
    for code in ExitCode:
        assert f"\n{int(code)} " in text
    for kind in EXIT:
        assert str(kind) in text


def test_every_variable_is_listed(home: Home) -> None:
    text = run("help", "environment", home=home).text
    for setting in SETTINGS:
        assert setting.env is None or setting.env in text
    for name in ("NVIDIA_API_KEY", "OPENROUTER_API_KEY", "HF_TOKEN", "NEMOCLI_HOME"):
        assert name in text


@pytest.mark.parametrize("topic", ["formats", "providers", "streams", "ask", "cost"])
def test_topics_and_commands_have_help(home: Home, topic: str) -> None:
    done = run("help", topic, home=home)
    assert (done.code, done.err) == (0, "")
    assert len(done.text) > 100
