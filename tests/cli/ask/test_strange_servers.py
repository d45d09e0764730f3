"""Servers that answer rightly in a way of their own, asked by the whole program."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.run import KEY, Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

WHOLE: dict[str, Any] = {
    "id": "c",
    "model": "x/anything",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Made"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}


def mine(home: Home, url: str, **extra: Any) -> None:
    """A provider's file as the README shows it: no `extends`, nothing said of its models."""
    row = {
        "schema": "nemocli.provider/1",
        "name": "mine",
        "dialect": "chat",
        "base_url": url,
        "auth": {"env": ["MINE_API_KEY"]},
        **extra,
    }
    file = home.folder / "profiles" / "providers" / "mine.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(row))
    home.env["MINE_API_KEY"] = KEY


def test_created_is_an_answer(home: Home) -> None:
    with Stub(Status(201, WHOLE)) as stub:
        home.provider("stub", stub.url)
        done = run("ask", "-p", "stub", "-m", "x/anything", "--json", "hi", home=home)
    assert (done.code, done.json()["text"]) == (0, "Made"), done.err
    assert (done.json()["finish_reason_raw"], done.json()["warnings"]) == ("stop", [])


def test_a_queued_call_is_asked_for_where_the_profile_says(home: Home) -> None:
    with Stub(Status(202, "", headers={"nvcf-reqid": "q-1"})) as stub:
        stub.on("/v2/nvcf/pexec/status/q-1", Status(202, "", headers={"nvcf-reqid": "q-1"}),
                Status(200, WHOLE))  # fmt: skip
        home.provider("stub", stub.url, extends="nvidia")
        done = run("ask", "-p", "stub", "-m", "x/anything", "hi", home=home)
    assert (done.code, done.out) == (0, b"Made\n"), done.err
    polls = [r for r in stub.requests if r.path.endswith("/q-1")]
    assert [r.method for r in polls] == ["GET", "GET"]
    assert {r.headers["authorization"] for r in polls} == {f"Bearer {KEY}"}
    assert len(stub.asked()) == 1


def test_a_queued_call_elsewhere_is_named_with_its_id(home: Home) -> None:
    with Stub(Status(202, "", headers={"x-request-id": "q-7"})) as stub:
        home.provider("stub", stub.url)
        done = run("ask", "-p", "stub", "-m", "x/anything", "--json", "hi", home=home)
    assert (done.code, len(stub.asked())) == (5, 1)
    assert "q-7" in done.error()["message"]


@pytest.mark.parametrize("coding", ["none", "utf-8", "chunked", "identity", ""])
@pytest.mark.parametrize("whole", [True, False])
def test_a_coding_that_changes_nothing_is_none(home: Home, coding: str, whole: bool) -> None:
    answer = Answer("Plain", whole=whole, headers={"content-encoding": coding})
    with Stub(answer) as stub:
        home.provider("stub", stub.url)
        done = run("ask", "-p", "stub", "-m", "x/anything", "hi", home=home)
    assert (done.code, done.out) == (0, b"Plain\n"), done.err


def test_a_leaked_call_is_said_in_the_receipt_and_in_json(home: Home) -> None:
    text = "<tool_call>\n<function=bash>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>"
    with Stub(Answer(text)) as stub:
        home.provider("stub", stub.url)
        told = run("ask", "-p", "stub", "-m", "x/anything", "hi", home=home)
        done = run("ask", "-p", "stub", "-m", "x/anything", "--json", "hi", home=home)
    assert (told.code, told.text.strip()) == (0, text)
    assert "--tool-call-parser" in told.err
    (warning,) = done.json()["warnings"]
    assert warning["code"] == "leaked_tool_call"


def test_the_own_provider_of_the_readme_answers(home: Home) -> None:
    with Stub(Answer("Here")) as stub:
        mine(home, stub.url)
        for args in (
            ("providers", "test", "mine"),
            ("ask", "-p", "mine", "hi"),
            ("ask", "-p", "mine", "-m", "nemotron-3-ultra", "hi"),
            ("ask", "-p", "mine", "-m", "nvidia/nemotron-3-ultra-550b-a55b", "hi"),
        ):
            done = run(*args, home=home)
            assert done.code == 0, (args, done.err)
        run("ask", "-p", "mine", "-m", "any/thing-else", "hi", home=home)
        models = [r.json["model"] for r in stub.asked()]
    assert models == ["nvidia/nemotron-3-ultra-550b-a55b"] * 4 + ["any/thing-else"]


def test_a_server_that_lists_other_models_says_which_line_to_add(home: Home) -> None:
    with Stub(Answer("Here"), models=("a/one", "b/two")) as stub:
        mine(home, stub.url)
        done = run("ask", "-p", "mine", "--json", "hi", home=home)
    assert done.code == 5
    hint = done.error()["hint"]
    assert "models: {nemotron-3-ultra: ID}" in hint
    assert "mine.yaml" in hint
    assert "a/one" in hint


def test_a_server_without_a_listing_is_asked_by_the_cards_name(home: Home) -> None:
    with Stub(Answer("Here")) as stub:
        stub.on("/v1/models", Status(404, "not found"))
        mine(home, stub.url)
        done = run("ask", "-p", "mine", "hi", home=home)
        (request,) = stub.asked()
    assert (done.code, request.json["model"]) == (0, "nemotron-3-ultra")


def test_a_query_goes_with_every_call_and_is_shown_without_its_key(home: Home) -> None:
    with Stub(Answer("Here")) as stub:
        mine(home, stub.url, query={"api-version": "2026-01-01", "api_key": "Zq8xw3Tt5f"})
        done = run("ask", "-p", "mine", "hi", home=home)
        info = run("providers", "info", "mine", home=home)
        targets = [r.target for r in stub.requests]
    assert done.code == 0, done.err
    assert len(targets) == 2
    assert all("api-version=2026-01-01" in t and "api_key=Zq8xw3Tt5f" in t for t in targets)
    assert "2026-01-01" in info.text
    assert "Zq8xw3Tt5f" not in info.text + done.err


def test_an_address_with_a_query_or_a_password_is_refused_without_showing_it(home: Home) -> None:
    mine(home, "https://api.invalid/v1?api-version=1")
    done = run("ask", "-p", "mine", "--json", "hi", home=home)
    assert done.code == 3
    assert "query" in done.error()["hint"]
    mine(home, "https://user:hunter2secret@api.invalid/v1")
    done = run("ask", "-p", "mine", "hi", home=home)
    assert done.code == 3
    assert "hunter2secret" not in done.err


def test_a_key_in_a_header_of_its_own_stands_there_alone(home: Home) -> None:
    auth = {"env": ["MINE_API_KEY"], "header": "X-Gateway-Key"}
    with Stub(Answer("Here")) as stub:
        mine(home, stub.url, auth=auth)
        done = run("ask", "-p", "mine", "hi", home=home)
        info = run("providers", "info", "mine", home=home)
        (request,) = stub.asked()
    assert done.code == 0, done.err
    assert request.headers["x-gateway-key"] == KEY
    assert "X-Gateway-Key: ***" in info.text
    said = json.loads(run("providers", "info", "mine", "--json", home=home).out)
    assert said["key"]["sent_as"] == "X-Gateway-Key: ***"
