"""What tiny real calls showed of a model: the facts, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemocli.cli.ask.receipt import usd
from nemocli.cli.terminal.diagnostics import error_json
from nemocli.cli.terminal.tables import table
from nemocli.core.faults import ExitCode, Fault, FaultKind
from nemocli.core.money import total_of, usd_text
from nemocli.core.values import Json

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.plan import Target
    from nemocli.core.ports import Entry

ALIVE = frozenset({FaultKind.TRUNCATED, FaultKind.NO_ANSWER, FaultKind.FILTERED})
"""Ends that no dead model comes to."""

CHECKS = ("streaming", "reasoning", "reasoning_off", "tools", "json_schema")


@dataclass(slots=True)
class PathProbe:
    """What calls to one target showed; a check that could not be made is None. `stopped` is the
    budget's end, `pieces` the most parts in which a reply came."""

    target: Target
    fault: Fault | None = None
    entries: list[Entry] = field(default_factory=list)
    checks: dict[str, bool | None] = field(default_factory=dict)
    stopped: Fault | None = None
    pieces: int = 0
    asked: bool = False

    @property
    def alive(self) -> bool:
        """Whether the model answered at all."""
        return self.asked and (self.fault is None or self.fault.kind in ALIVE)

    @property
    def failure(self) -> Fault | None:
        """What kept the probe from its end."""
        return self.stopped if self.alive else self.fault or self.stopped


def show(setup: Setup, probes: list[PathProbe], *, deep: bool) -> int:
    """Print them; the exit code is the largest of the failures."""
    if setup.json:
        setup.out.json([_json(p) for p in probes])
    else:
        headers = ["PROVIDER", "MODEL", "ANSWERS", "FIRST TOKEN", "COST"]
        headers += [c.replace("_", " ").upper() for c in CHECKS] if deep else ["SERVED"]
        rows = [_row(p, deep=deep) for p in probes]
        setup.out.lines(table(headers, rows, None))
    failed = [p.failure for p in probes if p.failure is not None]
    worst = max(failed, key=lambda fault: fault.exit_code, default=None)
    for fault in failed:
        if fault is worst or not setup.json:
            setup.err.error(fault)
    return worst.exit_code if worst is not None else ExitCode.OK


def _row(probe: PathProbe, *, deep: bool) -> list[str]:
    first = probe.entries[0] if probe.entries else None
    ttft = f"{first.ttft_s:.2f} s" if first is not None and first.ttft_s is not None else "-"
    said = "yes" if probe.alive else str(probe.failure.kind if probe.failure else "no")
    cost = sum_text(probe.entries)
    row = [probe.target.provider.name, probe.target.model or "-", said, ttft, cost]
    if not deep:
        return [*row, (first.served_model if first is not None else None) or "-"]
    marks = {True: "yes", False: "no", None: "-"}
    return row + [marks[probe.checks.get(c)] for c in CHECKS]


def sum_text(entries: Sequence[Entry]) -> str:
    """What they cost together, for people."""
    total = _sum(entries)
    return "unknown" if total is None else usd(total)


def _sum(entries: Sequence[Entry]) -> int | None:
    """In pico-USD; None where one of them is unknown."""
    return total_of(entry.cost.pico for entry in entries)


def _json(probe: PathProbe) -> dict[str, Json]:
    first = probe.entries[0] if probe.entries else None
    fault = probe.failure or probe.fault
    said: dict[str, Json] = {
        "provider": probe.target.provider.name,
        "model": probe.target.model or None,
        "served_model": first.served_model if first is not None else None,
        "answers": probe.alive,
        "ttft_s": first.ttft_s if first is not None else None,
        "total_s": first.total_s if first is not None else None,
        "cost_usd": usd_text(_sum(probe.entries)),
        "calls": len(probe.entries),
        "error": error_json(fault) if fault is not None else None,
    }
    if probe.checks:
        said["checks"] = {c: probe.checks.get(c) for c in CHECKS}
    return said
