"""Bad input, disks that are full, files of others: one clear line each, and nothing is lost."""

from __future__ import annotations

import json
import os
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
    prompts,
    write_rows,
)
from tests.cli.weights.weights_case import mounted
from tests.run import Done, Home, run
from tests.servers.stub import Stub


@pytest.fixture
def stub(home: Home):
    with Stub(Each(echo)) as stub:
        home.provider("stub", stub.url)
        yield stub


def said_once(done: Done, *words: str) -> None:
    """One line holds all the words, and nothing looks like a bug."""
    assert "Traceback" not in done.err
    assert any(all(word in line for word in words) for line in done.err.splitlines()), done.err


BODY = {"model": "x/anything", "messages": [{"role": "user", "content": "hi"}]}
ITEM = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": BODY}


BAD = [
    (b"{", "bad_json", ("not JSON", "column")),
    (b"\xff\xfe{}", "not_utf8", ("not UTF-8", "byte 1")),
    (b'{"prompt": "a\0b"}', "bad_json", ("a NUL byte",)),
    (b"[1, 2]", "bad_json", ("an object or a text",)),
    ({**ITEM, "body": None}, "missing_body", ("there is no body",)),
    ({**ITEM, "url": "/v1/embeddings"}, "bad_url", ("/v1/chat/completions", "/v1/embeddings")),
    ({**ITEM, "method": "GET"}, "bad_method", ("method is POST",)),
    ({**ITEM, "body": {**BODY, "messages": []}}, "bad_body", ("at least one message",)),
    ({"prompt": "a", "max_tokens": "many"}, "bad_column", ("max_tokens is a number",)),
    ({"custom_id": ["x"], "prompt": "a"}, "bad_custom_id", ("custom_id",)),
]


def test_a_row_that_is_none_is_named_by_its_line(home: Home, stub: Stub) -> None:
    done = batch(home, rows=[{"prompt": "good"}, *(row for row, _, _ in BAD)])
    assert (done.code, len(lines_of(home)), len(stub.requests)) == (10, 1, 1)
    found = [(f["x_nemocli"]["where"], f["error"]) for f in failures_of(home)]
    for number, ((where, error), (_, code, words)) in enumerate(zip(found, BAD, strict=True), 2):
        assert (where, error["code"]) == (f"in.jsonl:{number}", code)
        assert all(word in error["message"] for word in words), error
    said_once(done, "in.jsonl:2: not JSON")
    said_once(done, "10 bad rows in out.jsonl.errors.jsonl")


def test_a_name_that_comes_twice_is_said_and_both_are_asked(home: Home, stub: Stub) -> None:
    done = batch(home, rows=[{"custom_id": "a", "prompt": "1"}, {"custom_id": "a", "prompt": "2"}])
    assert (done.code, len(lines_of(home))) == (0, 2)
    said_once(done, "in.jsonl:2", "custom_id 'a' was used before")


def test_a_row_over_the_context_is_not_sent(home: Home, stub: Stub) -> None:
    write_rows(home, [{"prompt": "x" * 8_000_000}, {"prompt": "short"}])
    line = ("batch", "run", "in.jsonl", "-o", "out.jsonl", "-p", "stub", "-m", "nemotron-3-ultra")
    done = run(*line, home=home)
    assert (done.code, len(stub.requests)) == (10, 1)
    assert failures_of(home)[0]["error"]["code"] == "over_context"
    said_once(done, "in.jsonl:1", "above the context")


def test_a_row_of_50_mb_is_sent_like_any_other(home: Home, stub: Stub) -> None:
    stub.script(Each(lambda request: echo(request) if len(request.body) < 1e6 else echo_short()))
    done = batch(home, rows=[{"prompt": "x" * 50_000_000}])
    assert done.code == 0, done.err
    assert len(stub.requests[0].body) > 50_000_000


def echo_short():
    from tests.servers.answer import Answer

    return Answer("long", cost=0.0001)


