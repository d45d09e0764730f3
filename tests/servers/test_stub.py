"""The stub does what it is told, seen with a client of its own kind and with bare sockets."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.servers import errors
from tests.servers.answer import (
    HOSTILE,
    Answer,
    commented,
    crlf,
    giant_line,
    hostile,
    length,
    odd_chunks,
    reasoning_only,
    split_utf8,
)
from tests.servers.behaviours import (
    BigStream,
    Cut,
    Drip,
    Gzip,
    MidStreamError,
    Noise,
    Raw,
    Reset,
    Stall,
    Status,
    empty_body,
    html,
    redirect,
    wrong_type,
)
from tests.servers.certificate import self_signed
from tests.servers.process import launched
from tests.servers.script import BEHAVIOURS, behaviour
from tests.servers.stub import Stub

ASKED = {"model": "x/anything", "stream": True, "messages": [{"role": "user", "content": "hi"}]}


def ask(stub: Stub, path: str = "/chat/completions", **body: Any) -> httpx2.Response:
    return httpx2.post(stub.url + path, json={**ASKED, **body}, timeout=5)


def events(body: str) -> list[Any]:
    lines = body.replace("\r\n", "\n").split("\n")
    found = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(e) for e in found if e != "[DONE]"]


def text_of(body: str) -> str:
    deltas = [c["delta"] for e in events(body) for c in e.get("choices", [])]
    return "".join(d.get("content") or "" for d in deltas)


def spoken(stub: Stub, rest: bytes = b"") -> bytes:
    """Everything a bare socket receives after one streaming request."""
    parts = urlsplit(stub.url)
    body = json.dumps(ASKED).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port), 5) as sock:
        sock.sendall(head.encode() + body + rest)
        with suppress(OSError):  # a reset may be here already; reading tells of it
            sock.shutdown(socket.SHUT_WR)
        received = b""
        while data := sock.recv(65536):
            received += data
    return received


def test_streams_chat_and_records_what_was_asked() -> None:
    with Stub(Answer("Hi there", reasoning="hm", upstream="NVIDIA", cost=0.000123)) as stub:
        reply = ask(stub)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert text_of(reply.text) == "Hi there"
    assert reply.text.endswith("data: [DONE]\n\n")
    first, *_, finish, usage = events(reply.text)
    assert first["model"] == "x/anything"
    assert first["provider"] == "NVIDIA"
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["cost"] == 0.000123
    (request,) = stub.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.json == ASKED
    assert request.headers["content-type"] == "application/json"


def test_answers_whole_when_no_stream_is_asked_for() -> None:
    with Stub(Answer("Hi", tool_calls=(("f", '{"a":1}'),), finish="tool_calls")) as stub:
        message = ask(stub, stream=False).json()["choices"][0]["message"]
    assert message["content"] == "Hi"
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}


def test_speaks_the_responses_dialect_without_done() -> None:
    with Stub(Answer("Hi there", cost=0.5)) as stub:
        streamed = ask(stub, "/responses").text
        whole = ask(stub, "/responses", stream=False).json()
    assert "[DONE]" not in streamed
    got = events(streamed)
    assert [e["sequence_number"] for e in got] == list(range(len(got)))
    deltas = [e["delta"] for e in got if e["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "Hi there"
    assert got[-1]["type"] == "response.completed"
    assert got[-1]["response"]["usage"]["cost"]["total_cost"] == 0.5
    assert whole["output"][0]["content"][0]["text"] == "Hi there"


def test_behaviours_come_in_turn_and_the_last_repeats() -> None:
    with Stub(Status(503), Answer()) as stub:
        assert [ask(stub).status_code for _ in range(3)] == [503, 200, 200]


def test_paths_have_scripts_of_their_own() -> None:
    with Stub() as stub:
        stub.on("/v1/models", Status(401))
        assert httpx2.get(stub.url + "/models").status_code == 401
        assert ask(stub).status_code == 200
        assert len(stub.asked()) == 1
        assert len(stub.asked("/models")) == 1


def test_lists_models_and_tells_what_a_generation_cost() -> None:
    with Stub(Answer(cost=0.25, upstream="NVIDIA"), models=["a/b"]) as stub:
        assert [m["id"] for m in httpx2.get(stub.url + "/models").json()["data"]] == ["a/b"]
        assert httpx2.get(stub.url + "/models/a/b").json()["id"] == "a/b"
        assert httpx2.get(stub.url + "/models/nobody").status_code == 404
        assert httpx2.get(stub.url + "/generation?id=gen-x").status_code == 404
        reply_id = ask(stub).headers["x-generation-id"]
        data = httpx2.get(f"{stub.url}/generation?id={reply_id}").json()["data"]
    assert (data["total_cost"], data["provider_name"]) == (0.25, "NVIDIA")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (crlf("a b"), "a b"),
        (commented("a b"), "a b"),
        (odd_chunks("a b"), "a b"),
        (split_utf8(), split_utf8().text),
        (hostile(), HOSTILE),
        (length("cut"), "cut"),
        (reasoning_only(), ""),
        (Answer("a b", empty_choices=True, garbage="data: {oops\n\n\x00"), None),
        (Answer("a b", usage_place="finish"), "a b"),
        (Answer("a b", framing="close"), "a b"),
        (Answer("a b", framing="length"), "a b"),
        (Answer("a b", delay_s=0.01, gap_s=0.001), "a b"),
    ],
)
def test_every_spelling_of_a_good_answer_arrives(answer: Answer, text: str | None) -> None:
    with Stub(answer) as stub:
        body = ask(stub).text
    assert text is None or text_of(body) == text
    assert ": OPENROUTER PROCESSING" in body or not answer.comments
    assert ("\r\n\r\n" in body) == (answer.newline == "\r\n")
    assert "[DONE]" in body


def test_multi_byte_characters_are_cut_between_chunks() -> None:
    with Stub(split_utf8("é")) as stub:
        assert b"1\r\n\xc3\r\n1\r\n\xa9\r\n" in spoken(stub)


def test_a_giant_line_is_one_line() -> None:
    with Stub(giant_line(1_000_000)) as stub:
        assert max(map(len, ask(stub).text.split("\n"))) > 1_000_000


def test_cuts_cleanly_after_events_and_uncleanly_after_bytes() -> None:
    with Stub(Cut(after_events=3, answer=Answer("one two three"))) as stub:
        assert text_of(ask(stub).text) == "one two "
    with Stub(Cut(after_bytes=100, clean=False)) as stub:
        raw = spoken(stub)
        with pytest.raises(httpx2.RemoteProtocolError):
            ask(stub)
    assert not raw.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "variant", ["int_code", "string_code", "no_code", "string_error", "nim", "choice"]
)
def test_mid_stream_errors_follow_some_text_under_status_200(variant: Any) -> None:
    with Stub(MidStreamError(variant, after_events=2, answer=Answer("Hello, world."))) as stub:
        reply = ask(stub)
        whole = ask(stub, stream=False).json()
    assert reply.status_code == 200
    assert text_of(reply.text) == "Hell"
    assert "Provider returned error" in json.dumps(events(reply.text)[-1])
    assert "Provider returned error" in json.dumps(whole)


@pytest.mark.parametrize("variant", ["failed", "error_event"])
def test_the_responses_dialect_fails_in_its_own_words(variant: Any) -> None:
    with Stub(MidStreamError(variant, after_events=2)) as stub:
        assert events(ask(stub, "/responses").text)[-1]["type"] in ("response.failed", "error")


def test_resets_before_the_headers_and_in_the_body() -> None:
    with Stub(Reset(), Reset(after_events=2)) as stub:
        with pytest.raises(ConnectionResetError):
            spoken(stub)
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            ask(stub)


@pytest.mark.parametrize("stall", [Stall(), Stall(after_events=0), Stall(after_events=2)])
def test_a_stall_lasts_until_the_client_leaves(stall: Stall) -> None:
    with Stub(stall) as stub:
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(stub.url + "/chat/completions", json=ASKED, timeout=0.1)
        assert stub.requests[0].gone.wait(5)


def test_drips() -> None:
    with Stub(Drip(every_s=0.01, size=100)) as stub:
        begun = time.monotonic()
        assert text_of(ask(stub).text) == "Hello, world."
        assert time.monotonic() - begun > 0.05


def test_compresses_well_and_badly() -> None:
    with Stub(Gzip()) as stub:
        assert text_of(ask(stub).text) == "Hello, world."
    for broken in ("corrupt", "lie"):
        with Stub(Gzip(broken=broken)) as stub, pytest.raises(httpx2.DecodingError):
            ask(stub)
    with Stub(Gzip(Answer(framing="close"), broken="cut")) as stub:
        body = spoken(stub).partition(b"\r\n\r\n")[2]
        with pytest.raises(EOFError):
            gzip.decompress(body)
        assert zlib.decompressobj(wbits=31).decompress(body).startswith(b"data: ")


def test_statuses_carry_bodies_of_every_family() -> None:
    families = [
        errors.problem(429, "Too Many Requests"),
        errors.openai("no", code="x"),
        errors.bare("Internal server error", "internal_server_error", 500),
        errors.PLAIN_404,
        errors.openrouter(402, "no credit", error_type="payment_required"),
        errors.availability(404, "no_endpoints", "none", retryable=False),
        None,
    ]
    with Stub(*(Status(500, body, {"nvcf-reqid": "r-1"}) for body in families)) as stub:
        replies = [ask(stub) for _ in families]
    kinds = [r.headers["content-type"].split(";")[0] for r in replies]
    assert kinds[:4] == [
        "application/problem+json",
        "application/json",
        "application/json",
        "text/plain",
    ]
    assert [r.json() for r in replies[:3]] == families[:3]
    assert replies[-1].content == b""
    assert replies[0].headers["nvcf-reqid"] == "r-1"


def test_retry_after_in_seconds_and_as_a_date() -> None:
    with Stub(Status(429, retry_after=2), Status(429, retry_after=60, as_date=True)) as stub:
        assert ask(stub).headers["retry-after"] == "2"
        at = parsedate_to_datetime(ask(stub).headers["retry-after"])
    assert 50 < at.timestamp() - time.time() <= 60


def test_success_of_the_wrong_kind() -> None:
    with Stub(html(), wrong_type(), empty_body(), redirect("https://x.invalid/v1"), Raw("?")) as s:
        assert "<html>" in ask(s).text
        assert ask(s).headers["content-type"] == "application/xml"
        assert ask(s).content == b""
        assert ask(s).headers["location"] == "https://x.invalid/v1"
        assert ask(s).text == "?"
    with Stub(Noise()) as stub, pytest.raises(httpx2.RemoteProtocolError):
        ask(stub)


def test_a_big_stream_has_exactly_its_size() -> None:
    with Stub(BigStream(1_000_001, piece=1000)) as stub:
        assert len(text_of(ask(stub).text)) == 1_000_001


def test_connections_are_kept_and_many_are_served_at_once() -> None:
    with Stub(Answer("Hi", delay_s=0.05)) as stub:
        with httpx2.Client() as client:
            for _ in range(3):
                client.post(stub.url + "/chat/completions", json=ASKED)
        assert stub.connections == 1
        begun = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: ask(stub), range(16)))
        assert time.monotonic() - begun < 16 * 0.05 + 2


def test_a_chunked_request_body_is_read() -> None:
    with Stub() as stub:
        parts = (p for p in (b'{"model": ', b'"m", "stream": false}'))
        httpx2.post(stub.url + "/chat/completions", content=parts)
    assert stub.requests[0].json == {"model": "m", "stream": False}


def test_waiting_for_requests_ends_when_they_come_or_time_is_up() -> None:
    with Stub() as stub:
        thread = threading.Thread(target=ask, args=(stub,))
        thread.start()
        assert len(stub.wait_for(1)) == 1
        thread.join()
        with pytest.raises(TimeoutError):
            stub.wait_for(2, timeout_s=0.01)


def test_speaks_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    pair = self_signed(tmp_path)
    if pair is None:
        pytest.skip("neither the cryptography package nor the openssl binary is here")
    import ssl

    with Stub(tls=pair) as stub:
        trust = ssl.create_default_context(cafile=str(pair[0]))
        reply = httpx2.post(stub.url + "/chat/completions", json=ASKED, verify=trust)
        assert text_of(reply.text) == "Hello, world."
        with pytest.raises(httpx2.ConnectError):
            ask(stub)


def test_runs_from_the_command_line_with_a_script() -> None:
    rows = [{"do": "Status", "code": 503}, {"do": "Cut", "after_events": 2, "answer": {"piece": 5}}]
    with launched({"*": rows, "/v1/models": [{"do": "Html"}]}) as url:
        assert httpx2.post(url + "/chat/completions", json=ASKED).status_code == 503
        assert text_of(httpx2.post(url + "/chat/completions", json=ASKED).text) == "Hello"
        assert "Hotel" in httpx2.get(url + "/models").text


def test_the_script_language_knows_every_behaviour() -> None:
    needed = {"Redirect": {"to": "/x"}, "Status": {"code": 500}, "Raw": {"body": "x"}}
    for name in BEHAVIOURS:
        behaviour({"do": name, **needed.get(name, {})})


def test_help_says_how_to_start_it() -> None:
    line = [sys.executable, "tests/servers/stub.py", "--help"]
    root = Path(__file__).parents[2]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=True)
    assert "--script" in done.stdout
