"""One look at everything an answer depends on."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.run import KEY, Done, Home, run
from tests.servers.behaviours import Status
from tests.servers.stub import Stub


def checks(done: Done) -> dict[str, dict[str, Any]]:
    """By name."""
    said = done.json()
    assert said["schema"] == "nemocli.doctor/1"
    return {row["check"]: row for row in said["checks"]}


def examined(home: Home, *args: str, code: int = 0, **more: Any) -> dict[str, dict[str, Any]]:
    """Run it; every bad finding must come with something to type or do."""
    done = run("doctor", "--json", *args, home=home, **more)
    assert done.code == code, done.err + done.text
    found = checks(done)
    assert all(c["state"] in ("ok", "warn", "fail") for c in found.values())
    assert all(c["hint"] for c in found.values() if c["state"] != "ok")
    return found


def test_a_new_user_is_well_and_told_what_is_missing(home: Home) -> None:
    found = examined(home)
    assert found["settings"]["state"] == found["ledger"]["state"] == "ok"
    assert found["keys"]["state"] == "warn"
    assert "auth login" in found["keys"]["hint"]
    assert found["keyring"]["state"] == "warn"
    assert found["clock"]["state"] == found["disk"]["state"] == "ok"
    assert not (home.folder / "data").exists(), "looking makes nothing"


def test_for_people_each_check_is_a_line_with_the_next_command_under_it(home: Home) -> None:
    done = run("doctor", home=home)
    assert done.code == 0
    lines = done.text.splitlines()
    assert all(line.startswith(("ok  ", "warn", "fail", "      ")) for line in lines)
    at = next(i for i, line in enumerate(lines) if line.startswith("warn  keys"))
    assert "`nemocli auth login`" in lines[at + 1]


def test_keys_are_named_by_their_source_and_never_shown(home: Home) -> None:
    home.env |= {"NVIDIA_API_KEY": "nvapi-" + KEY, "NEMOCLI_KEY_OPENROUTER": KEY}
    done = run("doctor", "--json", home=home)
    said = checks(done)["keys"]["said"]
    assert KEY[-4:] not in run("doctor", home=home).text
    assert "nvidia (env NVIDIA_API_KEY)" in said
    assert "openrouter (env NEMOCLI_KEY_OPENROUTER)" in said
    assert KEY not in done.text + done.err
    assert KEY[-4:] not in said


def test_a_key_that_cannot_be_one_is_a_failure(home: Home) -> None:
    home.env["OPENROUTER_API_KEY"] = KEY + "\nX-Evil: 1"
    done = run("doctor", "--json", home=home)
    assert done.code == 3
    assert checks(done)["key of openrouter"]["state"] == "fail"
    assert KEY not in done.text + done.err


def test_broken_settings_are_found_and_the_rest_is_still_looked_at(home: Home) -> None:
    home.folder.mkdir()
    (home.folder / "config.yaml").write_text("color: purple\n")
    found = examined(home, code=3)
    assert found["settings"]["state"] == "fail"
    assert "config.yaml:1" in found["settings"]["said"]
    assert found["disk"]["state"] == "ok"


def test_a_broken_profile_is_found_with_its_line(home: Home) -> None:
    folder = home.folder / "profiles" / "providers"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("schema: nemocli.provider/1\nname: mine\ndialect: 7\n")
    found = examined(home, code=3)
    assert "mine.yaml:3" in found["profile"]["said"]


def test_a_sound_ledger_says_how_much_is_in_it(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        run("ask", "-p", "stub", "-m", "x/anything", "hi", home=home)
    said = examined(home)["ledger"]["said"]
    assert said.startswith("1 calls in ")
    assert "sound" in said


@pytest.mark.parametrize("damage", ["garbage", "page", "newer"])
def test_a_damaged_ledger_is_a_failure(home: Home, damage: str) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        for _ in range(2):
            run("ask", "-p", "stub", "-m", "x/anything", "hi", home=home)
    file = home.folder / "data" / "ledger.db"
    with closing(sqlite3.connect(file)) as book:
        if damage == "newer":
            book.execute("PRAGMA user_version = 99")
        index = "SELECT rootpage FROM sqlite_master WHERE name LIKE '%autoindex_attempts%'"
        [(page,)] = book.execute(index).fetchall()
        book.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if damage != "newer":
        data = bytearray(file.read_bytes())
        size = int.from_bytes(data[16:18], "big")
        start = 0 if damage == "garbage" else (page - 1) * size
        data[start : start + size] = b"\x0d" + b"\x00" * (size - 1)
        file.write_bytes(data)
    found = examined(home, code=3)
    assert found["ledger"]["state"] == "fail"


def test_files_that_others_can_read_are_a_failure(home: Home) -> None:
    keys = home.folder / "data" / "keys.json"
    keys.parent.mkdir(parents=True, mode=0o700)
    keys.write_text("{}")
    keys.chmod(0o644)
    found = examined(home, code=3)
    assert found["privacy"]["hint"] == f"`chmod 600 {keys}`"


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_a_folder_that_cannot_be_written_is_a_failure(home: Home) -> None:
    home.folder.mkdir(mode=0o500)
    assert examined(home, code=3)["config folder"]["state"] == "fail"


def test_a_folder_that_cannot_be_is_a_failure(home: Home) -> None:
    home.folder.mkdir()
    (home.folder / "data").write_text("not a folder")
    found = examined(home, code=3)
    assert found["data folder"]["state"] == "fail"


def test_a_dangling_link_for_a_home_is_a_failure(home: Home) -> None:
    home.folder.symlink_to(home.root / "nowhere")
    assert examined(home, code=3)["config folder"]["state"] == "fail"


def test_a_keyring_that_never_answers_costs_three_seconds(home: Home) -> None:
    (home.cwd / "hanging.py").write_text(
        "import time\n"
        "from keyring.backend import KeyringBackend\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 1\n"
        "    def __init__(self): time.sleep(60)\n"
        "    def get_password(self, s, u): time.sleep(60)\n"
        "    def set_password(self, s, u, p): time.sleep(60)\n"
    )
    env = {
        "PYTHON_KEYRING_BACKEND": "hanging.Keyring",
        "PYTHONPATH": f"{home.environment()['PYTHONPATH']}:{home.cwd}",
    }
    found = examined(home, env=env, timeout=30)
    assert found["keyring"]["state"] == "warn"
    assert "3 s" in found["keyring"]["said"]


def test_certificates_that_are_not_there_are_a_failure(home: Home) -> None:
    found = examined(home, code=3, env={"SSL_CERT_FILE": "/nowhere/ca.pem"})
    assert "SSL_CERT_FILE" in found["certificates"]["said"]


def test_the_environments_proxy_is_named_and_its_password_is_not(home: Home) -> None:
    done = run(
        "doctor", "--json", home=home, env={"HTTPS_PROXY": "http://me:hunter22@proxy.example:1"}
    )
    assert "HTTPS_PROXY" in checks(done)["proxy"]["said"]
    assert "hunter22" not in done.text + done.err


def test_online_reaches_each_provider_with_a_key(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        quiet = examined(home)
        assert stub.requests == []
        assert "reach stub" not in quiet
        found = examined(home, "--online")
    assert found["reach stub"]["state"] == "ok"
    assert "200" in found["reach stub"]["said"]
    assert [r.path for r in stub.requests] == ["/v1/models"]
    assert stub.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("status", "state", "code"), [(401, "fail", 4), (503, "warn", 0)])
def test_online_tells_a_bad_key_from_a_bad_day(
    home: Home, status: int, state: str, code: int
) -> None:
    with Stub() as stub:
        stub.on("/v1/models", Status(status, f"no: {KEY}"))
        home.provider("stub", stub.url)
        done = run("doctor", "--online", "--json", home=home)
    assert done.code == code, done.text
    assert checks(done)["reach stub"]["state"] == state
    assert KEY not in done.text + done.err


def test_online_a_server_that_is_not_there_is_a_network_failure(home: Home) -> None:
    with Stub() as stub:
        url = stub.url
    home.provider("stub", url)
    found = examined(home, "--online", code=7)
    assert found["reach stub"]["state"] == "fail"


def test_online_a_key_is_not_sent_where_it_can_be_overheard(home: Home) -> None:
    home.provider("stub", "http://llm.invalid/v1")
    found = examined(home, "--online", code=3)
    assert "plain HTTP" in found["reach stub"]["said"]


def test_online_without_leaving_the_machine_is_a_contradiction_that_is_said(home: Home) -> None:
    home.provider("stub", "https://llm.invalid/v1")
    done = run("--offline", "doctor", "--online", "--json", home=home)
    assert done.code == 7
    assert "offline" in checks(done)["reach stub"]["said"]


def test_online_without_a_key_has_nobody_to_reach(home: Home) -> None:
    assert examined(home, "--online")["reach"]["state"] == "warn"


@pytest.mark.parametrize(("off", "warned"), [(3600, True), (5, False)])
def test_a_clock_that_is_wrong_is_found_by_the_servers(home: Home, off: int, warned: bool) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off), usegmt=True)
    with Stub() as stub:
        stub.on("/v1/models", Status(200, {"data": []}, {"date": date}))
        home.provider("stub", stub.url)
        done = run("doctor", "--online", "--json", home=home)
    clocks = [c for c in done.json()["checks"] if c["check"] == "clock"]
    assert ("warn" in [c["state"] for c in clocks]) is warned
    if warned:
        assert "behind" in clocks[-1]["said"]


def test_whether_completion_is_installed_is_said_for_the_users_shell(home: Home) -> None:
    shell = {"SHELL": "/usr/bin/fish"}
    assert "--install" in examined(home, env=shell)["completion"]["said"]
    assert run("completion", "fish", "--install", home=home).code == 0
    assert examined(home, env=shell)["completion"]["said"].endswith("nemocli.fish")
