"""`eval week2`: the same suite on the path it will run on: parity, speed under load, its price."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.choice import choose_targets
from nemocli.cli.eval.decide import JudgedRun
from nemocli.cli.eval.stages import (
    GATE_EXIT,
    Stage,
    StageOptions,
    arm_of,
    profile_cell,
    run_wish,
    step_run,
    tell_gate,
)
from nemocli.cli.nim.bench import Bench, BenchOptions, swept
from nemocli.cli.nim.workload import BenchRequest, Workload, from_run
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.money import pico_from_usd, usd_text
from nemocli.eval.metrics import summary_of
from nemocli.eval.stages import ServedTasks, gate_3, gate_json, parity, serving_of
from nemocli.nim.bench import Point, knee, limits_of, most_within, point_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nemocli.cli.context import Setup
    from nemocli.eval.metrics import Results

TOKENS = 1024
"""Most output tokens of each recorded turn that is asked again."""


def week2(setup: Setup, folder: Path, options: StageOptions, *, as_json: bool) -> int:
    """Parity with days 2-3, the recorded sessions as load, what a completed task costs; gate 3."""
    before = Stage(folder, "day3").note("main")
    if before is None:
        raise usage_error(
            "week 2 compares with days 2-3, which are not done",
            f"`nemocli eval day3 {folder} --baseline PROVIDER:MODEL` first",
        )
    hour = _gpu_hour(options)
    limits = limits_of(options.slo)
    earlier = JudgedRun(Path(before))
    stage = Stage(folder, "week2")
    epochs = options.epochs or int(earlier.manifest["epochs"])
    wish = run_wish(options, (f"candidate={options.candidate}",), epochs=epochs)
    run = step_run(setup, stage, "parity", folder, wish, cells=(profile_cell(folder),))
    now, then = arm_of(run, "candidate"), earlier.results[earlier.arms[0]]
    difference = parity(then, now)
    rates = (summary_of(then).retry_rate, summary_of(now).retry_rate)
    load = _load(setup, stage, run.folder, options) if options.sweep is not None else None
    serving = None if load is None else _serving(load, limits, now, then, hour)
    slow = _too_slow(load, limits)
    gate = gate_3(difference, earlier.policy.margin, rates, slow)
    said_ = {
        "schema": "nemocli.eval_week2/1",
        "candidate": options.candidate,
        "parity": str(run.folder),
        "difference": {"point": difference.point, "low": difference.low, "high": difference.high},
        "retry_rate": {"before": rates[0], "now": rates[1]},
        "load": load,
        "serving": None if serving is None else _serving_json(serving),
        "not_measured": ["soak"] if load is not None else ["load", "soak"],
        **gate_json(gate),
    }
    stage.keep("gate", said_)
    if as_json:
        setup.out.json(said_)
        return GATE_EXIT[gate.passed]
    point = "unknown" if difference.point is None else f"{difference.point:+.0%}"
    setup.out.line(f"difference of success to days 2-3: {point}")
    if load is not None:
        _show_load(setup, load, serving)
    return tell_gate(setup, gate)


def _too_slow(load: Mapping[str, Any] | None, limits: Mapping[Any, float]) -> str | None:
    """Which limits no load keeps; None where one does, there are none, or nothing is known."""
    if load is None or not limits or load["most_within_slo"] is not None:
        return None
    said = ", ".join(f"{name} <= {most:g} ms" for name, most in limits.items())
    return f"95 % of requests keep {said} at no load"


def _gpu_hour(options: StageOptions) -> Decimal | None:
    """What all GPUs together cost an hour, in USD. Raises NemoError (usage)."""
    if options.gpu_hour is None:
        return None
    try:
        pico = pico_from_usd(Decimal(options.gpu_hour))
    except (ArithmeticError, ValueError):
        pico = None
    if pico is None or pico < 0:
        raise usage_error(f"--gpu-hour {options.gpu_hour!r} is no price", "USD: `--gpu-hour 2.50`")
    return Decimal(options.gpu_hour) * (options.gpus or 1)


def _load(setup: Setup, stage: Stage, run: Path, options: StageOptions) -> dict[str, Any]:
    """The sweep over the recorded sessions: measured once, then kept."""
    known = stage.note("load")
    asked = {"sweep": options.sweep, "slo": list(options.slo), "candidate": options.candidate}
    if isinstance(known, dict) and known.get("asked") == asked:
        return known
    provider, _, model = options.candidate.partition(":")
    target = choose_targets(setup, [provider], model or None).targets[0]
    workload = from_run(BenchRequest(model or target.name, TOKENS, None, {}), run)
    wish = BenchOptions(sweep=options.sweep or "", slo=options.slo, gpus=options.gpus)
    setup.err.dim("load:")
    found = swept(setup, wish, workload, target)
    if found.stopped is not None:
        raise NemoError(found.stopped)
    load = _load_json(found, workload, options) | {"asked": asked}
    stage.keep("load", load)
    return load


def _load_json(found: Bench, workload: Workload, options: StageOptions) -> dict[str, Any]:
    turns = sum(map(len, workload.known)) / len(workload.known)
    limits = limits_of(options.slo)
    return {
        "workload": workload.what,
        "requests_per_task": turns,
        "points": [
            {**point_json(p, options.gpus), "requests_per_s": _rate(p)} for p in found.points
        ],
        "knee": knee(found.points),
        "most_within_slo": most_within(found.points) if limits else None,
    }


def _rate(point: Point) -> float:
    """Requests that were answered, a second."""
    return (point.requests - point.errors) / point.seconds if point.seconds else 0.0


def _serving(
    load: dict[str, Any],
    limits: object,
    now: Results,
    then: Results,
    hour: Decimal | None,
) -> ServedTasks | None:
    """At the largest load within the limits; without limits at the fastest."""
    points = load["points"]
    if not points:
        return None
    best = max(points, key=lambda p: p["requests_per_s"])
    if limits:
        best = next((p for p in points if p["concurrency"] == load["most_within_slo"]), None)
    if best is None:
        return None
    mine = summary_of(now)
    success = mine.successes / mine.scored if mine.scored else 0.0
    return serving_of(
        best["concurrency"],
        best["requests_per_s"] / load["requests_per_task"],
        success,
        hour,
        summary_of(then).cpct_pico,
    )


def _serving_json(serving: ServedTasks) -> dict[str, Any]:
    usd = serving.usd_per_completed
    return {
        "concurrency": serving.at_once,
        "tasks_per_hour": round(serving.tasks_per_hour, 2),
        "completed_per_hour": round(serving.completed_per_hour, 2),
        "usd_per_completed": None if usd is None else usd_text(pico_from_usd(usd)),
        "break_even_utilisation": serving.break_even,
    }


def _show_load(setup: Setup, load: dict[str, Any], serving: ServedTasks | None) -> None:
    heads = ("AT ONCE", "REQUESTS", "FAILED", "TTFT p50", "E2E p50", "TOKENS/S", "GOOD")
    rows = [
        (
            str(p["concurrency"]),
            str(p["requests"]),
            str(p["errors"]),
            _ms(p["ttft_ms"]),
            _ms(p["e2e_ms"]),
            f"{p['output_tokens_per_s']:,.0f}",
            f"{p['good_share']:.0%}",
        )
        for p in load["points"]
    ]
    setup.out.line()
    setup.out.line(f"under load: {load['workload']}")
    setup.out.table(heads, rows)
    if serving is None:
        return
    usd = serving.usd_per_completed
    price = "" if usd is None else f", ${usd:.4f} each"
    done = f"{serving.completed_per_hour:,.0f} completed tasks an hour{price}"
    setup.out.line(f"at {serving.at_once} at once: {done}")
    if serving.break_even is not None:
        setup.out.line(
            f"busy {serving.break_even:.0%} of the time, a completed task costs what it cost hosted"
        )


def _ms(times: dict[str, float]) -> str:
    value = times.get("p50")
    return "-" if value is None else f"{value:,.0f} ms"
