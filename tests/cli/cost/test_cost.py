"""`nemocli cost`: what a person and a script see of the ledger."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from nemocli.core.money import Cost, Pico
from nemocli.core.ports import Entry
from nemocli.core.usage import Usage
from nemocli.io.ledger.ledger import SqliteLedger
from tests.run import KEY, Done, Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

NOW = datetime.now(UTC)
MODEL = "nvidia/nemotron-3-ultra-550b-a55b"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def book(home: Home) -> SqliteLedger:
    return SqliteLedger(home.folder / "data" / "ledger.db")


def entry(attempt_id: str, pico: int | None = 1_800_000_000, **changed: Any) -> Entry:
    cost = Cost(None, "unknown") if pico is None else Cost(Pico(pico), "table", PRICE_ID)
    usual = {
        "attempt_id": attempt_id, "run_id": f"run-{attempt_id}", "attempt": 1, "command": "ask",
        "at": NOW - timedelta(hours=1), "provider": "openrouter", "model": "nemotron-3-ultra",
        "requested_model": "nemotron-3-ultra", "status": "ok",
        "usage": Usage(1000, 200, 0, 500, 100), "cost": cost,
    }  # fmt: skip
    return Entry(**(usual | changed))


PRICE_ID = "openrouter/nemotron-3-ultra@2026-10-19"


def filled(home: Home, *entries: Entry) -> None:
    ledger = book(home)
    ledger.enter_all(entries)
    ledger.close()


def cost(home: Home, *args: str) -> Done:
    return run("cost", *args, home=home)


def openrouter_at(home: Home, url: str) -> None:
    """The shipped provider, at another address."""
    file = home.folder / "profiles" / "providers" / "openrouter.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    row = {"schema": "nemocli.provider/1", "name": "openrouter", "base_url": url,
           "auth": {"env": ["OPENROUTER_API_KEY"]}}  # fmt: skip
    file.write_text(yaml.safe_dump(row))
    home.env["OPENROUTER_API_KEY"] = KEY


# Views


def test_a_view_groups_by_what_was_asked(home: Home) -> None:
    filled(
        home,
        entry("a1", tags=("x", "y"), project="/p"),
        entry("a2", at=NOW - timedelta(days=40), status="error", upstream="Host"),
        entry("a3", None, tags=("x",)),
    )
    by = cost(home, "--by", "tag", "--json").json()
    assert {r["tag"]: (r["calls"], r["usd"]) for r in by["rows"]} == {
        "x": (2, "0.0018"),
        "y": (1, "0.0018"),
        None: (1, "0.0018"),
    }
    assert (by["total"]["calls"], by["total"]["usd"]) == (3, "0.0036"), "nothing counts twice"
    for name, keys in {
        "status": {"ok", "error"},
        "upstream": {None, "Host"},
        "project": {None, "/p"},
        "run": {"run-a1", "run-a2", "run-a3"},
        "provider": {"openrouter"},
    }.items():
        rows = cost(home, "--by", name, "--json").json()["rows"]
        assert {r[name] for r in rows} == keys
    both = cost(home, "--by", "month,provider", "--json", "--since", "7d").json()
    assert [set(r) & {"month", "provider"} for r in both["rows"]] == [{"month", "provider"}]
    assert cost(home, "--project", "/p", "--json").json()["total"]["calls"] == 1


def test_days_are_those_of_the_zone(home: Home) -> None:
    at = datetime(2026, 11, 1, 23, 30, tzinfo=UTC)
    filled(home, entry("a1", at=at))
    for zone, day in (("UTC", "2026-11-01"), ("Europe/Berlin", "2026-11-02")):
        rows = cost(home, "--by", "day", "--tz", zone, "--json").json()["rows"]
        assert [r["day"] for r in rows] == [day]
    assert cost(home, "--tz", "Mars/Base").code == 2
    home.env["TZ"] = "America/New_York"
    rows = cost(home, "--by", "day", "--json").json()["rows"]
    assert rows[0]["day"] == "2026-11-01"


def test_a_table_is_drawn_with_bars_and_days(home: Home) -> None:
    filled(home, entry("a1"), entry("a2", provider="other", pico=900_000_000),
           entry("a3", at=NOW - timedelta(days=2)))  # fmt: skip
    shown = cost(home).text.splitlines()
    assert shown[0].split() == ["provider", "model", "calls", "input", "cached", "output",
                                "cost", "note"]  # fmt: skip
    assert "████████████" in shown[1]
    assert "███" in shown[2]
    assert "████" not in shown[2]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [▁▂▃▄▅▆▇█·]{3} \d{4}-\d\d-\d\d", shown[-1])


def test_csv_has_a_header_and_empty_for_unknown(home: Home) -> None:
    filled(home, entry("a1", None, model="odd,name"))
    (row,) = csv.DictReader(io.StringIO(cost(home, "--csv").text))
    assert (row["provider"], row["model"], row["usd"]) == ("openrouter", "odd,name", "")
    assert (row["calls"], row["unpriced"], row["input_tokens"]) == ("1", "1", "1000")


def test_an_empty_book_has_every_view_and_stays_unmade(home: Home) -> None:
    for args in (
        ("--json",), ("--csv",), ("--by", "day"), ("statusline",), ("budget", "ls"),
        ("gpu", "ls"), ("export",), ("export", "--format", "focus"), ("reconcile",), ("reprice",),
        ("export", "--format", "otel"), ("prune", "--before", "2026-01-01"),
    ):  # fmt: skip
        done = cost(home, *args)
        assert (done.code, "Traceback" in done.err) == (0, False), (args, done.err)
    assert not (home.folder / "data" / "ledger.db").exists()
    for args in (("explain", "last"), ("what-if",), ("gpu", "show", "x"), ("budget", "rm", "x")):
        assert cost(home, *args).code == 2, args


@pytest.mark.parametrize(
    "args",
    [("--by", "colour"), ("export", "--format", "xls"), ("budget", "set", "lots"),
     ("budget", "set", "5", "--per", "year"), ("budget", "set", "5", "-p", "nobody"),
     ("gpu", "start", "x", "--gpus", "many", "-p", "nim"), ("prune", "--before", "soon"),
     ("gpu", "start", "x", "--gpus", "2xABACUS", "-p", "nim"), ("reprice", "--as-of", "soon"),
     ("prices", "--on", "soon"), ("prices", "--model", "no-such"), ("gpu", "stop", "x"),
     ("prices", "set", "openrouter", "--input", "x", "--output", "1")],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_usage_fault_of_one_line(home: Home, args: tuple[str]) -> None:
    done = cost(home, *args)
    assert done.code == 2, done.err
    assert done.out == b""
    assert "Traceback" not in done.err


def test_one_line_for_a_prompt(home: Home) -> None:
    filled(home, entry("a1", at=NOW), entry("a2", at=NOW), entry("a3", None, at=NOW))
    assert cost(home, "budget", "set", "0.01").code == 0
    line = cost(home, "statusline").text
    assert line == "$0.0036 today · $0.0036 month + 1 unpriced · day 36 %\n"


# One call


def test_a_call_is_explained(home: Home) -> None:
    filled(home, entry("abc1", Pico(1_704_000_000)), entry("abd2", at=NOW - timedelta(days=3)))
    done = cost(home, "explain", "last")
    assert done.code == 0
    lines = [re.sub(r" +", " ", line).strip() for line in done.text.splitlines()]
    assert "tokens 1,000 in, 200 of them cached, 500 out, 100 of them reasoning" in lines[3]
    assert "800 input x 0.60 per million = $0.00048" in lines
    assert "200 cached input x 0.12 per million = $0.000024" in lines
    assert "500 output x 2.40 per million = $0.0012" in lines
    assert "cost $0.001704: tokens times the listed price" in lines
    assert any(line.startswith("deepinfra $0.00152 0.89x") for line in lines)
    told = cost(home, "explain", "abc", "--json").json()["calls"][0]
    assert (told["table_usd"], told["cost"]["usd"]) == ("0.001704", "0.001704")
    assert [t["usd"] for t in told["terms"]] == ["0.00048", "0.000024", "0.0012"]
    assert cost(home, "explain", "ab").code == 2, "two calls begin so"
    assert cost(home, "explain", "run-abd").code == 0
    assert cost(home, "explain", "zzz").code == 2


def test_what_if_has_every_path_and_ones_own_gpus(home: Home) -> None:
    ours = entry("n1", 0, provider="vllm", total_s=10.0, usage=Usage(4000, 0, 0, 1000, 0))
    filled(home, entry("a1", Pico(1_704_000_000)), ours)
    told = cost(home, "what-if", "--json").json()
    assert told["usage"]["input_tokens"] == 5000
    sellers = {p["seller"]: p["usd"] for p in told["paths"]}
    assert sellers["openrouter"] == "0.006504", "4800 x 0.60 + 200 x 0.12 + 1500 x 2.40"
    assert told["gpus"]["output_tokens_per_s"] == "200.000", "(4000 / 4 + 1000) / 10 s"
    assert told["gpus"]["speed_measured"] is True
    shown = cost(home, "what-if", "--speed", "1000000", "--rate", "0.01", "--gpus", "1xH100").text
    assert "break-even with" in shown
    assert "% use" in shown


# Budgets


def test_a_hard_budget_refuses_before_the_call_and_a_soft_one_warns(home: Home) -> None:
    with Stub(Answer("a", cost=0.002)) as stub:
        openrouter_at(home, stub.url)
        ask = ("ask", "hi", "-p", "openrouter", "-m", "nemotron-3-ultra", "--max-tokens", "100")
        assert cost(home, "budget", "set", "0.0021").code == 0
        soft = cost(home, "budget", "set", "0.001", "--per", "run", "--soft", "--warn", "10")
        assert soft.code == 0
        first = run(*ask, home=home)
        assert first.code == 0, first.err
        assert "budget 'run': 2" in first.err
        second = run(*ask, "--json", home=home)
        assert second.code == 9
        assert len(stub.asked()) == 1, "refused before it was sent"
        assert "of the budget 'day'" in second.error()["message"]
        listed = cost(home, "budget", "ls", "--json").json()["budgets"]
        day = next(b for b in listed if b["name"] == "day")
        assert (day["spent_usd"], day["held_usd"], day["used_percent"]) == ("0.002", "0", 95)
        assert "95 %" in cost(home, "budget", "ls").text
        assert cost(home, "budget", "rm", "day").code == 0
        assert run(*ask, home=home).code == 0


def test_a_model_without_a_price_is_refused_under_a_hard_budget(home: Home) -> None:
    with Stub(Answer("a")) as stub:
        home.provider("stub", stub.url)
        assert cost(home, "budget", "set", "5", "--per", "month", "-p", "stub").code == 0
        done = run("ask", "hi", "-p", "stub", "-m", "x/anything", home=home)
        assert done.code == 9
        assert "no price is known" in done.err
        assert "month/stub" in done.err
        assert stub.asked() == []


def test_what_fits_a_budget_only_in_part_is_cut_there_and_says_so(home: Home) -> None:
    long = Answer("word " * 40, finish="length", cost=0.0001)
    with Stub(long) as stub:
        openrouter_at(home, stub.url)
        assert cost(home, "budget", "set", "0.0003", "--name", "small").code == 0
        done = run("ask", "hi", "-p", "openrouter", "-m", "nemotron-3-ultra", home=home)
        assert done.code == 9
        assert stub.asked()[0].json["max_tokens"] < 130
        assert "where the budget 'small' ends" in done.err


# Prices


def test_prices_are_listed_with_their_source_and_kept_when_they_are_news(home: Home) -> None:
    hosts = [
        {"tag": "dear", "pricing": {"prompt": "0.0000009", "completion": "0.000003"}},
        {"tag": "cheap", "pricing": {"prompt": "0.0000007", "completion": "0.0000025"}},
        {"tag": "down", "status": -2, "pricing": {"prompt": "0.0000001", "completion": "0"}},
    ]
    with Stub() as stub:
        stub.on(f"/v1/models/{MODEL}/endpoints", Status(200, {"data": {"endpoints": hosts}}))
        openrouter_at(home, stub.url)
        dry = cost(home, "prices", "update", "-p", "openrouter", "--dry-run")
        assert dry.code == 0, dry.err
        assert "0.7/-/2.5, was 0.60/0.12/2.40" in dry.text
        assert not (home.folder / "data" / "prices.jsonl").exists()
        told = cost(home, "prices", "update", "-p", "openrouter", "--json").json()
        assert [r["verdict"] for r in told["rows"]] == ["new"]
        assert all(r.headers.get("authorization") is None for r in stub.requests)
    row = next(r for r in cost(home, "prices", "--json").json()["prices"]
               if r["seller"] == "openrouter" and r["variant"] is None)  # fmt: skip
    assert (row["input"], row["output"], row["origin"]) == ("0.7", "2.5", "catalogue")
    assert "cheapest host cheap" in row["source"]
    history = cost(home, "prices", "-p", "openrouter", "--all").text
    assert "2026-06-04" in history, "what was is kept"
    assert "no more" in history


def test_absurd_prices_are_refused_with_a_line(home: Home) -> None:
    hosts = [{"tag": "odd", "pricing": {"prompt": "0.6", "completion": "2.4"}}]
    with Stub() as stub:
        stub.on(f"/v1/models/{MODEL}/endpoints", Status(200, {"data": {"endpoints": hosts}}))
        openrouter_at(home, stub.url)
        done = cost(home, "prices", "update", "-p", "openrouter")
    assert done.code == 0
    assert done.text == ""
    assert "refused openrouter/nemotron-3-ultra@" in done.err
    assert "is it per token where per million is meant?" in done.err
    assert not (home.folder / "data" / "prices.jsonl").exists()


def test_a_seller_that_cannot_be_asked_is_named(home: Home) -> None:
    openrouter_at(home, "http://127.0.0.1:9/v1")
    done = cost(home, "prices", "update", "-p", "openrouter")
    assert done.code in (5, 7), done.err
    assert "openrouter" in done.err
    assert cost(home, "prices", "update", "-p", "openrouter").out == b""
    assert run("--offline", "cost", "prices", "update", home=home).code == 3


def test_a_price_of_ones_own_stands_above_the_listed_one(home: Home) -> None:
    set_ = ("prices", "set", "openrouter", "--input", "1", "--output", "10", "--from", "2026-01-01")
    assert cost(home, *set_).code == 0
    with Stub(Answer("a")) as stub:
        openrouter_at(home, stub.url)
        done = run("ask", "hi", "-p", "openrouter", "-m", "nemotron-3-ultra", "--json", home=home)
    assert done.json()["cost"]["source"] == "override"
    assert done.json()["cost"]["usd"] == "0.00006", "10 in, 5 out"


def test_a_broken_price_file_is_named_with_its_line(home: Home) -> None:
    assert cost(home, "prices", "set", "openrouter", "--input", "1", "--output", "1").code == 0
    with (home.folder / "data" / "prices.jsonl").open("a") as opened:
        opened.write("nonsense\n")
    for args in (("prices",), ("what-if",)):
        done = cost(home, *args)
        if args == ("prices",):
            assert done.code == 3
            assert "prices.jsonl:2: not a price row" in done.err


# Leases


def test_a_lease_is_shared_among_its_calls(home: Home) -> None:
    at = NOW - timedelta(hours=2)
    filled(
        home,
        entry("g1", 0, provider="nim", at=at, total_s=1800.0, cost=Cost(Pico(0), "free")),
        entry("g2", 0, provider="nim", at=at + timedelta(minutes=40), total_s=600.0,
              usage=Usage(2000, 0, 0, 250, 0), cost=Cost(Pico(0), "free")),
        entry("other", 1, provider="openrouter", at=at),
    )  # fmt: skip
    begin = (at - timedelta(minutes=10)).isoformat()
    end = (at + timedelta(minutes=50)).isoformat()
    add = ("gpu", "add", "night", "--gpus", "8xH100", "-p", "nim", "--from", begin, "--to", end)
    told = cost(home, *add, "--rate", "3", "--json").json()
    assert (told["usd"], told["idle_usd"]) == ("24", "8"), "20 of 60 minutes without a call"
    assert sum(float(r["marginal_usd"]) for r in told["rows"]) == 16
    assert sum(float(r["full_usd"]) for r in told["rows"]) == 24
    explained = cost(home, "explain", "g1", "--json").json()["calls"][0]["cost"]
    assert (explained["source"], explained["usd"]) == ("gpu_hours", "8")
    whole = cost(home, "--json").json()
    assert (whole["gpu"]["idle_usd"], whole["total"]["usd"]) == ("8", "16.000000000001")
    assert whole["usd_with_idle"] == "24.000000000001"
    assert re.search(
        r"GPU lease night \(.+ to .+\): \$24.00, of which \$8.00 idle", cost(home).text
    )
    assert cost(home, *add).code == 2, "there is one of that name"
    shown = cost(home, "gpu", "show", "night").text
    assert "$12.00 loaded" in shown
    assert "night" in cost(home, "gpu", "ls").text


def test_a_running_lease_is_shown_and_ended(home: Home) -> None:
    start = ("gpu", "start", "run", "--gpus", "2xB200", "-p", "nim", "--from", "2h")
    done = cost(home, *start)
    assert done.code == 0, done.err
    assert "market 2026-09-20" in done.err
    assert "so far" in cost(home).text + cost(home, "gpu", "show", "run").text
    ended = cost(home, "gpu", "stop", "run", "--json").json()
    assert 26.7 < float(ended["usd"]) < 26.9
    assert ended["idle_usd"] == ended["usd"]
    assert cost(home, "gpu", "stop", "run").code == 2
    assert "H100" in cost(home, "gpu", "market").text


# Afterwards


def test_what_a_seller_says_afterwards_is_written_beside(home: Home) -> None:
    with Stub(Answer("a", cost=0.0042)) as stub:
        openrouter_at(home, stub.url)
        ask = ("ask", "hi", "-p", "openrouter", "-m", "nemotron-3-ultra", "--json")
        assert run(*ask, home=home).code == 0
        (first,) = home.attempts()
        filled(home, entry("est", 5, reply_id=first["reply_id"]),
               entry("gone", None, reply_id="gen-999"),
               entry("other", None, provider="deepinfra"))  # fmt: skip
        told = cost(home, "reconcile", "--json").json()
        assert [(r["id"], r["usd"]) for r in told["settled"]] == [("est", "0.0042")]
        assert [r["id"] for r in told["not_settled"]] == ["gone"]
        assert (told["final"], told["unknowable"]) == (1, 1)
        assert [r["id"] for r in told["away_from_list"]] == [first["attempt_id"]]
        shown = cost(home, "reconcile", "--all").text
        assert "2 confirmed, 1 not settled" in shown
    explained = cost(home, "explain", "est").text
    assert "said by openrouter afterwards" in explained
    assert "booked at $0.000000000005 (table) before" in explained
    assert [r["cost_pico"] for r in home.attempts() if r["attempt_id"] == "est"] == [5]


def test_whole_days_are_compared_with_a_management_key(home: Home) -> None:
    day = (NOW - timedelta(days=2)).date().isoformat()
    filled(home, entry("a1", 10**12, at=datetime.fromisoformat(f"{day}T12:00:00+00:00")))
    rows = [{"date": day, "usage": 1.5, "byok_usage_inference": 0.25, "requests": 3}]
    with Stub() as stub:
        stub.on("/v1/activity", Status(200, {"data": rows}))
        openrouter_at(home, stub.url)
        refused = cost(home, "reconcile", "--activity")
        assert refused.code == 4
        assert "OPENROUTER_MANAGEMENT_KEY" in refused.err
        home.env["OPENROUTER_MANAGEMENT_KEY"] = "sk-or-v1-management"
        told = cost(home, "reconcile", "--activity", "--json").json()
        assert told["days"] == [
            {"day": day, "seller_usd": "1.75", "seller_calls": 3, "book_usd": "1",
             "book_calls": 1, "difference_usd": "0.75"}
        ]  # fmt: skip
        assert "+$0.7500 not in this book" in cost(home, "reconcile", "--activity").text
        asked = stub.asked("/activity")
        assert asked[0].headers["authorization"] == "Bearer sk-or-v1-management"


def test_a_valuation_stands_beside_the_book(home: Home) -> None:
    before = datetime(2026, 10, 18, 12, tzinfo=UTC)
    filled(home, entry("old", 1_680_000_000, at=before), entry("none", None, provider="nobody"))
    told = cost(home, "reprice", "--as-of", "2026-10-18", "--json").json()
    rows = {r["provider"]: r for r in told["rows"]}
    assert rows["openrouter"]["usd"] == "0.00168", "800 x 0.50 + 200 x 0.15 + 500 x 2.50"
    assert rows["nobody"] | {"usd": "0", "calls_without_price": 1} == rows["nobody"]
    told = cost(home, "reprice", "--as-of", "2026-10-19", "-p", "openrouter", "--json").json()
    assert (told["valuation"], told["rows"][0]["usd"]) == (2, "0.001704")
    assert cost(home, "--json").json()["total"]["usd"] == "0.00168", "the ledger stays as it was"


# Elsewhere


def test_every_call_goes_out_a_line_each(home: Home) -> None:
    filled(home, entry("a1", tags=("x", "y")), entry("a2", None))
    lines = [json.loads(line) for line in cost(home, "export").text.splitlines()]
    assert [(r["id"], r["usd"], r["tags"]) for r in lines] == [
        ("a1", "0.0018", ["x", "y"]),
        ("a2", None, []),
    ]
    rows = list(csv.DictReader(io.StringIO(cost(home, "export", "--format", "csv").text)))
    assert [(r["id"], r["usd"], r["tags"]) for r in rows] == [
        ("a1", "0.0018", "x y"),
        ("a2", "", ""),
    ]
    done = cost(home, "export", "--to", "focus")
    (charge,) = csv.DictReader(io.StringIO(done.text))
    assert (charge["BilledCost"], charge["BillingCurrency"]) == ("0.0018", "USD")
    assert "1 unpriced calls are left out" in done.err
    told = json.loads(cost(home, "export", "--to", "otel").text)
    metrics = told["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    tokens = next(m for m in metrics if m["name"] == "gen_ai.client.inference.usage.input_tokens")
    assert tokens["sum"]["dataPoints"][0]["asInt"] == "2000"


def test_a_page_stands_alone(home: Home) -> None:
    filled(home, entry("a1", project="/x<script>"), entry("a2", at=NOW - timedelta(days=3)))
    done = cost(home, "report", "-o", "page.html")
    assert done.code == 0, done.err
    page = (home.cwd / "page.html").read_text()
    assert "<script" not in page
    assert "/x&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert page.count("<rect") == 2
    assert "$0.0036" in page
    assert (home.cwd / "page.html").stat().st_mode & 0o777 == 0o600
    assert cost(home, "report", "-o", "-").text.startswith("<!doctype html>")


def test_pruned_calls_are_gone_and_their_sums_are_not(home: Home) -> None:
    filled(home, entry("old", at=datetime(2026, 9, 1, 12, tzinfo=UTC), tags=("x",)), entry("new"))
    refused = cost(home, "prune", "--before", "2026-10-01")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert cost(home, "prune", "--before", "2026-10-01", "--yes").code == 0
    assert [r["attempt_id"] for r in home.attempts()] == ["new"]
    assert cost(home, "--json").json()["total"]["calls"] == 2
    assert cost(home, "--by", "month", "--json").json()["rows"][0]["month"] == "2026-09"
    tags = cost(home, "--by", "tag", "--json").json()
    assert (tags["total"]["calls"], tags["pruned_calls"]) == (1, 1)
    assert "1 call is pruned" in cost(home, "--by", "tag").text


def test_nothing_exported_is_run_by_a_spreadsheet(home: Home) -> None:
    evil = "=cmd|' /C calc'!A0"
    with Stub(Answer("Hi.", cost=0.001)) as stub:
        home.provider("stub", stub.url)
        assert run("ask", "-p", "stub", "hello", "--tag", evil, home=home).code == 0
    for line in (("cost", "export", "--to", "csv"), ("cost", "--csv", "--by", "tag")):
        text = run(*line, home=home).text
        assert "'" + evil in text, line
        assert "," + evil not in text
    raw = run("cost", "export", "--format", "csv", "--raw", home=home).text
    assert "'" + evil not in raw
    assert run("cost", "export", home=home).lines()[0]["tags"] == [evil]
