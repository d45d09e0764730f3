"""A summary for scripts: one JSON object, or CSV."""

from __future__ import annotations

import csv
import io
from datetime import datetime

from nemocli.core.moments import utc_text
from nemocli.core.money import usd_text
from nemocli.core.text import spreadsheet_safe
from nemocli.core.values import Json
from nemocli.cost.calls import Dimension
from nemocli.cost.summary import Summary, SummaryLine

SCHEMA = "nemocli.cost/1"


def summary_json(summary: Summary) -> dict[str, Json]:
    """Schema `nemocli.cost/1`. Money is decimal strings; `usd` null means nothing is known, and
    leaves out `unpriced_calls` calls in any case."""
    return {
        "schema": SCHEMA,
        "period": {"since": _iso(summary.since), "until": _iso(summary.until)},
        "total": _line_json(summary.total),
        "rows": [{**_named(line, summary.by), **_line_json(line)} for line in summary.lines],
        "killed_calls": summary.killed,
        "by": list(summary.by or ("provider", "model")),
        "gpu": {
            "idle_usd": usd_text(summary.idle),
            "leases": _leases(summary),
        },
        "usd_with_idle": None
        if summary.total.pico is None
        else usd_text(summary.total.pico + summary.idle),
        "pruned_calls": summary.pruned,
    }


def _leases(summary: Summary) -> list[Json]:
    if not summary.leases:
        return []
    from nemocli.cost.leases import lease_json

    return [lease_json(lease) for lease in summary.leases]


def _named(line: SummaryLine, by: tuple[Dimension, ...] | None) -> dict[str, Json]:
    if by is None:
        return {"provider": line.provider, "model": line.model}
    return {name: value or None for name, value in zip(by, line.key, strict=True)}


def _line_json(line: SummaryLine) -> dict[str, Json]:
    return {
        "calls": line.calls,
        "ok_calls": line.ok,
        "failed_calls": line.failed,
        "usd": usd_text(line.pico),
        "unpriced_calls": line.unpriced,
        "settled_calls": line.settled,
        "flagged_calls": line.flagged,
        "tokens": {
            "input_tokens": line.input_tokens,
            "cached_input_tokens": line.cached_input_tokens,
            "cache_write_tokens": line.cache_write_tokens,
            "output_tokens": line.output_tokens,
            "reasoning_tokens": line.reasoning_tokens,
            "estimated_calls": line.estimated,
            "uncounted_calls": line.uncounted,
        },
        "list": {
            "calls": line.list_calls,
            "usd": {seller: usd_text(pico) for seller, pico in line.list_pico.items()},
        },
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at, "auto")


_COLUMNS = (
    "calls",
    "ok",
    "failed",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "estimated",
    "uncounted",
    "unpriced",
    "settled",
    "flagged",
)


def summary_csv(summary: Summary) -> str:
    """A header and a row for each line; `usd` is empty where nothing is known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    by = summary.by or ("provider", "model")
    writer.writerow([*by, "usd", *_COLUMNS])
    for line in summary.lines:
        names = _named(line, summary.by).values()
        counts = [getattr(line, name) for name in _COLUMNS]
        named = [spreadsheet_safe(str(n or "")) for n in names]
        writer.writerow([*named, usd_text(line.pico) or "", *counts])
    return out.getvalue()
