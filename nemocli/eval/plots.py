"""Plots of an evaluation as SVG, drawn from numbers; readable in the dark and on paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from nemocli.eval.stats import Interval

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Arms, told apart by people who see colours differently (Paul Tol, "bright")."""
WIDE, ROW, LEFT = 480, 30, 142


def colour(place: int) -> str:
    """The colour of an arm by its place."""
    return COLOURS[place % len(COLOURS)]


def shares(rows: Sequence[tuple[str, Interval]]) -> str:
    """Shares between 0 and 1 with their intervals, a row each."""
    return _forest(
        [(name, interval, colour(i)) for i, (name, interval) in enumerate(rows)],
        [(part / 4, f"{part * 25} %") for part in range(5)],
        lambda value: min(1.0, max(0.0, value)),
    )


def ratios(rows: Sequence[tuple[str, Interval]], least: float = 0.1, most: float = 10.0) -> str:
    """Ratios of candidate to baseline with their intervals, on a logarithmic scale; 1 is a tie."""

    def place(value: float) -> float:
        bounded = min(most, max(least, value))
        return math.log(bounded / least) / math.log(most / least)

    ticks = [(place(v), f"{v:g}x") for v in (least, 0.3, 0.5, 1.0, 2.0, 3.0, most)]
    return _forest([(n, i, "var(--ink)") for n, i in rows], ticks, place, tie=place(1.0))


def differences(rows: Sequence[tuple[str, Interval]], margin: float) -> str:
    """Differences of shares with their intervals; the margin that may be lost is marked."""

    def place(value: float) -> float:
        return (min(1.0, max(-1.0, value)) + 1) / 2

    ticks = [(place(v / 100), f"{v:+d} pp") for v in (-100, -50, 0, 50, 100)]
    return _forest(
        [(n, i, "var(--ink)") for n, i in rows], ticks, place, tie=place(0.0), mark=place(-margin)
    )


def _forest(
    rows: Sequence[tuple[str, Interval, str]],
    ticks: Sequence[tuple[float, str]],
    place: Callable[[float], float],
    *,
    tie: float | None = None,
    mark: float | None = None,
) -> str:
    span = WIDE - LEFT - 34
    high = ROW * len(rows) + 26

    def at(share: float) -> float:
        return LEFT + share * span

    drawn = [_line(at(x), 0, at(x), high - 22, "grid") for x, _ in ticks]
    drawn += [_text(at(x), high - 6, label, "middle") for x, label in ticks]
    if tie is not None:
        drawn.append(_line(at(tie), 0, at(tie), high - 22, "tie"))
    if mark is not None:
        drawn.append(_line(at(mark), 0, at(mark), high - 22, "mark"))
    for number, (name, interval, paint) in enumerate(rows):
        y = ROW * number + ROW / 2
        drawn.append(_text(LEFT - 10, y + 4, name, "end"))
        if interval.point is None:
            drawn.append(_text(LEFT + 6, y + 4, "not known", "start"))
            continue
        low = place(interval.low if interval.low is not None else -math.inf)
        high_ = place(interval.high if interval.high is not None else math.inf)
        x = at(place(interval.point))
        drawn.append(
            f"<line x1={at(low):.1f} x2={at(high_):.1f} y1={y} y2={y} stroke='{paint}'"
            f" stroke-width=3 /><circle cx={x:.1f} cy={y} r=6 fill='{paint}' />"
        )
    return _svg(high, drawn, ", ".join(name for name, _, _ in rows))


def survival(curves: Mapping[str, Sequence[float]]) -> str:
    """The share of attempts that is still coherent after each user turn, a step curve an arm."""
    turns = max((len(curve) for curve in curves.values()), default=0)
    if not turns:
        return "<p>No attempt was scored.</p>"
    span, tall = WIDE - 70, 170

    def at(turn: float, share: float) -> str:
        return f"{50 + turn / turns * span:.1f},{10 + (1 - share) * tall:.1f}"

    drawn = []
    for part in range(5):
        y = 10 + (1 - part / 4) * tall
        drawn += [_line(50, y, 50 + span, y, "grid"), _text(44, y + 4, f"{part * 25} %", "end")]
    every = max(1, -(-turns // 10))
    for turn in range(0, turns + 1, every):
        drawn.append(_text(50 + turn / turns * span, tall + 30, str(turn), "middle"))
    for number, (name, curve) in enumerate(curves.items()):
        points, share = [at(0, 1.0)], 1.0
        for turn, after in enumerate(curve, 1):
            points += [at(turn, share), at(turn, after)]
            share = after
        dash = f" stroke-dasharray='{6 * number} 4'" if number else ""
        drawn.append(
            f"<polyline points='{' '.join(points)}' fill=none stroke='{colour(number)}'"
            f" stroke-width=2.5{dash}><title>{escape(name)}</title></polyline>"
        )
    return _svg(tall + 40, drawn, "coherence over user turns") + key(list(curves))


def bars(
    rows: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], form: Callable[[float], str]
) -> str:
    """A row for each thing, a bar in it for each arm; `form` writes a value."""
    most = max((value for _, values in rows for value in values), default=0) or 1
    each, span = 16, WIDE - LEFT - 70
    drawn, y = [], 4.0
    for label, values in rows:
        drawn.append(_text(LEFT - 10, y + each * len(values) / 2 + 4, label, "end"))
        for number, value in enumerate(values):
            width = max(1.0 if value else 0.0, value / most * span)
            drawn.append(
                f"<rect x={LEFT} y={y + 2:.0f} width={width:.1f} height={each - 4}"
                f" fill='{colour(number)}' rx=2 />"
            )
            drawn.append(_text(LEFT + width + 6, y + 12, form(value), "start"))
            y += each
        y += 8
    return _svg(max(20, y), drawn, "bars") + key(names)


def key(names: Sequence[str]) -> str:
    """Which colour is whose."""
    parts = (
        f"<span><i style='background:{colour(i)}'></i>{escape(name)}</span>"
        for i, name in enumerate(names)
    )
    return f"<div class=key>{''.join(parts)}</div>"


def _svg(high: float, drawn: Sequence[str], label: str) -> str:
    return (
        f"<div class=scroll><svg viewBox='0 0 {WIDE} {high:.0f}' role=img"
        f" aria-label='{escape(label, quote=True)}'>{''.join(drawn)}</svg></div>"
    )


def _line(x: float, y: float, x2: float, y2: float, kind: str) -> str:
    return f"<line class={kind} x1={x:.1f} y1={y:.1f} x2={x2:.1f} y2={y2:.1f} />"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    short = text if len(text) <= 24 else f"{text[:23]}…"
    title = f"<title>{escape(text)}</title>" if short != text else ""
    return f"<text x={x:.1f} y={y:.1f} text-anchor={anchor}>{escape(short)}{title}</text>"
