"""The paths: which are ready, what is known of them, and whether they answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.run import KEY, Home, run, run_pty
from tests.servers.answer import Answer, length
from tests.servers.behaviours import Status
from tests.servers.certificate import self_signed
from tests.servers.stub import Stub


def rows_of(home: Home) -> dict[str, dict[str, Any]]:
    return {r["name"]: r for r in run("providers", "ls", "--json", home=home).json()}


def test_what_is_ready_comes_first_and_says_why(home: Home) -> None:
    with Stub(Answer()) as stub:
        home.provider("stub", stub.url)
        home.provider("near", stub.url, key=None, local=True, auth={"required": False})
        rows = rows_of(home)
        listed = run("providers", "ls", home=home).text.splitlines()
    assert (rows["stub"]["ready"], rows["near"]["why"]) == (True, "listening")
    assert rows["openrouter"]["why"] == "needs OPENROUTER_API_KEY"
    assert rows["stub"]["layer"] == "user"
    ready = [line.split()[1] for line in listed[1:]]
    assert ready == sorted(ready, reverse=True)


def test_an_order_is_kept_and_followed(home: Home) -> None:
    with Stub(Answer("from a")) as a, Stub(Answer("from b")) as b:
        home.provider("a", a.url)
        home.provider("b", b.url)
        assert run("providers", "order", "b", "a", home=home).code == 0
        assert run("providers", "order", home=home).text == "b\na\n"
        assert run("ask", "-m", "x/any", "hi", home=home).text == "from b\n"
        assert rows_of(home)["b"]["order"] == 1
        assert run("providers", "order", "--clear", home=home).code == 0
    assert run("providers", "order", home=home).text == ""
    assert run("providers", "order", "nobody", home=home).code == 2


def test_info_says_ids_and_dated_prices(home: Home) -> None:
    info = run("providers", "info", "openrouter", "--json", home=home).json()
    ultra = next(m for m in info["models"] if m["id"] == "nvidia/nemotron-3-ultra-550b-a55b")
    assert ultra["price"]["source"]
    assert ultra["price"]["valid_from"] <= "2026-11-23"
    assert info["key"]["variables"] == ["OPENROUTER_API_KEY"]
    assert info["reports_cost"] is True
    plain = run("providers", "info", "openrouter", home=home).text
    assert re.search(r"^ready +no: needs OPENROUTER_API_KEY$", plain, re.MULTILINE)
    assert re.search(r"^address +https://openrouter.ai/api/v1$", plain, re.MULTILINE)
    assert '"reasoning": {"enabled": false}' in plain, "quirks are shown as they go out"
    assert re.search(
        rf"{ultra['id']} .*{re.escape(ultra['price']['source'])}$", plain, re.MULTILINE
    )


def test_a_test_is_one_tiny_booked_call(home: Home) -> None:
    with Stub(Answer("ready", cost=0.00002)) as stub:
        home.provider("stub", stub.url)
        done = run("providers", "test", "stub", "--json", "-m", "x/any", home=home)
    (row,) = done.json()
    assert (done.code, row["answers"], row["cost_usd"]) == (0, True, "0.00002")
    assert [r["command"] for r in home.attempts()] == ["providers test"]
    assert stub.asked()[0].json["max_tokens"] <= 256


def test_a_model_that_only_thought_is_alive(home: Home) -> None:
    with Stub(length("")) as stub:
        home.provider("stub", stub.url)
        done = run("providers", "test", "stub", "-m", "x/any", home=home)
    assert done.code == 0, done.err


def test_a_refusal_has_its_exit_code_and_one_try(home: Home) -> None:
    with Stub(Status(401)) as bad, Stub(Answer("fine")) as good:
        home.provider("bad", bad.url)
        home.provider("good", good.url)
        done = run("providers", "test", "bad", "good", "-m", "x/any", home=home)
        machine = run("providers", "test", "good", "bad", "-m", "x/any", "--json", home=home)
    assert (done.code, len(bad.asked())) == (4, 2)
    assert "auth login bad" in done.err
    assert KEY not in done.err + done.text
    assert [row["answers"] for row in machine.json()] == [True, False]
    assert (machine.code, machine.error()["provider"]) == (4, "bad")


def test_all_tests_what_is_ready(home: Home) -> None:
    with Stub(Answer("fine")) as stub:
        home.provider("one", stub.url)
        home.provider("two", stub.url, key=None)
        done = run("providers", "test", "--all", "-m", "x/any", "--json", home=home)
    names = {row["provider"] for row in done.json()}
    assert "one" in names
    assert "two" not in names
    assert "embedded" not in names, "nothing is fetched or started to be tested unasked"


def test_a_test_does_not_pay_for_reasoning(home: Home) -> None:
    with Stub(Answer("ready")) as stub:
        home.provider("stub", stub.url)
        assert run("providers", "test", "stub", home=home).code == 0
    body = stub.asked()[0].json
    assert body["reasoning"] == {"enabled": False}
    assert body["model"] == "nvidia/nemotron-3-ultra-550b-a55b"


def test_certificates_of_its_own_are_read_before_they_are_written_down(
    home: Home, tmp_path: Path
) -> None:
    made = self_signed(tmp_path)
    if made is None:
        pytest.skip("nothing here makes certificates")
    line = ("providers", "add", "near", "--base-url", "https://near.invalid/v1", "--local", "--ca")
    done = run(*line, "nowhere.pem", home=home)
    assert (done.code, "nowhere.pem cannot be loaded" in done.err) == (3, True)
    (home.cwd / "ca.pem").write_bytes(made[0].read_bytes())
    assert run(*line, "ca.pem", home=home).code == 0
    said = run("providers", "info", "near", "--json", home=home).json()
    assert said["quirks"]["ca"] == str(home.cwd / "ca.pem")


def test_a_provider_is_added_used_and_removed(home: Home) -> None:
    with Stub(Answer("mine")) as stub:
        home.env["MINE_KEY"] = KEY
        added = run(
            "providers", "add", "mine", "--base-url", stub.url, "--env", "MINE_KEY", home=home
        )
        assert added.code == 0, added.err
        assert (home.folder / "profiles" / "providers" / "mine.yaml").stat().st_mode & 0o77 == 0
        again = run("providers", "add", "mine", "--base-url", stub.url, home=home)
        assert (again.code, "--force" in again.err) == (3, True)
        assert run("ask", "-p", "mine", "-m", "x/any", "hi", home=home).text == "mine\n"
        assert run("providers", "rm", "mine", home=home).code == 2, "nobody said yes"
        assert run("providers", "rm", "mine", "--yes", home=home).code == 0
    assert "mine" not in rows_of(home)
    assert run("providers", "rm", "openrouter", "--yes", home=home).code == 2


def test_what_cannot_be_a_provider_is_refused_and_leaves_nothing(home: Home) -> None:
    for name, url in (("../evil", "http://x/v1"), ("Big", "http://x/v1"), ("x", "not a url")):
        done = run("providers", "add", name, "--base-url", url, home=home)
        assert done.code == 2, done.err
    done = run("providers", "add", "x", "--base-url", "http://x:99999/v1", home=home)
    assert (done.code, "port" in done.err) == (2, True)
    done = run("providers", "add", "x", "--base-url", "http://x/v1", "--env", KEY, home=home)
    assert (done.code, KEY in done.err) == (2, False)
    assert list(home.folder.rglob("*.yaml*")) == []


def test_one_that_comes_with_the_program_is_changed_only_by_force(home: Home) -> None:
    add = ("providers", "add", "nvidia", "--base-url", "https://proxy.invalid/v1")
    assert run(*add, home=home).code == 3
    assert run(*add, "--force", home=home).code == 0
    row = rows_of(home)["nvidia"]
    assert (row["base_url"], row["layer"]) == ("https://proxy.invalid/v1", "user")
    assert run("providers", "rm", "nvidia", "-y", home=home).code == 0
    row = rows_of(home)["nvidia"]
    assert (row["base_url"], row["layer"]) == ("https://integrate.api.nvidia.com/v1", "bundled")


def test_a_removed_provider_takes_its_stored_key_along(home: Home) -> None:
    added = run(
        "providers", "add", "mine", "--base-url", "https://mine.invalid/v1",
        "--extends", "openrouter", "--title", "Mïne", home=home,
    )  # fmt: skip
    assert added.text == f"{home.folder / 'profiles' / 'providers' / 'mine.yaml'}\n"
    assert "nemocli auth login mine" in added.err
    login = ("auth", "login", "mine", "--with-token", "--storage", "file")
    assert run(*login, home=home, input=KEY).code == 0
    row = rows_of(home)["mine"]
    assert (row["ready"], row["why"], row["title"]) == (True, "key stored", "Mïne")
    assert run("providers", "info", "mine", "--json", home=home).json()["extends"] == ["openrouter"]
    assert run("providers", "rm", "mine", "--yes", home=home).code == 0
    assert home.files_holding(KEY) == []


def test_a_broken_file_is_told_and_spoils_only_itself(home: Home) -> None:
    home.provider("good", "https://good.invalid/v1")
    home.provider("bad", "https://bad.invalid/v1", drop="top_k")
    done = run("providers", "ls", home=home)
    assert done.code == 0
    assert re.search(r"bad\.yaml:\d+: ", done.err)
    assert re.search(r"^good +yes +key in GOOD_API_KEY", done.text, re.MULTILINE)
    info = run("providers", "info", "bad", home=home)
    assert (info.code, "bad.yaml:" in info.err) == (3, True)
    assert run("providers", "rm", "bad", "--yes", home=home).code == 0
    assert run("providers", "ls", home=home).err == ""


def test_a_table_is_cut_on_a_terminal_only(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", title="A very long title " * 8 + "end")
    assert "end" in run("providers", "ls", home=home).text
    seen = run_pty("providers", "ls", home=home, size=(24, 70), timeout=20).text
    assert max(map(len, seen.splitlines())) <= 70
    assert "key in STUB_API_KEY" in seen, "what matters is not what is cut"
    assert "stub" in run("-q", "providers", "ls", home=home).text.splitlines()


def test_an_order_that_cannot_hold_is_said(home: Home) -> None:
    both = run("providers", "order", "nvidia", "--clear", home=home)
    assert both.code == 2
    given = run("providers", "order", "nvidia", "nvidia", "openrouter", "--json", home=home)
    assert given.json()["order"] == ["nvidia", "openrouter"]
    home.env["NEMOCLI_PROVIDER"] = "vllm"
    hidden = run("providers", "order", "openrouter", home=home)
    assert (hidden.code, "NEMOCLI_PROVIDER" in hidden.err) == (0, True)
    assert "ORDER" in run("providers", "ls", home=home).text.splitlines()[0]
