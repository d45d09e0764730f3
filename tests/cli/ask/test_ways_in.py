"""How a question, a key and a proxy come in, and how the answer goes out."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys

import pytest

from tests.cli.ask.test_ask_basics import ASK
from tests.run import KEY, Home, argv, run, spawn
from tests.screen import Terminal
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub


def shell(line: str, home: Home, **extra: str) -> subprocess.CompletedProcess[bytes]:
    """A line of a shell in which `nemocli` is the program."""
    program = " ".join(argv())
    return subprocess.run(
        ["sh", "-c", f'nemocli() {{ {program} "$@"; }}; {line}'],
        cwd=home.cwd, env=home.environment(extra), capture_output=True, timeout=120, check=False,
    )  # fmt: skip


# In


def test_a_pipe_that_is_slow_to_begin_goes_along(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        done = shell(f"(sleep 0.3; echo late) | nemocli {' '.join(ASK)} 'sum up'", home)
        (request,) = stub.asked()
    assert done.returncode == 0, done.stderr
    assert request.json["messages"][-1]["content"] == "sum up\n\nlate"


def test_a_silent_pipe_is_said_and_then_left(home: Home) -> None:
    ours, theirs = os.pipe()
    with Stub() as stub:
        home.provider("stub", stub.url)
        with spawn(*ASK, "hi", home=home, stdin=ours) as running:
            running.until("waiting for stdin", "err")
            done = running.finish()
        with spawn(*ASK, "-n", "hi", home=home, stdin=ours) as running:
            alone = running.finish()
    os.close(ours)
    os.close(theirs)
    assert (done.code, alone.code) == (0, 0)
    assert "asked without it" in done.err
    assert "waiting for stdin" not in alone.err


def test_a_loop_is_told_what_its_first_call_took_and_how_to_prevent_it(home: Home) -> None:
    (home.cwd / "list").write_text("one\ntwo\nthree\n")
    line = f'while read l; do nemocli {" ".join(ASK)} {{}} "say $l"; done < list'
    with Stub() as stub:
        home.provider("stub", stub.url)
        taken = shell(line.replace("{}", ""), home)
        first = len(stub.asked())
        shell(line.replace("{}", "-n"), home)
        asked = [r.json["messages"][-1]["content"] for r in stub.asked()[first:]]
    assert first == 1
    assert b"10 bytes of stdin" in taken.stderr
    assert b"`-n`" in taken.stderr
    assert asked == ["say one", "say two", "say three"]


PNG = b"\x89PNG\r\n\x1a\n1234"


def test_a_picture_goes_along_where_the_model_may_take_it(home: Home) -> None:
    (home.cwd / "a.png").write_bytes(PNG)
    (home.cwd / "note.txt").write_text("a note\n")
    with Stub() as stub:
        for name, like in (("stub", "openrouter"), ("agent", "perplexity")):
            home.provider(name, stub.url, extends=like)
        files = ("-f", "a.png", "-f", "note.txt")
        assert run(*ASK, "what is it", *files, home=home).code == 0
        assert run("ask", "-p", "agent", "-m", "x/y", "look", "-f", "a.png", home=home).code == 0
        refused = run("ask", "-p", "stub", "-m", "nemotron-3-ultra", "hi", *files, home=home)
        piped = run(*ASK, "hi", home=home, input=PNG)
    chat, responses = (request.json for request in stub.requests)
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    [text, image] = chat["messages"][-1]["content"]
    assert text == {"type": "text", "text": "what is it\n\nnote.txt:\n```\na note\n```"}
    assert image == {"type": "image_url", "image_url": {"url": url}}
    assert responses["input"][-1]["content"] == [
        {"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": url}
    ]  # fmt: skip
    assert (refused.code, "takes no pictures" in refused.err) == (2, True)
    assert (piped.code, "ask -f" in piped.err) == (3, True)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\0b", "NUL byte"),
        ("hello there".encode("utf-16-le"), "UTF-16LE"),
    ],
)
def test_no_bytes_that_are_no_text_are_paid_for(home: Home, data: bytes, said: str) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        piped = run(*ASK, "hi", home=home, input=data)
        (home.cwd / "file").write_bytes(data)
        attached = run(*ASK, "hi", "-f", "file", home=home)
        assert stub.requests == []
    assert (piped.code, attached.code) == (3, 3)
    assert said in piped.err
    assert said in attached.err


def test_a_prompt_in_another_encoding_is_refused(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        done = shell(f"nemocli {' '.join(ASK)} \"$(printf 'caf\\351')\"", home)
        assert stub.requests == []
    assert done.returncode == 2
    assert b"not UTF-8" in done.stderr


@pytest.mark.parametrize(
    "wrapped",
    [
        {"name": "x", "schema": {"type": "object", "required": ["a"]}},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"required": ["a"]}}},
    ],
)
def test_a_schema_in_the_wrapper_of_an_api_is_the_schema(home: Home, wrapped: object) -> None:
    with Stub(Answer("{}")) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--schema", json.dumps(wrapped), "hi", home=home)
    assert done.code == 8
    assert "a" in done.err


# Out


def test_a_closed_stdout_is_found_out_before_the_call(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        done = shell(f"nemocli {' '.join(ASK)} hi >&-", home)
        assert stub.requests == []
    assert done.returncode == 3
    assert b"stdout is closed" in done.stderr


def test_programs_side_by_side_do_not_mix_their_lines(home: Home) -> None:
    answer = Answer("one two three\nfour five six seven", gap_s=0.002)
    with Stub(answer) as stub:
        home.provider("stub", stub.url)
        line = f"seq 6 | xargs -P6 -I@ {' '.join(argv(*ASK))} -n q@"
        done = shell(line, home)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [b"four five six seven"] * 6 + [b"one two three"] * 6


# Home


NOBODY = """
import os, sys
sys.argv = ["nemocli", "cost", "statusline"]
import nemocli.cli.app, nemocli.cli.cost.statusline
from nemocli.core.faults import NemoError
from nemocli.io.paths import paths_from
os.setuid(54321)
for env in ({}, {"NEMOCLI_HOME": "~/x"}):
    try:
        paths_from(env)
    except NemoError as error:
        print(int(error.fault.exit_code), error.fault.hint)
