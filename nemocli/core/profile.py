"""Profile mappings to providers and model cards, and how one layer of them covers another.

A mapping here has satisfied `profiles/schemas/*.json`: its keys are the fields of core/provider.py
and core/card.py by name, its fractions are Decimal, so every price is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar, cast

from nemocli.core.card import GpuRow, ModelCard, Offer, Weights
from nemocli.core.faults import FaultKind
from nemocli.core.money import Price, PriceOrigin, Tier
from nemocli.core.provider import (
    Activity,
    Auth,
    Batches,
    ErrorRule,
    Layer,
    Provider,
    ProviderLimits,
    ReasoningWire,
    Runtime,
    Settlement,
    Timeouts,
    UsageWire,
    origin_of,
)
from nemocli.core.values import Json, JsonObject

T = TypeVar("T")

OWN = ("schema", "extends")
"""Keys of the file, not of the thing in it."""

_PARTS: Mapping[str, type] = {
    "auth": Auth,
    "reasoning": ReasoningWire,
    "usage": UsageWire,
    "limits": ProviderLimits,
    "timeouts": Timeouts,
    "settlement": Settlement,
    "activity": Activity,
    "batches": Batches,
    "runtime": Runtime,
}

KEY_FIELDS = frozenset({"env", "key_prefix", "setup_url", "allow_http"})
"""What in `auth` is about one seller's key rather than about how a key travels."""

NOT_INHERITED = frozenset(
    {"schema", "name", "title", "extends", "prices", "aliases", "misnomers", "lineage"}
)
"""What `extends` leaves behind: names, and whatever says what a call costs."""


def provider_from(
    data: JsonObject, *, layer: Layer, file: str, lineage: Sequence[str] = ()
) -> Provider:
    """The provider a checked mapping describes. `lineage` are the names it extends, nearest first.

    Price rows are this provider's own; those of a user's or project's layer are overrides.
    """
    given = {k: v for k, v in data.items() if v is not None and k not in OWN}
    name = str(given["name"])
    values: dict[str, Any] = {
        **given,
        "dialect": given.get("dialect", ""),
        "base_url": str(given.get("base_url", "")).rstrip("/"),
        "drop": frozenset(_rows(given, "drop")),
        "errors": tuple(_error_rule(row) for row in _objects(given, "errors")),
        "prices": tuple(_price(row, layer, seller=name) for row in _objects(given, "prices")),
        "lineage": tuple(lineage),
        "layer": layer,
        "file": file,
    }
    for key in ("headers", "query", "paths", "rename", "models"):
        values[key] = {k: v for k, v in _object(given, key).items() if v is not None}
    for key, kind in _PARTS.items():
        if key in given:
            values[key] = _filled(kind, _with_defaults(key, _object(given, key)))
    return Provider(**values)


def _with_defaults(key: str, part: JsonObject) -> JsonObject:
    """A key in a header of its own stands there alone: `Bearer` belongs to Authorization."""
    header = part.get("header")
    if key == "auth" and isinstance(header, str) and header.lower() != "authorization":
        return {"scheme": "", **{k: v for k, v in part.items() if v is not None}}
    return part


def card_from(data: JsonObject, *, file: str, layer: Layer = "bundled") -> ModelCard:
    """The model card a checked mapping describes; its price rows are for this card's name."""
    given = {k: v for k, v in data.items() if k not in OWN}
    name = str(given["name"])
    values: dict[str, Any] = {
        "offers": tuple(_filled(Offer, row) for row in _objects(given, "offers")),
        "prices": tuple(_price(row, layer, model=name) for row in _objects(given, "prices")),
        "weights": tuple(_filled(Weights, row) for row in _objects(given, "weights")),
        "hardware": tuple(_filled(GpuRow, row) for row in _objects(given, "hardware")),
        "file": file,
    }
    return _filled(ModelCard, {**given, **values})


def merge(base: JsonObject, over: JsonObject) -> dict[str, Json]:
    """One mapping laid over another: mappings merge, everything else replaces, null included.

    The `offers` of a card merge by provider and variant; `prices` add up, since a dated row is
    history that a newer one does not undo.
    """
    out = _laid(base, over)
    if base.get("prices") and "prices" in over:
        out["prices"] = [*_rows(base, "prices"), *_rows(over, "prices")]
    if base.get("offers") and "offers" in over:
        out["offers"] = _offers(_objects(base, "offers"), _objects(over, "offers"))
    return out


