"""Every way a provider can fail, and what the program makes of it: twice, for eyes and for scripts.

The rows are in failure_rows.py. Each is run as `ask` and as `ask --json`, at the same time, against
servers of their own.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.ask.failure_rows import ROWS, SAID, TEXT, Row
from tests.run import KEY, Done, Home, run
from tests.servers.answer import Answer
from tests.servers.behaviours import Behaviour, Gzip, MidStreamError, Reset, Status, redirect
from tests.servers.certificate import self_signed
from tests.servers.stub import Stub

ASK = ("ask", "-p", "stub", "-m", "x/anything")
ANSWER_FIELDS = {
    "schema", "id", "text", "reasoning", "tool_calls", "citations", "status", "finish_reason",
    "provider", "upstream", "model", "requested_model", "served_model", "usage", "cost", "timing",
    "attempts", "session",
}  # fmt: skip
ERROR_FIELDS = {"code", "exit_code", "message", "hint", "provider", "retryable"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One run: how it ended, who it was, what the server got."""

    done: Done
    home: Home
    stub: Stub


def both(tmp_path: Path, row: Row) -> tuple[Seen, Seen]:
    """The row as a person sees it and as a script does."""

    def one(*extra: str) -> Seen:
        home = Home(tmp_path / ("json" if extra else "plain"))
        with Stub(*row.script) as stub:
            home.provider("stub", stub.url, extends=row.extends, **row.provider)
            return Seen(run(*ASK, *extra, *row.args, "hi", home=home), home, stub)

    with ThreadPoolExecutor(2) as pool:
        plain, scripted = pool.submit(one), pool.submit(one, "--json")
        return plain.result(), scripted.result()


def check_text(text: str, row: Row) -> None:
    if row.partial is None:
        whole = row.script[0].answer.text
        assert text
        assert whole.startswith(text)
    else:
        assert text == row.partial


def check_silent_about_the_key(seen: Seen) -> None:
    assert KEY.encode() not in seen.done.out
    assert KEY not in seen.done.err
    assert seen.home.files_holding(KEY) == []


def check_ledger(seen: Seen, row: Row) -> None:
    rows = seen.home.attempts()
    assert len(rows) == len(seen.stub.asked())
    last = rows[-1]
    assert last["provider"] == "stub"
    assert last["requested_model"] == "x/anything"
    assert last["status"] == row.booked
    assert last["http_status"] == row.http
    assert row.kind is None or last["fault_kind"] == row.kind
    assert [r["attempt"] for r in rows] == list(range(1, len(rows) + 1))
    assert len({r["run_id"] for r in rows}) == 1
    assert (last["cost_pico"] is None) == (last["cost_source"] == "unknown")
    if row.http and row.http >= 300:
        assert {r["cost_pico"] for r in rows} == {0}, "what was turned away cost nothing"


def each_row() -> Iterator[Any]:
    """Every row; of those that end alike only the first two run each time, the others with the
    slow tests."""
    alike: Counter[tuple[int, str | None, tuple[str, ...]]] = Counter()
    for name, row in ROWS.items():
        end = (row.exit, row.kind, row.status)
        alike[end] += 1
        yield pytest.param(row, id=name, marks=[pytest.mark.slow] if alike[end] > 2 else [])


@pytest.mark.parametrize("row", list(each_row()))
def test_the_user_can_tell_what_failed(tmp_path: Path, row: Row) -> None:
    plain, scripted = both(tmp_path, row)

    assert (plain.done.code, scripted.done.code) == (row.exit, row.exit), plain.done.err
    for seen in (plain, scripted):
        assert "Traceback" not in seen.done.err
        assert row.calls is None or len(seen.stub.asked()) == row.calls
        check_silent_about_the_key(seen)
        check_ledger(seen, row)

    check_text(plain.done.text.removesuffix("\n"), row)
    assert plain.done.out == b"" or plain.done.out.endswith(b"\n")
    assert "stub" in plain.done.err

    error = scripted.done.error()
    assert set(error) >= ERROR_FIELDS
    assert error["exit_code"] == row.exit
    assert row.kind is None or error["code"] == row.kind
    assert error["provider"] == "stub"
    assert isinstance(error["retryable"], bool)
    assert error["message"]
    if row.hint is not None:
        assert re.search(row.hint, error["hint"] or "")
        assert re.search(row.hint, plain.done.err)
    if not row.status:
        assert scripted.done.out == b""
        return
    answer = scripted.done.json()
    assert set(answer) >= ANSWER_FIELDS
    assert answer["schema"] == "nemocli.answer/1"
    assert answer["status"] in row.status
    assert (answer["provider"], answer["requested_model"]) == ("stub", "x/anything")
    check_text(answer["text"], row)
    assert [a["provider"] for a in answer["attempts"]] == ["stub"] * len(scripted.stub.asked())
    assert answer["attempts"][-1]["error"]


def test_reasoning_that_led_nowhere_is_kept_for_scripts(home: Home) -> None:
    with Stub(*ROWS["reasoning and no answer"].script) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--json", "hi", home=home)
    assert done.json()["reasoning"] == "Let me think about it."


