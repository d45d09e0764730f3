"""A server under load: what each request took, and what a number of them at once comes to.

One set of definitions, with AIPerf's meaning where names collide (AIPerf 0.13; vLLM's TPOT is the
`itl` here, GuideLLM's TPOT is something else):

    ttft    from sending to the first token, reasoning included
    ttfo    to the first token a user sees: text or a tool call
    itl     (end - first token) / (output tokens - 1), one figure for each request
    e2e     to the last token
    good    every limit that was set is kept; failed requests count below the line
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from nemocli.core.faults import usage_error
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject

Limit = Literal["ttft", "ttfo", "itl", "e2e"]
LIMITS: tuple[Limit, ...] = ("ttft", "ttfo", "itl", "e2e")
QUANTILES = (50, 90, 99)
WORDS = ("river", "stone", "cloud", "maple", "tower", "lantern", "copper", "meadow", "signal",
         "harbor", "violet", "engine", "canvas", "desert", "mirror", "anchor")  # fmt: skip
"""Of invented prompts: about one token each in most vocabularies."""


@value_class(frozen=True, slots=True)
class Shot:
    """One request, times in seconds after it was sent; `fault` is its code where it failed,
    `reported` whether the tokens are the server's count."""

    sent_at: float
    first_s: float | None
    visible_s: float | None
    last_s: float | None
    output_tokens: int
    input_tokens: int
    reported: bool
    fault: str | None = None

    @property
    def itl_s(self) -> float | None:
        """Seconds between tokens, on average; None for one token or none."""
        if self.first_s is None or self.last_s is None or self.output_tokens < 2:
            return None
        return (self.last_s - self.first_s) / (self.output_tokens - 1)

    def took(self, what: Limit) -> float | None:
        """One of its times."""
        return {
            "ttft": self.first_s,
            "ttfo": self.visible_s,
            "itl": self.itl_s,
            "e2e": self.last_s,
        }[what]

    def good(self, limits: Mapping[Limit, float]) -> bool:
        """Whether it was answered within every limit (milliseconds)."""
        if self.fault is not None:
            return False
        return all(
            (took := self.took(name)) is None or took * 1000 <= most
            for name, most in limits.items()
        )


@value_class(frozen=True, slots=True)
class Point:
    """A number of requests at once. Times in milliseconds by quantile; `adjusted` counts failures
    as endless (None). Speeds in tokens a second; `cpu` is the share of a core the driver used."""

    at_once: int
    requests: int
    errors: int
    faults: Mapping[str, int]
    times_ms: Mapping[Limit, Mapping[int, float]]
    adjusted_ttft_ms: Mapping[int, float | None]
    seconds: float
    output_tokens: int
    input_tokens: int
    reported: bool
    good: int
    cpu: float

    @property
    def tokens_per_s(self) -> float:
        """Of the whole system, while any request was under way."""
        return self.output_tokens / self.seconds if self.seconds else 0.0

    @property
    def per_user(self) -> float | None:
        """Of one user: the inverse of the median time between tokens."""
        itl = self.times_ms["itl"].get(50)
        return 1000 / itl if itl else None

    @property
    def goodput(self) -> float:
        """Good requests a second."""
        return self.good / self.seconds if self.seconds else 0.0

    @property
    def good_share(self) -> float:
        """Good ones among all, the failed included."""
        return self.good / self.requests if self.requests else 0.0


def point_of(
    shots: Sequence[Shot], at_once: int, limits: Mapping[Limit, float], cpu: float = 0.0
) -> Point:
    """What some shots at one load come to. The clock runs from the first request to the last
    token, so that a slow end is not hidden."""
    ok = [shot for shot in shots if shot.fault is None]
    faults: dict[str, int] = {}
    for shot in shots:
        if shot.fault is not None:
            faults[shot.fault] = faults.get(shot.fault, 0) + 1
    ends = [s.sent_at + s.last_s for s in ok if s.last_s is not None]
    began = min((s.sent_at for s in shots), default=0.0)
    firsts = [s.first_s * 1000 for s in ok if s.first_s is not None]
    return Point(
        at_once,
        len(shots),
        len(shots) - len(ok),
        faults,
        {
            name: quantiles(1000 * t for s in ok if (t := s.took(name)) is not None)
            for name in LIMITS
        },
        over_all(firsts, len(shots)),
        max(ends, default=began) - began,
        sum(s.output_tokens for s in ok),
        sum(s.input_tokens for s in ok),
        all(s.reported for s in ok),
        sum(s.good(limits) for s in shots),
        cpu,
    )


