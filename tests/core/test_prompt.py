"""One message out of three sources, and code out of an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.prompt import assemble, first_code_block


def test_each_source_alone_comes_as_it_is() -> None:
    assert assemble("  hi\n", None) == "  hi\n"
    assert assemble(None, "a\n b\n\n") == "a\n b\n"
    assert assemble(None, "a\r\n") == "a"
    assert assemble(None, "a\r") == "a\r"
    assert assemble(" \n", "\n") == ""
    assert assemble(None, None, [("empty", "")]) == "empty:\n```\n```"
    assert assemble(None, None, [("f.txt", "x")]) == "f.txt:\n```\nx\n```"


def test_the_question_comes_first_and_the_pipe_last() -> None:
    found = assemble("Sum up:", "piped\n", [("a.md", "one\n"), ("b.md", "two")])
    assert found == "Sum up:\n\na.md:\n```\none\n```\n\nb.md:\n```\ntwo\n```\n\npiped"


@given(st.text())
def test_no_line_of_a_file_closes_its_fence(text: str) -> None:
    whole = assemble(None, None, [("f", text)])
    fence = whole.split("\n")[1]
    assert set(fence) == {"`"}
    assert fence not in text
    assert whole.endswith("\n" + fence)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Sure:\n```python\nprint(1)\n```\nbye", "print(1)\n"),
        ("```\na\n```\n```\nb\n```", "a\n"),
        ("~~~ sh\nls\n~~~", "ls\n"),
        ("````\n```\ninner\n```\n````\n", "```\ninner\n```\n"),
        ("  ```\n  x\n    y\n  ```", "x\n  y\n"),
        ("```js\ncut off", "cut off"),
        ("```\r\na\r\n```\r\n", "a\r\n"),
        ("```\na\u2028```\x0cb\n```", "a\u2028```\x0cb\n"),
        ("x\u2028```\ny\nz", None),
        ("~~~\n```\n~~~", "```\n"),
        ("```\na\n```` \nb", "a\n"),
        ("````\na\n```\n", "a\n```\n"),
        ("    ```\na\n    ```", None),
        ("~~~ a`b`\nx\n~~~", "x\n"),
        ("a `b` c", None),
        ("```not a fence``` here", None),
        ("", None),
        ("```\n```", ""),
    ],
)
def test_the_first_block_is_what_stands_between_its_fences(text: str, code: str | None) -> None:
    assert first_code_block(text) == code


@given(st.text(alphabet="`~ \nab\r", max_size=60))
def test_any_text_has_a_block_or_none(text: str) -> None:
    found = first_code_block(text)
    assert found is None or found.replace("\n", "") in text.replace("\n", "") or " " in text


@given(st.text(alphabet="ab`~ \r\n\u2028", max_size=60).filter(lambda t: "\r" not in t[-1:]))
def test_an_attached_file_is_found_again_as_it_was(text: str) -> None:
    ended = text if text.endswith("\n") or not text else text + "\n"
    assert first_code_block(assemble("Look:", "end\n", [("f", text)])) == ended


@given(st.text(alphabet="abc \n", min_size=1, max_size=40))
def test_what_was_fenced_is_found_again(code: str) -> None:
    assert first_code_block(f"Here:\n```\n{code}\n```\n") == code + "\n"
