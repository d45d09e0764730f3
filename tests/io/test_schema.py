"""What `--schema` was given, and whether an answer satisfies it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import ExitCode, NemoError
from nemocli.io.schema import schema_argument, validator

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_a_schema_may_be_inline_a_file_or_fields(tmp_path: Path) -> None:
    file = tmp_path / "person.json"
    file.write_text(json.dumps(PERSON))
    assert schema_argument(json.dumps(PERSON)) == PERSON
    assert schema_argument(str(file)) == PERSON
    assert schema_argument(f"@{file}") == PERSON
    assert schema_argument("name, age int")["required"] == ["name", "age"]


@pytest.mark.parametrize(
    ("text", "said", "code"),
    [
        ('{"type": }', r"--schema:1:10", 3),
        ("[1, 2", "--schema", 2),
        ("nowhere.json", "no such file", 2),
        ("@nowhere", "no such file", 2),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str, code: int) -> None:
    with pytest.raises(NemoError, match=said) as caught:
        schema_argument(text)
    assert caught.value.fault.exit_code == code


def test_a_list_is_no_schema(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("[1]")
    with pytest.raises(NemoError, match="is an object"):
        schema_argument(str(file))


@pytest.mark.parametrize("schema", [{"type": "strin"}, {"properties": []}, {"minimum": "x"}])
def test_a_schema_that_is_none_is_refused_before_a_call(schema: dict) -> None:
    with pytest.raises(NemoError) as caught:
        validator(schema)
    assert caught.value.fault.exit_code is ExitCode.CONFIG


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"name": "Ada", "age": 36}', None),
        ('{"name": "Ada", "age": -1}', "at /age"),
        ('{"age": 1}', "'name' is a required property"),
        ('{"name": "Ada", "more": 1}', "more"),
        ("Ada", "not JSON"),
        ('{"name": "Ada", "age": NaN}', "NaN"),
        ("[" * 100_000, "deep"),
    ],
)
def test_an_answer_is_told_what_is_wrong_with_it(text: str, wrong: str | None) -> None:
    found = validator(PERSON)(text)
    assert bool(found) == (wrong is not None)
    assert wrong is None or wrong in found[0]


def test_complaints_cannot_drive_a_terminal() -> None:
    (line,) = validator({"type": "integer"})(json.dumps("\x1b[2J\u202e"))
    assert not set("\x1b\u202e") & set(line)


def test_nothing_is_fetched_for_a_reference() -> None:
    check = validator({"$ref": "http://127.0.0.1:1/schema.json"})
    with pytest.raises(NemoError, match="--schema") as caught:
        check("1")
    assert caught.value.fault.exit_code is ExitCode.CONFIG


@given(st.text(max_size=200))
def test_any_text_is_judged_and_nothing_raised(text: str) -> None:
    assert isinstance(validator(PERSON)(text), list)
