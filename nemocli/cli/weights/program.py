"""`nemocli weights plan|pull PROVIDER:MODEL/QUANT`: weights that another program fetches."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.downloads import notices
from nemocli.cli.event_loop import run_async
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.io.servers.command import CommandRuntime, HeldFile
from nemocli.io.weights.find import size_and_sum
from nemocli.io.weights.store import FolderStore
from nemocli.weights.program import (
    ProgramPlan,
    ProgramReport,
    plan_json,
    plan_lines,
    report_json,
    report_line,
)
from nemocli.weights.space import check_room

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.cli.weights.held import HeldModel


def run_program_plan(setup: Setup, held: HeldModel, local_dir: str | None, *, json: bool) -> None:
    """The plan of one."""
    desk = _Desk(setup, held, local_dir)
    plan = run_async(desk.plan)
    if json:
        setup.out.json(plan_json(plan))
        return
    setup.out.lines(plan_lines(plan))


def run_program_pull(setup: Setup, held: HeldModel, local_dir: str | None, *, json: bool) -> None:
    """The pull of one."""
    report = run_async(_Desk(setup, held, local_dir).pull)
    if json:
        setup.out.json(report_json(report))
        return
    setup.out.line(report.path or report.plan.folder)
    setup.err.dim(report_line(report))


class _Desk:
    def __init__(self, setup: Setup, held: HeldModel, local_dir: str | None) -> None:
        self._setup = setup
        self._held = held
        self._local_dir = local_dir
        self._runtime = CommandRuntime(held.provider, setup.env, notices(setup), setup.key_names())

    async def plan(self) -> ProgramPlan:
        """Ask the program, and the disk."""
        if self._setup.offline:
            raise NemoError(
                Fault(FaultKind.OFFLINE, "`--offline` forbids asking for it", None, self._name)
            )
        return self._planned(await self._runtime.file(self._held.model))

    def _planned(self, file: HeldFile) -> ProgramPlan:
        folder = self._folder()
        present = file.downloaded
        if self._local_dir is not None:
            present = present and size_and_sum(folder / file.name, read=False)[0] == file.size
        space = FolderStore(folder).space()
        program = self._runtime.display("download", model=file.model)
        return ProgramPlan(
            self._held.name, file.name, file.size, present, str(folder), space, program
        )

    async def pull(self) -> ProgramReport:
        """Let it fetch, and look at what came. Raises NemoError."""
        began = time.monotonic()
        plan = await self.plan()
        check_room(plan.need, plan.space, plan.folder)
        place = None if self._local_dir is None else Path(plan.folder) / plan.file
        if not plan.present:
            if place is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
            self._setup.err.dim(f"{plan.name}: `{plan.program}` is at it")
            await self._runtime.download(self._held.model, None if place is None else str(place))
        file = await self._runtime.file(self._held.model)
        sha256 = self._looked_at(place, file) if place is not None else None
        if not file.downloaded:
            raise self._not_whole(f"{file.name} is not downloaded, though the program said so")
        return ProgramReport(
            plan, None if place is None else str(place), sha256, time.monotonic() - began
        )

    def _looked_at(self, place: Path, file: HeldFile) -> str | None:
        size, sha256 = size_and_sum(place, read=True)
        if size is None or file.size not in (None, size):
            raise self._not_whole(f"{place} has {size or 0} bytes, and {file.size} were announced")
        return sha256

    def _not_whole(self, message: str) -> NemoError:
        hint = f"remove it there and run the command again: `{self._runtime.display('models')}`"
        return NemoError(Fault(FaultKind.CORRUPT, message, hint, self._name, sent=False))

    def _folder(self) -> Path:
        if self._local_dir is not None:
            return Path(self._local_dir).expanduser().absolute()
        runtime = self._held.provider.runtime
        own = runtime.settings.get("store") if runtime is not None else None
        return Path(str(own or "~")).expanduser()

    @property
    def _name(self) -> str:
        return self._held.provider.name