def quantiles(values: Iterable[float]) -> dict[int, float]:
    """The nearest-rank quantiles; empty where nothing was measured."""
    found = sorted(values)
    return {q: found[_rank(q, len(found))] for q in QUANTILES} if found else {}


def over_all(values: Sequence[float], total: int) -> dict[int, float | None]:
    """The same over all requests, where those without a value took for ever (None)."""
    found: list[float | None] = [*sorted(values), *([None] * (total - len(values)))]
    return {q: found[_rank(q, len(found))] for q in QUANTILES} if found else {}


def _rank(q: int, count: int) -> int:
    return max(0, math.ceil(q / 100 * count) - 1)


def knee(points: Sequence[Point]) -> int | None:
    """The load beyond which waiting grows faster than throughput: where tokens a second per
    median time of a request are most (Kleinrock's power). None for fewer than three points."""
    usable = [p for p in points if p.times_ms["e2e"].get(50) and not _failing(p)]
    if len(usable) < 3:
        return None
    return max(usable, key=lambda p: p.tokens_per_s / p.times_ms["e2e"][50]).at_once


def most_within(points: Sequence[Point], share: float = 0.95) -> int | None:
    """The largest load at which so many requests kept every limit."""
    return max((p.at_once for p in points if p.good_share >= share), default=None)


def _failing(point: Point) -> bool:
    return point.errors * 2 > point.requests


def point_json(point: Point, gpus: int | None) -> JsonObject:
    """One row, as scripts read it."""
    times = {
        f"{name}_ms": {f"p{q}": round(v, 3) for q, v in point.times_ms[name].items()}
        for name in LIMITS
    }
    speed = point.tokens_per_s
    return {
        "concurrency": point.at_once,
        "requests": point.requests,
        "errors": point.errors,
        "faults": dict(point.faults),
        **times,
        "ttft_ms_adjusted": {f"p{q}": v for q, v in point.adjusted_ttft_ms.items()},
        "seconds": round(point.seconds, 3),
        "input_tokens": point.input_tokens,
        "output_tokens": point.output_tokens,
        "tokens": "reported" if point.reported else "estimated",
        "output_tokens_per_s": round(speed, 2),
        "per_user": None if point.per_user is None else round(point.per_user, 2),
        "per_gpu": None if gpus is None else round(speed / gpus, 2),
        "goodput": round(point.goodput, 4),
        "good_share": round(point.good_share, 4),
        "driver_cpu": round(point.cpu, 4),
    }


def sweep_of(text: str) -> tuple[int, ...]:
    """`1,2,4,8` as numbers. Raises NemoError (usage)."""
    parts = [part.strip() for part in text.split(",")]
    if not parts or not all(p.isascii() and p.isdecimal() and 0 < int(p) <= 4096 for p in parts):
        raise usage_error(
            f"--sweep {text!r} is none", "numbers up to 4096, as in `--sweep 1,2,4,8`"
        )
    return tuple(dict.fromkeys(int(p) for p in parts))


def limits_of(given: Sequence[str]) -> dict[Limit, float]:
    """`ttft=500` as a limit in milliseconds. Raises NemoError (usage)."""
    found: dict[Limit, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        known = next((limit for limit in LIMITS if limit == name.strip()), None)
        try:
            most = float(number)
        except ValueError:
            most = 0.0
        if known is None or not 0 < most < math.inf:
            raise usage_error(
                f"--slo {text!r} is none", f"NAME=MS with {', '.join(LIMITS)}: `--slo ttft=500`"
            )
        found[known] = most
    return found


def invent_prompt(tokens: int, seed: int) -> str:
    """A prompt of about so many tokens that begins unlike any other, so that no cache of prefixes
    helps."""
    draw = random.Random(seed)  # noqa: S311
    words = [draw.choice(WORDS) for _ in range(max(1, tokens - 12))]
    return f"Story {draw.getrandbits(48):012x}. Continue it at length: {' '.join(words)}"
