"""Which models there are, what is known of them, and which really answer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.run import KEY, Home, run, run_pty
from tests.servers.answer import HOSTILE, Answer
from tests.servers.behaviours import Exchange, Reply, Status
from tests.servers.stub import Stub

ULTRA = "nvidia/nemotron-3-ultra-550b-a55b"


class Capable:
    """A model that can do whatever the request asks for."""

    def play(self, exchange: Exchange) -> None:
        Reply(self.answer(exchange.request.json)).play(exchange)

    def answer(self, asked: dict[str, Any]) -> Answer:
        if asked.get("tools"):
            call = ("add", '{"a": 2, "b": 3}')
            return Answer("", tool_calls=(call,), finish="tool_calls", cost=0.001)
        if asked.get("response_format"):
            return Answer('{"ready": true}', cost=0.001)
        off = asked.get("reasoning", {}).get("enabled") is False or "none" in str(
            asked.get("reasoning", {}).get("effort")
        )
        return Answer("391 it is.", reasoning="" if off else "Let me multiply.", cost=0.001)


class Plain:
    """A model that refuses tools and schemas, and answers in one piece."""

    def play(self, exchange: Exchange) -> None:
        asked = exchange.request.json
        if asked.get("tools") or asked.get("response_format"):
            body = {"error": {"code": 400, "message": "not supported by this model"}}
            Status(400, body).play(exchange)
        else:
            Reply(Answer("yes", whole=True)).play(exchange)


def test_every_card_is_listed_with_its_cheapest_price_and_where_that_is_from(home: Home) -> None:
    rows = {row["model"]: row for row in run("models", "ls", "--json", home=home).json()}
    ultra = rows["nemotron-3-ultra"]
    assert {"nvidia", "openrouter", "perplexity"} <= set(ultra["providers"])
    assert ultra["context"] >= 1_000_000
    price = ultra["cheapest"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", price["valid_from"])
    assert price["source"]
    assert price["provider"] in ultra["providers"]
    assert "nvidia" in ultra["free_at"]
    offers = run("models", "info", "nemotron-3-ultra", "--json", home=home).json()["offers"]
    paid = [o["price"] for o in offers if o["price"] and float(o["price"]["output"])]
    sums = [float(p["input"]) + float(p["output"]) for p in paid]
    assert float(price["input"]) + float(price["output"]) == pytest.approx(min(sums))


def test_a_pipe_gets_whole_lines_and_a_terminal_lines_that_fit(home: Home) -> None:
    piped = run("models", "ls", home=home).text
    assert "perplexity, deepinfra" in piped
    assert "…" not in piped
    shown = run_pty("models", "ls", home=home, size=(24, 60))
    assert all(len(line) <= 60 for line in shown.text.splitlines())
    assert "…" in shown.text


def test_quiet_prints_names_alone(home: Home) -> None:
    lines = run("-q", "models", "ls", home=home).text.splitlines()
    assert "nemotron-3-ultra" in lines
    assert all(re.fullmatch(r"[a-z0-9.-]+", line) for line in lines)


def test_a_providers_own_listing_marks_the_models_that_are_known(home: Home) -> None:
    with Stub(models=("x/anything", ULTRA)) as stub:
        home.provider("stub", stub.url)
        rows = run("models", "ls", "-p", "stub", "--json", home=home).json()
        ids = run("-q", "models", "ls", "-p", "stub", home=home).text
        table = run("models", "ls", "-p", "stub", home=home).text.splitlines()
    assert [(r["id"], r["model"]) for r in rows] == [
        ("x/anything", None),
        (ULTRA, "nemotron-3-ultra"),
    ]
    assert ids == f"x/anything\n{ULTRA}\n"
    assert table[1].startswith(ULTRA), "known models come first"
    assert stub.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_listing_cannot_drive_the_terminal(home: Home) -> None:
    hostile = ("x/\x1b[31mred\x1b[0m", "x/\u202egnp", HOSTILE, "x/fine")
    with Stub(models=hostile) as stub:
        home.provider("stub", stub.url)
        shown = run_pty("models", "ls", "-p", "stub", home=home)
        piped = run("-q", "models", "ls", "-p", "stub", home=home)
    assert b"\x1b[31m" not in shown.seen
    assert "\u202e" not in shown.text
    assert piped.text == "x/fine\n", "an id that nobody could type is none"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Status(401, {"error": {"code": 401, "message": "No auth"}}), 4),
        (Status(503), 5),
        (Status(200, "<html>Log in</html>", content_type="text/html"), 7),
        (Status(200, {"data": [{}]}), 7),
    ],
)
def test_a_listing_that_fails_says_so_in_the_exit_code(
    home: Home, behaviour: Status, code: int
) -> None:
    with Stub() as stub:
        stub.on("/v1/models", behaviour)
        home.provider("stub", stub.url)
        done = run("models", "ls", "-p", "stub", "--json", home=home)
    assert (done.code, done.out) == (code, b"")
    assert done.error()["provider"] == "stub"


def test_a_listing_needs_the_key_and_never_leaves_the_machine_when_offline(home: Home) -> None:
    home.provider("far", "https://far.invalid/v1", key=None)
    assert run("models", "ls", "-p", "far", home=home).code == 4
    home.env["FAR_API_KEY"] = KEY
    done = run("--offline", "models", "ls", "-p", "far", "--json", home=home)
    assert (done.code, done.error()["code"]) == (7, "offline")


def test_all_lists_every_ready_provider_and_notes_the_one_that_fails(home: Home) -> None:
    with Stub(models=("x/one",)) as good, Stub() as bad:
        bad.on("/v1/models", Status(503))
        home.provider("good", good.url)
        home.provider("bad", bad.url)
        done = run("models", "ls", "--all", "--json", home=home)
    assert done.code == 0, done.err
    assert [(r["provider"], r["id"]) for r in done.json()] == [("good", "x/one")]
    assert "bad" in done.err


def test_all_without_a_ready_provider_is_a_failure(home: Home) -> None:
    with Stub() as bad:
        bad.on("/v1/models", Status(503))
        home.provider("bad", bad.url)
        assert run("models", "ls", "--all", home=home).code == 5
    assert run("models", "ls", "--all", "-p", "bad", home=home).code == 2


def test_a_card_has_everything_that_is_known(home: Home) -> None:
    card = run("models", "info", "nemotron-3-ultra", "--json", home=home).json()
    assert "ultra" in card["aliases"]
    assert card["sampling"] == {"temperature": "1.0", "top_p": "0.95"}
    assert "off" in card["reasoning"]
    sizes = {w["repo"]: w["size_bytes"] for w in card["weights"]}
    assert sizes["nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4"] > 300e9
    assert {"gpu", "count", "precision", "source"} <= card["hardware"][0].keys()
    for offer in card["offers"]:
        assert {"provider", "id", "context", "price", "end_of_life", "source"} <= offer.keys()
        if offer["price"]:
            assert offer["price"]["source"], offer
            assert offer["price"]["valid_from"]
    text = run("models", "info", "nemotron-3-ultra", home=home).text
    assert "352.3 GB" in text
    assert "8 x H100" in text


@pytest.mark.parametrize("name", ["ultra", "NEMOTRON", ULTRA, "nemotron-3-ultra:free"])
def test_any_name_of_a_model_leads_to_its_card_and_says_so(home: Home, name: str) -> None:
    done = run("models", "info", name, home=home)
    assert done.code == 0, done.err
    assert done.text.splitlines()[0].split()[1] == "nemotron-3-ultra"
    assert "nemotron-3-ultra" in done.err


def test_the_guides_wrong_name_is_taken_and_put_right(home: Home) -> None:
    done = run("models", "info", "nvidia/Nemotron-3-Ultra-550B-A55B", home=home)
    assert done.code == 0, done.err
    assert "no such repository" in done.err
    assert "taken for nemotron-3-ultra" in done.err
    assert "NVFP4" in done.err
    with Stub() as stub:
        home.provider("stub", stub.url)
        asked = run("ask", "-p", "stub", "-m", "nvidia/Nemotron-3-Ultra-550B-A55B", "hi", home=home)
    assert asked.code == 0, asked.err
    assert "taken for nemotron-3-ultra" in asked.err
    assert stub.asked()[0].json["model"] == ULTRA


def test_an_unknown_model_is_refused_with_the_nearest_name(home: Home) -> None:
    done = run("models", "info", "nemotron-3-ulta", "--json", home=home)
    assert (done.code, done.out) == (2, b"")
    assert "nemotron-3-ultra" in done.error()["hint"]
    assert run("models", "info", "", home=home).code == 2


def test_a_probe_says_what_a_model_can_do_and_books_each_call(home: Home) -> None:
    with Stub(Capable()) as stub:
        home.provider("stub", stub.url)
        done = run("models", "probe", "-p", "stub", "ultra", "--json", home=home)
    assert done.code == 0, done.err
    [probe] = done.json()
    assert probe["answers"] is True
    assert probe["checks"] == dict.fromkeys(
        ("streaming", "reasoning", "reasoning_off", "tools", "json_schema"), True
    )
    rows = home.attempts()
    assert probe["calls"] == len(rows) == 5
    assert {r["command"] for r in rows} == {"models probe"}
    assert probe["cost_usd"] == "0.005"
    assert all(r.json["max_tokens"] <= 1000 for r in stub.asked())


def test_a_model_that_can_do_less_is_still_alive(home: Home) -> None:
    with Stub(Plain()) as stub:
        home.provider("stub", stub.url)
        done = run("models", "probe", "-p", "stub", "ultra", "--json", home=home)
        table = run("models", "probe", "-p", "stub", "ultra", home=home)
    assert done.code == table.code == 0, done.err
    [probe] = done.json()
    assert probe["answers"] is True
    assert probe["checks"]["tools"] is False
    assert probe["checks"]["json_schema"] is False
    assert probe["checks"]["streaming"] is False
    assert probe["checks"]["reasoning"] is False
    assert "stub" in table.text


def test_a_check_that_met_a_rate_limit_is_not_a_no(home: Home) -> None:
    with Stub(Answer("ready"), Status(429)) as stub:
        home.provider("stub", stub.url)
        done = run("models", "probe", "-p", "stub", "ultra", "--json", home=home)
    [probe] = done.json()
    assert probe["answers"] is True
    assert probe["checks"]["tools"] is None
    assert probe["checks"]["json_schema"] is None


def test_a_listed_model_that_does_not_answer_is_found_out(home: Home) -> None:
    with Stub(Status(404, {"status": 404, "title": "Not Found"}), models=(ULTRA,)) as stub:
        home.provider("stub", stub.url)
        done = run("models", "probe", "-p", "stub", "--json", home=home)
    assert done.code == 5
    [probe] = done.json()
    assert (probe["model"], probe["answers"], probe["calls"]) == (ULTRA, False, 1)
    assert probe["error"]["code"] == "unavailable"


def test_a_probe_of_many_paid_models_wants_a_yes(home: Home) -> None:
    many = tuple(f"x/model-{n}" for n in range(11))
    with Stub(Plain(), models=many) as stub:
        home.provider("stub", stub.url)
        refused = run("models", "probe", "-p", "stub", "--all", "--json", home=home)
        assert (refused.code, stub.asked()) == (2, [])
        assert "11" in refused.error()["message"]
        tight = run("models", "probe", "-p", "stub", "x/a", "x/b", "--limit", "1", home=home)
        assert (tight.code, stub.asked()) == (2, [])
        none = run("models", "probe", "-p", "stub", home=home)
        assert (none.code, stub.asked()) == (2, []), "no listed model has a card"
        done = run("models", "probe", "-p", "stub", "x/a", "x/b", "--limit", "2", home=home)
    assert done.code == 0, done.err
    assert "so far" in done.err


def test_what_costs_nothing_needs_no_yes(home: Home) -> None:
    with Stub(Plain(), models=("x/a", "x/b")) as stub:
        home.provider("near", stub.url, extends="vllm", key=None, auth={"required": False})
        done = run("models", "probe", "-p", "near", "--all", "--limit", "0", "--json", home=home)
    assert done.code == 0, done.err
    assert [row["model"] for row in done.json()] == ["x/a", "x/b"]


def test_a_probe_stays_within_its_budget(home: Home) -> None:
    price = [
        {"model": m, "valid_from": "2026-01-01", "input": 1, "output": 2, "source": "a test"}
        for m in ("x/a", "x/b")
    ]
    with Stub(Answer("ready", cost=0.002)) as stub:
        home.provider("stub", stub.url, prices=price)
        done = run(
            "models", "probe", "-p", "stub", "x/a", "x/b", "--max-cost", "0.0025", "--json",
            home=home,
        )  # fmt: skip
    assert done.code == 9
    first, second = done.json()
    assert first["answers"] is True
    assert first["error"]["code"] == "budget"
    assert second["answers"] is False
    assert sum(r["cost_pico"] or 0 for r in home.attempts()) <= 2.5e9


def test_a_probe_of_nothing_is_refused(home: Home) -> None:
    assert run("models", "probe", home=home).code == 2
    assert run("models", "probe", "-p", "nobody", "ultra", home=home).code == 2


def test_the_default_model_is_shown_set_and_taken_back(home: Home) -> None:
    def default(*args: str) -> str:
        done = run("models", "default", *args, home=home)
        assert done.code == 0, done.err
        return done.text

    config = home.folder / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("# mine\ncolor: never\n")
    assert default() == "nemotron-3-ultra\n"
    assert default("nemotron-3-super") == ""
    assert default() == "nemotron-3-super\n"
    assert default("--clear") == ""
    assert default() == "nemotron-3-ultra\n"
    assert config.read_text() == "# mine\ncolor: never\n", "nothing else in the file has changed"
    assert default("--clear") == "", "twice is no failure"
    assert run("models", "default", "ultra", "--clear", home=home).code == 2


def test_clearing_a_default_written_over_several_lines_is_left_to_a_person(home: Home) -> None:
    config = home.folder / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("model: >-\n  nemotron-3-super\n")
    done = run("models", "default", "--clear", home=home)
    assert done.code == 3
    assert config.read_text() == "model: >-\n  nemotron-3-super\n"


def test_the_default_is_what_is_asked(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        for model in ("x/mine", "nemotron-3-super"):
            run("models", "default", model, home=home)
            done = run("ask", "-p", "stub", "hi", home=home)
            assert done.code == 0, done.err
    asked = [r.json["model"] for r in stub.asked()]
    assert asked == ["x/mine", "nvidia/nemotron-3-super-120b-a12b"]
