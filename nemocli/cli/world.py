"""The composition root: the one place that puts real parts into the ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from nemocli.cli.context import Setup
from nemocli.core.ports import Endpoint, World
from nemocli.io.http.direct import DirectTransport
from nemocli.version import USER_AGENT

if TYPE_CHECKING:
    from pathlib import Path

    from nemocli.core.plan import Target
    from nemocli.io.servers.pinned import Pin
    from nemocli.io.servers.servers import LocalServers


@asynccontextmanager
async def world_of(setup: Setup, *, fresh: bool = False) -> AsyncIterator[World]:
    """The outside for one command; whatever it opened or started is closed at the end. `fresh`:
    every call on a connection of its own."""
    debug = setup.err.debug if setup.globals.debug else None
    async with DirectTransport(USER_AGENT, setup.offline, debug, fresh=fresh) as transport:
        servers = _Servers(setup)
        try:
            yield World(transport, setup.keys, setup.clock, setup.ledger, servers)
        finally:
            await servers.aclose()
            setup.ledger.close()


class _Servers:
    """Local servers, imported when the first is needed."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._made: LocalServers | None = None

    async def endpoint(self, target: Target) -> Endpoint:
        """Start or find the server of a target."""
        return await self.make().endpoint(target)

    def make(self) -> LocalServers:
        """The real ones."""
        if self._made is None:
            from nemocli.cli.downloads import notices
            from nemocli.io.servers.servers import LocalServers

            setup = self._setup
            self._made = LocalServers(
                setup.paths,
                self._pull,
                setup.env,
                notices(setup),
                offline=setup.offline,
                model_path=setup.settings.text("embedded.model_path"),
                key_names=setup.key_names,
            )
        return self._made

    async def _pull(
        self, url: str, pin: Pin, folder: Path, progress: Callable[[int], None]
    ) -> None:
        from nemocli.cli.weights.pinned import pull_pinned

        await pull_pinned(self._setup, url, pin, folder, progress)

    async def aclose(self) -> None:
        """End what was started."""
        if self._made is not None:
            await self._made.aclose()