def overlaid(base: JsonObject, over: JsonObject) -> dict[str, Json]:
    """A nearer file of the same name laid over `base`.

    Where it moves `base_url` to another origin and names no variables of its own, the inherited
    ones go: a key never reaches an origin it was not meant for.
    """
    out = merge(base, over)
    moved = "base_url" in over and _origin(over) != _origin(base)
    if moved and "env" not in _object(over, "auth"):
        out["auth"] = {
            **{k: v for k, v in _object(base, "auth").items() if k not in KEY_FIELDS},
            **_object(over, "auth"),
        }
    return out


def extend(base: JsonObject, over: JsonObject) -> dict[str, Json]:
    """What a file with `extends` comes to: the dialect and quirks of `base`, never its names, key
    or prices. That nothing is charged is a price too: it holds on only for servers of one's own.
    """
    kept = {k: v for k, v in base.items() if k not in NOT_INHERITED}
    if "auth" in kept:
        kept["auth"] = {k: v for k, v in _object(kept, "auth").items() if k not in KEY_FIELDS}
    if not over.get("local", base.get("local")):
        kept.pop("free", None)
    return merge(kept, over)


def stamp_prices(data: JsonObject, layer: Layer) -> JsonObject:
    """The mapping with every price row marked by the layer it comes from, before rows mix."""
    if not data.get("prices"):
        return data
    return {**data, "prices": [{"origin": _rank(layer), **r} for r in _objects(data, "prices")]}


def _laid(base: JsonObject, over: JsonObject) -> dict[str, Json]:
    out = dict(base)
    for key, value in over.items():
        under = out.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        out[key] = _laid(under, value) if both else value  # type: ignore[arg-type]
    return out


def _offers(base: Sequence[JsonObject], over: Sequence[JsonObject]) -> list[Json]:
    rows = {(r["provider"], r.get("variant")): r for r in base}
    for row in over:
        key = (row["provider"], row.get("variant"))
        rows[key] = _laid(rows.get(key, {}), row)
    return list(rows.values())


def _origin(data: JsonObject) -> str:
    return origin_of(str(data.get("base_url") or ""))


def _rank(layer: Layer) -> PriceOrigin:
    return "bundled" if layer == "bundled" else "override"


def _price(row: JsonObject, layer: Layer, **owner: str) -> Price:
    """Rates may be written as whole numbers; they are Decimal from here on."""
    rates = ("input", "output", "cached_input", "cache_write", "reasoning", "per_request")
    days = ("valid_from", "valid_to")
    values: dict[str, Any] = {"origin": _rank(layer), **owner}
    for key, value in row.items():
        if value is not None and key in rates:
            values[key] = Decimal(cast(int, value))
        elif value is not None and key in days:
            values[key] = date.fromisoformat(str(value))
        elif key == "tiers":
            values[key] = tuple(_tier(tier) for tier in _objects(row, key))
        else:
            values[key] = value
    return Price(**values)


def _tier(row: JsonObject) -> Tier:
    rates = {k: Decimal(cast(int, v)) for k, v in row.items() if k != "above" and v is not None}
    return Tier(cast(int, row["above"]), **rates)


def _error_rule(row: JsonObject) -> ErrorRule:
    return _filled(ErrorRule, {**row, "kind": FaultKind(str(row["kind"]))})


def _filled(kind: Callable[..., T], data: JsonObject) -> T:
    """A frozen value from the fields given; null means as if not given."""
    return kind(**{k: _frozen(k, v) for k, v in data.items() if v is not None})


def _frozen(key: str, value: Json) -> object:
    if isinstance(value, list):
        return tuple(value)
    # Seconds are the only measured, hence inexact, numbers in a profile.
    return float(cast(Decimal, value)) if key.endswith("_s") else value


def _object(data: JsonObject, key: str) -> JsonObject:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _rows(data: JsonObject, key: str) -> Sequence[Json]:
    value = data.get(key)
    return value if isinstance(value, list | tuple) else ()


def _objects(data: JsonObject, key: str) -> Sequence[JsonObject]:
    return [row for row in _rows(data, key) if isinstance(row, Mapping)]
