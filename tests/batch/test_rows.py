"""Records to rows: what each form of input asks, and one clear line for what asks nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemocli.batch.rows import Bad, Row, columns_of, fill, row_of
from nemocli.batch.spec import Spec
from nemocli.core.faults import NemoError
from nemocli.core.records import Record
from nemocli.io.batch.inputs import inputs_of

CHAT = {"model": "x/any", "messages": [{"role": "user", "content": "hi"}]}
ITEM = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": CHAT}


def row(value: Any, spec: Spec | None = None, ordinal: int = 0) -> Row | Bad:
    line = value if isinstance(value, bytes) else json.dumps(value).encode()
    return row_of(Record(ordinal, f"in:{ordinal + 1}", b"12345678", 1, line), spec or Spec())


def good(value: Any, spec: Spec | None = None) -> Row:
    found = row(value, spec)
    assert isinstance(found, Row), found
    return found


def bad(value: Any, spec: Spec | None = None) -> Bad:
    found = row(value, spec)
    assert isinstance(found, Bad), found
    return found


def read(path: Path, data: bytes, **given: Any) -> list[Record]:
    path.write_bytes(data)
    return list(inputs_of([str(path)], **given))


# What a row asks


def test_a_line_of_an_openai_batch_is_taken_as_it_is() -> None:
    found = good({**ITEM, "extra": 1})
    assert (found.custom_id, found.named, found.kind) == ("a", True, "chat")
    assert (found.body, found.model) == (CHAT, "x/any")


@pytest.mark.parametrize("number", [2**63 - 1, 2**64, -(2**63) - 1, 10**40])
def test_an_integer_stays_one_however_long_it_is(number: int) -> None:
    body = {**CHAT, "metadata": {"n": number}}
    assert good({**ITEM, "body": body}).body["metadata"] == {"n": number}


def test_a_plain_object_is_a_prompt_with_its_overrides() -> None:
    found = good({"prompt": "hi", "temperature": 0.5, "system": "Be brief.", "reasoning": "off"})
    assert found.body == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ],
        "temperature": 0.5,
    }
    assert (found.custom_id, found.named, found.reasoning) == ("row-1", False, "off")


def test_what_the_job_sets_gives_way_to_the_row() -> None:
    spec = Spec(system="S", max_tokens=9, options={"top_k": 1, "temperature": 0})
    found = good({"prompt": "hi", "temperature": 1, "max_tokens": 5}, spec)
    assert found.body["temperature"] == 1
    assert found.body["max_tokens"] == 5
    assert found.body["top_k"] == 1
    assert found.body["messages"][0] == {"role": "system", "content": "S"}


def test_a_template_is_filled_from_columns() -> None:
    spec = Spec(template="{{{name}}} is {age}, {tags}")
    found = good({"name": "Ada", "age": 36, "tags": ["a"]}, spec)
    assert found.body["messages"] == [{"role": "user", "content": '{Ada} is 36, ["a"]'}]
    assert columns_of(spec.template or "") == ["name", "age", "tags"]


def test_values_are_never_taken_for_templates() -> None:
    assert fill("{a}", {"a": "{b}", "b": "no"}) == "{b}"


def test_the_key_changes_with_what_is_asked_and_with_nothing_else() -> None:
    same = good(ITEM).key
    assert good(json.dumps(ITEM, indent=1).encode()).key == same
    assert good({**ITEM, "custom_id": "b"}).key != same
    assert good({**ITEM, "body": {**CHAT, "seed": 1}}).key != same
    assert good(ITEM, Spec(reasoning="off")).key != same


# What is no row


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        (b"{", "bad_json", "column"),
        (b"[1]", "bad_json", "object"),
        (b'{"a": "\xff"}', "not_utf8", "byte"),
        ({"custom_id": "a", "url": "/v1/chat/completions"}, "missing_body", "no body"),
        ({**ITEM, "url": "/v1/embeddings"}, "bad_url", "/v1/chat/completions"),
        ({**ITEM, "method": "GET"}, "bad_method", "POST"),
        ({**ITEM, "body": {"messages": []}}, "bad_body", "at least one"),
        ({**ITEM, "body": {"messages": [1]}}, "bad_body", "role"),
        ({**ITEM, "custom_id": ["a"]}, "bad_custom_id", "text"),
        ({"name": "Ada"}, "missing_prompt", "--template"),
        ({"prompt": "hi", "temperature": "hot"}, "bad_column", "number"),
        ({"prompt": "hi", "reasoning": "max"}, "bad_column", "one of"),
        (b"[" * 100_000, "bad_json", ""),
    ],
)
def test_what_is_wrong_is_said_with_a_stable_code(value: Any, code: str, said: str) -> None:
    found = bad(value)
    assert found.code == code
    assert said in found.message
    assert "\n" not in found.message


def test_a_column_that_is_not_there_is_named() -> None:
    assert "'nmae'" in bad({"name": "Ada"}, Spec(template="{nmae}")).message


# Files


def test_lines_come_with_their_place_whatever_ends_them(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"prompt":"a"}\r\n\r\n{"prompt":"b"}\n{"prompt":"c"}'
    found = read(tmp_path / "in.jsonl", data)
    assert [r.where.rpartition(":")[2] for r in found] == ["1", "3", "4"]
    assert [r.ordinal for r in found] == [0, 1, 2]
    assert [r.at for r in found][-1] == len(data)
    assert [r.line for r in found] == [b'{"prompt":"a"}', b'{"prompt":"b"}', b'{"prompt":"c"}']


def test_nul_bytes_are_set_aside(tmp_path: Path) -> None:
    found = read(tmp_path / "in.jsonl", b'{"prompt":"a"}\n{"prompt":"\0"}\n')
    assert [r.problem and r.problem[0] for r in found] == [None, "bad_json"]


def test_a_line_of_50_mb_is_read(tmp_path: Path) -> None:
    data = b'{"prompt":"' + b"a" * 50_000_000 + b'"}\n{"prompt":"b"}\n'
    assert [len(r.line or b"") for r in read(tmp_path / "in.jsonl", data)] == [50_000_013, 14]


def test_csv_and_tsv_have_columns_and_may_break_lines_in_a_field(tmp_path: Path) -> None:
    found = read(tmp_path / "in.csv", b'id,text\n1,"a\nb"\n2,c\n')
    assert [r.values for r in found] == [{"id": "1", "text": "a\nb"}, {"id": "2", "text": "c"}]
    assert [r.where.rpartition(":")[2] for r in found] == ["2", "4"]
    assert read(tmp_path / "in.tsv", b"a\tb\n1\t2\n")[0].values == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("line", "code"), [(b"1", "bad_csv"), (b"1,2,3", "bad_csv"), (b"1,\xff", "not_utf8")]
)
def test_a_bad_line_of_a_csv_is_set_aside(tmp_path: Path, line: bytes, code: str) -> None:
    found = read(tmp_path / "in.csv", b"a,b\n" + line + b"\n3,4\n")
    assert [r.problem and r.problem[0] for r in found] == [code, None]


@pytest.mark.parametrize("head", [b"a,a\n", b"a,\n"])
def test_a_csv_whose_columns_cannot_be_told_apart_is_refused(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(NemoError, match="column"):
        read(tmp_path / "in.csv", head + b"1,2\n")


def test_text_is_a_prompt_a_line(tmp_path: Path) -> None:
    found = read(tmp_path / "in.txt", "eins\n\nzwei\u2028drei\n".encode())
    assert [r.values for r in found] == [{"prompt": "eins"}, {"prompt": "zwei\u2028drei"}]


def test_patterns_and_shards_keep_the_ordinals_of_the_whole(tmp_path: Path) -> None:
    for name in "ba":
        (tmp_path / f"{name}.txt").write_text(f"{name}1\n{name}2\n{name}3\n")
    pattern = str(tmp_path / "*.txt")
    whole = list(inputs_of([pattern]))
    assert [r.values["prompt"] for r in whole if r.values] == ["a1", "a2", "a3", "b1", "b2", "b3"]
    parts = [list(inputs_of([pattern], shard=(i, 4))) for i in range(4)]
    assert sorted(r.ordinal for part in parts for r in part) == [0, 1, 2, 3, 4, 5]
    assert [r.ordinal for r in parts[1]] == [1, 5]


@pytest.mark.parametrize(
    ("name", "said"),
    [("none.jsonl", "cannot read"), ("*.jsonl", "no file"), ("in.doc", "--format")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "in.doc").write_text("x")
    with pytest.raises(NemoError) as caught:
        inputs_of([str(tmp_path / name)])
    assert said in f"{caught.value.fault.message} {caught.value.fault.hint}"
