"""`eval selfcheck`: the machine checked before a model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.cli.terminal.tables import table
from nemocli.core.faults import ExitCode
from nemocli.eval.lint import lint
from nemocli.eval.selfcheck import SelfCheck, checks
from nemocli.io.eval.machine import machines
from nemocli.io.eval.suite import load_suite
from nemocli.io.profiles.catalogue import shipped_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nemocli.cli.context import Setup
    from nemocli.core.values import Json


def selfcheck(setup: Setup, *, as_json: bool) -> int:
    """Every check; 0 only when all hold."""
    found = [*checks(), *_mutations(setup.env)]
    good = all(check.ok for check in found)
    if as_json:
        rows: list[Json] = [
            {
                "name": c.name,
                "published": round(c.published, 6),
                "measured": round(c.measured, 6),
                "ok": c.ok,
                "source": c.source,
            }
            for c in found
        ]
        setup.out.json({"schema": "nemocli.selfcheck/1", "checks": rows})
    else:
        cells = [
            (
                "ok" if c.ok else "FAILS",
                c.name,
                f"{c.published:.4g}",
                f"{c.measured:.4g}",
                c.source,
            )
            for c in found
        ]
        width = setup.terminal.width if setup.terminal.stdout else None
        for line in table(("", "CHECK", "SHOULD BE", "IS", "SOURCE"), cells, width):
            setup.out.line(line)
    return ExitCode.OK if good else ExitCode.UNEXPECTED


def _mutations(env: Mapping[str, str]) -> list[SelfCheck]:
    """Every shipped task notices every call that is left out."""
    found = []
    for folder in sorted((shipped_folder() / "suites").iterdir()):
        if not any((folder / "tasks").glob("*.yaml")):
            continue  # a choice from another suite
        for task in load_suite(folder, trusted=True).tasks:
            seen = lint(task, machines=machines(folder, env))
            score = seen.killed / seen.mutants if seen.mutants else 1.0
            ok = not seen.errors and score == 1.0
            found.append(SelfCheck(f"{task.task_id}: mutation score", 1.0, score, ok, "its lint"))
    return found
