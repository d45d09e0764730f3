"""A job as it is shown: a line on a terminal, lines now and then in a log, objects for programs."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nemocli.batch.progress import RowPace, Tally, line_of, tally_json
from nemocli.cli.terminal.output import json_text
from nemocli.core.faults import Fault, NemoError, usage_error
from nemocli.core.money import usd_short
from nemocli.core.quantities import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nemocli.cli.context import Setup
    from nemocli.core.values import Json
    from nemocli.io.batch.writer import Recovered

FORMS = ("auto", "bar", "line", "json", "none")
LINE_S, LINES_S, JSON_S = 0.2, 15.0, 0.5


LIVE_S = 3.0
"""How often a job's file says how far it is."""


class Watched(Protocol):
    """Limits in words, and what moved them last."""

    @property
    def limits(self) -> Mapping[str, str]: ...
    @property
    def why(self) -> str: ...


class ShownBatch:
    """Takes the counts while a job runs, and says how it ended."""

    def __init__(self, setup: Setup, form: str) -> None:
        form = {"lines": "line"}.get(form, form)
        if form not in FORMS:
            raise usage_error(f"--progress {form!r} is none", f"one of: {', '.join(FORMS)}")
        self._setup = setup
        self._err = setup.err
        if form == "auto":
            terminal = setup.terminal.stderr and setup.terminal.colour_err and not setup.json
            form = "bar" if terminal else "line"
        self._form = "none" if self._err.quiet and form != "json" else form
        self.pace = RowPace()
        self._limits = ("", "")
        self._cap: int | None = None
        self._began = time.monotonic()

    def warn(self, line: str) -> None:
        """A remark in between."""
        if self._form == "json":
            self._err.debug(json_text({"type": "note", "text": line}))
            return
        if self._form == "bar":
            self._err.transient("")
        self._err.warn(line)

    def show_recovery(self, found: Recovered) -> None:
        """What an earlier run left."""
        torn, replayed, unsettled = found.torn, found.replayed, len(found.unsettled)
        if found.rescued:
            what = count_of(found.rescued, "answer")
            self.warn(f"{what} that had not been written: in the output now")
        if torn:
            self.warn(f"a torn last line of {torn:,} bytes was cut; its row is asked again")
        if replayed:
            self.warn(f"{count_of(replayed, 'answer')} that had not been booked: booked now")
        if unsettled:
            self.warn(
                f"{count_of(unsettled, 'call')} under way when the last run was killed: booked as"
                " estimates (`nemocli cost reconcile` asks their seller)"
            )

    async def watch(
        self,
        tally: Tally,
        gate: Watched,
        cap: int | None,
        live: Callable[[Mapping[str, Json]], None],
    ) -> None:
        """Until it is cancelled. `live` gets an object of the counts now and then."""
        self._cap = cap
        every = {"bar": LINE_S, "json": JSON_S, "line": 1.0}.get(self._form, 1.0)
        said = told = time.monotonic()
        while True:
            await asyncio.sleep(every)
            self._look(tally, gate)
            if time.monotonic() - told >= LIVE_S:
                told = time.monotonic()
                with suppress(NemoError):  # the disk has more important things to refuse
                    live(self._object(tally))
            if self._form == "bar":
                self._err.transient(self._line(tally, self._setup.terminal.width - 1))
            elif self._form == "json":
                self._err.debug(json_text({"type": "progress", **self._object(tally)}))
            elif self._form == "line" and time.monotonic() - said >= LINES_S:
                said = time.monotonic()
                self._err.dim(self._line(tally))

    def show_shared(self, tally: Tally, limits: Mapping[str, str], why: str) -> None:
        """The limits of a gate in another process; the counts come at the end."""
        self._limits = (", ".join(limits.values()), why)
        if self._form == "bar":
            self._err.transient(self._line(tally, self._setup.terminal.width - 1))
        elif self._form == "json":
            self._err.debug(json_text({"type": "progress", **self._object(tally)}))

    def _look(self, tally: Tally, gate: Watched) -> None:
        self.pace.look(time.monotonic(), tally)
        limits = gate.limits
        only = len(limits) == 1
        text = ", ".join(v if only else f"{k} {v}" for k, v in limits.items())
        self._limits = (text, gate.why)

    def _line(self, tally: Tally, width: int | None = None) -> str:
        limit, why = self._limits
        return line_of(tally, self.pace, cap=self._cap, limit=limit, why=why, width=width)

    def _object(self, tally: Tally) -> dict[str, Json]:
        limit, why = self._limits
        return dict(tally_json(tally, self.pace, cap=self._cap, limit=limit, why=why))

    def summary(
        self, tally: Tally, out: Path, errors: Path, fault: Fault | None, *, as_json: bool
    ) -> None:
        """How it ended."""
        took = time.monotonic() - self._began
        if self._form == "bar":
            self._err.transient("")
        if as_json:
            said: dict[str, Json] = {
                "schema": "nemocli.batch_run/1",
                "out": str(out),
                "errors": str(errors) if tally.failed + tally.bad else None,
                "complete": fault is None,
                "elapsed_s": round(took, 3),
                **self._object(tally),
            }
            self._setup.out.json(said)
            return
        for line in summary_lines(tally, took, out, errors):
            self._err.dim(line)


def summary_lines(tally: Tally, took: float, out: Path, errors: Path) -> list[str]:
    """For people: what there is, what went wrong, what it cost."""
    rate = f", {tally.attempts / took:,.1f} calls a second" if took > 0 and tally.attempts else ""
    lines = [f"{count_of(tally.ok, 'answer')} in {out} ({took:,.1f} s{rate})"]
    if tally.skipped:
        was = "was" if tally.skipped == 1 else "were"
        lines.append(f"{count_of(tally.skipped, 'row')} {was} already done")
    if tally.cached:
        lines.append(f"{count_of(tally.cached, 'answer')} known already, at no cost")
    if tally.cut:
        lines.append(f"{count_of(tally.cut, 'answer')} cut at the token limit")
    if tally.failed or tally.bad:
        what = [f"{count_of(tally.failed, 'row')} given up"] if tally.failed else []
        what += [count_of(tally.bad, "bad row")] if tally.bad else []
        how = []
        if tally.failed:
            how.append(f"`nemocli batch retry {out}` asks the failed ones again")
        if tally.bad:
            how.append("edit a bad row and run the same command again")
        lines.append(f"{' and '.join(what)} in {errors}: {'; '.join(how)}")
    if tally.repairs:
        spent = usd_short(tally.repair_pico)
        lines.append(f"{count_of(tally.repairs, 'answer')} sent back to fit the schema ({spent})")
    money = usd_short(tally.pico)
    if tally.unpriced:
        money = f"at least {money} ({tally.unpriced:,} of {tally.attempts:,} calls unpriced)"
    tokens = f"{tally.input_tokens:,} tokens in, {tally.output_tokens:,} out"
    lines.append(f"{tokens}; {money}")
    return lines