def test_a_bom_crlf_and_a_missing_last_line_end_make_no_difference(home: Home, stub: Stub) -> None:
    text = b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n{"prompt": "b"}'
    (home.cwd / "in.jsonl").write_bytes(text)
    assert batch(home).code == 0
    assert set(answers(home).values()) == {"re: a", "re: b"}


def test_an_input_that_is_not_there(home: Home, stub: Stub) -> None:
    done = batch(home)
    assert done.code == 3
    said_once(done, "in.jsonl", "No such file")
    assert not (home.cwd / "out.jsonl").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_input_that_may_not_be_read(home: Home, stub: Stub) -> None:
    write_rows(home, prompts(1)).chmod(0)
    done = batch(home)
    assert done.code == 3
    said_once(done, "in.jsonl", "Permission denied")


def test_an_output_where_there_is_no_folder(home: Home, stub: Stub) -> None:
    write_rows(home, prompts(1))
    line = ("batch", "run", "in.jsonl", "-o", "no/out.jsonl", "-p", "stub", "-m", "x/anything")
    done = run(*line, home=home)
    assert (done.code, stub.requests) == (3, [])
    said_once(done, "no is no folder")


def test_an_output_that_may_not_be_written(home: Home, stub: Stub, tmp_path: Path) -> None:
    write_rows(home, prompts(1))
    with mounted(tmp_path / "shut", "tmpfs", "ro") as shut:
        line = ("batch", "run", "in.jsonl", "-o", str(shut / "out.jsonl"), "-p", "stub")
        done = run(*line, "-m", "x/anything", home=home)
    assert (done.code, stub.requests) == (3, [])
    said_once(done, "cannot be written")


@pytest.mark.parametrize("order", ["input", pytest.param("completion", marks=pytest.mark.slow)])
def test_a_disk_that_fills_up_loses_nothing(
    home: Home, stub: Stub, tmp_path: Path, order: str
) -> None:
    write_rows(home, [{"prompt": f"{n} " + "w" * 4000} for n in range(200)])
    with mounted(tmp_path / "small", "tmpfs", "size=8m") as small:
        ballast = small / "ballast"
        ballast.write_bytes(bytes(5_300_000))
        out = small / "out.jsonl"
        line = ("batch", "run", "in.jsonl", "-o", str(out), "-p", "stub", "-m", "x/anything")
        done = run(*line, "--order", order, home=home)
        assert done.code == 3, done.err
        said_once(done, "No space left on device")
        said_once(done, "what came meanwhile is in", "run the command again")
        asked = len(stub.requests)
        booked = home.attempts()
        assert len(booked) == asked
        assert {row["status"] for row in booked} == {"ok"}
        ballast.unlink()
        again = run(*line, "--order", order, home=home)
        assert again.code == 0, again.err
        said_once(again, "that had not been written: in the output now")
        found = [json.loads(text)["x_nemocli"]["ordinal"] for text in out.read_text().splitlines()]
    assert sorted(found) == list(range(200))
    assert asked <= len(stub.requests) == len(home.attempts()) == 200
    if order == "input":
        assert found == sorted(found)


def test_a_job_of_another_version_is_left_alone(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(2))
    index = home.cwd / "out.jsonl.nemocli" / "index"
    index.write_bytes(b"nemocli batch 9\n" + index.read_bytes()[16:])
    before = (home.cwd / "out.jsonl").read_bytes()
    done = batch(home)
    assert (done.code, (home.cwd / "out.jsonl").read_bytes()) == (3, before)
    said_once(done, "written by another version")


def test_lines_taken_out_by_hand_are_asked_again(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(4))
    out = home.cwd / "out.jsonl"
    kept = out.read_bytes().splitlines(keepends=True)[1:]
    out.write_bytes(b"".join(kept))
    done = batch(home)
    assert done.code == 0, done.err
    assert sorted(ordinals(home)) == [0, 1, 2, 3]
    assert len(stub.requests) == 5


