"""What the headers of a reply say about waiting, about the request, and about the model's end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite

from nemocli.core.text import one_line

LONGEST_WAIT_S = 30 * 86_400.0
"""A server that names a longer wait has mistaken its units; it is taken to have named none."""

_TRANSFORMING = frozenset(
    {
        "gzip",
        "x-gzip",
        "deflate",
        "compress",
        "x-compress",
        "br",
        "zstd",
        "exi",
        "pack200-gzip",
        "dcb",
        "dcz",
        "lz4",
        "snappy",
        "xz",
        "bzip2",
    }
)
"""Content codings that change bytes: IANA's registry (2026) and what is used beside it."""

_REQUEST_IDS = ("nvcf-reqid", "x-request-id", "request-id", "cf-ray")
_REMAINING = re.compile(r"[;,]\s*r=(\d{1,9})\b")
_IN_SECONDS = re.compile(r"[;,]\s*t=(\d{1,9})")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the server wants to be asked again, never negative; None when it does not say.

    Read are Retry-After in seconds or as a date (RFC 9110), its `-ms` variant, and where a limit is
    used up the time of its reset, if the unit is beyond doubt: `RateLimit: "…";r=0;t=SECONDS`
    (IETF draft) and X-RateLimit-Reset as a point in time since 1970.
    """
    seconds = _number(headers.get("retry-after"))
    if seconds is None:
        seconds = _until(headers.get("retry-after"), now)
    if seconds is None and (ms := _number(headers.get("retry-after-ms"))) is not None:
        seconds = ms / 1000
    if seconds is None:
        seconds = _reset(headers, now)
    if seconds is None or not isfinite(seconds) or seconds > LONGEST_WAIT_S:
        return None
    return max(0.0, seconds)


def calls_left(headers: Mapping[str, str]) -> tuple[float, float] | None:
    """How many calls a limit takes until its reset, and seconds until then; None where no header
    says both (`x-ratelimit-remaining-requests`, `x-ratelimit-reset-requests`)."""
    left = headers.get("x-ratelimit-remaining-requests")
    reset = headers.get("x-ratelimit-reset-requests")
    if left is None or reset is None:
        return None
    try:
        return float(left), _seconds_in(reset)
    except ValueError:
        return None


def _seconds_in(text: str) -> float:
    """`1s`, `6m0s`, `120ms` or `0.5`. Raises ValueError."""
    total, number = 0.0, ""
    rest = text.strip().lower().replace("ms", "k")
    for sign in rest:
        if sign in _UNITS:
            total += float(number) * _UNITS[sign]
            number = ""
        else:
            number += sign
    return total + float(number) if number else total


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "k": 0.001}
_NONE: frozenset[str] = frozenset()


def transforming(value: str) -> frozenset[str]:
    """The codings in a Content-Encoding that change bytes. Servers also write `none`, a character
    set or a transfer coding there, over a body that is plain."""
    if not value:
        return _NONE
    return frozenset(c.strip().lower() for c in value.split(",")) & _TRANSFORMING


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The server's own name for the request, for its support desk."""
    for name in _REQUEST_IDS:
        if name in headers and (value := headers[name].strip()):
            return one_line(value, 100)
    return None


def deprecation_of(headers: Mapping[str, str]) -> str | None:
    """When the model or route ends, as the server says it: a date where it gives one.

    `Deprecation` is RFC 3339 at NVIDIA's gateway and `@seconds` in RFC 9745; where it is only a
    flag, `Sunset` (RFC 8594) has the date.
    """
    value = headers.get("deprecation", "").strip()
    if not value:
        return None
    if value.lower() in ("false", "?0"):
        return None
    if value.lower() in ("true", "?1"):
        value = headers.get("sunset", "").strip() or value
    return one_line(_date(value), 60) or None


def _date(value: str) -> str:
    if not re.fullmatch(r"@\d{1,11}", value):
        return value
    return datetime.fromtimestamp(int(value[1:]), UTC).date().isoformat()


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None


def _until(value: str | None, now: datetime) -> float | None:
    if not value:
        return None
    from email.utils import parsedate_to_datetime

    try:
        then = parsedate_to_datetime(value)
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        return max(0.0, (then - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _reset(headers: Mapping[str, str], now: datetime) -> float | None:
    limit = headers.get("ratelimit", "")
    left, seconds = _REMAINING.search(limit), _IN_SECONDS.search(limit)
    if left is not None and seconds is not None and int(left[1]) == 0:
        return float(seconds[1])
    if headers.get("x-ratelimit-remaining", "0").strip() != "0":
        return None
    at = _number(headers.get("x-ratelimit-reset"))
    if at is None or at < 1e9:  # seconds from now, of a day, of a window: nobody says which
        return None
    return max(0.0, (at / 1000 if at > 1e11 else at) - now.timestamp())
