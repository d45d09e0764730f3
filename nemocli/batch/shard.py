"""The rows of a job, or of one share of it, from its input to the pool that asks them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from nemocli.batch.attempt import Asker
from nemocli.batch.lines import failure_line
from nemocli.batch.options import RowWork
from nemocli.batch.ports import Results
from nemocli.batch.progress import Tally
from nemocli.batch.rows import Bad, Row
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Clock
from nemocli.engine.pool.ports import CallGate
from nemocli.engine.pool.runner import Pool

MOST_TOLD = 5
"""Bad rows that get a line of their own; the rest are counted."""

Item = Row | Bad | int
"""A row to be asked, one that cannot be, or the ordinal of one that is over already."""


class Shard:
    """Runs once. Cancelling `run` ends the calls under way, books them, and returns a fault. Rows
    that are `piped` may take their time, and nobody waits for them."""

    def __init__(
        self,
        asker: Asker,
        rows: AsyncIterator[Item],
        gate: CallGate,
        results: Results,
        clock: Clock,
        *,
        tally: Tally,
        warn: Callable[[str], None],
        piped: bool = False,
    ) -> None:
        self._terms = asker.terms
        self._rows = rows
        self._results = results
        self._tally = tally
        self._warn = warn
        targets = len(asker.terms.targets)
        self._pool = Pool(
            asker.attempt, self._works(targets), gate, clock, targets=targets, piped=piped
        )
        asker.back = lambda work: self._pool.later(work, 0.0)

    async def run(self) -> Fault | None:
        """Until every row is over, or the fault that stopped the job."""
        fault = await self._pool.run()
        try:
            await self._results.flush()
        except NemoError as error:
            fault = fault or error.fault
        return fault

    async def _works(self, targets: int) -> AsyncIterator[RowWork]:
        """The rows that are not over. Raises NemoError for a bad one where the job stops there."""
        everywhere = tuple(range(targets)) if self._terms.spread else (0,)
        async for item in self._rows:
            if isinstance(item, int):
                self._tally.skipped += 1
                self._results.place(item, over=True)
                continue
            self._results.place(item.ordinal)
            if isinstance(item, Row):
                yield RowWork(item, everywhere)
                continue
            self._set_aside(item)
            if self._terms.fail_fast:
                what = f"{item.where}: {item.message}"
                hint = "mend it, or leave `--fail-fast` out"
                raise NemoError(Fault(FaultKind.CONFIG, what, hint))

    def _set_aside(self, bad: Bad) -> None:
        self._tally.bad += 1
        if self._tally.bad <= MOST_TOLD:
            self._warn(f"{bad.where}: {bad.message}")
        line = failure_line(bad, bad.code, bad.message, (), self._terms.told)
        self._results.fail(line)
