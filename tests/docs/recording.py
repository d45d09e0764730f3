"""Makes `docs/terminal.svg`, the picture at the head of the README, from a real run.

    python -m tests.docs.recording

The commands run one after another, with no key and nothing configured, on the embedded model; what
they print is drawn as a terminal. A test compares the picture with a run of today, figures aside.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
from pathlib import Path

from tests.run import ROOT, Home, argv

FILE = ROOT / "docs" / "terminal.svg"
WIDTH = 92
COMMANDS = (
    ("ask", "Say hello in French.", "-O", "temperature=0"),
    ("cost", "explain", "last"),
    ("nim", "plan", "nemotron-3-ultra", "--gpus", "8xH100", "--offline"),
)
SHAPE = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace;
font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""
"""As rich draws it, but for the fonts it would fetch from elsewhere."""


def shown(home: Home) -> list[tuple[str, str]]:
    """Each command as typed, and all that it said."""
    found = []
    for words in COMMANDS:
        done = subprocess.run(
            argv(*words),
            env=home.environment({"COLUMNS": str(WIDTH)}),
            cwd=home.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        if done.returncode not in (0, 8):  # where so small a model ends is its own affair
            raise SystemExit(done.stdout.decode())
        line = " ".join(f'"{word}"' if " " in word else word for word in words)
        found.append((f"nemocli {line}", done.stdout.decode().rstrip()))
    return found


def drawn(runs: list[tuple[str, str]]) -> str:
    """The picture."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    for line, said in runs:
        console.print(Text("$ ", "green") + Text(line, "bold"))
        for text in said.splitlines():
            console.print(Text(text), soft_wrap=False)
        console.print()
    return console.export_svg(title="nemocli", code_format=SHAPE, unique_id="nemocli")


def gist(text: str) -> list[str]:
    """The words of a run, without what differs from one to the next: figures, ids, times."""
    return [re.sub(r"\d[\d.,:]*", "#", word) for word in text.split()]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "user")
        shown(home)  # the weights are fetched before, and their line is not part of the picture
        FILE.write_text(drawn(shown(home)), "utf-8")


if __name__ == "__main__":
    main()
