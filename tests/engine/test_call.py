"""One attempt: what is sent, with which key, and what its reply comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.events import Finished, Started
from nemocli.core.faults import ExitCode, FaultKind
from nemocli.core.plan import Target
from nemocli.core.ports import Endpoint, Key
from nemocli.core.provider import Auth, Runtime, Timeouts
from tests.engine.scripted import (
    AT_OTHER,
    AT_SHOP,
    BROKEN,
    FOREVER,
    ONCE,
    SECRET,
    STALLED,
    Later,
    Scene,
    Script,
    Step,
    ask,
    document,
    frame,
    good,
    refused,
    scene,
    sse,
)

# Keys


def keyed(**auth) -> Target:
    return replace(AT_SHOP, provider=replace(AT_SHOP.provider, auth=Auth(**auth)))


def test_a_missing_key_is_a_fault_before_anything_is_sent() -> None:
    at = scene(good())
    at.keys.key = None
    answer = ask(at)
    assert answer.fault is not None
    assert answer.fault.exit_code is ExitCode.AUTH
    assert answer.fault.hint is not None
    for told in ("SHOP_KEY", "nemocli auth login shop", "https://shop.example/keys"):
        assert told in answer.fault.hint
    assert at.calls == []
    assert at.entry.cost.pico == 0


def test_a_provider_that_wants_no_key_is_asked_without_one() -> None:
    at = scene(good())
    at.keys.key = None
    assert ask(at, AT_OTHER).fault is None
    assert "authorization" not in at.calls[0].headers


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({}, "authorization", f"Bearer {SECRET}"),
        ({"header": "X-Api-Key", "scheme": ""}, "x-api-key", SECRET),
        ({"scheme": "Token"}, "authorization", f"Token {SECRET}"),
    ],
)
def test_the_key_travels_as_the_profile_says_and_is_known_as_a_secret(auth, header, value) -> None:
    at = scene(good())
    ask(at, keyed(**auth))
    (call,) = at.calls
    assert {n: v for n, v in call.headers.items() if SECRET in v} == {header: value}
    assert call.secrets == (SECRET,)
    assert SECRET not in repr(call)


@pytest.mark.parametrize(
    ("url", "allowed", "reached"),
    [
        ("http://shop.example/v1", False, False),
        ("http://shop.example/v1", True, True),
        ("http://127.0.0.1.shop.example/v1", False, False),
        ("http://127.0.0.1:8000/v1", False, True),
        ("http://localhost:8000/v1", False, True),
    ],
)
def test_a_key_goes_over_plain_http_only_at_home_or_where_allowed(url, allowed, reached) -> None:
    auth = replace(AT_SHOP.provider.auth, allow_http=allowed)
    provider = replace(AT_SHOP.provider, base_url=url, auth=auth)
    at = scene(good())
    answer = ask(at, replace(AT_SHOP, provider=provider))
    assert len(at.calls) == reached
    if not reached:
        assert answer.fault is not None
        assert answer.fault.exit_code is ExitCode.CONFIG


def test_a_started_server_is_asked_where_it_listens_with_its_own_key_and_model() -> None:
    provider = replace(
        AT_OTHER.provider, base_url="", runtime=Runtime("command", {}), auth=Auth(required=True)
    )
    at = scene(good())
    at.keys.key = None
    at.servers.found = Endpoint("http://127.0.0.1:4567/v1", Key("local-key-123", "it"), "its-own")
    assert ask(at, Target(provider, "")).fault is None
    assert at.calls[0].url == "http://127.0.0.1:4567/v1/chat/completions"
    assert at.calls[0].headers["authorization"] == "Bearer local-key-123"
    assert at.sent()["model"] == at.entry.model == "its-own"


REPEATED = {
    "refusal": document({"error": {"message": f"bad key {SECRET}"}}, 401),
    "stream": Script([frame({"error": {"code": 401, "message": f"bad key {SECRET}"}})]),
    "page": Script([f"no stream: {SECRET}\n".encode()]),
}


@pytest.mark.parametrize("script", REPEATED.values(), ids=REPEATED)
def test_a_key_that_a_server_repeats_goes_no_further(script: Script) -> None:
    at = scene(script)
    answer = ask(at)
    assert answer.fault is not None
    assert "***" in answer.fault.message
    assert SECRET not in repr((answer, at.book.entries, at.seen))


# Time


@pytest.mark.parametrize("timeout_s", [None, 7])
def test_the_users_timeout_bounds_every_phase(timeout_s: float | None) -> None:
    times = Timeouts(3, 60, 20, 600)
    at = scene(good())
    ask(
        at,
        replace(AT_SHOP, provider=replace(AT_SHOP.provider, timeouts=times)),
        timeout_s=timeout_s,
    )
    assert at.calls[0].timeouts == (times if timeout_s is None else Timeouts(3, 7, 7, 7))


# The end

AFTER = {
    "reset": [BROKEN],
    "timeout": [STALLED],
    "silence": [FOREVER],
    "a drip": [Later(0.1), b": still here\n\n"] * 50,
    "rubbish": [b"}{", b"data: {\n\n"],
}


def took(at: Scene) -> float:
    total = at.entry.total_s
    assert total is not None
    return total


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
def test_an_announced_end_stands_whatever_the_connection_does_then(after: list[Step]) -> None:
    at = scene(Script([*sse("Hello"), *after]))
    assert ask(at).fault is None
    assert (at.entry.status, at.entry.usage.output_tokens) == ("ok", 5)
    assert took(at) < 0.5
    assert sum(isinstance(e, Finished) for e in at.seen) == 1
    assert at.transport.open == 0


@pytest.mark.parametrize("after", list(AFTER.values())[:4], ids=list(AFTER)[:4])
def test_a_whole_answer_does_not_wait_long_for_its_counts(after: list[Step]) -> None:
    at = scene(Script([*sse("Hello", done=False), *after]))
    assert ask(at).fault is None
    assert (at.entry.status, at.entry.usage.source) == ("ok", "estimated")
    assert took(at) < 6


def test_counts_that_come_a_little_late_are_counted() -> None:
    *most, usage, done = sse("Hello")
    at = scene(Script([*most, Later(3), usage, Later(1), done]))
    assert ask(at).fault is None
    assert (at.entry.usage.source, at.entry.usage.output_tokens) == ("reported", 5)


def test_a_long_pause_before_the_end_is_the_transports_to_judge() -> None:
    at = scene(Script([*sse("Hello", end=None), Later(90), *sse(" you")]))
    assert ask(at).fault is None
    assert at.said == "Hello you"


WHOLE = b"".join(step for step in sse("Hello", " you") if isinstance(step, bytes))
ANNOUNCED = len(b"".join(s for s in sse("Hello", " you", done=False) if isinstance(s, bytes)))


@given(st.integers(0, len(WHOLE)), st.integers(1, 40), st.sampled_from([None, BROKEN, STALLED]))
def test_an_answer_is_whole_exactly_when_its_end_came(at_byte: int, size: int, late) -> None:
    body = WHOLE[:at_byte]
    pieces: list[Step] = [body[i : i + size] for i in range(0, at_byte, size)]
    at = scene(Script([*pieces, *([late] if late else [])]))
    answer = ask(at, policy=ONCE)
    # A stream may end without the blank line after its last event.
    assert (answer.fault is None) == (at_byte >= ANNOUNCED - 2)
    if answer.fault is not None and late is not None and not answer.fold.text:
        assert answer.fault.kind is late.fault.kind


@pytest.mark.parametrize("late", [BROKEN, STALLED])
def test_a_reason_that_the_server_got_out_is_not_lost_in_the_break(late) -> None:
    told = b'data: {"error": {"code": 402, "message": "Insufficient credits"}}\n'
    at = scene(Script([told, late]))
    answer = ask(at)
    assert answer.fault is not None
    assert (answer.fault.kind, answer.fault.exit_code) == (FaultKind.QUOTA, 6)
    assert len(at.calls) == 1


# Refusals


def test_an_endless_refusal_is_not_read_to_its_end() -> None:
    script = Script([b"x" * 65536] * 1000, 500)
    at = scene(script)
    answer = ask(at, policy=ONCE)
    assert answer.fault is not None
    assert answer.fault.status == 500
    assert script.taken < 6
    assert len(answer.fault.message) < 400


SHORT = {"reset": [BROKEN], "timeout": [STALLED], "silence": [FOREVER], "at once": []}


@pytest.mark.parametrize("after", SHORT.values(), ids=SHORT)
@pytest.mark.parametrize("said", [[], [b'{"error": {"message": "no such key'], [b"\x1f\x8b\x00"]])
def test_a_status_stands_when_its_explanation_breaks_off(said, after) -> None:
    at = scene(Script([*said, *after], 401))
    answer = ask(at)
    assert answer.fault is not None
    assert (answer.fault.status, answer.fault.exit_code) == (401, ExitCode.AUTH)
    assert (at.entry.http_status, at.entry.cost.pico) == (401, 0)
    assert took(at) < 6


# Names of the request


def test_the_gateways_name_for_the_request_is_kept_good_or_bad() -> None:
    at = scene(refused(500), Script(sse("Hello"), headers={"nvcf-reqid": "req-9"}))
    answer = ask(at)
    assert [e.request_id for e in at.book.entries] == ["req-500", "req-9"]
    assert answer.fold.started.request_id == "req-9"
    bad = scene(Script([frame({"error": "over"})], headers={"x-request-id": "req-8"}))
    worse = ask(bad, policy=ONCE)
    assert worse.fault is not None
    assert (worse.fault.request_id, worse.fault.provider) == ("req-8", "shop")
    assert (bad.entry.request_id, bad.entry.http_status) == ("req-8", 200)


def test_what_the_headers_tell_is_known_before_the_first_word() -> None:
    headers = {"x-generation-id": "gen-7", "deprecation": "2027-01-01"}
    at = scene(Script([BROKEN], headers=headers))
    ask(at, policy=ONCE)
    assert at.seen == [Started(reply_id="gen-7", deprecation="2027-01-01")]
    assert at.entry.reply_id == "gen-7"
