"""`nim up`, `status`, `wait`, `logs` and `down`: what runs, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.event_loop import run_async
from nemocli.cli.nim.plan import NimOptions, command_line, make_plan
from nemocli.cli.terminal.tables import facts
from nemocli.core.faults import Fault, FaultKind, NemoError, usage_error
from nemocli.core.ports import Call
from nemocli.core.provider import Timeouts
from nemocli.core.value_class import value_class
from nemocli.engine.door import whole
from nemocli.io.nim.engine import Container, Engine
from nemocli.nim.metrics import ServerMetrics, metrics_of
from nemocli.nim.words import trouble_in

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.ports import World
    from nemocli.core.values import JsonObject

STALL_S = 600.0
"""Without a new line in the log and without readiness: stuck."""
POLL_S = 5.0
WATCH_S = 2.0
BETWEEN_S = 0.5
SILENT = "nothing listens"
_QUICK = Timeouts(connect_s=2, first_byte_s=5, idle_s=5, total_s=10)


def start(setup: Setup, wish: NimOptions, *, dry_run: bool, force: bool) -> None:
    """Print the command, or see to it that the container runs. Raises NemoError."""
    plan, launch = make_plan(setup, wish)
    if dry_run:
        setup.out.line(command_line(plan))
        return
    if plan.verdict in ("no", "unknown") and not force:
        raise NemoError(
            Fault(
                FaultKind.CONFIG,
                f"{plan.model} {plan.precision} is not shown to fit: {plan.why[0]}",
                "`nemocli nim plan` shows why; `--force` starts it all the same",
                sent=False,
            )
        )
    if plan.nodes > 1:
        raise usage_error(
            f"this plan needs {plan.nodes} nodes, and one command starts one",
            "`nemocli nim manifest --to operator` or `--to slurm` writes it for all of them",
        )
    for name in launch.keys:
        if not setup.env.get(name):
            raise NemoError(
                Fault(
                    FaultKind.AUTH,
                    f"the container needs {name}, and it is not set",
                    f"`export {name}=...` (https://org.ngc.nvidia.com/setup); it travels by name",
                    sent=False,
                )
            )
    Path(launch.cache).mkdir(parents=True, exist_ok=True)
    engine = Engine(wish.engine, setup.env, launch.keys)
    run_async(lambda: _start(setup, engine, plan.argv, plan.model))
    setup.err.dim("`nemocli nim wait` waits until it is ready")


async def _start(setup: Setup, engine: Engine, argv: tuple[str, ...], model: str) -> None:
    ours = [c for c in await engine.containers() if c.model == model]
    running = [c for c in ours if c.state == "running"]
    if running:
        setup.out.line(f"{running[0].name} runs already ({running[0].status})")
    elif ours:
        await engine.again(ours[0])
        setup.out.line(f"{ours[0].name} was stopped and is started again")
    else:
        setup.err.dim(f"starting {argv[-1]}: the first time it is pulled, which takes a while")
        setup.out.line(f"started {(await engine.start(argv))[:12]}")


@value_class(frozen=True, slots=True)
class State:
    """What runs and how it does. `tokens_per_s` is what it wrote between two looks."""

    containers: list[Container]
    health: str
    metrics: ServerMetrics | None
    tokens_per_s: float | None


def show_status(setup: Setup, name: str, port: int, *, watch: bool, as_json: bool) -> None:
    """Containers, readiness, and the server's own figures; with `watch` again and again."""
    run_async(lambda: _status(setup, name, port, watch=watch, as_json=as_json))


async def _status(setup: Setup, name: str, port: int, *, watch: bool, as_json: bool) -> None:
    from nemocli.cli.world import world_of

    async with world_of(setup) as world:
        before: tuple[float, float] | None = None
        while True:
            state, before = await _looked(setup, world, name, port, before)
            if as_json:
                (setup.out.jsonl if watch else setup.out.json)(_state_json(state))
            else:
                _show_state(setup, port, state)
            if not watch:
                return
            await world.clock.sleep(WATCH_S)
            if not as_json:
                setup.out.line()


