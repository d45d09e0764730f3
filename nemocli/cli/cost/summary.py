"""Views of what calls cost: tables, a line for prompts, a page."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from nemocli.cli.context import Setup
from nemocli.core.faults import usage_error
from nemocli.core.value_class import value_class
from nemocli.cost.calls import Where

if TYPE_CHECKING:
    from nemocli.cost.calls import Dimension
    from nemocli.cost.summary import Summary


@value_class(frozen=True, slots=True)
class SummaryOptions:
    """What was typed: a period, what lines are for, and which calls are meant."""

    since: str | None = None
    until: str | None = None
    by: tuple[str, ...] = ()
    provider: str | None = None
    model: str | None = None
    project: str | None = None
    tag: str | None = None
    zone: str | None = None


def show_summary(setup: Setup, asked: SummaryOptions, *, csv: bool, json: bool) -> None:
    """Sums of the calls that are meant, as a table, CSV or JSON."""
    from nemocli.cost.summary_data import summary_csv, summary_json
    from nemocli.cost.summary_lines import summary_lines

    found = summary_of(setup, asked)
    if json:
        setup.out.json(summary_json(found))
    elif csv:
        setup.out.text(summary_csv(found))
    else:
        setup.out.lines(summary_lines(found, setup.out.width or 200))
        if found.lines and not asked.by:
            setup.out.lines(_spark(setup, asked, found))


def summary_of(setup: Setup, asked: SummaryOptions) -> Summary:
    """Read from the ledger, which stays as it is; nothing is made where there is none."""
    from nemocli.cost.summary import summarise

    now = datetime.now(UTC)
    begin, end = moment(asked.since, now, "--since"), moment(asked.until, now, "--until")
    by = dimensions(asked.by)
    zone = zone_named(asked.zone)
    if not setup.paths.ledger.exists():
        return summarise([], begin, end, by=by)
    where = where_of(asked)
    ledger = setup.ledger
    totals = ledger.totals(begin, end, where, by, zone)
    overlapping = by is not None and "tag" in by
    found = summarise(
        totals,
        begin,
        end,
        killed=len(ledger.orphans(now)),
        by=by,
        whole=ledger.totals(begin, end, where, ("command",)) if overlapping else None,
        leases=tuple(ledger.leases(now, begin, end)) if where == Where() else (),
        pruned=_unseen(setup, asked, by, begin),
    )
    ledger.close()
    return found


def dimensions(names: tuple[str, ...]) -> tuple[Dimension, ...] | None:
    """`--by` as typed, several or with commas; None where it was not."""
    if not names:
        return None
    from nemocli.io.ledger.sums import check_dimensions

    return check_dimensions([part for name in names for part in name.split(",") if part])


def where_of(asked: SummaryOptions) -> Where:
    """Which calls are meant; a project is a folder."""
    from pathlib import Path

    project = None
    if asked.project is not None:
        project = str(Path(asked.project).expanduser().resolve())
    return Where(provider=asked.provider, model=asked.model, project=project, tag=asked.tag)


def _unseen(
    setup: Setup, asked: SummaryOptions, by: tuple[Dimension, ...] | None, begin: datetime | None
) -> int:
    """Calls that are in no sum of single calls, because only rollups remember them."""
    from nemocli.io.ledger.sums import SINGLE

    if asked.tag is None and not SINGLE.keys() & set(by or ()):
        return 0
    edge, calls = setup.ledger.prune_state()
    return calls if begin is None or begin.timestamp() * 10**6 < edge else 0


SPARK_DAYS = 30


def _spark(setup: Setup, asked: SummaryOptions, found: Summary) -> list[str]:
    """Each day's cost as a mark, for the last days of the period."""
    from nemocli.cost.summary import summarise
    from nemocli.cost.summary_lines import sparkline

    zone = zone_named(asked.zone)
    end = found.until or datetime.now(UTC)
    last = (end - timedelta(microseconds=1)).astimezone(None if zone is LOCAL else zone).date()
    begin = end - timedelta(days=SPARK_DAYS + 1)
    since = max(begin, found.since or begin)
    totals = setup.ledger.totals(since, end, where_of(asked), ("day",), zone)
    setup.ledger.close()
    days = {line.key[0]: line.pico or 0 for line in summarise(totals).lines}
    if sum(pico > 0 for pico in days.values()) < 2:
        return []
    first = max(min(days), (last - timedelta(days=SPARK_DAYS - 1)).isoformat())
    begun = datetime.fromisoformat(first).date()
    names = [(begun + timedelta(days=n)).isoformat() for n in range((last - begun).days + 1)]
    line = sparkline([days.get(name, 0) for name in names])
    return [f"{names[0]} {line} {names[-1]}"]


def write_report(setup: Setup, asked: SummaryOptions, out: str) -> None:
    """The page, to a file or stdout."""
    from pathlib import Path

    from nemocli.cost.page import page
    from nemocli.io.files import write_private

    views: tuple[tuple[Dimension, ...], ...] = (
        ("provider", "model"),
        ("day",),
        ("day", "provider"),
        ("upstream",),
        ("project",),
        ("status",),
    )
    found = {
        by: summary_of(
            setup, SummaryOptions(since=asked.since, until=asked.until, by=by, zone=asked.zone)
        )
        for by in views
    }
    text = page(found, datetime.now(UTC))
    if out == "-":
        setup.out.text(text)
        return
    path = Path(out).expanduser()
    write_private(path.absolute(), text)
    setup.out.line(str(path))


LOCAL = datetime.now().astimezone().tzinfo or UTC
"""Without a name it knows no change of the clocks; `zone_named` prefers the one with a name."""


def zone_named(name: str | None) -> tzinfo:
    """A zone by its IANA name; the machine's own where none is given."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if name is None:
        return _own_zone()
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise usage_error(f"--tz {name!r} is no time zone", "write Europe/Berlin, or UTC") from None


def _own_zone() -> tzinfo:
    import os
    from pathlib import Path
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        target = str(Path("/etc/localtime").resolve())
        name = target.partition("zoneinfo/")[2]
    if name in ("UTC", "Etc/UTC", "UTC0"):
        return UTC
    try:
        return ZoneInfo(name) if name else LOCAL
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return LOCAL


def day_named(text: str, flag: str) -> date:
    """A date, or `today` (of UTC). Raises a usage fault."""
    if text == "today":
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise usage_error(f"{flag} {text!r} is no date", "write 2026-11-01, or today") from None


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
            f"{flag}: cannot read this date: {text!r}",
            "a date (2026-11-01), `today`, or `7d`, `12h` ago",
        ) from None
