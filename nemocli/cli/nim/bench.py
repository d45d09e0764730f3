"""`nim bench`: a server under rising load."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.choice import choose_targets
from nemocli.cli.event_loop import run_async
from nemocli.cli.nim.workload import (
    BenchRequest,
    Workload,
    from_invented,
    from_prompts,
    from_run,
    write_payloads,
)
from nemocli.cli.request_options import body_options, effort_of
from nemocli.cli.terminal.tables import table
from nemocli.core.budget import RunBudget
from nemocli.core.faults import ExitCode, Fault, FaultKind, NemoError, usage_error
from nemocli.core.money import pico_from_usd
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Policy
from nemocli.core.value_class import value_class
from nemocli.engine.call import open_door
from nemocli.engine.waiting import acknowledge_stop
from nemocli.nim.bench import (
    Limit,
    Point,
    knee,
    limits_of,
    most_within,
    point_json,
    point_of,
    sweep_of,
)
from nemocli.nim.bench_plot import bars, svg
from nemocli.nim.load import Load
from nemocli.wire.dialect import dialect_named

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.ports import World

SCHEMA = "nemocli.nim_bench/1"
LEAST = 8
"""Requests at a load, where nobody said how many."""
TIMES = 3
"""Requests for each one under way, where nobody said how many."""
BUSY = 0.7
"""Share of a core beyond which the driver may be what is measured."""


@value_class(frozen=True, slots=True)
class BenchOptions:
    """The command line."""

    providers: tuple[str, ...] = ()
    model: str | None = None
    sweep: str = "1,2,4,8"
    requests: int | None = None
    prompts: str | None = None
    run: str | None = None
    input_tokens: int = 512
    max_tokens: int = 128
    reasoning: str | None = None
    options: tuple[str, ...] = ()
    slo: tuple[str, ...] = ()
    gpus: int | None = None
    svg: str | None = None
    export: str | None = None
    max_cost: str | None = None


@dataclass(slots=True)
class Bench:
    """What was found so far."""

    points: list[Point]
    target: Target
    stopped: Fault | None = None


def bench(setup: Setup, wish: BenchOptions, *, as_json: bool) -> int:
    """Every load in turn; the exit code. Raises NemoError."""
    limits = limits_of(wish.slo)
    sweep_of(wish.sweep)
    fields, ours = body_options(wish.options)
    setup.flags(**ours, model=wish.model, reasoning=wish.reasoning, max_cost_usd=wish.max_cost)
    names = list(wish.providers) or ["nim"]
    target = choose_targets(setup, names, setup.settings.text("model")).targets[0]
    effort = effort_of(setup.settings.text("reasoning"))
    asked = BenchRequest(wish.model or target.name, wish.max_tokens, effort, fields)
    workload = _workload(wish, asked)
    if wish.export is not None:
        return _export(setup, Path(wish.export), workload, target)
    found = swept(setup, wish, workload, target)
    return _shown(setup, wish, workload, found, limits, as_json=as_json)


def swept(setup: Setup, wish: BenchOptions, workload: Workload, target: Target) -> Bench:
    """Every load in turn, as far as it came. Raises NemoError."""
    loads, limits = sweep_of(wish.sweep), limits_of(wish.slo)
    found = Bench([], target)
    run_async(lambda: _swept(setup, wish, workload, found, loads, limits), many=True)
    return found


def _workload(wish: BenchOptions, asked: BenchRequest) -> Workload:
    if wish.prompts is not None and wish.run is not None:
        raise usage_error("--prompts and --run are two workloads", "name one of them")
    if wish.prompts is not None:
        return from_prompts(asked, Path(wish.prompts))
    if wish.run is not None:
        return from_run(asked, Path(wish.run))
    return from_invented(asked, wish.input_tokens)


def _export(setup: Setup, folder: Path, workload: Workload, target: Target) -> int:
    encode = dialect_named(target.provider.dialect).encode
    bodies = [[encode(target, r, "").body for r in session] for session in workload.known]
    files = write_payloads(folder, workload, bodies)
    setup.out.line(f"{files} sessions are in {folder}")
    url = target.provider.base_url.removesuffix("/v1")
    setup.err.dim(
        f"aiperf profile --custom-dataset-type raw_payload --input-file {folder} --url {url}"
        f" --model {target.model or target.name} --endpoint-type chat --streaming"
    )
    return ExitCode.OK


async def _swept(
    setup: Setup,
    wish: BenchOptions,
    workload: Workload,
    found: Bench,
    loads: Sequence[int],
    limits: Mapping[Limit, float],
) -> None:
    from nemocli.cli.world import world_of

    cap = setup.settings.amount("max_cost_usd")
    budget = None if cap is None else RunBudget(pico_from_usd(cap))
    async with world_of(setup) as world:
        found.target = (await open_door(found.target, world)).target
        plan = Plan(
            (found.target,),
            Policy(tries=1, budget=1),
            run_id=setup.clock.new_id(),
            command="nim bench",
            project=setup.project,
        )
        load = Load(plan, world, workload.sessions, budget)
        for at_once in loads:
            requests = wish.requests or max(LEAST, TIMES * at_once)
            try:
                point = await _point(load, world, at_once, requests, limits)
            except asyncio.CancelledError:
                acknowledge_stop()
                found.stopped = Fault(FaultKind.INTERRUPTED, "interrupted")
                return
            if point.requests:
                found.points.append(point)
                setup.err.dim(_line(point))
            if load.stopped is not None:
                found.stopped = load.stopped
                return


async def _point(
    load: Load, world: World, at_once: int, requests: int, limits: Mapping[Limit, float]
) -> Point:
    used, began = time.process_time(), world.clock.monotonic()
    shots = await load.at(at_once, requests)
    wall = world.clock.monotonic() - began
    return point_of(shots, at_once, limits, (time.process_time() - used) / wall if wall else 0.0)


def _line(point: Point) -> str:
    failed = f", {point.errors} failed" if point.errors else ""
    return f"{point.at_once} at once: {point.tokens_per_s:,.0f} tokens/s{failed}"


def _shown(
    setup: Setup,
    wish: BenchOptions,
    workload: Workload,
    found: Bench,
    limits: Mapping[Limit, float],
    *,
    as_json: bool,
) -> int:
    points, target = found.points, found.target
    name = f"{target.name} at {target.provider.name}"
    if wish.svg is not None and points:
        _write(Path(wish.svg), svg(points, f"{name}: {workload.what}"))
    if as_json:
        setup.out.json(
            {
                "schema": SCHEMA,
                "provider": target.provider.name,
                "model": target.model,
                "workload": workload.what,
                "max_tokens": wish.max_tokens,
                "gpus": wish.gpus,
                "slo_ms": {str(name): most for name, most in limits.items()},
                "points": [point_json(point, wish.gpus) for point in points],
                "knee": knee(points),
                "most_within_slo": most_within(points) if limits else None,
            }
        )
    elif points:
        setup.out.lines(_told(setup, wish, found, limits, f"{name}: {workload.what}"))
    if found.stopped is not None:
        raise NemoError(found.stopped)
    return _verdict(setup, points)


def _verdict(setup: Setup, points: Sequence[Point]) -> int:
    """Where nothing was answered there is nothing to believe."""
    if any(point.errors < point.requests for point in points):
        return ExitCode.OK
    code = next((code for p in points for code in p.faults), FaultKind.NO_ANSWER.value)
    raise NemoError(
        Fault(FaultKind(code), "every request failed", "`nemocli providers test` shows why")
    )


def _told(
    setup: Setup, wish: BenchOptions, found: Bench, limits: Mapping[Limit, float], title: str
) -> Iterator[str]:
    points = found.points
    yield title
    yield ""
    heads = ["AT ONCE", "REQUESTS", "TTFT p50", "p99", "ITL p50", "E2E p50", "p99", "TOKENS/S"]
    heads += ["PER USER"] + (["PER GPU"] if wish.gpus else []) + (["GOOD"] if limits else [])
    width = setup.out.width
    yield from table(heads, [_row(p, wish.gpus, slo=bool(limits)) for p in points], width)
    yield ""
    yield from bars(points)
    yield ""
    if (at := knee(points)) is not None:
        yield f"knee: {at} at once (most tokens a second for the time a request takes)"
    if limits:
        most = most_within(points)
        kept = "at no load" if most is None else f"up to {most} at once"
        said = ", ".join(f"{n} <= {v:g} ms" for n, v in limits.items())
        yield f"95 % of requests keep {said}: {kept}"
    failed = sum((Counter(point.faults) for point in points), Counter[str]())
    if failed:
        yield f"failed: {', '.join(f'{count} {code}' for code, count in failed.most_common())}"
    if not all(point.reported for point in points):
        yield "the server reports no usage: tokens are estimated from the length of the text"
    if (busy := max(point.cpu for point in points)) > BUSY:
        yield f"this driver used {busy:.0%} of a core: it may be what was measured"


def _row(point: Point, gpus: int | None, *, slo: bool) -> list[str]:
    failed = f" ({point.errors} failed)" if point.errors else ""
    row = [str(point.at_once), f"{point.requests}{failed}"]
    ttft, itl, e2e = (point.times_ms[name] for name in ("ttft", "itl", "e2e"))
    row += [_ms(ttft, 50), _ms(ttft, 99), _ms(itl, 50), _ms(e2e, 50), _ms(e2e, 99)]
    row += [f"{point.tokens_per_s:,.1f}"]
    row += ["-" if point.per_user is None else f"{point.per_user:,.1f}"]
    if gpus:
        row.append(f"{point.tokens_per_s / gpus:,.1f}")
    if slo:
        row.append(f"{point.good_share:.0%}")
    return row


def _ms(times: Mapping[int, float], q: int) -> str:
    value = times.get(q)
    if value is None:
        return "-"
    return f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


def _write(file: Path, text: str) -> None:
    from nemocli.io.files import file_error

    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise file_error("cannot write", file, error) from error
