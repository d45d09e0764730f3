"""HTTP over one pooled client: deadlines, redirects, proxies, and every failure as a fault."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Call, Reply
from nemocli.core.provider import loopback, origin_of
from nemocli.core.redact import Redactor
from nemocli.io.http.exchange import Exchange, config_fault, fault_of, offline_fault, timeout_fault
from nemocli.io.http.proxy import Proxy, proxy_for
from nemocli.wire.headers import transforming

if TYPE_CHECKING:
    import httpx2

MOST_REDIRECTS = 3
MOST_SHOWN = 2_000
"""Characters of one chunk in a debug line."""

_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_SAFE = frozenset({"GET", "HEAD"})
_KEYED = frozenset({"authorization", "cookie", "x-api-key", "api-key"})

Debug = Callable[[str], None]


class HttpTransport:
    """Fills `core.ports.Transport`; an async context manager that owns its connections.

    `offline` refuses every address that is not this machine before a socket is opened. Loopback
    addresses never go through a proxy. `debug` gets lines without secrets. `rarely`: most calls
    will go another way, and what they need is loaded when one comes.
    """

    def __init__(
        self,
        user_agent: str,
        offline: bool = False,
        debug: Debug | None = None,
        *,
        rarely: bool = False,
    ) -> None:
        self._rarely = rarely
        self._user_agent = user_agent
        self.offline = offline
        self._debug = debug
        self._clients: dict[tuple[bool, bool, Proxy | None], httpx2.AsyncClient] = {}
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        if not self._rarely:
            import httpx2  # noqa: F401 - now, so that no call's time to first token pays for it

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
        talk = _Talk(self._debug, call.secrets) if self._debug is not None else None
        response = await self._answer(call, url, exchange, talk)
        body = _Body(response, exchange, talk)
        try:
            yield Reply(response.status_code, _headers(response), body)
        finally:
            await body.aclose()

    async def _answer(
        self, call: Call, url: httpx2.URL, exchange: Exchange, talk: _Talk | None
    ) -> httpx2.Response:
        method = call.method.upper()
        for _ in range(MOST_REDIRECTS):
            response = await self._ask(method, url, call, exchange, talk)
            target = _next(method, url, response, anywhere=_nothing_to_lose(call))
            if target is None:
                return response
            await _closed(response)
            self._check_near(target)
            url = target
        return await self._ask(method, url, call, exchange, talk)

    async def _ask(
        self, method: str, url: httpx2.URL, call: Call, exchange: Exchange, talk: _Talk | None
    ) -> httpx2.Response:
        import httpx2

        client = self._client(url)
        if talk is not None:
            talk.request(method, str(url), call)
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
        if talk is not None:
            talk.reply(response.status_code, _headers(response))
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

    def _client(self, url: httpx2.URL) -> httpx2.AsyncClient:
        near = loopback(str(url))
        proxy = None if near else proxy_for(str(url))
        kind = (near, near and url.scheme == "http", proxy)
        if kind not in self._clients:
            self._clients[kind] = self._made(proxy, tls=not kind[1])
        return self._clients[kind]

    def _made(self, proxy: Proxy | None, *, tls: bool) -> httpx2.AsyncClient:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx2

        # Reading the certificate store takes longer than a local call; a context that trusts
        # nobody stands in where no TLS is spoken.
        context = self.tls_context() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
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
            proxy.refused("http://HOST:PORT, or socks5:// where the package socksio is installed")

    def tls_context(self) -> ssl.SSLContext:
        """The certificates that are trusted here. Raises NemoError when they cannot be read."""
        import httpx2

        if self._tls is None:
            try:
                self._tls = httpx2.create_ssl_context()
            except OSError as error:
                raise NemoError(
                    config_fault(
                        f"the certificates cannot be loaded: {error.strerror or error}",
                        "look at SSL_CERT_FILE and SSL_CERT_DIR",
                    )
                ) from error
        return self._tls


class _Body:
    """The chunks of a reply, each waited for no longer than its deadline."""

    def __init__(self, response: httpx2.Response, exchange: Exchange, talk: _Talk | None) -> None:
        import httpx2

        coding = response.headers.get("content-encoding", "")
        codings = transforming(coding)
        self._coded = None if codings <= _CODINGS else coding
        plain = not codings
        self._source = response.aiter_raw() if plain else response.aiter_bytes()
        self._response = response
        self._exchange = exchange
        self._talk = talk
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
        exchange.received()
        if self._talk is not None:
            self._talk.chunk(chunk)
        return chunk

    async def aclose(self) -> None:
        with suppress(*self._failures):
            await self._source.aclose()
        await _closed(self._response)

    def _refuse(self, coding: str) -> None:
        if self._response.status_code >= 400:
            raise StopAsyncIteration  # the status says more than a body nobody can read
        raise NemoError(
            Fault(
                FaultKind.PROTOCOL, f"the reply came coded as {coding!r}, which was not asked for"
            )
        )


class _Talk:
    """What was said, as debug lines without secrets."""

    def __init__(self, write: Debug, secrets: tuple[str, ...]) -> None:
        self._write = write
        self._redactor = Redactor(secrets)

    def request(self, method: str, url: str, call: Call) -> None:
        self._write(f"> {method} {self._redactor.url(url)}")
        for name, value in self._redactor.headers(call.headers).items():
            self._write(f"> {name}: {value}")
        if call.body:
            self._write(f"> {self._redactor.body(call.body)}")

    def reply(self, status: int, headers: dict[str, str]) -> None:
        self._write(f"< {status}")
        for name, value in self._redactor.headers(headers).items():
            self._write(f"< {name}: {value}")

    def chunk(self, chunk: bytes) -> None:
        shown = self._redactor.body(chunk)
        rest = len(shown) - MOST_SHOWN
        self._write(f"< {shown[:MOST_SHOWN]}" + (f"... ({rest} more)" if rest > 0 else ""))


def _headers(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _nothing_to_lose(call: Call) -> bool:
    """Whether a call may be sent to an address it was not meant for: it reads and holds no key."""
    named = {name.lower() for name in call.headers}
    return call.method.upper() in _SAFE and not call.secrets and not named & _KEYED


def _next(
    method: str, url: httpx2.URL, response: httpx2.Response, *, anywhere: bool
) -> httpx2.URL | None:
    """Where a redirect may be followed to, with the same method: the same origin, or `anywhere`
    but from TLS to none."""
    import httpx2

    again = response.status_code in (307, 308)
    if not again and not (response.status_code in (301, 302) and method in _SAFE):
        return None
    try:
        target = url.join(response.headers.get("location", ""))
        same = origin_of(str(target)) == origin_of(str(url))
    except (httpx2.InvalidURL, ValueError):
        return None
    safe = anywhere and target.scheme in ("http", "https") and bool(target.host)
    safe = safe and not (url.scheme == "https" and target.scheme == "http")
    return target if (same or safe) and target != url else None


async def _closed(response: httpx2.Response) -> None:
    import httpx2

    with suppress(httpx2.HTTPError, OSError):
        await response.aclose()
