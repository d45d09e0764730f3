"""`nemocli batch run` as a script uses it: what comes out, its cost, what a second run does."""

from __future__ import annotations

import json
import signal
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.batch.batch_case import (
    Each,
    answers,
    batch,
    echo,
    failures_of,
    lines_of,
    ordinals,
    prompt_of,
    prompts,
    refusing,
    write_rows,
)
from tests.run import KEY, Home, run, spawn
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub


@pytest.fixture
def stub(home: Home):
    with Stub(Each(echo)) as stub:
        home.provider("stub", stub.url)
        yield stub


def test_every_row_is_asked_once_and_comes_out_as_a_batch_line(home: Home, stub: Stub) -> None:
    done = batch(home, rows=prompts(20))
    assert (done.code, done.out) == (0, b"")
    assert answers(home) == {f"q{n}": f"re: question {n}" for n in range(20)}
    assert sorted(ordinals(home)) == list(range(20))
    assert len(stub.requests) == 20
    line = lines_of(home)[0]
    assert set(line) == {"id", "custom_id", "response", "error", "x_nemocli"}
    assert line["error"] is None
    assert line["response"]["status_code"] == 200
    about = line["x_nemocli"]
    assert about["provider"] == "stub"
    assert about["cost"] == {"usd": "0.0001", "source": "reported", "price_id": None}
    assert about["attempts"][0]["usage"]["source"] == "reported"
    assert "20 answers in out.jsonl" in done.err
    assert not (home.cwd / "out.jsonl.errors.jsonl").exists()
    rows = home.attempts()
    assert len(rows) == 20
    assert {row["command"] for row in rows} == {"batch"}
    assert sum(row["cost_pico"] for row in rows) == 20 * 10**8


def test_the_key_is_nowhere_but_on_the_wire(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(3))
    assert stub.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert home.files_holding(KEY) == []


def test_the_same_line_again_asks_nothing(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(10))
    before = (home.cwd / "out.jsonl").read_bytes()
    done = batch(home)
    assert (done.code, len(stub.requests)) == (0, 10)
    assert "10 rows were already done" in done.err
    assert (home.cwd / "out.jsonl").read_bytes() == before


def test_an_edited_row_is_asked_again_and_takes_the_old_ones_place(home: Home, stub: Stub) -> None:
    rows = prompts(5)
    batch(home, rows=rows)
    rows[2] = {"custom_id": "q2", "prompt": "changed"}
    done = batch(home, rows=rows)
    assert (done.code, len(stub.requests)) == (0, 6)
    assert answers(home)["q2"] == "re: changed"
    assert sorted(ordinals(home)) == list(range(5))
    assert len(home.attempts()) == 6


def test_rows_that_are_alike_are_all_asked(home: Home, stub: Stub) -> None:
    batch(home, rows=[{"prompt": "same"}] * 4)
    assert (len(stub.requests), len(lines_of(home))) == (4, 4)


def test_rows_that_were_added_are_asked(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(3))
    batch(home, rows=prompts(6))
    assert (len(stub.requests), sorted(ordinals(home))) == (6, list(range(6)))


def test_restart_starts_over(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(3))
    batch(home, "--restart")
    assert (len(stub.requests), len(lines_of(home)), len(home.attempts())) == (6, 3, 6)


def test_another_question_in_the_same_file_is_refused(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(3))
    done = batch(home, "-s", "Be brief.")
    assert done.code == 3
    assert "holds answers of another job" in done.err
    assert "--restart" in done.err
    assert len(stub.requests) == 3


def test_an_output_of_somebody_elses_is_left_alone(home: Home, stub: Stub) -> None:
    other = home.cwd / "out.jsonl"
    other.write_text('{"mine": 1}\n')
    done = batch(home, rows=prompts(2))
    assert (done.code, other.read_text()) == (3, '{"mine": 1}\n')
    assert "is no output of a batch job" in done.err


def test_a_row_names_its_own_model_unless_one_is_typed(home: Home, stub: Stub) -> None:
    body = {"model": "x/other", "messages": [{"role": "user", "content": "hi"}]}
    row = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    write_rows(home, [row])
    assert run("batch", "run", "in.jsonl", "-o", "a", "-p", "stub", home=home).code == 0
    assert batch(home).code == 0
    assert [r.json["model"] for r in stub.requests] == ["x/other", "x/anything"]
    assert home.attempts()[0]["model"] == "x/other"


