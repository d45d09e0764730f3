"""`batch run --remote`: rows with a provider's own batches, for half the price and a day's time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.batch.batch_case import (
    answers,
    batch,
    failures_of,
    lines_of,
    ordinals,
    prompts,
    write_rows,
)
from tests.run import KEY, Home, run
from tests.servers.batches import Batches
from tests.servers.stub import Stub


@pytest.fixture
def inline(home: Home) -> Iterator[Batches]:
    served = Batches()
    with Stub() as stub:
        stub.on("", served)
        home.provider("stub", stub.url)
        yield served


@pytest.fixture
def files(home: Home) -> Iterator[Batches]:
    served = Batches(kind="files")
    with Stub() as stub:
        stub.on("", served)
        home.provider("stub", stub.url, extends="perplexity")
        yield served


def test_rows_are_handed_over_looked_at_and_fetched(home: Home, inline: Batches) -> None:
    done = batch(home, "--remote", "--max-tokens", "40", rows=[*prompts(3), b"nonsense"])
    assert done.code == 10
    assert "3 rows are with stub in 1 batch" in done.err
    assert failures_of(home)[0]["error"]["code"] == "bad_json"
    [items] = inline.items.values()
    assert [i["body"]["messages"][0]["content"] for i in items] == [
        f"question {n}" for n in range(3)
    ]
    assert items[0]["body"]["max_tokens"] == 40
    said = run("batch", "status", "out.jsonl", "--json", home=home).json()
    assert (said["state"], said["remote"][0]["state"]) == ("remote", "validating")
    assert lines_of(home) == []
    inline.finish(cost=0.0005)
    shown = run("batch", "show", "out.jsonl", home=home)
    assert shown.code == 0, shown.err
    assert answers(home) == {f"q{n}": f"re: question {n}" for n in range(3)}
    line = lines_of(home)[0]["x_nemocli"]
    assert line["cost"] == {"usd": None, "source": "unknown", "price_id": None}
    assert line["remote"] == {"batch": "batch-0", "rows": 3}
    assert line["provider"] == "stub"
    [row] = home.attempts()
    assert (row["cost_pico"], row["cost_source"]) == (5 * 10**8, "reported")
    assert (row["input_tokens"], row["output_tokens"]) == (30, 15)
    assert home.files_holding(KEY) == []
    state = run("batch", "status", "out.jsonl", "--json", home=home).json()["state"]
    assert state == "complete"


def test_the_same_line_again_looks_instead_of_paying_twice(home: Home, inline: Batches) -> None:
    batch(home, "--remote", rows=prompts(3))
    again = batch(home, "--remote")
    assert (again.code, len(inline.batches)) == (0, 1)
    assert "still there" in again.err
    inline.finish()
    assert batch(home, "--remote").code == 0
    assert sorted(ordinals(home)) == [0, 1, 2]
    assert batch(home).code == 0
    assert [a for a in inline.asked if a.startswith("POST")] == ["POST /v1/batches"]
    assert len(home.attempts()) == 1


def test_a_new_row_makes_a_new_batch(home: Home, inline: Batches) -> None:
    batch(home, "--remote", rows=prompts(2))
    inline.finish()
    assert batch(home, "--remote", rows=prompts(3)).code == 0
    assert [len(items) for items in inline.items.values()] == [2, 1]
    inline.finish()
    run("batch", "show", "out.jsonl", home=home)
    assert sorted(ordinals(home)) == [0, 1, 2]


def test_a_batch_has_so_many_rows_and_the_rest_makes_another(home: Home, inline: Batches) -> None:
    with Stub() as stub:
        stub.on("", inline)
        home.provider("stub", stub.url, batches={"kind": "inline", "most_rows": 2})
        assert batch(home, "--remote", rows=prompts(5)).code == 0
    assert [len(items) for items in inline.items.values()] == [2, 2, 1]


def test_the_older_address_is_tried_after_the_newer(home: Home, inline: Batches) -> None:
    inline.base = "/beta/batches"
    assert batch(home, "--remote", rows=prompts(1)).code == 0
    assert inline.asked == ["POST /v1/batches", "POST /beta/batches"]


def test_a_batch_whose_reply_was_lost_is_found_again(home: Home, inline: Batches) -> None:
    inline.lose_reply = True
    done = batch(home, "--remote", rows=prompts(2))
    assert done.code == 7
    assert len(inline.batches) == 1
    inline.finish()
    again = batch(home, "--remote")
    assert again.code == 0, again.err
    assert (len(inline.batches), sorted(ordinals(home))) == (1, [0, 1])
    assert len(home.attempts()) == 1


def test_a_batch_that_never_arrived_is_handed_over_again(home: Home, inline: Batches) -> None:
    inline.lose_reply = True
    batch(home, "--remote", rows=prompts(2))
    inline.batches.clear()
    inline.items.clear()
    assert batch(home, "--remote").code == 0
    assert len(inline.batches) == 1


def test_rows_that_a_batch_could_not_do_are_failures_to_retry(home: Home, inline: Batches) -> None:
    batch(home, "--remote", rows=prompts(2))
    inline.work = lambda body: {"response": None, "error": {"code": "x", "message": "no room"}}
    inline.finish()
    run("batch", "show", "out.jsonl", home=home)
    assert {f["error"]["code"] for f in failures_of(home)} == {"x"}
    assert run("batch", "retry", "out.jsonl", home=home).code == 0
    assert len(inline.batches) == 2


def test_a_batch_that_expired_says_so_for_each_row(home: Home, inline: Batches) -> None:
    batch(home, "--remote", rows=prompts(2))
    inline.finish("expired")
    run("batch", "show", "out.jsonl", home=home)
    assert {f["error"]["code"] for f in failures_of(home)} == {"batch_expired"}


def test_a_cap_holds_before_anything_is_handed_over(home: Home, inline: Batches) -> None:
    with Stub() as stub:
        stub.on("", inline)
        price = {"model": "x/anything", "valid_from": "2026-01-01", "input": 1, "output": 1}
        home.provider("stub", stub.url, prices=[price])
        done = batch(home, "--remote", "--max-cost", "0.00001", rows=prompts(5))
    assert (done.code, inline.batches) == (9, {})
    assert "--max-cost" in done.err


def test_files_are_uploaded_and_each_answer_has_its_own_cost(home: Home, files: Batches) -> None:
    done = batch(home, "--remote", rows=prompts(3))
    assert done.code == 0, done.err
    assert files.asked == ["POST /v1/files", "POST /v1/batches"]
    files.finish()
    shown = run("batch", "show", "out.jsonl", "--to", "csv", home=home)
    assert "re: question 2" in shown.text
    assert sorted(ordinals(home)) == [0, 1, 2]
    assert [row["cost_pico"] for row in home.attempts()] == [2 * 10**8] * 3
    assert lines_of(home)[0]["x_nemocli"]["cost"]["usd"] == "0.0002"


def test_a_lost_reply_with_files_is_found_by_its_mark(home: Home, files: Batches) -> None:
    files.lose_reply = True
    assert batch(home, "--remote", rows=prompts(2)).code == 7
    files.finish()
    assert batch(home, "--remote").code == 0
    assert (len(files.batches), sorted(ordinals(home))) == (1, [0, 1])


def test_a_provider_without_batches_is_said_to_have_none(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url, batches=None)
        done = batch(home, "--remote", rows=prompts(1))
    assert done.code == 3
    assert "stub has no batches of its own" in done.err


def test_a_row_of_another_model_is_set_aside(home: Home, inline: Batches) -> None:
    write_rows(home, [{"prompt": "a"}, {"prompt": "b", "model": "x/other"}])
    line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "--remote")
    assert run(*line, "-O", "top_p=1", home=home).code in (0, 10)
    assert failures_of(home)[0]["error"]["code"] == "mixed_model"
