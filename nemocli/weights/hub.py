"""The Hub's API: what a revision is, in one request and one for each thousand files.

Wire format: huggingface_hub 2.4.0 (2026-11), `hf_api`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urljoin, urlsplit

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Call, Clock, Transport
from nemocli.core.provider import Timeouts
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.weights.listing import read_info, read_tree
from nemocli.weights.ports import Hop
from nemocli.weights.pull.file_response import host_of, refusal
from nemocli.weights.pull.retry import Patience, again
from nemocli.weights.repository import NO_COMMIT, Blob, Listing, RemoteFile

MOST_PAGES = 1_000
MOST_BYTES = 64 * 1024 * 1024
"""Of one answer; a page of a thousand files takes well under one."""

_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')


@value_class(frozen=True, slots=True)
class Source:
    """Where files can be had. Only the endpoint that the listing came from is told the token;
    `exact` is the one address of a file that is in no repository."""

    base: str
    token: str | None = None
    exact: str | None = None

    def url(self, listing: Listing, blob: Blob) -> str:
        """A file's address, pinned to its commit."""
        if self.exact is not None:
            return self.exact
        path = quote(blob.path, safe="/")
        return f"{self.base}/{listing.repo}/resolve/{listing.commit}/{path}"


class Hub:
    """The API at one endpoint. `secrets` of every call is the token."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        endpoint: str,
        token: str | None,
        patience: Patience,
        timeouts: Timeouts,
    ) -> None:
        self.endpoint = endpoint
        self.token = token
        self.requests = 0
        self._transport = transport
        self._clock = clock
        self._patience = patience
        self._timeouts = timeouts

    async def listing(self, repo: str, revision: str) -> Listing:
        """A revision's commit and all its files. Raises NemoError."""
        about = Listing(repo, self.endpoint, revision, NO_COMMIT)
        url = f"{self.endpoint}/api/models/{repo}/revision/{quote(revision, safe='')}"
        data, _ = await self._get(url, about)
        info = read_info(data, repo, self.endpoint, revision)
        return replace(info, files=await self._files(info))

    async def _files(self, info: Listing) -> tuple[RemoteFile, ...]:
        url = f"{self.endpoint}/api/models/{info.repo}/tree/{info.commit}"
        url += "?recursive=true&expand=false"
        files: list[RemoteFile] = []
        for _ in range(MOST_PAGES):
            data, headers = await self._get(url, info)
            files += read_tree(data, self.endpoint)
            following = _NEXT.search(headers.get("link", ""))
            if following is None:
                return tuple(files)
            url = next_page(self.endpoint, url, following[1])
        raise NemoError(Fault(FaultKind.PROTOCOL, f"the list of {info.repo} does not end"))

    async def _get(self, url: str, about: Listing) -> tuple[Json, Mapping[str, str]]:
        failures = 0
        while True:
            try:
                return await self._once(url, about)
            except NemoError as error:
                failures += 1
                jitter = self._clock.jitter()
                wait = again(error.fault, failures, 1, self._patience, jitter)
                if wait is None or error.fault.kind is FaultKind.REFUSED:
                    raise
            await self._clock.sleep(wait.after_s)

    async def _once(self, url: str, about: Listing) -> tuple[Json, Mapping[str, str]]:
        headers = {"accept": "application/json"}
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token}"
        secrets = () if self.token is None else (self.token,)
        call = Call("GET", url, headers, timeouts=self._timeouts, secrets=secrets)
        self.requests += 1
        async with self._transport.send(call) as reply:
            body = bytearray()
            async for chunk in reply.chunks:
                body += chunk
                if len(body) > MOST_BYTES or (reply.status != 200 and len(body) > 4096):
                    break
            if reply.status != 200:
                hop = Hop(url, reply.status, reply.headers)
                now = self._clock.now()
                said = bytes(body)
                raise NemoError(
                    refusal(hop, about.repo, about, redirected=False, now=now, said=said)
                )
            promised = reply.headers.get("content-length", "")
            if promised.isdecimal() and "content-encoding" not in reply.headers:
                _check_length(url, len(body), int(promised))
            return _json(bytes(body), url, reply.headers), reply.headers


def next_page(endpoint: str, page: str, link: str) -> str:
    """The address of the next page that a page links to, at this endpoint: mirrors pass on the
    original's origin, and one at a path of its own may pass on the original's path."""
    parts, here = urlsplit(urljoin(page, link)), urlsplit(endpoint)
    path = parts.path
    if here.path and not path.startswith(f"{here.path}/"):
        path = here.path + path
    return f"{here.scheme}://{here.netloc}{path}?{parts.query}"


def _check_length(url: str, got: int, promised: int) -> None:
    if got < promised:
        message = f"{host_of(url)} ended its answer after {got} of {promised} bytes"
        raise NemoError(Fault(FaultKind.CUT, message))


def _json(body: bytes, url: str, headers: Mapping[str, str]) -> Json:
    try:
        data: Json = json.loads(body)
    except (ValueError, RecursionError) as error:
        kind = headers.get("content-type", "").split(";")[0] or "something else"
        raise NemoError(
            Fault(
                FaultKind.PROTOCOL,
                f"{host_of(url)} answered with {kind}, not JSON: a login page or a proxy?",
                "sign in to the network, or check HF_ENDPOINT",
                retry=True,
            )
        ) from error
    return data
