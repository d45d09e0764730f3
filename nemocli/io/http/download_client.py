"""Large bodies over plain sockets, straight into a buffer: for files, where a general client costs
twice the time and the processor."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import quote, unquote, urljoin, urlsplit

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.provider import loopback, origin_of
from nemocli.core.text import one_line
from nemocli.io.http.proxy import proxy_for
from nemocli.io.http.trust import trust_context
from nemocli.weights.ports import Ask, Hop

CONNECT_S = 15.0
MOST_REDIRECTS = 5
MOST_DRAINED = 64 * 1024
MOST_TEXT = 2048

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_BROKEN = (http.client.RemoteDisconnected, ConnectionError, http.client.IncompleteRead)

Debug = Callable[[str], None]


class Sockets:
    """Fills `core.weight_ports.Connections`: one connection to each origin, kept while it works.

    `wait_s` bounds the silence before an answer's head, and is the last resort within a body: a
    watchdog ends dead streams earlier. A proxy of the environment is used for all but this machine.
    """

    def __init__(
        self, user_agent: str, wait_s: float, offline: bool = False, debug: Debug | None = None
    ) -> None:
        self._user_agent = user_agent
        self._wait_s = wait_s
        self._offline = offline
        self._debug = debug
        self._kept: dict[str, HTTPConnection] = {}
        self._now: socket.socket | None = None
        self._lock = threading.Lock()

    def get(self, ask: Ask) -> SocketBody:
        """Ask, and follow redirects; the token goes no further than its own origin."""
        url, token, hops = ask.url, ask.token, []
        first = _origin(url)
        for _ in range(MOST_REDIRECTS + 1):
            own = token if _origin(url) == first else None
            connection, response, sock = self._asked(url, ask, own)
            hop = Hop(url, response.status, _headers(response))
            hops.append(hop)
            target = hop.headers.get("location")
            if response.status not in _REDIRECTS or not target:
                return SocketBody(self, hops, connection, response, sock)
            self._drain(url, connection, response)
            url = urljoin(url, _encoded(target))
        raise NemoError(Fault(FaultKind.PROTOCOL, f"{_host(ask.url)} redirects without end"))

    def abort(self) -> None:
        """From another thread: whatever waits on a socket here fails at once."""
        with self._lock:
            sock = self._now
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End every connection."""
        while self._kept:
            _, connection = self._kept.popitem()
            connection.close()

    def keep(self, url: str, connection: HTTPConnection) -> None:
        """A connection whose answer was read to the end."""
        with self._lock:
            self._now = None
        if connection.sock is not None:
            self._kept[_origin(url)] = connection

    def forget(self, connection: HTTPConnection) -> None:
        """A connection in the middle of an answer."""
        with self._lock:
            self._now = None
        connection.close()

    def _asked(
        self, url: str, ask: Ask, token: str | None
    ) -> tuple[HTTPConnection, HTTPResponse, socket.socket]:
        kept = self._kept.pop(_origin(url), None)
        if kept is not None:
            try:
                return self._send(kept, url, ask, token)
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
                self.forget(kept)  # it had ended while it was idle
            except BaseException:
                self.forget(kept)
                raise
        fresh: HTTPConnection | None = None
        try:
            fresh = self._connected(url)
            return self._send(fresh, url, ask, token)
        except (OSError, HTTPException) as error:
            if fresh is not None:
                self.forget(fresh)
            raise NemoError(fault_of(error, url)) from error

    def _send(
        self, connection: HTTPConnection, url: str, ask: Ask, token: str | None
    ) -> tuple[HTTPConnection, HTTPResponse, socket.socket]:
        sock = connection.sock
        sock.settimeout(self._wait_s)
        with self._lock:
            self._now = sock
        headers = {"User-Agent": self._user_agent, "Accept-Encoding": "identity"}
        if ask.start or ask.end is not None:
            last = "" if ask.end is None else str(ask.end - 1)
            headers["Range"] = f"bytes={ask.start}-{last}"
        self._say(f"> GET {_shown(url)} {headers.get('Range', '')}")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        headers |= getattr(connection, "through", {})
        connection.request("GET", _target(connection, url), headers=headers)
        response = connection.getresponse()
        self._say(f"< {response.status} {_shown(url)}")
        return connection, response, sock

    def _connected(self, url: str) -> HTTPConnection:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NemoError(Fault(FaultKind.PROTOCOL, f"not a web address: {_shown(url)}"))
        near = loopback(url)
        if self._offline and not near:
            message = f"--offline: {_host(url)} is not on this machine"
            raise NemoError(Fault(FaultKind.OFFLINE, message, sent=False))
        proxy = _through(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        made = _made(parts.scheme, parts.hostname, port, proxy)
        made.connect()
        return made

    def _drain(self, url: str, connection: HTTPConnection, response: HTTPResponse) -> None:
        try:
            rest = response.read(MOST_DRAINED)
        except (OSError, HTTPException):
            self.forget(connection)
            return
        if len(rest) < MOST_DRAINED and not response.will_close:
            response.close()
            self.keep(url, connection)
        else:
            self.forget(connection)

    def _say(self, text: str) -> None:
        if self._debug is not None:
            self._debug(text)


class SocketBody:
    """Fills `core.weight_ports.Body`."""

    def __init__(
        self,
        owner: Sockets,
        hops: list[Hop],
        connection: HTTPConnection,
        response: HTTPResponse,
        sock: socket.socket,
    ) -> None:
        self.hops = hops
        self._owner = owner
        self._connection = connection
        self._response = response
        self._sock = sock
        self._left = None if response.chunked else response.length
        self._buffered = True

    def readinto(self, view: memoryview) -> int:
        """Some bytes, as soon as there are any; 0 at the end."""
        try:
            if self._left is None:
                return self._unmeasured(view)
            want = view[: min(len(view), self._left)]
            if not want:
                return 0
            if self._buffered:  # what came along with the head, until the buffer is empty
                got = self._response.fp.readinto1(want)
                self._buffered = got == len(want)
            else:
                got = self._sock.recv_into(want)
        except (OSError, HTTPException, ValueError, AttributeError) as error:
            raise NemoError(fault_of(error, self.hops[-1].url)) from error
        self._left -= got
        return got

    def _unmeasured(self, view: memoryview) -> int:
        data = self._response.read1(len(view))
        view[: len(data)] = data
        return len(data)

    def text(self) -> bytes:
        """The first bytes of a refusal, for people."""
        try:
            return self._response.read(MOST_TEXT)
        except (OSError, HTTPException):
            return b""

    def close(self, *, reuse: bool) -> None:
        """Let go; kept for the next request only when every byte was read."""
        whole = reuse and self._left == 0 and not self._response.will_close
        with suppress(OSError, ValueError):
            self._response.close()
        if whole:
            self._owner.keep(self.hops[-1].url, self._connection)
        else:
            with suppress(OSError):
                self._sock.close()
            self._owner.forget(self._connection)


def fault_of(error: Exception, url: str) -> Fault:
    """What a failure on the way to a file means."""
    host = _host(url)
    reason = one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__, 120)
    rows: tuple[tuple[type[Exception] | tuple[type[Exception], ...], FaultKind, str], ...] = (
        (TimeoutError, FaultKind.TIMEOUT, f"{host} did not answer in time"),
        (ConnectionRefusedError, FaultKind.REFUSED, f"{host} refused the connection"),
        (socket.gaierror, FaultKind.NETWORK, f"no address for {host}: {reason}"),
        (_BROKEN, FaultKind.NETWORK, f"the connection to {host} broke: {reason}"),
        (ssl.SSLError, FaultKind.TLS, f"no TLS with {host}: {reason}"),
        (OSError, FaultKind.NETWORK, f"no connection to {host}: {reason}"),
        (HTTPException, FaultKind.PROTOCOL, f"{host} does not speak HTTP: {reason}"),
        # The socket was taken away from under the reader.
        (Exception, FaultKind.NETWORK, f"the connection to {host} was closed"),
    )
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the certificate of {host} is not trusted: {error.verify_message}"
        hint = "behind a company's proxy, set SSL_CERT_FILE to its certificates"
        return Fault(FaultKind.TLS, message, hint, retry=False, sent=False)
    kind, message = next((k, text) for types, k, text in rows if isinstance(error, types))
    return Fault(kind, message, retry=True)


