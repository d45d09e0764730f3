"""A page of what calls cost: whole in itself, readable in the dark and on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from html import escape

from nemocli.core.money import usd_short, usd_text
from nemocli.core.text import one_line
from nemocli.cost.calls import Dimension
from nemocli.cost.summary import Summary, SummaryLine
from nemocli.cost.summary_lines import tokens_text

Views = Mapping[tuple[Dimension, ...], Summary]

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#8a8a8a")
"""Told apart by people who see colours differently (Paul Tol, "bright"); the last is the rest."""

KINDS = ("", "", " class=less", " class=less", " class=less", "", "")
"""Of the columns of a table: those that a phone does without."""

MOST_THICK = 64
"""Of a bar: one day is no block."""

WIDE, HIGH, FOOT = 960, 240, 28

STYLE = """
:root{color-scheme:light dark;--ink:#1b1e24;--dim:#667;--line:#d9dce3;--page:#fff;--card:#f5f6f9}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaf0;--dim:#9aa0ae;--line:#343945;--page:#14161b;
--card:#1d2027}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1020px;padding:32px 24px;color:var(--ink);
background:var(--page);font:15px/1.5 system-ui,sans-serif}h1{font-size:24px;margin:0}
h2{font-size:17px;margin:36px 0 10px}p{margin:4px 0;color:var(--dim)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}
.tile{background:var(--card);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:23px;font-variant-numeric:tabular-nums}.tile span{color:var(--dim)}
svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font-size:12px}
.grid{stroke:var(--line)}.key{display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--dim)}
.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:6px 10px;border-bottom:1px solid var(--line)}
th{color:var(--dim);font-weight:500}th:first-child,td:first-child{text-align:left;
overflow-wrap:anywhere;min-width:150px}td.bar{width:22%;text-align:left}
td.bar i{display:block;height:10px;border-radius:3px;background:#4477aa;min-width:1px}
.scroll{overflow-x:auto}.scroll svg{min-width:640px}
@media(max-width:600px){body{padding:20px 14px}td.bar{display:none}th,td{padding:6px 5px}}
@media(max-width:480px){.less{display:none}th:first-child,td:first-child{min-width:110px}}
""".replace("\n", "")


def page(views: Views, now: datetime) -> str:
    """HTML of `nemocli cost report`; `views` by provider and model, day, day and provider,
    upstream, project and status. Nothing is fetched from anywhere; no script is in it."""
    whole = views["provider", "model"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        "<meta http-equiv=Content-Security-Policy"
        " content=\"default-src 'none';style-src 'unsafe-inline'\">",
        f"<title>nemocli cost</title><style>{STYLE}</style>",
        f"<h1>What calls cost</h1><p>{_period(whole)}, as of {now.astimezone():%Y-%m-%d %H:%M}</p>",
        _tiles(whole),
        *_notes(whole),
        "<h2>By day</h2>",
        _days(views["day", "provider"]),
        "<h2>By provider and model</h2>",
        _table(whole, ("provider", "model")),
    ]
    titles: tuple[tuple[Dimension, str], ...] = (
        ("upstream", "By upstream host"),
        ("project", "By project"),
        ("status", "By outcome"),
    )
    for name, title in titles:
        view = views[name,]
        if len(view.lines) > 1 or (view.lines and view.lines[0].key[0] not in ("", "ok")):
            parts += [f"<h2>{title}</h2>", _table(view, (name,))]
    parts.append(
        "<p style='margin-top:32px'>Costs are what sellers reported, else tokens times the listed"
        " price of the day. A call whose price nobody knows is counted, never as 0."
        " <code>nemocli cost explain ID</code> shows one call.</p></html>"
    )
    return "\n".join(parts) + "\n"


def _period(summary: Summary) -> str:
    words = []
    if summary.since is not None:
        words.append(f"since {summary.since.astimezone():%Y-%m-%d}")
    if summary.until is not None:
        words.append(f"before {summary.until.astimezone():%Y-%m-%d}")
    return " ".join(words).capitalize() or "All calls"


def _tiles(summary: Summary) -> str:
    total = summary.total
    cost = "unknown" if total.pico is None else usd_short(total.pico)
    rows = [
        (cost, "cost"),
        (f"{total.calls:,}", "calls" + (f", {total.failed:,} failed" if total.failed else "")),
        (tokens_text(total.input_tokens), f"tokens in, {_share(total)} cached"),
        (tokens_text(total.output_tokens), "tokens out"),
    ]
    if total.unpriced:
        rows.append((f"{total.unpriced:,}", "calls without a price"))
    if summary.idle:
        rows.append((usd_short(summary.idle), "idle GPUs"))
    tiles = "".join(
        f"<div class=tile><b>{escape(b)}</b><span>{escape(s)}</span></div>" for b, s in rows
    )
    return f"<div class=tiles>{tiles}</div>"


def _share(line: SummaryLine) -> str:
    return (
        f"{100 * line.cached_input_tokens // line.input_tokens} %" if line.input_tokens else "0 %"
    )


def _notes(summary: Summary) -> list[str]:
    notes = [
        f"Free calls are listed at {usd_short(pico)} at {seller}."
        for seller, pico in summary.total.list_pico.items()
    ]
    if summary.total.estimated:
        notes.append(f"The tokens of {summary.total.estimated} calls are estimated.")
    if summary.killed:
        notes.append(f"{summary.killed} calls were killed in mid-flight; their cost is not known.")
    return [f"<p>{escape(note)}</p>" for note in notes]


def _days(summary: Summary) -> str:
    """Bars of each day, a colour for each of the dearest providers."""
    sums: dict[str, dict[str, int]] = {}
    of: dict[str, int] = {}
    for line in summary.lines:
        day, provider = line.key
        sums.setdefault(day, {})[provider] = line.pico or 0
        of[provider] = of.get(provider, 0) + (line.pico or 0)
    if not sums:
        return "<p>No calls.</p>"
    of = {name: pico for name, pico in of.items() if pico} or of  # a colour nobody sees has no key
    names = sorted(of, key=lambda name: (-of[name], name))
    colours = {n: COLOURS[min(i, len(COLOURS) - 1)] for i, n in enumerate(names)}
    first, last = date.fromisoformat(min(sums)), date.fromisoformat(max(sums))
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    most = max(sum(parts.values()) for parts in sums.values())
    step = WIDE / len(days)
    thick = min(step * 0.8, MOST_THICK)
    drawn = [_gridlines(most)]
    for n, day in enumerate(days):
        parts, y = sums.get(day, {}), float(HIGH)
        for name in names:
            height = parts.get(name, 0) / most * (HIGH - 16) if most else 0
            if height:
                y -= height
                title = escape(f"{day} {name}: ${usd_text(parts[name])}")
                drawn.append(
                    f"<rect x={(n + 0.5) * step - thick / 2:.1f} y={y:.1f} width={thick:.1f} "
                    f"height={height:.1f} fill='{colours[name]}'><title>{title}</title></rect>"
                )
        if n in _labelled(len(days)):
            x, end = (n + 0.5) * step, "middle"
            if len(days) > 1 and n in (0, len(days) - 1):  # the outer ones stay inside
                x, end = (WIDE, "end") if n else (0.0, "start")
            drawn.append(f"<text x={x:.0f} y={HIGH + 18} text-anchor={end}>{day}</text>")
    key = "".join(
        f"<span><i style='background:{colours[n]}'></i>{escape(one_line(n, 60))} "
        f"{usd_short(of[n])}</span>"
        for n in names
    )
    return (
        f"<div class=scroll><svg viewBox='0 0 {WIDE} {HIGH + FOOT}' role=img"
        f" aria-label='Cost by day'>"
        f"{''.join(drawn)}</svg></div><div class=key>{key}</div>"
    )


def _gridlines(most: int) -> str:
    lines = []
    for part in (0, 0.5, 1):
        y = HIGH - part * (HIGH - 16)
        label = usd_short(int(most * part)) if part else ""
        lines.append(
            f"<line class=grid x1=0 x2={WIDE} y1={y:.1f} y2={y:.1f} />"
            f"<text x={WIDE} y={y - 4:.1f} text-anchor=end>{label}</text>"
        )
    return "".join(lines)


def _labelled(count: int) -> set[int]:
    """At most seven days have their date below them."""
    every = max(1, -(-count // 6))
    return {0, count - 1, *range(0, count - every // 2 - 1, every)}


def _table(summary: Summary, names: Sequence[str]) -> str:
    if not summary.lines:
        return "<p>No calls.</p>"
    most = max((line.pico or 0 for line in summary.lines), default=0)
    heads = "".join(f"<th{kind}>{head}</th>" for head, kind in zip(
        (" / ".join(names), "calls", "input", "cached", "output", "cost", ""), KINDS, strict=True
    ))  # fmt: skip
    rows = []
    for line in summary.lines:
        name = " / ".join(one_line(key, 120) or "none" for key in line.key)
        cost = "unknown" if line.pico is None else usd_short(line.pico)
        if line.unpriced and line.pico is not None:
            cost += f" + {line.unpriced} unpriced"
        share = 100 * (line.pico or 0) / most if most else 0
        cells = (
            escape(name),
            f"{line.calls:,}",
            tokens_text(line.input_tokens),
            tokens_text(line.cached_input_tokens),
            tokens_text(line.output_tokens),
            cost,
        )
        drawn = f"<td class=bar><i style='width:{share:.1f}%'></i></td>" if share else "<td></td>"
        marked = "".join(f"<td{kind}>{c}</td>" for c, kind in zip(cells, KINDS, strict=False))
        rows.append(f"<tr>{marked}{drawn}</tr>")
    return f"<div class=scroll><table><tr>{heads}</tr>{''.join(rows)}</table></div>"
