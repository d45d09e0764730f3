"""The failure matrix: what a server does, and what the user must be able to tell from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers import errors
from tests.servers.answer import Answer, length, reasoning_only
from tests.servers.behaviours import (
    Behaviour,
    Cut,
    Drip,
    Gzip,
    MidStreamError,
    Noise,
    Raw,
    Reset,
    Stall,
    Status,
    Variant,
    empty_body,
    html,
    wrong_type,
)

TEXT = "One two three four"
SAID = Answer(TEXT, cost=0.000123)
"""In five deltas; the event before them carries no text."""

TRIES = 3
"""Attempts at one target while a fault may pass (core/policy.py)."""

QUICK = {"first_byte_s": 0.3, "idle_s": 0.3}


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `kind` is the fault's `code` (None where several would be right), `calls` the
    requests that must be made (None: any number), `partial` the text that must survive (None: some
    of it), `status` what the answer
    object may say (empty: no answer object, because nothing of an answer arrived), `booked` the
    status of the last ledger row and `http` its HTTP status, `hint` a pattern in the hint.
    """

    script: tuple[Behaviour | Answer, ...]
    exit: int
    kind: str | None
    calls: int | None = 1
    partial: str | None = ""
    status: tuple[str, ...] = ()
    booked: str = "error"
    http: int | None = None
    hint: str | None = None
    args: tuple[str, ...] = ()
    extends: str = "openrouter"
    provider: Mapping[str, Any] = field(default_factory=dict)


def refused(code: int, exit_code: int, kind: str, calls: int = 1, **more: Any) -> Row:
    """A status instead of an answer."""
    body = more.pop("body", errors.openrouter(code, f"no: {code}"))
    head = {name: more.pop(name) for name in ("retry_after", "as_date") if name in more}
    return Row((Status(code, body, **head),), exit_code, kind, calls, http=code, **more)


def cut(behaviour: Behaviour, partial: str | None = "One two ", **more: Any) -> Row:
    """The answer stops in the middle of its text."""
    whole = ("truncated", "interrupted")
    row = {"kind": None, "exit": 8, "status": whole, "booked": "cut", "hint": r"again|-p|another"}
    return Row((behaviour,), partial=partial, http=200, **{**row, **more})


def stalled(behaviour: Behaviour, **more: Any) -> Row:
    """The server takes longer than it may."""
    row = {
        "kind": "timeout",
        "hint": r"--timeout|timeouts|again|-p",
        "provider": {"timeouts": QUICK},
    }
    return Row((behaviour,), exit=7, **{**row, **more})


def late(variant: Variant, **more: Any) -> Row:
    """An error inside a 200, after some text."""
    return cut(
        MidStreamError(variant, after_events=3, answer=SAID), status=("truncated", "error"), **more
    )


def early(variant: Variant, exit_code: int, kind: str, calls: int, code: int = 502) -> Row:
    """An error inside a 200, before any text."""
    behaviour = MidStreamError(variant, after_events=1, answer=SAID, code=code)
    return Row((behaviour,), exit_code, kind, calls, http=200)


