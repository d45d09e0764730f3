"""`eval selfcheck`: the machine checked before a model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.cli.event_loop import run_async
from nemocli.core.faults import ExitCode
from nemocli.eval.lint import lint
from nemocli.eval.selfcheck import SelfCheck, checks
from nemocli.io.eval.machine import machines
from nemocli.io.eval.suite import load_suite
from nemocli.io.profiles.catalogue import profiles_folder

BFCL_FIGURES = (
    ("gold", "gold paths of 800 tasks judged right", 800),
    ("null", "of 800 tasks, right without a call", 0),
    ("dropped", "right with one of 1,142 gold calls left out", 1),
    ("invented", "of 200, right with an invented call in front", 200),
    ("second", "of 200, right in a second attempt after a failed one", 200),
)
"""What the benchmark's own checker says of its own data; the last is 76 in its own runner, which
keeps machines over attempts."""
TAU2_FIGURES = (
    ("gold_airline", "gold paths of 50 airline tasks judged right", 50),
    ("null_airline", "of 50 airline tasks, right in silence", 19),
    ("gold_retail", "gold paths of 114 retail tasks judged right", 114),
    ("null_retail", "of 114 retail tasks, right in silence", 7),
    ("gold_telecom", "gold paths of 114 telecom tasks judged right", 114),
    ("null_telecom", "of 114 telecom tasks, right in silence", 0),
)
"""The floors of an agent that does nothing, as others measured them, and that every gold path is
right."""

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nemocli.cli.context import Setup
    from nemocli.core.values import Json


def selfcheck(setup: Setup, *, bfcl: bool, tau2: bool, as_json: bool) -> int:
    """Every check; 0 only when all hold."""
    found = [*checks(), *_mutations(setup.env)]
    if bfcl:
        found += run_async(lambda: _of_suite(setup, "bfcl-mt", "BFCL", BFCL_FIGURES))
    if tau2:
        found += run_async(lambda: _of_suite(setup, "tau2", "tau2", TAU2_FIGURES))
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
        setup.out.table(("", "CHECK", "SHOULD BE", "IS", "SOURCE"), cells)
    return ExitCode.OK if good else ExitCode.UNEXPECTED


async def _of_suite(
    setup: Setup, suite: str, title: str, figures: tuple[tuple[str, str, int], ...]
) -> list[SelfCheck]:
    """A benchmark without a model: what was published of it must come out."""
    from nemocli.cli.eval.public import SUITES, fetch_suite

    found = []
    async with await fetch_suite(setup, suite) as benchmark:
        for what, name, wanted in figures:
            right, count = await benchmark.check(what)
            source = f"{suite} {SUITES[suite][1]}, {count} tries"
            found.append(SelfCheck(f"{title}: {name}", wanted, right, right == wanted, source))
    return found


def _mutations(env: Mapping[str, str]) -> list[SelfCheck]:
    """Every shipped task notices every call that is left out."""
    found = []
    for folder in sorted((profiles_folder() / "suites").iterdir()):
        if not any((folder / "tasks").glob("*.yaml")):
            continue  # a choice from another suite
        for task in load_suite(folder, trusted=True).tasks:
            seen = lint(task, machines=machines(folder, env))
            score = seen.killed / seen.mutants if seen.mutants else 1.0
            ok = not seen.errors and score == 1.0
            found.append(SelfCheck(f"{task.task_id}: mutation score", 1.0, score, ok, "its lint"))
    return found
