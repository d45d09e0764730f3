"""Whatever happens to calls, the ledger's totals are those of a second, slower bookkeeper."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.card import ModelCard
from nemocli.core.events import Failed, Finished, Fold, Metered, Started, Text
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import Pico, Price
from nemocli.core.plan import Plan, Target
from nemocli.core.ports import Reservation, Settled
from nemocli.core.provider import Provider
from nemocli.core.request import Message, Request
from nemocli.core.usage import Usage
from nemocli.cost.calls import Where
from nemocli.cost.reprice import revalue
from nemocli.engine.book import AttemptId, Times, entry_for
from nemocli.io.ledger.ledger import SqliteLedger
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder

CATALOGUE = catalogue(ProfileFolders(profiles_folder())).catalogue
TARGET = CATALOGUE.target(CATALOGUE.provider("openrouter"), "nemotron-3-ultra")
CHANGE = datetime(2026, 10, 19, tzinfo=UTC)
REQUEST = Request("nemotron-3-ultra", (Message("user", "hello there"),))

AUTUMN = date(2026, 10, 1)

OLD = {"input": "0.50", "cached": "0.15", "output": "2.50"}
NEW = {"input": "0.60", "cached": "0.12", "output": "2.40"}
"""The seller's change of 2026-10-19, USD per million tokens, as its listing had it."""


@dataclass
class Call:
    """One attempt as it happened."""

    at: datetime
    read: int
    cached: int
    made: int
    thought: int
    reported: Decimal | None
    how: str  # ok, refused, reset, cut
    settled: list[int] = field(default_factory=list)


amounts = st.decimals("0", "5", places=9)


@st.composite
def histories(draw: st.DrawFn) -> list[Call]:
    found = []
    for _ in range(draw(st.integers(1, 25))):
        read, made = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**5))
        found.append(
            Call(
                CHANGE + timedelta(seconds=draw(st.integers(-200_000, 200_000))),
                read,
                draw(st.integers(0, read)),
                made,
                draw(st.integers(0, made)),
                draw(st.none() | amounts),
                draw(st.sampled_from(["ok", "ok", "ok", "refused", "reset", "cut"])),
                draw(st.lists(st.integers(0, 10**13), max_size=2)),
            )
        )
    return found


def folded(call: Call) -> Fold:
    """What came over the wire."""
    fold = Fold()
    if call.how == "refused":
        fold.add(Failed(Fault(FaultKind.SERVER, "503", status=503)))
        return fold
    if call.how == "reset":
        fold.add(Failed(Fault(FaultKind.NETWORK, "reset", sent=True)))
        return fold
    fold.add(Started("gen-1", "m"))
    if call.how == "cut":
        fold.add(Text("x" * 41))
        fold.add(Failed(Fault(FaultKind.CUT, "cut", sent=True)))
        return fold
    usage = Usage(call.read, call.cached, None, call.made, call.thought)
    fold.add(Metered(usage, call.reported))
    fold.add(Text("x"))
    fold.add(Finished("stop"))
    return fold


