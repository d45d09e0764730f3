"""The gateway over real sockets: clients on one side, a seller with faults on the other."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.run import KEY, Done, Home, Running, run, spawn
from tests.servers.answer import Answer
from tests.servers.behaviours import BigStream, Cut, MidStreamError, Raw, Reset, Stall, Status
from tests.servers.stub import Stub

HI = [{"role": "user", "content": "hi"}]


@dataclass
class Client:
    """A program that was pointed at the gateway."""

    url: str
    token: str | None

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").removesuffix("/v1").partition(":")
        return host, int(port)

    def ask(
        self, path: str = "/v1/chat/completions", body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = self.open(path, body, **headers)
        reply = connection.getresponse()
        found = {k.lower(): v for k, v in reply.getheaders()}
        try:
            return reply.status, found, reply.read()
        finally:
            connection.close()

    def open(self, path: str, body: object = None, **headers: str) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        sent = {"authorization": f"Bearer {self.token}", **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("GET" if body is None else "POST", path, data, sent)
        return connection

    def chat(self, **fields: Any) -> tuple[int, dict[str, str], Any]:
        status, headers, body = self.ask(body={"model": "m", "messages": HI, **fields})
        return status, headers, json.loads(body)

    def streamed(self, **fields: Any) -> list[str]:
        """The lines of data of a stream. Raises IncompleteRead when it did not end well."""
        _, _, body = self.ask(body={"model": "m", "messages": HI, "stream": True, **fields})
        return [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]


@dataclass
class Gateway:
    """A gateway in front of a stub."""

    home: Home
    stub: Stub
    running: Running
    client: Client


def started(home: Home, *args: str) -> tuple[Running, Client]:
    running = spawn("serve", "--json", *args, home=home)
    told = json.loads(running.until("}"))
    assert told["schema"] == "nemocli.serve/1"
    assert told["pid"] == running.process.pid
    return running, Client(told["base_url"], told["token"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = Home(tmp_path_factory.mktemp("serve") / "user")
    with Stub() as stub:
        home.provider("search", stub.url, extends="perplexity", default_model="m")
        home.provider("stub", stub.url, default_model="m")
        running, client = started(home, "-p", "stub", "--tag", "agent", "--loop-guard", "0")
        with running:
            yield Gateway(home, stub, running, client)


def test_an_answer_is_handed_on_booked_and_named(gateway: Gateway) -> None:
    gateway.stub.script(Answer("Hello.", reasoning="Hm.", cost=0.25))
    status, headers, body = gateway.client.chat(temperature=0.1, new_field={"a": 1})
    assert status == 200
    message = body["choices"][0]["message"]
    assert (message["content"], message["reasoning"]) == ("Hello.", "Hm.")
    assert body["usage"]["total_tokens"] > 0
    row = gateway.home.attempts()[-1]
    assert headers["x-nemocli-attempt"] == row["attempt_id"]
    assert headers["x-nemocli-provider"] == "stub"
    assert headers["x-nemocli-cost-usd"] == "0.25"
    assert row["command"] == "serve"
    asked = gateway.stub.asked()[-1]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert gateway.client.token not in str(asked.headers)
    assert asked.json["new_field"] == {"a": 1}
    assert asked.json["messages"] == HI


def test_a_stream_is_handed_on_piece_by_piece(gateway: Gateway) -> None:
    gateway.stub.script(Answer("Hello, world.", tool_calls=(("look", '{"q": 1}'),)))
    lines = gateway.client.streamed(stream_options={"include_usage": True})
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    assert "".join(d.get("content") or "" for d in deltas) == "Hello, world."
    parts = [p for d in deltas for p in d.get("tool_calls", ())]
    assert "".join(p["function"].get("arguments", "") for p in parts) == '{"q": 1}'
    assert chunks[-1]["usage"]["prompt_tokens"] > 0
    assert all("usage" not in json.loads(line) for line in gateway.client.streamed()[:-1])


OWN_BYTES = (
    b": hello\n\n"
    b'data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant"}}],"odd":1}\r\n\r\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"Hi","new":[1]},"finish_reason":null}]}\n\n'
    b'data:{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
)
COUNTS = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
DONE = b"data: [DONE]\n\n"


def test_a_stream_of_the_same_dialect_is_handed_on_byte_for_byte(gateway: Gateway) -> None:
    gateway.stub.script(Raw(OWN_BYTES + COUNTS + DONE))
    wish = {"model": "m", "messages": HI, "stream": True}
    assert gateway.client.ask(body=wish)[2] == OWN_BYTES + DONE
    asked = {**wish, "stream_options": {"include_usage": True}}
    assert gateway.client.ask(body=asked)[2] == OWN_BYTES + COUNTS + DONE
    assert gateway.home.attempts()[-1]["output_tokens"] == 1
    gateway.stub.script(Raw(OWN_BYTES))  # without its last line
    assert gateway.client.ask(body=wish)[2] == OWN_BYTES + DONE
    half = OWN_BYTES[: OWN_BYTES.index(b"data:{")]
    gateway.stub.script(Raw(half))
    with pytest.raises(http.client.IncompleteRead) as caught:
        gateway.client.ask(body=wish)
    assert caught.value.partial.startswith(half + b'data: {"error"')
    assert b"[DONE]" not in caught.value.partial


def resident(pid: int) -> int:
    """Bytes of memory a process holds."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_reader_that_does_not_read_holds_the_server_back(gateway: Gateway, path: str) -> None:
    size = 100_000_000
    gateway.stub.script(BigStream(size))
    wish = {"model": "m", "messages": HI, "stream": True, "max_tokens": 9}
    pid = gateway.running.process.pid
    before = resident(pid)
    connection = gateway.client.open(path, wish)
    time.sleep(1.5)
    assert resident(pid) - before < 30_000_000
    connection.close()
    gateway.stub.script(Answer("Hello."))
    assert gateway.client.chat()[0] == 200