async def _looked(
    setup: Setup, world: World, name: str, port: int, before: tuple[float, float] | None
) -> tuple[State, tuple[float, float] | None]:
    """The state, and when how many tokens had been written, for the next look. A first look at a
    server that works takes two, half a second apart."""
    health = await health_of(world, port)
    metrics = await _metrics(world, port) if health == "ready" else None
    if before is None and metrics is not None and metrics.running:
        before = _written(world, metrics)
        await world.clock.sleep(BETWEEN_S)
        metrics = await _metrics(world, port) or metrics
    now = None if metrics is None else _written(world, metrics)
    try:
        containers = await Engine(name, setup.env).containers()
    except NemoError as error:
        if health == SILENT:
            raise
        containers = []  # a server that no engine of ours runs is a server all the same
        setup.err.warn(error.fault.message)
    speed = None
    if before is not None and now is not None and now[0] > before[0] and now[1] >= before[1]:
        speed = (now[1] - before[1]) / (now[0] - before[0])
    return State(containers, health, metrics, speed), now


def _written(world: World, metrics: ServerMetrics) -> tuple[float, float] | None:
    if metrics.output_tokens is None:
        return None
    return world.clock.monotonic(), metrics.output_tokens


def _state_json(state: State) -> JsonObject:
    metrics = None if state.metrics is None else _metrics_json(state.metrics)
    return {
        "schema": "nemocli.nim_status/1",
        "containers": [
            {"id": c.container_id, "name": c.name, "model": c.model, "state": c.state}
            for c in state.containers
        ],
        "health": state.health,
        "metrics": None if metrics is None else {**metrics, "tokens_per_s": state.tokens_per_s},
    }


def _show_state(setup: Setup, port: int, state: State) -> None:
    cells = [(c.name, c.model, c.state, c.status, c.ports) for c in state.containers]
    if cells:
        setup.out.table(("NAME", "MODEL", "STATE", "SINCE", "PORTS"), cells)
    else:
        setup.err.dim("no container of ours is here: `nemocli nim up MODEL` starts one")
    setup.out.line(f"server at port {port}: {state.health}")
    if state.metrics is not None:
        rows = _metrics_rows(state.metrics)
        if state.tokens_per_s is not None:
            rows.append(("writing", f"{state.tokens_per_s:,.0f} tokens/s"))
        setup.out.lines(facts(rows))


def _metrics_json(m: ServerMetrics) -> JsonObject:
    return {
        "running": m.running,
        "waiting": m.waiting,
        "kv_cache": m.kv_cache,
        "prefix_hits": m.prefix_hits,
        "ttft_p50_s": m.ttft_s[0],
        "ttft_p99_s": m.ttft_s[1],
        "itl_p50_s": m.itl_s[0],
        "itl_p99_s": m.itl_s[1],
    }


def _metrics_rows(m: ServerMetrics) -> list[tuple[str, str]]:
    def ms(pair: tuple[float | None, float | None]) -> str:
        return " / ".join("-" if v is None else f"{v * 1000:,.0f} ms" for v in pair)

    return [
        ("running", "" if m.running is None else f"{m.running:.0f}"),
        ("waiting", "" if m.waiting is None else f"{m.waiting:.0f}"),
        ("KV cache", "" if m.kv_cache is None else f"{m.kv_cache:.1%} used"),
        ("prefix cache", "" if m.prefix_hits is None else f"{m.prefix_hits:.1%} of tokens"),
        ("first token", f"{ms(m.ttft_s)} (p50 / p99)"),
        ("between tokens", f"{ms(m.itl_s)} (p50 / p99)"),
    ]


