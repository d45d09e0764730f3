"""What every exchange with a provider has: where it goes, its key, what a refusal says."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Target
from nemocli.core.ports import Call, Key, Reply
from nemocli.core.provider import Provider, Timeouts, loopback
from nemocli.core.value_class import value_class

MOST_BYTES = 256 * 1024
"""Of a body that is read whole before it is understood."""


REFUSAL_S = 5.0
"""How long the body of a refusal may take: its status is known, the rest is explanation."""


@value_class(frozen=True, slots=True)
class Door:
    """Where one attempt goes: the target with its model found out, an address and a key."""

    target: Target
    base_url: str
    key: Key | None


def authorise(
    call: Call, provider: Provider, key: Key | None, timeouts: Timeouts | None = None
) -> Call:
    """The call with the provider's query and certificates, with the key in the header it wants it
    in, and with its times where some are given."""
    url, headers, secrets = call.url, call.headers, call.secrets
    if provider.query:
        url = provider.url_with_query(url)
    if key is not None:
        value = f"{provider.auth.scheme} {key.value}" if provider.auth.scheme else key.value
        headers = {**headers, provider.auth.header.lower(): value}
        secrets = (*secrets, key.value)
    times = timeouts or call.timeouts
    ca = provider.ca or call.ca
    return Call(call.method, url, headers, call.body, times, secrets, ca, call.timed)


def key_refusal(fault: Fault, key: Key | None) -> Fault:
    """A refusal of a key, saying which: a variable goes before any key that is stored."""
    if key is None or fault.kind is not FaultKind.AUTH or fault.status not in (401, 403):
        return fault
    kind, _, name = key.source.partition(" ")
    message = f"{fault.message} (the key from {name if kind == 'env' else key.source})"
    hint = fault.hint
    if kind == "env" and (hint is None or "auth login" in hint):
        hint = (
            f"put another key into {name}, or unset it: it goes before a stored one"
            f" (`nemocli auth login {fault.provider}`)"
        )
    return replace(fault, message=message, hint=hint)


def without_key(fault: Fault, key: Key | None) -> Fault:
    """Servers repeat the key they refuse; it must not go on from there."""
    if key is None:
        return fault
    from nemocli.core.redact import Redactor

    clean = Redactor((key.value,)).text
    hint = clean(fault.hint) if fault.hint else None
    return replace(fault, message=clean(fault.message), hint=hint)


async def refusal(reply: Reply) -> bytes:
    """The body of a reply with a bad status, as far as it comes: a connection that breaks in the
    explanation does not make another failure of it."""
    parts: list[bytes] = []
    with suppress(NemoError, TimeoutError):
        async with asyncio.timeout(REFUSAL_S):
            await _gather(reply, parts, MOST_BYTES)
    return b"".join(parts)[:MOST_BYTES]


async def whole(reply: Reply, most: int = MOST_BYTES) -> bytes:
    """The body of a good reply, up to `most` bytes. Raises NemoError where it breaks off."""
    parts: list[bytes] = []
    await _gather(reply, parts, most)
    return b"".join(parts)[:most]


async def _gather(reply: Reply, parts: list[bytes], most: int) -> None:
    size = 0
    async for chunk in reply.chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= most:
            return


def check_key(provider: Provider, base_url: str, key: Key | None) -> None:
    """Raises NemoError where a key is needed and there is none, or where it could be overheard."""
    if key is None and provider.auth.required:
        names = " or ".join(provider.auth.env)
        where = f"; get one at {provider.auth.setup_url}" if provider.auth.setup_url else ""
        ways = f"set {names}, or type" if names else "type"
        raise NemoError(
            Fault(
                FaultKind.AUTH,
                f"no key for {provider.name}",
                f"{ways} `nemocli auth login {provider.name}`{where}",
                provider.name,
                sent=False,
            )
        )
    plain = base_url.startswith("http://") and not loopback(base_url)
    if key is not None and plain and not provider.auth.allow_http:
        raise NemoError(
            Fault(
                FaultKind.CONFIG,
                f"{provider.name} is reached over plain HTTP, where its key can be read on the way",
                "use https, or set `auth: {allow_http: true}` in the provider's file",
                provider.name,
                sent=False,
            )
        )