@pytest.mark.parametrize(
    "fault",
    [Cut(after_events=3, clean=True), Cut(after_events=3, clean=False), Reset(3), MidStreamError()],
    ids=["clean cut", "cut", "reset", "error in the stream"],
)
def test_a_reply_that_breaks_off_is_never_a_clean_end(gateway: Gateway, fault: Any) -> None:
    gateway.stub.script(fault)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)) as caught:
        gateway.client.streamed()
    if isinstance(caught.value, http.client.IncompleteRead):
        said = caught.value.partial.decode()
        assert '"error"' in said
        assert "[DONE]" not in said
        assert '"finish_reason": "stop"' not in said
    status, _, body = gateway.client.chat()
    assert status >= 500
    assert body["error"]["message"]


WHOLE = (
    b'{"id":"c1","model":"big","choices":[{"index":0,"message":{"role":"assistant","content":"a"},'
    b'"finish_reason":"stop","logprobs":{"content":[{"token":"a","logprob":-0.1}]}},{"index":1,'
    b'"message":{"role":"assistant","content":"b"},"finish_reason":"stop"}],  "own": 1.50,'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2}}'
)


def test_a_whole_reply_of_the_same_dialect_is_what_the_server_wrote(gateway: Gateway) -> None:
    gateway.stub.script(Raw(WHOLE, "application/json"))
    body = {"model": "m", "messages": HI, "n": 2, "logprobs": True}
    status, headers, data = gateway.client.ask(body=body)
    assert (status, data) == (200, WHOLE)
    sent = gateway.stub.requests[-1].json
    assert (sent["n"], sent["logprobs"], sent["stream"]) == (2, True, False)
    row = gateway.home.attempts()[-1]
    assert row["attempt_id"] == headers["x-nemocli-attempt"]
    assert row["output_tokens"] == 2


