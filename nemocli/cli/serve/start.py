"""A coding agent, or any program, behind a gateway of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from nemocli.cli.event_loop import run_async
from nemocli.cli.serve.run import ServeOptions, Serving, load_agents, serving
from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.value_class import value_class
from nemocli.engine.waiting import acknowledge_stop
from nemocli.io.programs import find_program, without_keys
from nemocli.io.serve.agents import prepare
from nemocli.serve.agents import Address, Agent, AgentError, Start, prepare_start
from nemocli.serve.tally import GatewayTally

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


def show_agents(setup: Setup, *, as_json: bool) -> None:
    """The agents that are known, and which are installed here."""
    agents = load_agents(setup)
    found = {a.name: find_program(a.program, setup.env) for a in agents.known.values()}
    if as_json:
        rows = [
            {"name": a.name, "title": a.title, "program": found[a.name], "install": a.install}
            for a in agents.known.values()
        ]
        setup.out.json({"schema": "nemocli.agents/1", "agents": rows})
    else:
        lines = [
            (a.name, a.title, "installed" if found[a.name] else a.install)
            for a in sorted(agents.known.values(), key=lambda a: a.name)
        ]
        setup.out.table(("AGENT", "", "INSTALLED, OR HOW"), lines)
        setup.err.dim("`nemocli launch AGENT`; any other program: `nemocli launch -- COMMAND`")
    for fault in agents.broken.values():
        setup.err.warn(fault.message)


@value_class(frozen=True, slots=True)
class Ran:
    """How a program behind a gateway ended: its exit code (128 and the signal where one ended it),
    what went through, seconds, and whether its time was up."""

    code: int
    name: str
    tally: GatewayTally
    seconds: float
    late: bool = False


def launch(
    setup: Setup, wish: ServeOptions, words: Sequence[str], *, own_settings: bool = False
) -> int:
    """A command behind a gateway of its own; its exit code."""
    ran = run_behind(setup, wish, words, own_settings=own_settings)
    for line in ran.tally.receipt(ran.name):
        setup.err.dim(line)
    return ran.code


def run_behind(
    setup: Setup,
    wish: ServeOptions,
    words: Sequence[str],
    *,
    own_settings: bool = False,
    timeout_s: float | None = None,
) -> Ran:
    """A known agent or any program, behind a gateway of its own, to its end. With a `timeout_s`
    nobody can type into it. Raises NemoError."""
    agents = load_agents(setup)
    name, args = words[0], list(words[1:])
    if name in agents.broken:
        raise NemoError(agents.broken[name])
    agent = agents.known.get(name)
    program = find_program(agent.program if agent is not None else name, setup.env)
    if program is None:
        how = f"`{agent.install}`" if agent is not None else "is it in PATH? `nemocli launch` lists"
        raise usage_error(f"`{name}` is not installed", how)
    argv = [program, *args]
    return run_async(lambda: _ran(setup, wish, agent, argv, own=own_settings, timeout_s=timeout_s))


async def _ran(
    setup: Setup,
    wish: ServeOptions,
    agent: Agent | None,
    argv: list[str],
    *,
    own: bool,
    timeout_s: float | None,
) -> Ran:
    clock, late = setup.clock, False
    began = clock.monotonic()
    async with serving(setup, wish) as found:
        env = program_environment(setup.env, setup.key_names(), found)
        if agent is not None:
            start = _started(setup, agent, found, own=own)
            env |= start.env
            argv = [argv[0], *start.args, *argv[1:]]
        alone = timeout_s is not None  # then it ends with everything that it started
        nobody = asyncio.subprocess.DEVNULL if alone else None
        process = await asyncio.create_subprocess_exec(
            *argv, env=env, stdin=nobody, start_new_session=alone
        )
        try:
            async with asyncio.timeout(timeout_s):
                code = await process.wait()
        except TimeoutError:
            late, code = True, await _ended(process, alone=True)
        except asyncio.CancelledError:
            acknowledge_stop()
            code = await _ended(process, alone=alone)
    name = agent.name if agent is not None else "gateway"
    code = code if code >= 0 else 128 - code
    return Ran(code, name, found.gateway.tally, clock.monotonic() - began, late)


def _started(setup: Setup, agent: Agent, found: Serving, *, own: bool) -> Start:
    folder = setup.paths.data / "agents" / agent.name
    target = found.target
    model = found.gateway.paths.models[0]
    context = None if target is None else target.context
    output = None if target is None else target.output_limit
    address = Address(found.base_url, found.token or "none", model, context, output)
    try:
        start = prepare_start(agent, address, str(folder), own_settings=own)
    except AgentError as error:
        raise config_error(str(error), "name another model with `-m`") from error
    prepare(folder, start)
    return start


async def _ended(process: asyncio.subprocess.Process, *, alone: bool = False) -> int:
    """The terminal's Ctrl-C has reached it as well: it has a while to end by itself. One that is
    `alone` is told to, and so is all that it started."""
    if alone:
        _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(10):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        code = await process.wait()
    if alone:
        _signal(process, signal.SIGKILL)
    return code


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def program_environment(
    env: Mapping[str, str], keys: Collection[str], found: Serving
) -> dict[str, str]:
    """The user's own, without any provider's key, and with the address and the gateway's token."""
    dropped = {*keys, "ANTHROPIC_API_KEY"}  # it would go before the token
    out = without_keys(env, dropped)
    if "PYTHONPATH" in env:
        out["PYTHONPATH"] = env["PYTHONPATH"]  # its own, unlike that of programs we choose
    token = found.token or "none"
    return out | {
        "OPENAI_BASE_URL": found.base_url,
        "OPENAI_API_BASE": found.base_url,
        "OPENAI_API_KEY": token,
        "ANTHROPIC_BASE_URL": found.base_url.removesuffix("/v1"),
        "ANTHROPIC_AUTH_TOKEN": token,
    }
