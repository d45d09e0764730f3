"""A pull as it is shown: bars on a terminal, quiet lines in a log, objects for a program."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nemocli.cli.terminal.output import json_text
from nemocli.core.quantities import size_text, time_text
from nemocli.weights.progress import Progress, progress_json

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from nemocli.cli.context import Setup

LINE_EVERY_S = 15.0
JSON_EVERY_S = 0.5
MOST_BARS = 8
NARROW = 60
"""Columns below which there is no bar."""
LEAST_BAR = 12
"""Columns of a bar and of what stands between the parts of a line."""

_PHASES = {
    "waiting": "waiting",
    "checking": "checking what is here",
    "reserving": "reserving the space",
    "fetching": "fetching",
    "paused": "paused",
    "finishing": "finishing",
    "done": "done",
}


class ShownPull:
    """Takes progress and remarks; a context manager around the run. `form` is `auto`, `bar`,
    `lines`, `json` or `none`."""

    def __init__(self, setup: Setup, form: str) -> None:
        self._setup = setup
        self._err = setup.err
        if form == "auto":
            terminal = setup.terminal.stderr and setup.terminal.colour_err and not setup.json
            form = "bar" if terminal else "line"
        self._form = "none" if self._err.quiet and form != "json" else form
        self._next = 0.0
        self._last_phase = ""
        self._bars: Bars | None = None
        self._width = 80
        self._total: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._form == "bar":
            self._open_bars()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def tell(self, text: str) -> None:
        """A remark: something was damaged, somebody is waited for."""
        if self._form == "json":
            self._setup.err.debug(json_text({"type": "note", "text": text}))
        elif self._bars is not None:
            from nemocli.core.text import neutral

            self._bars.console.print(f"note: {neutral(text)}", markup=False, highlight=False)
        else:
            self._err.warn(text)

    def progress(self, now: Progress) -> None:
        """How far it is; as often as one likes."""
        at, turned = time.monotonic(), now.phase != self._last_phase
        self._last_phase = now.phase
        if self._form == "bar":
            self._draw(now)
        elif self._form == "json" and (turned or at >= self._next):
            self._next = at + JSON_EVERY_S
            self._err.debug(json_text(progress_json(now)))
        elif self._form == "line" and at >= self._next:
            # The first line waits too: a short pull needs none.
            if self._next:
                self._err.dim(line_of(now))
            self._next = at + LINE_EVERY_S

    def _open_bars(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, ProgressColumn, TextColumn
        from rich.progress import Progress as Bars

        self._width = self._setup.terminal.width or 80
        console = Console(stderr=True, width=self._setup.terminal.width)
        columns: list[ProgressColumn] = [
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[said]}", markup=False),
        ]
        if self._width >= NARROW:  # what is left and how fast goes before a picture of it
            columns.insert(1, BarColumn(bar_width=None))
        self._bars = Bars(
            *columns,
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._total = self._bars.add_task("total", total=None, said="")
        self._bars.start()

    def _draw(self, now: Progress) -> None:
        if self._bars is None or self._total is None:
            return
        files = f"{now.files_done}/{now.files} files"
        room = self._width - (LEAST_BAR if self._width >= NARROW else 2)
        self._bars.update(
            self._total,
            description=files,
            total=now.size or None,
            completed=now.done,
            said=_beside(now, room - len(files)),
        )
        name_width = max(12, min(36, room - 24))
        doing = {d.path: d for d in now.doing[:MOST_BARS]}
        for path in [p for p in self._tasks if p not in doing]:
            self._bars.remove_task(self._tasks.pop(path))
        for path, file in doing.items():
            if path not in self._tasks:
                long = len(path) > name_width
                name = "…" + path[1 - name_width :] if long else path
                self._tasks[path] = self._bars.add_task(name, total=file.size, said="")
            said = f"{size_text(file.done)} of {size_text(file.size)}"
            self._bars.update(self._tasks[path], completed=file.done, said=said)


def line_of(now: Progress) -> str:
    """One line for a log."""
    part = f"{100 * now.done / now.size:.1f} %" if now.size else "0 %"
    files = f"{now.files_done} of {now.files} files"
    return f"{part}, {files}, {_beside(now)}"


def _beside(now: Progress, width: int = 1000) -> str:
    """Time left and speed; how much, where there is room for it."""
    if now.phase != "fetching":
        return _PHASES[now.phase] + (f" {now.note}" if now.note else "")
    if not now.rate:
        return f"{size_text(now.done)} of {size_text(now.size)}, connecting"
    left, speed = f"{time_text(now.eta_s)} left", f"{size_text(now.rate)}/s"
    forms = (
        f"{size_text(now.done)} of {size_text(now.size)}, {speed}, {left}",
        f"{100 * now.done / max(now.size, 1):.0f} %, {speed}, {left}",
        f"{speed}, {left}",
    )
    return next((form for form in forms if len(form) <= width), left)