def oracle(call: Call) -> int | None:
    """Pico-dollars by fractions of a dollar, from the rates above and nothing of the program."""
    if call.settled:
        return call.settled[-1]
    if call.how == "refused":
        return 0
    if call.how == "reset":
        return None
    read, cached, made = call.read, call.cached, call.made
    if call.how == "cut":
        read, cached, made = -(-len("hello there") // 4), 0, -(-41 // 4)
    elif call.reported is not None:
        return rounded(Fraction(call.reported) * 10**12)
    rates = NEW if call.at >= CHANGE else OLD
    usd = (
        (read - cached) * Fraction(rates["input"])
        + cached * Fraction(rates["cached"])
        + made * Fraction(rates["output"])
    ) / 10**6
    return rounded(usd * 10**12)


def rounded(value: Fraction) -> int:
    return round(value)  # half to even, as in money


@given(histories())
@settings(max_examples=60, deadline=None)
def test_totals_are_those_of_a_second_bookkeeper(history: list[Call]) -> None:
    check(history)


@pytest.mark.slow
@given(histories())
@settings(max_examples=2000, deadline=None)
def test_over_thousands_of_histories(history: list[Call]) -> None:
    check(history)


def check(history: list[Call]) -> None:
    """Book it, settle it, value it anew, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        book = SqliteLedger(Path(folder) / "ledger.db")
        for n, call in enumerate(history):
            plan = Plan((TARGET,), run_id=f"r{n // 3}", command="ask")
            attempt = AttemptId(f"a{n}", n % 3 + 1, call.at)
            entry = entry_for(
                plan, TARGET, REQUEST, folded(call), attempt=attempt, times=Times(None, 1.0)
            )
            book.reserve(Reservation(entry.attempt_id, entry.at, entry.provider, entry.model, None))
            book.enter(entry)
            if n % 7 == 3:  # resumed by another process
                book.close()
                book = SqliteLedger(Path(folder) / "ledger.db")
        for number in range(2):
            for n, call in enumerate(history):
                if len(call.settled) > number:
                    at = CHANGE + timedelta(days=30, seconds=number)
                    book.settle(Settled(f"a{n}", at, Pico(call.settled[number])))
        before, after = (sum_of(book, None, CHANGE), sum_of(book, CHANGE, None))
        whole = sum_of(book, None, None)
        number = book.add_valuation(CHANGE, "2026-10-01", "")
        worth = [(r.entry.attempt_id, *revalue(r, TARGET, AUTUMN)) for r in book.rows()]
        book.value(number, worth)
        assert sum_of(book, None, None) == whole, "a valuation changes nothing"
        by_call = {r.entry.attempt_id: r.entry.cost.pico for r in book.rows()}
        book.close()
    assert by_call == {f"a{n}": oracle(call) for n, call in enumerate(history)}
    assert {n: pico for n, pico, _ in worth} == {
        f"a{n}": oracle(replace(c, at=CHANGE - timedelta(days=2), settled=[], reported=None))
        for n, c in enumerate(history)
    }
    known = [(c.at, oracle(c)) for c in history]
    assert whole == (sum(p or 0 for _, p in known), sum(p is None for _, p in known))
    assert before[0] == sum(p or 0 for at, p in known if at < CHANGE)
    assert after[0] == sum(p or 0 for at, p in known if at >= CHANGE)


def sum_of(book: SqliteLedger, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    totals = book.totals(since, until, Where(provider="openrouter"))
    return sum(t.pico for t in totals), sum(t.unpriced for t in totals)


def test_the_change_of_october_is_a_named_case() -> None:
    prices = {day: TARGET.price(day) for day in (date(2026, 10, 18), date(2026, 10, 19))}
    held = [(p.input, p.cached_input, p.output) for p in prices.values() if p is not None]
    assert held == [
        tuple(Decimal(OLD[name]) for name in ("input", "cached", "output")),
        tuple(Decimal(NEW[name]) for name in ("input", "cached", "output")),
    ]


@given(
    st.lists(st.integers(0, 10**9), min_size=3, max_size=3),
    st.lists(st.decimals("0", "100", places=9), min_size=3, max_size=3),
)
def test_one_call_is_exact_however_odd_its_rates(counts: list[int], rates: list[Decimal]) -> None:
    read, cached, made = max(counts[0], counts[1]), min(counts[0], counts[1]), counts[2]
    price = Price("s", "m", date(2026, 1, 1), rates[0], rates[1], rates[2])
    target = Target(Provider("s", "chat", "https://x", prices=(price,)), "m", ModelCard("m"))
    fold = Fold()
    fold.add(Metered(Usage(read, cached, None, made, None), None))
    fold.add(Text("x"))
    fold.add(Finished("stop"))
    at = AttemptId("a", 1, CHANGE)
    entry = entry_for(Plan((target,)), target, REQUEST, fold, attempt=at, times=Times(None, 1))
    with localcontext() as context:
        context.prec = 60
        usd = ((read - cached) * rates[0] + cached * rates[2] + made * rates[1]) / 10**6
    assert entry.cost.pico == rounded(Fraction(usd) * 10**12)
    assert replace(entry, cost=entry.cost) == entry
