"""How far an exchange has come, how long it may still take, and what its failure means."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Literal

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.ports import Call
from nemocli.core.provider import loopback, origin_of
from nemocli.core.redact import Redactor
from nemocli.core.text import one_line

Phase = Literal["connect", "tls", "wait", "body"]
Trace = Callable[[str, Mapping[str, object]], Awaitable[None]]

_PROXY_HINT = "look at HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
_TLS_HINT = (
    "behind a company's proxy, set SSL_CERT_FILE to its certificates; also check this machine's"
    " clock"
)


class Exchange:
    """One call as it proceeds. Times are those of the loop's clock."""

    def __init__(
        self, call: Call, url: str, now: Callable[[], float], total_at: float | None = None
    ) -> None:
        """`total_at`: when it must be done, where that was settled before."""
        self.timeouts = call.timeouts
        self.origin = origin_of(url)
        self.near = loopback(url)
        self.phase: Phase = "connect"
        self.proxy: str | None = None
        self._now = now
        self._redactor = Redactor(call.secrets)
        self._total_at = now() + self.timeouts.total_s if total_at is None else total_at
        self._phase_at = 0.0
        self._host, self._port = "", 0
        self._stream: object = None

    @property
    def sent(self) -> bool:
        """Whether a server may have seen the request."""
        return self.phase in ("wait", "body")

    @property
    def over(self) -> bool:
        """Whether the wait that is over was the last there was time for."""
        return self._total_at <= self._phase_at

    def begin(self, host: str, port: int) -> None:
        """A request is about to be made (again, after a redirect)."""
        self._host, self._port = host, port
        self._enter("connect", self.timeouts.connect_s)

    def on_chunk(self) -> None:
        """A chunk of the body came."""
        self.phase = "body"

    def deadline(self) -> float:
        """When a wait that begins now is over. Between chunks only waiting counts: a reader that
        is slow itself has not been kept waiting."""
        if self.phase == "body":
            self._phase_at = self._now() + self.timeouts.idle_s
        return min(self._phase_at, self._total_at)

    async def abandon(self) -> None:
        """Close what the client forgets: it leaves a socket open when a TLS handshake is
        cancelled (httpcore2 2.16), be it by a deadline or by Ctrl-C."""
        close = getattr(self._stream, "aclose", None)
        if self.phase == "tls" and close is not None:
            await close()

    def clean(self, text: str) -> str:
        """Words of the outside in one line, without the secrets of the call."""
        return one_line(self._redactor.text(text), 160)

    def tracing(self, scope: asyncio.Timeout) -> Trace:
        """A callback for the client's trace events, which moves the deadline with the phase.

        Event names are httpcore's (`connection.connect_tcp.started`), documented under its request
        extensions; looked at in httpcore2 2.16.
        """

        async def trace(event: str, info: Mapping[str, object]) -> None:
            if event == "connection.connect_tcp.started":
                self._reaching(str(info.get("host")), info.get("port"))
            elif event == "connection.connect_tcp.complete":
                self._stream = info.get("return_value")
            elif event.endswith("start_tls.started"):
                self.phase = "tls"
            elif event == "http11.send_request_headers.started" and not _tunnel(info):
                self._enter("wait", self.timeouts.first_byte_s)
                scope.reschedule(self.deadline())

        return trace

    def _reaching(self, host: str, port: object) -> None:
        if (host.strip("[]"), port) != (self._host, self._port):
            self.proxy = f"{host}:{port}"

    def _enter(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self._phase_at = self._now() + seconds


def _tunnel(info: Mapping[str, object]) -> bool:
    """A request to open a tunnel is the proxy's business; nothing was asked of the server yet."""
    return getattr(info.get("request"), "method", b"") == b"CONNECT"


def timeout_fault(exchange: Exchange) -> Fault:
    """A deadline passed: which one, and whether waiting again can help."""
    times, origin = exchange.timeouts, exchange.origin
    if exchange.over:
        message = f"{origin} was not done within {times.total_s:g} s"
        hint = "raise `--timeout`"
        return Fault(FaultKind.TIMEOUT, message, hint, retry=False, sent=exchange.sent)
    if not exchange.sent:
        whom = f"the proxy {exchange.proxy}" if exchange.proxy else origin
        message = f"could not connect to {whom} within {times.connect_s:g} s"
        hint = _PROXY_HINT if exchange.proxy else "check the network, or a firewall in between"
        return Fault(FaultKind.TIMEOUT, message, hint, sent=False)
    if exchange.phase == "wait":
        message = f"{origin} took the request and sent nothing for {times.first_byte_s:g} s"
    else:
        message = f"{origin} stopped sending for {times.idle_s:g} s"
    return Fault(FaultKind.TIMEOUT, message)


def offline_fault(origin: str) -> Fault:
    """Refused because the user said so."""
    return Fault(
        FaultKind.OFFLINE,
        f"{origin} is not on this machine and nemocli is offline",
        "leave out `--offline`, or use a local provider with `-p`",
        retry=False,
        sent=False,
    )


def config_fault(message: str, hint: str | None = None) -> Fault:
    """Something the user wrote keeps the call from being made."""
    return Fault(FaultKind.CONFIG, message, hint, sent=False)


DECODED = frozenset({"gzip", "x-gzip", "deflate"})
"""Codings of a body that are undone here, asked for or not."""


def coding_fault(coding: str) -> Fault:
    """A body in a coding that nobody asked for, and that is not undone here."""
    message = f"the reply came coded as {coding!r}, which was not asked for"
    return Fault(FaultKind.PROTOCOL, message)


def spoilt_fault(origin: str) -> Fault:
    """A body that is not what its coding says."""
    return Fault(FaultKind.PROTOCOL, f"{origin} sent a body that does not decompress")


def fault_of(error: Exception, exchange: Exchange) -> Fault:
    """What the HTTP client's exception means. Classes are told apart by name, because only
    general.py knows the client."""
    kind = type(error).__name__
    if kind == "ProxyError":
        return _proxy_fault(error, exchange)
    if kind in ("LocalProtocolError", "UnicodeEncodeError", "UnsupportedProtocol", "InvalidURL"):
        # The client's words would quote the header, and with it the key.
        return config_fault(f"the request to {exchange.origin} cannot be written as HTTP")
    if kind == "DecodingError":
        return spoilt_fault(exchange.origin)
    error = _common(error)
    return _interrupted(error, exchange) if exchange.sent else _unconnected(error, exchange)


def _interrupted(error: Exception, exchange: Exchange) -> Fault:
    kind, said = type(error).__name__, str(error)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        message = f"{exchange.origin} broke TLS: {exchange.clean(said)}"
        return Fault(FaultKind.TLS, message, retry=False)
    # The same class tells of nonsense and of a connection that ended too early.
    ended = "disconnected" in said or "peer closed" in said
    if kind == "RemoteProtocolError" and not ended:
        message = f"{exchange.origin} does not speak HTTP here: {exchange.clean(said)}"
        return Fault(FaultKind.PROTOCOL, message, "check the URL, and http against https")
    if exchange.phase == "body":
        return Fault(FaultKind.CUT, f"{exchange.origin} cut the connection in mid-answer")
    return Fault(FaultKind.NETWORK, f"{exchange.origin} closed the connection without an answer")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that led to it."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _chain(inner)
        error = error.__cause__ or error.__context__


def _proxy_fault(error: Exception, exchange: Exchange) -> Fault:
    said = exchange.clean(str(error))
    denied = said[:3] in ("403", "407")
    message = f"the proxy {exchange.proxy or ''} refused the connection: {said}"
    return Fault(FaultKind.NETWORK, message, _PROXY_HINT, retry=not denied, sent=False)


def _unconnected(error: Exception, exchange: Exchange) -> Fault:
    chain = list(_chain(error))
    whom = f"the proxy {exchange.proxy}" if exchange.proxy else exchange.origin
    for cause in chain:
        if isinstance(cause, socket.gaierror):
            return _unresolved(cause, exchange)
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return _untrusted(cause, exchange)
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain):
        return _refused(whom, exchange)
    if exchange.phase == "tls":
        message = f"{whom} closed the connection during the TLS handshake"
        return Fault(FaultKind.NETWORK, message, sent=False)
    said = [c for c in chain if isinstance(c, OSError) and c.strerror]
    reason = said[-1].strerror if said else exchange.clean(str(error))
    hint = _PROXY_HINT if exchange.proxy else "check the network"
    message = f"could not connect to {whom}: {reason}"
    return Fault(FaultKind.NETWORK, message, hint, sent=False)


