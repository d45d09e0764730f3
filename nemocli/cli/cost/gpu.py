"""`nemocli cost gpu`: GPUs of one's own by the hour, shared among the calls they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nemocli.cli import options
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples
from nemocli.core.faults import usage_error

if TYPE_CHECKING:
    from datetime import datetime

    from nemocli.cost.leases import Lease

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Leases of GPUs: what they cost, by call, and what was idle.",
    epilog=examples("nemocli cost gpu ls"),
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the lease is called.")]
Gpus = Annotated[str, typer.Option("--gpus", metavar="NxKIND", help="How many of what: 8xH100.")]
Rate = Annotated[
    str | None,
    typer.Option("--rate", metavar="USD", help="Per GPU and hour; the market's when not given."),
]
Path = Annotated[
    str, typer.Option("--provider", "-p", metavar="NAME", help="Whose calls they answer.")
]
Weight = Annotated[
    int,
    typer.Option("--output-weight", metavar="N", min=1, help="A token made counts as N read."),
]


@app.command(epilog=examples("nemocli cost gpu start night --gpus 8xH100 -p nim --rate 2.49"))
def start(
    ctx: typer.Context,
    name: Name,
    gpus: Gpus,
    provider: Path,
    rate: Rate = None,
    output_weight: Weight = 4,
    at: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="When it began; now.")
    ] = None,
) -> None:
    """Note that GPUs run from now on. `cost gpu stop` ends it and gives each call its part."""
    from nemocli.cli.cost.summary import moment

    now = _now()
    begun = moment(at, now, "--from") or now
    _begin(ctx.obj, lease_of(ctx.obj, name, gpus, provider, rate, output_weight, begun))
    ctx.obj.ledger.close()


@app.command(epilog=examples("nemocli cost gpu stop night"))
def stop(
    ctx: typer.Context,
    name: Name,
    at: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="When it ended; now.")
    ] = None,
    json: options.Json = False,
) -> None:
    """End a lease: each call gets its part by weighted tokens, what is left is idle time."""
    from nemocli.cli.cost.summary import moment

    now = _now()
    setup: Setup = ctx.obj
    setup.ledger.stop_lease(name, moment(at, now, "--to") or now)
    _show(setup, name, json=json)


@app.command(
    epilog=examples(
        "nemocli cost gpu add may --gpus 8xH100 -p nim --from 2026-11-01 --to 2026-11-02"
    )
)
def add(
    ctx: typer.Context,
    name: Name,
    gpus: Gpus,
    provider: Path,
    begin: Annotated[str, typer.Option("--from", metavar="WHEN", help="When it began.")],
    end: Annotated[str, typer.Option("--to", metavar="WHEN", help="When it ended.")],
    rate: Rate = None,
    output_weight: Weight = 4,
    json: options.Json = False,
) -> None:
    """A lease that is over already."""
    from nemocli.cli.cost.summary import moment

    now, setup = _now(), ctx.obj
    begun, ended = moment(begin, now, "--from"), moment(end, now, "--to")
    assert begun is not None
    assert ended is not None
    if not begun < ended <= now:
        raise usage_error("a lease that is over began before it ended, and ended before now")
    setup.ledger.start_lease(lease_of(setup, name, gpus, provider, rate, output_weight, begun))
    setup.ledger.stop_lease(name, ended)
    _show(setup, name, json=json)


@app.command(epilog=examples("nemocli cost gpu ls", "nemocli cost gpu ls --json"))
def ls(ctx: typer.Context, json: options.Json = False) -> None:
    """Every lease, what it cost, and how much of that was idle."""
    from datetime import timedelta

    from nemocli.core.money import usd_short
    from nemocli.cost.leases import lease_json

    setup: Setup = ctx.obj
    leases = setup.ledger.leases(_now()) if setup.paths.ledger.exists() else []
    setup.ledger.close()
    if json:
        setup.out.json({"schema": "nemocli.leases/1", "leases": [lease_json(x) for x in leases]})
        return
    if not leases:
        setup.err.dim("no leases; `nemocli cost gpu start NAME --gpus 8xH100 -p nim` begins one")
        return
    from nemocli.cli.terminal.tables import table

    rows = [
        (
            x.name,
            x.provider,
            f"{x.gpus} x {x.gpu}",
            f"{x.start.astimezone():%Y-%m-%d %H:%M}",
            "running" if x.stop is None else f"{(x.stop - x.start) / timedelta(hours=1):.1f}",
            usd_short(x.pico),
            "" if x.stop is None else usd_short(x.idle),
        )
        for x in leases
    ]
    heads = ("name", "provider", "gpus", "from", "hours", "cost", "idle")
    setup.out.lines(table(heads, rows, None))


@app.command(epilog=examples("nemocli cost gpu show may"))
def show(ctx: typer.Context, name: Name, json: options.Json = False) -> None:
    """One lease among its calls: what busy time cost (marginal), and all of it (fully loaded)."""
    _show(ctx.obj, name, json=json)


@app.command(epilog=examples("nemocli cost gpu market"))
def market(ctx: typer.Context, json: options.Json = False) -> None:
    """What GPUs rent for: the defaults when no `--rate` is given, with their day and range."""
    from nemocli.cost.leases import MARKET

    setup: Setup = ctx.obj
    if json:
        setup.out.json(
            {
                "schema": "nemocli.gpu-prices/1",
                "prices": [
                    {
                        "gpu": row.gpu,
                        "usd_per_hour": f"{row.usd:f}",
                        "least": f"{row.least:f}",
                        "most": f"{row.most:f}",
                        "day": row.day.isoformat(),
                        "source": row.source,
                    }
                    for row in MARKET
                ],
            }
        )
        return
    from nemocli.cli.terminal.tables import table

    rows = [
        (r.gpu, f"${r.usd:f}/h", f"${r.least:f} to ${r.most:f}", r.day.isoformat(), r.source)
        for r in MARKET
    ]
    setup.out.lines(table(("gpu", "default", "range", "seen", "source"), rows, None))


def lease_of(
    setup: Setup,
    name: str,
    gpus: str,
    provider: str,
    rate: str | None,
    output_weight: int,
    begun: datetime,
) -> Lease:
    """The lease that was typed. Raises a usage fault."""
    from nemocli.cost.leases import Lease

    setup.catalogue.provider(provider)
    count, gpu = gpus_of(gpus)
    pico, source = hourly(gpu, rate)
    return Lease(name, provider, count, gpu, pico, source, begun, output_weight=output_weight)


def gpus_of(text: str) -> tuple[int, str]:
    """`8xH100` as a number and a kind. Raises a usage fault."""
    count, _, gpu = text.lower().partition("x")
    if not count.isdecimal() or not int(count) or not gpu:
        raise usage_error(f"--gpus {text!r} is no number of GPUs", "write 8xH100")
    return int(count), gpu.upper()


def hourly(gpu: str, rate: str | None) -> tuple[int, str]:
    """Pico-USD per GPU and hour, and where that is from. Raises a usage fault."""
    from nemocli.cli.cost.budget import amount
    from nemocli.core.money import pico_from_usd
    from nemocli.cost.leases import market_price

    if rate is not None:
        return amount(rate, "--rate"), "given"
    found = market_price(gpu)
    if found is None:
        raise usage_error(
            f"no market price of {gpu} is known here",
            "`--rate USD` gives one; `nemocli cost gpu market` lists what is known",
        )
    return pico_from_usd(found.usd), f"market {found.day.isoformat()}: {found.source}"


def _begin(setup: Setup, lease: Lease) -> None:
    from nemocli.core.money import usd_short

    setup.ledger.start_lease(lease)
    each = usd_short(lease.pico_per_hour)
    whole = usd_short(lease.pico_per_hour * lease.gpus)
    setup.err.dim(
        f"{lease.name}: {lease.gpus} x {lease.gpu} at {each} an hour each ({lease.price_source}),"
        f" {whole} an hour; `nemocli cost gpu stop {lease.name}` ends it"
    )


def _show(setup: Setup, name: str, *, json: bool) -> None:
    from nemocli.cost.gpu import lease_detail, lease_lines

    ledger = setup.ledger
    leases = ledger.leases(_now()) if setup.paths.ledger.exists() else []
    lease = next((x for x in leases if x.name == name), None)
    if lease is None:
        raise usage_error(f"there is no lease {name!r}", "`nemocli cost gpu ls` lists them")
    parts = ledger.lease_parts(name)
    ledger.close()
    if json:
        setup.out.json(lease_detail(lease, parts))
        return
    setup.out.lines(lease_lines(lease, parts))


def _now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC)
