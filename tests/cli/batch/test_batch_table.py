"""CSV in, CSV out: the answer beside what was asked, in the order of the input."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from nemocli.core.text import spreadsheet_safe
from tests.cli.batch.batch_case import Each, echo
from tests.run import Done, Home, run
from tests.servers.answer import Answer
from tests.servers.stub import Stub

SCHEMA = {
    "type": "object",
    "properties": {
        "mood": {"type": "string"},
        "score": {"type": "integer"},
        "about": {"type": "object", "properties": {"topic": {"type": "string"}}},
    },
    "required": ["mood"],
}
ANSWER = json.dumps({"mood": "glad", "score": 4, "about": {"topic": "tea"}})


def reviews(home: Home, count: int = 5) -> None:
    rows = "".join(f"{n};Köln;review {n}\n" for n in range(count))
    (home.cwd / "in.csv").write_text("id;city;text\n" + rows)


def batch(home: Home, out: str, *more: str) -> Done:
    line = ("batch", "run", "in.csv", "-o", out, "-p", "stub", "-m", "x/anything")
    return run(*line, "--template", "Mood of: {text}", *more, home=home)


def table(path: Path, sign: str = ",") -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=sign))


def test_a_csv_comes_back_with_the_fields_of_the_schema(home: Home) -> None:
    reviews(home)
    with Stub(Answer(ANSWER, cost=0.0001)) as stub:
        home.provider("stub", stub.url)
        done = batch(home, "moods.csv", "--schema", json.dumps(SCHEMA), "-j", "3")
        assert done.code == 0, done.err
        assert "separated by ';'" in done.err
        assert "5 rows in moods.csv, made from moods.csv.jsonl" in done.err
        rows = table(home.cwd / "moods.csv")
        assert [row["id"] for row in rows] == list("01234")
        first = {"id": "0", "city": "Köln", "text": "review 0", "mood": "glad", "score": "4",
                 "about.topic": "tea", "status": "ok", "error": "", "cost_usd": "0.0001",
                 "provider": "stub"}  # fmt: skip
        assert rows[0] == first
        asked = len(stub.requests)
        assert batch(home, "moods.csv", "--schema", json.dumps(SCHEMA), "-j", "3").code == 0
        assert len(stub.requests) == asked, "the same command resumes"
    shown = run("batch", "show", "moods.csv", "--to", "tsv", home=home)
    assert shown.text.splitlines()[1].startswith("0\tKöln\treview 0\tglad\t4\ttea\tok\t")
    status = run("batch", "status", "moods.csv", home=home)
    assert "5 answered" in status.text
    assert "$0.00050 over all runs" in status.text
    assert "UTC" in status.text


def test_parquet_has_the_types_of_the_schema(home: Home) -> None:
    from pyarrow import parquet

    reviews(home)
    with Stub(Answer(ANSWER, cost=0.0001)) as stub:
        home.provider("stub", stub.url)
        assert batch(home, "moods.parquet", "--schema", json.dumps(SCHEMA)).code == 0
    row = parquet.read_table(home.cwd / "moods.parquet").to_pylist()[0]
    assert (row["score"], row["mood"], row["cost_usd"]) == (4, "glad", Decimal("0.0001"))


def test_without_a_schema_the_answer_is_one_column_and_failures_are_said(home: Home) -> None:
    (home.cwd / "in.csv").write_text("text,answer,status\na,mine,open\nb,mine\nc,mine,shut\n")
    with Stub(Each(echo)) as stub:
        home.provider("stub", stub.url)
        done = batch(home, "out.csv")
        assert done.code == 10
        assert "edit a bad row and run the same command again" in done.err
        assert "batch retry" not in done.err
    rows = table(home.cwd / "out.csv")
    assert [row["answer"] for row in rows] == ["mine", "", "mine"]
    assert [row["status_"] for row in rows] == ["ok", "bad_row", "ok"]
    assert rows[0]["answer_"] == "re: Mood of: a"
    assert "2 fields where the first line names 3" in rows[1]["error"]


def test_rows_that_wait_are_in_the_table_too(home: Home) -> None:
    reviews(home, 4)
    with Stub(Answer("x", cost=0.0001)) as stub:
        home.provider("stub", stub.url)
        assert batch(home, "out.csv").code == 0
    more = (home.cwd / "in.csv").read_text() + "9;Bonn;new\n"
    (home.cwd / "in.csv").write_text(more)
    shown = run("batch", "show", "out.csv", "--to", "csv", home=home)
    assert shown.text.splitlines()[-1] == "9,Bonn,new,,waiting,,,"
    (home.cwd / "in.csv").unlink()
    gone = run("batch", "show", "out.csv", "--to", "csv", home=home)
    assert gone.text.startswith("row,custom_id,where,status,answer,")
    assert "the input's columns are left out" in gone.err


FORMULAS = ["=cmd|' /C calc'!A0", "+SUM(A1)", "-2+3", "@x", "\tx", "\rx"]


def test_nothing_in_a_table_is_run_by_a_spreadsheet(home: Home) -> None:
    for text in FORMULAS:
        assert spreadsheet_safe(text) == "'" + text
    for text in ["-5", "+3.5", "-1e9", "a=b", "", "0", "-.5"]:
        assert spreadsheet_safe(text) == text
    reviews(home, 1)
    with Stub(Answer(FORMULAS[0])) as stub:
        home.provider("stub", stub.url)
        assert batch(home, "out.csv").code == 0
    assert table(home.cwd / "out.csv")[0]["answer"] == "'" + FORMULAS[0]
    raw = run("batch", "show", "out.csv", "--to", "csv", "--raw", home=home)
    assert ",=cmd|' /C calc'!A0," in raw.text


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_a_million_rows_would_not_be_held(home: Home, form: str) -> None:
    reviews(home, 300)
    with Stub(Each(echo)) as stub:
        home.provider("stub", stub.url)
        assert batch(home, "out.jsonl").code == 0
    done = run("batch", "show", "out.jsonl", "--to", form, "-o", f"all.{form}", home=home)
    assert "300 rows in" in done.err
