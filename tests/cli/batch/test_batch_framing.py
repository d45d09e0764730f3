"""A server, or a proxy, that sends more than it was asked for: every row holds its own answer."""

from __future__ import annotations

import contextlib
import json

import pytest

from tests.cli.batch.batch_case import batch, failures_of, lines_of, prompts
from tests.run import Home
from tests.servers.raw import Peer, RawServer, response


def reply_to(body: bytes) -> bytes:
    said = json.loads(body)["messages"][-1]["content"]
    message = {"role": "assistant", "content": f"to {said}"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return json.dumps({"id": "x", "model": "m", "choices": choices, "usage": usage}).encode()


OTHER = reply_to(json.dumps({"messages": [{"content": "somebody else"}]}).encode())
TRICKS = {
    "a second reply": lambda own: response(own) + response(OTHER),
    "two documents in one body": lambda own: response(own + b"\n" + OTHER),
    "a document and rubbish": lambda own: response(own + b"}{"),
}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("more", [(), ("--fresh-connections",)])
def test_each_row_holds_its_own_answer_or_a_failure(
    home: Home, trick: str, more: tuple[str, ...]
) -> None:
    asked = 0

    async def handler(peer: Peer) -> None:
        nonlocal asked
        with contextlib.suppress(ConnectionError):
            while await peer.request():
                asked += 1
                own = reply_to(peer.body)
                await peer.say(TRICKS[trick](own) if asked % 3 == 0 else response(own))

    with RawServer(handler) as server:
        home.provider("stub", server.url)
        done = batch(home, "-j", "4", *more, rows=prompts(40))
    found = lines_of(home)
    assert len(found) + len(failures_of(home)) == 40
    assert done.code == (10 if failures_of(home) else 0), done.err
    for line in found:
        said = line["response"]["body"]["choices"][0]["message"]["content"]
        assert said == f"to question {line['custom_id'][1:]}"
    assert len(found) == (40 if trick == "a second reply" else 40 - asked // 3)
    assert {line["error"]["code"] for line in failures_of(home)} <= {"protocol"}


AWKWARD = (
    (b"to question", b"to\tquestion"),
    (b'"id"', b'\r\n\t "id"'),
    (b"to question", b"to\x01\xff question"),
    (b'"choices"', b'"cost": 0.5, \n"choices"'),
)
"""What stands in a reply, and what stands there instead: raw control characters in a text, line
ends between fields, bytes that are no UTF-8, and a price that is to be read exactly."""


@pytest.mark.parametrize("priced", [False, True])
def test_an_awkward_body_is_one_line_of_json(home: Home, *, priced: bool) -> None:
    async def handler(peer: Peer) -> None:
        with contextlib.suppress(ConnectionError):
            while await peer.request():
                own = reply_to(peer.body)
                number = int(json.loads(peer.body)["messages"][-1]["content"].split()[-1])
                await peer.say(response(own.replace(*AWKWARD[number % len(AWKWARD)])))

    with RawServer(handler) as server:
        home.provider("stub", server.url, usage={"cost": "cost" if priced else None})
        done = batch(home, rows=prompts(len(AWKWARD)))
    assert done.code == 0, done.err
    assert (home.cwd / "out.jsonl").read_bytes().count(b"\n") == len(AWKWARD)
    texts = {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in lines_of(home)
    }
    assert texts["q0"] == "to\tquestion 0"
    assert texts["q1"] == "to question 1"
    assert texts["q2"] == "to\x01\ufffd question 2"
    assert texts["q3"] == "to question 3"
