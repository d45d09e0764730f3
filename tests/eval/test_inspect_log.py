"""Logs of Inspect: written so that Inspect reads them, read so that nothing is made up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nemocli.eval.inspect_log import LogError, Sample, attempts_in, log_of
from nemocli.eval.judge import Measures

EVENTS: list[dict[str, Any]] = [
    {"type": "begin"},
    {"type": "user", "text": "hi"},
    {"type": "model", "text": "", "calls": [["c1", "look", '{"q": 1}'], ["c2", "look", "broken"]]},
    {"type": "tool", "id": "c1", "name": "look", "result": "42"},
    {"type": "model", "text": "It is 42.", "calls": []},
]
GOOD = Measures("success", model_turns=2, tool_calls=2, completed_at=2, input_tokens=10,
                output_tokens=5, wall_s=3.0, waiting_s=1.0, user_turns=1)  # fmt: skip
BAD = Measures("fail.model", "wrong: stock", model_turns=2)
LOST = Measures("infra", "502")
ARM = {"name": "new", "provider": "nvidia", "model": "nvidia/ultra"}
MANIFEST = {"suite": "starter", "began_at": "2026-11-28T10:00:00+00:00", "version": "0.1.0"}


def written() -> dict[str, Any]:
    samples = [
        Sample("a", 1, EVENTS, GOOD),
        Sample("a", 2, EVENTS, BAD),
        Sample("b", 1, EVENTS[:2], LOST),
    ]
    found: dict[str, Any] = json.loads(json.dumps(log_of("run1", ARM, MANIFEST, samples)))
    return found


def test_a_log_says_what_was_judged() -> None:
    log = written()
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5
    good, bad, lost = log["samples"]
    assert (good["scores"]["completed"]["value"], bad["scores"]["completed"]["value"]) == ("C", "I")
    assert (lost["scores"], lost["error"]["message"]) == ({}, "502")
    calls = good["messages"][1]["tool_calls"]
    assert calls[0]["arguments"] == {"q": 1}
    assert "parse_error" in calls[1]
    assert good["working_time"] == 2.0


def test_what_was_written_is_read_again() -> None:
    found = {(task, epoch): measures for task, epoch, measures in attempts_in(written())}
    good = found["a", 1]
    assert (good.cls, good.model_turns, good.tool_calls) == ("success", 2, 2)
    assert (good.input_tokens, good.output_tokens, good.wall_s, good.waiting_s) == (10, 5, 3.0, 1.0)
    assert good.cost_pico is None
    assert found["a", 2].cls == "fail.model"
    assert found["b", 1].cls == "infra"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 1}, "version 2"),
        ({"samples": []}, "no samples"),
        ({"samples": [1]}, "samples[0]"),
        ({"samples": [{"id": "a", "epoch": 1}]}, "samples[0]: it has no score"),
    ],
)
def test_a_log_that_is_none_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(LogError, match=re.escape(said)):
        list(attempts_in({**written(), **change}))
    with pytest.raises(LogError):
        list(attempts_in([]))


@pytest.mark.slow
def test_inspect_reads_it(tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log")
    file = tmp_path / "run1.json"
    file.write_text(json.dumps(written()))
    read = log.read_eval_log(str(file))
    assert (read.status, len(read.samples)) == ("success", 3)
    assert read.samples[0].scores["completed"].value == "C"
    assert read.samples[0].messages[1].tool_calls[0].arguments == {"q": 1}
