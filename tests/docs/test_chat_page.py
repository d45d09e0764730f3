"""The walk in docs/chat.md, typed into a real terminal."""

from __future__ import annotations

import re

from tests.run import ROOT, Home, run
from tests.screen import Terminal
from tests.servers.answer import Answer
from tests.servers.stub import Stub

ANSWERS = [
    Answer("Many small networks, of which a router picks a few for each token.", cost=0.0001),
    Answer("A linear layer with a softmax over the experts.", reasoning="Hm.", cost=0.0001),
    Answer("Yes, together with the experts.", cost=0.0001),
    Answer("Yes, together with the experts.", cost=0.0001),
    Answer("No.", cost=0.0002),
    Answer("The moon is far.", cost=0.0001),
]


def walk() -> list[tuple[str, list[str]]]:
    """What is typed, and the lines that must come of it."""
    page = (ROOT / "docs" / "chat.md").read_text()
    [block] = re.findall(r"^```terminal\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    steps: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("> "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def test_the_walk_goes_as_the_page_says(home: Home) -> None:
    (home.cwd / "notes.txt").write_text("the moon is far\n")
    with Stub() as stub:
        stub.script(*ANSWERS)
        for name in ("stub", "other"):
            home.provider(name, stub.url)
        line = ("chat", "-p", "stub", "-m", "x/anything")
        with Terminal(*line, home=home, columns=120, rows=40) as terminal:
            terminal.until(lambda: any(shown.startswith(">") for shown in terminal.lines()))
            for typed, wanted in walk():
                terminal.settle(0.3)
                before = {text: terminal.text().count(text) for text in wanted}
                terminal.type("\x15" + typed + "\r")
                for text, count in before.items():
                    terminal.until(lambda: terminal.text().count(text) > count)  # noqa: B023
            terminal.settle(0.3)
            terminal.type("\x04")
            assert terminal.end() == 0
    assert "experiments" in run("sessions", "ls", home=home).text
