"""How far a job has come: what is counted, and what it means for the rest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields

from nemocli.core.money import usd_text
from nemocli.core.ports import Entry
from nemocli.core.quantities import time_text
from nemocli.core.values import Json

RECENT_S = 20.0
"""Rates are those of so many seconds."""


@dataclass(slots=True)
class Tally:
    """Rows by how they ended, attempts by what they came to. `at` and `size` are bytes of the
    input, `size` None where nobody knows; `rows` its number of rows once it is known."""

    ok: int = 0
    cut: int = 0
    failed: int = 0
    bad: int = 0
    skipped: int = 0
    cached: int = 0
    retries: int = 0
    refused: int = 0
    repairs: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: int = 0
    pico: int = 0
    unpriced: int = 0
    repair_pico: int = 0
    at: int = 0
    size: int | None = None
    rows: int | None = None

    @property
    def over(self) -> int:
        """Rows that are over, those of earlier runs included."""
        return self.ok + self.failed + self.bad + self.skipped

    @property
    def ended(self) -> int:
        """Rows that ended in this run."""
        return self.ok + self.failed + self.bad

    def add(self, other: Tally) -> None:
        """The counts of another share of the same job."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def attempt(self, entry: Entry) -> None:
        """Count one."""
        self.attempts += 1
        self.input_tokens += entry.usage.input_tokens or 0
        self.output_tokens += entry.usage.output_tokens or 0
        self.estimated += entry.usage.source == "estimated"
        if entry.cost.pico is None:
            self.unpriced += 1
        else:
            self.pico += entry.cost.pico

    def count_answer(self, *, cut: bool) -> None:
        """A row has its answer; `cut` at the token limit."""
        self.ok += 1
        self.cut += cut


_SUMMED = tuple(f.name for f in fields(Tally) if f.name not in ("at", "size", "rows", "skipped"))


MOST_MARKS = 128
"""Moments of a run that are remembered."""


@dataclass(slots=True)
class RowPace:
    """Rates over the last seconds, and the time that is left.

    What is left is judged by the second half of the run so far: a server that counts minutes
    answers in bursts, so the last seconds say little of the next; and a pace that is still being
    found says nothing at its start.
    """

    _seen: deque[tuple[float, int, int, int]] = field(default_factory=deque)
    _marks: list[tuple[float, int]] = field(default_factory=list)

    def look(self, now: float, tally: Tally) -> None:
        """Take the counts as they are now."""
        row = (now, tally.attempts, tally.output_tokens, tally.ended)
        self._mark(now, tally.ended)
        self._seen.append(row)
        while len(self._seen) > 2 and now - self._seen[0][0] > RECENT_S:
            self._seen.popleft()

    def _mark(self, now: float, ended: int) -> None:
        """A moment of the run; of many every other is kept."""
        if len(self._marks) == MOST_MARKS:
            self._marks = self._marks[::2]
        if len(self._marks) < 2 or now - self._marks[-1][0] >= (
            self._marks[-1][0] - self._marks[0][0]
        ) / (MOST_MARKS / 2):
            self._marks.append((now, ended))

    def rate(self, column: int) -> float | None:
        """A second: 1 attempts, 2 output tokens, 3 rows. None: too early to say."""
        if len(self._seen) < 2:
            return None
        first, last = self._seen[0], self._seen[-1]
        spent = last[0] - first[0]
        return (last[column] - first[column]) / spent if spent > 0 else None

    def eta_s(self, tally: Tally) -> float | None:
        """Seconds until every row is over; None while too little is known."""
        if tally.rows is None or not self._seen:
            return None
        now, first = self._seen[-1][0], self._marks[0][0]
        at, then = next(m for m in reversed(self._marks) if m[0] - first <= (now - first) / 2)
        spent, ended = now - at, tally.ended - then
        if spent <= 0 or ended <= 0:
            return None
        return max(0.0, (tally.rows - tally.over) * spent / ended)


def projection(tally: Tally) -> int | None:
    """What this run may come to, in pico-USD, judged by the rows that are over; None while too
    little of it is known."""
    if tally.rows is None or not tally.ok:
        return None
    return tally.pico * max(tally.ended, tally.rows - tally.skipped) // tally.ended


def line_of(
    tally: Tally, pace: RowPace, *, cap: int | None, limit: str, why: str, width: int | None = None
) -> str:
    """One line for people, the most important first: what has no room in `width` columns is left
    out whole."""
    done = f"{tally.over:,}"
    if tally.rows:
        done += f"/{tally.rows:,} ({100 * min(tally.over, tally.rows) // tally.rows} %)"
    parts = [done]
    left = pace.eta_s(tally)
    if left is not None:
        parts.append(f"~{time_text(left)} left")
    parts.append(_money(tally, cap))
    for count, one in ((tally.failed + tally.bad, "failed"), (tally.retries, "retries")):
        if count:
            parts.append(f"{count:,} {'retry' if one == 'retries' and count == 1 else one}")
    if limit:
        parts.append(f"limit {limit}")
        if why:
            parts[-1] += f" ({why})"
    speed, tokens = pace.rate(1), pace.rate(2)
    if speed is not None:
        parts.append(f"{speed:,.1f} req/s" if speed < 100 else f"{speed:,.0f} req/s")
    if tokens:
        parts.append(f"{tokens:,.0f} tok/s")
    line = parts[0]
    for part in parts[1:]:
        if width is None or len(line) + 3 + len(part) <= width:
            line += f" · {part}"
    return line


def _money(tally: Tally, cap: int | None) -> str:
    from nemocli.core.money import usd_short

    said = usd_short(tally.pico)
    if tally.unpriced:
        said += f" + {tally.unpriced:,} unpriced"
    likely = projection(tally)
    if likely is not None and likely > tally.pico:
        said += f" of ~{usd_short(likely)}"
    return f"{said}, cap {usd_short(cap)}" if cap is not None else said


def tally_json(
    tally: Tally, pace: RowPace, *, cap: int | None, limit: str, why: str
) -> dict[str, Json]:
    """One object of `--progress json`, and of the summary."""
    left = pace.eta_s(tally)
    return {
        "rows": tally.rows,
        "over": tally.over,
        "ok": tally.ok,
        "truncated": tally.cut,
        "failed": tally.failed,
        "bad_rows": tally.bad,
        "skipped": tally.skipped,
        "cached": tally.cached,
        "retries": tally.retries,
        "refused": tally.refused,
        "repairs": tally.repairs,
        "repair_usd": usd_text(tally.repair_pico),
        "attempts": tally.attempts,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "estimated": tally.estimated,
        "usd": usd_text(tally.pico),
        "unpriced": tally.unpriced,
        "projected_usd": usd_text(projection(tally)),
        "cap_usd": usd_text(cap),
        "requests_per_s": pace.rate(1),
        "output_tokens_per_s": pace.rate(2),
        "limit": limit,
        "why": why,
        "eta_s": left,
        "input_bytes": tally.at,
        "input_size": tally.size,
    }
