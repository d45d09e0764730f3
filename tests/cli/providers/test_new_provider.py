"""A new provider is one YAML file: its quirks, its key, its prices, and no line of code."""

from __future__ import annotations

from typing import Any

from tests.run import KEY, Home, run
from tests.servers.answer import Answer
from tests.servers.stub import Stub

QUIRKS: dict[str, Any] = {
    "dialect": "chat",
    "title": "A server with opinions",
    "auth": {"env": ["ODD_API_KEY"], "header": "X-Api-Key", "scheme": ""},
    "headers": {"X-Team": "blue"},
    "paths": {"chat": "/chat/completions?version=2"},
    "rename": {"max_tokens": "max_completion_tokens"},
    "drop": ["top_k"],
    "body": {"stream_options": None, "safe_mode": True},
    "reasoning": {"request": {"off": {"think": False}, "high": {"think": True}}},
    "usage": {"input_tokens": "usage.prompt_tokens", "output_tokens": "usage.completion_tokens"},
    "models": {"nemotron-3-ultra": "odd-ultra-v1"},
    "prices": [
        {
            "model": "nemotron-3-ultra",
            "valid_from": "2026-01-01",
            "input": 1.00,
            "output": 4.00,
            "source": "its price page (2026-01)",
        }
    ],
}


def test_every_quirk_of_a_new_provider_is_a_line_of_its_file(home: Home) -> None:
    with Stub(Answer("Odd but right")) as stub:
        home.provider("odd", stub.url, key=None, **{**QUIRKS, "extends": None})
        file = home.folder / "profiles" / "providers" / "odd.yaml"
        file.write_text(
            "\n".join(line for line in file.read_text().splitlines() if line != "extends: null")
        )
        home.env["ODD_API_KEY"] = KEY
        assert run("config", "validate", home=home).code == 0
        done = run(
            "ask", "-p", "odd", "-m", "ultra", "--reasoning", "off", "--max-tokens", "50",
            "-o", "top_k=3", "-o", "seed=1", "--json", "hi", home=home,
        )  # fmt: skip
    assert done.code == 0, done.err
    (request,) = stub.asked()
    body = request.json
    assert request.headers["x-api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.headers["x-team"] == "blue"
    assert request.target == "/v1/chat/completions?version=2"
    assert (body["model"], body["max_completion_tokens"]) == ("odd-ultra-v1", 50)
    assert (body["safe_mode"], body["think"], body["seed"]) == (True, False, 1)
    assert not {"max_tokens", "top_k", "stream_options"} & set(body)
    answer = done.json()
    assert (answer["model"], answer["text"]) == ("nemotron-3-ultra", "Odd but right")
    cost = answer["cost"]
    assert (cost["source"], cost["usd"]) == ("override", "0.00003")
    assert cost["price_id"] == "odd/nemotron-3-ultra@2026-01-01"


def test_its_own_cost_and_counts_are_read_where_they_are(home: Home) -> None:
    counts = {"in": 12, "out": 3, "billed_usd": "0.000456"}
    quirks: dict[str, Any] = {
        "auth": {"env": ["ODD_API_KEY"], "header": "X-Api-Key", "scheme": ""},
        "rename": {"max_tokens": "max_completion_tokens", "stream": "streamed"},
        "drop": ["temperature", "top_p"],
        "usage": {
            "input_tokens": "usage.in",
            "output_tokens": "usage.out",
            "cost": "usage.billed_usd",
        },
    }
    with Stub(Answer("ready", usage=counts, whole=True)) as stub:
        home.provider("odd", stub.url, key=None, dialect="chat", **quirks)
        home.env["ODD_API_KEY"] = KEY
        done = run("providers", "test", "odd", "-m", "nemotron-3-ultra", "--json", home=home)
    assert done.code == 0, done.err
    (request,) = stub.asked()
    assert request.headers["x-api-key"] == KEY
    assert not {"max_tokens", "stream", "temperature", "top_p"} & set(request.json)
    assert request.json["max_completion_tokens"] <= 256
    assert request.json["streamed"] is True
    assert done.json()[0]["cost_usd"] == "0.000456"
    (row,) = home.attempts()
    assert (row["input_tokens"], row["output_tokens"], row["cost_source"]) == (12, 3, "reported")
    assert home.files_holding(KEY) == []


def test_add_writes_header_models_and_a_key_command(home: Home) -> None:
    with Stub(Answer("Here")) as stub:
        done = run(
            "providers", "add", "gw", "--base-url", stub.url, "--header", "X-Gateway-Key",
            "--model", "nemotron-3-ultra=our-ultra", "--key-command", "echo from-a-command",
            home=home,
        )  # fmt: skip
        assert done.code == 0, done.err
        asked = run("ask", "-p", "gw", "hi", home=home)
        (request,) = stub.asked()
    assert asked.code == 0, asked.err
    assert request.headers["x-gateway-key"] == "from-a-command"
    assert request.json["model"] == "our-ultra"
    assert (
        run("providers", "add", "no", "--base-url", stub.url, "--model", "x", home=home).code == 2
    )
