"""A summary for people: a table, what the total leaves out, and marks for the days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nemocli.core.money import usd_short
from nemocli.core.text import one_line
from nemocli.cost.calls import Dimension
from nemocli.cost.summary import Summary, SummaryLine

HEAD = ("calls", "input", "cached", "output", "cost", "note")
_NARROWEST = 12
_BAR = 12


def summary_lines(summary: Summary, width: int = 80) -> list[str]:
    """A plain table for people, no line wider than `width` where that can be done by shortening
    model names; below it what the total is, what it leaves out, and what free calls are listed at.
    """
    if not summary.lines:
        return ["no calls" + _period(summary), *_killed(summary)]
    by = summary.by or ("provider", "model")
    cells = [(*by, *HEAD), *(_cells(line, summary.by) for line in summary.lines)]
    return [
        *_table(cells, width, len(by), _shares(summary.lines)),
        "",
        _total(summary),
        *_gpus(summary),
        *_listed(summary.total),
        *_killed(summary),
        *_pruned(summary),
    ]


def _cells(line: SummaryLine, by: tuple[Dimension, ...] | None) -> tuple[str, ...]:
    names = (line.provider, line.model) if by is None else tuple(k or "-" for k in line.key)
    return (
        *(one_line(name, 200) for name in names),
        str(line.calls),
        tokens_text(line.input_tokens),
        tokens_text(line.cached_input_tokens),
        tokens_text(line.output_tokens),
        "unknown" if line.pico is None else usd_short(line.pico),
        _note(line),
    )


def _note(line: SummaryLine) -> str:
    counts = (
        (line.failed, "failed"),
        (line.unpriced, "unpriced"),
        (line.estimated, "estimated"),
        (line.list_calls, "free"),
        (line.flagged, "flagged"),
    )
    return ", ".join(f"{n} {what}" for n, what in counts if n)


def _table(
    cells: list[tuple[str, ...]], width: int, names: int, shares: Sequence[float]
) -> list[str]:
    """Names to the left, numbers to the right, the last name cut where it is too wide; bars where
    there is room for them."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) > width and len(cells[0]) > names + 5:
        spare = names + HEAD.index("cached")  # of all columns, the one that is missed least
        fewer = [(*row[:spare], *row[spare + 1 :]) for row in cells]
        return _table(fewer, width, names, shares)
    over = sum(widths) + 2 * (len(widths) - 1) - width
    last = names - 1
    most = max(widths[last] - max(over, 0), min(widths[last], _NARROWEST))
    over -= widths[last] - most
    widths[last] = most
    if over > 0:
        widths[-1] = max(widths[-1] - over, 1)
    left = (*range(names), len(widths) - 1)
    room = shares and over + _BAR + 2 <= 0
    bars = [""] + [bar(share, _BAR) for share in shares] if room else [""] * len(cells)
    lines = []
    for row, drawn in zip(cells, bars, strict=True):
        shown = [_clipped(cell, size) for cell, size in zip(row, widths, strict=True)]
        padded = [
            text.ljust(size) if i in left else text.rjust(size)
            for i, (text, size) in enumerate(zip(shown, widths, strict=True))
        ]
        if room:
            padded.insert(-1, drawn.ljust(_BAR))
        lines.append("  ".join(padded).rstrip())
    return lines


def _shares(lines: Sequence[SummaryLine]) -> list[float]:
    """Each line's part of the dearest one; nothing to see where there are not two of them."""
    most = max((line.pico or 0 for line in lines), default=0)
    if not most or sum(bool(line.pico) for line in lines) < 2:
        return []
    return [(line.pico or 0) / most for line in lines]


def bar(share: float, width: int) -> str:
    """A bar of eighths of a column; anything above nothing is seen."""
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def sparkline(values: Sequence[int]) -> str:
    """One mark for each value, as high as its part of the largest; a dot for nothing."""
    most = max(values, default=0)
    return "".join("▁▂▃▄▅▆▇█"[min(v * 8 // most, 7)] if v > 0 else "·" for v in values)


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


def _gpus(summary: Summary) -> list[str]:
    lines = [
        f"GPU lease {lease.name} ({lease.start.astimezone():%m-%d %H:%M} to"
        f" {lease.stop.astimezone():%m-%d %H:%M}): {usd_short(lease.pico)},"
        f" of which {usd_short(lease.idle)} idle"
        if lease.stop is not None
        else f"GPU lease {lease.name}: {usd_short(lease.pico)} so far, not yet shared among calls"
        for lease in summary.leases
    ]
    if summary.idle and summary.total.pico is not None:
        lines.append(f"with idle GPUs: {usd_short(summary.total.pico + summary.idle)}")
    return lines


def _listed(total: SummaryLine) -> list[str]:
    return [
        f"list price of free calls at {seller}: {usd_short(pico)}"
        for seller, pico in total.list_pico.items()
    ]


def _pruned(summary: Summary) -> list[str]:
    if not summary.pruned:
        return []
    verb = "is" if summary.pruned == 1 else "are"
    return [f"{_count(summary.pruned, 'call')} {verb} pruned, and not in these lines"]


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
