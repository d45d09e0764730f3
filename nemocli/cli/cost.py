"""`nemocli cost`: what calls came to, and how that is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.helping import examples
from nemocli.cli.setup import Setup
from nemocli.core.faults import usage_error

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="What calls cost, and how that is known.",
    epilog=examples("nemocli cost", "nemocli cost --since 7d --json"),
)

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="From then on: 2026-11-01, today, 7d, 12h."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="Before then: as `--since`.")
]
By = Annotated[str | None, typer.Option("--provider", "-p", metavar="NAME", help="Only this one.")]
Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only calls with this tag.")]


@app.callback()
def cost(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    provider: By = None,
    tag: Tag = None,
    json: options.Json = False,
) -> None:
    """Totals by provider and model. A call whose price nobody knows is counted, never as 0."""
    if ctx.invoked_subcommand is None:
        _summary(ctx.obj, since, until, provider, tag, json=json)


@app.command(epilog=examples("nemocli cost summary --since 2026-11-01"))
def summary(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    provider: By = None,
    tag: Tag = None,
    json: options.Json = False,
) -> None:
    """Totals by provider and model (what `nemocli cost` alone shows)."""
    _summary(ctx.obj, since, until, provider, tag, json=json)


def _summary(
    setup: Setup,
    since: str | None,
    until: str | None,
    provider: str | None,
    tag: str | None,
    *,
    json: bool,
) -> None:
    from nemocli.core.calls import Where
    from nemocli.spend.summary import summarise, summary_json, summary_lines

    now = datetime.now(UTC)
    begin, end = moment(since, now, "--since"), moment(until, now, "--until")
    ledger = setup.ledger
    totals, killed = [], 0
    if setup.paths.ledger.exists():
        totals = ledger.totals(begin, end, Where(provider=provider, tag=tag))
        killed = len(ledger.orphans(now))
        ledger.close()
    found = summarise(totals, begin, end, killed)
    if json:
        setup.out.json(summary_json(found))
        return
    for line in summary_lines(found, setup.terminal.width if setup.terminal.stdout else 200):
        setup.out.line(line)


def moment(text: str | None, now: datetime, flag: str) -> datetime | None:
    """A date, a date and time (local where no zone is given), `today`, or so long ago (`7d`)."""
    if text is None:
        return None
    if text == "today":
        return now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    units = {"d": "days", "h": "hours", "m": "minutes", "w": "weeks"}
    if text[:-1].isdecimal() and text[-1:] in units:
        try:
            return now - timedelta(**{units[text[-1]]: int(text[:-1])})
        except OverflowError:
            pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise usage_error(
            f"{flag} {text!r} is no time", "a date (2026-11-01), `today`, or `7d`, `12h` ago"
        ) from None
