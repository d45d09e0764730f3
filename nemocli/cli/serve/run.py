"""From what was typed to a gateway that listens, and to a command behind it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.choice import choose_targets
from nemocli.cli.event_loop import run_async
from nemocli.cli.request_options import retry_base_s
from nemocli.core.budget import RunBudget
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.money import pico_from_usd
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Policy
from nemocli.core.value_class import value_class
from nemocli.engine.door import check_key
from nemocli.engine.waiting import acknowledge_stop
from nemocli.io.profiles.catalogue import profiles_folder
from nemocli.io.serve.agents import Agents, agents_in
from nemocli.io.serve.gateway import Gateway, ModelPaths
from nemocli.io.serve.keys import holders_in, new_key
from nemocli.io.serve.recorder import Recorder, read_recording
from nemocli.io.serve.server import bind, listening
from nemocli.serve.guard import LOOPBACK, Guard, Holder
from nemocli.serve.recording import Script

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


@value_class(frozen=True, slots=True)
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
    loops: int = 0
    record: str | None = None
    replay: str | None = None
    keys: str | None = None
    command: str = "serve"


@value_class(frozen=True, slots=True)
class Serving:
    """A gateway that listens. `target` is where a call goes that names no other model; None where
    a recording answers."""

    gateway: Gateway
    base_url: str
    token: str | None
    target: Target | None


def make_key(setup: Setup, file: str | None, name: str) -> None:
    """A token for one more person: shown once, kept as its digest. Raises NemoError."""
    if file is None:
        raise usage_error("--new-key needs a file to keep it in", "`--keys FILE`")
    setup.out.line(new_key(Path(file).expanduser(), name))
    setup.err.dim(f"this is shown once; a budget: `nemocli cost budget set 5 --tag key:{name}`")


def serve(setup: Setup, wish: ServeOptions, *, as_json: bool) -> None:
    """Until it is told to stop."""
    if wish.keys is not None and wish.open_:
        raise usage_error("--keys and --no-token are one too many", "leave out one of them")
    run_async(lambda: _serve(setup, wish, as_json=as_json), many=True, finishes=True)


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
        except asyncio.CancelledError as stop:
            acknowledge_stop()
            if stop.args == ("SIGINT",):  # whoever typed it waits
                found.gateway.cut()


def _announced(found: Serving) -> str:
    how = f"export OPENAI_BASE_URL={found.base_url}"
    if found.gateway.guard.keys:
        return f"{how}; each of {len(found.gateway.guard.keys)} people with a key of their own"
    return how + (f" OPENAI_API_KEY={found.token}" if found.token else "")


@asynccontextmanager
async def serving(setup: Setup, wish: ServeOptions) -> AsyncIterator[Serving]:
    """A gateway for the length of a block; what is under way at its end may finish. Raises
    NemoError."""
    from nemocli.cli.world import world_of

    if wish.record is not None and wish.replay is not None:
        raise usage_error("--record and --replay are one too many", "name one of them")
    keys = _holders(wish)
    token = None if keys else _token(setup, wish)
    script = (
        None if wish.replay is None else Script(read_recording(recording_at(setup, wish.replay)))
    )
    routes = Routes(setup, wish) if script is None else None
    if routes is not None:
        routes.check_keys()
    with bind(wish.host, wish.port) as sock, closing(_recorder(setup, wish, token)) as recorder:
        port = int(sock.getsockname()[1])
        local = wish.host in LOOPBACK
        names = frozenset(h.lower() for h in wish.hosts)
        guard = Guard(token, port, names, addresses=not local, keys=keys)
        async with world_of(setup) as world:
            headers = [a.session for a in load_agents(setup).known.values() if a.session]
            gateway = Gateway(
                world,
                guard,
                _paths(routes, script),
                None if routes is None else routes.budget,
                headers,
                wish.loops,
                recorder.made,
                script,
            )
            shown = f"[{wish.host}]" if ":" in wish.host else wish.host
            target = None if routes is None else routes.target
            async with listening(gateway, sock):
                yield Serving(gateway, f"http://{shown}:{port}/v1", token, target)
    if recorder.made is not None and recorder.made.names and wish.command != "eval record":
        keep_recorded(setup, recorder.made)
    if script is not None and script.missed:
        setup.err.warn(f"the agent left the script {len(script.missed)} times")


def keep_recorded(setup: Setup, made: Recorder) -> None:
    """The exchanges of this time as conversations."""
    from nemocli.cli.serve.kept import keep_sessions

    found = [e for e in read_recording(made.folder) if e.request.get("id") in made.names]
    count = keep_sessions(setup, made.folder.name, found)
    if count:
        setup.err.dim(
            f"`nemocli sessions ls --tag recorded` lists what was recorded ({count} more)"
        )


def _holders(wish: ServeOptions) -> dict[str, Holder]:
    return {} if wish.keys is None else holders_in(Path(wish.keys).expanduser())


def _paths(routes: Routes | None, script: Script | None) -> ModelPaths:
    if routes is not None:
        return ModelPaths(routes.plan_of, routes.models())

    def nowhere(model: str) -> tuple[Plan, str | None]:
        raise usage_error(f"a recording answers here, not {model}")

    return ModelPaths(nowhere, script.models if script is not None else ())


def recording_at(setup: Setup, name: str) -> Path:
    """Where a recording is: a folder, or one of that name among the user's own."""
    path = Path(name).expanduser()
    if path.name != name or path.is_dir():
        return path
    return setup.paths.data / "recordings" / name


class _Closing:
    """A recorder, where there is one."""

    def __init__(self, made: Recorder | None) -> None:
        self.made = made

    def close(self) -> None:
        if self.made is not None:
            self.made.close()


def _recorder(setup: Setup, wish: ServeOptions, token: str | None) -> _Closing:
    if wish.record is None:
        return _Closing(None)
    folder = recording_at(setup, wish.record)
    known = (*setup.secrets(), *((token,) if token else ()))
    setup.err.dim(f"recording into {folder}")
    return _Closing(Recorder(folder, known, setup.err.warn))


def load_agents(setup: Setup) -> Agents:
    """The agents that come with the program and the user's own."""
    return agents_in((profiles_folder() / "agents", setup.paths.profiles / "agents"))


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
        self._default = choose_targets(setup, self._providers, setup.settings.text("model"))
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
            run_id=setup.clock.new_id(),
            command=wish.command,
            tags=wish.tags,
            project=setup.project,
        )

    def check_keys(self) -> None:
        """Raises NemoError (auth) where no target has its key: before anybody is let in."""
        targets = self._of(self._default.targets).targets
        faults = []
        for target in targets:
            provider = target.provider
            try:
                check_key(provider, provider.base_url, self._setup.keys.key_for(provider))
            except NemoError as error:
                faults.append(error)
        if faults and len(faults) == len(targets):
            raise faults[0]

    @property
    def target(self) -> Target:
        """Where a call goes that names no other model."""
        return self._default.targets[0]

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
            return self._of(choose_targets(self._setup, self._providers, model).targets), None
        first: Target = self._default.targets[0]
        return self._of(self._default.targets), f"{first.provider.name}:{first.name}"

    def _of(self, targets: tuple[Target, ...]) -> Plan:
        return replace(self._plan, targets=targets if self._plan.policy.fallback else targets[:1])


def _mapping(text: str) -> tuple[str, str]:
    name, _, target = text.partition("=")
    if not name or not target:
        raise usage_error(f"--map {text!r} is no pair", "`--map gpt-5=openrouter:nemotron-3-ultra`")
    return name, target
