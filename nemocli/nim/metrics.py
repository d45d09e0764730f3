"""What `/v1/metrics` says, in Prometheus' text: NIM 1.x without a prefix, vLLM with one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nemocli.core.value_class import value_class

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(\{[^}]*\})?\s+([-+]?(?:\d[\d.eE+-]*|NaN|[+-]?Inf))")
_EDGE = re.compile(r'le="([^"]+)"')


@value_class(frozen=True, slots=True)
class ServerMetrics:
    """Gauges and counters; times in seconds at p50 and p99, None where nothing was counted."""

    running: float | None
    waiting: float | None
    kv_cache: float | None
    prompt_tokens: float | None
    output_tokens: float | None
    prefix_hits: float | None
    ttft_s: tuple[float | None, float | None]
    itl_s: tuple[float | None, float | None]


def metrics_of(text: str) -> ServerMetrics:
    """The figures in a page. What a page does not have is None."""
    values: dict[str, float] = {}
    buckets: dict[str, dict[float, float]] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None or line.startswith("#"):
            continue
        name, labels, number = found[1].rpartition(":")[2], found[2] or "", float(found[3])
        edge = _EDGE.search(labels)
        if edge is not None and name.endswith("_bucket"):
            each = buckets.setdefault(name.removesuffix("_bucket"), {})
            each[float(edge[1])] = each.get(float(edge[1]), 0.0) + number
        else:
            values[name] = values.get(name, 0.0) + number
    hits, asked = values.get("prefix_cache_hits_total"), values.get("prefix_cache_queries_total")
    return ServerMetrics(
        _first(values, "num_requests_running"),
        _first(values, "num_requests_waiting"),
        _first(values, "kv_cache_usage_perc", "gpu_cache_usage_perc"),
        _first(values, "prompt_tokens_total"),
        _first(values, "generation_tokens_total"),
        None if hits is None or not asked else hits / asked,
        _pair(buckets, "time_to_first_token_seconds"),
        _pair(buckets, "inter_token_latency_seconds", "time_per_output_token_seconds"),
    )


def _first(values: Mapping[str, float], *names: str) -> float | None:
    return next((values[name] for name in names if name in values), None)


def _pair(
    buckets: Mapping[str, Mapping[float, float]], *names: str
) -> tuple[float | None, float | None]:
    found = next((buckets[name] for name in names if name in buckets), None)
    if found is None:
        return None, None
    return quantile(found, 0.5), quantile(found, 0.99)


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """A quantile of a histogram, linear inside its bucket; None where nothing was counted."""
    edges: Sequence[float] = sorted(buckets)
    total = buckets[edges[-1]] if edges else 0.0
    if not total:
        return None
    before, low = 0.0, 0.0
    for edge in edges:
        if buckets[edge] >= q * total:
            if edge == float("inf") or buckets[edge] == before:
                return low
            return low + (edge - low) * (q * total - before) / (buckets[edge] - before)
        before, low = buckets[edge], edge
    return low
