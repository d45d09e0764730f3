"""How fast a server may be asked, learned from what it says: a pace and a cap at once.

A limit of requests per minute and a limit of calls at a time look alike from outside: a refusal.
Pacing alone leaves a server of slots half empty, a cap alone starves or hammers a server that
counts minutes. What tells them apart is how many calls were under way at a refusal: a server of
slots refuses at the same number every time, a server that counts refuses at ever fewer.

Until a limit shows, each round of answers doubles the calls under way, unless a half more of them
takes longer by about as much: then the server only queues them. A refusal cuts the pace once an
episode, and never leaves it above what the server took in lately; while nothing is refused it grows
by ever larger steps, so that no wrong guess lasts.
"""

from __future__ import annotations

import math
from typing import Literal

from nemocli.core.value_class import value_class

Word = Literal["ok", "refused", "overloaded", "lost", "other"]
"""What became of a call, for its server's limits: answered; turned away for coming too often (429);
too busy (`BUSY`); no answer in time; anything that says nothing about limits."""
BUSY = frozenset({503, 529})
"""Statuses of a server that has too much to do, whoever asks."""

START = 16
CEILING = 512
FEWEST_SLOTS = 4
"Refused with fewer under way, a call came too soon after another: servers of so few slots queue."
LONGEST_BLOCK_S = 60.0
FIRST_BLOCK_S = 0.2
GROWTH = 0.0004
"Of the pace, for each call that is answered near the pace that was refused last."
HASTE = 0.005
"By how much that grows with each call: a pace that was cut too far is found again."
SPAN_S, SPAN_CALLS = 0.5, 10
"""What a server takes in is judged over so long, and so many calls, at the least."""
_STEP, _LINEAR, _ENOUGH = 1.5, 0.65, 5
"""Calls are compared with those made with about a half more at once, each by so many answers: times
that grow with the numbers to that power are those of a server that only queues them."""
_NEAR = 0.9
"""A refusal at fewer calls under way than this share of what was accepted lately is no cap's."""


@value_class(frozen=True, slots=True)
class Ticket:
    """One call that was let through."""

    at: float
    under_way: int
    epoch: int
    probe: bool
    tokens: int


@value_class(frozen=True, slots=True)
class Pinned:
    """Limits somebody set: requests and tokens per minute, calls at a time. None is learned."""

    rpm: float | None = None
    tpm: float | None = None
    cap: int | None = None


