"""Token counts and money, from where the provider's profile says they are.

Servers say them in one chunk, in two halves, again and again, or once more as zeros: what is known
of a reply only grows (`core.usage.merge`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from nemocli.core.events import Metered
from nemocli.core.provider import UsageWire
from nemocli.core.usage import Usage, from_disjoint, merge, superset
from nemocli.core.values import Json, JsonObject, count, dig
from nemocli.wire.jsontext import usd

COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)

_Keys = tuple[str, ...]
_NONE = [None] * len(COUNTS)
_MOST_DIGITS = 15


class UsageMeter:
    """Reads one provider's usage; made once per reply. `cached` are further places for the count
    of cached input, for servers of the same dialect that spell it another way."""

    __slots__ = ("_cached", "_known", "_paths", "_roots", "_wire")

    def __init__(self, wire: UsageWire, cached: tuple[str, ...] = ()) -> None:
        self._wire = wire
        self._paths, self._roots = _places(wire)
        self._cached = cached
        self._known: Metered | None = None

    def read(self, data: JsonObject) -> Metered | None:
        """All that is known of the reply after this payload; None when it says nothing."""
        for root in self._roots:
            if data.get(root):
                break
        else:
            return None
        usage = _counted(data, self._paths, disjoint=self._wire.disjoint, cached=self._cached)
        cost = self._cost(data)
        if usage is None and cost is None:
            return None
        old = self._known
        if old is not None:
            usage = merge(old.usage, usage) if usage is not None else old.usage
            cost = cost or old.reported_usd
        self._known = known = Metered(usage or Usage(), cost)
        return known

    def _cost(self, data: JsonObject) -> Decimal | None:
        wire = self._wire
        cost = usd(dig(data, wire.cost)) if wire.cost else None
        if cost is None or wire.byok is None or dig(data, wire.byok) is not True:
            return cost
        # With one's own key at the upstream the figure is only the fee: half a sum is none.
        upstream = usd(dig(data, wire.upstream_cost)) if wire.upstream_cost else None
        return None if upstream is None else cost + upstream


@lru_cache(maxsize=64)
def _places(wire: UsageWire) -> tuple[tuple[_Keys, ...], tuple[str, ...]]:
    """Where the counts are, and the fields at the top that hold them."""
    paths = [str(getattr(wire, name)) for name in COUNTS]
    places = [*paths, *((wire.cost,) if wire.cost else ())]
    roots = tuple({path.partition(".")[0] for path in places})
    return tuple(tuple(path.split(".")) for path in paths), roots


def usage_at(
    data: Json, paths: Mapping[str, str], *, disjoint: bool, cached: tuple[str, ...] = ()
) -> Usage | None:
    """The token classes at the paths, as supersets; None when none of them is there. `cached` are
    paths for the cached input, asked where the first has none."""
    places = tuple(tuple(paths[name].split(".")) if name in paths else () for name in COUNTS)
    return _counted(data, places, disjoint=disjoint, cached=cached)


def _counted(
    data: Json, places: tuple[_Keys, ...], *, disjoint: bool, cached: tuple[str, ...]
) -> Usage | None:
    counts: list[int | None] = []
    for keys in places:
        value: Json = data if keys else None
        for key in keys:
            value = value.get(key) if type(value) is dict else None
        counts.append(value if value is None else _count(value))
    if counts[1] is None:
        for path in cached:
            counts[1] = _count(dig(data, path))
            if counts[1] is not None:
                break
    if counts == _NONE:
        return None
    taken, read, written, made, thought = counts
    usage = Usage(taken, read, written, made, thought)
    return superset(from_disjoint(usage) if disjoint else usage)


def _count(value: Json) -> int | None:
    """A count, which some servers write as a string of digits."""
    if value is None or (type(value) is int and value >= 0):
        return value
    if isinstance(value, str):
        digits = value.strip()
        return (
            int(digits)
            if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
            else None
        )
    return count(value)