ROWS: dict[str, Row] = {
    # A stream that ends without its end
    "cut, properly closed": cut(Cut(after_events=3, answer=SAID), kind="cut_stream"),
    "cut inside a chunk": cut(Cut(after_events=3, answer=SAID, clean=False)),
    "cut inside an event": cut(
        Cut(after_bytes=900, answer=Answer(TEXT, piece=1)), partial=None, kind="cut_stream"
    ),
    "cut before the promised length": cut(
        Cut(after_events=3, answer=Answer(TEXT, framing="length"), clean=False)
    ),
    "cut before any text": Row(
        (Cut(after_events=1, answer=SAID),), 8, "cut_stream", TRIES, booked="cut", http=200
    ),
    "reset in the text": cut(Reset(after_events=3, answer=SAID)),
    # Errors inside a 200
    "late error, integer code": late("int_code"),
    "late error, string code": late("string_code"),
    "late error, no code": late("no_code"),
    "late error, a string": late("string_error"),
    "late error, NIM's shape": late("nim"),
    "late error, in the choice": late("choice"),
    "early error, 502": early("int_code", 5, "server_error", TRIES),
    "early error, 429": early("int_code", 6, "rate_limited", TRIES, 429),
    "early error, 401": early("int_code", 4, "auth", 1, 401),
    "early error, 402": early("int_code", 6, "quota_exhausted", 1, 402),
    "early error, 400": early("int_code", 2, "request_rejected", 1, 400),
    "early error, string code": early("string_code", 5, "server_error", TRIES),
    # Ends that are no answers
    "token limit": Row(
        (length("Cut at the limit"),),
        8,
        "truncated",
        1,
        "Cut at the limit",
        ("truncated",),
        "truncated",
        200,
        r"--max-tokens",
    ),
    "token limit in the reasoning": Row(
        (Answer("", reasoning="Hm.", finish="length"),),
        8,
        "truncated",
        1,
        "",
        ("truncated",),
        "truncated",
        200,
        r"--max-tokens|--reasoning",
    ),
    "reasoning and no answer": Row(
        (reasoning_only(),),
        8,
        "no_answer",
        1,
        "",
        ("truncated", "error"),
        "error",
        200,
        r"--max-tokens|--reasoning|--show-reasoning",
    ),
    "nothing but an end": Row(
        (Answer(""),),
        8,
        "no_answer",
        1,
        "",
        ("error",),
        "error",
        200,
        r"again|-p",
    ),
    "content filter": Row(
        (Answer("No.", finish="content_filter"),),
        8,
        "content_filter",
        1,
        "No.",
        ("truncated", "error"),
        "error",
        200,
        r"rephrase|-p",
    ),
    # Turned away
    "400": refused(400, 2, "request_rejected"),
    "401": refused(401, 4, "auth", hint=r"auth login|STUB_API_KEY"),
    "402": refused(402, 6, "quota_exhausted", hint=r"(?i)credit|top up|billing|-p"),
    "403": refused(403, 4, "auth", hint=r"(?i)key|permission|auth|-p"),
    "404": refused(404, 5, "unavailable", hint=r"models|-m|-p"),
    "404, no endpoints": refused(
        404,
        5,
        "unavailable",
        hint=r"models|-m|-p",
        body=errors.availability(404, "no_endpoints", "No endpoints found", retryable=False),
    ),
    "404, plain text": refused(404, 5, "unavailable", body=errors.PLAIN_404),
    "408": refused(408, 7, "timeout", TRIES),
    "410": refused(410, 5, "unavailable", hint=r"models|-m|-p"),
    "413": refused(413, 2, "request_rejected", hint=r"(?i)short|smaller|context|less"),
    "422": refused(422, 2, "request_rejected"),
    "429": refused(429, 6, "rate_limited", TRIES, hint=r"(?i)wait|later|again|-p|rate"),
    "429, seconds": refused(429, 6, "rate_limited", TRIES, retry_after=0),
    "429, a date": refused(429, 6, "rate_limited", TRIES, retry_after=1, as_date=True),
    "429, too long to wait": refused(429, 6, "rate_limited", 1, retry_after=7200),
    "429, quota": refused(
        429,
        6,
        "quota_exhausted",
        body=errors.openai(
            "You exceeded your current quota", "insufficient_quota", "insufficient_quota"
        ),
    ),
    "500": refused(500, 5, "server_error", TRIES, hint=r"(?i)again|later|-p"),
    "500, bare": refused(
        500,
        5,
        "server_error",
        TRIES,
        body=errors.bare("Internal server error", "internal_server_error", 500),
    ),
    "502": refused(502, 5, "server_error", TRIES),
    "503": refused(503, 5, "server_error", TRIES, body=errors.openai("overloaded", code=503)),
    "504, empty": refused(504, 5, "server_error", TRIES, body=None),
    "529": refused(529, 5, "server_error", TRIES),
    "500, a page": Row((html(500),), 5, "server_error", TRIES, http=500),
    # NVIDIA's own, with its profile
    "nvidia 403": refused(
        403,
        4,
        "auth",
        extends="nvidia",
        body=errors.problem(403, "Forbidden", "Authorization failed"),
    ),
    "nvidia 404, account": refused(
        404,
        5,
        "unavailable",
        extends="nvidia",
        body=errors.problem(404, "Not Found", "Function 'f-1': Not found for account 'a-1'"),
    ),
    "nvidia 410": refused(
        410,
        5,
        "unavailable",
        extends="nvidia",
        body=errors.problem(
            410,
            "Gone",
            "The model 'x' has reached its end of life on 2026-01-01T00:00:00Z",
        ),
    ),
    "nvidia 402": refused(
        402,
        6,
        "quota_exhausted",
        extends="nvidia",
        body=errors.problem(
            402,
            "Payment Required",
            "Account 'a-1': Cloud credits expired - Please contact NVIDIA representatives",
        ),
    ),
    "nvidia 503, offline": refused(
        503,
        5,
        None,
        1,
        extends="nvidia",
        retry_after=10800,
        body=errors.problem(503, "Service Unavailable", "offline for maintenance"),
    ),
    # The network
    "reset before the headers": Row((Reset(),), 7, "network", TRIES),
    "no HTTP at all": Row((Noise(),), 7, None, None),
    "stall before the headers": stalled(Stall(), calls=TRIES),
    "stall after the headers": stalled(Stall(after_events=0), calls=TRIES, http=200),
    "stall in the text": stalled(
        Stall(after_events=3, answer=SAID),
        partial="One two ",
        http=200,
        booked="cut",
        status=("truncated", "interrupted", "error"),
    ),
    "slow drip": stalled(
        Drip(every_s=0.1, size=200, answer=Answer(TEXT * 9, piece=1)),
        partial=None,
        http=200,
        booked="cut",
        status=("truncated", "interrupted", "error"),
        provider={},
        args=("--timeout", "1"),
    ),
    "captive portal": Row(
        (html(),), 7, "protocol", http=200, hint=r"(?i)portal|proxy|sign|network|base_url|browser"
    ),
    "wrong content type": Row((wrong_type(),), 7, "protocol", http=200),
    "not JSON where JSON was said": Row(
        (Raw("oops", "application/json"),), 7, "protocol", http=200
    ),
    "empty body": Row((empty_body(),), 8, "cut_stream", TRIES, booked="cut", http=200),
    "gzip that is none": Row((Gzip(SAID, broken="lie"),), 7, None, None, http=200),
    "gzip spoilt in the middle": cut(
        Gzip(SAID, broken="corrupt"), exit=7, partial=None, status=("truncated", "error"), hint=None
    ),
    "gzip without its end": cut(Gzip(SAID, broken="cut"), partial=None),
}
