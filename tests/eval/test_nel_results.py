"""Results for NeMo Evaluator: rows that pair, nothing unscored among them, its own code agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemocli.eval.inspect_log import Sample
from nemocli.eval.judge import AttemptClass, Measures
from nemocli.eval.nel_results import bundle_of, number_tasks, rows_of

MANIFEST = {"suite": "starter", "began_at": "2026-11-28T10:00:00+00:00", "version": "0.1.0"}


def sample(task: str, epoch: int, cls: AttemptClass) -> Sample:
    events = [{"type": "user", "text": "hi"}, {"type": "model", "text": f"said {epoch}"}]
    return Sample(task, epoch, events, Measures(cls, model_turns=2))


def arm(good: int, tasks: int = 12, epochs: int = 2) -> list[Sample]:
    """The first `good` attempts succeed."""
    return [
        sample(f"task-{t:02}", e, "success" if t * epochs + e <= good else "fail.model")
        for t in range(tasks)
        for e in range(1, epochs + 1)
    ]


def test_rows_pair_over_arms_and_leave_out_what_was_not_scored() -> None:
    before = [sample("b", 1, "success"), sample("a", 1, "infra"), sample("c", 1, "fail.model")]
    after = [sample("c", 1, "success"), sample("c", 2, "harness"), sample("b", 2, "fail.limit")]
    numbers = number_tasks([*before, *after])
    assert numbers == {"a": 0, "b": 1, "c": 2}
    shown = [(r["problem_idx"], r["repeat"], r["reward"]) for r in rows_of(before, numbers)]
    assert shown == [(1, 0, 1.0), (2, 0, 0.0)]
    shown = [(r["problem_idx"], r["repeat"], r["reward"]) for r in rows_of(after, numbers)]
    assert shown == [(1, 1, 0.0), (2, 0, 1.0)]


def test_the_bundle_averages_over_tasks() -> None:
    samples = [sample("a", 1, "success"), sample("a", 2, "fail.model"), sample("b", 1, "success")]
    rows = list(rows_of(samples, number_tasks(samples)))
    bundle: Any = bundle_of("r1", {"name": "new", "provider": "p", "model": "m"}, MANIFEST, rows)
    assert bundle["benchmark"]["scores"]["mean_reward"]["value"] == 0.75
    assert bundle["benchmark"]["name"] == "starter"
    assert (bundle["run_id"], bundle["n_results"]) == ("eval-r1-new", 3)
    assert bundle["config"]["model"] == "p/m"
    empty: Any = bundle_of("r1", {"name": "new"}, MANIFEST, [])
    assert empty["benchmark"]["samples"] == 0


@pytest.mark.slow
def test_its_own_code_reads_them_and_agrees(tmp_path: Path) -> None:
    comparison = pytest.importorskip("nemo_evaluator.engine.comparison")
    samples = {"base": arm(20), "new": arm(6)}
    numbers = number_tasks([s for each in samples.values() for s in each])
    for name, each in samples.items():
        folder = tmp_path / name
        folder.mkdir()
        rows = list(rows_of(each, numbers))
        (folder / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        bundle = bundle_of("r1", {"name": name}, MANIFEST, rows)
        (folder / f"eval-r1-{name}.json").write_text(json.dumps(bundle))
    report = comparison.compare_runs(
        tmp_path / "base" / "eval-r1-base.json", tmp_path / "new" / "eval-r1-new.json"
    )
    assert report["score_deltas"]["mean_reward"]["delta"] == pytest.approx((3 - 10) / 12, abs=1e-3)
    assert report["flip_report"]["summary"]["n_paired"] == 12
    assert report["verdict"] == "BLOCK"
