"""Servers that must be started before they can be asked: one per provider and model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from nemocli.core.plan import Target
from nemocli.core.ports import Endpoint
from nemocli.core.provider import Provider
from nemocli.core.values import JsonObject
from nemocli.io.paths import Paths
from nemocli.io.servers.command import CommandRuntime
from nemocli.io.servers.fetch import Fetcher, PullFile, Teller
from nemocli.io.servers.llama import LlamaServer, check_engine, check_model, start
from nemocli.io.servers.pinned import PinnedShelf, pin_from

DEFAULT_CONTEXT = 8192


class LocalServers:
    """Fills `core.ports.Servers`. What it started ends with `aclose`; what another program runs
    stays. `model_path` puts any GGUF file in the place of the pinned weights."""

    def __init__(
        self,
        paths: Paths,
        pull: PullFile,
        env: Mapping[str, str],
        teller: Teller,
        *,
        offline: bool = False,
        model_path: str | None = None,
        key_names: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._env = env
        self._key_names = key_names
        self._teller = teller
        self._model_path = Path(model_path).expanduser() if model_path else None
        self._fetcher = Fetcher(PinnedShelf(weights_folder(paths)), pull, env, teller, offline)
        self._running: dict[tuple[str, str], LlamaServer] = {}
        self._found: dict[tuple[str, str], Endpoint] = {}
        self._lock = asyncio.Lock()

    async def endpoint(self, target: Target) -> Endpoint:
        """Where the target's server listens. Raises NemoError naming what is missing."""
        which = (target.provider.name, target.model)
        async with self._lock:
            if which not in self._found:
                self._found[which] = await self._started(which, target)
            return self._found[which]

    async def _started(self, which: tuple[str, str], target: Target) -> Endpoint:
        provider = target.provider
        assert provider.runtime is not None
        if provider.runtime.kind == "command":
            return await self._program(provider).endpoint(target)
        check_engine(provider.name, provider.start_hint)
        settings = provider.runtime.settings
        if (own := self._model_path or own_model(settings)) is not None:
            check_model(own)
            file, name = own, own.stem
        else:
            file = await self._fetcher.get(pin_from(provider.name, settings.get("weights")))
            name = target.model or target.name
        given = settings.get("context")
        context = given if isinstance(given, int) else target.context or DEFAULT_CONTEXT
        names = self._key_names()
        server = await asyncio.to_thread(start, file, name, context, self._env, names)
        self._running[which] = server
        return server.endpoint

    def _program(self, provider: Provider) -> CommandRuntime:
        return CommandRuntime(provider, self._env, self._teller, self._key_names())

    async def aclose(self) -> None:
        """End what was started here."""
        while self._running:
            _, server = self._running.popitem()
            await asyncio.to_thread(server.close)
        self._found.clear()


def weights_folder(paths: Paths) -> Path:
    """Where pinned weights are kept."""
    return paths.cache / "weights"


def own_model(settings: JsonObject) -> Path | None:
    """The GGUF file that a profile names in the place of pinned weights."""
    given = settings.get("model_path")
    return Path(str(given)).expanduser() if given else None


def weights_status(provider: Provider, paths: Paths) -> tuple[Path | None, int]:
    """Where the weights of an engine of ours are, verified, None when they are not here; and their
    size in bytes. Raises NemoError where the profile names none."""
    assert provider.runtime is not None
    settings = provider.runtime.settings
    if (own := own_model(settings)) is not None:
        check_model(own)
        return own, own.stat().st_size
    pin = pin_from(provider.name, settings.get("weights"))
    return PinnedShelf(weights_folder(paths)).present(pin), pin.size
