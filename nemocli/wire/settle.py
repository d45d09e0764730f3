"""The final cost of one reply, asked for after it: the question and what the answer says."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple
from urllib.parse import quote

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Call
from nemocli.core.provider import Provider
from nemocli.core.usage import Usage
from nemocli.core.values import Json, JsonObject, dig
from nemocli.wire.jsontext import parse, string, usd
from nemocli.wire.meter import usage_at


class FinalCost(NamedTuple):
    """What the seller settled; None is not said. `cancelled` that it stopped before its end."""

    cost_usd: Decimal | None
    usage: Usage | None
    upstream: str | None
    cancelled: bool | None


def settlement_call(provider: Provider, reply_id: str, base_url: str) -> Call:
    """The GET for one reply, without its key. Raises NemoError (config) where there is no such
    question."""
    if provider.settlement is None:
        raise NemoError(
            Fault(
                FaultKind.CONFIG,
                f"{provider.name} has no way to ask for the cost of a reply afterwards",
                "`settlement` in its file would say how",
                provider.name,
                sent=False,
            )
        )
    path = provider.settlement.path.replace("{id}", quote(reply_id, safe="", errors="replace"))
    headers = {"accept": "application/json"}
    headers.update({name.lower(): value for name, value in provider.headers.items()})
    return Call("GET", base_url.rstrip("/") + path, headers)


def cost_from(provider: Provider, body: bytes) -> FinalCost:
    """The figures in the answer, money exactly as written. Raises NemoError (protocol) for a body
    that is not a JSON object."""
    try:
        value = parse(body.decode("utf-8", "replace"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise NemoError(
            Fault(
                FaultKind.PROTOCOL,
                f"{provider.name} was asked for a final cost and did not answer with JSON",
                "`nemocli cost reconcile` asks again",
                provider.name,
            )
        )
    paths = dict(provider.settlement.fields) if provider.settlement is not None else {}
    return _read(value, paths, provider)


def _read(value: JsonObject, paths: dict[str, str], provider: Provider) -> FinalCost:
    def at(name: str) -> Json:
        return dig(value, paths[name]) if name in paths else None

    cancelled = at("cancelled")
    return FinalCost(
        usd(at("cost")),
        usage_at(value, paths, disjoint=provider.usage.disjoint),
        string(at("upstream")),
        cancelled if isinstance(cancelled, bool) else None,
    )