async def _asked(world: World, port: int, path: str) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{port}{path}"
    async with world.transport.send(Call("GET", url, timeouts=_QUICK)) as reply:
        return reply.status, await whole(reply, 4 << 20)


async def health_of(world: World, port: int) -> str:
    """`ready`, `loading`, or `nothing listens`."""
    try:
        status, _ = await _asked(world, port, "/v1/health/ready")
        if status == 404:  # another server of the same family
            status, _ = await _asked(world, port, "/health")
    except NemoError:
        return SILENT
    return "ready" if status == 200 else "loading" if status == 503 else f"answers {status}"


async def _metrics(world: World, port: int) -> ServerMetrics | None:
    for path in ("/v1/metrics", "/metrics"):
        with suppress(NemoError):
            status, body = await _asked(world, port, path)
            if status == 200:
                return metrics_of(body.decode("utf-8", "replace"))
    return None


def wait_ready(setup: Setup, name: str, port: int, timeout_s: float | None) -> None:
    """Until the server is ready; a known trouble in the log, or a long silence, ends it."""

    async def waiting() -> None:
        from nemocli.cli.world import world_of

        engine = Engine(name, setup.env)
        async with world_of(setup) as world:
            await _until_ready(setup, world, engine, port, timeout_s)

    run_async(waiting)
    setup.out.line(f"ready at http://127.0.0.1:{port}/v1")


async def _until_ready(
    setup: Setup, world: World, engine: Engine, port: int, timeout_s: float | None
) -> None:
    began = moved = time.monotonic()
    said = ""
    while (health := await health_of(world, port)) != "ready":
        ours = await engine.containers()
        if not ours and health == SILENT:
            raise usage_error("no container of ours is here", "`nemocli nim up MODEL` starts one")
        now = (await engine.logs(ours[0], 50)) if ours else ""
        if ours and ours[0].state not in ("running", "created", "restarting"):
            raise _stuck(f"{ours[0].name} has ended ({ours[0].status})", now)
        if now != said:
            said, moved = now, time.monotonic()
            setup.err.dim(f"{health}: {now.strip().splitlines()[-1][:160] if now.strip() else ''}")
        spent = time.monotonic() - began
        if timeout_s is not None and spent > timeout_s:
            raise _stuck(f"not ready after {timeout_s:g} s", now, FaultKind.TIMEOUT)
        if time.monotonic() - moved > STALL_S:
            raise _stuck(f"nothing moved for {STALL_S:.0f} s", now, FaultKind.TIMEOUT)
        await asyncio.sleep(min(POLL_S, timeout_s or POLL_S))


def _stuck(what: str, log: str, kind: FaultKind = FaultKind.UNAVAILABLE) -> NemoError:
    known = trouble_in(log)
    message = what if known is None else f"{what}: {known.cause}"
    return NemoError(
        Fault(kind, message, known.remedy if known else "`nemocli nim logs` shows why", sent=False)
    )


def show_logs(setup: Setup, name: str, lines: int) -> None:
    """The last lines, and the remedy where a trouble is known."""
    engine = Engine(name, setup.env)

    async def look() -> str:
        ours = await engine.containers()
        if not ours:
            raise usage_error("no container of ours is here", "`nemocli nim up MODEL` starts one")
        return await engine.logs(ours[0], lines)

    text = run_async(look)
    setup.out.text(text)
    setup.out.end_line()
    known = trouble_in(text)
    if known is not None:
        setup.err.warn(f"{known.cause}: {known.remedy}")


def take_down(setup: Setup, name: str) -> None:
    """Stop and remove what has our label."""
    engine = Engine(name, setup.env)

    async def remove() -> list[Container]:
        ours = [c for c in await engine.containers() if c.model]
        for container in ours:
            await engine.remove(container)
        return ours

    gone = run_async(remove)
    for container in gone:
        setup.out.line(f"{container.name} is gone; its cache stays")
    if not gone:
        setup.err.dim("no container of ours is here")