def test_a_csv_with_a_template_a_system_prompt_and_options(home: Home, stub: Stub) -> None:
    people = 'name,city,temperature\nAda,London,0.5\n"Bo, jr",Oslo,\n'
    (home.cwd / "people.csv").write_text(people)
    line = ("batch", "run", "people.csv", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
    more = (
        "--template",
        "Greet {name} of {city}.",
        "-s",
        "Be brief.",
        "-O",
        "top_p=0.9",
        "-j",
        "1",
    )
    assert run(*line, *more, "--max-tokens", "40", home=home).code == 0
    first, second = (request.json for request in stub.requests)
    assert first["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Greet Ada of London."},
    ]
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.5, 0.9, 40)
    assert second["messages"][1]["content"] == "Greet Bo, jr of Oslo."


def test_a_pipe_is_read_as_it_comes(home: Home, stub: Stub) -> None:
    line = ("batch", "run", "-", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
    with spawn(*line, home=home, stdin=subprocess.PIPE) as running:
        pipe = running.process.stdin
        assert pipe is not None
        pipe.write(b'{"prompt": "first"}\n')
        pipe.flush()
        stub.wait_for(1)
        pipe.write(b'{"prompt": "second"}\n')
        pipe.close()
        assert running.finish().code == 0
    assert set(answers(home).values()) == {"re: first", "re: second"}


def test_jinja_and_parquet(home: Home, stub: Stub) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"tags": [["a", "b"], ["c"]]}), home.cwd / "rows.parquet")
    line = ("batch", "run", "rows.parquet", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
    template = "Tags:{% for tag in tags %} {{ tag|upper }}{% endfor %}"
    done = run(*line, "--jinja", "--template", template, home=home)
    assert done.code == 0, done.err
    assert set(answers(home).values()) == {"re: Tags: A B", "re: Tags: C"}
    done = run(*line, "--jinja", "--template", "{{ nothing }}", "--restart", home=home)
    assert done.code == 10
    assert failures_of(home)[0]["error"]["code"] == "bad_template"


# Rows that fail


def test_failed_rows_are_beside_the_answers_and_can_be_asked_again(home: Home, stub: Stub) -> None:
    stub.script(refusing("question 3"))
    done = batch(home, rows=prompts(5))
    assert done.code == 10
    assert "1 row given up in out.jsonl.errors.jsonl" in done.err
    [failed] = failures_of(home)
    assert (failed["custom_id"], failed["error"]["code"]) == ("q3", "request_rejected")
    assert failed["response"]["status_code"] == 400
    assert batch(home).code == 0
    assert len(stub.requests) == 5
    stub.script(Each(echo))
    done = run("batch", "retry", "out.jsonl", home=home)
    assert done.code == 0, done.err
    assert sorted(ordinals(home)) == list(range(5))
    assert failures_of(home) == []
    assert len(home.attempts()) == len(stub.requests) == 6


def test_bad_rows_are_set_aside_with_their_place(home: Home, stub: Stub) -> None:
    done = batch(home, rows=[{"prompt": "a"}, b"{nonsense", {"nothing": 1}, {"prompt": "b"}])
    assert (done.code, len(lines_of(home))) == (10, 2)
    codes = {f["x_nemocli"]["where"]: f["error"]["code"] for f in failures_of(home)}
    assert codes == {"in.jsonl:2": "bad_json", "in.jsonl:3": "missing_prompt"}
    assert "in.jsonl:2: not JSON" in done.err
    assert len(stub.requests) == 2


def test_fail_fast_stops_at_the_first_bad_row(home: Home, stub: Stub) -> None:
    done = batch(home, "--fail-fast", rows=[b"{nonsense", {"prompt": "a"}])
    assert done.code == 3
    assert "in.jsonl:1: not JSON" in done.err


def test_what_fails_for_a_moment_is_asked_again(home: Home, stub: Stub) -> None:
    seen: dict[str, int] = {}

    def choose(request):
        name = prompt_of(request)
        seen[name] = seen.get(name, 0) + 1
        if seen[name] == 1:
            return Status(500, "oops") if "1" in name else Status(429, "slow", retry_after=0)
        return echo(request)

    stub.script(Each(choose))
    done = batch(home, rows=prompts(3))
    assert done.code == 0, done.err
    assert set(seen.values()) == {2}
    line = lines_of(home)[0]
    assert [a["status"] for a in line["x_nemocli"]["attempts"]] == ["error", "ok"]
    assert len(home.attempts()) == 6


def test_a_poison_row_gives_up_and_the_rest_goes_on(home: Home, stub: Stub) -> None:
    def choose(request):
        return Status(500, "oops") if "question 1" in prompt_of(request) else echo(request)

    stub.script(Each(choose))
    done = batch(home, "--tries", "3", rows=prompts(3))
    assert (done.code, len(lines_of(home))) == (10, 2)
    [failed] = failures_of(home)
    assert (failed["error"]["code"], len(failed["x_nemocli"]["attempts"])) == ("server_error", 3)


def test_no_credit_stops_the_job_and_it_goes_on_later(home: Home, stub: Stub) -> None:
    answered: list[str] = []

    def choose(request):
        if len(answered) >= 3:
            return Status(402, {"error": {"message": "no credit"}})
        answered.append(prompt_of(request))
        return echo(request)

    stub.script(Each(choose))
    done = batch(home, "-j", "1", rows=prompts(10))
    assert done.code == 6
    assert len(lines_of(home)) == 3
    stub.script(Each(echo))
    assert batch(home).code == 0
    assert sorted(ordinals(home)) == list(range(10))
    assert len(home.attempts()) == len(stub.requests)


def test_a_refused_key_stops_it_at_once(home: Home, stub: Stub) -> None:
    stub.script(Status(401, {"error": {"message": f"bad key {KEY}"}}))
    done = batch(home, rows=prompts(50))
    assert done.code == 4
    assert KEY not in done.err
    assert home.files_holding(KEY) == []


def test_without_a_key_nothing_is_asked(home: Home, stub: Stub) -> None:
    home.env.clear()
    done = batch(home, rows=prompts(2))
    assert (done.code, stub.requests) == (4, [])
    assert "STUB_API_KEY" in done.err


# Several paths


def test_a_row_that_one_path_cannot_serve_goes_to_the_next(home: Home, stub: Stub) -> None:
    with Stub(Status(500, "down")) as down:
        home.provider("down", down.url)
        line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "down", "-p", "stub")
        write_rows(home, prompts(4))
        done = run(*line, "-m", "x/anything", "--tries", "2", home=home)
    assert done.code == 0, done.err
    assert {line["x_nemocli"]["provider"] for line in lines_of(home)} == {"stub"}


