"""Attempts as a log of Inspect (version 2 of its JSON), and such a log as attempts.

One log holds one arm; `inspect view` shows it. Attempts that were never scored (infra, harness) are
samples with an error and no score, as Inspect itself keeps them. The other way, a log is an arm of
another day: what it does not say (retries, probes, cost) stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nemocli.core.value_class import value_class
from nemocli.eval.grade import SCORED
from nemocli.eval.judge import Event, Measures

VERSION = 2
SCORER = "completed"
CORRECT = ("C", "correct", True, 1, 1.0)
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "tool": "tool"}


class LogError(ValueError):
    """What is wrong with a log."""


@value_class(frozen=True, slots=True)
class Sample:
    """One attempt as it goes into a log."""

    task: str
    epoch: int
    events: Sequence[Event]
    measures: Measures


def log_of(
    run: str, arm: Mapping[str, Any], manifest: Mapping[str, Any], samples: Sequence[Sample]
) -> dict[str, Any]:
    """A log of one arm."""
    model = f"{arm.get('provider') or 'unknown'}/{arm.get('model') or 'unknown'}"
    began = str(manifest.get("began_at") or "1970-01-01T00:00:00+00:00")
    tasks = list(dict.fromkeys(s.task for s in samples))
    scored = [s for s in samples if s.measures.cls in SCORED]
    good = sum(s.measures.cls == "success" for s in scored)
    usage = _usage([s.measures for s in samples])
    return {
        "version": VERSION,
        "status": "success",
        "eval": {
            "eval_id": f"{run}-{arm['name']}",
            "run_id": run,
            "created": began,
            "task": str(manifest.get("suite") or "suite"),
            "task_id": f"{run}-{arm['name']}",
            "task_version": 0,
            "task_attribs": {},
            "task_args": {},
            "dataset": {
                "name": str(manifest.get("suite") or "suite"),
                "samples": len(tasks),
                "sample_ids": tasks,
                "shuffled": False,
            },
            "model": model,
            "model_args": {},
            "config": {"epochs": max((s.epoch for s in samples), default=1)},
            "packages": {"nemocli": str(manifest.get("version") or "")},
            "metadata": {"arm": arm["name"], "suite_digest": manifest.get("suite_digest")},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(scored),
            "scores": [
                {
                    "name": SCORER,
                    "scorer": SCORER,
                    "params": {},
                    "metrics": {
                        "accuracy": {
                            "name": "accuracy",
                            "value": good / len(scored) if scored else 0.0,
                            "params": {},
                        }
                    },
                }
            ],
        },
        "stats": {"started_at": began, "completed_at": began, "model_usage": {model: usage}},
        "samples": [_sample(s, model) for s in samples],
    }


def _sample(sample: Sample, model: str) -> dict[str, Any]:
    measures = sample.measures
    messages = list(_messages(sample.events, model))
    last = next((m for m in reversed(messages) if m["role"] == "assistant"), None)
    first = next((m["content"] for m in messages if m["role"] == "user"), "")
    said: dict[str, Any] = {
        "id": sample.task,
        "epoch": sample.epoch,
        "input": first,
        "target": "",
        "messages": messages,
        "output": {
            "model": model,
            "choices": [{"message": last, "stop_reason": "stop"}] if last is not None else [],
            "completion": last["content"] if last is not None else "",
        },
        "scores": {},
        "metadata": {
            "class": measures.cls,
            "why": measures.why,
            "model_turns": measures.model_turns,
            "retries": dict(measures.retries),
            "cost_pico": measures.cost_pico,
        },
        "store": {},
        "events": [],
        "model_usage": {model: _usage([measures])},
        "total_time": measures.wall_s,
        "working_time": max(0.0, measures.wall_s - measures.waiting_s),
    }
    if measures.cls in SCORED:
        value = "C" if measures.cls == "success" else "I"
        said["scores"] = {SCORER: {"value": value, "explanation": measures.why or measures.cls}}
    else:
        why = measures.why or measures.cls
        said["error"] = {"message": why, "traceback": "", "traceback_ansi": ""}
    return said


def _usage(measures: Sequence[Measures]) -> dict[str, int]:
    total_in = sum(m.input_tokens for m in measures)
    total_out = sum(m.output_tokens for m in measures)
    return {
        "input_tokens": total_in,
        "output_tokens": total_out,
        "total_tokens": total_in + total_out,
        "input_tokens_cache_read": sum(m.cached_tokens for m in measures),
        "reasoning_tokens": sum(m.reasoning_tokens for m in measures),
    }


def _messages(events: Sequence[Event], model: str) -> Iterator[dict[str, Any]]:
    for number, event in enumerate(events):
        name = f"m{number}"
        match event.get("type"):
            case "user":
                yield {"id": name, "role": "user", "content": str(event.get("text") or "")}
            case "model":
                said: dict[str, Any] = {
                    "id": name,
                    "role": "assistant",
                    "content": str(event.get("text") or ""),
                    "source": "generate",
                    "model": model,
                }
                calls = [_call(call) for call in event.get("calls") or ()]
                yield said | ({"tool_calls": calls} if calls else {})
            case "tool":
                yield {
                    "id": name,
                    "role": "tool",
                    "content": str(event.get("result") or ""),
                    "tool_call_id": str(event.get("id") or ""),
                    "function": str(event.get("name") or ""),
                }
            case _:
                pass


def _call(call: Sequence[Any]) -> dict[str, Any]:
    import json

    call_id, name, given = (str(part or "") for part in call)
    found: dict[str, Any] = {"id": call_id, "function": name, "type": "function", "arguments": {}}
    try:
        arguments = json.loads(given or "{}")
    except ValueError as error:
        return found | {"parse_error": str(error)}
    return found | ({"arguments": arguments} if isinstance(arguments, dict) else {})


def attempts_in(log: object) -> Iterator[tuple[str, int, Measures]]:
    """The attempts of a log: task, epoch and what is known of each. Raises LogError."""
    if not isinstance(log, Mapping) or log.get("version") != VERSION:
        raise LogError(f"not a log of Inspect in version {VERSION}")
    samples = log.get("samples")
    if not isinstance(samples, Sequence) or not samples:
        raise LogError("there are no samples in it: was it written with `--no-log-samples`?")
    for place, sample in enumerate(samples):
        if not isinstance(sample, Mapping):
            raise LogError(f"samples[{place}]: not a sample")
        yield (
            str(sample.get("id")),
            int(sample.get("epoch") or 1),
            _measures(sample, f"samples[{place}]"),
        )


def _measures(sample: Mapping[str, Any], where: str) -> Measures:
    usage: dict[str, int] = {}
    for each in (sample.get("model_usage") or {}).values():
        for name, count in (each or {}).items():
            if isinstance(count, int):
                usage[name] = usage.get(name, 0) + count
    said = [m for m in sample.get("messages") or () if isinstance(m, Mapping)]
    turns = sum(m.get("role") == "assistant" for m in said)
    calls = sum(len(m.get("tool_calls") or ()) for m in said)
    cls, why = "success", ""
    if sample.get("error"):
        cls, why = "infra", str((sample["error"] or {}).get("message") or "error")
    elif sample.get("limit"):
        cls, why = "fail.limit", str((sample["limit"] or {}).get("type") or "limit")
    elif not _right(sample, where):
        cls, why = "fail.model", "its score says so"
    return Measures(
        cls,  # type: ignore[arg-type]
        why,
        user_turns=sum(m.get("role") == "user" for m in said),
        model_turns=turns,
        tool_calls=calls,
        completed_at=turns if cls == "success" else None,
        cost_pico=None,
        input_tokens=usage.get("input_tokens", 0),
        cached_tokens=usage.get("input_tokens_cache_read", 0),
        output_tokens=usage.get("output_tokens", 0),
        reasoning_tokens=usage.get("reasoning_tokens", 0),
        wall_s=float(sample.get("total_time") or 0.0),
        waiting_s=max(
            0.0, float(sample.get("total_time") or 0.0) - float(sample.get("working_time") or 0.0)
        ),
        first_try_valid=calls,
    )


def _right(sample: Mapping[str, Any], where: str) -> bool:
    """Whether every score of a sample is the best one."""
    scores = sample.get("scores") or {}
    if not isinstance(scores, Mapping) or not scores:
        raise LogError(f"{where}: it has no score, and no error either")
    values = [score.get("value") for score in scores.values() if isinstance(score, Mapping)]
    return all(any(value is best or value == best for best in CORRECT) for value in values)
