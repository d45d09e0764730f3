"""A period's traffic on every other path, and on GPUs of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from nemocli.core.money import Price, table_cost, usd_short, usd_text
from nemocli.core.usage import Usage
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.cost.calls import Total
from nemocli.cost.leases import INPUT_WEIGHT, OUTPUT_WEIGHT
from nemocli.cost.summary import summarise
from nemocli.cost.summary_lines import tokens_text


@value_class(frozen=True, slots=True)
class Traffic:
    """What was asked of one model: calls with known counts, their tokens, what they cost (pico-USD,
    None: unknown), and the hours of the period. `uncounted` and `unpriced` calls are left out."""

    model: str
    calls: int
    usage: Usage
    pico: int | None
    unpriced: int
    uncounted: int
    hours: Decimal

    @property
    def work(self) -> int:
        """Tokens in units of a quarter output token: input counts once, output four times."""
        read, made = self.usage.input_tokens or 0, self.usage.output_tokens or 0
        return INPUT_WEIGHT * read + OUTPUT_WEIGHT * made


@value_class(frozen=True, slots=True)
class Path:
    """The traffic at one seller's prices; `full`: cached tokens are billed at the full rate."""

    seller: str
    price: Price
    pico: int
    full: bool


@value_class(frozen=True, slots=True)
class OwnGpus:
    """GPUs of one's own: rate in pico-USD per GPU and hour, `speed` output tokens per second of all
    of them at full load (None: unknown; `measured` in the ledger), `percent` of it used."""

    count: int
    gpu: str
    rate: int
    rate_source: str
    speed: Decimal | None
    measured: bool
    percent: int


@value_class(frozen=True, slots=True)
class Own:
    """What they would take: GPU hours at full load times the unused part, in pico-USD; what
    standing ready for the whole period costs; from which per cent of use on they are cheaper than
    the cheapest path (None: never, or not known)."""

    gpus: OwnGpus
    hours: Decimal | None
    pico: int | None
    standing: int
    break_even: Decimal | None


def traffic_of(model: str, totals: Iterable[Total], hours: Decimal) -> Traffic:
    """Sums of one model in a period."""
    whole = summarise(totals).total
    usage = Usage(
        whole.input_tokens,
        whole.cached_input_tokens,
        whole.cache_write_tokens,
        whole.output_tokens,
        whole.reasoning_tokens,
    )
    return Traffic(model, whole.calls, usage, whole.pico, whole.unpriced, whole.uncounted, hours)


def paths_for(traffic: Traffic, held: Iterable[Price]) -> list[Path]:
    """Cheapest first. The tokens are billed in one sum, at the rates for a call of mean length, and
    a price per request for each call."""
    found = []
    each = (traffic.usage.input_tokens or 0) // max(traffic.calls, 1)
    for row in held:
        price = row.at(each)
        once = table_cost(traffic.usage, price)
        if once is None:
            continue
        requests = int((price.per_request or 0) * 10**12) * max(traffic.calls - 1, 0)
        full = bool(traffic.usage.cached_input_tokens) and price.cached_input is None
        found.append(Path(price.listing, price, once + requests, full))
    return sorted(found, key=lambda p: (p.pico, p.seller))


def own_gpus(traffic: Traffic, gpus: OwnGpus, cheapest: int | None) -> Own:
    """GKE's rule: an output token takes as long as four that are read."""
    standing = int(gpus.count * gpus.rate * traffic.hours)
    if not gpus.speed:
        return Own(gpus, None, None, standing, None)
    seconds = Decimal(traffic.work) / OUTPUT_WEIGHT / gpus.speed
    hours = seconds / 3600 * 100 / gpus.percent
    pico = int(hours * gpus.count * gpus.rate)
    full = seconds / 3600 * gpus.count * gpus.rate
    even = full / cheapest * 100 if cheapest else None
    return Own(gpus, hours, pico, standing, even if even is not None and even <= 100 else None)


def what_if_lines(traffic: Traffic, paths: list[Path], own: Own) -> list[str]:
    """For people."""
    usage = traffic.usage
    days = traffic.hours / 24
    lines = [
        f"{traffic.model}, {days:.1f} days: {traffic.calls} calls,"
        f" {tokens_text(usage.input_tokens or 0)} in"
        f" ({tokens_text(usage.cached_input_tokens or 0)} cached),"
        f" {tokens_text(usage.output_tokens or 0)} out",
        "as it was  "
        + ("unknown" if traffic.pico is None else usd_short(traffic.pico))
        + (f" + {traffic.unpriced} unpriced calls" if traffic.unpriced else ""),
    ]
    if traffic.uncounted:
        lines.append(f"{traffic.uncounted} calls without counts are in none of these sums")
    lines.append("")
    width = max((len(p.seller) for p in paths), default=0)
    for path in paths:
        ratio = f"  {path.pico / traffic.pico:.2f}x" if traffic.pico else ""
        note = "  (no cached rate: billed in full)" if path.full else ""
        lines.append(f"{path.seller:<{width}}  {usd_short(path.pico):>12}{ratio}{note}")
    lines.append("")
    g = own.gpus
    lines.append(
        f"{g.count} x {g.gpu} at {usd_short(g.rate)} a GPU hour ({g.rate_source}):"
        f" {usd_short(own.standing)} for the whole period"
    )
    if own.pico is None or own.hours is None or g.speed is None:
        lines.append("  how fast they are is not known: `--speed TOKENS/S`, or measure one")
    else:
        seen = "measured in the ledger" if g.measured else "given"
        lines.append(
            f"  at {g.speed:.0f} output tokens/s ({seen}) and {g.percent} % use:"
            f" {own.hours:.1f} hours, {usd_short(own.pico)}"
        )
        if paths:
            best = paths[0]
            lines.append(
                f"  break-even with {best.seller}: "
                + ("not at any use" if own.break_even is None else f"{own.break_even:.0f} % use")
            )
    return lines


def what_if_json(traffic: Traffic, paths: list[Path], own: Own) -> dict[str, Json]:
    """Schema `nemocli.what-if/1`; money as decimal strings in USD."""
    usage, g = traffic.usage, own.gpus
    return {
        "schema": "nemocli.what-if/1",
        "model": traffic.model,
        "hours": f"{traffic.hours:.3f}",
        "calls": traffic.calls,
        "uncounted_calls": traffic.uncounted,
        "unpriced_calls": traffic.unpriced,
        "usage": {
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        },
        "usd": usd_text(traffic.pico),
        "paths": [
            {
                "seller": p.seller,
                "price_id": p.price.id,
                "usd": usd_text(p.pico),
                "cached_at_full_rate": p.full,
            }
            for p in paths
        ],
        "gpus": {
            "count": g.count,
            "gpu": g.gpu,
            "usd_per_gpu_hour": usd_text(g.rate),
            "rate_source": g.rate_source,
            "output_tokens_per_s": None if g.speed is None else f"{g.speed:.3f}",
            "speed_measured": g.measured,
            "utilisation_percent": g.percent,
            "hours": None if own.hours is None else f"{own.hours:.3f}",
            "usd": usd_text(own.pico),
            "standing_usd": usd_text(own.standing),
            "break_even_percent": None if own.break_even is None else f"{own.break_even:.1f}",
        },
    }
