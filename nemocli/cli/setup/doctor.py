"""`nemocli doctor`: one look at everything an answer depends on."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples
from nemocli.cli.setup.check import Check

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_COLOURS = {"ok": "32", "warn": "33", "fail": "1;31"}


@app.command(epilog=examples("nemocli doctor", "nemocli doctor --online --json"))
def doctor(
    ctx: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Also reach every provider that has a key.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Check folders, settings, keys, keyring, ledger, engine, disk and clock. Shows no secret."""
    from nemocli.cli.setup.checks import run_checks

    setup: Setup = ctx.obj
    found = list(run_checks(setup, online=online))
    if json:
        rows = [{"check": c.name, "state": c.state, "said": c.said, "hint": c.hint} for c in found]
        setup.out.json({"schema": "nemocli.doctor/1", "checks": [dict(row) for row in rows]})
    else:
        for check in found:
            _show(setup, check)
    failed = [check.exit_code for check in found if check.state == "fail"]
    if failed:
        raise typer.Exit(failed[0])


def _show(setup: Setup, check: Check) -> None:
    code = _COLOURS[check.state] if setup.terminal.colour_out else ""
    setup.out.mark(f"{check.state:<4}", code, f"  {check.name}: {check.said}")
    if check.hint and check.state != "ok":
        setup.out.line(f"      {check.hint}")