@pytest.mark.parametrize(
    "by", ["weight", *(pytest.param(by, marks=pytest.mark.slow) for by in ("price", "speed"))]
)
def test_spread_uses_all_paths_at_once(home: Home, stub: Stub, by: str) -> None:
    slow = Answer("re", cost=0.0001, delay_s=0.02)
    with Stub(slow) as other:
        stub.script(slow)
        home.provider("other", other.url)
        write_rows(home, prompts(60))
        line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-p", "other")
        done = run(*line, "-m", "x/anything", "--spread", by, "-j", "4", home=home)
        assert done.code == 0, done.err
        assert len(stub.requests) > 5
        assert len(other.requests) > 5
        served = [line["x_nemocli"]["provider"] for line in lines_of(home)]
        assert served.count("stub") == len(stub.requests)


def test_unequal_weights_make_unequal_parts(home: Home, stub: Stub) -> None:
    slow = Answer("re", cost=0.0001, delay_s=0.02)
    with Stub(slow) as other:
        stub.script(slow)
        home.provider("other", other.url)
        write_rows(home, prompts(80))
        line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-p", "other")
        weights = ("--spread", "weight", "--weight", "stub=3")
        assert run(*line, "-m", "x/anything", *weights, "-j", "4", home=home).code == 0
        assert 50 <= len(stub.requests) <= 70
        for wrong in ("nobody=1", "stub=0", "stub=many"):
            more = ("--spread", "weight", "--weight", wrong)
            assert run(*line, *more, "--restart", home=home).code == 2


# Order, shares, joining


def test_the_order_of_the_input_can_be_kept(home: Home, stub: Stub) -> None:
    def choose(request):
        late = "question 0" in prompt_of(request)
        return Answer("late", delay_s=0.5) if late else echo(request)

    stub.script(Each(choose))
    assert batch(home, "--order", "input", rows=prompts(30)).code == 0
    assert ordinals(home) == list(range(30))


