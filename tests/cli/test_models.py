"""Models: what is known, what is listed, and which really answer."""

from __future__ import annotations

from tests.run import Home, run
from tests.servers.answer import HOSTILE, Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

ULTRA = "nvidia/nemotron-3-ultra-550b-a55b"


def test_the_known_models_and_who_serves_them(home: Home) -> None:
    rows = {r["model"]: r for r in run("models", "ls", "--json", home=home).json()}
    assert {"nvidia", "openrouter", "perplexity"} <= set(rows["nemotron-3-ultra"]["providers"])
    assert "smollm2-135m" in rows
    ids = run("-q", "models", "ls", home=home).text.splitlines()
    assert set(ids) == set(rows)


def test_a_card_says_everything_with_its_source(home: Home) -> None:
    info = run("models", "info", "ultra", "--json", home=home).json()
    assert info["model"] == "nemotron-3-ultra"
    assert all(o["source"] for o in info["offers"])
    assert {w["repo"] for w in info["weights"]} >= {
        "nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4",
        "nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16",
    }
    assert "352" in run("models", "info", "ultra", home=home).text


def test_the_name_in_the_guide_is_understood_and_said(home: Home) -> None:
    done = run("models", "info", "nvidia/Nemotron-3-Ultra-550B-A55B", home=home)
    assert done.code == 0
    assert "no such repository" in done.err
    assert "NVFP4" in done.err
    with Stub(Answer("yes")) as stub:
        home.provider("stub", stub.url)
        asked = run("ask", "-p", "stub", "-m", "nvidia/Nemotron-3-Ultra-550B-A55B", "hi", home=home)
    assert asked.code == 0, asked.err
    assert "taken for nemotron-3-ultra" in asked.err
    assert stub.asked()[0].json["model"] == ULTRA


def test_a_listing_marks_what_is_known_and_cannot_drive_a_terminal(home: Home) -> None:
    with Stub(Answer(), models=[ULTRA, "other/model", HOSTILE]) as stub:
        home.provider("stub", stub.url)
        rows = run("models", "ls", "-p", "stub", "--json", home=home).json()
        plain = run("models", "ls", "-p", "stub", home=home)
    found = {r["id"]: r["model"] for r in rows}
    assert found[ULTRA] == "nemotron-3-ultra"
    assert found["other/model"] is None
    assert "\x1b" not in plain.text
    assert plain.text.splitlines()[1].startswith(ULTRA)


def test_a_listing_that_fails_says_so(home: Home) -> None:
    with Stub() as stub:
        stub.on("/v1/models", Status(401))
        home.provider("stub", stub.url)
        done = run("models", "ls", "-p", "stub", "--json", home=home)
    assert (done.code, done.error()["code"]) == (4, "auth")


def test_a_probe_tells_what_a_model_can_do(home: Home) -> None:
    with Stub(Answer("ready"), Answer("391", reasoning="Hm, 17*23"), Answer("391")) as stub:
        stub.script(
            Answer("ready", cost=0.0001),
            Answer("391", reasoning="17 * 23", cost=0.0001),
            Answer("391", cost=0.0001),
            Answer("I cannot", cost=0.0001),
            Answer('{"ready": true}', cost=0.0001),
        )
        home.provider("stub", stub.url)
        done = run("models", "probe", "-p", "stub", "nemotron-3-ultra", "--json", home=home)
    assert done.code == 0, done.err
    (row,) = done.json()
    assert row["answers"] is True
    assert row["checks"] == {
        "reasoning": True, "reasoning_off": True, "tools": False, "json_schema": True,
    }  # fmt: skip
    assert (row["calls"], row["cost_usd"]) == (5, "0.0005")
    assert {r["command"] for r in home.attempts()} == {"models probe"}


def test_a_dead_model_is_one_call(home: Home) -> None:
    with Stub(Status(404)) as stub:
        home.provider("stub", stub.url)
        done = run("models", "probe", "-p", "stub", "nemotron-3-ultra", "--json", home=home)
    assert (done.code, done.json()[0]["answers"], len(stub.asked())) == (5, False, 1)


def test_many_models_are_not_probed_unasked(home: Home) -> None:
    with Stub(Answer(), models=[ULTRA] + [f"{ULTRA}:{n}" for n in ("free", "batch")]) as stub:
        home.provider("stub", stub.url)
        assert run("models", "probe", home=home).code == 2
        twelve = ["nemotron-3-ultra"] * 12
        many = run("models", "probe", "-p", "stub", *twelve, home=home)
    assert (many.code, "--yes" in many.err) == (2, True)
    assert stub.asked("/chat/completions") == []


def test_the_default_model_is_a_setting(home: Home) -> None:
    assert run("models", "default", home=home).text == "nemotron-3-ultra\n"
    assert run("models", "default", "nemotron-3-super", home=home).code == 0
    with Stub(Answer("yes")) as stub:
        home.provider("stub", stub.url)
        done = run("ask", "-p", "stub", "hi", home=home)
    assert done.code == 0, done.err
    assert stub.asked()[0].json["model"] == "nvidia/nemotron-3-super-120b-a12b"
