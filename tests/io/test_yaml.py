"""YAML without surprises, and one kind of failure whatever the text."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.io.yaml import MOST_CHARS, MOST_DEPTH, Document, read

BOTH = pytest.mark.parametrize("native", [True, False], ids=["c", "python"])


def refused(text: str | bytes, native: bool = True) -> str:
    with pytest.raises(NemoError) as caught:
        read(text, "x.yaml", native=native)
    assert caught.value.fault.kind is FaultKind.CONFIG
    return caught.value.fault.message


@BOTH
@pytest.mark.parametrize("word", ["off", "on", "yes", "no", "Yes", "NO", "y", "n", "True", "FALSE"])
def test_words_that_yaml_takes_for_booleans_stay_words(word: str, native: bool) -> None:
    assert read(f"{word}: {word}", "x", native=native).data == {word: word}


@BOTH
def test_only_true_and_false_are_booleans_and_only_null_is_null(native: bool) -> None:
    text = "- true\n- false\n- null\n- ~\n-\n- Null\n- 'true'\n- \"null\"\n"
    expected = [True, False, None, None, None, "Null", "true", "null"]
    assert read(text, "x", native=native).data == expected


@BOTH
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.60", Decimal("0.60")),
        ("-1.5e-3", Decimal("-1.5e-3")),
        (".5", Decimal("0.5")),
        ("2.", Decimal(2)),
        ("1e3", Decimal("1e3")),
        ("12", 12),
        ("-7", -7),
        ("0", 0),
    ],
)
def test_numbers_are_exact(text: str, value: Decimal | int, native: bool) -> None:
    found = read(text, "x", native=native).data
    assert found == value
    assert str(found) == str(value)
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["007", "0x10", "0o7", "1_000", "12:30:45", "2026-10-19", ".inf", ".nan", "1.2.3", "+"]
)
def test_what_only_looks_like_a_number_or_a_date_stays_text(text: str) -> None:
    assert read(text, "x").data == text


@pytest.mark.parametrize("text", ["9" * 5000, "1e999999999", "1e-99", "1." + "0" * 60])
def test_numbers_nobody_means_are_refused(text: str) -> None:
    assert "more than 40 digits" in refused(f"a: {text}")


@BOTH
def test_every_value_knows_its_line(native: bool) -> None:
    text = "# comment\nname: x\nlist:\n  - a\n  - b: 1\n    c: 2\nmap:\n\n  deep: 3\n"
    document = read(text, "x", native=native)
    assert document.lines[()] == 2
    assert document.lines[("list", 1, "c")] == 6
    assert document.lines[("map",)] == 7
    assert document.line(("map", "deep")) == 9
    assert document.line(("map", "nothing", "here")) == 7


@BOTH
def test_a_key_said_twice_is_an_error_with_both_lines(native: bool) -> None:
    assert refused("a: 1\nb: 2\na: 3\n", native) == (
        "x.yaml:3:1: 'a' is said twice, first on line 1"
    )


@BOTH
def test_aliases_repeat_what_they_name(native: bool) -> None:
    assert read("a: &x [1, 2]\nb: *x", "x", native=native).data == {"a": [1, 2], "b": [1, 2]}


@BOTH
def test_a_bomb_of_aliases_is_refused_before_it_grows(native: bool) -> None:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    rows += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghi")]
    assert "aliases written out" in refused("\n".join(rows), native)


def test_aliases_cannot_pile_up_depth() -> None:
    rows = ["a0: &a0 []"]
    rows += [f"a{n + 1}: &a{n + 1} [[[*a{n}]]]" for n in range(30)]
    assert f"more than {MOST_DEPTH} levels deep" in refused("\n".join(rows))


@BOTH
def test_an_alias_inside_itself_or_of_nothing_is_refused(native: bool) -> None:
    assert "inside itself" in refused("a: &a [*a]", native)
    assert "nothing above is called &b" in refused("a: *b", native)


@pytest.mark.parametrize("text", ["[" * 5000, "- " * 5000, "{a: " * 5000, "? " * 500])
def test_depth_is_bounded(text: str) -> None:
    assert "x.yaml:" in refused(text)


@BOTH
@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system [ls]", "a: !!set {b}", "!!binary aGk=", "!x {a: 1}"]
)
def test_no_tag_constructs_anything(text: str, native: bool) -> None:
    assert "is not used here" in refused(text, native)


@BOTH
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: [1", "x.yaml:"),
        ("a: 1\n\tb: 2", "x.yaml:2:"),
        ("a: 1\n---\nb: 2", "x.yaml:2:1: a second document"),
        ("? [a]\n: b", "x.yaml:1:3: a key must be a plain word"),
        ("ab\ncd\0", "x.yaml:2:3: "),
        ('"\\ud800"', "x.yaml:1:"),
        ('"\\UFFFFFFFF"', "x.yaml:1:"),
        ("a\ud800", "x.yaml:1:2: not a character: U+D800"),
        (b"a: 1\nb: \xff", "x.yaml:2:4: not UTF-8 text"),
        ("a" * (MOST_CHARS + 1), "x.yaml:1:1: longer than"),
    ],
)
def test_a_problem_is_told_with_file_line_and_column(
    text: str | bytes, where: str, native: bool
) -> None:
    assert refused(text, native).startswith(where)


@BOTH
def test_nothing_is_a_document_too(native: bool) -> None:
    assert read("# only a comment\n", "x", native=native) == Document(None, {})
    assert read(b"\xef\xbb\xbfa: b", "x", native=native).data == {"a": "b"}


ODD = ["<<", "&a ", "*a", "---\n", "...\n", "%YAML 1.1\n", "!!int ", "\\x", "\0", "\u2028"]
YAMLISH = st.lists(st.sampled_from([*"ab:-?[]{},&*!|>'\"%@`#\n\t \\~", *ODD]), max_size=40).map(
    "".join
)


@BOTH
@given(text=st.text() | YAMLISH | st.binary())
def test_whatever_the_text_it_is_data_or_a_config_fault(text: str | bytes, native: bool) -> None:
    document = Document(None, {})
    fault = None
    try:
        document = read(text, "x.yaml", native=native)
    except NemoError as error:
        fault = error.fault
    assert fault is None or fault.kind is FaultKind.CONFIG
    assert fault is None or fault.message.startswith("x.yaml:")
    assert all(line >= 1 for line in document.lines.values())


PRINTED = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | PRINTED,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTED, inner, max_size=4),
        max_leaves=20,
    )
)
def test_json_is_read_as_what_it_says(value: object) -> None:
    assert read(json.dumps(value, ensure_ascii=False), "x.yaml").data == value
