"""Files of rows as people have them: separators, encodings, compression, one array."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import NemoError
from nemocli.io.batch.count import count_rows
from nemocli.io.batch.encoding import delimiter_in
from nemocli.io.batch.inputs import inputs_of

ROWS = [{"name": "Zoë", "city": "Köln"}, {"name": "Ann, B.", "city": "x;y|z"}]


def read(path: Path, **given: str | None) -> list[dict[str, object]]:
    inputs = inputs_of([str(path)], **given)
    inputs.inspect()
    found = []
    for record in inputs:
        assert record.problem is None, record
        found.append(dict(record.values) if record.values is not None else json.loads(record.line))
    return found


def table(sign: str) -> str:
    return "".join(
        f'"{a}"{sign}"{b}"\r\n' for a, b in [("name", "city"), *(r.values() for r in ROWS)]
    )


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(tmp_path: Path, sign: str) -> None:
    (tmp_path / "in.csv").write_text(table(sign))
    inputs = inputs_of([str(tmp_path / "in.csv")])
    assert bool(inputs.inspect()) == (sign != ",")
    assert read(tmp_path / "in.csv") == ROWS


def test_a_delimiter_can_be_pinned(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a;b,c\n1;2,3\n")
    assert read(tmp_path / "in.csv", delimiter=",") == [{"a;b": "1;2", "c": "3"}]
    assert read(tmp_path / "in.csv", delimiter=";") == [{"a": "1", "b,c": "2,3"}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "windows-1252", "utf-32", "latin-1"])
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.txt"])
def test_an_encoding_that_is_said_is_read(tmp_path: Path, encoding: str, name: str) -> None:
    text = {
        "in.csv": table(","),
        "in.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
        "in.txt": "Zoë\nKöln\n",
    }[name]
    (tmp_path / name).write_bytes(text.encode(encoding))
    wanted = [{"prompt": "Zoë"}, {"prompt": "Köln"}] if name == "in.txt" else ROWS
    assert read(tmp_path / name, encoding=encoding) == wanted


@pytest.mark.parametrize(
    ("encoding", "hint"),
    [("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("windows-1252", "windows-1252")],
)
def test_another_encoding_is_refused_before_the_first_row(
    tmp_path: Path, encoding: str, hint: str
) -> None:
    (tmp_path / "in.csv").write_bytes(table(",").encode(encoding))
    with pytest.raises(NemoError) as caught:
        inputs_of([str(tmp_path / "in.csv")]).inspect()
    assert f"`--encoding {hint}`" in (caught.value.fault.hint or "")


def test_packed_files_are_read(tmp_path: Path) -> None:
    import zstandard

    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(table(";").encode()))
    (tmp_path / "in.csv.zst").write_bytes(zstandard.compress(table(",").encode()))
    assert read(tmp_path / "in.csv.gz") == ROWS
    assert read(tmp_path / "in.csv.zst") == ROWS
    (tmp_path / "half.csv.gz").write_bytes(gzip.compress(table(";").encode())[:-9])
    with pytest.raises(NemoError, match="cannot be unpacked"):
        read(tmp_path / "half.csv.gz")


@pytest.mark.parametrize(
    "text", [json.dumps(ROWS), json.dumps(ROWS, indent=2), "\n \n" + json.dumps(ROWS)]
)
def test_one_array_is_its_rows(tmp_path: Path, text: str) -> None:
    (tmp_path / "in.json").write_text(text)
    assert read(tmp_path / "in.json") == ROWS


def test_json_lines_that_are_called_json(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("\n".join(map(json.dumps, ROWS)))
    assert read(tmp_path / "in.json") == ROWS


@given(st.lists(st.text(alphabet='ab"\n\r ,;', max_size=6), max_size=20))
def test_the_count_is_that_of_the_reader(tmp_path_factory, cells: list[str]) -> None:
    path = tmp_path_factory.mktemp("rows") / "in.csv"
    quoted = ['"' + cell.replace('"', '""') + 'x"' for cell in cells]
    path.write_text("\n".join(["head", *quoted]) + "\n", newline="")
    inputs = inputs_of([str(path)])
    assert count_rows(inputs) == len(list(inputs)) == len(cells)


def test_delimiters_inside_quotes_do_not_count() -> None:
    assert delimiter_in('"a;b;c;d",e') == ","
    assert delimiter_in("alone") == ","
