"""A sweep as pictures: throughput against waiting, for a terminal and as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from nemocli.nim.bench import Point

BAR = 28
WIDE, HIGH, LEFT, TOP = 460, 220, 56, 34
_BLUE, _RED = "#4477aa", "#ee6677"


def bars(points: Sequence[Point]) -> Iterator[str]:
    """Throughput as bars, one row a load."""
    most = max((p.tokens_per_s for p in points), default=0.0)
    for point in points:
        size = round(BAR * point.tokens_per_s / most) if most else 0
        yield f"{point.at_once:>5}  {'█' * size:<{BAR}}  {point.tokens_per_s:,.0f} tokens/s"


def svg(points: Sequence[Point], title: str) -> str:
    """Two charts over the number of requests at once: tokens a second, and time to first token
    (p50 and p99)."""
    speeds = [p.tokens_per_s for p in points]
    waits = [[p.times_ms["ttft"].get(q) for p in points] for q in (50, 99)]
    names = [str(p.at_once) for p in points]
    body = _chart(0, "output tokens/s", names, [(speeds, _BLUE, "")])
    body += _chart(
        WIDE + 20, "ms to first token", names, [(waits[0], _BLUE, "p50"), (waits[1], _RED, "p99")]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDE + 20} {HIGH + 40}" '
        'font-family="sans-serif" font-size="12">'
        "<style>svg{background:#fff}text{fill:#222}</style>"
        f"<title>{escape(title)}</title>"
        f'<text x="{LEFT}" y="16" font-weight="bold">{escape(title)}</text>{body}</svg>\n'
    )


def _chart(
    x: int,
    label: str,
    names: Sequence[str],
    lines: Sequence[tuple[Sequence[float | None], str, str]],
) -> str:
    most = max((v for values, *_ in lines for v in values if v is not None), default=0.0) or 1.0
    left, right, bottom = x + LEFT, x + WIDE - 12, HIGH - 8
    step = (right - left) / max(1, len(names) - 1)

    def at(place: int, value: float) -> tuple[float, float]:
        return left + place * step, bottom - value / most * (bottom - TOP - 10)

    out = [f'<text x="{left}" y="{TOP}">{escape(label)}</text>']
    for part in (0.0, 0.5, 1.0):
        _, y = at(0, most * part)
        out.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{most * part:,.0f}</text>'
        )
    for place, name in enumerate(names):
        px, _ = at(place, 0)
        out.append(
            f'<text x="{px:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(name)}</text>'
        )
    for number, (values, colour, name) in enumerate(lines):
        dots = [at(i, v) for i, v in enumerate(values) if v is not None]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in dots)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>' for px, py in dots]
        if name:
            spot = f'x="{right - 40 * (number + 1)}" y="{TOP}"'
            out.append(f'<text {spot} style="fill:{colour}">{name}</text>')
    spot = f'x="{(left + right) / 2}" y="{bottom + 36}" text-anchor="middle"'
    out.append(f"<text {spot}>requests at once</text>")
    return "".join(out)
