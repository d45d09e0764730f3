"""Output lines: what is written is what is read back, and what is booked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.batch.lines import (
    Told,
    answer_line,
    attempt_line,
    attempt_of,
    failure_line,
    on_one_line,
    pack_answer,
    settlement_of,
    unpack_answer,
)
from nemocli.batch.report import COLUMNS, result_of
from nemocli.batch.rows import Bad, Row
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.money import Cost, Pico
from nemocli.core.ports import Entry
from nemocli.core.records import BAD, DONE, FAILED
from nemocli.core.usage import Usage
from nemocli.wire.bulk import dumps

TOLD = Told("run1", "batch", "/src/x", ("a", "b"))
texts = st.text(max_size=20)
maybe = st.none() | texts
counts = st.none() | st.integers(0, 10**9)
picos = st.none() | st.integers(0, 10**15).map(Pico)


@st.composite
def entries(draw: Any) -> Entry:
    failed = draw(st.booleans())
    provider = draw(texts)
    return Entry(
        attempt_id=draw(st.text("abcdef0123456789", min_size=26, max_size=26)),
        run_id=TOLD.run_id,
        attempt=draw(st.integers(1, 9)),
        at=datetime.fromtimestamp(draw(st.integers(0, 2**32)), UTC),
        command=TOLD.command,
        provider=provider,
        model=draw(texts),
        requested_model=draw(texts),
        status="error" if failed else "ok",
        usage=Usage(*(draw(counts) for _ in range(5)), draw(st.sampled_from(["reported"]))),
        cost=Cost(draw(picos), "table", draw(maybe), draw(picos), draw(maybe)),
        served_model=draw(maybe),
        upstream=draw(maybe),
        reply_id=draw(maybe),
        finish_reason=draw(maybe),
        fault=Fault(FaultKind.SERVER, draw(texts), provider=provider) if failed else None,
        http_status=draw(st.none() | st.integers(100, 599)),
        total_s=draw(st.none() | st.integers(0, 10**4).map(lambda n: n / 10)),
        tags=TOLD.tags,
        project=TOLD.project,
        request_id=draw(maybe),
    )


bodies = st.dictionaries(texts, texts | st.integers() | st.none(), max_size=4)


def row(ordinal: int, custom_id: str) -> Row:
    return Row(ordinal, f"in:{ordinal}", custom_id, True, "chat", {}, b"rrrrrrrr", b"kkkkkkkk", 9)


@given(st.integers(0, 10**9), texts, bodies, st.lists(entries(), max_size=3))
def test_an_answer_is_read_back_as_it_was_booked(
    ordinal: int, name: str, body: dict[str, Any], made: list[Entry]
) -> None:
    data = json.dumps(body).encode()
    line = answer_line(row(ordinal, name), data, made, TOLD, status="ok")
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    found = settlement_of(line)
    assert (found.ordinal, found.raw, found.key, found.state) == (
        ordinal, b"rrrrrrrr", b"kkkkkkkk", DONE,
    )  # fmt: skip
    assert found.entries == tuple(made)
    said = json.loads(line)
    assert (said["custom_id"], said["response"]["body"], said["error"]) == (name, body, None)
    assert set(COLUMNS) == {f for f in dir(result_of(line)) if not f.startswith("_")}


@given(st.integers(0, 10**9), texts, bodies, entries())
def test_an_answer_that_was_packed_is_the_same_line(
    ordinal: int, name: str, body: dict[str, Any], made: Entry
) -> None:
    made = replace(made, fault=None, status="ok")
    data, asked = json.dumps(body).encode(), row(ordinal, name)
    line, settled = unpack_answer(pack_answer(asked, data, made, dumps(TOLD.about())))
    assert line == answer_line(asked, data, (made,), TOLD, status="ok")
    assert settled == settlement_of(line)
    for broken in (b"", b"short", b"\0" * 8, b"\2\0\0\0\2\0\0\0[]{}", line):
        with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
            unpack_answer(broken)


@given(texts, st.lists(entries(), max_size=3))
def test_a_failure_too(message: str, made: list[Entry]) -> None:
    found = settlement_of(failure_line(row(3, "x"), "code", message, made, TOLD, body=b"{nonsense"))
    assert (found.state, found.entries) == (FAILED, tuple(made))
    bad = Bad(4, "in:5", "x", b"rrrrrrrr", "bad_json", message)
    assert settlement_of(failure_line(bad, bad.code, bad.message, (), TOLD)).state == BAD


@given(entries())
def test_an_attempt_of_a_row_that_goes_on(made: Entry) -> None:
    assert attempt_of(attempt_line(made, TOLD)) == made


def test_an_answer_that_looks_like_our_own_words_is_no_trap() -> None:
    evil = {"x": ',"error":null,"x_nemocli":{"schema":"nemocli.batch/1"}}'}
    line = answer_line(row(1, "a"), json.dumps(evil).encode(), (), TOLD, status="ok")
    assert settlement_of(line).ordinal == 1
    assert json.loads(line)["response"]["body"] == evil


def test_a_body_with_raw_line_ends_stays_on_one_line() -> None:
    body = on_one_line(b'{\n "a": "b\tc"\n}')
    line = answer_line(row(1, "a"), body, (), TOLD, status="ok")
    assert line.count(b"\n") == 1
    assert json.loads(line)["response"]["body"] == {"a": "b\tc"}


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{}", b"nonsense", b"[1]", b'{"x_nemocli": {}, "error": null}', b"null",
        b'{"x_nemocli": {"schema": "nemocli.batch/9", "key": "00:00"}, "error": null}',
    ],
)  # fmt: skip
def test_lines_of_others_are_none(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        settlement_of(line)
    with pytest.raises(ValueError, match=r"\w"):
        result_of(line)


@given(st.binary(max_size=300))
def test_no_line_makes_reading_fail_otherwise(line: bytes) -> None:
    for read in (settlement_of, result_of):
        try:
            read(line)
        except ValueError:
            continue
