"""HTTP: what arrives arrives at once, what fails fails as a fault that says what and why.

Every test is held by both transports.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import socket
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Call
from nemocli.core.provider import Timeouts
from nemocli.io.http.direct import DirectTransport
from nemocli.io.http.general import GeneralTransport
from tests.servers.certificate import chained, self_signed
from tests.servers.raw import Handler, Peer, RawServer, refused_port, response, saying

KEY = "nvapi-0123456789abcdefghijklmnop"
SHORT = Timeouts(connect_s=5, first_byte_s=5, idle_s=5, total_s=10)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PROXY_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


KIND: list[type[GeneralTransport | DirectTransport]] = []


@pytest.fixture(autouse=True, params=[GeneralTransport, DirectTransport], ids=["general", "direct"])
def _kind(request: pytest.FixtureRequest) -> Iterator[None]:
    KIND.append(request.param)
    yield
    KIND.pop()


def transport(**options: object) -> GeneralTransport | DirectTransport:
    """One of the kind under test."""
    return KIND[-1]("nemocli/test", **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def post(url: str, timeouts: Timeouts = SHORT) -> Call:
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    return Call("POST", url + "/v1/chat", headers, b'{"a":1}', timeouts, (KEY,))


def get(url: str, timeouts: Timeouts = SHORT) -> Call:
    return Call("GET", url, timeouts=timeouts)


async def fetched(call: Call, **options: object) -> tuple[int, dict[str, str], bytes]:
    async with (
        transport(**options) as http,
        http.send(call) as reply,
    ):
        body = b"".join([part async for part in reply.chunks])
        return reply.status, dict(reply.headers), body


def asked(call: Call, **options: object) -> tuple[int, dict[str, str], bytes]:
    return asyncio.run(fetched(call, **options))


def failing(call: Call, **options: object) -> Fault:
    with pytest.raises(NemoError) as caught:
        asked(call, **options)
    assert KEY not in str(caught.value.fault)
    return caught.value.fault


# What goes out and comes in


def test_method_headers_body_and_user_agent_go_out_as_given() -> None:
    with RawServer(saying(response(b"{}"))) as server:
        status, headers, body = asked(post(server.url))
    head = server.heads[0].decode("latin-1").lower()
    assert (status, body) == (200, b"{}")
    assert headers["content-length"] == "2"
    assert head.startswith("post /v1/chat http/1.1\r\n")
    assert f"authorization: bearer {KEY}" in head
    assert "user-agent: nemocli/test" in head
    coding = "identity" if KIND[-1] is DirectTransport else "gzip, deflate"
    assert f"accept-encoding: {coding}\r\n" in head


def test_an_error_status_is_a_reply_not_a_fault() -> None:
    with RawServer(saying(response(b"no", "503 Busy", "Retry-After: 3"))) as server:
        status, headers, body = asked(post(server.url))
    assert (status, headers["retry-after"], body) == (503, "3", b"no")


def test_a_chunk_is_there_before_the_next_one_is_sent() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD, chunk(b"one"))
        await peer.told(server.client_spoke)
        await peer.say(chunk(b"two"), b"0\r\n\r\n")

    async def main(url: str) -> list[bytes]:
        got = []
        async with transport() as http, http.send(post(url)) as reply:
            async for part in reply.chunks:
                got.append(part)
                server.client_spoke.set()
        return got

    with RawServer(handler) as server:
        assert asyncio.run(main(server.url)) == [b"one", b"two"]


def test_calls_share_a_connection() -> None:
    async def handler(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(response(b"ok"))

    async def main(url: str) -> None:
        async with transport() as http:
            for _ in range(5):
                async with http.send(post(url)) as reply:
                    assert [c async for c in reply.chunks] == [b"ok"]

    with RawServer(handler) as server:
        asyncio.run(main(server.url))
        assert server.connections == 1


def test_a_hundred_calls_run_at_once() -> None:
    waiting: list[asyncio.Event] = []

    async def handler(peer: Peer) -> None:
        await peer.request()
        event = asyncio.Event()
        waiting.append(event)
        if len(waiting) == 100:
            for other in waiting:
                other.set()
        await event.wait()
        await peer.say(response(b"ok"))

    async def one(http: GeneralTransport | DirectTransport, url: str) -> int:
        async with http.send(post(url)) as reply:
            return len([c async for c in reply.chunks])

    async def main(url: str) -> list[int]:
        async with transport() as http:
            return await asyncio.gather(*(one(http, url) for _ in range(100)))

    with RawServer(handler) as server:
        assert asyncio.run(main(server.url)) == [1] * 100


def test_cookies_are_not_kept() -> None:
    async def handler(peer: Peer) -> None:
        while True:
            await peer.request()
            server.heads.append(peer.head)
            await peer.say(response(b"ok", "200 OK", "set-cookie: who=you; path=/"))

    async def main(url: str) -> None:
        async with transport() as http:
            for _ in range(2):
                async with http.send(post(url)):
                    pass

    with RawServer(handler) as server:
        asyncio.run(main(server.url))
    assert not any(b"cookie" in head.lower() for head in server.heads)


# Codings


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_content_coding_is_undone(coding: str) -> None:
    plain = b"data: hello\n\n" * 1000
    packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    with RawServer(saying(response(packed, "200 OK", f"content-encoding: {coding}"))) as server:
        assert asked(post(server.url))[2] == plain


def test_a_body_that_does_not_decompress_is_a_protocol_fault() -> None:
    with RawServer(saying(response(b"not gzip", "200 OK", "content-encoding: gzip"))) as server:
        assert failing(post(server.url)).kind is FaultKind.PROTOCOL


def test_a_coding_nobody_asked_for_is_named() -> None:
    with RawServer(saying(response(b"\x1b\x00", "200 OK", "content-encoding: br"))) as server:
        fault = failing(post(server.url))
    assert fault.kind is FaultKind.PROTOCOL
    assert "'br'" in fault.message


def test_an_unreadable_error_body_does_not_hide_its_status() -> None:
    with RawServer(saying(response(b"\x1b", "403 No", "content-encoding: br"))) as server:
        assert asked(post(server.url))[::2] == (403, b"")


def test_a_decompression_bomb_comes_in_bounded_pieces() -> None:
    bomb = gzip.compress(bytes(64 * 2**20))

    async def largest(call: Call) -> tuple[int, int]:
        async with transport() as http, http.send(call) as reply:
            sizes = [len(part) async for part in reply.chunks]
            return max(sizes), sum(sizes)

    with RawServer(saying(response(bomb, "200 OK", "content-encoding: gzip"))) as server:
        most, total = asyncio.run(largest(post(server.url)))
    assert total == 64 * 2**20
    assert most <= 2**20


# Connections that fail


def test_refused_on_loopback_says_what_is_not_there_and_is_not_tried_again() -> None:
    port = refused_port()
    fault = failing(post(f"http://127.0.0.1:{port}"))
    assert (fault.kind, fault.retryable, fault.sent) == (FaultKind.REFUSED, False, False)
    assert f"nothing listens at http://127.0.0.1:{port}" in fault.message


def test_refused_on_localhost_whatever_the_address_family() -> None:
    fault = failing(post(f"http://localhost:{refused_port()}"))
    assert (fault.kind, fault.retryable) == (FaultKind.REFUSED, False)


def test_a_name_that_cannot_be_looked_up_was_never_sent() -> None:
    fault = failing(post("http://does-not-exist.invalid"))
    assert (fault.kind, fault.sent) == (FaultKind.NETWORK, False)
    assert "does-not-exist.invalid" in fault.message


def test_closing_before_a_reply_is_a_network_fault_that_may_have_been_sent() -> None:
    with RawServer(saying()) as server:
        fault = failing(post(server.url))
    assert (fault.kind, fault.retryable, fault.sent) == (FaultKind.NETWORK, True, True)


def test_a_reset_before_a_reply_is_a_network_fault() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    with RawServer(handler) as server:
        assert failing(post(server.url)).kind is FaultKind.NETWORK


def test_a_reset_between_head_and_body_is_a_network_fault() -> None:
    with RawServer(saying(HEAD)) as server:
        assert failing(post(server.url)).kind is FaultKind.NETWORK


@pytest.mark.parametrize("head", [HEAD, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"])
def test_an_end_in_mid_body_is_a_cut(head: bytes) -> None:
    with RawServer(saying(head, chunk(b"data"))) as server:
        fault = failing(post(server.url))
    assert (fault.kind, fault.sent) == (FaultKind.CUT, True)


def test_a_reset_in_mid_body_is_a_cut() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD, chunk(b"data"))
        await peer.told(server.client_spoke)
        peer.reset()

    async def consume(url: str) -> None:
        async with transport() as http, http.send(post(url)) as reply:
            async for _ in reply.chunks:
                server.client_spoke.set()

    with RawServer(handler) as server, pytest.raises(NemoError) as caught:
        asyncio.run(consume(server.url))
    assert caught.value.fault.kind is FaultKind.CUT


@pytest.mark.parametrize(
    "said",
    [b"220 mail ready\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"],
)
def test_what_is_not_http_is_a_protocol_fault(said: bytes) -> None:
    with RawServer(saying(said)) as server:
        assert failing(post(server.url)).kind is FaultKind.PROTOCOL


def test_broken_chunked_coding_is_a_protocol_fault() -> None:
    with RawServer(saying(HEAD, b"zz\r\nnonsense\r\n")) as server:
        assert failing(post(server.url)).kind is FaultKind.PROTOCOL


@pytest.mark.parametrize(
    "url", ["ftp://x/", "no scheme", "http://", "http://a:99999999/", "http://[::1/"]
)
def test_what_is_not_a_url_is_a_config_fault(url: str) -> None:
    fault = failing(get(url))
    assert (fault.kind, fault.sent) == (FaultKind.CONFIG, False)


def test_a_header_that_would_smuggle_another_is_refused_unshown() -> None:
    with RawServer(saying(response(b""))) as server:
        call = Call("GET", server.url, {"authorization": f"Bearer {KEY}\r\nx: y"}, secrets=(KEY,))
        fault = failing(call)
    assert (fault.kind, fault.sent) == (FaultKind.CONFIG, False)


# TLS


@pytest.fixture
def pem(tmp_path: Path) -> tuple[Path, Path]:
    made = self_signed(tmp_path)
    if made is None:
        pytest.skip("nothing here makes certificates")
    return made


@pytest.fixture
def tls_server(pem: tuple[Path, Path]) -> Iterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pem)
    with RawServer(saying(response(b"ok")), context) as server:
        yield server


def test_an_unknown_certificate_is_named_not_retried_and_has_a_hint(tls_server: RawServer) -> None:
    fault = failing(post(tls_server.url))
    assert (fault.kind, fault.retryable, fault.sent) == (FaultKind.TLS, False, False)
    assert "not trusted" in fault.message
    assert "SSL_CERT_FILE" in (fault.hint or "")


def test_ssl_cert_file_is_honoured(
    tls_server: RawServer, pem: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem[0]))
    assert asked(post(tls_server.url))[2] == b"ok"


def test_a_certificate_file_that_is_not_there_is_a_config_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    fault = failing(post("https://127.0.0.1:1"))
    assert fault.kind is FaultKind.CONFIG
    assert "SSL_CERT_FILE" in (fault.hint or "")


def _over_tls(cert: Path, key: Path) -> RawServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return RawServer(saying(response(b"ok", "200 OK", "connection: close")), context)


@pytest.mark.parametrize(
    ("address", "ends", "said"),
    [("127.0.0.2", timedelta(days=1), "127.0.0.1"), ("127.0.0.1", -timedelta(hours=1), "expired")],
    ids=["for another host", "expired"],
)
def test_a_certificate_of_another_host_or_time_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, ends: timedelta, said: str
) -> None:
    made = self_signed(tmp_path, address, ends)
    if made is None:
        pytest.skip("nothing here makes certificates")
    monkeypatch.setenv("SSL_CERT_FILE", str(made[0]))
    with _over_tls(*made) as server:
        fault = failing(post(server.url))
        assert server.heads == []
    assert (fault.kind, fault.sent) == (FaultKind.TLS, False)
    assert said in fault.message


def test_a_chain_is_trusted_by_its_authority_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chained(tmp_path)
    if made is None:
        pytest.skip("nothing here makes certificates")
    cert, key, authority = made
    with _over_tls(cert, key) as server:
        fault = failing(post(server.url))
        assert (fault.kind, fault.sent, server.heads) == (FaultKind.TLS, False, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert asked(post(server.url))[2] == b"ok"


def test_a_providers_own_certificates_are_trusted_for_it_beside_the_systems(
    tmp_path: Path,
) -> None:
    made = chained(tmp_path)
    if made is None:
        pytest.skip("nothing here makes certificates")
    cert, key, authority = made

    async def both(url: str) -> None:
        async with transport() as http:
            for ca in (str(authority), None, str(authority)):
                call = replace(post(url), ca=ca)
                if ca is None:
                    with pytest.raises(NemoError) as caught:
                        await http.send(call).__aenter__()
                    assert caught.value.fault.kind is FaultKind.TLS
                else:
                    async with http.send(call) as reply:
                        assert b"".join([part async for part in reply.chunks]) == b"ok"

    with _over_tls(cert, key) as server:
        asyncio.run(both(server.url))
    fault = failing(replace(post("https://127.0.0.1:1"), ca=str(tmp_path / "none.pem")))
    assert (fault.kind, "none.pem" in fault.message) == (FaultKind.CONFIG, True)


def test_a_server_that_leaves_in_the_handshake_is_named() -> None:
    async def handler(peer: Peer) -> None:
        await peer.reader.read(100)

    with RawServer(handler) as server:
        fault = failing(post(server.url.replace("http://", "https://")))
    assert (fault.kind, fault.sent) == (FaultKind.NETWORK, False)
    assert "during the TLS handshake" in fault.message


def test_plain_http_behind_an_https_url_is_named() -> None:
    async def handler(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with RawServer(handler) as server:
        fault = failing(post(server.url.replace("http://", "https://")))
    assert (fault.kind, fault.retryable) == (FaultKind.TLS, False)
    assert "does not speak TLS" in fault.message


# Time


@contextlib.contextmanager
def took_less_than(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


async def _silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def _one_chunk_then_silence(peer: Peer) -> None:
    await peer.request()
    await peer.say(HEAD, chunk(b"one"))
    await peer.gone()


async def _head_then_silence(peer: Peer) -> None:
    await peer.request()
    await peer.say(HEAD)
    await peer.gone()


async def _dripping(peer: Peer) -> None:
    await peer.request()
    await peer.say(HEAD)
    while True:
        await peer.say(chunk(b": keep-alive\n\n"))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("handler", [_silent, _head_then_silence])
def test_no_first_byte_in_time(handler: Handler) -> None:
    with RawServer(handler) as server, took_less_than(3):
        fault = failing(post(server.url, Timeouts(5, 0.2, 5, 10)))
    assert (fault.kind, fault.retryable, fault.sent) == (FaultKind.TIMEOUT, True, True)
    assert "sent nothing for 0.2 s" in fault.message


def test_silence_between_bytes() -> None:
    with RawServer(_one_chunk_then_silence) as server, took_less_than(3):
        fault = failing(post(server.url, Timeouts(5, 5, 0.2, 10)))
    assert fault.kind is FaultKind.TIMEOUT
    assert "stopped sending for 0.2 s" in fault.message


def test_keep_alive_bytes_hold_off_the_idle_limit_but_not_the_total() -> None:
    with RawServer(_dripping) as server, took_less_than(3):
        fault = failing(post(server.url, Timeouts(5, 5, 0.2, 0.6)))
    assert (fault.kind, fault.retryable) == (FaultKind.TIMEOUT, False)
    assert "was not done within 0.6 s" in fault.message


def test_a_slow_reader_is_not_an_idle_server() -> None:
    async def main(url: str) -> bytes:
        got = b""
        call = post(url, Timeouts(5, 5, 0.1, 10))
        async with transport() as http, http.send(call) as reply:
            async for part in reply.chunks:
                got += part
                await asyncio.sleep(0.3)
        return got

    with RawServer(saying(HEAD, chunk(b"one"), chunk(b"two"), b"0\r\n\r\n")) as server:
        assert asyncio.run(main(server.url)) == b"onetwo"


def test_a_listener_that_never_accepts_is_a_connect_timeout() -> None:
    # A full backlog: the kernel drops further SYNs.
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        with took_less_than(3):
            fault = failing(post(f"http://127.0.0.1:{port}", Timeouts(0.3, 5, 5, 10)))
    assert (fault.kind, fault.retryable, fault.sent) == (FaultKind.TIMEOUT, True, False)
    assert "could not connect" in fault.message
    assert "within 0.3 s" in fault.message


def test_a_tls_handshake_that_hangs_is_a_connect_timeout() -> None:
    async def handler(peer: Peer) -> None:
        await peer.gone()

    with RawServer(handler) as server, took_less_than(3):
        url = server.url.replace("http://", "https://")
        fault = failing(post(url, Timeouts(0.3, 5, 5, 10)))
    assert (fault.kind, fault.sent) == (FaultKind.TIMEOUT, False)
    gc.collect()  # a socket left open would warn here


@pytest.mark.parametrize("when", ["head", "body"])
def test_cancelling_closes_the_connection_at_once(when: str) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        if when == "body":
            await peer.say(HEAD, chunk(b"one"))
        server.handler_spoke.set()
        await peer.gone()
        server.client_spoke.set()

    async def consume(url: str) -> None:
        async with transport() as http, http.send(post(url)) as reply:
            async for _ in reply.chunks:
                pass

    async def main(url: str) -> None:
        task = asyncio.create_task(consume(url))
        assert await asyncio.to_thread(server.handler_spoke.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.client_spoke.wait, 3)

    with RawServer(handler) as server, took_less_than(5):
        asyncio.run(main(server.url))


def test_leaving_early_closes_the_connection() -> None:
    async def handler(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError):
            await _dripping(peer)
        server.handler_spoke.set()

    async def main(url: str) -> None:
        async with transport() as http:
            async with http.send(post(url)) as reply:
                async for _ in reply.chunks:
                    break
            assert await asyncio.to_thread(server.handler_spoke.wait, 3)

    with RawServer(handler) as server:
        asyncio.run(main(server.url))


# Redirects


def _redirecting(status: int, location: str) -> Handler:
    async def handler(peer: Peer) -> None:
        head = await peer.request()
        if head.split(b" ")[1] == location.encode():
            await peer.say(response(b"there by " + head.split(b" ")[0]))
        else:
            await peer.say(response(b"gone", f"{status} Moved", f"location: {location}"))

    return handler


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 307), ("POST", 308), ("GET", 301), ("GET", 302)]
)
def test_a_redirect_within_the_origin_is_followed(method: str, status: int) -> None:
    with RawServer(_redirecting(status, "/elsewhere")) as server:
        call = Call(method, server.url, {"authorization": KEY}, timeouts=SHORT, secrets=(KEY,))
        assert asked(call)[2] == b"there by " + method.encode()


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_post_is_not_turned_into_a_get(status: int) -> None:
    with RawServer(saying(response(b"", f"{status} Moved", "location: /x"))) as server:
        got, headers, _ = asked(post(server.url))
    assert (got, headers["location"]) == (status, "/x")


def test_a_redirect_elsewhere_is_returned_and_the_key_stays() -> None:
    with RawServer(saying(response(b"stolen"))) as other:
        away = response(b"", "307 Moved", f"location: {other.url}/")
        with RawServer(saying(away)) as server:
            status, headers, _ = asked(post(server.url))
        assert (status, headers["location"]) == (307, f"{other.url}/")
        assert other.connections == 0


def test_redirects_without_end_are_returned_after_three() -> None:
    async def handler(peer: Peer) -> None:
        while True:
            await peer.request()
            seen.append(1)
            where = f"location: /{len(seen)}"
            await peer.say(response(b"", "307 Moved", where))

    seen: list[int] = []
    with RawServer(handler) as server:
        assert asked(post(server.url))[0] == 307
    assert len(seen) == 4


# Proxies and offline


def _proxying(seen: list[bytes]) -> Handler:
    async def handler(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(response(b"by proxy"))

    return handler


def test_the_proxy_in_the_environment_is_used_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    with RawServer(_proxying(seen)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert asked(get("http://api.example.invalid/v1"))[2] == b"by proxy"
    assert seen[0].startswith(b"GET http://api.example.invalid/v1 ")


def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{refused_port()}")
    monkeypatch.setenv("NO_PROXY", "example.invalid")
    assert "api.example.invalid" in failing(get("http://api.example.invalid/v1")).message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost"])
def test_loopback_never_goes_through_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{refused_port()}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{refused_port()}")
    with RawServer(saying(response(b"direct"))) as server:
        if host == "127.8.8.8":
            assert failing(get(f"http://{host}:{refused_port()}")).message.startswith("nothing")
        else:
            assert asked(get(f"http://{host}:{server.port}"))[2] == b"direct"


def test_a_proxy_that_is_not_running_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    port = refused_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    fault = failing(post("https://api.example.invalid"))
    assert (fault.kind, fault.sent) == (FaultKind.REFUSED, False)
    assert f"the proxy 127.0.0.1:{port}" in fault.message
    assert "HTTPS_PROXY" in (fault.hint or "")


def test_a_proxy_that_wants_a_password_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def handler(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(response(b"", "407 Proxy Authentication Required"))

    with RawServer(handler) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        fault = failing(post("https://api.example.invalid"))
    assert (fault.kind, fault.retryable, fault.sent) == (FaultKind.NETWORK, False, False)
    assert "proxy" in fault.message
    assert "407" in fault.message
    assert KEY.encode() not in seen[0]


def test_a_proxy_that_never_opens_the_tunnel_is_a_connect_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer(_silent) as proxy, took_less_than(3):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        fault = failing(post("https://api.example.invalid", Timeouts(0.3, 5, 5, 10)))
    assert (fault.kind, fault.sent) == (FaultKind.TIMEOUT, False)
    assert "the proxy" in fault.message


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "gopher://x:1"])
def test_a_proxy_that_cannot_be_used_is_a_config_fault(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    fault = failing(get("http://api.example.invalid"))
    assert fault.kind is FaultKind.CONFIG
    assert "proxy" in fault.message


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "http://10.0.0.1",
        "http://127.0.0.1@evil.example",
        "http://0.0.0.0",
    ],
)
def test_offline_refuses_whatever_is_not_this_machine(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    with RawServer(_proxying(seen)) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        fault = failing(get(url), offline=True)
        assert proxy.connections == 0
    assert (fault.kind, fault.sent, fault.retryable) == (FaultKind.OFFLINE, False, False)


def test_offline_still_reaches_this_machine() -> None:
    with RawServer(saying(response(b"here"))) as server:
        assert asked(get(server.url), offline=True)[2] == b"here"


# Debug


def test_debug_shows_the_talk_without_the_key() -> None:
    lines: list[str] = []
    echo = f'data: {{"error":"bad key {KEY[:20]}..."}}\n\n'.encode()
    with RawServer(saying(response(echo, "401 No", f"x-echo: {KEY}"))) as server:
        asked(post(server.url), debug=lines.append)
    said = "\n".join(lines)
    assert "> POST http://127.0.0.1" in said
    assert '> {"a":1}' in said
    assert "< 401" in said
    assert "bad key" in said
    assert not any(KEY[i : i + 8] in said for i in range(len(KEY) - 7))


def test_importing_the_transport_does_not_import_the_client() -> None:
    code = "import sys, nemocli.io.http.direct as t; t.DirectTransport('x');"
    code += "print('httpx2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
