"""Every call, for other programs: JSON lines, CSV, FOCUS 1.2, OpenTelemetry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from nemocli.core.moments import utc_text
from nemocli.core.money import usd_text
from nemocli.core.values import Json
from nemocli.cost.calls import CallRow, Total
from nemocli.cost.leases import Lease

COLUMNS = (
    "id", "run", "attempt", "at", "command", "provider", "upstream", "model", "requested_model",
    "served_model", "status", "finish_reason", "http_status", "fault", "reply_id", "request_id",
    "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens",
    "reasoning_tokens", "usage_source", "usd", "cost_source", "price_id", "list_usd",
    "list_price_id", "cost_flags", "booked_usd", "booked_source", "settled_at", "ttft_s", "total_s",
    "project", "session", "tags",
)  # fmt: skip
"""Of `jsonl` and `csv`; new ones come at the end."""


def call_record(row: CallRow) -> dict[str, Json]:
    """One call; money as decimal strings in USD, times in UTC, unknown is null."""
    e, cost = row.entry, row.entry.cost
    usage = asdict(e.usage)
    source = usage.pop("source")
    return {
        "id": e.attempt_id,
        "run": e.run_id,
        "attempt": e.attempt,
        "at": utc_text(e.at),
        "command": e.command,
        "provider": e.provider,
        "upstream": e.upstream,
        "model": e.model,
        "requested_model": e.requested_model,
        "served_model": e.served_model,
        "status": e.status,
        "finish_reason": e.finish_reason,
        "http_status": e.http_status,
        "fault": None if e.fault is None else e.fault.kind.value,
        "reply_id": e.reply_id,
        "request_id": e.request_id,
        **usage,
        "usage_source": source,
        "usd": usd_text(cost.pico),
        "cost_source": cost.source,
        "price_id": cost.price_id,
        "list_usd": usd_text(cost.list_pico),
        "list_price_id": cost.list_price_id,
        "cost_flags": list(cost.flags),
        "booked_usd": usd_text(row.booked.pico),
        "booked_source": row.booked.source,
        "settled_at": None if row.settled_at is None else utc_text(row.settled_at),
        "ttft_s": e.ttft_s,
        "total_s": e.total_s,
        "project": e.project,
        "session": e.session,
        "tags": list(e.tags),
    }


def flat(record: Mapping[str, Json]) -> list[str]:
    """The cells of a record, lists with spaces between, nothing for unknown."""
    cells = []
    for value in record.values():
        if isinstance(value, list):
            cells.append(" ".join(str(v) for v in value))
        else:
            cells.append("" if value is None else str(value))
    return cells


FOCUS = (
    "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName",
    "BillingAccountType", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "CapacityReservationId", "CapacityReservationStatus", "ChargeCategory", "ChargeClass",
    "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
    "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName",
    "CommitmentDiscountQuantity", "CommitmentDiscountStatus", "CommitmentDiscountType",
    "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost",
    "ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId",
    "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory",
    "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName",
    "SubAccountType", "Tags", "x_InputTokens", "x_CachedInputTokens", "x_CacheWriteTokens",
    "x_OutputTokens", "x_ReasoningTokens", "x_CostSource", "x_Status", "x_RunId",
)  # fmt: skip
"""FOCUS 1.2, the Cost and Usage dataset, and our own under `x_`."""


def focus_record(row: CallRow) -> dict[str, str] | None:
    """One call as a charge; None where its cost is unknown, for which FOCUS has no place."""
    e, cost = row.entry, row.entry.cost
    if cost.pico is None:
        return None
    usd = usd_text(cost.pico) or "0"
    tokens = (e.usage.input_tokens or 0) + (e.usage.output_tokens or 0)
    end = e.at + timedelta(seconds=max(e.total_s or 0, 1))  # whole seconds, the end exclusive
    usage = e.usage
    return _charge(
        {
            "BilledCost": usd,
            "ContractedCost": usd,
            "EffectiveCost": usd,
            "ListCost": usd_text(cost.list_pico) or usd,
            "ChargeDescription": f"{e.model} at {e.provider}, {e.command}",
            "ChargePeriodStart": focus_time(e.at),
            "ChargePeriodEnd": focus_time(end),
            "ConsumedQuantity": str(tokens),
            "PricingQuantity": str(tokens),
            "ConsumedUnit": "Tokens",
            "PricingUnit": "Tokens",
            "InvoiceIssuerName": e.provider,
            "ProviderName": e.provider,
            "PublisherName": e.upstream or e.provider,
            "BillingAccountId": e.provider,
            "BillingAccountName": e.provider,
            "ResourceId": e.attempt_id,
            "ResourceName": e.served_model or e.model,
            "SkuId": e.model,
            "SkuMeter": "Tokens",
            "SkuPriceId": cost.price_id or f"{e.provider}/{e.model}/{cost.source}",
            "SubAccountId": e.project or "",
            "SubAccountName": e.project or "",
            "Tags": json.dumps(dict.fromkeys(e.tags, "true"), ensure_ascii=False),
            "x_InputTokens": _text(usage.input_tokens),
            "x_CachedInputTokens": _text(usage.cached_input_tokens),
            "x_CacheWriteTokens": _text(usage.cache_write_tokens),
            "x_OutputTokens": _text(usage.output_tokens),
            "x_ReasoningTokens": _text(usage.reasoning_tokens),
            "x_CostSource": cost.source,
            "x_Status": e.status,
            "x_RunId": e.run_id,
        },
        e.at,
    )


def focus_idle(lease: Lease) -> dict[str, str]:
    """The part of a lease that no call stands for, as a charge."""
    usd = usd_text(lease.idle) or "0"
    stop = lease.stop or lease.start
    hours = (stop - lease.start) / timedelta(hours=1) * lease.gpus
    return _charge(
        {
            "BilledCost": usd,
            "ContractedCost": usd,
            "EffectiveCost": usd,
            "ListCost": usd,
            "ChargeDescription": f"idle time of {lease.gpus} x {lease.gpu}, lease {lease.name}",
            "ChargePeriodStart": focus_time(lease.start),
            "ChargePeriodEnd": focus_time(stop),
            "ConsumedQuantity": f"{hours:.6f}",
            "PricingQuantity": f"{hours:.6f}",
            "ConsumedUnit": "GPU-Hours",
            "PricingUnit": "GPU-Hours",
            "InvoiceIssuerName": lease.provider,
            "ProviderName": lease.provider,
            "PublisherName": lease.provider,
            "BillingAccountId": lease.provider,
            "BillingAccountName": lease.provider,
            "ResourceId": lease.name,
            "ResourceName": lease.name,
            "SkuId": lease.gpu,
            "SkuMeter": "GPU-Hours",
            "SkuPriceId": f"{lease.gpu}@{usd_text(lease.pico_per_hour)}",
            "Tags": "{}",
            "x_CostSource": "gpu_hours",
        },
        lease.start,
    )


def _charge(values: Mapping[str, str], at: datetime) -> dict[str, str]:
    begin = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = (begin + timedelta(days=32)).replace(day=1)
    usual = {
        "BillingAccountType": "Account",
        "BillingCurrency": "USD",
        "BillingPeriodStart": focus_time(begin),
        "BillingPeriodEnd": focus_time(after),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingCurrencyEffectiveCost": values["EffectiveCost"],
        "ResourceType": "Model",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Model inference",
        "ServiceSubcategory": "Generative AI",
    }
    whole = {**usual, **values}
    return {name: whole.get(name, "") for name in FOCUS}


def focus_time(at: datetime) -> str:
    """UTC to the second, as FOCUS wants it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_OTEL = (
    ("gen_ai.client.inference.usage.input_tokens", "input_tokens", "{token}"),
    ("gen_ai.client.inference.usage.output_tokens", "output_tokens", "{token}"),
    ("gen_ai.client.inference.usage.cache_read.input_tokens", "cached_input_tokens", "{token}"),
    ("gen_ai.client.inference.usage.cache_write.input_tokens", "cache_write_tokens", "{token}"),
    ("gen_ai.client.inference.usage.reasoning.output_tokens", "reasoning_tokens", "{token}"),
    ("nemocli.client.calls", "calls", "{call}"),
    ("nemocli.client.unpriced_calls", "unpriced", "{call}"),
)
"""Counters of semantic-conventions-genai (gen-ai-token-metrics, status Development, 2026-11); cost
and calls have no name there."""


