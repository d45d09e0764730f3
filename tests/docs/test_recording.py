"""The picture at the head of the README is what the program says today, figures aside."""

from __future__ import annotations

import html
import re

import pytest

from tests.docs.recording import COMMANDS, FILE, gist, shown
from tests.run import Home


def pictured() -> list[str]:
    """The words in the picture, from left to right and top to bottom."""
    svg = FILE.read_text("utf-8")
    texts = re.findall(r"<text[^>]*clip-path[^>]*>([^<]*)</text>", svg)
    return gist(" ".join(html.unescape(t).replace("\xa0", " ") for t in texts))


def test_it_shows_every_command_and_fetches_nothing() -> None:
    words = " ".join(pictured())
    assert all(" ".join(gist(command[0])) in words for command in COMMANDS)
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?https?:", FILE.read_text("utf-8"))


@pytest.mark.slow
def test_it_is_what_the_program_says(home: Home) -> None:
    shown(home)  # the weights are fetched
    words = " ".join(pictured())
    for number, (line, said) in enumerate(shown(home)):
        assert " ".join(gist(line)) in words
        lines = said.splitlines()
        for text in lines[-1:] if number == 0 else lines:
            fixed = [w for w in gist(text) if "#" not in w]
            assert all(word in words for word in fixed), f"python -m tests.docs.recording: {text}"
