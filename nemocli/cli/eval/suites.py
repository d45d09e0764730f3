"""`eval init` and `lint`: a suite is made, and tested before a model sees it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.core.faults import ExitCode
from nemocli.eval.lint import Lint, lint
from nemocli.io.eval.machine import machines
from nemocli.io.eval.suite import Suite, init_suite, load_suite
from nemocli.io.profiles.catalogue import profiles_folder

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.values import Json


def suite_at(folder: Path, trust: Path | None = None) -> Suite:
    """The suite of a folder; `trust` must name that very folder. Raises NemoError."""
    trusted = trust is not None and trust.resolve() == folder.resolve()
    return load_suite(folder, trusted=trusted)


def init(setup: Setup, folder: Path, source: str) -> None:
    """Make a folder."""
    made = init_suite(folder, profiles_folder() / "suites", source)
    for name in made:
        setup.out.line(str(folder / name))
    setup.err.dim(f"next: `nemocli eval lint {folder}`, then `nemocli eval run {folder} --arm ...`")


def lint_all(setup: Setup, folder: Path, trust: Path | None, *, as_json: bool) -> int:
    """Every task; 0 only when none has an error."""
    on = machines(folder, setup.env)
    found = [lint(task, machines=on) for task in suite_at(folder, trust).tasks]
    bad = any(each.errors for each in found)
    if as_json:
        rows = [_row(each) for each in found]
        setup.out.json({"schema": "nemocli.eval_lint/1", "ok": not bad, "tasks": rows})
    else:
        _show(setup, found)
    return ExitCode.CONFIG if bad else ExitCode.OK


def _row(each: Lint) -> dict[str, Json]:
    return {
        "task": each.task_id,
        "errors": list(each.errors),
        "warnings": list(each.warnings),
        "mutants": each.mutants,
        "killed": each.killed,
    }


def _show(setup: Setup, found: list[Lint]) -> None:
    cells = [
        (
            each.task_id,
            "fails" if each.errors else "ok",
            f"{each.killed}/{each.mutants}",
            "; ".join([*each.errors, *each.warnings]),
        )
        for each in found
    ]
    setup.out.table(("TASK", "LINT", "MUTANTS", "WHAT"), cells)
