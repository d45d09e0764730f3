"""Worlds, grades and classes: each kind of agent lands where it belongs, from its events alone."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from nemocli.eval.judge import judge
from nemocli.eval.lint import gold_events, lint
from nemocli.eval.task import Task, TaskError, instance, task_of
from nemocli.eval.world import TaskWorld, canonical, misfit
from nemocli.io.eval.suite import load_suite
from tests.run import ROOT

STARTER = {t.task_id: t for t in load_suite(ROOT / "profiles" / "suites" / "starter").tasks}
ORDERS = instance(STARTER["orders-hold"], 1)


def calls(*made: tuple[str, str], turn: int = 1, text: str = "") -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"type": "user", "turn": turn, "text": ORDERS.turns[turn - 1].user, "nudge": False}
    ]
    for name, args in made:
        events.append({"type": "model", "text": "", "calls": [["c", name, args]], "cost_pico": 5})
        events.append({"type": "tool", "name": name, "arguments": args})
    return [*events, {"type": "model", "text": text, "calls": [], "cost_pico": 5}]


HOLD = canonical({"sku": "K-200", "qty": 1, "customer": "x"})


@pytest.mark.parametrize("task", STARTER.values(), ids=STARTER)
@pytest.mark.parametrize("epoch", [1, 2, 7])
def test_a_shipped_task_passes_its_lint_with_every_mutant_killed(task: Task, epoch: int) -> None:
    if epoch > 1 and not task.variables:
        return  # the same instance
    found = lint(task, epoch)
    assert (found.errors, found.killed) == ((), found.mutants)
    assert found.mutants >= (2 if task.role == "consider" else 0)


def test_both_arms_get_the_same_instance_and_epochs_differ() -> None:
    task = STARTER["orders-hold"]
    assert instance(task, 3) == instance(task, 3)
    assert len({instance(task, e).turns[0].user for e in range(1, 12)}) > 3


def test_a_call_that_fails_leaves_no_trace() -> None:
    world = TaskWorld(ORDERS)
    before = copy.deepcopy(world.state)
    assert world.call("reserve", HOLD).kind == "transient"
    many = canonical({"sku": "K-200", "qty": 99, "customer": "x"})
    result = world.call("reserve", many)
    assert (result.kind, "not that many" in result.value) == ("error", True)
    assert (world.state, world.version) == (before, 0)
    assert world.call("reserve", HOLD).kind == "ok"
    assert world.version == 1
    assert world.state["stock"]["K-200"]["free"] == before["stock"]["K-200"]["free"] - 1


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("nothing", "{}", "no tool"),
        ("reserve", "{", "not JSON"),
        ("reserve", "[]", "not an object"),
        ("reserve", '{"sku": "K-200"}', "'qty' is missing"),
        (
            "reserve",
            '{"sku": "K-200", "qty": "2", "customer": "x"}',
            "'qty' is not of type integer",
        ),
        ("reserve", '{"sku": "K-200", "qty": true, "customer": "x"}', "not of type"),
        ("reserve", '{"sku": "K-200", "qty": 2, "customer": "x", "y": 1}', "no argument 'y'"),
    ],
)
def test_a_broken_call_never_reaches_the_world(name: str, arguments: str, words: str) -> None:
    result = TaskWorld(ORDERS).call(name, arguments)
    assert result.kind == "invalid"
    assert words in result.value


def test_whole_numbers_may_be_written_as_fractions() -> None:
    schema = {"properties": {"n": {"type": "integer"}, "x": {"type": "number"}}}
    assert misfit({"n": 2.0, "x": 1}, schema) is None
    assert canonical({"a": 25.0, "b": [1.5]}) == canonical({"b": [1.5], "a": 25})


def classes(events: list[Any]) -> dict[str, int]:
    return dict(judge(ORDERS, events).retries)


def test_retries_are_told_apart() -> None:
    stock, bad = ("stock", '{"sku":"K-200"}'), ("stock", '{"sku": "nope"}')
    assert classes(calls(("nothing", "{}"))) == {"R1": 1}
    assert classes(calls(stock, stock)) == {"R4": 1}
    assert classes(calls(bad, bad)) == {"R3": 1}
    assert classes(calls(bad, stock)) == {"R2": 1}
    assert classes(calls(("reserve", HOLD), ("reserve", HOLD))) == {"R6": 1}
    assert classes(calls(*[("reserve", HOLD)] * 3)) == {"R6": 1, "R5": 1}
    assert classes(calls(stock, ("reserve", HOLD), ("reserve", HOLD), stock)) == {"R6": 1}, (
        "a read in a new state is no retry"
    )


def test_gold_is_a_success_and_each_way_of_failing_is_named() -> None:
    gold = gold_events(ORDERS)
    good = judge(ORDERS, gold)
    assert (good.cls, good.coherent, good.retries) == ("success", True, {"R6": 1})
    assert good.completed_at is not None
    lazy = judge(ORDERS, gold_events(ORDERS, calls=()))
    assert (lazy.cls, "missing" in lazy.why) == ("fail.model", True)
    silent = judge(ORDERS, gold_events(ORDERS, says=False))
    assert (silent.cls, silent.first_break) == ("fail.model", 2)
    leak = [
        {**e, "text": "<tool_call>{}</tool_call>"} if e["type"] == "model" else e
        for e in gold_events(ORDERS, calls=())
    ]
    assert judge(ORDERS, leak).cls == "fail.serving"
    extra = [*gold, *calls(("reserve", HOLD), turn=6)[1:]]
    assert judge(ORDERS, extra).cls == "fail.model"


def test_what_the_infrastructure_lost_is_no_fault_of_the_model() -> None:
    def failing(code: str, message: str = "x") -> str:
        fault = {"code": code, "message": message, "status": None}
        return judge(ORDERS, [{"type": "model", "text": "", "calls": [], "fault": fault}]).cls

    for code in ("rate_limited", "server_error", "timeout", "cut_stream", "network"):
        assert failing(code) == "infra"
    assert failing("truncated") == "fail.limit"
    assert failing("request_rejected", "the context length is exceeded") == "fail.limit"
    assert failing("no_answer") == "fail.serving"
    assert failing("internal") == "harness"


def test_collateral_writes_are_seen_and_ids_are_not_compared() -> None:
    events = gold_events(ORDERS)
    one = ("reserve", HOLD)
    give_back = ("release", '{"id": "R-1"}')
    other = calls(one, one, give_back, turn=1)[1:-1]
    found = judge(ORDERS, [events[0], *other, *events[1:]])
    assert found.cls == "fail.model"
    assert found.wrong or found.collateral


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "x"}, "schema: it must be"),
        ({"turns": []}, "turns: there is none"),
        ({"role": "other"}, "role: one of"),
        ({"trns": []}, "did you mean 'turns'?"),
        ({"gold": [{"turn": 9, "name": "reserve"}]}, "gold[0].turn"),
        ({"gold": [{"turn": 1, "name": "nothing"}]}, "no tool 'nothing'"),
        ({"invariants": ["__import__('os')"]}, "invariants[0]"),
        ({"tools": [{"name": "x", "kind": "read", "effects": [{"set": "a", "to": 1}]}]},
         "a read tool changes nothing"),
        ({"tools": [{"name": "x", "effects": [{"boom": 1}]}]}, "tools[0].effects[0]: exactly one"),
        ({"tools": "x"}, "tools: a list"),
        ({"budget": {"usd": "much"}}, "budget"),
        ({"state": []}, "state: names and values"),
    ],
)  # fmt: skip
def test_a_broken_task_names_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError) as caught:
        task_of({**ORDERS.raw, "state": {}, **change})
    assert words in str(caught.value)


def test_lint_finds_a_task_that_proves_nothing() -> None:
    raw = dict(copy.deepcopy(STARTER["orders-hold"].raw))
    raw["final"] = {"state": "any", "that": ["true"]}
    raw["turns"] = [{k: v for k, v in t.items() if k != "probe"} for t in raw["turns"]]
    found = lint(task_of(raw))
    assert any("does nothing passes" in e for e in found.errors)
    assert any("left out and not noticed" in e for e in found.errors)


def test_a_changed_task_has_another_digest() -> None:
    task = STARTER["orders-hold"]
    assert task_of({**task.raw, "system": "x"}).digest != task.digest
    assert replace(task, system="x").digest == task.digest