def test_a_broken_memory_of_the_job_does_not_stop_it(home: Home, stub: Stub) -> None:
    batch(home, rows=prompts(2))
    (home.cwd / "out.jsonl.nemocli" / "job.json").write_text("{nonsense")
    assert batch(home).code == 0
    assert len(stub.requests) == 2


def test_control_characters_in_rows_reach_no_terminal(home: Home, stub: Stub) -> None:
    done = batch(home, rows=[{"custom_id": "\x1b[31mred", "prompt": "a"}] * 2)
    assert done.code == 0
    assert "\x1b" not in done.err
    shown = run("batch", "show", "out.jsonl", home=home)
    assert "\x1b" not in shown.text


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (("--spread", "luck"), "--spread"),
        (("--order", "random"), "--order"),
        (("--shard", "3/2"), "--shard"),
        (("--engine", "spark"), "--engine"),
        (("--progress", "loud"), "--progress"),
        (("--template", "{open"), "--template"),
        (("--jinja",), "--jinja"),
        (("--jinja", "--template", "{% if %}"), "--template"),
        (("--format", "xml"), "--format"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_happens(
    home: Home, stub: Stub, given: tuple[str, ...], word: str
) -> None:
    done = batch(home, *given, rows=prompts(1))
    assert (done.code, stub.requests) == (2, [])
    said_once(done, word)


def test_jobs_that_are_not_there(home: Home) -> None:
    for what in ("status", "show", "retry"):
        done = run("batch", what, "nothing.jsonl", home=home)
        assert done.code == 2
        said_once(done, "no batch job wrote nothing.jsonl")


# What the first rows decide is refused before anything is written


REFUSED = [
    ("in.csv", "name,age\nAda,36\nBob,40\n", ("--template", "Greet {nme}."), 3,
     ("in.csv", "no column 'nme'", "name, age")),
    ("in.csv", "name,age\nAda,36\n", (), 3, ("in.csv", "no prompt", "name, age")),
    ("in.tsv", "who\tage\nAda\t36\n", ("--template", "{name}"), 3,
     ("no column 'name'", "who, age")),
    ("in.jsonl", '{"a": 1}\n{"a": 2}\n', ("--template", "{b}"), 3, ("no column 'b'",)),
    ("in.jsonl", '{"prompt": "a"}\n', ("--schema", '{"type": "nothing"}'), 3, ("--schema",)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "more", "code", "words"), REFUSED)
def test_what_no_row_can_be_asked_with_starts_no_job(
    home: Home, stub: Stub, name: str, text: str, more: tuple[str, ...], code: int,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    (home.cwd / name).write_text(text)
    line = ("batch", "run", name, "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
    done = run(*line, *more, home=home)
    assert done.code == code, done.err
    said_once(done, *words)
    assert sorted(p.name for p in home.cwd.iterdir()) == [name]
    assert stub.requests == []


def test_a_wrong_column_is_guessed(home: Home, stub: Stub) -> None:
    (home.cwd / "in.csv").write_text("name,age\nAda,36\n")
    line = ("batch", "run", "in.csv", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything")
    said_once(run(*line, "--template", "Greet {nme}.", home=home), "did you mean {name}?")
    assert run(*line, "--template", "Greet {name}.", home=home).code == 0


def test_a_column_that_some_rows_lack_costs_those_rows(home: Home, stub: Stub) -> None:
    rows = [{"a": "x"}, {"b": "y"}]
    done = batch(home, "--template", "{a}", rows=rows)
    assert (done.code, len(lines_of(home)), len(failures_of(home))) == (10, 1, 1)


def test_a_provider_without_a_key_starts_no_job(home: Home) -> None:
    home.provider("stub", "http://127.0.0.1:9/v1", key=None)
    done = batch(home, rows=prompts(2))
    assert done.code == 4
    said_once(done, "no key for stub")
    assert sorted(p.name for p in home.cwd.iterdir()) == ["in.jsonl"]
