"""An answer as it is shown: text for people, one object or a line an event for programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from nemocli.cli.ask.answer_json import answer_json, event_json
from nemocli.cli.ask.receipt import receipt, retry_line
from nemocli.cli.ask.spinner import Waiting
from nemocli.cli.terminal.diagnostics import error_json
from nemocli.cli.terminal.output import Output, ReaderGone, Unwritable
from nemocli.core.events import Event, Finished, Reasoning, Retrying, Text
from nemocli.core.faults import ExitCode

if TYPE_CHECKING:
    from nemocli.cli.ask.job import AskJob, Form
    from nemocli.cli.context import Setup
    from nemocli.core.values import Json
    from nemocli.engine.run import Answer


PAUSE_S = 0.3
"""In a streamed line; models write several times faster."""


class Drawing(Protocol):
    """How one form of output takes the events and the end."""

    def event(self, event: Event) -> None: ...
    def end(self, answer: Answer, total_s: float, *, extract: bool) -> None: ...


class ShownAnswer:
    """The sink of a run, and its end. A context manager around the run: while nothing comes, a
    terminal is told so."""

    def __init__(self, setup: Setup, form: Drawing, waiting: Waiting) -> None:
        self._setup = setup
        self._form = form
        self._waiting = waiting

    async def __aenter__(self) -> Self:
        self._waiting.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._waiting.stop()

    def event(self, event: Event) -> None:
        """The next event of the run."""
        self._waiting.saw(event)
        self._form.event(event)

    def end(self, answer: Answer, total_s: float, *, extract: bool) -> int:
        """Show what is left to show; the exit code."""
        self._form.end(answer, total_s, extract=extract)
        return answer.fault.exit_code if answer.fault is not None else ExitCode.OK


def view_for(setup: Setup, form: Form, job: AskJob, *, show_reasoning: bool) -> ShownAnswer:
    """The sink for a form of output."""
    forms: dict[str, Callable[[], Drawing]] = {
        "text": lambda: _Plain(setup, stream=job.plan.keep is False, reasoning=show_reasoning),
        "json": lambda: _Object(setup, job),
        "jsonl": lambda: _Lines(setup, job),
    }
    aloud = show_reasoning and form == "text"
    return ShownAnswer(
        setup, forms[form](), Waiting(setup, job.plan.targets[0].provider.name, aloud=aloud)
    )


class _Plain:
    """The text as it comes, or at the end where it must be whole first."""

    def __init__(self, setup: Setup, *, stream: bool, reasoning: bool) -> None:
        self._out, self._err = setup.out, setup.err
        self._stream = stream
        self._reasoning = reasoning
        self._thinking = False
        self._pauses = _Pauses(setup.out) if stream and not setup.terminal.stdout else None

    def event(self, event: Event) -> None:
        match event:
            case Text(text):
                self._end_thought()
                if self._stream:
                    self._out.text(text)
                    if self._pauses is not None:
                        self._pauses.wrote()
            case Reasoning(text) if self._reasoning:
                self._thinking = True
                self._err.piece(text)
            case Retrying():
                self._err.dim(retry_line(event))
            case _:
                pass

    def _end_thought(self) -> None:
        if self._thinking:
            self._thinking = False
            self._err.piece("\n\n")

    def end(self, answer: Answer, total_s: float, *, extract: bool) -> None:
        self._end_thought()
        if self._pauses is not None:
            self._pauses.over()
        if not self._stream:
            self._out.text(_whole(answer, extract=extract, note=self._err.warn))
        self._out.end_line()
        for number, citation in enumerate(answer.fold.citations, 1):
            title = f"{citation.title} " if citation.title else ""
            self._err.dim(f"[{number}] {title}{citation.url}")
        _warnings(answer, self._err.warn)
        if answer.fault is not None:
            self._err.error(answer.fault)
        if answer.fault is None or answer.fold.answered:
            self._err.dim(receipt(answer, total_s))


class _Pauses:
    """A line that was begun is shown in a pipe too, once the model pauses in it."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._failed: Exception | None = None

    def wrote(self) -> None:
        """Text came. Raises what writing the line before it raised."""
        if self._failed is not None:
            raise self._failed
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(PAUSE_S, self._look, loop)

    def over(self) -> None:
        """Nothing more comes."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        quiet = loop.time() - self._last
        if quiet < PAUSE_S:
            self._timer = loop.call_later(PAUSE_S - quiet, self._look, loop)
            return
        try:
            self._out.flush()
        except (ReaderGone, Unwritable) as error:
            self._failed = error


def _whole(answer: Answer, *, extract: bool, note: Callable[[str], None]) -> str:
    from nemocli.core.prompt import first_code_block

    text = answer.fold.text
    if not extract:
        from nemocli.engine.structured import json_in

        return json_in(text) if answer.fault is None else text
    block = first_code_block(text)
    if block is None and text:
        note("there is no code block in the answer; this is all of it")
    return text if block is None else block


class _Object:
    """One `nemocli.answer/1` object, if anything of an answer came."""

    def __init__(self, setup: Setup, job: AskJob) -> None:
        self._out, self._err, self._job = setup.out, setup.err, job

    def event(self, event: Event) -> None:
        """Nothing is shown before the end."""

    def end(self, answer: Answer, total_s: float, *, extract: bool) -> None:
        _warnings(answer, self._err.warn)
        fold = answer.fold
        if fold.shown or isinstance(fold.end, Finished):
            self._out.json(answer_json(answer, self._job.plan, self._job.request, total_s))
        if answer.fault is not None:
            self._err.error(answer.fault)


class _Lines:
    """One JSON object a line: every event, and at the end `done` or `error` with what it cost."""

    def __init__(self, setup: Setup, job: AskJob) -> None:
        self._out, self._err, self._job = setup.out, setup.err, job
        self._seq = 0

    def event(self, event: Event) -> None:
        if (said := event_json(event)) is not None:
            self._line(said)

    def end(self, answer: Answer, total_s: float, *, extract: bool) -> None:
        _warnings(answer, self._err.warn)
        whole = answer_json(answer, self._job.plan, self._job.request, total_s)
        said = {k: v for k, v in whole.items() if k not in ("text", "reasoning")}
        if answer.fault is None:
            self._line({"type": "done", **said})
            return
        self._line({"type": "error", "error": error_json(answer.fault), **said})
        self._err.error(answer.fault)

    def _line(self, said: dict[str, Json]) -> None:
        self._out.jsonl({"type": said["type"], "seq": self._seq, **said})
        self._seq += 1


def _warnings(answer: Answer, warn: Callable[[str], None]) -> None:
    for line in answer.warnings:
        warn(line)
    target = answer.target
    if (when := answer.fold.started.deprecation) is not None:
        warn(f"{target.provider.name} will stop serving {target.model} (Deprecation: {when})")