def test_shares_are_joined_to_the_whole(home: Home, stub: Stub) -> None:
    write_rows(home, prompts(9))
    for share in ("1/2", "2/2"):
        assert batch(home, "--shard", share).code == 0
    assert len(stub.requests) == 9
    parts = ["out.1-of-2.jsonl", "out.2-of-2.jsonl"]
    assert sorted(ordinals(home, parts[0])) == [0, 2, 4, 6, 8]
    done = run("batch", "merge", "out.jsonl", *parts, "--order", "input", home=home)
    assert done.code == 0, done.err
    assert ordinals(home) == list(range(9))
    again = run("batch", "merge", "out.jsonl", *parts, home=home)
    assert "9 were there" in again.err
    assert ordinals(home) == list(range(9))
    assert batch(home).code == 0
    assert len(stub.requests) == 9


def test_merging_books_what_other_machines_spent(home: Home, stub: Stub, tmp_path: Path) -> None:
    write_rows(home, prompts(4))
    batch(home, "--shard", "1/2")
    other = Home(tmp_path / "other", dict(home.env))
    other.provider("stub", stub.url)
    write_rows(other, prompts(4))
    batch(other, "--shard", "2/2")
    part = other.cwd / "out.2-of-2.jsonl"
    done = run("batch", "merge", "all.jsonl", "out.1-of-2.jsonl", str(part), home=home)
    assert done.code == 0, done.err
    assert "2 calls of other machines" in done.err
    assert len(home.attempts()) == 4
    assert sum(row["cost_pico"] for row in home.attempts()) == 4 * 10**8


def test_parts_of_different_jobs_do_not_mix(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(2))
    line = ("batch", "run", "in.jsonl", "-o", "b.jsonl", "-p", "stub", "-m", "x/anything")
    run(*line, "-s", "Other.", home=home)
    done = run("batch", "merge", "all.jsonl", "out.jsonl", "b.jsonl", home=home)
    assert done.code == 3
    assert "is of another job" in done.err


# Money


def test_a_cap_is_never_passed_and_the_job_goes_on_with_a_higher_one(
    home: Home, stub: Stub
) -> None:
    price = {"model": "x/anything", "valid_from": "2026-01-01", "input": 1, "output": 1}
    home.provider("stub", stub.url, prices=[price])
    done = batch(home, "--max-cost", "0.0101", "--max-tokens", "20", rows=prompts(300))
    assert done.code == 9
    assert "--max-cost" in done.err
    spent = sum(row["cost_pico"] for row in home.attempts())
    assert 0.95 * 0.0101e12 <= spent <= 0.0101e12
    again = batch(home, "--max-cost", "0.0101", "--max-tokens", "20")
    assert again.code == 9
    assert sum(row["cost_pico"] for row in home.attempts()) <= 0.0101e12
    assert batch(home, "--max-cost", "1", "--max-tokens", "20").code == 0
    assert len(lines_of(home)) == 300


def test_an_unknown_price_cannot_be_capped(home: Home, stub: Stub) -> None:
    done = batch(home, "--max-cost", "1", rows=prompts(2))
    assert (done.code, stub.requests) == (9, [])
    assert "no price is known" in done.err


def test_an_estimate_asks_nobody(home: Home, stub: Stub) -> None:
    price = {"model": "x/anything", "valid_from": "2026-01-01", "input": 1, "output": 2}
    home.provider("stub", stub.url, prices=[price])
    write_rows(home, [*prompts(100), b"nonsense"])
    line = ("batch", "estimate", "in.jsonl", "-p", "stub", "-m", "x/anything", "--json")
    said = run(*line, "--max-tokens", "50", home=home).json()
    assert (said["rows"], said["bad_rows"], said["lengths_from"]) == (100, 1, "assumed")
    assert said["output_tokens"] == {"p50": 5000, "p95": 5000}
    assert float(said["usd"]["p95"]) >= 0.01
    assert stub.requests == []


def test_an_estimate_may_ask_a_few(home: Home, stub: Stub) -> None:
    price = {"model": "x/anything", "valid_from": "2026-01-01", "input": 1, "output": 2}
    home.provider("stub", stub.url, prices=[price])
    write_rows(home, prompts(100))
    line = ("batch", "estimate", "in.jsonl", "-p", "stub", "-m", "x/anything", "--sample", "5")
    said = run(*line, "--rpm", "6000", "--json", home=home).json()
    assert (len(stub.requests), said["sampled"], said["lengths_from"]) == (5, 5, "sample")
    assert said["sample_usd"] == "0.0005"
    assert (said["wall_s"], said["limit"]) == (1.0, "6000 requests a minute")
    usage = stub.requests and home.attempts()[0]
    assert said["output_tokens"]["p50"] == 100 * usage["output_tokens"]
    assert {row["command"] for row in home.attempts()} == {"batch estimate"}
    people = run(*line, home=home).text
    assert "requests a minute" not in people
    assert "of 5 rows that were asked" in people


