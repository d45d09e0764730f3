"""Attempts as results of NeMo Evaluator: `nel compare` and `nel gate` give a second opinion.

For each arm a bundle (`eval-*.json`) and beside it `results.jsonl` with a row for each scored
attempt: `problem_idx` (the same task has the same number in every arm), `repeat` from 0, `reward` 1
or 0. Attempts that were never scored (infra, harness) are no rows: there an absent row is missing
evidence, a row of 0 a failure. Shapes: NeMo Evaluator, `engine/artifacts.py` and
`engine/comparison.py` at ac66aff.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from statistics import fmean
from typing import Any

from nemocli.core.values import JsonObject
from nemocli.eval.grade import SCORED
from nemocli.eval.inspect_log import Sample


def number_tasks(samples: Sequence[Sample]) -> dict[str, int]:
    """A number for each task of all arms, in the order of their names."""
    return {task: number for number, task in enumerate(sorted({s.task for s in samples}))}


def rows_of(samples: Sequence[Sample], numbers: Mapping[str, int]) -> Iterator[JsonObject]:
    """A row for each scored attempt of an arm."""
    for sample in sorted(samples, key=lambda s: (numbers[s.task], s.epoch)):
        measures = sample.measures
        if measures.cls not in SCORED:
            continue
        yield {
            "problem_idx": numbers[sample.task],
            "repeat": sample.epoch - 1,
            "reward": 1.0 if measures.cls == "success" else 0.0,
            "model_response": _last_words(sample),
            "expected_answer": None,
            "scoring_details": {
                "class": measures.cls,
                "why": measures.why,
                "model_turns": measures.model_turns,
                "tool_calls": measures.tool_calls,
            },
            "metadata": {"task": sample.task, "category": sample.task},
        }


def bundle_of(
    run: str, arm: Mapping[str, Any], manifest: Mapping[str, Any], rows: Sequence[JsonObject]
) -> JsonObject:
    """What the rows of an arm come to."""
    by_task: dict[str, list[float]] = {}
    for row in rows:
        task = str(_of(row, "metadata")["task"])
        by_task.setdefault(task, []).append(float(str(row["reward"])))
    means = {task: fmean(rewards) for task, rewards in by_task.items()}
    mean = fmean(means.values()) if means else 0.0
    suite = str(manifest.get("suite") or "suite")
    config: JsonObject = {
        "benchmark": suite,
        "model": f"{arm.get('provider') or 'unknown'}/{arm.get('model') or 'unknown'}",
        "repeats": max((len(rewards) for rewards in by_task.values()), default=1),
    }
    digest = sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    return {
        "run_id": f"eval-{run}-{arm['name']}",
        "config_hash": f"sha256:{digest}",
        "sdk_version": f"nemocli {manifest.get('version') or ''}".strip(),
        "timestamp": str(manifest.get("began_at") or "1970-01-01T00:00:00+00:00"),
        "config": config,
        "benchmark": {
            "name": suite,
            "samples": len(by_task),
            "repeats": config["repeats"],
            "scores": {"mean_reward": {"value": mean}, "pass@1": {"value": mean}},
            "categories": {
                task: {"mean_reward": means[task], "n": len(rewards)}
                for task, rewards in by_task.items()
            },
        },
        "n_results": len(rows),
    }


def _of(row: JsonObject, name: str) -> Mapping[str, Any]:
    found = row[name]
    return found if isinstance(found, dict) else {}


def _last_words(sample: Sample) -> str:
    said = (e.get("text") for e in reversed(sample.events) if e.get("type") == "model")
    return str(next((text for text in said if text), ""))
