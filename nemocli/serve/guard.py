"""Who may talk to the gateway: `Host`, `Origin` and the token, before anything is read."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import field
from hashlib import sha256
from ipaddress import ip_address

from nemocli.core.value_class import value_class

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@value_class(frozen=True, slots=True)
class Holder:
    """One of several people with a token of their own."""

    name: str
    tags: tuple[str, ...] = ()


@value_class(frozen=True, slots=True)
class Guard:
    """`token` None asks for none; `keys` are those of several people instead, by the SHA-256 of
    each, with its name and the tags of its calls. `hosts` are names that a request may be addressed
    to besides the loopback ones; `addresses` lets any literal address in, for a server that is open
    on purpose."""

    token: str | None
    port: int
    hosts: frozenset[str] = frozenset()
    addresses: bool = False
    keys: Mapping[str, Holder] = field(default_factory=dict)

    def refuses(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """A status and a line for what may not come in; None for what may."""
        if not self._addressed(headers.get("host", "")):
            return 403, "this Host is not served here"
        if "origin" in headers:
            return 403, "pages of a browser are not served here"
        if self.token is None and not self.keys:
            return None
        given = _given(headers)
        if self.token is not None and hmac.compare_digest(given, self.token.encode()):
            return None
        if self.holder(headers) is not None:
            return None
        return 401, "the token is missing or wrong"

    def holder(self, headers: Mapping[str, str]) -> Holder | None:
        """Whose token it is, where there are several."""
        if not self.keys:
            return None
        mine, found = digest_of(_given(headers)), None
        for digest, holder in self.keys.items():  # all of them, in a time that tells nothing
            if hmac.compare_digest(digest, mine):
                found = holder
        return found

    def _addressed(self, host: str) -> bool:
        name, port = _parts(host.strip().lower())
        if name in self.hosts:
            return True
        if port != self.port:
            return False
        return name in LOOPBACK or (self.addresses and _literal(name))


def _given(headers: Mapping[str, str]) -> bytes:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        given = headers.get("x-api-key", "")
    return given.strip().encode()


def digest_of(token: bytes) -> str:
    """What is kept of a token."""
    return sha256(token).hexdigest()


def _parts(host: str) -> tuple[str, int]:
    """Name and port of a Host; a port that is none is 80, one that is wrong -1."""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        number = rest.removeprefix(":")
    else:
        name, _, number = host.partition(":")
    if not number:
        return name, 80
    return name, int(number) if number.isascii() and number.isdecimal() else -1


def _literal(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
