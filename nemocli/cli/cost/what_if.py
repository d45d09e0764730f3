"""`nemocli cost what-if`: what this traffic would take elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from nemocli.cli.context import Setup
from nemocli.core.faults import usage_error
from nemocli.core.value_class import value_class
from nemocli.cost.calls import Where


@value_class(frozen=True, slots=True)
class WhatIf:
    """What was typed."""

    since: str | None
    until: str | None
    model: str | None
    gpus: str
    rate: str | None
    utilisation: int
    speed: str | None


def what_if(setup: Setup, asked: WhatIf, *, json: bool) -> None:
    """Show it for the model that was named, or the one most was asked of."""
    from nemocli.cli.cost.explain import prices_of, prices_on
    from nemocli.cli.cost.gpu import gpus_of, hourly
    from nemocli.cli.cost.summary import moment
    from nemocli.cost.what_if import (
        OwnGpus,
        own_gpus,
        paths_for,
        traffic_of,
        what_if_json,
        what_if_lines,
    )

    now = datetime.now(UTC)
    end = moment(asked.until, now, "--until") or now
    begin = moment(asked.since, now, "--since") or end - timedelta(days=30)
    if begin >= end:
        raise usage_error("the period ends before it begins")
    count, gpu = gpus_of(asked.gpus)
    rate, source = hourly(gpu, asked.rate)
    totals = setup.ledger.totals(begin, end) if setup.paths.ledger.exists() else []
    most = max(totals, key=lambda t: t.calls, default=None)
    if most is None:
        raise usage_error("no calls in this period", "give an earlier `--since`")
    model = asked.model or most.model
    card = setup.catalogue.card(model)
    model = card.name if card is not None else model
    hours = Decimal((end - begin) // timedelta(seconds=1)) / 3600
    traffic = traffic_of(model, [t for t in totals if t.model == model], hours)
    paths = paths_for(traffic, prices_on(prices_of(setup, model, ""), end.date()))
    speed, measured = _speed(setup, asked.speed, model, begin, end)
    gpus = OwnGpus(count, gpu, rate, source, speed, measured, asked.utilisation)
    own = own_gpus(traffic, gpus, paths[0].pico if paths else None)
    setup.ledger.close()
    if json:
        setup.out.json(what_if_json(traffic, paths, own))
        return
    setup.out.lines(what_if_lines(traffic, paths, own))


def _speed(
    setup: Setup, given: str | None, model: str, begin: datetime, end: datetime
) -> tuple[Decimal | None, bool]:
    """As given, else as the calls at the user's own servers had it: output tokens over the time in
    which any call was under way, reading counted as a quarter of writing."""
    if given is not None:
        try:
            speed = Decimal(given)
        except InvalidOperation:
            speed = Decimal(0)
        if not speed.is_finite() or speed <= 0:
            raise usage_error(f"--speed {given!r} is no speed", "output tokens per second: 900")
        return speed, False
    tokens = work_s = Decimal(0)
    for name, provider in setup.catalogue.providers.items():
        if not provider.local or provider.runtime is not None:
            continue
        busy_until = begin
        for row in setup.ledger.rows(begin, end, Where(provider=name, model=model)):
            usage, took = row.entry.usage, row.entry.total_s or 0.0
            ended = row.entry.at + timedelta(seconds=took)
            if ended > busy_until:
                fresh = ended - max(busy_until, row.entry.at)
                work_s += Decimal(fresh // timedelta(microseconds=1)) / 10**6
                busy_until = ended
            tokens += Decimal(usage.input_tokens or 0) / 4 + (usage.output_tokens or 0)
    return (tokens / work_s, True) if tokens and work_s else (None, False)