def otel_metrics(
    totals: Iterable[Total], begin: datetime, end: datetime, version: str
) -> dict[str, Json]:
    """An OTLP/JSON request with cumulative sums; `totals` by provider, model and status."""
    parts = list(totals)
    metrics: list[Json] = [
        _metric(name, unit, [_point(t, getattr(t, field), begin, end) for t in parts])
        for name, field, unit in _OTEL
    ]
    costs = [
        {**_about(t, begin, end), "asDouble": float(usd_text(t.pico) or 0)}
        for t in parts
        if t.calls > t.unpriced
    ]
    metrics.append(_metric("nemocli.client.cost", "USD", costs))
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": [_attribute("service.name", "nemocli")]},
                "scopeMetrics": [
                    {"scope": {"name": "nemocli", "version": version}, "metrics": metrics}
                ],
            }
        ]
    }


def _metric(name: str, unit: str, points: Iterable[Mapping[str, Json]]) -> dict[str, Json]:
    data: dict[str, Json] = {
        "aggregationTemporality": 2,
        "isMonotonic": True,
        "dataPoints": list(points),
    }
    return {"name": name, "unit": unit, "sum": data}


def _point(total: Total, value: int, begin: datetime, end: datetime) -> dict[str, Json]:
    return {**_about(total, begin, end), "asInt": str(value)}


def _about(total: Total, begin: datetime, end: datetime) -> dict[str, Json]:
    provider, model, status = total.key
    attributes: list[Json] = [
        _attribute("gen_ai.operation.name", "chat"),
        _attribute("gen_ai.provider.name", provider),
        _attribute("gen_ai.request.model", model),
        _attribute("gen_ai.token.modality", "text"),
    ]
    if status != "ok":
        attributes.append(_attribute("error.type", status))
    return {
        "attributes": attributes,
        "startTimeUnixNano": str(int(begin.timestamp()) * 10**9),
        "timeUnixNano": str(int(end.timestamp()) * 10**9),
    }


def _attribute(name: str, value: str) -> dict[str, Json]:
    return {"key": name, "value": {"stringValue": value}}


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
