"""The paths: which are ready, what is known of them, and whether they answer."""

from __future__ import annotations

from tests.run import KEY, Home, run
from tests.servers.answer import Answer, length
from tests.servers.behaviours import Status
from tests.servers.stub import Stub


def rows_of(home: Home) -> dict[str, dict]:
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
    plain = run("providers", "info", "openrouter", home=home)
    assert "OPENROUTER_API_KEY" in plain.text


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
    assert (done.code, len(bad.asked())) == (4, 1)
    assert "auth login bad" in done.err
    assert KEY not in done.err


def test_all_tests_what_is_ready(home: Home) -> None:
    with Stub(Answer("fine")) as stub:
        home.provider("one", stub.url)
        home.provider("two", stub.url, key=None)
        done = run("providers", "test", "--all", "-m", "x/any", "--json", home=home)
    assert "two" not in {row["provider"] for row in done.json()}
    assert "one" in {row["provider"] for row in done.json()}


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
    assert list(home.folder.rglob("*.yaml*")) == []
