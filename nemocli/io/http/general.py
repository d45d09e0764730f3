"""HTTP by a general client, for what needs one: proxies, odd addresses and rare methods.

Every failure is a fault; the client is loaded when the first such call comes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nemocli.core.faults import NemoError
from nemocli.core.ports import Call, Reply
from nemocli.core.provider import loopback, origin_of
from nemocli.core.redact import Redactor
from nemocli.io.http.exchange import (
    DECODED,
    Exchange,
    coding_fault,
    config_fault,
    fault_of,
    offline_fault,
    timeout_fault,
)
from nemocli.io.http.http_log import Debug, HttpLog
from nemocli.io.http.proxy import Proxy, proxy_for
from nemocli.io.http.redirect import MOST_REDIRECTS, redirect_target
from nemocli.io.http.trust import trust_context
from nemocli.wire.headers import transforming

if TYPE_CHECKING:
    import httpx2


class GeneralTransport:
    """Fills `core.ports.Transport`; an async context manager that owns its connections.

    `offline` refuses every address that is not this machine before a socket is opened. Loopback
    addresses never go through a proxy. `debug` gets lines without secrets.
    """

    def __init__(self, user_agent: str, offline: bool = False, debug: Debug | None = None) -> None:
        self._user_agent = user_agent
        self.offline = offline
        self._debug = debug
        self._clients: dict[tuple[bool, bool, Proxy | None, str | None], httpx2.AsyncClient] = {}
        self._tls: dict[str | None, ssl.SSLContext] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        while self._clients:
            _, client = self._clients.popitem()
            await client.aclose()

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        """Make a call; the body comes as it arrives. Raises NemoError, from here and from the
        body; leaving early closes the connection at once."""
        url = self._url(call)
        exchange = Exchange(call, str(url), asyncio.get_running_loop().time)
        log = HttpLog(self._debug, call.secrets) if self._debug is not None else None
        response = await self._answer(call, url, exchange, log)
        body = _Body(response, exchange, log)
        try:
            yield Reply(response.status_code, _headers(response), body)
        finally:
            await body.aclose()

    async def _answer(
        self, call: Call, url: httpx2.URL, exchange: Exchange, log: HttpLog | None
    ) -> httpx2.Response:
        import httpx2

        method = call.method.upper()
        for _ in range(MOST_REDIRECTS):
            response = await self._ask(method, url, call, exchange, log)
            location = response.headers.get("location")
            target = redirect_target(call, str(url), response.status_code, location)
            if target is None:
                return response
            try:
                url = httpx2.URL(target)
            except httpx2.InvalidURL:
                return response
            await _closed(response)
            self._check_near(url)
        return await self._ask(method, url, call, exchange, log)

    async def _ask(
        self, method: str, url: httpx2.URL, call: Call, exchange: Exchange, log: HttpLog | None
    ) -> httpx2.Response:
        import httpx2

        client = self._client(url, call.ca)
        if log is not None:
            log.request(method, str(url), call)
        exchange.begin(url.host, url.port or (443 if url.scheme == "https" else 80))
        try:
            async with asyncio.timeout_at(exchange.deadline()) as scope:
                request = client.build_request(
                    method,
                    url,
                    # Bytes: the client would take text for ASCII only.
                    headers=[
                        (k.encode("latin-1"), v.encode("latin-1")) for k, v in call.headers.items()
                    ],
                    content=call.body or None,
                    extensions={"trace": exchange.tracing(scope)},
                )
                response = await client.send(request, stream=True)
        except TimeoutError as error:
            raise NemoError(timeout_fault(exchange)) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise NemoError(fault_of(error, exchange)) from error
        finally:
            await exchange.abandon()
        if log is not None:
            log.reply(response.status_code, _headers(response))
        return response

    def _url(self, call: Call) -> httpx2.URL:
        import httpx2

        shown = Redactor(call.secrets).url(call.url)
        try:
            url = httpx2.URL(call.url)
            origin_of(str(url))  # raises for a port that is none
        except (httpx2.InvalidURL, ValueError) as error:
            raise NemoError(config_fault(f"not a URL: {shown}")) from error
        if url.scheme not in ("http", "https") or not url.host:
            raise NemoError(config_fault(f"not an http or https URL: {shown}"))
        self._check_near(url)
        return url

    def _check_near(self, url: httpx2.URL) -> None:
        if self.offline and not loopback(str(url)):
            raise NemoError(offline_fault(origin_of(str(url))))

    def trust_context(self, ca: str | None) -> ssl.SSLContext:
        """The certificates that are trusted here, read once. Raises NemoError where they cannot be
        read."""
        if ca not in self._tls:
            self._tls[ca] = trust_context(ca)
        return self._tls[ca]

    def _client(self, url: httpx2.URL, ca: str | None) -> httpx2.AsyncClient:
        near = loopback(str(url))
        proxy = None if near else proxy_for(str(url))
        kind = (near, near and url.scheme == "http", proxy, ca)
        if kind not in self._clients:
            self._clients[kind] = self._made(proxy, ca, tls=not kind[1])
        return self._clients[kind]

    def _made(self, proxy: Proxy | None, ca: str | None, *, tls: bool) -> httpx2.AsyncClient:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx2

        # Reading the certificate store takes longer than a local call; a context that trusts
        # nobody stands in where no TLS is spoken.
        context = self.trust_context(ca) if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            return httpx2.AsyncClient(
                headers={"user-agent": self._user_agent, "accept-encoding": "gzip, deflate"},
                verify=context,
                trust_env=False,
                proxy=None if proxy is None else proxy.url,
                timeout=None,  # Exchange holds the deadlines
                limits=httpx2.Limits(
                    max_connections=None, max_keepalive_connections=256, keepalive_expiry=30
                ),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            )
        except (httpx2.InvalidURL, ValueError, ImportError):
            if proxy is None:
                raise
            proxy.refuse("http://HOST:PORT, or socks5:// where the package socksio is installed")


class _Body:
    """The chunks of a reply, each waited for no longer than its deadline."""

    def __init__(self, response: httpx2.Response, exchange: Exchange, log: HttpLog | None) -> None:
        import httpx2

        coding = response.headers.get("content-encoding", "")
        codings = transforming(coding)
        self._coded = None if codings <= DECODED else coding
        plain = not codings
        self._source = response.aiter_raw() if plain else response.aiter_bytes()
        self._response = response
        self._exchange = exchange
        self._log = log
        # Once here, because the loop below must not import for every chunk.
        self._failures = (httpx2.HTTPError, OSError)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._coded is not None:
            self._refuse(self._coded)
        exchange = self._exchange
        try:
            async with asyncio.timeout_at(exchange.deadline()):
                chunk = await anext(self._source)
        except TimeoutError as error:
            raise NemoError(timeout_fault(exchange)) from error
        except self._failures as error:
            raise NemoError(fault_of(error, exchange)) from error
        exchange.on_chunk()
        if self._log is not None:
            self._log.chunk(chunk)
        return chunk

    async def aclose(self) -> None:
        with suppress(*self._failures):
            await self._source.aclose()
        await _closed(self._response)

    def _refuse(self, coding: str) -> None:
        if self._response.status_code >= 400:
            raise StopAsyncIteration  # the status says more than a body nobody can read
        raise NemoError(coding_fault(coding))


def _headers(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _closed(response: httpx2.Response) -> None:
    import httpx2

    with suppress(httpx2.HTTPError, OSError):
        await response.aclose()
