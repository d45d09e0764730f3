"""Fields in a line as a JSON Schema."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import ExitCode, NemoError
from nemocli.core.schema import TYPES, schema_of_fields


def test_fields_become_a_closed_object() -> None:
    assert schema_of_fields("name, age int, tags [string], mood good|bad, note?: free text") == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "mood": {"type": "string", "enum": ["good", "bad"]},
            "note": {"type": "string", "description": "free text"},
        },
        "required": ["name", "age", "tags", "mood"],
        "additionalProperties": False,
    }


def test_brackets_ask_for_a_list_of_objects() -> None:
    found = schema_of_fields("[name, age int]")
    assert found["type"] == "array"
    assert found["items"]["required"] == ["name", "age"]


def test_lines_separate_as_commas_do_and_a_description_may_hold_one() -> None:
    lines = schema_of_fields("name: first, then last\nage int: in years\n")
    assert list(lines["properties"]) == ["name", "age"]
    assert lines["properties"]["name"]["description"] == "first, then last"
    assert schema_of_fields("a: x (1,2), b")["properties"].keys() == {"a", "b"}


def test_each_line_is_a_field_of_its_own() -> None:
    lines = schema_of_fields("name, age int\r\nbio: short, sweet\n")
    assert list(lines["properties"]) == ["name", "age", "bio"]
    with pytest.raises(NemoError, match="field 2 cannot be read: 'age int int'"):
        schema_of_fields("name: the name\nage int int")


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("a|b|c", ["a", "b", "c"]),
        ("one of a|b", ["a", "b"]),
        ("one of a", ["a"]),
        ("C++ | Go | 1.5", ["C++", "Go", "1.5"]),
        ("a|a|b", ["a", "b"]),
    ],
)
def test_a_choice_is_one_of_its_words(text: str, choices: list[str]) -> None:
    one = {"type": "string", "enum": choices}
    found = schema_of_fields(f"k {text}, ks [{text}], late {text}?: or none")
    assert found["properties"]["k"] == one
    assert found["properties"]["ks"] == {"type": "array", "items": one}
    assert found["required"] == ["k", "ks"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "[]",
        "age integr",
        "1st",
        "a, a",
        "a b c",
        "a {x}",
        "k |",
        "k a||b",
        "k one of",
        "k [a",
        "k [[int]]",
    ],
)
def test_what_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(NemoError) as caught:
        schema_of_fields(text)
    assert caught.value.fault.exit_code is ExitCode.USAGE
    assert "--schema" in caught.value.fault.message


@given(st.text(max_size=80))
def test_any_text_is_a_schema_or_a_usage_fault(text: str) -> None:
    try:
        found = schema_of_fields(text)
    except NemoError:
        return
    assert found["type"] in ("object", "array")


NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)


@given(st.dictionaries(NAMES, st.sampled_from(sorted(TYPES)), min_size=1, max_size=6))
def test_every_field_that_was_written_is_there(fields: dict[str, str]) -> None:
    found = schema_of_fields(", ".join(f"{name} {kind}" for name, kind in fields.items()))
    assert found["required"] == list(fields)
    assert found["properties"] == {name: TYPES[kind] for name, kind in fields.items()}
