"""Where a redirect may be followed to, with the same method."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from nemocli.core.ports import Call
from nemocli.core.provider import origin_of

MOST_REDIRECTS = 3

_SAFE = frozenset({"GET", "HEAD"})
_KEYED = frozenset({"authorization", "cookie", "x-api-key", "api-key"})


def redirect_target(call: Call, url: str, status: int, location: str | None) -> str | None:
    """The address to ask next, when `call` got this reply from `url`; None where the reply stands.

    Only to the same origin; anywhere, but from TLS to none, for a call that reads and holds no key.
    """
    again = status in (307, 308)
    if location is None or not (again or (status in (301, 302) and call.method.upper() in _SAFE)):
        return None
    try:
        target = urljoin(url, location).partition("#")[0]
        parts = urlsplit(target)
        same = origin_of(target) == origin_of(url)
    except ValueError:
        return None
    safe = _nothing_to_lose(call) and parts.scheme in ("http", "https") and bool(parts.hostname)
    safe = safe and not (url.startswith("https:") and parts.scheme == "http")
    return target if (same or safe) and target != url else None


def _nothing_to_lose(call: Call) -> bool:
    """Whether a call may be sent to an address it was not meant for: it reads and holds no key."""
    named = {name.lower() for name in call.headers}
    return call.method.upper() in _SAFE and not call.secrets and not named & _KEYED
