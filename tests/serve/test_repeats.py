"""Texts that repeat earlier ones come back whole, and take little room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.io.clock import SystemClock
from nemocli.io.serve.recorder import FILE, Recorder, read_recording
from nemocli.serve.repeats import MOST_KEPT, Earlier, Said, common_end, common_start

TEXTS = st.lists(st.text("ab{}é😀", max_size=300), min_size=1, max_size=12)


@given(TEXTS, st.data())
def test_texts_come_back_whole(texts: list[str], data: st.DataObject) -> None:
    written, read, known = Earlier(), Earlier(10**6, 10**9), list[str]()
    for number, fresh in enumerate(texts):
        text = fresh
        if known and data.draw(st.booleans()):
            base = data.draw(st.sampled_from(known))
            cut = data.draw(st.integers(0, len(base)))
            text = base[:cut] + fresh + base[cut:]
        said = written.say(str(number), text)
        assert len(said.new) <= len(text)
        assert read.restore(str(number), said) == text
        known.append(text)


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_what_two_texts_have_in_common(one: str, other: str) -> None:
    start = common_start(one, other)
    assert one[:start] == other[:start]
    assert start == min(len(one), len(other)) or one[start] != other[start]
    most = min(len(one), len(other)) - start
    end = common_end(one, other, most)
    assert end <= most
    assert one[len(one) - end :] == other[len(other) - end :]
    assert end == most or one[-end - 1] != other[-end - 1]


def test_only_the_last_texts_are_kept() -> None:
    earlier = Earlier()
    first = earlier.say("first", "x" * 500)
    assert first == Said("x" * 500)
    for number in range(MOST_KEPT):
        earlier.say(str(number), f"{number}" * 500)
    assert earlier.say("again", "x" * 500).like is None
    tight = Earlier(most_chars=600)
    tight.say("first", "x" * 500)
    tight.say("second", "y" * 500)
    assert tight.say("third", "x" * 500).like is None
    with pytest.raises(ValueError, match="not there"):
        Earlier().restore("a", Said("", "gone", 1, 1))
    with pytest.raises(ValueError, match="not there"):
        earlier.restore("a", Said("", "again", 400, 400))


def turns(count: int) -> list[dict[str, Any]]:
    found = []
    for number in range(count):
        call = {"name": "read", "arguments": json.dumps({"path": f"/src/{number}.py"})}
        found += [
            {"role": "assistant", "content": None,
             "tool_calls": [{"id": f"c{number}", "type": "function", "function": call}]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": f"line {number}\n" * 60},
        ]  # fmt: skip
    return found


def test_ten_turns_take_a_third_of_their_bodies_at_the_most(tmp_path: Path) -> None:
    clock, told, sent = SystemClock(), list[str](), list[bytes]()
    recorder = Recorder(tmp_path, ("sesame-sesame",), told.append)
    tools = [{"type": "function", "function": {"name": f"t{n}", "description": "does " * 80}}
             for n in range(20)]  # fmt: skip
    for number in range(10):
        words = [{"role": "user", "content": "mend \ud83d\ude00 it, sesame-sesame"}]
        body = {"model": "m", "messages": [*words, *turns(number)], "tools": tools}
        sent.append(json.dumps(body).encode())
        about = {"path": "/chat/completions", "session": "s", "attempt": None}
        recorder.begin(clock.new_id(), clock.now(), sent[-1], "m", about).write_request()
    recorder.close()
    assert told == []
    assert (tmp_path / FILE).stat().st_size <= sum(map(len, sent)) / 3
    found = read_recording(tmp_path)
    assert [e.request["body"] for e in found] == [
        json.loads(data.replace(b"sesame-sesame", b"***")) for data in sent
    ]
    assert [len(e.messages) for e in found] == [1 + 2 * n for n in range(10)]


def test_a_recording_of_the_first_version_is_read_as_before(tmp_path: Path) -> None:
    request = {"type": "request", "id": "a", "key": "k", "model": "m", "body": {"tools": []},
               "messages": [{"role": "user", "text": "hi"}]}  # fmt: skip
    lines = [{"type": "begin", "schema": "nemocli.recording/1"}, request]
    (tmp_path / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    [found] = read_recording(tmp_path)
    assert (found.key, found.messages[0].text, found.request["body"]) == ("k", "hi", {"tools": []})


@pytest.mark.parametrize(
    "damage", [{"like": "gone", "alike": [1, 1]}, {"like": "a", "alike": 5}, {"alike": ["x", 1]}]
)
def test_a_damaged_request_is_named(tmp_path: Path, damage: dict[str, Any]) -> None:
    line = {"type": "request", "id": "b", "path": "/chat/completions", "text": "{}", **damage}
    (tmp_path / FILE).write_text(json.dumps(line) + "\n")
    with pytest.raises(NemoError, match="request b: ") as damaged:
        read_recording(tmp_path)
    assert damaged.value.fault.kind is FaultKind.CONFIG


def test_half_a_character_is_kept_escaped(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, (), print)
    body = rb'{"messages": [{"role": "user", "content": "\ud800 \u00e9"}]}'
    about = {"path": "/chat/completions"}
    recorder.begin("a", SystemClock().now(), body, "m", about).write_request()
    recorder.close()
    [found] = read_recording(tmp_path)
    assert found.request["body"] == json.loads(body)


def test_a_secret_beside_half_a_character_is_taken_out(tmp_path: Path) -> None:
    secret = "schl\u00fcssel-1234"
    recorder = Recorder(tmp_path, (secret,), print)
    body = json.dumps({"messages": [{"role": "user", "content": f"{secret} \ud800"}]}).encode()
    about = {"path": "/chat/completions"}
    recorder.begin("a", SystemClock().now(), body, "m", about).write_request()
    recorder.end({"type": "reply", "id": "a", "fault": {"message": f"{secret} \ud800"}})
    recorder.close()
    kept = [json.loads(line) for line in (tmp_path / FILE).read_text("utf-8").splitlines()]
    assert not any("ssel-1234" in str(row) for row in kept)
    assert json.loads(kept[1]["text"])["messages"][0]["content"] == "*** \ud800"
