"""HTTP straight to its server: byte for byte what the general client gives, failures included."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.ports import Call
from nemocli.core.provider import Timeouts
from nemocli.io.http.direct import DirectTransport
from nemocli.io.http.general import GeneralTransport
from tests.servers.certificate import self_signed
from tests.servers.raw import Handler, Peer, RawServer, refused_port, response, saying

KEY = "nvapi-0123456789abcdefghijklmnop"
TIMES = Timeouts(connect_s=5, first_byte_s=5, idle_s=5, total_s=10)
BODY = b'{"id":"x","choices":[],"text":"\xe2\x82\xac"}'


@pytest.fixture(autouse=True)
def _no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def post(url: str, timeouts: Timeouts = TIMES, body: bytes = b'{"a":1}') -> Call:
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    return Call("POST", url + "/v1/chat", headers, body, timeouts, (KEY,))


async def fetched(call: Call, *, many: bool) -> tuple[int, str | None, bytes]:
    kind = DirectTransport if many else GeneralTransport
    async with kind("nemocli/test") as http, http.send(call) as reply:
        body = b"".join([part async for part in reply.chunks])
        return reply.status, reply.headers.get("content-type"), body


def asked(call: Call, *, many: bool) -> object:
    """What came, or the kind of what went wrong and whether it may have been billed."""
    try:
        return asyncio.run(fetched(call, many=many))
    except NemoError as error:
        fault = error.fault
    assert KEY not in str(fault)
    return fault.kind, fault.sent


def chunked(*parts: bytes, extension: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts]
    return head + b"".join(pieces) + b"0\r\n\r\n"


def bytewise(data: bytes) -> Handler:
    async def handler(peer: Peer) -> None:
        await peer.request()
        for at in range(len(data)):
            await peer.say(data[at : at + 1])
            await asyncio.sleep(0)

    return handler


FRAMINGS: dict[str, Handler] = {
    "length": saying(response(BODY)),
    "chunks": saying(chunked(BODY[:7], BODY[7:])),
    "chunks with extensions": saying(chunked(BODY, extension=b";a=b")),
    "until the end": saying(b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n\r\n" + BODY),
    "HTTP/1.0": saying(b"HTTP/1.0 200 OK\r\n\r\n" + BODY),
    "nothing": saying(response(b"")),
    "continue first": saying(b"HTTP/1.1 100 Continue\r\n\r\n" + response(BODY)),
    "processing first": saying(b"HTTP/1.1 102 Processing\r\n\r\n" + response(BODY)),
    "early hints": saying(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + response(BODY)),
    "a refusal": saying(response(b'{"error":1}', "429 Too Many Requests", "retry-after: 2")),
    "byte by byte": bytewise(response(BODY, "200 OK", "content-type: a/b")),
    "chunks byte by byte": bytewise(chunked(BODY[:3], BODY[3:])),
    "gzip": saying(response(gzip.compress(BODY), "200 OK", "content-encoding: gzip")),
    "gzip that lies": saying(response(b"not gzip", "200 OK", "content-encoding: gzip")),
    "an unknown coding": saying(response(BODY, "200 OK", "content-encoding: sdch")),
    "a body cut short": saying(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"),
    "a chunk cut short": saying(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc"),
    "nonsense": saying(b"SSH-2.0-OpenSSH_9\r\n\r\n"),
    "a nonsense chunk": saying(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nnonsense\r\n"
    ),
    "no answer": saying(),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_it_reads_what_the_general_client_reads(name: str) -> None:
    with RawServer(FRAMINGS[name]) as server:
        assert asked(post(server.url), many=True) == asked(post(server.url), many=False)


def test_a_call_that_says_it_is_the_last_has_a_connection_of_its_own() -> None:
    """Some servers close after a streamed reply and do not say so: the next call would meet it."""

    async def handler(peer: Peer) -> None:
        while await peer.request():
            await peer.say(response(BODY))

    async def go(url: str) -> None:
        call = post(url)
        last = replace(call, headers={**call.headers, "connection": "close"})
        async with DirectTransport("nemocli/test") as http:
            for each in (last, last, call, call):
                async with http.send(each) as reply:
                    assert b"".join([part async for part in reply.chunks]) == BODY

    with RawServer(handler) as server:
        asyncio.run(go(server.url))
        assert server.connections == 3


ENDINGS = {
    "the end": b"0\r\n\r\n",
    "what was waited for, and no end": b"6\r\n[DONE]\r\n",
    "nothing but an end of the connection": None,
    "silence": b"",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("piece", [b"%d", b"data: %d\n\n"], ids=["pieces", "events"])
def test_a_body_may_come_while_nobody_waits_for_each_piece(ending: str, piece: bytes) -> None:
    last = ENDINGS[ending]

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(5):
            said = piece % number
            await peer.say(b"%x\r\n%b\r\n" % (len(said), said))
            await asyncio.sleep(0.05)
        if last is not None:
            await peer.say(last)
            await asyncio.sleep(0 if last.startswith(b"0") else 8)

    async def go(url: str) -> tuple[bytes, list[float], NemoError | None]:
        data, times = b"", []
        quiet = Timeouts(connect_s=5, first_byte_s=5, idle_s=1, total_s=20)
        call = replace(post(url, quiet), timed=True)
        async with DirectTransport("nemocli/test") as http, http.send(call) as reply:
            assert reply.coming is not None
            try:
                async for chunk in reply.chunks:
                    data += chunk
                    times.append(reply.coming.arrived)
                    if chunk == b"[DONE]":
                        break
                    await reply.coming.rest(b"[DONE]")
            except NemoError as error:
                return data, times, error
        return data, times, None

    with RawServer(handler) as server:
        data, times, error = asyncio.run(go(server.url))
    wanted = b"".join(piece % number for number in range(5))
    assert data[: len(wanted)] == wanted
    assert times == sorted(times)
    assert times[4] - times[0] > 0.15
    kinds = {
        "silence": FaultKind.TIMEOUT,
        "nothing but an end of the connection": FaultKind.CUT,
    }
    assert (None if error is None else error.fault.kind) == kinds.get(ending)


@given(
    st.lists(st.integers(1, 300) | st.just(3000), min_size=1, max_size=300),
    st.randoms(use_true_random=False),
    st.sampled_from([b"0\r\n\r\n", b"0\r\nx-more: 1\r\n\r\n"]),
)
@settings(max_examples=25, deadline=None)
def test_a_body_that_nobody_waited_for_is_whole(
    sizes: list[int], chance: random.Random, end: bytes
) -> None:
    """Events of any length in any cut, and an end with trailers."""
    events = [b"data: " + b"x" * size + b"\n\n" for size in sizes]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in events) + end

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        at = 0
        while at < len(wire):
            step = chance.choice([len(events[0]) + 6, 7, 400, 60_000])
            await peer.say(wire[at : at + step])
            at += step

    async def go(url: str) -> tuple[bytes, list[float]]:
        pieces: list[tuple[float, bytes]] = []
        call = replace(post(url), timed=True)
        async with DirectTransport("nemocli/test") as http, http.send(call) as reply:
            assert reply.coming is not None
            async for chunk in reply.chunks:
                pieces.append((reply.coming.arrived, chunk))
                pieces += reply.coming.take_all()
                await reply.coming.rest(b"[DONE]")
        return b"".join(data for _, data in pieces), [at for at, _ in pieces]

    with RawServer(handler) as server:
        data, times = asyncio.run(go(server.url))
    assert data == b"".join(events)
    assert times == sorted(times)


def test_the_request_is_the_same() -> None:
    seen: list[tuple[set[str], bytes]] = []

    async def handler(peer: Peer) -> None:
        head = await peer.request()
        lines = head.decode("latin-1").lower().strip().split("\r\n")
        seen.append(({line for line in lines if not line.startswith("accept")}, peer.body))
        await peer.say(response(b"{}", "200 OK", "connection: close"))

    with RawServer(handler) as server:
        call = post(server.url, body='{"ü":1}'.encode())
        asked(call, many=True)
        asked(call, many=False)
    ours, theirs = seen
    assert ours[1] == theirs[1]
    assert ours[0] == theirs[0] - {"connection: keep-alive"}


def test_a_connection_is_used_again() -> None:
    async def handler(peer: Peer) -> None:
        for _ in range(5):
            await peer.request()
            await peer.say(response(b"{}"))

    async def five(url: str) -> None:
        async with DirectTransport("t") as http:
            for _ in range(5):
                async with http.send(post(url)) as reply:
                    assert [part async for part in reply.chunks] == [b"{}"]

    with RawServer(handler) as server:
        asyncio.run(five(server.url))
        assert server.connections == 1


def test_paths_of_one_server_share_a_connection_and_a_get_has_no_body() -> None:
    async def handler(peer: Peer) -> None:
        for _ in range(3):
            heads.append((await peer.request()).decode("latin-1").lower())
            await peer.say(response(b"{}"))

    heads: list[str] = []

    async def three(url: str) -> None:
        async with DirectTransport("t") as http:
            for method, path in (("POST", "/a"), ("GET", "/b?c=d%20e"), ("POST", "/f")):
                async with http.send(Call(method, url + path, timeouts=TIMES)) as reply:
                    assert [part async for part in reply.chunks] == [b"{}"]

    with RawServer(handler) as server:
        asyncio.run(three(server.url))
        assert server.connections == 1
    assert [head.split(" http/1.1")[0] for head in heads] == [
        "post /a",
        "get /b?c=d%20e",
        "post /f",
    ]
    assert ["content-length: 0" in head for head in heads] == [True, False, True]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/a b", "http://127.0.0.1:{port}/ü", "http://127.0.0.1:{port}?a=b"],
)
def test_odd_addresses_are_written_as_the_general_client_writes_them(url: str) -> None:
    seen: list[bytes] = []

    async def handler(peer: Peer) -> None:
        head = await peer.request()
        seen.append(head.split(b"\r\n")[0])
        await peer.say(response(b"{}"))

    with RawServer(handler) as server:
        call = Call("GET", url.format(port=server.url.rpartition(":")[2]), timeouts=TIMES)
        assert asked(call, many=True) == asked(call, many=False)
    assert seen[0] == seen[1]


def test_one_that_ended_while_it_was_idle_is_not_used_again() -> None:
    async def three(url: str) -> None:
        async with DirectTransport("t") as http:
            for _ in range(3):
                async with http.send(post(url)) as reply:
                    assert [part async for part in reply.chunks] == [b"{}"]
                await asyncio.sleep(0.05)

    with RawServer(saying(response(b"{}"))) as server:
        asyncio.run(three(server.url))
        assert server.connections == 3


@pytest.mark.parametrize(
    ("timeouts", "said"),
    [
        (Timeouts(5, 0.3, 5, 10), "sent nothing"),
        (Timeouts(5, 5, 0.3, 10), "stopped sending"),
        (Timeouts(5, 5, 5, 0.3), "was not done"),
    ],
    ids=["first byte", "idle", "total"],
)
def test_deadlines_are_kept(timeouts: Timeouts, said: str) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        if said == "stopped sending":
            await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")
        await peer.gone()

    with RawServer(handler) as server, pytest.raises(NemoError) as caught:
        asyncio.run(fetched(post(server.url, timeouts), many=True))
    assert caught.value.fault.kind is FaultKind.TIMEOUT
    assert said in caught.value.fault.message


def test_nobody_there_is_nothing_sent() -> None:
    call = post(f"http://127.0.0.1:{refused_port()}")
    assert asked(call, many=True) == asked(call, many=False) == (FaultKind.REFUSED, False)


def test_a_cancelled_call_closes_its_connection() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        server.client_spoke.set()
        await peer.gone()
        server.handler_spoke.set()

    async def cancelled(url: str) -> None:
        task = asyncio.create_task(fetched(post(url), many=True))
        await asyncio.to_thread(server.client_spoke.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with RawServer(handler) as server:
        asyncio.run(cancelled(server.url))
        assert server.handler_spoke.wait(5)


def test_a_header_that_would_smuggle_another_is_refused_unshown() -> None:
    with RawServer(saying(response(b""))) as server:
        call = Call("POST", server.url, {"authorization": f"Bearer {KEY}\r\nx: y"}, secrets=(KEY,))
        assert asked(call, many=True) == (FaultKind.CONFIG, False)


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = self_signed(tmp_path)
    if pem is None:
        pytest.skip("nothing here makes certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pem)
    with RawServer(saying(response(b"ok")), context) as server:
        assert asked(post(server.url), many=True) == (FaultKind.TLS, False)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem[0]))
        assert asked(post(server.url), many=True) == (200, None, b"ok")


# What a server sends that nobody asked for

FIRST, SECOND = b'{"answer":"first"}', b'{"answer":"second"}'


async def in_turn(
    url: str, count: int, *, pause_s: float = 0.0, fresh: bool = False
) -> list[bytes]:
    """The bodies of calls one after another; `b""` for one that failed."""
    got = []
    async with DirectTransport("t", fresh=fresh) as http:
        for number in range(count):
            try:
                async with http.send(post(url, body=b'{"n":%d}' % number)) as reply:
                    got.append(b"".join([part async for part in reply.chunks]))
            except NemoError:
                got.append(b"")
            await asyncio.sleep(pause_s)
    return got


@pytest.mark.parametrize("extra", [response(SECOND), b"HTTP", b"garbage", b"{}", b"\r\n{}"])
@pytest.mark.parametrize("pause_s", [0.0, 0.02])
def test_what_follows_a_reply_reaches_no_body(extra: bytes, pause_s: float) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(FIRST) + extra)
        await peer.gone()

    with RawServer(handler) as server:
        got = asyncio.run(in_turn(server.url, 3, pause_s=pause_s))
        assert server.connections == 3
    assert got == [FIRST] * 3


def test_a_second_reply_that_comes_a_little_later_is_nobodys() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(FIRST))
        await asyncio.sleep(0.01)
        with contextlib.suppress(ConnectionError):
            await peer.say(response(SECOND))
        await peer.gone()

    with RawServer(handler) as server:
        assert asyncio.run(in_turn(server.url, 3, pause_s=0.05)) == [FIRST] * 3
        assert asyncio.run(in_turn(server.url, 3, fresh=True)) == [FIRST] * 3


def test_a_reply_before_its_request_was_written_is_none() -> None:
    async def handler(peer: Peer) -> None:
        await peer.say(response(FIRST))
        await peer.gone()

    async def main(url: str) -> object:
        call = post(url, body=b"x" * 30_000_000)
        async with DirectTransport("t") as http, http.send(call) as r:
            return [part async for part in r.chunks]

    with RawServer(handler) as server, pytest.raises(NemoError) as caught:
        asyncio.run(main(server.url))
    assert caught.value.fault.kind is FaultKind.PROTOCOL


def test_a_slow_reader_holds_the_server_back_and_gets_every_byte() -> None:
    piece, count, sent = b"x" * 100_000, 600, 0

    async def handler(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(piece) * count))
        for _ in range(count):
            await peer.say(piece)
            sent += len(piece)
        await peer.request()
        await peer.say(response(b"{}"))

    async def main(url: str) -> None:
        async with DirectTransport("t") as http:
            async with http.send(post(url)) as reply:
                got = len(await anext(reply.chunks))
                await asyncio.sleep(0.5)
                assert sent < len(piece) * count / 2  # what the system's own buffers take
                async for part in reply.chunks:
                    got += len(part)
                assert got == len(piece) * count
            async with http.send(post(url)) as reply:
                assert [part async for part in reply.chunks] == [b"{}"]

    with RawServer(handler) as server:
        asyncio.run(main(server.url))
        assert server.connections == 1


WRONG = b'{"to":"somebody else"}'
MISCHIEF: dict[str, Callable[[bytes], list[bytes]]] = {
    "plain": lambda own: [response(own)],
    "twice": lambda own: [response(own) + response(WRONG)],
    "twice in parts": lambda own: [response(own)[:9], response(own)[9:] + response(WRONG)[:30]],
    "begun again": lambda own: [response(own) + b"HTTP/1.1 200"],
    "garbage after": lambda own: [response(own) + b"\0\0"],
    "too long": lambda own: [response(own) + WRONG],
    "hints first": lambda own: [b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" + response(own)],
    "processing": lambda own: [b"HTTP/1.1 102 Processing\r\n\r\n", response(own)],
    "two lengths": lambda own: [
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: %d\r\n\r\n%b" % (len(own), own)
    ],
    "length and chunks": lambda own: [
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(own), own)
    ],
    "chunks and more": lambda own: [chunked(own) + response(WRONG)],
}
"""What servers and proxies do to a reply; every reply names the call it is for."""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(MISCHIEF)), min_size=1, max_size=8), st.booleans())
def test_whatever_a_server_does_a_call_gets_its_own_answer_or_none(
    tricks: list[str], pause: bool
) -> None:
    turns = iter(tricks)

    async def handler(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError):
            while await peer.request():
                own = b'{"to":%b}' % peer.body
                for part in MISCHIEF[next(turns, "plain")](own):
                    await peer.say(part)
                    await asyncio.sleep(0)

    with RawServer(handler) as server:
        got = asyncio.run(in_turn(server.url, len(tricks) + 2, pause_s=0.002 * pause))
    for number, body in enumerate(got):
        assert body in (b"", b'{"to":{"n":%d}}' % number)
