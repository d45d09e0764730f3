"""From what was typed to a gateway that listens, and to a command behind it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nemocli.cli.choice import chosen
from nemocli.cli.event_loop import run_async
from nemocli.cli.request_options import retry_base_s
from nemocli.core.budget import RunBudget
from nemocli.core.faults import usage_error
from nemocli.core.money import pico_from_usd, usd_short
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Policy
from nemocli.engine.waiting import stopped
from nemocli.io.clock import SystemClock
from nemocli.io.programs import find_program, without_keys
from nemocli.io.serve.gateway import Gateway, Paths
from nemocli.io.serve.server import bound, listening
from nemocli.serve.guard import LOOPBACK, Guard

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The command line of `serve` and `launch`."""

    host: str = "127.0.0.1"
    port: int = 0
    open_: bool = False
    hosts: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    model: str | None = None
    maps: tuple[str, ...] = ()
    max_cost: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that listens."""

    gateway: Gateway
    base_url: str
    token: str | None


def serve(setup: Setup, wish: ServeOptions, *, as_json: bool) -> None:
    """Until it is told to stop."""
    run_async(lambda: _serve(setup, wish, as_json=as_json))


async def _serve(setup: Setup, wish: ServeOptions, *, as_json: bool) -> None:
    async with serving(setup, wish) as found:
        if as_json:
            setup.out.jsonl(
                {
                    "schema": "nemocli.serve/1",
                    "base_url": found.base_url,
                    "token": found.token,
                    "pid": os.getpid(),
                }
            )
        setup.err.dim(_announced(found))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped()


def _announced(found: Serving) -> str:
    how = f"export OPENAI_BASE_URL={found.base_url}"
    return how + (f" OPENAI_API_KEY={found.token}" if found.token else "")


@asynccontextmanager
async def serving(setup: Setup, wish: ServeOptions) -> AsyncIterator[Serving]:
    """A gateway for the length of a block; what is under way at its end may finish. Raises
    NemoError."""
    from nemocli.cli.world import world_of

    token = _token(setup, wish)
    routes = Routes(setup, wish)
    sock = bound(wish.host, wish.port)
    with sock:
        port = int(sock.getsockname()[1])
        local = wish.host in LOOPBACK
        guard = Guard(token, port, frozenset(h.lower() for h in wish.hosts), addresses=not local)
        async with world_of(setup) as world:
            paths = Paths(routes.plan_of, routes.models())
            gateway = Gateway(world, guard, paths, routes.budget)
            shown = f"[{wish.host}]" if ":" in wish.host else wish.host
            async with listening(gateway, sock):
                yield Serving(gateway, f"http://{shown}:{port}/v1", token)


def _token(setup: Setup, wish: ServeOptions) -> str | None:
    """The token clients must show: given in NEMOCLI_SERVE_TOKEN, or made for this start."""
    if not wish.open_:
        return setup.env.get("NEMOCLI_SERVE_TOKEN") or secrets.token_urlsafe(24)
    if wish.host not in LOOPBACK:
        raise usage_error(
            f"--no-token at {wish.host} would let everybody spend your money",
            "leave out --no-token, or --host",
        )
    return None


class Routes:
    """Which paths a model's name takes. Each name is looked up once."""

    def __init__(self, setup: Setup, wish: ServeOptions) -> None:
        self._setup = setup
        self._providers = list(wish.providers)
        setup.flags(provider=self._providers or None, model=wish.model, max_cost_usd=wish.max_cost)
        self._default = chosen(setup, self._providers, setup.settings.text("model"))
        if self._default.notice:
            setup.err.warn(self._default.notice)
        self._maps = dict(_mapping(text) for text in wish.maps)
        self._known: dict[str, tuple[Plan, str | None]] = {}
        cap = setup.settings.amount("max_cost_usd")
        self.budget = None if cap is None else RunBudget(pico_from_usd(cap))
        fallback = setup.settings.flag("fallback") or len(wish.providers) > 1
        self._plan = Plan(
            self._default.targets,
            Policy(tries=2, budget=2, fallback=fallback, base_s=retry_base_s(setup)),
            run_id=SystemClock().new_id(),
            command="serve",
            tags=wish.tags,
            project=setup.project,
        )

    def models(self) -> tuple[str, ...]:
        """The names on offer: the default one first."""
        first = self._default.targets[0].name
        return tuple(dict.fromkeys([first, *self._maps, *self._setup.catalogue.cards]))

    def plan_of(self, model: str) -> tuple[Plan, str | None]:
        """Targets for a name; one that nobody knows goes to the default, and that is said. Raises
        NemoError where a known model has no path."""
        if model not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[model] = self._found(model)
        return self._known[model]

    def _found(self, typed: str) -> tuple[Plan, str | None]:
        model = self._maps.get(typed, typed)
        catalogue = self._setup.catalogue
        provider, colon, rest = model.partition(":")
        if colon and provider in catalogue.providers:
            return self._of((catalogue.target(catalogue.provider(provider), rest),)), None
        own = {name for t in self._default.targets for name in (t.model, t.name)}
        if not model or model in own:
            return self._of(self._default.targets), None
        if catalogue.card(model) is not None:
            return self._of(chosen(self._setup, self._providers, model).targets), None
        first: Target = self._default.targets[0]
        return self._of(self._default.targets), f"{first.provider.name}:{first.name}"

    def _of(self, targets: tuple[Target, ...]) -> Plan:
        return replace(self._plan, targets=targets if self._plan.policy.fallback else targets[:1])


def _mapping(text: str) -> tuple[str, str]:
    name, _, target = text.partition("=")
    if not name or not target:
        raise usage_error(f"--map {text!r} is no pair", "`--map gpt-5=openrouter:nemotron-3-ultra`")
    return name, target


def launch(setup: Setup, wish: ServeOptions, command: Sequence[str]) -> int:
    """A command behind a gateway of its own; its exit code."""
    program = find_program(command[0], setup.env)
    if program is None:
        raise usage_error(f"`{command[0]}` is not installed", "is it in PATH?")
    return run_async(lambda: _launch(setup, wish, [program, *command[1:]]))


async def _launch(setup: Setup, wish: ServeOptions, argv: list[str]) -> int:
    async with serving(setup, wish) as found:
        env = _environment(setup.env, setup.key_names(), found)
        process = await asyncio.create_subprocess_exec(*argv, env=env)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            stopped()
            code = await _ended(process)
    setup.err.dim(_receipt(found))
    return code if code >= 0 else 128 - code


async def _ended(process: asyncio.subprocess.Process) -> int:
    """The terminal's Ctrl-C has reached it as well: it has a while to end by itself."""
    try:
        async with asyncio.timeout(10):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


def _environment(env: Mapping[str, str], keys: Collection[str], found: Serving) -> dict[str, str]:
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


def _receipt(found: Serving) -> str:
    """Calls and money of one launch."""
    count = found.gateway.count
    said = [f"{n} {what}" for what, n in sorted(count.items())]
    spent = found.gateway.spent_pico
    money = "cost unknown" if spent is None else usd_short(spent)
    return f"gateway: {', '.join(said) or 'no calls'}; {money}"
