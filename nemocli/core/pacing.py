"""How fast a server may be asked, learned from what it says: a pace and a cap at once.

A limit of requests per minute and a limit of calls at a time look alike from outside: a refusal.
Pacing alone leaves a server of slots half empty, a cap alone starves or hammers a server that
counts minutes. What tells them apart is how many calls were under way at a refusal: a server of
slots refuses at the same number every time, a server that counts refuses at ever fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nemocli.core.values import value_class

Word = Literal["ok", "refused", "overloaded", "lost", "other"]
"""What became of a call, for its server's limits: answered; turned away for coming too often (429);
too busy (503, 529); no answer in time; anything that says nothing about limits."""

START = 16
CEILING = 512
FEWEST_SLOTS = 4
"Refused with fewer under way, a call came too soon after another: servers of so few slots queue."
LONGEST_BLOCK_S = 60.0
FIRST_BLOCK_S = 0.2
GROWTH = 0.0004
"Of the pace, for each call that is answered near the pace that was refused last."
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


@dataclass(frozen=True, slots=True)
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
        self._peak = 0.0
        self._tokens_at = now
        self._tokens: float = 0.0
        self._since_cap = 0
        self._growth = GROWTH
        self._answers = 0
        self._mark: tuple[float, float, int, float] = (self.cap, now, 0, 0.0)
        # cap, time, answers until then, answers a second

    def wait(self, now: float, tokens: int = 0) -> float:
        """Seconds until the next call may be sent: 0 for now, infinity for when one has ended."""
        if self.under_way >= max(1, int(self.cap)):
            return float("inf")
        if self._probe is not None:
            silent = self._probe.at + 4 * self._no_s + 0.05 - now
            if silent > 0:
                return silent
            self._opened(self._probe)  # a refusal would have come by now
        ready = max(self._paused_until, self._next_at, self._token_time(now, tokens))
        return max(0.0, ready - now)

    def start(self, now: float, tokens: int = 0) -> Ticket:
        """Count a call that is being sent."""
        ticket = Ticket(now, self.under_way, self._epoch, self._blocked, tokens)
        self._probe = ticket if self._blocked else None
        self.under_way += 1
        self._let += 1
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
        self._answers += 1
        if ticket is self._probe:
            self._opened(ticket)
        self._peak = max(self._peak * 0.999, float(ticket.under_way))
        self._grow_rate()
        self._grow_cap(ticket, now)

    def _opened(self, ticket: Ticket) -> None:
        """A probe came through: the cycle from the first call of the last one is over."""
        begun = self._cycle_at
        if begun is not None and self._probes > 1 and self._pinned.rpm is None and self._cycle > 1:
            measured = (self._cycle - 1) / (ticket.at - begun)
            self.rate = (
                measured if self.rate is None else min(self.rate, max(measured, 0.7 * self.rate))
            )
            self._ceiling = self.rate
            self._next_at = ticket.at + 1 / self.rate
            self.why = f"its window took {self._cycle - 1} calls"
        self._cycle_at, self._cycle = ticket.at, 1
        self._blocked, self._probe = False, None
        self._block_s, self._probes = FIRST_BLOCK_S, 0

    def _grow_rate(self) -> None:
        if self.rate is None or self._pinned.rpm is not None:
            return
        if self._ceiling is None:
            self.rate *= 1.02
        elif self.rate < 0.97 * self._ceiling:
            self.rate *= 1.01
        elif self.rate < 1.05 * self._ceiling:
            self.rate *= 1 + self._growth
        else:
            self._ceiling, self._growth = None, GROWTH

    def _grow_cap(self, ticket: Ticket, now: float) -> None:
        if self._pinned.cap is not None or ticket.under_way + 1 < int(self.cap) * 0.8:
            return
        if self._capped and ticket.epoch == self._epoch and ticket.under_way >= self._slots:
            self._capped = False  # there are more slots than it seemed
        if not self._capped:
            if not self._flat(now):
                self.cap = min(CEILING, self.cap + 1)
            return
        self._since_cap += 1
        if self._since_cap > self._patience * self._slots:
            self._since_cap = 0
            self._patience = min(64, self._patience * 2)
            self._strikes = 0
            self.cap = self._slots + 1

    def _flat(self, now: float) -> bool:
        """Whether half as many calls again at once brought no more answers: its server only queues
        them."""
        if self.cap < 1.5 * self._mark[0]:
            return False
        _, at, answers, speed = self._mark
        now_speed = (self._answers - answers) / (now - at) if now > at else float("inf")
        if speed and now_speed < 1.15 * speed:
            if self.why == "finding the limit":
                self.why = "more at once brings no more"
            return True
        self._mark = (self.cap, now, self._answers, now_speed)
        return False

    def _refuse(self, ticket: Ticket, now: float, wait_s: float | None) -> None:
        self.refused += 1
        self._no_s = 0.8 * self._no_s + 0.2 * (now - ticket.at) if self._no_s else now - ticket.at
        self._cycle -= 1
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
            self._capped = True
            self._since_cap = 0
            self.why = f"refused with {ticket.under_way} calls under way"

    def _pace(self, accepted: int, spent: float, now: float) -> None:
        measured = accepted / spent if spent > 0 else 0.0
        if self.rate is not None:
            self._ceiling = self.rate
            self._growth = max(GROWTH / 8, self._growth * 0.7)
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
        if wait_s is None:
            self._block_s = min(LONGEST_BLOCK_S, self._block_s * 2)
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

    def _token_time(self, now: float, tokens: int) -> float:
        if self._pinned.tpm is None:
            return now
        rate = self._pinned.tpm / 60
        over = self._level(now) + min(tokens, self._pinned.tpm / 6) - self._pinned.tpm / 6
        return now + max(0.0, over) / rate
