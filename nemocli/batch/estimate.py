"""What a job will come to, before it is started: tokens, money, time, and rows that cannot work.

Lengths of answers are drawn from a sample: the sum over all rows is told as its middle (p50) and as
what it exceeds once in twenty (p95), by Student's t for the sum of N further draws from n seen:
N * mean + t * s * sqrt(N + N^2 / n).
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist, fmean, stdev
from typing import Literal

from nemocli.batch.rows import Row
from nemocli.core.money import Price, table_cost
from nemocli.core.usage import Usage
from nemocli.core.value_class import value_class

CHARS_PER_TOKEN = 4.0
ASSUMED_OUTPUT = 1024
"""Output tokens of an answer where nothing is known of any."""
Source = Literal["sample", "answers", "assumed"]
"""Where the length of answers is known from."""


@dataclass(slots=True)
class SeenAnswers:
    """Answers that were looked at: input characters and tokens, output tokens, seconds."""

    chars: list[int] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    picos: list[int] = field(default_factory=list)

    def add(
        self, chars: int, usage: Usage, seconds: float | None, reported_pico: int | None = None
    ) -> None:
        """One that was answered, and what its seller says it cost."""
        if reported_pico is not None:
            self.picos.append(reported_pico)
        if usage.output_tokens is None:
            return
        self.outputs.append(usage.output_tokens)
        if usage.input_tokens is not None and chars > 0:
            self.chars.append(chars)
            self.inputs.append(usage.input_tokens)
        if seconds is not None:
            self.seconds.append(seconds)

    @property
    def chars_per_token(self) -> float:
        """Of the input; the usual guess where nothing is known."""
        tokens = sum(self.inputs)
        return sum(self.chars) / tokens if tokens else CHARS_PER_TOKEN


class Picked:
    """Rows for a sample of `most`, the same ones whenever the same rows are seen: those whose keys
    come first, which has nothing to do with what is in them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[bytes, int, Row]] = []

    def see(self, row: Row) -> None:
        """It may be picked."""
        if not self._most:
            return
        item = (bytes(255 - byte for byte in row.key), row.ordinal, row)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, item)
        elif item > self._heap[0]:
            heapq.heapreplace(self._heap, item)

    @property
    def rows(self) -> list[Row]:
        """The sample, in the order of the input."""
        return sorted((row for _, _, row in self._heap), key=lambda row: row.ordinal)


@dataclass(slots=True)
class Sizes:
    """Rows by the length of their input in characters (rounded to a hundredth) and their own limit
    of output tokens: all that a sum needs, in little memory."""

    rows: int = 0
    bad: int = 0
    over: int = 0
    counts: dict[tuple[int, int | None], int] = field(default_factory=dict)

    def see(self, row: Row, most: int | None) -> None:
        """Count a row; `most` is its limit of output tokens."""
        self.rows += 1
        step = max(1, 10 ** (len(str(row.chars)) - 3))
        key = (row.chars // step * step + step // 2, most)
        self.counts[key] = self.counts.get(key, 0) + 1


@value_class(frozen=True, slots=True)
class Estimate:
    """Tokens, pico-USD (None: no price is known) and seconds (None: no limit is known)."""

    rows: int
    bad: int
    over: int
    input_tokens: int
    output_p50: int
    output_p95: int
    pico_p50: int | None
    pico_p95: int | None
    seconds: float | None
    source: Source
    seen: int
    slowest: str = ""


def estimate_job(
    sizes: Sizes,
    seen: SeenAnswers,
    price: Price | None,
    *,
    free: bool,
    source: Source,
    output_limit: int | None = None,
    rpm: float | None = None,
    tpm: float | None = None,
    cap: int | None = None,
) -> Estimate:
    """The whole job. Where no answer was seen, p95 is the most that the limits allow: those of the
    rows, else `output_limit`, the model's."""
    inputs = 0
    p50 = p95 = 0.0
    money: list[float] | None = [0.0, 0.0]
    mean, high = _answer(seen, sizes.rows)

    @lru_cache(4096)
    def cost(tokens: int, output: int) -> int | None:
        usage = Usage(tokens, output_tokens=output)
        return None if price is None else table_cost(usage, price)

    for (chars, most), count in sizes.counts.items():
        tokens = max(1, round(chars / seen.chars_per_token))
        inputs += tokens * count
        limit = most or output_limit
        usual = min(mean, limit) if limit else mean
        much = (limit or mean) if not seen.outputs else min(high, limit) if limit else high
        p50 += usual * count
        p95 += much * count
        pair = (cost(tokens, round(usual)), cost(tokens, round(much)))
        if money is None or pair[0] is None or pair[1] is None:
            money = None
        else:
            money = [money[0] + pair[0] * count, money[1] + pair[1] * count]
    if free:
        money = [0.0, 0.0]
    elif seen.picos and len(seen.picos) == len(seen.outputs):
        # What was really paid beats a table: sellers route, cache and round as they please.
        each = [float(pico) for pico in seen.picos]
        money = [fmean(each) * sizes.rows, _upper(each, sizes.rows) * sizes.rows]
    limits = _times(sizes.rows, inputs + p50, seen, rpm=rpm, tpm=tpm, cap=cap)
    slowest, seconds = max(limits.items(), key=lambda pair: pair[1], default=("", None))
    return Estimate(
        sizes.rows,
        sizes.bad,
        sizes.over,
        inputs,
        round(p50),
        round(p95),
        None if money is None else round(money[0]),
        None if money is None else round(money[1]),
        seconds,
        source,
        len(seen.outputs),
        slowest,
    )


def _answer(seen: SeenAnswers, rows: int) -> tuple[float, float]:
    """Output tokens a row, in the middle and at p95 of the whole job's sum."""
    if not seen.outputs:
        return ASSUMED_OUTPUT, ASSUMED_OUTPUT
    return fmean(seen.outputs), _upper([float(n) for n in seen.outputs], rows)


def _upper(seen: list[float], rows: int) -> float:
    """What the mean over so many rows exceeds once in twenty, judged by those that were seen."""
    mean, n = fmean(seen), len(seen)
    if n == 1 or not rows:
        return 2 * mean
    spread = student(0.95, n - 1) * stdev(seen) * math.sqrt(rows + rows**2 / n)
    return mean + spread / rows


def student(p: float, freedom: int) -> float:
    """Quantile of Student's t, to a few parts in a thousand from 3 degrees of freedom on
    (Cornish-Fisher, Abramowitz and Stegun 26.7.5); 1 and 2 are exact."""
    if freedom == 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:
        return (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    z, v = NormalDist().inv_cdf(p), float(freedom)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def _times(
    rows: int,
    tokens: float,
    seen: SeenAnswers,
    *,
    rpm: float | None,
    tpm: float | None,
    cap: int | None,
) -> dict[str, float]:
    """Seconds that each known limit alone would take."""
    found = {}
    if rpm:
        found[f"{rpm:g} requests a minute"] = rows / rpm * 60
    if tpm:
        found[f"{tpm:g} tokens a minute"] = tokens / tpm * 60
    if cap and seen.seconds:
        found[f"{cap} calls at a time"] = rows * fmean(seen.seconds) / cap
    return found


def too_long(row: Row, chars_per_token: float, most: int | None, context: int | None) -> bool:
    """Whether the row and its answer do not fit the model's context."""
    return context is not None and row.chars / chars_per_token + (most or 0) > context