def test_a_cost_that_was_reported_survives_the_cut(home: Home) -> None:
    with Stub(Answer("Cut at", finish="length", cost=0.000123)) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--json", "hi", home=home)
    assert done.code == 8
    assert done.json()["cost"]["usd"] == "0.000123"
    assert home.attempts()[0]["cost_pico"] == 123_000_000


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Status(500), 500),
        (Status(503, retry_after=0), 503),
        (Status(429, retry_after=1), 429),
        (Status(429, retry_after=1, as_date=True), 429),
        (Status(408), 408),
        (Reset(), None),
        (MidStreamError("int_code", after_events=1), 200),
    ],
)
def test_a_recovered_fault_is_a_success_with_two_rows(
    home: Home, fault: Behaviour, status: int | None
) -> None:
    with Stub(fault, SAID) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--json", "hi", home=home)
    assert done.code == 0, done.err
    answer = done.json()
    assert (answer["status"], answer["text"]) == ("complete", TEXT)
    assert [a["status"] for a in answer["attempts"]] == ["error", "ok"]
    assert [r["status"] for r in home.attempts()] == ["error", "ok"]
    assert [r["http_status"] for r in home.attempts()] == [status, 200]


def test_retry_after_is_waited_for(home: Home) -> None:
    with Stub(Status(429, retry_after=1), SAID) as stub:
        home.provider("stub", stub.url)
        assert run(*ASK, "hi", home=home).code == 0
    first, second = stub.asked()
    assert 1 <= second.at - first.at < 5


def test_a_compressed_answer_is_an_answer(home: Home) -> None:
    with Stub(Gzip(SAID)) as stub:
        home.provider("stub", stub.url)
        assert run(*ASK, "hi", home=home).text == TEXT + "\n"


@contextmanager
def deaf() -> Iterator[str]:
    """The base URL of a port at which nobody listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def check_unreached(home: Home, kind: str, hint: str) -> None:
    plain, scripted = run(*ASK, "hi", home=home), run(*ASK, "--json", "hi", home=home)
    assert (plain.code, scripted.code) == (7, 7), plain.err
    error = scripted.error()
    assert (error["code"], error["provider"], error["retryable"]) == (kind, "stub", False)
    assert re.search(hint, error["hint"])
    assert plain.out == scripted.out == b""
    for row in home.attempts():
        assert (row["status"], row["http_status"]) == ("error", None)
        assert (row["fault_kind"], row["cost_pico"]) == (kind, 0)
    assert len(home.attempts()) == 2, "one attempt each: this does not pass by itself"
    assert home.files_holding(KEY) == []


def test_nobody_listens(home: Home) -> None:
    with deaf() as url:
        home.provider("stub", url)
        check_unreached(home, "connection_refused", r"(?i)start|running|listen")


def test_a_certificate_nobody_vouches_for(home: Home, tmp_path: Path) -> None:
    pair = self_signed(tmp_path)
    if pair is None:
        pytest.skip("neither the cryptography package nor the openssl binary is here")
    with Stub(SAID, tls=pair) as stub:
        home.provider("stub", stub.url)
        check_unreached(home, "tls", r"SSL_CERT_FILE")
        assert stub.requests == [], "the key never left"
        trusting = {"SSL_CERT_FILE": str(pair[0])}
        assert run(*ASK, "hi", home=home, env=trusting).text == TEXT + "\n"


def test_https_to_a_server_without_it(home: Home) -> None:
    with Stub(Answer()) as stub:
        home.provider("stub", stub.url.replace("http:", "https:"))
        done = run(*ASK, "--json", "hi", home=home)
    assert (done.code, done.error()["code"]) == (7, "tls")


def test_a_name_that_does_not_exist(home: Home) -> None:
    home.provider("stub", "https://nobody.invalid/v1")
    done = run(*ASK, "--json", "hi", home=home)
    assert done.code == 7
    assert (done.error()["code"], done.error()["provider"]) == ("network", "stub")
    assert "nobody.invalid" in done.error()["message"]
    assert {r["cost_pico"] for r in home.attempts()} == {0}


def test_a_key_never_follows_a_redirect_to_another_origin(home: Home) -> None:
    with Stub(Answer("stolen")) as thief, Stub(redirect(thief.url + "/chat/completions")) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "--json", "hi", home=home)
    assert done.code == 7, done.err
    assert not any(KEY in str(r.headers) for r in thief.requests)
    assert b"stolen" not in done.out


def test_the_key_stays_out_of_debug_output_and_echoed_errors(home: Home) -> None:
    echo = Status(401, {"error": {"code": 401, "message": f"Incorrect API key provided: {KEY}"}})
    with Stub(echo) as stub:
        home.provider("stub", stub.url)
        plain = run("--debug", *ASK, "hi", home=home)
        scripted = run(*ASK, "--json", "hi", home=home)
    for done in (plain, scripted):
        assert done.code == 4
        assert KEY.encode() not in done.out
        assert KEY not in done.err
    assert home.files_holding(KEY) == []


def test_servers_words_cannot_drive_the_terminal(home: Home) -> None:
    evil: Any = {"error": {"code": 400, "message": "no\x1b[2J\x1b]52;c;AA==\x07\rok \u202egpj"}}
    with Stub(Status(400, evil)) as stub:
        home.provider("stub", stub.url)
        done = run(*ASK, "hi", home=home)
    assert done.code == 2
    assert not set("\x1b\x07\r\u202e") & set(done.err)


def test_no_key_is_a_matter_of_authentication(home: Home) -> None:
    with Stub(Answer()) as stub:
        home.provider("stub", stub.url, key=None)
        done = run(*ASK, "--json", "hi", home=home)
    assert (done.code, done.error()["code"]) == (4, "auth")
    assert re.search(r"STUB_API_KEY.*auth login stub", done.error()["hint"])
    assert stub.requests == []
