"""What calls came to, per provider and model: sums that always say what they leave out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nemocli.core.calls import Row, Total
from nemocli.core.money import usd_short, usd_text

if TYPE_CHECKING:
    from nemocli.core.values import Json

SCHEMA = "nemocli.cost/1"


@dataclass(frozen=True, slots=True)
class Line:
    """Sums of one model at one provider, or of all of them; `""` where they differ.

    `pico` is the sum of the known costs, None when no cost is known at all; `unpriced` calls are
    not in it. Token sums leave out the unknown counts of `uncounted` calls and contain the guesses
    of `estimated` ones. `list_pico` says per seller what calls that cost nothing are listed at.
    """

    provider: str = ""
    model: str = ""
    calls: int = 0
    ok: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: int = 0
    uncounted: int = 0
    pico: int | None = 0
    unpriced: int = 0
    settled: int = 0
    list_pico: Mapping[str, int] = field(default_factory=dict)
    list_calls: int = 0

    @property
    def failed(self) -> int:
        """Calls that did not end well; they may have cost money all the same."""
        return self.calls - self.ok


@dataclass(frozen=True, slots=True)
class Summary:
    """Lines, dearest first, and their total, from `since` until before `until` (None is open).

    `killed` is the number of calls whose process died before it could book them.
    """

    lines: tuple[Line, ...]
    total: Line
    since: datetime | None = None
    until: datetime | None = None
    killed: int = 0


def summarise(
    totals: Iterable[Total],
    since: datetime | None = None,
    until: datetime | None = None,
    killed: int = 0,
) -> Summary:
    """Totals in any order, any number of them about the same model, to one summary."""
    groups: dict[tuple[str, str], list[Total]] = {}
    for total in totals:
        groups.setdefault((total.provider, total.model), []).append(total)
    lines = [_line(parts, *names) for names, parts in groups.items()]
    lines.sort(key=lambda line: (-(line.pico or 0), line.provider, line.model))
    whole = _line([t for parts in groups.values() for t in parts])
    return Summary(tuple(lines), whole, since, until, killed)


def total_of(row: Row) -> Total:
    """One call as a sum of one, for rows that were picked by hand."""
    entry, usage, cost = row.entry, row.entry.usage, row.entry.cost
    listed = cost.pico == 0 and bool(cost.list_pico)
    return Total(
        entry.provider,
        entry.model,
        (cost.list_price_id or "").split("/")[0] if listed else None,
        1,
        int(entry.status == "ok"),
        usage.input_tokens or 0,
        usage.cached_input_tokens or 0,
        usage.cache_write_tokens or 0,
        usage.output_tokens or 0,
        usage.reasoning_tokens or 0,
        int(usage.source == "estimated"),
        int(not usage.known),
        int(cost.pico is None),
        int(row.settled_at is not None),
        cost.pico or 0,
        (cost.list_pico or 0) if listed else 0,
    )


def _line(parts: list[Total], provider: str = "", model: str = "") -> Line:
    calls = sum(t.calls for t in parts)
    unpriced = sum(t.unpriced for t in parts)
    pico = None if 0 < unpriced == calls else sum(t.pico for t in parts)
    listed: dict[str, int] = {}
    for t in parts:
        if t.list_seller is not None:
            listed[t.list_seller] = listed.get(t.list_seller, 0) + t.list_pico
    return Line(
        provider,
        model,
        calls,
        sum(t.ok for t in parts),
        sum(t.input_tokens for t in parts),
        sum(t.cached_input_tokens for t in parts),
        sum(t.cache_write_tokens for t in parts),
        sum(t.output_tokens for t in parts),
        sum(t.reasoning_tokens for t in parts),
        sum(t.estimated for t in parts),
        sum(t.uncounted for t in parts),
        pico,
        unpriced,
        sum(t.settled for t in parts),
        dict(sorted(listed.items())),
        sum(t.calls for t in parts if t.list_seller is not None),
    )


def summary_json(summary: Summary) -> dict[str, Json]:
    """Schema `nemocli.cost/1`. Money is decimal strings; `usd` null means nothing is known, and
    leaves out `unpriced_calls` calls in any case."""
    return {
        "schema": SCHEMA,
        "period": {"since": _iso(summary.since), "until": _iso(summary.until)},
        "total": _line_json(summary.total),
        "rows": [
            {"provider": line.provider, "model": line.model, **_line_json(line)}
            for line in summary.lines
        ],
        "killed_calls": summary.killed,
    }


def _line_json(line: Line) -> dict[str, Json]:
    return {
        "calls": line.calls,
        "ok_calls": line.ok,
        "failed_calls": line.failed,
        "usd": usd_text(line.pico),
        "unpriced_calls": line.unpriced,
        "settled_calls": line.settled,
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
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


HEAD = ("provider", "model", "calls", "input", "cached", "output", "cost", "note")
_LEFT = (0, 1, 7)
_MODEL = 1
_NARROWEST_MODEL = 12


def summary_lines(summary: Summary, width: int = 80) -> list[str]:
    """A plain table for people, no line wider than `width` where that can be done by shortening
    model names; below it what the total is, what it leaves out, and what free calls are listed at.
    """
    if not summary.lines:
        return ["no calls" + _period(summary), *_killed(summary)]
    cells = [HEAD, *(_cells(line) for line in summary.lines)]
    return [*_table(cells, width), "", _total(summary), *_listed(summary.total), *_killed(summary)]


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.provider,
        line.model,
        str(line.calls),
        tokens_text(line.input_tokens),
        tokens_text(line.cached_input_tokens),
        tokens_text(line.output_tokens),
        "unknown" if line.pico is None else usd_short(line.pico),
        _note(line),
    )


def _note(line: Line) -> str:
    counts = (
        (line.failed, "failed"),
        (line.unpriced, "unpriced"),
        (line.estimated, "estimated"),
        (line.list_calls, "free"),
    )
    return ", ".join(f"{n} {what}" for n, what in counts if n)


def _table(cells: list[tuple[str, ...]], width: int) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    widths[_MODEL] = min(widths[_MODEL], max(widths[_MODEL] - max(over, 0), _NARROWEST_MODEL))
    lines = []
    for row in cells:
        shown = [_clipped(cell, size) for cell, size in zip(row, widths, strict=True)]
        padded = [
            text.ljust(size) if i in _LEFT else text.rjust(size)
            for i, (text, size) in enumerate(zip(shown, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def _clipped(text: str, size: int) -> str:
    """The end of a model's name tells it from its siblings, so the middle goes."""
    if len(text) <= size:
        return text
    tail = size // 2
    return f"{text[: size - tail - 1]}…{text[len(text) - tail :]}"