def two(*frames: tuple[int, str, str | None], end: str = "data: [DONE]\n\n") -> Raw:
    """A stream of pieces of several answers: which, a text, a finish reason."""
    choices = [
        {"index": index, "delta": {"content": text}, "finish_reason": reason}
        for index, text, reason in frames
    ]
    said = [json.dumps({"id": "c", "model": "m", "choices": [choice]}) for choice in choices]
    return Raw("".join(f"data: {line}\n\n" for line in said) + end)


def test_several_answers_of_a_stream_are_handed_on_to_their_end(gateway: Gateway) -> None:
    frames = two((0, "a", None), (1, "b", None), (0, "c", "stop"), (1, "d", None), (1, "", "stop"))
    gateway.stub.script(frames)
    lines = gateway.client.streamed(n=2)
    assert lines[-1] == "[DONE]"
    said = [json.loads(line)["choices"][0] for line in lines[:-1]]
    texts = ["".join(c["delta"]["content"] for c in said if c["index"] == i) for i in (0, 1)]
    assert texts == ["ac", "bd"]


def test_a_stream_in_which_one_of_several_answers_breaks_off_is_no_success(
    gateway: Gateway,
) -> None:
    gateway.stub.script(two((0, "a", None), (1, "b", None), (0, "c", "stop"), end=""))
    with pytest.raises(http.client.IncompleteRead):
        gateway.client.streamed(n=2)
    assert gateway.home.attempts()[-1]["status"] == "cut"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_the_call_and_it_is_booked(
    gateway: Gateway, *, stream: bool
) -> None:
    gateway.stub.script(Stall(3))
    before = len(gateway.home.attempts())
    seen = len(gateway.stub.requests)
    connection = gateway.client.open(
        "/v1/chat/completions", {"model": "m", "messages": HI, "stream": stream}
    )
    request = gateway.stub.wait_for(seen + 1)[-1]
    time.sleep(0.1)
    connection.close()
    assert request.gone.wait(5)
    for _ in range(100):
        rows = gateway.home.attempts()[before:]
        if rows:
            break
        time.sleep(0.05)
    assert [row["status"] for row in rows] == ["aborted"]


@pytest.mark.parametrize(
    ("behaviour", "status", "header"),
    [
        (Status(429, {"error": {"message": "slow"}}, retry_after=77), 429, ("retry-after", "77")),
        (Status(401, {"error": {"message": "no"}}), 401, ("x-should-retry", "false")),
        (Status(402, {"error": {"message": "no credit"}}), 402, ("x-should-retry", "false")),
        (Status(400, {"error": {"message": "bad field"}}), 400, ("x-should-retry", "false")),
        (Status(503, {"error": {"message": "busy"}}), 503, ("content-type", "application/json")),
        (Reset(), 502, ("content-type", "application/json")),
    ],
)
def test_a_sellers_refusal_keeps_its_meaning(
    gateway: Gateway, behaviour: Any, status: int, header: tuple[str, str]
) -> None:
    gateway.stub.script(behaviour)
    for stream in (False, True):
        got, headers, body = gateway.client.chat(stream=stream)
        assert got == status, body
        assert headers[header[0]] == header[1]
        assert KEY not in json.dumps(body)


def test_who_may_not_come_in_learns_nothing_and_costs_nothing(gateway: Gateway) -> None:
    client, before = gateway.client, len(gateway.stub.requests)
    body = {"model": "m", "messages": HI}
    stranger = Client(client.url, "wrong")
    assert stranger.ask(body=body)[0] == 401
    assert stranger.ask("/v1/models")[0] == 401
    assert client.ask(body=body, host="evil.test")[0] == 403
    assert client.ask(body=body, origin="http://evil.test")[0] == 403
    assert stranger.ask("/health")[:1] == (200,)
    assert len(gateway.stub.requests) == before


def test_what_is_served(gateway: Gateway) -> None:
    status, _, body = gateway.client.ask("/v1/models")
    names = [row["id"] for row in json.loads(body)["data"]]
    assert status == 200
    assert names[0] == "m"
    assert "nemotron-3-ultra" in names
    assert gateway.client.ask("/v1/nothing")[0] == 404
    assert gateway.client.ask("/models")[0] == 200