print(nemocli.cli.cost.statusline.print_statusline())
paths_from({f"XDG_{n}_HOME": "/x" for n in ("CONFIG", "DATA", "STATE", "CACHE")})
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_no_home_is_a_configuration_error_that_names_the_variable(home: Home) -> None:
    environment = home.environment()
    for name in ("HOME", "NEMOCLI_HOME"):
        environment.pop(name)
    done = subprocess.run(
        [sys.executable, "-c", NOBODY], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    hints = done.stdout.splitlines()
    assert [line[:2] for line in hints] == ["3 ", "3 ", "Fa"]
    assert "NEMOCLI_HOME" in hints[0]


# Keys


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_around_a_key_are_packaging(home: Home, quote: str) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url, key=f"{quote}{KEY}{quote}")
        done = run(*ASK, "hi", home=home)
        (request,) = stub.asked()
    assert done.code == 0
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "quotes" in done.err


@pytest.mark.parametrize(
    "value", ["${REAL_KEY}", "$REAL_KEY", f"STUB_API_KEY={KEY}", f"export X={KEY}"]
)
def test_what_an_env_file_left_unread_is_no_key(home: Home, value: str) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url, key=value)
        done = run(*ASK, "hi", home=home)
        stored = run("auth", "login", "stub", "--with-token", "--storage", "file", home=home,
                     input=value)  # fmt: skip
        assert stub.requests == []
    assert (done.code, stored.code) == (4, 4)
    assert KEY not in done.err + stored.err


def test_a_refused_key_is_named_with_what_goes_before_what(home: Home) -> None:
    with Stub(Status(401, {"error": {"message": "bad key", "code": 401}})) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--json", "hi", home=home)
    assert "the key from STUB_API_KEY" in done.error()["message"]
    assert "before a stored one" in done.error()["hint"]


# Addresses, waits, files


def test_a_wrong_route_is_shown_and_a_relative_redirect_named(home: Home) -> None:
    with Stub(Status(404, "Not Found")) as stub:
        home.provider("stub", stub.url + "/extra")
        done = run(*ASK, "--json", "hi", home=home)
        stub.on("", Status(301, "", headers={"location": "/login?next=x"}))
        moved = run(*ASK, "--json", "hi", home=home)
    assert "/v1/extra/chat/completions" in done.error()["message"]
    assert "base_url" in done.error()["hint"]
    assert "/login;" in moved.error()["message"]