# Answers used again


def test_a_cache_outlives_its_job(home: Home, stub: Stub) -> None:
    rows = [{"prompt": "a"}, {"prompt": "b", "temperature": 0.7}]
    batch(home, "--cache", rows=rows)
    done = batch(home, "--cache", "--restart")
    assert done.code == 0
    assert "1 answer known already" in done.err
    assert [prompt_of(r) for r in stub.requests].count("a") == 1
    assert [prompt_of(r) for r in stub.requests].count("b") == 2
    [cached] = [line for line in lines_of(home) if line["x_nemocli"].get("cached")]
    assert cached["x_nemocli"]["cost"]["usd"] == "0"
    assert cached["response"]["body"]["choices"][0]["message"]["content"] == "re: a"
    batch(home, "--cache-any", "--restart")
    batch(home, "--cache-any", "--restart")
    assert [prompt_of(r) for r in stub.requests].count("b") == 3


def test_dedupe_asks_what_is_alike_once(home: Home, stub: Stub) -> None:
    stub.script(Each(lambda request: Answer("one", delay_s=0.1)))
    done = batch(home, "--dedupe", rows=[{"prompt": "same"}] * 20 + [{"prompt": "other"}])
    assert done.code == 0, done.err
    assert (len(stub.requests), len(lines_of(home))) == (2, 21)
    assert sorted(ordinals(home)) == list(range(21))


def test_those_who_waited_ask_for_themselves_when_it_fails(home: Home, stub: Stub) -> None:
    stub.script(Status(400, "no"))
    done = batch(home, "--dedupe", rows=[{"prompt": "same"}] * 3)
    assert (done.code, len(failures_of(home))) == (10, 3)


# Answers that have to fit


def test_an_answer_that_does_not_fit_is_sent_back_and_paid_for(home: Home, stub: Stub) -> None:
    def choose(request):
        repaired = any("does not satisfy" in str(m["content"]) for m in request.json["messages"])
        return Answer('{"name": "Ada"}' if repaired else '{"nom": 1}', cost=0.0001)

    stub.script(Each(choose))
    done = batch(home, "--schema", "name:str", rows=prompts(2))
    assert done.code == 0, done.err
    assert len(stub.requests) == 4
    assert "2 answers sent back to fit the schema ($0.00020)" in done.err
    assert set(answers(home).values()) == {'{"name": "Ada"}'}


def test_an_answer_that_never_fits_is_a_failure_and_kept(home: Home, stub: Stub) -> None:
    stub.script(Answer('{"nom": 1}', cost=0.0001))
    assert batch(home, "--schema", "name:str", rows=prompts(1)).code == 10
    [failed] = failures_of(home)
    assert failed["error"]["code"] == "schema_mismatch"
    assert failed["response"]["body"]["choices"][0]["message"]["content"] == '{"nom": 1}'
    assert len(failed["x_nemocli"]["attempts"]) == 2


# Looking at it


def test_results_are_shown_and_written_as_tables(home: Home, stub: Stub) -> None:
    stub.script(refusing("question 2"))
    batch(home, rows=prompts(4))
    shown = run("batch", "show", "out.jsonl", home=home)
    assert "re: question 1" in shown.text
    assert "request_rejected" in shown.text
    run("batch", "show", "out.jsonl", "--to", "csv", "-o", "out.csv", home=home)
    text = (home.cwd / "out.csv").read_text().splitlines()
    assert text[0] == "custom_id,prompt,answer,status,error,cost_usd,provider"
    assert len(text) == 5
    done = run("batch", "show", "out.jsonl", "--to", "parquet", "-o", "out.parquet", home=home)
    assert done.code == 0, done.err
    from pyarrow import parquet

    table = parquet.read_table(home.cwd / "out.parquet").to_pylist()
    assert len(table) == 4
    assert [row["status"] for row in table] == ["ok", "ok", "failed", "ok"]
    assert sum(row["cost_usd"] or 0 for row in table) == Decimal("0.0003")
    one = run("batch", "show", "out.jsonl", "--row", "q1", home=home)
    assert one.text == "re: question 1\n"
    failed = run("batch", "show", "out.jsonl", "--failed", "--json", home=home)
    assert [row["custom_id"] for row in failed.lines()] == ["q2"]


