"""Markdown in blocks, however it is cut on its way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.chat.blocks import CODE_LINES, Block, Blocks

DOCUMENT = """# A heading
A paragraph of
two lines.

- one
- two
  with more

  and a second paragraph
- three

1. first
   ```sh
   ls

   pwd
   ```
2. second

> a quote
> goes on

| a | b |
|---|---|
| 1 | 2 |

~~~python
def f():

    return "```"
~~~
After it.
"""


def blocks(text: str, sizes: list[int] | None = None) -> list[Block]:
    maker, found, at = Blocks(), [], 0
    for size in sizes or [len(text)]:
        found += maker.feed(text[at : at + size])
        at += size
    return [*found, *maker.feed(text[at:]), *maker.close()]


def test_a_document_is_its_blocks() -> None:
    found = blocks(DOCUMENT)
    assert [b.text.split("\n")[0] for b in found] == [
        "# A heading", "A paragraph of", "- one", "- two", "- three", "1. first", "2. second",
        "> a quote", "| a | b |", "def f():", "After it.",
    ]  # fmt: skip
    assert found[3].text == "- two\n  with more\n\n  and a second paragraph"
    assert "pwd" in found[5].text
    assert found[9] == Block("code", 'def f():\n\n    return "```"', True, "python")
    assert [b.gap for b in found[2:5]] == [True, False, False]


@given(st.lists(st.integers(0, 12), max_size=120))
def test_a_cut_changes_nothing(sizes: list[int]) -> None:
    assert blocks(DOCUMENT, sizes) == blocks(DOCUMENT)


PIECES = st.sampled_from(
    ["word", " ", "\n", "\n\n", "```", "```py\n", "- ", "1. ", "# ", "> ", "|", "  ", "~~~",
     "***\n", "    ", "\t", "é", "\r\n"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=40).map("".join), st.lists(st.integers(0, 7), max_size=30))
def test_no_word_is_lost_or_said_twice(text: str, sizes: list[int]) -> None:
    found = blocks(text, sizes)
    assert found == blocks(text)
    if "```" not in text and "~~~" not in text:
        assert "\n".join(b.text for b in found).split() == text.split()


def test_long_code_comes_while_it_grows() -> None:
    maker = Blocks()
    found = maker.feed("```c\n" + "line;\n" * (CODE_LINES + 3))
    assert [(b.begins, b.ends) for b in found] == [(True, False)]
    assert maker.growing == "line;\n" * 3
    rest = maker.feed("```\n")
    assert [(b.text, b.begins, b.ends) for b in rest] == [("line;\nline;\nline;", False, True)]


@pytest.mark.parametrize("text", ["half a line", "```py\nx = 1", "- item", "| a |"])
def test_what_was_cut_is_shown(text: str) -> None:
    assert blocks(text)[-1].text in text
    assert blocks(text)[-1].text


def test_the_cost_is_linear() -> None:
    """Counted, not timed: what is fed is joined once a line, never the whole text again."""
    maker = Blocks()
    for _ in range(20_000):
        maker.feed("word ")
    assert len(maker.growing) == 100_000
    assert maker.feed("\n\n")[0].text.count("word") == 20_000