class Pacer:
    """The limits of one server. Times are seconds of any clock that never runs backwards.

    Ask `wait` until it is 0, then `start`, and give the ticket back to `finish`. `why` says in
    words what moved a limit last.
    """

    def __init__(
        self, pinned: Pinned | None = None, now: float = 0.0, likely_rpm: float | None = None
    ) -> None:
        self._pinned = pinned = pinned or Pinned()
        self.under_way = 0
        self.cap: float = pinned.cap if pinned.cap is not None else START
        self.rate: float | None = None if pinned.rpm is None else pinned.rpm / 60
        self.why = "pinned" if pinned != Pinned() else "finding the limit"
        self.refused = 0
        self._ceiling: float | None = None  # the pace that was refused last
        if likely_rpm is not None and self.rate is None:
            self._ceiling = likely_rpm / 60
            self.rate = 0.98 * self._ceiling
            self.why = "as its provider's file says"
        self._capped = False  # whether slots are what is short, and how many there seem to be
        self._slots = 0
        self._patience = 1
        self._stride = 1  # how many more are tried at once
        self._strikes = 0
        self._next_at = now
        self._paused_until = now
        self._block_s = FIRST_BLOCK_S
        self._blocked = False
        self._probe: Ticket | None = None
        self._no_s = 0.0  # how long a refusal takes to come
        self._epoch = 0
        self._epoch_at = now
        self._let = 0  # let through since the epoch began, and not refused
        self._cycle_at: float | None = None  # the first call accepted since it opened last
        self._cycle = 0
        self._probes = 0
        self._shut_at = now  # the last probe that was refused
        self._peak = 0.0
        self._tokens_at = now
        self._tokens: float = 0.0
        self._since_cap = 0
        self._growth = self._faster = GROWTH
        self._taken = 0  # let through, and not refused
        self._spans = ((now, 0), (now, 0))  # two times lately, and what was taken until then
        self._took: dict[int, tuple[int, float, float]] = {}  # answers, seconds, calls at once

    def wait(self, now: float, tokens: int = 0) -> float:
        """Seconds until the next call may be sent: 0 for now, infinity for when one has ended."""
        if self.under_way >= max(1, int(self.cap)):
            return float("inf")
        if self._probe is not None:
            silent = self._probe.at + 4 * self._no_s + 0.05 - now
            if silent > 0:
                return silent
            self._opened(self._probe)  # a refusal would have come by now
        ready = max(self._paused_until, self._next_at)
        if self._pinned.tpm is not None:
            ready = max(ready, self._token_time(now, tokens, self._pinned.tpm))
        return max(0.0, ready - now)

    def start(self, now: float, tokens: int = 0) -> Ticket:
        """Count a call that is being sent."""
        ticket = Ticket(now, self.under_way, self._epoch, self._blocked, tokens)
        self._probe = ticket if self._blocked else None
        self.under_way += 1
        self._let += 1
        self._taken += 1
        since, taken = self._spans[1]
        if now - since >= SPAN_S and self._taken - taken >= SPAN_CALLS:
            self._spans = self._spans[1], (now, self._taken)
        if self._cycle_at is None:
            self._cycle_at, self._cycle = now, 0
        self._cycle += 1
        if self.rate is not None:
            self._next_at = max(self._next_at, now - 1 / self.rate) + 1 / self.rate
        if self._pinned.tpm is not None:
            self._tokens = self._level(now) + tokens
            self._tokens_at = now
        return ticket

    def finish(
        self, ticket: Ticket, now: float, word: Word, wait_s: float | None = None, tokens: int = 0
    ) -> None:
        """What became of a call; `wait_s` what the server asked for, `tokens` what it used."""
        self.under_way -= 1
        if self._pinned.tpm is not None and tokens:
            self._tokens = max(0.0, self._level(now) + tokens - ticket.tokens)
            self._tokens_at = now
        match word:
            case "ok":
                self._accept(ticket, now)
            case "refused":
                self._refuse(ticket, now, wait_s)
            case "overloaded" | "lost":
                self._overload(ticket, now, wait_s)
            case _:
                self._done(ticket)

    def hint(self, now: float, remaining: float, reset_s: float) -> None:
        """What rate-limit headers say: so many calls until a reset in so many seconds."""
        if self._pinned.rpm is not None or reset_s <= 0 or reset_s > 120:
            return
        if remaining <= 0:
            self._paused_until = max(self._paused_until, now + reset_s)
            self.why = "its headers say the window is used up"

    @property
    def limit(self) -> str:
        """The limits in words: `600/min, 48 at once`."""
        rate = "" if self.rate is None else f"{self.rate * 60:.0f}/min, "
        return f"{rate}{max(1, int(self.cap))} at once"

    def _done(self, ticket: Ticket) -> None:
        if ticket is self._probe:
            self._probe = None

    # What a reply teaches

    def _accept(self, ticket: Ticket, now: float) -> None:
        if self._pinned.cap is None:
            self._time(ticket, now)
        if ticket is self._probe:
            self._opened(ticket)
        if ticket.epoch == self._epoch:  # else some of those under way have been refused since
            self._peak = max(self._peak * 0.999, float(ticket.under_way))
        self._grow_rate(now)
        if self._pinned.cap is None:
            self._grow_cap(ticket, now)

    def _opened(self, ticket: Ticket) -> None:
        """A probe came through: the cycle from the first call of the last one is over."""
        begun = self._cycle_at
        if begun is not None and self._probes > 1 and self._pinned.rpm is None and self._cycle > 1:
            shut = max(self._shut_at - begun, 0.25 * (ticket.at - begun))
            measured = (self._cycle - 1) / math.sqrt(shut * (ticket.at - begun))
            self.rate = (
                measured if self.rate is None else min(self.rate, max(measured, 0.7 * self.rate))
            )
            self._ceiling = self.rate
            self._next_at = ticket.at + 1 / self.rate
            self.why = f"its window took {self._cycle - 1} calls"
        self._cycle_at, self._cycle = ticket.at, 1
        self._blocked, self._probe = False, None
        self._block_s, self._probes = FIRST_BLOCK_S, 0

    def _grow_rate(self, now: float) -> None:
        if self.rate is None or self._pinned.rpm is not None:
            return
        lately = self._lately(now)
        if lately is not None and 2 * lately < self.rate:
            return  # it is not the pace that holds calls back
        if self._ceiling is None:
            self.rate *= 1.02
        elif self.rate < 0.97 * self._ceiling:
            self.rate *= 1.01
        elif self.rate < 1.05 * self._ceiling:
            self.rate *= 1 + self._faster
            self._faster *= 1 + HASTE
        else:
            self._ceiling, self._growth, self._faster = None, GROWTH, GROWTH

    def _grow_cap(self, ticket: Ticket, now: float) -> None:
        if self.under_way + 1 < int(self.cap) * 0.8:
            return
        if self._capped and ticket.epoch == self._epoch and ticket.under_way >= self._slots:
            self._slots = ticket.under_way + 1  # there are more than it seemed
            self._patience, self._stride = 1, min(2 * self._stride, self._slots)
        if not self._capped:
            if not self._flat():
                self.cap = min(CEILING, self.cap + 1)
            return
        self._since_cap += 1
        if self._since_cap > self._patience * self._slots:
            self._since_cap = 0
            self._patience = min(64, self._patience * 2)
            self._strikes = 0
            self.cap = min(CEILING, self._slots + self._stride)

    def _time(self, ticket: Ticket, now: float) -> None:
        """How long calls take with about so many at once."""
        at_once = ticket.under_way + 1
        level = int(math.log(at_once, _STEP))
        seen = self._took.get(level, (0, 0.0, 0.0))
        share = 1 / min(seen[0] + 1, 32)
        took = seen[1] + (now - ticket.at - seen[1]) * share
        self._took[level] = seen[0] + 1, took, seen[2] + (at_once - seen[2]) * share

    def _flat(self) -> bool:
        """Whether more calls at once take longer by about as much (its server only queues them), or
        it is not known yet."""
        level = int(math.log(self.cap, _STEP))
        known = [each for each, seen in self._took.items() if seen[0] >= _ENOUGH]
        top = max(known, default=int(math.log(START, _STEP)))
        if level > top + 1:
            return True
        if level < top or top - 1 not in known:
            return False
        _, fewer_s, fewer = self._took[top - 1]
        _, took_s, more = self._took[top]
        if took_s < fewer_s * (more / fewer) ** _LINEAR:
            return False
        if self.why == "finding the limit":
            self.why = "more at once brings no more"
        return True

    def _refuse(self, ticket: Ticket, now: float, wait_s: float | None) -> None:
        self.refused += 1
        self._no_s = 0.8 * self._no_s + 0.2 * (now - ticket.at) if self._no_s else now - ticket.at
        self._cycle -= 1
        self._taken -= 1
        if ticket.epoch == self._epoch:
            self._let -= 1
        if wait_s is not None:
            self._paused_until = max(self._paused_until, now + wait_s)
        if ticket.epoch != self._epoch:
            return
        if self._pinned.rpm is not None or ticket.probe:
            self._still_blocked(now, wait_s)
            return
        counted = self._let
        spent = max(now - self._epoch_at, 0.05)
        told = wait_s is not None
        few = ticket.under_way < _NEAR * self._peak or self._struck(ticket)
        if self.rate is None and not few and not told and ticket.under_way >= FEWEST_SLOTS:
            self._cap_at(ticket)
            self._paused_until = max(self._paused_until, now + 2 * self._no_s)
            self._begin_epoch(now)
            return
        if self._capped and few:
            self._capped = False
            self.cap = max(self.cap, self._peak + 1)
        self._pace(counted, spent + (wait_s or 0.0), now)
        self._slow_to_span(now)
        if wait_s is None:
            self._blocked = True
            self._paused_until = max(self._paused_until, now + self._gap())
        self._begin_epoch(now, (wait_s or 0.0))

    def _struck(self, ticket: Ticket) -> bool:
        """Whether it was refused again and again where a server of slots would have had one."""
        if not self._capped or ticket.under_way >= self._slots:
            return False
        self._strikes += 1
        return self._strikes > 1

    def _gap(self) -> float:
        return min(LONGEST_BLOCK_S, 1 / self.rate if self.rate else self._block_s)

    def _cap_at(self, ticket: Ticket) -> None:
        if self._pinned.cap is None:
            if not self._capped:
                self._patience, self._strikes = 1, 0
            self.cap = self._slots = max(1, ticket.under_way)
            self._capped, self._stride = True, 1
            self._since_cap = 0
            self._peak = min(self._peak, float(ticket.under_way))
            self.why = f"refused with {ticket.under_way} calls under way"

    def _slow_to_span(self, now: float) -> None:
        """A server that refuses takes in what its limit is: no pace is above what it took lately,
        over more than a moment."""
        lately = self._lately(now)
        if self.rate is None or lately is None or lately >= 0.8 * self.rate:
            return
        self._ceiling = lately
        self.rate = 0.98 * max(lately, 0.5 * self.rate)

    def _lately(self, now: float) -> float | None:
        """Calls a second that were taken in lately; None after less than a moment."""
        since, taken = self._spans[0]
        if now - since < SPAN_S or self._taken - taken < SPAN_CALLS:
            return None
        return (self._taken - taken) / (now - since)

    def _pace(self, accepted: int, spent: float, now: float) -> None:
        measured = accepted / spent if spent > 0 else 0.0
        if self.rate is not None:
            self._ceiling = self.rate
            self._growth = self._faster = max(GROWTH / 8, self._growth * 0.7)
            low = self.rate * 0.97
            least = 0.7 if accepted >= 10 else 0.85
            self.rate = min(low, max(measured, self.rate * least))
        elif measured > 0:
            self.rate = measured * 0.98
            self._ceiling = measured if accepted >= 20 else None
        self._next_at = now
        self.why = "refused for coming too often"

    def _still_blocked(self, now: float, wait_s: float | None) -> None:
        self._blocked = True
        self._probe = None
        self._probes += 1
        self._shut_at = now
        if wait_s is None:
            least = FIRST_BLOCK_S if self.rate is None else min(FIRST_BLOCK_S, 1 / self.rate)
            before = least if self._probes == 1 else self._block_s
            self._block_s = min(LONGEST_BLOCK_S, 2 * before)
            self._paused_until = max(self._paused_until, now + max(self._block_s, self._gap()))
        self.why = "refused again; waiting for its window"

    def _overload(self, ticket: Ticket, now: float, wait_s: float | None) -> None:
        self._done(ticket)
        if wait_s is not None:
            self._paused_until = max(self._paused_until, now + wait_s)
        if ticket.epoch != self._epoch:
            return
        if self._pinned.cap is None:
            self.cap = max(1.0, min(self.cap, ticket.under_way + 1) * 0.7)
            self._capped = True
        if wait_s is None:
            self._paused_until = max(self._paused_until, now + self._block_s)
            self._block_s = min(LONGEST_BLOCK_S / 6, self._block_s * 2)
        self.why = "it is too busy"
        self._begin_epoch(now)

    def _begin_epoch(self, now: float, later: float = 0.0) -> None:
        """One cut an episode: what was sent before it cannot cut again."""
        self._epoch += 1
        self._epoch_at = now + later
        self._let = 0
        self._peak *= 0.97

    # Tokens per minute

    def _level(self, now: float) -> float:
        rate = (self._pinned.tpm or 0.0) / 60
        return max(0.0, self._tokens - (now - self._tokens_at) * rate)

    def _token_time(self, now: float, tokens: int, tpm: float) -> float:
        rate = tpm / 60
        over = self._level(now) + min(tokens, tpm / 6) - tpm / 6
        return now + max(0.0, over) / rate