def _total(summary: Summary) -> str:
    total = summary.total
    known = "cost unknown" if total.pico is None else usd_short(total.pico)
    line = f"total{_period(summary)}: {_count(total.calls, 'call')}, {known}"
    return f"{line} + {_count(total.unpriced, 'unpriced call')}" if total.unpriced else line


def _listed(total: Line) -> list[str]:
    return [
        f"list price of free calls at {seller}: {usd_short(pico)}"
        for seller, pico in total.list_pico.items()
    ]


def _killed(summary: Summary) -> list[str]:
    match summary.killed:
        case 0:
            return []
        case 1:
            return ["1 call was killed in mid-flight; its cost is not known"]
        case n:
            return [f"{n} calls were killed in mid-flight; their cost is not known"]


def _period(summary: Summary) -> str:
    ends = (("since", summary.since), ("before", summary.until))
    return "".join(f" {word} {_day(at)}" for word, at in ends if at is not None)


def _day(at: datetime) -> str:
    """The date alone where the time is midnight, in the zone it was given in."""
    midnight = (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)
    return f"{at:%Y-%m-%d}" if midnight else f"{at:%Y-%m-%d %H:%M}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def tokens_text(n: int) -> str:
    """`950`, `12.3k`, `1.2M`, `3.4G`: one decimal from a thousand on, rounded half up."""
    if n < 1000:
        return str(n)
    for size, unit in ((10**3, "k"), (10**6, "M")):
        if n < 1000 * size - size // 20:  # what would round to 1000.0 takes the next unit
            return _tenths(n, size) + unit
    return _tenths(n, 10**9) + "G"


def _tenths(n: int, size: int) -> str:
    tenths = (n * 10 + size // 2) // size
    return f"{tenths // 10}.{tenths % 10}"