def _refused(whom: str, exchange: Exchange) -> Fault:
    if exchange.proxy:
        message = f"{whom} is not running"
        return Fault(FaultKind.REFUSED, message, _PROXY_HINT, retry=False, sent=False)
    if exchange.near:
        message = f"nothing listens at {whom}"
        return Fault(FaultKind.REFUSED, message, "start the server", retry=False, sent=False)
    return Fault(FaultKind.REFUSED, f"{whom} refused the connection", retry=True, sent=False)


def _unresolved(error: socket.gaierror, exchange: Exchange) -> Fault:
    name = exchange.proxy or exchange.origin
    if error.errno == socket.EAI_AGAIN:
        message = f"the name in {name} cannot be looked up now"
        return Fault(FaultKind.NETWORK, message, "check the network", retry=True, sent=False)
    hint = _PROXY_HINT if exchange.proxy else "check the network, and the spelling of the URL"
    return Fault(FaultKind.NETWORK, f"no such host: {name}", hint, retry=False, sent=False)


def _untrusted(error: ssl.SSLError, exchange: Exchange) -> Fault:
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        message = f"{exchange.origin} does not speak TLS"
        return Fault(FaultKind.TLS, message, "try http:// in the URL", retry=False, sent=False)
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the certificate of {exchange.origin} is not trusted: {error.verify_message}"
    else:
        message = f"no TLS with {exchange.origin}: {exchange.clean(str(error))}"
    return Fault(FaultKind.TLS, message, _TLS_HINT, retry=False, sent=False)


def _common(error: Exception) -> Exception:
    """What several addresses of a name have in common, where all refused; else the error itself.
    (asyncio joins their words into one OSError without a number.)"""
    said = set(re.findall(r"\[Errno (\d+)\]", str(error)))
    refused = {str(errno.ECONNREFUSED)}
    if isinstance(error, OSError) and error.errno is None and said == refused:
        return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    return error
