"""The man pages that are checked in are what the program would generate today."""

from __future__ import annotations

import shutil
import subprocess
import tomllib

import pytest

from nemocli.cli.commands import COMMANDS
from nemocli.cli.setup.man_pages import pages
from tests.run import ROOT

FOLDER = ROOT / "man"
FILES = pages()


@pytest.mark.parametrize("name", FILES)
def test_a_page_is_fresh(name: str) -> None:
    again = "run `python -m nemocli.cli.setup.man_pages`"
    assert (FOLDER / name).read_text("utf-8") == FILES[name], again


def test_every_command_has_a_page_and_nothing_else_is_there() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(FILES)
    assert {f"nemocli-{row.name}.1" for row in COMMANDS} | {"nemocli.1"} == set(FILES)


def test_a_page_says_what_the_help_says() -> None:
    ask = FILES["nemocli-ask.1"]
    assert "\\fB\\-\\-max\\-cost\\fR \\fIUSD\\fR" in ask
    assert "Stop before this run costs more than USD." in ask
    assert ".SH EXIT STATUS" in FILES["nemocli.1"]
    assert "BATCH RETRY" in FILES["nemocli-batch.1"]


def test_the_pages_travel_in_the_wheel() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    shared = wheel["targets"]["wheel"]["shared-data"]
    assert shared["man"] == "share/man/man1"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("name", FILES)
def test_a_page_is_drawn_without_a_warning(name: str) -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-Kutf8", str(FOLDER / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
