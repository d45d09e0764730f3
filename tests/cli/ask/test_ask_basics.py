"""`ask` as a good citizen of the shell: what it reads, where it writes, how it stops."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run import KEY, Done, Home, argv, run, run_pty, spawn
from tests.servers.answer import HOSTILE, Answer, crlf, giant_line, odd_chunks, split_utf8
from tests.servers.behaviours import BigStream, Cut, Stall, Status
from tests.servers.stub import Stub

ASK = ("ask", "-p", "stub", "-m", "x/anything")
NEVER = {
    "ESC": b"\x1b", "BEL": b"\x07", "CR in a line": b"over\rwritten", "BS": b"\x08",
    "DEL": b"\x7f", "bidi override": "\u202e".encode(), "C1": "\x9b".encode(),
}  # fmt: skip


@pytest.fixture
def stub(home: Home) -> Iterator[Stub]:
    """A server that answers, known to the user as `stub`."""
    with Stub(Answer("Hello, world.", cost=0.000123, upstream="NVIDIA")) as server:
        home.provider("stub", server.url)
        yield server


def prompt_of(stub: Stub) -> str:
    """What the server was asked last."""
    message = stub.asked()[-1].json["messages"][-1]
    assert message["role"] == "user"
    return message["content"]


# What goes out


def test_asks_for_exactly_what_was_typed(home: Home, stub: Stub) -> None:
    done = run(*ASK, "-s", "Be brief.", "-o", "top_k=20", "--max-tokens", "64", "hi", home=home)
    assert done.code == 0, done.err
    (request,) = stub.asked()
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"].startswith("nemocli/")
    body = request.json
    assert (body["model"], body["stream"]) == ("x/anything", True)
    assert (body["top_k"], body["max_tokens"]) == (20, 64)
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


# What comes in


def test_prompt_and_pipe_are_combined(home: Home, stub: Stub) -> None:
    assert run(*ASK, "Sum this up:", home=home, input="line one\nline two\n").code == 0
    assert "Sum this up:" in prompt_of(stub)
    assert "line one\nline two" in prompt_of(stub)


@pytest.mark.parametrize("args", [("-",), ()])
def test_the_prompt_may_come_from_stdin_alone(home: Home, stub: Stub, args: tuple[str]) -> None:
    assert run(*ASK, *args, home=home, input="Tell me.\n").code == 0
    assert prompt_of(stub).strip() == "Tell me."


def test_stdin_may_be_a_file(home: Home, stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("from a file\n")
    with (tmp_path / "in.txt").open() as source:
        assert run(*ASK, "Read:", home=home, stdin=source).code == 0
    assert "from a file" in prompt_of(stub)


def test_an_idle_pipe_does_not_hang_it(home: Home, stub: Stub) -> None:
    done = run(*ASK, "hi", home=home, stdin=subprocess.PIPE, timeout=60)
    assert (done.code, prompt_of(stub)) == (0, "hi")


def test_a_slow_pipe_is_waited_for_when_asked(home: Home, stub: Stub) -> None:
    with spawn(*ASK, "-", home=home, stdin=subprocess.PIPE) as running:
        assert running.process.stdin is not None
        running.process.stdin.write(b"first ")
        running.process.stdin.flush()
        time.sleep(0.5)
        running.process.stdin.write(b"second")
        running.process.stdin.close()
        assert running.finish().code == 0
    assert prompt_of(stub).strip() == "first second"


def test_closed_stdin_is_no_stdin(home: Home, stub: Stub) -> None:
    line = ["sh", "-c", 'exec "$@" <&-', "sh", *argv(*ASK, "hi")]
    done = run(home=home, line=line)
    assert (done.code, prompt_of(stub)) == (0, "hi")


def test_several_answers_are_not_paid_for_to_show_one(home: Home, stub: Stub) -> None:
    done = run("ask", "hi", "-p", "stub", "-m", "x", "-O", "n=3", home=home)
    assert done.code == 2
    assert "one answer at a time" in done.err
    assert stub.requests == []


def test_nothing_to_ask_is_a_usage_error_with_help(home: Home, stub: Stub) -> None:
    on_terminal = run_pty(*ASK, home=home, timeout=15)
    assert on_terminal.code == 2
    assert "ask" in on_terminal.text
    empty = run(*ASK, home=home, input="")
    assert empty.code == 2
    assert empty.out == b""
    assert stub.requests == []


def test_files_are_attached_by_name(home: Home, stub: Stub) -> None:
    (home.cwd / "notes.txt").write_text("the moon is far\n")
    assert run(*ASK, "-f", "notes.txt", "Sum up.", home=home).code == 0
    assert "the moon is far" in prompt_of(stub)
    assert "notes.txt" in prompt_of(stub)
    missing = run(*ASK, "-f", "nothing.txt", "Sum up.", home=home)
    assert missing.code in (2, 3)
    assert "nothing.txt" in missing.err
    assert len(stub.asked()) == 1


# What comes out


def test_stdout_is_the_answer_and_the_receipt_is_elsewhere(home: Home, stub: Stub) -> None:
    done = run(*ASK, "hi", home=home)
    assert done.out == b"Hello, world.\n"
    receipt = done.err.strip()
    assert "\n" not in receipt
    for part in ("stub", "x/anything", "10", "5", "$0.000123", "reported"):
        assert part in receipt
    assert re.search(r"\d(\.\d+)? ?m?s\b", receipt)


@pytest.mark.parametrize(
    "answer",
    [
        crlf(), odd_chunks(), split_utf8(), giant_line(1_000_000),
        Answer("a\r\n\n  b  \u2028 c\n\n"), Answer("# Title\n\n* **bold**\n"),
        Answer("x", garbage="data: {broken\n\n"), Answer("x", framing="close"),
        Answer("x", empty_choices=True, comments=3), Answer("x", usage_place="finish"),
        Answer("x", usage=None), Answer("x", done=False), Answer("x", whole=True),
    ],
    ids=str,
)  # fmt: skip
def test_a_pipe_gets_the_answer_as_it_came(home: Home, answer: Answer) -> None:
    with Stub(answer) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "hi", home=home)
    assert done.code == 0, done.err
    expected = answer.text if answer.text.endswith("\n") else answer.text + "\n"
    assert done.out.decode() == expected


def test_control_characters_reach_a_pipe_and_no_terminal(home: Home) -> None:
    with Stub(Answer(HOSTILE, reasoning=HOSTILE, piece=3, model=HOSTILE, upstream="\x1b[5m")) as s:
        home.provider("stub", s.url)
        piped = run(*ASK, "hi", home=home)
        scripted = run(*ASK, "--json", "hi", home=home)
        shown = run_pty("--color", "never", *ASK, "hi", home=home)
    assert piped.out.decode() == HOSTILE + "\n"
    assert scripted.json()["text"] == HOSTILE
    assert shown.code == 0
    assert [name for name, seq in NEVER.items() if seq in shown.seen] == []
    for word in ("red", "written", "gnp.exe", "hidden", "tab"):
        assert word in shown.text


@pytest.mark.slow
def test_colour_follows_the_terminal_and_the_users_word(home: Home) -> None:
    with Stub(Status(401, {"error": {"code": 401, "message": "no"}})) as stub:
        home.provider("stub", stub.url)
        on_terminal = run_pty(*ASK, "hi", home=home).seen
        without = [
            run_pty(*ASK, "hi", home=home, env={"NO_COLOR": "1"}).seen,
            run_pty(*ASK, "hi", home=home, env={"TERM": "dumb"}).seen,
            run_pty("--color", "never", *ASK, "hi", home=home).seen,
            run(*ASK, "hi", home=home).err.encode(),
        ]
        forced = run(*ASK, "hi", home=home, env={"FORCE_COLOR": "1"}).err
        always = run("--color", "always", *ASK, "hi", home=home).err
        refused = run(*ASK, "hi", home=home, env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).err
    assert b"\x1b[" in on_terminal
    assert [b"\x1b" in seen for seen in without] == [False] * 4
    assert "\x1b[" in forced
    assert "\x1b[" in always
    assert "\x1b" not in refused


def test_each_stream_is_judged_by_its_own_terminal(home: Home, stub: Stub) -> None:
    done = run_pty(*ASK, "hi", home=home, streams=("stdin", "stderr"))
    assert done.out == b"Hello, world.\n"
    assert b"Hello" not in done.seen
    assert b"stub" in done.seen


def test_a_full_disk_is_an_error(home: Home, stub: Stub) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    for args in ((*ASK, "hi"), (*ASK, "hi", "--json"), ("--version",), ("cost",)):
        with Path("/dev/full").open("wb") as full:
            done = run(*args, home=home, stdout=full)
        assert done.code not in (0, -13, 141)
        assert "Traceback" not in done.err
        assert "Exception ignored" not in done.err
    assert {r["status"] for r in home.attempts()} <= {"ok", "aborted"}
    assert len(home.attempts()) == 2


def check_quiet(done: Done) -> None:
    for noise in ("Traceback", "BrokenPipe", "Broken pipe", "Exception ignored", "Bad file"):
        assert noise not in done.err
    assert done.code not in (1, 120)


def test_a_reader_that_leaves_early_is_no_drama(home: Home) -> None:
    with Stub(BigStream(2_000_000, 1000)) as stub:
        home.provider("stub", stub.url)
        head = '"$@" | head -c 10; exit "${PIPESTATUS[0]}"'
        done = run(home=home, line=["bash", "-c", head, "bash", *argv(*ASK, "hi")])
    check_quiet(done)
    assert done.out == b"y" * 10


def test_a_stdout_that_was_never_open_is_quiet_too(home: Home, stub: Stub) -> None:
    done = run(home=home, line=["sh", "-c", 'exec "$@" >&-', "sh", *argv(*ASK, "hi")])
    check_quiet(done)


# Stopping


@pytest.mark.parametrize("extra", [(), ("--json",), ("--jsonl",)])
def test_an_interrupt_keeps_what_came(home: Home, extra: tuple[str, ...]) -> None:
    with Stub(Stall(after_events=3, answer=Answer("One two three"))) as stub:
        home.provider("stub", stub.url)
        with spawn(*ASK, *extra, "hi", home=home) as running:
            stub.wait_for(1)
            if extra != ("--json",):
                running.until("two")
            else:
                time.sleep(0.5)  # it shows nothing before the end, so nothing can be waited for
            running.interrupt()
            done = running.finish(15)
        assert stub.requests[0].gone.wait(5), "the server was told to stop"
    assert done.code == 130
    assert "Traceback" not in done.err
    (row,) = home.attempts()
    assert (row["status"], row["http_status"]) == ("aborted", 200)
    match extra:
        case ("--json",):
            answer = done.json()
            assert (answer["status"], answer["text"]) == ("interrupted", "One two ")
            assert done.error()["code"] == "interrupted"
        case ("--jsonl",):
            assert done.lines()[-1]["type"] == "error"
        case _:
            assert done.out == b"One two \n"


def test_an_interrupt_at_a_terminal_gives_the_prompt_a_line_of_its_own(home: Home) -> None:
    with Stub(Stall(after_events=3, answer=Answer("One two three"))) as stub:
        home.provider("stub", stub.url)
        done = run_pty(*ASK, "hi", home=home, keys=[("two", b"\x03")], timeout=20)
    assert done.code == 130
    assert "One two" in done.text
    assert done.text.endswith("\n")


# For programs


def test_json_says_all_there_is_to_say(home: Home, stub: Stub) -> None:
    done = run(*ASK, "--json", "hi", home=home)
    answer = done.json()
    assert (answer["schema"], answer["status"]) == ("nemocli.answer/1", "complete")
    assert (answer["text"], answer["reasoning"]) == ("Hello, world.", "")
    assert (answer["finish_reason"], answer["upstream"]) == ("stop", "NVIDIA")
    assert (answer["provider"], answer["served_model"]) == ("stub", "x/anything")
    assert (answer["tool_calls"], answer["citations"]) == ([], [])
    usage, cost = answer["usage"], answer["cost"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["source"]) == (10, 5, "reported")
    assert (cost["usd"], cost["source"]) == ("0.000123", "reported")
    assert 0 < answer["timing"]["ttft_s"] <= answer["timing"]["total_s"]
    (attempt,) = answer["attempts"]
    assert attempt == {"provider": "stub", "status": "ok", "http_status": 200, "error": None}


@pytest.mark.parametrize(
    ("behaviour", "last", "code"),
    [(Answer("Hi there", reasoning="Hm."), "done", 0), (Cut(after_events=3), "error", 8)],
)
def test_jsonl_counts_its_events_and_always_closes(
    home: Home, behaviour: Answer, last: str, code: int
) -> None:
    with Stub(behaviour) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--jsonl", "hi", home=home)
    events = done.lines()
    assert done.code == code
    assert [e["seq"] for e in events] == list(
        range(events[0]["seq"], events[0]["seq"] + len(events))
    )
    kinds = [e["type"] for e in events]
    assert (kinds[-1], kinds.count("done") + kinds.count("error")) == (last, 1)
    text = "".join(e.get("text", "") for e in events if e["type"] == "text")
    assert text == ("Hi there" if code == 0 else "Hello, w")


def test_extracts_the_code_and_nothing_else(home: Home) -> None:
    with Stub(Answer("Sure:\n\n```python\nprint(1)\n```\n\nThat prints 1.")) as stub:
        home.provider("stub", stub.url)
        assert run(*ASK, "-x", "code", home=home).out == b"print(1)\n"


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


def test_an_answer_that_misses_the_schema_is_repaired_once(home: Home) -> None:
    with Stub(Answer('{"n": "one"}', cost=0.001), Answer('{"n": 1}', cost=0.002)) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--schema", json.dumps(SCHEMA), "hi", home=home)
    assert (done.code, done.json()) == (0, {"n": 1})
    assert len(stub.asked()) == 2
    repair = json.dumps(stub.asked()[1].json["messages"])
    assert "integer" in repair
    assert [r["cost_pico"] for r in home.attempts()] == [10**9, 2 * 10**9]


def test_an_answer_that_still_misses_the_schema_is_incomplete(home: Home) -> None:
    with Stub(Answer("I would rather not.")) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--json", "--schema", json.dumps(SCHEMA), "hi", home=home)
    assert (done.code, done.error()["code"]) == (8, "schema_mismatch")
    assert len(stub.asked()) == 2
    assert len(home.attempts()) == 2


# Size


@pytest.mark.slow
def test_a_hundred_megabytes_take_a_flat_amount_of_memory(home: Home, tmp_path: Path) -> None:
    size = 100_000_000
    out = tmp_path / "out"
    with Stub(BigStream(size)) as stub, out.open("wb") as sink:
        home.provider("stub", stub.url)
        with spawn(*ASK, "--no-log", "hi", home=home, stdout=sink) as running:
            early = peak = 0
            while running.process.poll() is None:
                now = running.memory_kb() or 0
                peak = max(peak, now)
                if not early and out.stat().st_size > size // 20:
                    early = now
                time.sleep(0.02)
            done = running.finish()
    assert done.code == 0, done.err
    assert out.stat().st_size in (size, size + 1)
    assert early
    assert peak - early < 16_000, f"grew from {early} to {peak} kB"


def test_body_fields_are_spelt_with_a_large_o_and_the_old_way_still_works(home: Home) -> None:
    with Stub(Answer("Hi.")) as stub:
        home.provider("stub", stub.url)
        new = run("ask", "-p", "stub", "hello", "-O", "top_k=3", home=home)
        old = run("ask", "-p", "stub", "hello", "-o", "top_k=4", home=home)
        assert [r.json["top_k"] for r in stub.requests] == [3, 4]
    assert "-O K=V" not in new.err
    assert "a body field is `-O K=V` now" in old.err
