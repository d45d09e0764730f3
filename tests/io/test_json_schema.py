"""What `--schema` was given, and whether an answer satisfies it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from nemocli.core.faults import ExitCode, NemoError
from nemocli.io.json_schema import schema_argument, validator

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
KEYWORDS = st.sampled_from(
    [*Draft202012Validator.VALIDATORS, "$id", "$anchor", "$defs", "$schema", "a"]
) | st.text(max_size=3)


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


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#/type", "type": "object"},
        {"properties": {"a": {"items": {"$dynamicRef": "other.json#x"}}}},
        {"$id": "http://[", "$ref": "#/a"},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
    ],
    ids=str,
)
def test_nothing_is_fetched_and_every_reference_leads_somewhere(schema: dict) -> None:
    with pytest.raises(NemoError, match="--schema") as caught:
        validator(schema)
    assert caught.value.fault.exit_code is ExitCode.CONFIG


def test_a_schema_may_refer_to_itself() -> None:
    tree = {"type": "array", "items": {"$ref": "#"}, "$schema": DRAFT_7}
    check = validator(tree)
    assert check("[[], [[]]]") == []
    assert check("[[1.0]]") == ["at /0/0: 1.0 is not of type 'array'"]
    assert validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})('{"type": 1}')


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("(", "/pattern"),
        ("a{99999999999999}", "large"),
    ],
)
def test_a_pattern_that_is_none_is_refused(text: str, where: str) -> None:
    with pytest.raises(NemoError, match=where) as caught:
        validator({"pattern": text})
    assert caught.value.fault.exit_code is ExitCode.CONFIG


def test_the_draft_a_schema_names_is_the_one_it_is_read_by() -> None:
    pair = {"items": [{"type": "integer"}], "$schema": DRAFT_7}
    assert validator(pair)('["a"]')
    assert validator({**pair, "$schema": DRAFT_7.rstrip("#")})('["a"]')
    for unknown in (5, "http://127.0.0.1:1/draft", {}):
        with pytest.raises(NemoError, match="no known draft"):
            validator({"$schema": unknown})


@pytest.mark.parametrize(
    ("schema", "text", "good"),
    [
        ({"multipleOf": 0.1}, "0.3", True),
        ({"multipleOf": 0.01}, "19.999", False),
        ({"const": 0.1}, "0.1", True),
        ({"minimum": 0.1}, "0.1", True),
        ({"maximum": 9007199254740992}, "9007199254740993.0", False),
        ({"type": "integer"}, "9" * 5000, True),
        ({"type": "integer", "multipleOf": 2}, "9" * 5000, False),
        ({"type": "integer"}, "1.0", True),
        ({"type": "integer"}, "1e3", True),
        ({"type": "integer"}, "1.5", False),
        ({"type": "integer"}, "true", False),
        ({"type": "number"}, "1e400", True),
        ({"type": "number"}, "1e99999999999999999999999", False),
        ({"type": "number"}, "9" * 1_000_000, False),
        ({"type": "object"}, '{"a": 1, "a": 2}', True),
    ],
    ids=lambda v: str(v)[:30],
)
def test_numbers_are_compared_as_they_are_written(schema: dict, text: str, good: bool) -> None:
    assert (validator(schema)(text) == []) == good


@pytest.mark.parametrize("text", ['{"minimum": NaN}', '{"a": ' * 5000 + "1" + "}" * 5000])
def test_a_schema_that_json_cannot_say_is_a_fault(text: str) -> None:
    with pytest.raises(NemoError) as caught:
        schema_argument(text)
    assert caught.value.fault.exit_code is ExitCode.CONFIG


@pytest.mark.parametrize("number", ["1e400", "9" * 5000])
def test_a_schema_whose_numbers_no_server_takes_is_a_fault(number: str) -> None:
    with pytest.raises(NemoError) as caught:
        validator(schema_argument(f'{{"maximum": {number}}}'))
    assert caught.value.fault.exit_code is ExitCode.CONFIG


def test_complaints_are_short_and_still_say_what_is_wrong() -> None:
    (line,) = validator({"type": "integer"})(json.dumps("x" * 10_000))
    assert len(line) < 300
    assert line.startswith("at /: 'xxx")
    assert line.endswith("is not of type 'integer'")
    place = validator({"properties": {"a/b": {"type": "null"}}})('{"a/b": 1}')
    assert place[0].startswith("at /a~1b: ")
    assert len(validator({"items": {"type": "null"}})(json.dumps([1] * 1000))) == 20


def test_a_description_may_hold_a_slash() -> None:
    found = schema_argument("speed number: km/h, home: like https://a.example/b.json")
    assert list(found["properties"]) == ["speed", "home"]


def test_fields_may_be_kept_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "person"
    file.write_text("name: first, then last\nage int\n")
    assert schema_argument(f"@{file}")["required"] == ["name", "age"]
    file.write_text("name\nage integr\n")
    with pytest.raises(NemoError, match=r"person: field 2") as caught:
        schema_argument(str(file))
    assert caught.value.fault.exit_code is ExitCode.CONFIG


@given(st.text(max_size=300))
def test_any_argument_is_a_schema_or_a_fault(text: str) -> None:
    with suppress(NemoError):
        validator(schema_argument(text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.dictionaries(KEYWORDS, VALUES, max_size=4), VALUES)
def test_any_object_is_a_schema_or_a_fault(schema: dict, value: object) -> None:
    with suppress(NemoError):
        assert isinstance(validator(schema)(json.dumps(value)), list)


@given(st.text(max_size=200))
def test_any_text_is_judged_and_nothing_raised(text: str) -> None:
    assert isinstance(validator(PERSON)(text), list)