def _made(
    scheme: str, host: str, port: int, proxy: tuple[str, int, dict[str, str]] | None
) -> HTTPConnection:
    where = (host, port) if proxy is None else proxy[:2]
    if scheme == "https":
        secure = HTTPSConnection(*where, timeout=CONNECT_S, context=_tls())
        if proxy is not None:
            secure.set_tunnel(host, port, proxy[2])
        return secure
    plain = _Plain(*where, timeout=CONNECT_S)
    if proxy is not None:
        plain.through = proxy[2]  # no tunnel is opened: the proxy reads each request
    return plain


class _Plain(HTTPConnection):
    """A connection without TLS, with the headers that its proxy wants on each request."""

    through: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed


@cache
def _tls() -> ssl.SSLContext:
    return trust_context()


def _through(url: str) -> tuple[str, int, dict[str, str]] | None:
    """Host, port and headers of the proxy for a URL; None to go straight."""
    proxy = proxy_for(url)
    if proxy is None:
        return None
    parts = urlsplit(proxy.url)
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        proxy.refuse("http://HOST:PORT for files")
    headers = {}
    if parts.username:
        from base64 import b64encode

        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    return parts.hostname, port, headers


def _target(connection: HTTPConnection, url: str) -> str:
    """Path and query; the whole address when a proxy is to fetch it."""
    parts = urlsplit(url)
    through = not isinstance(connection, HTTPSConnection) and connection.host != parts.hostname
    if through:
        return url
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _encoded(target: str) -> str:
    """A redirect's target as an address: what servers put there raw is percent-encoded, as other
    clients do. Header bytes arrive as Latin-1."""
    return quote(target.encode("latin-1", "replace"), safe="%/:=&?~#+!$,;'@()*[]")


def _headers(response: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _origin(url: str) -> str:
    try:
        return origin_of(url)
    except ValueError as error:
        raise NemoError(Fault(FaultKind.PROTOCOL, f"not a web address: {_shown(url)}")) from error


def _host(url: str) -> str:
    return one_line(urlsplit(url).netloc.rpartition("@")[2], 80)


def _shown(url: str) -> str:
    """Without the query, which holds the signature."""
    parts = urlsplit(url)
    return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 200)
