"""`nemocli cost budget`: caps on spending, checked before each call."""

from __future__ import annotations

from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples
from nemocli.core.faults import usage_error

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Caps on spending: per run, day, week, month or in all.",
    epilog=examples("nemocli cost budget set 5 --per day", "nemocli cost budget ls"),
)


@app.command(
    "set",
    epilog=examples(
        "nemocli cost budget set 5 --per day",
        "nemocli cost budget set 100 --per month --provider openrouter --warn 50",
        "nemocli cost budget set 20 --per month --project . --soft",
    ),
)
def set_(
    ctx: typer.Context,
    usd: Annotated[str, typer.Argument(metavar="USD", help="How much: 5, 0.50.")],
    per: Annotated[
        str, typer.Option("--per", metavar="PERIOD", help="run, day, week, month or total.")
    ] = "day",
    provider: Annotated[
        str | None, typer.Option("--provider", "-p", metavar="NAME", help="For calls there.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", metavar="DIR", help="For calls in this project.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG", help="For calls with this tag.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Its name; made up if not given.")
    ] = None,
    warn: Annotated[
        int,
        typer.Option("--warn", metavar="PERCENT", min=1, max=100, help="From there on it is said."),
    ] = 80,
    soft: Annotated[bool, typer.Option("--soft", help="Only warn; never refuse a call.")] = False,
    tz: Annotated[
        str | None, typer.Option("--tz", metavar="ZONE", help="Whose days: Europe/Berlin, UTC.")
    ] = None,
) -> None:
    """Set a budget, or change it. A call whose worst case does not fit is refused (exit code 9)
    before it is made; many processes at once cannot overspend it."""
    from datetime import UTC, datetime

    from nemocli.core.budget import PERIODS, Budget

    setup: Setup = ctx.obj
    period = next((p for p in PERIODS if p == per), None)
    if period is None:
        raise usage_error(f"--per {per!r} is no period", f"one of: {', '.join(PERIODS)}")
    if tz is not None:
        from nemocli.cli.cost.summary import zone_named

        zone_named(tz)
    if provider is not None:
        setup.catalogue.provider(provider)
    root = None if project is None else _project(project)
    budget = Budget(
        name or _name(period, provider, root, tag),
        period,
        amount(usd, "the budget"),
        warn,
        not soft,
        tz or "",
        provider,
        root,
        tag,
    )
    setup.ledger.set_budget(budget, datetime.now(UTC))
    setup.ledger.close()
    kind = "warns at" if soft else "refuses beyond"
    setup.err.dim(f"budget {budget.name!r} {kind} {budget.what}")


@app.command(epilog=examples("nemocli cost budget ls", "nemocli cost budget ls --json"))
def ls(ctx: typer.Context, json: options.Json = False) -> None:
    """Every budget, and how far it is used up in its present period."""
    from datetime import UTC, datetime

    from nemocli.core.budget import use_json

    setup: Setup = ctx.obj
    uses = setup.ledger.budgets(datetime.now(UTC)) if setup.paths.ledger.exists() else []
    setup.ledger.close()
    if json:
        setup.out.json({"schema": "nemocli.budgets/1", "budgets": [use_json(u) for u in uses]})
        return
    if not uses:
        setup.err.dim("no budgets; `nemocli cost budget set 5 --per day` makes one")
        return
    from nemocli.cli.terminal.tables import table
    from nemocli.core.money import usd_short
    from nemocli.cost.summary_lines import bar

    rows = []
    for use in uses:
        run = use.budget.per == "run"
        held = f" + {usd_short(use.held)} held" if use.held else ""
        rows.append(
            (
                use.budget.name,
                use.budget.what,
                "" if run else usd_short(use.spent) + held,
                "" if run else f"{use.percent:>3} % {bar(min(use.percent, 100) / 100, 10)}",
                "" if use.budget.hard else "only warns",
            )
        )
    setup.out.lines(table(("name", "budget", "spent", "used", ""), rows, None))


@app.command(epilog=examples("nemocli cost budget rm day"))
def rm(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `cost budget ls` shows it.")],
) -> None:
    """Remove a budget. What was spent stays in the ledger."""
    setup: Setup = ctx.obj
    if not (setup.paths.ledger.exists() and setup.ledger.remove_budget(name)):
        raise usage_error(f"there is no budget {name!r}", "`nemocli cost budget ls` lists them")
    setup.ledger.close()


def amount(text: str, what: str) -> int:
    """Pico-USD from dollars as typed. Raises a usage fault."""
    from decimal import Decimal, InvalidOperation

    from nemocli.core.money import MOST_PICO, pico_from_usd, usd_from_pico

    try:
        usd = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        usd = Decimal(-1)
    if not usd.is_finite() or not 0 <= usd <= usd_from_pico(MOST_PICO):
        raise usage_error(f"{what} {text!r} is no amount of US dollars", "write 5 or 0.50")
    return pico_from_usd(usd)


def _name(per: str, provider: str | None, project: str | None, tag: str | None) -> str:
    from pathlib import Path

    folder = None if project is None else Path(project).name
    return "/".join(part for part in (per, provider, folder, tag and f"#{tag}") if part)


def _project(text: str) -> str:
    from pathlib import Path

    from nemocli.io.settings import project_root

    folder = Path(text).expanduser().resolve()
    return str(project_root(folder) or folder)
