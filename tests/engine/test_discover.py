"""Which model a server has, where the server decides what it is called."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nemocli.core.card import Weights
from nemocli.core.faults import FaultKind
from nemocli.core.plan import Target
from tests.engine.scripted import (
    AT_OTHER,
    AT_SHOP,
    BIG,
    SECRET,
    Scene,
    Script,
    ask,
    document,
    good,
    refused,
    scene,
)

CARD = replace(
    BIG,
    name="nemotron-3-ultra",
    aliases=("ultra", "nemotron-3-ultra-550b-a55b"),
    weights=(Weights("vendor/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4", "nvfp4"),),
)
HERE = replace(AT_OTHER.provider, discover=True, start_hint="start it with `serve`")
LOCAL = Target(HERE, "", CARD)
WEIGHTS = "/w/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4.gguf"


def listing(*ids: str) -> Script:
    return document({"data": [{"id": i} for i in ids]})


def asked(at: Scene) -> str:
    return str(at.sent()["model"])


@pytest.mark.parametrize(
    ("ids", "meant"),
    [
        (("else", "nemotron-3-ultra"), "nemotron-3-ultra"),
        (("else", "Vendor/Nemotron_3-ULTRA-550b-A55B"), "Vendor/Nemotron_3-ULTRA-550b-A55B"),
        (("else", "ultra"), "ultra"),
        (("else", "nemotron3-ultra:q4"), "nemotron3-ultra:q4"),
        (("else", WEIGHTS), WEIGHTS),
        (("my-nemotron-3-ultra-tune", "nemotron-3-ultra"), "nemotron-3-ultra"),
    ],
)
def test_the_model_is_found_under_the_servers_own_name(ids: tuple[str, ...], meant: str) -> None:
    at = scene(listing(*ids), good())
    answer = ask(at, LOCAL)
    assert answer.fault is None
    assert asked(at) == answer.target.model == meant
    assert at.entry.model == "nemotron-3-ultra"
    assert [c.method for c in at.calls] == ["GET", "POST"]
    assert at.calls[0].url == "https://other.example/v1/models"


def test_the_only_model_of_a_server_is_taken_under_its_own_name() -> None:
    at = scene(listing("my-tune"), good())
    assert ask(at, LOCAL).fault is None
    assert (asked(at), at.entry.model) == ("my-tune", "my-tune")


@pytest.mark.parametrize("ids", [("ultravox", "qwen-ultra-9"), ("nemotron-3-super", "bge-small")])
def test_a_short_alias_inside_another_name_means_nothing(ids: tuple[str, ...]) -> None:
    at = scene(listing(*ids), good())
    answer = ask(at, LOCAL)
    assert answer.fault is not None
    assert answer.fault.kind is FaultKind.UNAVAILABLE
    assert answer.fault.hint is not None
    assert ids[0] in answer.fault.hint
    assert len(at.calls) == 1
    assert at.entry.cost.pico == 0


def test_a_server_without_models_says_how_to_start_one() -> None:
    at = scene(listing())
    answer = ask(at, LOCAL)
    assert answer.fault is not None
    assert (answer.fault.exit_code, answer.fault.hint) == (5, "start it with `serve`")


def test_a_model_that_stays_here_is_taken_before_one_that_leaves() -> None:
    here = replace(HERE, leaves_machine=":cloud", free=True)
    at = scene(listing("nemotron-3-ultra:cloud", "nemotron-3-ultra:q4"), good())
    ask(at, replace(LOCAL, provider=here))
    assert (asked(at), at.entry.cost.source) == ("nemotron-3-ultra:q4", "free")
    away = scene(listing("nemotron-3-ultra:cloud"), good())
    ask(away, replace(LOCAL, provider=here))
    assert (asked(away), away.entry.cost.source) == ("nemotron-3-ultra:cloud", "unknown")


def test_another_path_is_taken_where_the_listing_fails() -> None:
    at = scene(refused(404), good())
    answer = ask(at, LOCAL, AT_SHOP)
    assert (answer.fault, answer.target.provider.name) == (None, "shop")
    assert [e.http_status for e in at.book.entries] == [404, 200]
    assert at.book.entries[0].request_id == "req-404"


@pytest.mark.parametrize("script", [Script([b"<html>hi"]), Script([b""]), document(3)])
def test_what_is_no_listing_is_a_protocol_fault_of_the_provider(script: Script) -> None:
    at = scene(script)
    answer = ask(at, LOCAL)
    assert answer.fault is not None
    assert (answer.fault.kind, answer.fault.provider) == (FaultKind.PROTOCOL, "other")


@pytest.mark.parametrize("status", [200, 401])
def test_a_key_that_a_listing_repeats_goes_no_further(status: int) -> None:
    at = scene(document({"error": {"message": f"bad key {SECRET}"}}, status))
    answer = ask(at, LOCAL)
    assert answer.fault is not None
    assert "***" in answer.fault.message
    assert SECRET not in repr(at.book.entries)


@pytest.mark.parametrize("status", [200, 500])
def test_an_endless_listing_is_not_read_to_its_end(status: int) -> None:
    script = Script([b"x" * 2**20] * 200, status)
    at = scene(script)
    assert ask(at, LOCAL).fault is not None
    assert script.taken <= 3 * 34


def test_a_listing_is_waited_for_less_long_than_an_answer() -> None:
    at = scene(Script([json.dumps({"data": [{"id": "one"}]}).encode()]), good())
    ask(at, LOCAL)
    assert at.calls[0].timeouts.total_s <= 30 < at.calls[1].timeouts.total_s