def test_an_unknown_model_goes_to_the_default_and_that_is_said(gateway: Gateway) -> None:
    gateway.stub.script(Answer("Hello."))
    status, headers, _ = gateway.client.chat(model="gpt-5-codex")
    assert (status, headers["x-nemocli-served"]) == (200, "stub:m")
    assert gateway.stub.asked()[-1].json["model"] == "m"
    status, headers, _ = gateway.client.chat(model="stub:other/model")
    assert (status, gateway.stub.asked()[-1].json["model"]) == (200, "other/model")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"messages": 1}', b"\xff\xfe"])
def test_a_broken_body_is_a_400(gateway: Gateway, body: bytes) -> None:
    status, headers, said = gateway.client.ask(body=body)
    assert status == 400
    assert json.loads(said)["error"]["message"]
    assert headers["x-should-retry"] == "false"


def test_a_body_without_end_is_refused(gateway: Gateway) -> None:
    with socket.create_connection(gateway.client.address, timeout=20) as raw:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{gateway.client.address[1]}\r\n"
            f"Authorization: Bearer {gateway.client.token}\r\nContent-Length: {1 << 30}\r\n\r\n"
        )
        raw.sendall(head.encode())
        piece = b"x" * (1 << 20)
        try:
            for _ in range(40):
                raw.sendall(piece)
        except OSError:
            return  # it was hung up on, which is an answer
        assert raw.recv(64).startswith(b"HTTP/1.1 413")


def test_a_budget_ends_every_further_call(home: Home) -> None:
    price = {"model": "m", "valid_from": "2026-01-01", "input": 1, "output": 4}
    with Stub(Answer("Hello.", cost=0.004)) as stub:
        home.provider("stub", stub.url, default_model="m", prices=[price])
        running, client = started(home, "-p", "stub", "--max-cost", "0.0085")
        with running:
            replies = [client.chat(max_tokens=1000) for _ in range(5)]
        assert [status for status, _, _ in replies] == [200, 200, 400, 400, 400]
        _, headers, body = replies[-1]
        assert body["error"]["code"] == "budget_exceeded"
        assert "--max-cost" in body["error"]["message"]
        assert headers["x-should-retry"] == "false"
        assert len(stub.asked()) == 2


def test_told_to_end_it_lets_a_call_finish(home: Home) -> None:
    with Stub(Answer("Hello.", gap_s=0.2)) as stub:
        home.provider("stub", stub.url, default_model="m")
        running, client = started(home, "-p", "stub")
        with running:
            connection = client.open("/v1/chat/completions", {"messages": HI, "stream": True})
            stub.wait_for(1)
            running.process.send_signal(signal.SIGTERM)
            body = connection.getresponse().read()
            done = running.finish(30)
    assert body.endswith(b"data: [DONE]\n\n")
    assert done.code == 0, done.err
    assert [row["status"] for row in home.attempts()] == ["ok"]


def test_ctrl_c_cuts_what_is_under_way_at_once(home: Home) -> None:
    with Stub(Answer("word " * 300, gap_s=0.1)) as stub:
        home.provider("stub", stub.url, default_model="m")
        running, client = started(home, "-p", "stub")
        with running:
            paths = ["/v1/chat/completions", "/v1/messages"] * 4
            wish = {"messages": HI, "stream": True, "max_tokens": 9}
            connections = [client.open(path, wish) for path in paths]
            replies = [connection.getresponse() for connection in connections]
            begun = [reply.readline() for reply in replies]
            asked = time.monotonic()
            running.process.send_signal(signal.SIGINT)
            done = running.finish(30)
            took = time.monotonic() - asked
            rest = []
            for reply in replies:
                with pytest.raises(http.client.IncompleteRead) as cut:
                    reply.read()
                rest.append(cut.value.partial)
            for open_ in (*replies, *connections):
                open_.close()
    assert all(begun)
    assert took < 5
    assert (done.code, len(stub.asked())) == (0, 8), done.err
    for path, body in zip(paths, rest, strict=True):
        assert b"the gateway was stopped" in body, path
        assert b"[DONE]" not in body
        assert b"message_stop" not in body
    assert [row["status"] for row in home.attempts()] == ["aborted"] * 8


