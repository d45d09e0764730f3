"""A refusal says what happened and what to type next, whatever shape it comes in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.provider import ErrorRule, Provider
from nemocli.wire.http import (
    deprecation_of,
    fault_from,
    fault_inside,
    kind_of,
    request_id_of,
    retry_after,
)
from tests.wire.speaking import AGGREGATOR, HOSTED, ID

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def refused(status: int, body: Any = b"", provider: Provider = HOSTED, **headers: str) -> Fault:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return fault_from(status, names, raw, NOW, provider=provider, model=ID)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, FaultKind.REQUEST, False),
        (401, FaultKind.AUTH, False),
        (402, FaultKind.QUOTA, False),
        (403, FaultKind.AUTH, False),
        (404, FaultKind.UNAVAILABLE, False),
        (408, FaultKind.TIMEOUT, True),
        (410, FaultKind.UNAVAILABLE, False),
        (413, FaultKind.REQUEST, False),
        (418, FaultKind.REQUEST, False),
        (422, FaultKind.REQUEST, False),
        (425, FaultKind.RATE, True),
        (429, FaultKind.RATE, True),
        (500, FaultKind.SERVER, True),
        (501, FaultKind.SERVER, False),
        (502, FaultKind.SERVER, True),
        (503, FaultKind.SERVER, True),
        (504, FaultKind.SERVER, True),
        (505, FaultKind.SERVER, False),
        (529, FaultKind.SERVER, True),
        (202, FaultKind.PROTOCOL, False),
        (204, FaultKind.PROTOCOL, False),
        (307, FaultKind.PROTOCOL, False),
        (999, FaultKind.PROTOCOL, False),
    ],
)
def test_statuses(status: int, kind: FaultKind, retryable: bool) -> None:
    fault = refused(status)
    assert (fault.kind, fault.retryable, fault.status) == (kind, retryable, status)
    assert kind_of(status) is kind
    assert fault.provider == "hosted"
    assert fault.hint


BODIES: dict[str, tuple[Any, str]] = {
    "object": ({"error": {"message": "said so", "type": "x", "code": None}}, "said so"),
    "text in the envelope": ({"error": "said so"}, "said so"),
    "bare": ({"message": "said so", "type": "x", "code": 1}, "said so"),
    "problem": (
        {"type": "about:blank", "status": 400, "title": "T", "detail": "said so"},
        "said so",
    ),
    "title only": ({"status": 429, "title": "Too Many Requests"}, "Too Many Requests"),
    "fastapi": (
        {"detail": [{"loc": ["body", "top_p"], "msg": "too big", "type": "x"}]},
        "body.top_p: too big",
    ),
    "fastapi text": ({"detail": "said so"}, "said so"),
    "list": ([{"error": {"message": "said so"}}], "said so"),
    "errors": ({"errors": [{"message": "one"}, {"message": "two"}]}, "one; two"),
    "json in json": ({"error": {"message": '{"error":{"message":"said so"}}'}}, "said so"),
    "raw": (
        {"error": {"message": "Provider returned error", "metadata": {"raw": "said so"}}},
        "Provider returned error: said so",
    ),
    "upstream": (
        {"error": {"message": "said so", "metadata": {"provider_name": "Upstream Inc"}}},
        "Upstream Inc: said so",
    ),
    "text": (b"404 page not found\n", "404 page not found"),
    "two lines": (b"said\n\n   so\x1b[31m", "said so\N{SYMBOL FOR ESCAPE}[31m"),
    "broken json": (b'{"error": {"message": "said', '{"error": {"message": "said'),
    "empty": (b"", "Bad Request"),
    "empty object": ({}, "Bad Request"),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(name: str) -> None:
    body, said = BODIES[name]
    assert refused(400, body).message == f"hosted answered 400: {said}"


def test_a_message_is_one_short_line() -> None:
    message = refused(500, {"error": {"message": "a\nb " * 1000}}).message
    assert len(message) <= 300
    assert "\n" not in message


def test_a_web_page_is_named_and_not_shown() -> None:
    page = b"<!DOCTYPE html><html><head><title>502 &amp; \n gone</title><body>secret"
    fault = refused(502, page)
    assert (fault.kind, fault.retryable) == (FaultKind.SERVER, True)
    assert "“502 & gone”" in fault.message
    assert "secret" not in fault.message
    assert "proxy" in (refused(403, b"<html>").hint or "")


def test_a_redirect_names_the_host_and_that_the_key_stayed_here() -> None:
    fault = refused(302, location="https://login.example:8443/in?next=x")
    assert fault.message == "hosted redirects to login.example; the key was not sent there"
    assert "redirects to /in; the key" in refused(302, location="/in?next=x").message
    for odd in ("", "http://["):
        assert "another address" in refused(302, location=odd).message


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"message": "m", "code": "insufficient_quota"}}, FaultKind.QUOTA),
        (429, {"error": {"message": "You exceeded your current quota"}}, FaultKind.QUOTA),
        (429, {"error": {"message": "Add credits to continue"}}, FaultKind.QUOTA),
        (429, {"error": {"message": "check your billing details"}}, FaultKind.QUOTA),
        (429, {"error": {"message": "load balancer busy"}}, FaultKind.RATE),
        (400, {"error": {"message": "the field `payment` is unknown"}}, FaultKind.REQUEST),
        (403, {"error": {"message": "m", "code": "insufficient_quota"}}, FaultKind.QUOTA),
        (400, {"error": {"message": "m", "code": "model_not_found"}}, FaultKind.UNAVAILABLE),
        (400, {"error": {"message": "m", "metadata": {"error_type": "content_policy_violation"}}},
         FaultKind.FILTERED),
        (400, {"error": {"message": "m", "type": "invalid_request_error"}}, FaultKind.REQUEST),
        (500, {"error": {"message": "m", "code": "model_not_found"}}, FaultKind.SERVER),
    ],
)  # fmt: skip
def test_words_that_know_more_than_the_status(status: int, body: Any, kind: FaultKind) -> None:
    assert refused(status, body).kind is kind


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "nemocli auth login aggregator"),
        (401, "AGGREGATOR_KEY"),
        (403, "nemocli auth login aggregator"),
        (404, "nemocli models ls -p aggregator"),
        (402, "-p"),
        (413, "shorter"),
        (429, "wait"),
        (500, "again"),
        (307, "base_url"),
    ],
)
def test_hints_are_the_next_step(status: int, hint: str) -> None:
    assert hint in (refused(status, provider=AGGREGATOR).hint or "")


def test_an_input_that_is_too_long_is_told_so() -> None:
    body = {"error": {"message": "This model's maximum context length is 8192 tokens"}}
    assert "shorter" in (refused(400, body).hint or "")


# Rules of the provider's own


def ruled(*rules: ErrorRule) -> Provider:
    return replace(HOSTED, errors=rules)


def test_the_first_rule_that_applies_is_taken() -> None:
    provider = ruled(
        ErrorRule(FaultKind.CONFIG, status=404),
        ErrorRule(FaultKind.SERVER, status=400, match="degraded", message="unhealthy", retry=True),
        ErrorRule(FaultKind.QUOTA, status=400),
    )
    fault = refused(400, {"detail": "Function 'x': DEGRADED function"}, provider)
    assert (fault.kind, fault.message, fault.retryable) == (FaultKind.SERVER, "unhealthy", True)
    assert refused(400, provider=provider).kind is FaultKind.QUOTA


def test_a_hint_names_the_model() -> None:
    provider = ruled(ErrorRule(FaultKind.UNAVAILABLE, status=410, hint="{model} has {ended}"))
    assert refused(410, provider=provider).hint == f"{ID} has {{ended}}"


def test_a_rule_without_words_keeps_the_servers_and_a_hint() -> None:
    fault = refused(404, {"error": "gone"}, ruled(ErrorRule(FaultKind.QUOTA, status=404)))
    assert fault.message == "hosted answered 404: gone"
    assert "credit" in (fault.hint or "")


def test_the_servers_wait_beats_the_rules() -> None:
    provider = ruled(ErrorRule(FaultKind.RATE, status=429, retry_after_s=60))
    assert refused(429, provider=provider).retry_after_s == 60
    assert refused(429, provider=provider, retry_after="3").retry_after_s == 3


def test_rules_hold_for_errors_inside_a_good_status_too() -> None:
    provider = ruled(ErrorRule(FaultKind.QUOTA, status=429, match="per-day", hint="tomorrow"))
    fault = fault_inside({"code": 429, "message": "free-models-per-day"}, provider, ID)
    assert (fault.kind, fault.hint) == (FaultKind.QUOTA, "tomorrow")


def test_a_rule_that_is_no_pattern_hides_nothing() -> None:
    assert refused(500, {"error": "m"}, ruled(ErrorRule(FaultKind.AUTH, match="("))).kind is (
        FaultKind.SERVER
    )


def test_availability_decides_about_trying_again() -> None:
    about = {"code": "temporarily_unavailable", "retryable": True, "retry_after": 12}
    body = {"error": {"message": "m", "http_status": 404, "availability": about}}
    fault = refused(404, body)
    assert (fault.kind, fault.retryable, fault.retry_after_s) == (FaultKind.UNAVAILABLE, True, 12)
    about["retryable"] = False
    assert not refused(503, {"error": {"message": "m", "availability": about}}).retryable


# Headers


def after(**headers: str) -> float | None:
    return retry_after({name.replace("_", "-"): value for name, value in headers.items()}, NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("-5", 0.0),
        ("10800", 10800.0),
        ("nan", None),
        ("inf", None),
        ("99999999999", None),
        ("soon", None),
        ("", None),
        ("Mon, 32 Foo 2026 99:00:00 GMT", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Mon, 23 Nov 2026 12:01:00", 60.0),
        ("Mon, 23 Nov 9999 23:59:59 -2359", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert after(retry_after=value) == seconds


def test_resets_count_where_their_unit_is_beyond_doubt() -> None:
    then = NOW + timedelta(seconds=40)
    assert after(retry_after_ms="1500") == 1.5
    assert after(x_ratelimit_reset=str(int(then.timestamp() * 1000))) == 40.0
    assert after(x_ratelimit_reset=str(int(then.timestamp()))) == 40.0
    assert after(x_ratelimit_reset="40") is None
    assert after(x_ratelimit_remaining="7", x_ratelimit_reset=str(int(then.timestamp()))) is None
    assert after(ratelimit='"api";r=0;t=43') == 43.0
    assert after(ratelimit='"api";r=12;t=43') is None


def test_a_limit_told_in_the_body_is_obeyed() -> None:
    then = str(int((NOW + timedelta(seconds=40)).timestamp() * 1000))
    error = {"message": "m", "metadata": {"headers": {"X-RateLimit-Reset": then}}}
    assert refused(429, {"error": error}).retry_after_s == 40.0


def test_request_ids_in_the_order_of_their_use_to_a_support_desk() -> None:
    ids = {"cf-ray": "4", "request-id": "3", "x-request-id": "2", "nvcf-reqid": "1"}
    for expected in "1234":
        assert request_id_of(ids) == expected
        ids = dict(list(ids.items())[:-1])
    assert request_id_of({}) is None
    assert refused(500, nvcf_reqid="abc").request_id == "abc"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"deprecation": "2026-12-01T00:00:00Z"}, "2026-12-01T00:00:00Z"),
        ({"deprecation": "@1796083200"}, "2026-12-01"),
        ({"deprecation": "true", "sunset": "Tue, 01 Dec 2026 00:00:00 GMT"},
         "Tue, 01 Dec 2026 00:00:00 GMT"),
        ({"deprecation": "true"}, "true"),
        ({"deprecation": "false"}, None),
        ({"deprecation": ""}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_deprecation(headers: dict[str, str], said: str | None) -> None:
    assert deprecation_of(headers) == said


# Anything at all

HEADERS = st.dictionaries(
    st.sampled_from(
        ["retry-after", "location", "ratelimit", "x-ratelimit-reset", "deprecation", "cf-ray"]
    ),
    st.text(max_size=30) | st.integers().map(str),
)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(100, 999), HEADERS, st.binary(max_size=60) | st.text(max_size=60).map(str.encode)
)
def test_no_refusal_makes_it_raise(status: int, headers: dict[str, str], body: bytes) -> None:
    fault = fault_from(status, headers, body, NOW, provider=AGGREGATOR, model="")
    assert "\n" not in fault.message
    assert len(fault.message) <= 300
    assert fault.retry_after_s is None or fault.retry_after_s >= 0
    deprecation_of(headers)


@pytest.mark.parametrize(
    "body",
    [b"{" * 200_000, b'{"error":' * 900 + b"1" + b"}" * 900, b"<title" * 60_000, b"[" * 65_000],
    ids=["braces", "nested", "half tags", "brackets"],
)
def test_hostile_bodies_cost_little(body: bytes) -> None:
    assert refused(400, body, ruled(ErrorRule(FaultKind.AUTH, match="zzz"))).kind is (
        FaultKind.REQUEST
    )
    assert fault_inside(body.decode(), HOSTED, "").message
