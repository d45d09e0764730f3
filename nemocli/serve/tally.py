"""What went through a gateway, added up for the receipt: calls, sessions, tokens and money."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from nemocli.core.money import usd_short
from nemocli.core.ports import Entry

MOST_SESSIONS = 10_000
"""Names that are kept; a gateway may run for months."""


@dataclass(slots=True)
class Sum:
    """Attempts of one model on one path. `pico` is None once a cost was unknown, `estimated`
    whether any count was."""

    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    pico: int | None = 0
    estimated: bool = False

    def add(self, entry: Entry) -> None:
        """One attempt."""
        usage, cost = entry.usage, entry.cost.pico
        self.attempts += 1
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.estimated |= usage.source != "reported" and usage.known
        self.pico = None if self.pico is None or cost is None else self.pico + cost


@dataclass(slots=True)
class GatewayTally:
    """`calls` are counted by how they ended (answered, failed, left), `again` those whose very
    body had come before in their session and had not been answered."""

    calls: dict[str, int] = field(default_factory=dict)
    again: int = 0
    by_path: dict[tuple[str, str], Sum] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    first_fault: str | None = None
    last_fault: str | None = None

    def call(self, how: str, entries: Sequence[Entry]) -> None:
        """A call that is over, with its attempts."""
        self.calls[how] = self.calls.get(how, 0) + 1
        for entry in entries:
            self.by_path.setdefault((entry.model, entry.provider), Sum()).add(entry)

    def leave_out(self, names: Collection[str]) -> None:
        """Fields that could not be carried."""
        if len(self.dropped) < 100:
            self.dropped.update(names)

    def session(self, name: str) -> None:
        """A session that was seen."""
        if len(self.sessions) < MOST_SESSIONS:
            self.sessions.add(name)

    def fault(self, message: str) -> None:
        """What went wrong with a call."""
        self.first_fault = self.first_fault or message
        self.last_fault = message

    @property
    def pico(self) -> int | None:
        """What it cost; None where some of it is unknown."""
        total = 0
        for row in self.by_path.values():
            if row.pico is None:
                return None
            total += row.pico
        return total

    def _counted(self, total: int) -> str:
        parts = [f"{n} {how}" for how, n in sorted(self.calls.items()) if how != "answered"]
        if self.again:
            parts.append(f"{self.again} sent again")
        calls = f"{total} call{'' if total == 1 else 's'}"
        calls += f" ({', '.join(parts)})" if parts else ""
        return calls + (f" in {len(self.sessions)} sessions" if len(self.sessions) > 1 else "")

    def receipt(self, what: str) -> Iterator[str]:
        """Lines for people. The first says it all, the others only what differs."""
        total = sum(self.calls.values())
        if not total:
            yield f"{what}: no calls"
            return
        tokens, money = _tokens(self.by_path.values()), _money(self.pico)
        yield f"{what}: {self._counted(total)} · {tokens} · {money}"
        if len(self.by_path) > 1:
            for (model, provider), row in sorted(self.by_path.items()):
                spent = f"{row.attempts} · {_tokens([row])} · {_money(row.pico)}"
                yield f"  {model} at {provider}: {spent}"
        if self.dropped:
            yield f"  not carried: {', '.join(sorted(self.dropped))}"
        if self.first_fault is not None:
            yield f"  first fault: {self.first_fault}"
        if self.last_fault not in (None, self.first_fault):
            yield f"  last fault: {self.last_fault}"


def _tokens(rows: Collection[Sum]) -> str:
    about = "~" if any(row.estimated for row in rows) else ""
    total_in = sum(row.input_tokens for row in rows)
    total_out = sum(row.output_tokens for row in rows)
    return f"{about}{total_in:,} tokens in, {about}{total_out:,} out"


def _money(pico: int | None) -> str:
    return "cost unknown" if pico is None else usd_short(pico)
