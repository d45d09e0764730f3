"""What the weights commands share: the endpoint, the token, the target, and the manners."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.context import Setup
from nemocli.cli.request_options import retry_base_s
from nemocli.core.faults import Fault, FaultKind, NemoError, config_error, usage_error
from nemocli.core.provider import Timeouts, loopback
from nemocli.core.value_class import value_class
from nemocli.io.paths import user_home
from nemocli.io.weights.store import CacheStore, FolderStore
from nemocli.version import USER_AGENT, __version__
from nemocli.weights.hub import Hub, Source
from nemocli.weights.hub_layout import HUB, cache_root, endpoint_of, is_true
from nemocli.weights.pull.options import PullTerms
from nemocli.weights.pull.pace import BytePace, parse_rate, parse_window
from nemocli.weights.pull.retry import Patience

if TYPE_CHECKING:
    from nemocli.core.plan import Catalogue
    from nemocli.io.http.download_client import Sockets
    from nemocli.weights.ports import Bulk
    from nemocli.weights.repository import Listing

STALL_S = 20.0
DEFAULT_MOST_WORKERS = 8
HELPERS = 12
"""Further streams for small files, unless the number of streams was given."""


@value_class(frozen=True, slots=True)
class Manners:
    """The options of pull and repair, as typed."""

    max_workers: int | None = None
    limit_rate: str | None = None
    window: str | None = None
    mirror: tuple[str, ...] = ()
    reserve: bool = True
    recheck: bool = False
    engine: str = "http"


class Desk:
    """One command's view of the environment."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.home = str(user_home(setup.env))
        self.clock = setup.clock

    @property
    def catalogue(self) -> Catalogue:
        """Model cards, for aliases."""
        return self.setup.catalogue

    @cached_property
    def endpoint(self) -> str:
        """Where repositories are listed. Raises a config fault for what is no address."""
        endpoint = endpoint_of(self.setup.env)
        if not endpoint.startswith(("http://", "https://")):
            raise config_error(f"HF_ENDPOINT is no address: {endpoint!r}", f"such as {HUB}")
        return endpoint

    @cached_property
    def token(self) -> str | None:
        """For the endpoint alone."""
        from nemocli.io.weights.hub_token import hub_token

        return hub_token(self.setup.env, self.home)

    @property
    def cache(self) -> Path:
        """The shared cache's folder."""
        return Path(cache_root(self.setup.env, self.home))

    @property
    def offline(self) -> bool:
        """Whether nobody may be asked: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE (huggingface_hub
        2.4.0, `constants`), or --offline and an endpoint elsewhere."""
        away = self.setup.offline and not loopback(self.endpoint)
        names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        return away or any(is_true(self.setup.env.get(name)) for name in names)

    def store(self, repo: str, local_dir: str | None) -> CacheStore | FolderStore:
        """Where a repository goes."""
        if local_dir is None:
            return CacheStore(self.cache, repo)
        return FolderStore(Path(local_dir).expanduser().absolute())

    @property
    def stall_s(self) -> float:
        """HF_HUB_DOWNLOAD_TIMEOUT, which means the same there."""
        raw = self.setup.env.get("HF_HUB_DOWNLOAD_TIMEOUT")
        try:
            value = float(raw) if raw else STALL_S
        except ValueError:
            value = 0.0
        if not 0 < value < 86_400:
            raise config_error(f"HF_HUB_DOWNLOAD_TIMEOUT is no number of seconds: {raw!r}")
        return value

    @property
    def patience(self) -> Patience:
        """NEMOCLI_RETRY_BASE_S shortens the waits, for tests and the impatient."""
        patience = Patience()
        return replace(patience, base_s=retry_base_s(self.setup, patience.base_s))

    def terms(self, given: Manners) -> PullTerms:
        """The options, read. Raises a usage fault."""
        workers = given.max_workers or min(DEFAULT_MOST_WORKERS, 2 * (os.cpu_count() or 1))
        return PullTerms(
            workers,
            0 if given.max_workers else HELPERS,
            self.patience,
            BytePace(parse_rate(given.limit_rate) if given.limit_rate else None),
            parse_window(given.window) if given.window else None,
            self.stall_s,
            given.reserve,
            given.recheck,
            f"nemocli {__version__}",
        )

    def sources(self, mirrors: tuple[str, ...]) -> tuple[Source, ...]:
        """Where bodies come from: mirrors, without the token, then the endpoint itself."""
        for mirror in mirrors:
            if not mirror.startswith(("http://", "https://")):
                raise usage_error(f"--mirror {mirror!r} is no address", "write https://HOST")
        plain = (Source(mirror.rstrip("/")) for mirror in mirrors)
        return (*plain, Source(self.endpoint, self.token))

    def connect(self) -> Sockets:
        """A worker's connections."""
        from nemocli.io.http.download_client import Sockets

        debug = self.setup.err.debug if self.setup.globals.debug else None
        return Sockets(USER_AGENT, self.stall_s + 2.0, self.setup.offline, debug)

    def bulk(self, engine: str, listing: Listing) -> Bulk | None:
        """The other engine, where it was asked for. Raises NemoError when it is not installed."""
        if engine == "http":
            return None
        if engine != "xet":
            raise usage_error(f"--engine is http or xet, not {engine!r}")
        from nemocli.io.weights.xet import Xet, check_xet

        check_xet()
        access = f"{self.endpoint}/api/models/{listing.repo}/xet-read-token/{listing.commit}"
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return None if self.offline else Xet(access, headers, USER_AGENT)

    @asynccontextmanager
    async def hub(self) -> AsyncIterator[Hub]:
        """The API."""
        from nemocli.io.http.direct import DirectTransport

        if self.offline:
            raise NemoError(
                Fault(
                    FaultKind.OFFLINE,
                    f"offline: {self.endpoint} is not asked",
                    "leave out --offline and HF_HUB_OFFLINE, or name a commit that is here",
                    sent=False,
                )
            )
        debug = self.setup.err.debug if self.setup.globals.debug else None
        stall = self.stall_s + 2.0
        timeouts = Timeouts(connect_s=15.0, first_byte_s=stall + 20, idle_s=stall, total_s=600.0)
        async with DirectTransport(USER_AGENT, self.setup.offline, debug) as transport:
            yield Hub(
                transport,
                self.clock,
                endpoint=self.endpoint,
                token=self.token,
                patience=self.patience,
                timeouts=timeouts,
            )

    async def listing(self, repo: str, revision: str, store: CacheStore | FolderStore) -> Listing:
        """The revision, from the Hub; offline from what an earlier pull wrote down."""
        if not self.offline:
            async with self.hub() as hub:
                return await hub.listing(repo, revision)
        from nemocli.io.weights.find import recall_listing

        found = recall_listing(store, repo, self.endpoint, revision)
        if found is None:
            raise NemoError(
                Fault(
                    FaultKind.OFFLINE,
                    f"{repo} at {revision} is not in {store.folder}, and this run is offline",
                    "run it once without --offline and HF_HUB_OFFLINE",
                    sent=False,
                )
            )
        return found
