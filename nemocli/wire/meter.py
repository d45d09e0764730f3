"""Token counts and money, from where the provider's profile says they are."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from nemocli.core.events import Metered
from nemocli.core.provider import UsageWire
from nemocli.core.usage import Usage, from_disjoint, superset
from nemocli.core.values import Json, JsonObject, count, dig
from nemocli.wire.jsontext import usd

COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


_NONE = [None] * len(COUNTS)


class Meter:
    """Reads one provider's usage; made once per reply."""

    __slots__ = ("_paths", "_roots", "_wire")

    def __init__(self, wire: UsageWire) -> None:
        self._wire = wire
        self._paths, self._roots = _places(wire)

    def read(self, data: JsonObject) -> Metered | None:
        """The counts and the sum in a payload; None when it says neither."""
        for root in self._roots:
            if data.get(root):
                break
        else:
            return None
        usage = counted(data, self._paths, disjoint=self._wire.disjoint)
        cost = self._cost(data)
        return None if usage is None and cost is None else Metered(usage or Usage(), cost)

    def _cost(self, data: JsonObject) -> Decimal | None:
        wire = self._wire
        cost = usd(dig(data, wire.cost)) if wire.cost else None
        if cost is None or wire.byok is None or dig(data, wire.byok) is not True:
            return cost
        # With one's own key at the upstream the figure is only the fee: half a sum is none.
        upstream = usd(dig(data, wire.upstream_cost)) if wire.upstream_cost else None
        return None if upstream is None else cost + upstream


@lru_cache(maxsize=64)
def _places(wire: UsageWire) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Where the counts are, and the fields at the top that hold them."""
    paths = {name: str(getattr(wire, name)) for name in COUNTS}
    places = [*paths.values(), *((wire.cost,) if wire.cost else ())]
    return paths, tuple({path.partition(".")[0] for path in places})


def counted(data: Json, paths: Mapping[str, str], *, disjoint: bool) -> Usage | None:
    """The token classes at the paths, as supersets; None when none of them is there."""
    counts = [count(dig(data, paths[name])) if name in paths else None for name in COUNTS]
    if counts == _NONE:
        return None
    taken, cached, written, made, thought = counts
    usage = Usage(taken, cached, written, made, thought)
    return superset(from_disjoint(usage) if disjoint else usage)
