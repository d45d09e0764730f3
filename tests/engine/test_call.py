"""One attempt's surroundings: which model a server has, what a reply really cost, schemas."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from nemocli.core.faults import FaultKind, NemoError
from nemocli.engine.run import run
from nemocli.engine.settle import settle, settle_quietly, unsettled
from nemocli.engine.structured import Check, json_in, run_checked
from tests.engine.scripted import ASKED, AT_OTHER, AT_SHOP, BROKEN, Scene, Script, plan, scene, sse

LOCAL = replace(AT_OTHER, provider=replace(AT_OTHER.provider, discover=True), model="")


def listing(*ids: str) -> Script:
    return Script([json.dumps({"data": [{"id": i} for i in ids]}).encode()])


@pytest.mark.parametrize(
    ("ids", "asked"),
    [
        (("else", "Vendor/BIG"), "Vendor/BIG"),
        (("only-one",), "only-one"),
        (("x/my-big-tune", "big"), "big"),
    ],
)
def test_the_model_is_found_under_the_servers_own_name(ids: tuple[str, ...], asked: str) -> None:
    at = scene(listing(*ids), Script(sse("hi")))
    answer = asyncio.run(run(plan(LOCAL), ASKED, at.world, at.seen.append))
    assert answer.fault is None
    assert answer.target.model == asked
    assert f'"model":"{asked}"'.encode() in at.transport.calls[1].body


def test_a_short_alias_inside_another_name_means_nothing() -> None:
    card = replace(LOCAL.card, name="nemotron-3-ultra", aliases=("ultra",))
    at = scene(listing("ultravox", "qwen-ultra-9"), Script(sse("hi")))
    answer = asyncio.run(run(plan(replace(LOCAL, card=card)), ASKED, at.world, at.seen.append))
    assert answer.fault.kind is FaultKind.UNAVAILABLE
    assert "ultravox" in answer.fault.hint


def cut_off(at: Scene):
    return asyncio.run(run(plan(AT_SHOP), ASKED, at.world, at.seen.append)).entries[-1]


def test_what_a_cut_answer_cost_is_asked_until_it_is_known() -> None:
    at = scene(
        Script(sse("Hel", end=None)),
        Script([b"{}"], 404),
        Script([json.dumps({"data": {"total_cost": 0.0021}}).encode()]),
    )
    entry = cut_off(at)
    assert unsettled(entry, AT_SHOP.provider)
    settled = asyncio.run(settle(entry, AT_SHOP.provider, at.world))
    assert settled is not None
    assert (settled.cost.pico, settled.cost.source) == (2_100_000_000, "reconciled")
    assert at.book.settled[0].attempt_id == entry.attempt_id
    assert at.transport.calls[-1].url == "https://shop.example/v1/generation?id=gen-1"
    assert at.transport.calls[-1].headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("script", [Script([b"{}"], 404), Script(before=BROKEN), Script([b"no"])])
def test_what_nobody_knows_stays_an_estimate(script: Script) -> None:
    at = scene(Script(sse("Hel", end=None)), script)
    entry = cut_off(at)
    assert asyncio.run(settle_quietly(entry, AT_SHOP.provider, at.world)) is None
    assert at.book.settled == []


def test_a_reported_cost_needs_no_settling() -> None:
    at = scene(Script(sse("Hello")))
    assert not unsettled(cut_off(at), AT_SHOP.provider)


# Schemas


def number(text: str) -> list[str]:
    """A validator: a JSON number and nothing else."""
    try:
        return [] if isinstance(json.loads(text), int) else ["at /: not a number"]
    except ValueError:
        return ["not JSON"]


def checked(at: Scene, **more):
    work = run_checked(plan(AT_SHOP, **more), ASKED, at.world, at.seen.append, Check(number))
    return asyncio.run(work)


def test_a_wrong_answer_is_sent_back_once_with_what_is_wrong() -> None:
    at = scene(Script(sse('"one"')), Script(sse("```json\n1\n```")))
    answer = checked(at)
    assert answer.fault is None
    assert json_in(answer.fold.text) == "1"
    assert len(answer.entries) == len(at.book.entries) == 2
    sent = json.loads(at.transport.calls[1].body)["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "user"]
    assert "not a number" in sent[-1]["content"]
    assert [e.attempt for e in answer.entries] == [1, 2]


def test_an_answer_that_stays_wrong_is_a_schema_fault() -> None:
    at = scene(Script(sse("never")))
    answer = checked(at)
    assert (answer.fault.kind, answer.fault.exit_code) == (FaultKind.SCHEMA, 8)
    assert len(at.transport.calls) == 2


def test_a_truncated_answer_is_not_mended() -> None:
    at = scene(Script(sse("[1, 2", end="length")))
    assert checked(at).fault.kind is FaultKind.TRUNCATED
    assert len(at.transport.calls) == 1


def test_asking_for_a_cost_where_there_is_no_question_is_no_error() -> None:
    at = scene(Script(sse("Hello")))
    entry = cut_off(at)
    plainly = replace(AT_SHOP.provider, settlement=None)
    assert asyncio.run(settle(entry, plainly, at.world)) is None
    at.book.broken = True
    at.transport.scripts = [Script([json.dumps({"data": {"total_cost": 1}}).encode()])]
    with pytest.raises(NemoError):
        asyncio.run(settle(entry, AT_SHOP.provider, at.world))