def test_a_port_that_is_taken_is_one_clear_line(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        home.provider("stub", "http://127.0.0.1:1/v1", default_model="m")
        done = run("serve", "-p", "stub", "--port", port, home=home)
    assert done.code == 3
    assert "--port 0" in done.err
    assert run("serve", "-p", "stub", "--host", "0.0.0.0", "--no-token", home=home).code == 2
    assert run("serve", "-p", "stub", "--map", "x", home=home).code == 2


PROGRAM = """
import json, os, sys, urllib.request
keys = any("KEY_" in name or "STUB" in name for name in os.environ)
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
body = json.dumps({"model": "x", "messages": [{"role": "user", "content": "hi"}]}).encode()
head = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
with urllib.request.urlopen(urllib.request.Request(url, body, head)) as reply:
    print(json.load(reply)["choices"][0]["message"]["content"], keys)
sys.exit(7)
"""


def test_a_program_is_launched_with_the_address_and_no_key(home: Home, tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text(PROGRAM)
    with Stub(Answer("Hello.", cost=0.25)) as stub:
        home.provider("stub", stub.url, default_model="m")
        done = run("launch", "-p", "stub", "--", "python3", str(script), home=home,
                   env={"PATH": os.environ["PATH"], "NEMOCLI_KEY_STUB": KEY})  # fmt: skip
    assert done.code == 7
    assert done.text == "Hello. False\n"
    assert "gateway: 1 call · 10 tokens in, 5 out · $0.25" in done.err
    assert run("launch", "-p", "stub", "--", "no-such-program", home=home).code == 2
    assert isinstance(done, Done)


LOOK = {"name": "look", "description": "Look it up.", "input_schema": {"type": "object"}}


def test_a_messages_client_is_answered_in_its_own_words(gateway: Gateway) -> None:
    gateway.stub.script(Answer("Hello.", reasoning="Hm.", tool_calls=(("look", '{"q": 1}'),)))
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "42"}
    used = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    turns = [*HI, {"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]
    wish = {"model": "claude-x", "max_tokens": 99, "messages": turns, "system": "Be brief.",
            "tools": [LOOK], "metadata": {"user_id": "u"}}  # fmt: skip
    key = {"x-api-key": str(gateway.client.token), "authorization": ""}
    status, headers, body = gateway.client.ask("/v1/messages?beta=true", wish, **key)
    assert status == 200, body
    said = json.loads(body)
    assert [b["type"] for b in said["content"]] == ["thinking", "text", "tool_use"]
    assert (said["stop_reason"], said["content"][2]["input"]) == ("tool_use", {"q": 1})
    assert headers["x-nemocli-dropped"] == "metadata"
    asked = gateway.stub.asked()[-1].json
    roles = [m["role"] for m in asked["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert asked["messages"][3] == {"role": "tool", "content": "42", "tool_call_id": "t1"}
    assert asked["tools"][0]["function"]["name"] == "look"
    assert asked["max_tokens"] == 99
    _, _, stream = gateway.client.ask("/v1/messages", {**wish, "stream": True})
    assert stream.decode().rstrip().splitlines()[-2] == "event: message_stop"
    assert (
        gateway.client.ask("/v1/messages/count_tokens", wish)[1]["x-nemocli-usage"] == "estimated"
    )


def test_a_messages_stream_that_breaks_off_is_an_error_event_and_a_cut(gateway: Gateway) -> None:
    gateway.stub.script(Cut(after_events=3, clean=True))
    wish = {"max_tokens": 9, "messages": HI, "stream": True}
    with pytest.raises(http.client.IncompleteRead) as caught:
        gateway.client.ask("/v1/messages", wish)
    said = caught.value.partial.decode()
    assert "event: error" in said
    assert "message_stop" not in said
    gateway.stub.script(Status(429, {"error": {"message": "slow"}}, retry_after=77))
    status, headers, body = gateway.client.ask("/v1/messages", wish)
    assert (status, headers["retry-after"]) == (429, "77")
    assert json.loads(body)["error"]["type"] == "rate_limit_error"


SEARCH = {"type": "web_search"}
CLOSE = {"type": "function", "name": "close", "parameters": {"type": "object"}}


def test_a_responses_client_is_answered_in_its_own_words(gateway: Gateway) -> None:
    gateway.stub.script(Answer("Hello.", reasoning="Hm.", tool_calls=(("a__close", '{"q": 1}'),)))
    tools = [{"type": "namespace", "name": "a", "tools": [CLOSE]}, SEARCH]
    wish = {"model": "gpt-5-codex", "input": "hi", "instructions": "Be brief.", "tools": tools,
            "store": False, "include": ["reasoning.encrypted_content"]}  # fmt: skip
    status, headers, body = gateway.client.ask("/v1/responses", wish)
    assert status == 200, body
    reasoning, message, call = json.loads(body)["output"]
    assert message["content"][0]["text"] == "Hello."
    assert (call["namespace"], call["name"], call["arguments"]) == ("a", "close", '{"q": 1}')
    assert headers["x-nemocli-dropped"] == "tools.web_search"
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "shut"}
    again = {**wish, "input": [*HI, reasoning, message, call, result], "stream": True}
    _, _, stream = gateway.client.ask("/v1/responses", again)
    lines = [line for line in stream.decode().splitlines() if line.startswith("data: ")]
    last = json.loads(lines[-1][6:])
    assert last["type"] == "response.completed"
    assert last["response"]["usage"]["output_tokens"] > 0
    asked = gateway.stub.asked()[-1].json["messages"]
    assert [m["role"] for m in asked] == ["system", "user", "assistant", "tool"]
    assert asked[2]["reasoning"] == "Hm."
    assert asked[2]["tool_calls"][0]["function"]["name"] == "a__close"
    kept = gateway.client.ask("/v1/responses", {**wish, "previous_response_id": "resp_1"})
    assert kept[0] == 400
    assert b"previous_response_id" in kept[2]
    assert gateway.client.ask("/v1/responses")[0] == 426


def test_a_responses_stream_that_breaks_off_has_failed_and_is_cut(gateway: Gateway) -> None:
    gateway.stub.script(Cut(after_events=3, clean=True))
    with pytest.raises(http.client.IncompleteRead) as caught:
        gateway.client.ask("/v1/responses", {"input": "hi", "stream": True})
    said = caught.value.partial.decode()
    assert "event: response.failed" in said
    assert "output_item.done" not in said
    assert "response.completed" not in said
    gateway.stub.script(Status(429, {"error": {"message": "slow"}}, retry_after=77))
    status, headers, _ = gateway.client.ask("/v1/responses", {"input": "hi", "stream": True})
    assert (status, headers["retry-after"]) == (429, "77")


def test_a_packed_body_is_refused_by_name(gateway: Gateway) -> None:
    status, _, body = gateway.client.ask(body=b"x", **{"content-encoding": "zstd"})
    assert (status, b"encoding" in body) == (415, True)


def test_how_hard_to_think_is_carried_where_the_path_can_say_it(gateway: Gateway) -> None:
    gateway.stub.script(Answer("Hello."))
    wish = {"model": "m", "input": "hi", "reasoning": {"effort": "minimal"}}
    assert gateway.client.ask("/v1/responses", wish)[0] == 200
    assert gateway.stub.asked()[-1].json["reasoning"]["effort"] == "medium"  # its lowest
    wish |= {"model": "search:m", "reasoning": {"effort": "none"}}
    status, headers, _ = gateway.client.ask("/v1/responses", wish)
    assert (status, headers["x-nemocli-dropped"]) == (200, "reasoning.effort")


def test_a_path_of_the_same_dialect_gets_the_clients_own_fields(gateway: Gateway) -> None:
    gateway.stub.script(Answer("Hello."))
    wish = {"model": "search:m", "input": "hi", "tools": [SEARCH], "preset": "pro", "user": "u"}
    status, headers, body = gateway.client.ask("/v1/responses", wish)
    assert (status, headers["x-nemocli-dropped"]) == (200, "user")
    assert json.loads(body)["output"][0]["content"][0]["text"] == "Hello."
    asked = gateway.stub.asked()[-1]
    assert asked.path.endswith("/responses")
    assert (asked.json["tools"], asked.json["preset"]) == ([SEARCH], "pro")
    assert asked.json["input"] == "hi"
    assert "user" not in asked.json


@pytest.mark.slow
def test_the_sdks_that_programs_use_are_served(gateway: Gateway) -> None:
    openai = pytest.importorskip("openai")
    anthropic = pytest.importorskip("anthropic")
    gateway.stub.script(Answer("Hello."))
    address, token = gateway.client.url, gateway.client.token
    chat = openai.OpenAI(base_url=address, api_key=token, max_retries=0)
    whole = chat.chat.completions.create(model="m", messages=HI)
    pieces = chat.chat.completions.create(model="m", messages=HI, stream=True)
    assert whole.choices[0].message.content == "Hello."
    assert "".join(p.choices[0].delta.content or "" for p in pieces) == "Hello."
    client = anthropic.Anthropic(
        base_url=address.removesuffix("/v1"), auth_token=token, max_retries=0
    )
    with client.messages.stream(model="m", max_tokens=9, messages=HI) as stream:
        assert "".join(stream.text_stream) == "Hello."
        assert stream.get_final_message().usage.output_tokens > 0
    response = chat.responses.create(model="m", input="hi")
    assert response.output_text == "Hello."
    with chat.responses.stream(model="m", input="hi") as events:
        for _ in events:
            pass
        assert events.get_final_response().output_text == "Hello."
    gateway.stub.script(Status(400, {"error": {"message": "bad field"}}))
    with pytest.raises(openai.BadRequestError, match="bad field"):
        chat.chat.completions.create(model="m", messages=HI)
    with pytest.raises(anthropic.BadRequestError, match="bad field"):
        client.messages.create(model="m", max_tokens=9, messages=HI)


def test_a_refusal_at_the_door_is_in_the_words_of_who_asks(gateway: Gateway) -> None:
    stranger, asked = Client(gateway.client.url, "wrong"), {"model": "m", "messages": HI}
    for client, path, body, status, kind in (
        (stranger, "/v1/messages", asked, 401, "authentication_error"),
        (gateway.client, "/v1/messages/batches", {}, 404, "not_found_error"),
    ):
        got, _, raw = client.ask(path, body=body)
        said = json.loads(raw)
        assert (got, said["type"], said["error"]["type"]) == (status, "error", kind)
    status_, _, raw = stranger.ask(body=asked)
    assert (status_, json.loads(raw)["error"]["code"]) == (401, "401")


def test_a_picture_reaches_a_path_in_its_own_dialect(gateway: Gateway) -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    blocks = [{"type": "text", "text": "what"}, {"type": "image", "source": source}]
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": blocks}]}
    gateway.stub.script(Answer("A cat.", cost=0.25))
    status, _, _ = gateway.client.ask("/v1/messages", body)
    assert status == 200
    [turn] = gateway.stub.asked()[-1].json["messages"]
    assert turn["content"] == [
        {"type": "text", "text": "what"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    part = {"type": "image_url", "image_url": {"url": url}}
    status, _, _ = gateway.client.chat(
        model="search:m", messages=[{"role": "user", "content": [part]}]
    )
    assert status == 200
    assert gateway.stub.asked()[-1].json["input"][0]["content"] == [
        {"type": "input_image", "image_url": url}
    ]
    before = len(gateway.stub.asked())
    status, _, said = gateway.client.ask("/v1/messages", {**body, "model": "nemotron-3-ultra"})
    assert (status, len(gateway.stub.asked())) == (400, before)
    assert b"takes no pictures" in said
