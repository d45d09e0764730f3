"""Servers that must be started before they can be asked: one per provider and model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from nemocli.core.plan import Target
from nemocli.core.ports import Endpoint, Transport
from nemocli.core.provider import Provider
from nemocli.core.values import JsonObject
from nemocli.io.command_runtime import CommandRuntime
from nemocli.io.fetching import Fetcher, Teller
from nemocli.io.llama import LlamaServer, check_engine, check_model, start
from nemocli.io.paths import Paths
from nemocli.io.pinned import Pin, Shelf, pin_from

DEFAULT_CONTEXT = 8192


class LocalServers:
    """Fills `core.ports.Servers`. What it started ends with `aclose`; what another program runs
    stays. `model_path` puts any GGUF file in the place of the pinned weights."""

    def __init__(
        self,
        paths: Paths,
        transport: Transport,
        env: Mapping[str, str],
        teller: Teller,
        *,
        offline: bool = False,
        model_path: str | None = None,
    ) -> None:
        self._env = env
        self._teller = teller
        self._model_path = Path(model_path).expanduser() if model_path else None
        self._fetcher = Fetcher(Shelf(weights_folder(paths)), transport, env, teller, offline)
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
            return await CommandRuntime(provider, self._env, self._teller).endpoint(target)
        check_engine(provider.name, provider.start_hint)
        settings = provider.runtime.settings
        file = await self._model(settings)
        context = int(str(settings.get("context", target.context or DEFAULT_CONTEXT)))
        name = target.model or target.name
        server = await asyncio.to_thread(start, file, name, context)
        self._running[which] = server
        return server.endpoint

    async def _model(self, settings: JsonObject) -> Path:
        if self._model_path:
            check_model(self._model_path)
            return self._model_path
        return await self._fetcher.get(_pin(settings))

    async def aclose(self) -> None:
        """End what was started here."""
        while self._running:
            _, server = self._running.popitem()
            await asyncio.to_thread(server.close)
        self._found.clear()


def weights_folder(paths: Paths) -> Path:
    """Where pinned weights are kept."""
    return paths.cache / "weights"


def _pin(settings: JsonObject) -> Pin:
    weights = settings["weights"]
    assert isinstance(weights, Mapping)
    return pin_from(weights)


def weights_status(provider: Provider, paths: Paths) -> tuple[Path | None, int]:
    """Where the weights of an engine of ours are, verified, None when they are not here; and their
    size in bytes."""
    assert provider.runtime is not None
    pin = _pin(provider.runtime.settings)
    return Shelf(weights_folder(paths)).present(pin), pin.size
