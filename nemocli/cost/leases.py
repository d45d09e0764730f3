"""GPUs of one's own by the hour: what a lease costs, and each call's part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from nemocli.core.moments import utc_text
from nemocli.core.money import usd_text
from nemocli.core.usage import Usage
from nemocli.core.value_class import value_class
from nemocli.core.values import Json

INPUT_WEIGHT, OUTPUT_WEIGHT = 1, 4
"""Tokens made weigh four times those read: the rule Google GKE's recommender publishes (R = 4)."""

HOUR_US = 3_600_000_000


@value_class(frozen=True, slots=True)
class GpuPrice:
    """USD per GPU and hour, on demand: a default of a day, between `least` and `most`."""

    gpu: str
    usd: Decimal
    least: Decimal
    most: Decimal
    day: date
    source: str


def _row(gpu: str, usd: str, between: tuple[str, str], day: date, source: str) -> GpuPrice:
    return GpuPrice(gpu, Decimal(usd), Decimal(between[0]), Decimal(between[1]), day, source)


MARKET: tuple[GpuPrice, ...] = (
    _row("H100", "3.99", ("2.40", "12.29"), date(2026, 11, 9), "median of 8 on-demand offers"),
    _row("H200", "4.45", ("3.45", "6.31"), date(2026, 10, 24), "median of 7 on-demand offers"),
    _row("B200", "6.69", ("5.00", "6.79"), date(2026, 9, 20), "an 8-GPU node of 4 offers"),
    _row("B300", "7.50", ("6.00", "7.89"), date(2026, 9, 20), "middle of 3 on-demand offers"),
    _row("GB200", "4.54", ("4.54", "4.54"), date(2026, 3, 1), "half a superchip, one offer"),
)
"""Third-party lists of rental prices, 2026-03 to 2026-11; a licence of the software is extra."""


def market_price(gpu: str) -> GpuPrice | None:
    """The default for a kind, however its name is written (`h100-80gb-hbm3`)."""
    bare = gpu.upper().replace("-", " ").replace("_", " ").split()
    return next((row for row in MARKET if row.gpu in bare), None)


@value_class(frozen=True, slots=True)
class Lease:
    """So many GPUs of a kind from `start` to `stop` (None: still running), for the calls that a
    provider answered meanwhile. Rates in pico-USD per GPU and hour. `pico` is what it costs up to
    `stop`, or up to now; `idle` of it what no call stood for, 0 while that is not settled."""

    name: str
    provider: str
    gpus: int
    gpu: str
    pico_per_hour: int
    price_source: str
    start: datetime
    stop: datetime | None = None
    input_weight: int = INPUT_WEIGHT
    output_weight: int = OUTPUT_WEIGHT
    pico: int = 0
    idle: int = 0

    def cost(self, until: datetime) -> int:
        """GPUs times rate times hours, to the nearest pico-dollar."""
        elapsed = max(0, (until - self.start) // timedelta(microseconds=1))
        return (2 * self.gpus * self.pico_per_hour * elapsed + HOUR_US) // (2 * HOUR_US)


@value_class(frozen=True, slots=True)
class LeasedCall:
    """One call on leased GPUs: when it began, how long it took in seconds, its tokens."""

    attempt_id: str
    at: datetime
    total_s: float
    usage: Usage


@value_class(frozen=True, slots=True)
class Shares:
    """A lease among its calls. `busy` is each call's part of the time in which any was under way,
    `full` its part of the whole lease; `sum(busy) + idle = sum(full) = pico`, where there is any
    call; without one all is idle."""

    pico: int
    idle: int
    busy: Mapping[str, int]
    full: Mapping[str, int]


def shares(lease: Lease, stop: datetime, calls: Sequence[LeasedCall]) -> Shares:
    """Split a lease by weighted tokens, to the last pico-dollar."""
    pico = lease.cost(stop)
    weights = {call.attempt_id: _weight(lease, call.usage) for call in calls}
    if not sum(weights.values()):
        return Shares(pico, pico, {}, {})
    seconds = max((stop - lease.start) / timedelta(microseconds=1), 1)
    busy = min(pico, int(pico * _busy_us(lease.start, stop, calls) / seconds))
    return Shares(pico, pico - busy, apportion(busy, weights), apportion(pico, weights))


def apportion(whole: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Whole units by weight; the largest remainders get what is left, so that it adds up."""
    total = sum(weights.values())
    parts = {name: whole * weight // total for name, weight in weights.items()}
    left = whole - sum(parts.values())
    by_rest = sorted(weights, key=lambda name: (-(whole * weights[name] % total), name))
    for name in by_rest[:left]:
        parts[name] += 1
    return parts


def _weight(lease: Lease, usage: Usage) -> int:
    read, made = usage.input_tokens or 0, usage.output_tokens or 0
    return lease.input_weight * read + lease.output_weight * made


def _busy_us(start: datetime, stop: datetime, calls: Sequence[LeasedCall]) -> int:
    """Microseconds in which at least one call was under way."""
    spans = sorted(
        (max(c.at, start), min(c.at + timedelta(seconds=max(c.total_s, 0)), stop)) for c in calls
    )
    busy, reached = timedelta(), start
    for begin, end in spans:
        busy += max(end - max(begin, reached), timedelta())
        reached = max(reached, end)
    return busy // timedelta(microseconds=1)


def lease_json(lease: Lease) -> dict[str, Json]:
    """One lease; money as decimal strings, times in UTC."""
    return {
        "name": lease.name,
        "provider": lease.provider,
        "gpus": lease.gpus,
        "gpu": lease.gpu,
        "usd_per_gpu_hour": usd_text(lease.pico_per_hour),
        "price_source": lease.price_source,
        "start": utc_text(lease.start, "seconds"),
        "stop": None if lease.stop is None else utc_text(lease.stop, "seconds"),
        "weights": {"input": lease.input_weight, "output": lease.output_weight},
        "usd": usd_text(lease.pico),
        "idle_usd": None if lease.stop is None else usd_text(lease.idle),
    }