def test_a_long_wait_is_said_in_words_and_in_seconds(home: Home) -> None:
    with Stub(Status(429, "", retry_after=3600)) as stub:
        home.provider("stub", stub.url)
        told = run(*ASK, "hi", home=home)
        done = run(*ASK, "--json", "hi", home=home)
    assert done.code == 6
    assert done.error()["retry_after_s"] == 3600
    assert re.search(r"60 min|1 h", told.err)


def test_a_broken_profile_costs_only_what_it_describes(home: Home) -> None:
    folder = home.folder / "profiles" / "providers"
    with Stub() as stub:
        home.provider("stub", stub.url)
        (folder / "nvidia.yaml").write_text("dialect: [\n")
        bare = run(home=home)
        done = run("ask", "-p", "stub", "-m", "x/anything", "hi", home=home)
        free = run("ask", "--offline", "-m", "x/nothing", "hi", home=home)
    assert (bare.code, done.code) == (0, 0), bare.err + done.err
    assert bare.err.count("nvidia.yaml") == 1
    assert "unexpected" not in free.err
    assert free.err.count("nvidia.yaml") == 1


# Proxies


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"all_proxy": "socks://127.0.0.1:1"}, "all_proxy"),
        ({"all_proxy": "socks://127.0.0.1:1", "http_proxy": "{good}"}, None),
        ({"all_proxy": "socks://127.0.0.1:1", "no_proxy": "far.invalid"}, "far.invalid"),
        ({"https_proxy": "socks://127.0.0.1:1", "http_proxy": "{good}"}, None),
    ],
    ids=["asked", "beside a good one", "not asked", "of another scheme"],
)
def test_only_the_proxy_that_would_be_asked_can_be_wrong(
    home: Home, variables: dict[str, str], fault: str | None
) -> None:
    with Stub(Answer("by proxy")) as stub:
        home.provider(
            "stub", "http://far.invalid/v1", auth={"env": ["STUB_API_KEY"], "allow_http": True}
        )
        good = stub.origin
        home.env |= {name: value.format(good=good) for name, value in variables.items()}
        done = run(*ASK, "--json", "hi", home=home)
    if fault is None:
        assert done.code == 0, done.err
    else:
        assert done.code in (3, 7)
        assert fault in done.err


def test_a_run_of_many_calls_is_summed_up_unless_all_are_wanted(home: Home) -> None:
    (home.cwd / "in.txt").write_text("".join(f"row {n}\n" for n in range(20)))
    with Stub(Answer("yes", whole=True)) as stub:
        home.provider("stub", stub.url)
        done = run("batch", "run", "in.txt", "-o", "out.jsonl", "-p", "stub", "-m", "x/anything",
                   home=home)  # fmt: skip
    assert done.code == 0, done.err
    short = run("cost", "explain", "last", home=home).text.splitlines()
    every = run("cost", "explain", "last", "--all", home=home).text.splitlines()
    assert len(short) < 10 < 60 < len(every)
    assert "20 calls" in short[0]
    assert len(run("cost", "explain", "last", "--json", home=home).json()["calls"]) == 20


def test_bare_words_get_a_hint_to_quote(home: Home) -> None:
    done = run("ask", "what", "is", "that", home=home)
    assert done.code == 2
    assert "quotes" in done.err


def test_a_misspelt_model_is_named_before_a_call(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url)
        done = run("ask", "-p", "stub", "-m", "nemotron-3-utlra", "--json", "hi", home=home)
        assert stub.requests == []
    assert done.code == 2
    assert done.error()["hint"] == "did you mean `nemotron-3-ultra`?"


def test_shown_reasoning_is_not_drawn_over(home: Home) -> None:
    """A second passes between its pieces, in which the waiting line would be drawn."""
    answer = Answer("The answer.", reasoning="one two three four", piece=10, delay_s=1.1, gap_s=0.6)
    with Stub(answer) as stub:
        home.provider("stub", stub.url)
        line = ("ask", "-p", "stub", "-m", "x/any", "--show-reasoning", "hi")
        with Terminal(*line, home=home) as terminal:
            terminal.until("to first token")
            text = "\n".join(terminal.lines())
    assert "one two three four" in text
    assert "The answer." in text
