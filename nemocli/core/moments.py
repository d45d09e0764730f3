"""Points in time as the ledger keeps them and as others read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(at: datetime) -> int:
    """Since 1970, exactly; `at` must know its time zone."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment_of(at_us: int) -> datetime:
    """The reverse, in UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


def utc_text(at: datetime, to: Literal["auto", "seconds", "microseconds"] = "microseconds") -> str:
    """ISO 8601 in UTC with a `Z`; `auto` leaves out a fraction of nothing."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec=to).replace("+00:00", "Z")