def test_status_and_ls_know_every_job(home: Home, stub: Stub) -> None:
    assert "no jobs yet" in run("batch", "ls", home=home).err
    batch(home, rows=prompts(3))
    said = run("batch", "status", "out.jsonl", "--json", home=home).json()
    assert (said["state"], said["answered"], said["exit_code"]) == ("complete", 3, 0)
    assert said["summary"]["usd"] == "0.0003"
    jobs = run("batch", "ls", "--json", home=home).json()["jobs"]
    assert [job["out"] for job in jobs] == [str(home.cwd / "out.jsonl")]
    assert jobs[0]["spent_usd"] == "0.0003"
    heads, row = run("batch", "ls", home=home).text.splitlines()
    assert heads.split()[:6] == ["STATE", "DONE", "%", "RATE", "LEFT", "FAILED"]
    assert row.split()[:6] == ["complete", "3/3", "100", "%", "0", "$0.00030"]
    assert "complete" in run("batch", "status", "out.jsonl", home=home).text


def test_the_summary_as_an_object(home: Home, stub: Stub) -> None:
    said = batch(home, "--json", rows=prompts(3)).json()
    assert (said["schema"], said["ok"], said["complete"]) == ("nemocli.batch_run/1", 3, True)
    assert said["usd"] == "0.0003"


def test_progress_as_objects(home: Home, stub: Stub) -> None:
    stub.script(Answer("x", delay_s=0.7, cost=0.1))
    done = batch(home, "--progress", "json", "-j", "1", rows=prompts(2))
    said = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert {"rows", "ok", "usd", "projected_usd", "limit", "why", "eta_s"} <= set(said[0])
    assert said[0]["type"] == "progress"


# Ends before its time


def test_ctrl_c_keeps_what_came_and_the_same_line_goes_on(home: Home, stub: Stub) -> None:
    stub.script(Each(lambda r: Answer("slow", delay_s=5) if "9" in prompt_of(r) else echo(r)))
    write_rows(home, prompts(10))
    line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
    with spawn(*line, home=home) as running:
        stub.wait_for(10)
        import time

        time.sleep(0.5)
        running.interrupt()
        done = running.finish()
    assert done.code == 130
    assert "Traceback" not in done.err
    assert len(lines_of(home)) == 9
    statuses = [row["status"] for row in home.attempts()]
    assert (statuses.count("ok"), statuses.count("aborted")) == (9, 1)
    stub.script(Each(echo))
    assert batch(home).code == 0
    assert sorted(ordinals(home)) == list(range(10))


def test_a_second_process_is_refused_while_the_first_lives(home: Home, stub: Stub) -> None:
    stub.script(Answer("slow", delay_s=5))
    write_rows(home, prompts(1))
    line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
    with spawn(*line, home=home) as running:
        stub.wait_for(1)
        second = batch(home)
        assert second.code == 3
        assert "is being written by another nemocli" in second.err
        said = run("batch", "status", "out.jsonl", "--json", home=home).json()
        assert said["state"] == "running"
        running.process.send_signal(signal.SIGKILL)
    stub.script(Each(echo))
    third = batch(home)
    assert third.code == 0, third.err
    assert "1 call under way when the last run was killed" in third.err
    assert [row["status"] for row in home.attempts()] == ["aborted", "ok"]


def test_a_torn_last_line_is_cut_and_its_row_asked_again(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(3))
    out = home.cwd / "out.jsonl"
    data = out.read_bytes()
    (home.cwd / "out.jsonl.nemocli" / "index").unlink()
    out.write_bytes(data[:-20])
    done = batch(home)
    assert done.code == 0, done.err
    assert "a torn last line" in done.err
    assert len(stub.requests) == 4
    assert sorted(ordinals(home)) == [0, 1, 2]


def test_lines_that_were_never_booked_are_booked_from_the_output(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(3))
    (home.folder / "data" / "ledger.db").unlink()
    (home.cwd / "out.jsonl.nemocli" / "index").unlink()
    done = batch(home)
    assert "3 answers that had not been booked: booked now" in done.err
    assert sum(row["cost_pico"] for row in home.attempts()) == 3 * 10**8
    assert len(stub.requests) == 3
