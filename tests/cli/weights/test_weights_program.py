"""Weights that another program fetches, driven through its JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.weights.weights_case import assert_said
from tests.run import ROOT, Home, run

STAND_IN = ROOT / "tests" / "servers" / "anaconda_stand_in.py"
NAME = "anaconda:NVIDIA-Nemotron-3-Nano/Q4_K_M"
FILE = "NVIDIA-Nemotron-3-Nano_Q4_K_M.gguf"
SIZE = 200_000


class Program:
    """The program on the user's PATH, and what it was asked."""

    def __init__(self, home: Home, **state: Any) -> None:
        folder = home.cwd / "bin"
        folder.mkdir(parents=True)
        program = folder / "anaconda"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
        program.chmod(0o755)
        self.state = home.cwd / "state.json"
        row = {"method": "Q4_K_M", "running": False, "downloaded": False, "blocked": False}
        model = {"model": "NVIDIA-Nemotron-3-Nano", "quantizations": [row]}
        whole = {"models": [model], "servers": [], "url": "", "size": SIZE, **state}
        self.state.write_text(json.dumps(whole))
        self.env = {"PATH": f"{folder}:/usr/bin:/bin", "STAND_IN_STATE": str(self.state)}

    def asked(self) -> list[str]:
        return self.state.with_suffix(".log").read_text().splitlines()


@pytest.fixture
def here(home: Home) -> Path:
    return home.cwd / "here"


def test_a_plan_says_what_the_program_would_fetch(home: Home) -> None:
    program = Program(home)
    done = run("weights", "plan", NAME, "--json", home=home, env=program.env)
    assert_said(done, 0)
    plan = done.json()
    assert plan["schema"] == "nemocli.weights-plan/1"
    assert (plan["repo"], plan["bytes"], plan["bytes_to_fetch"]) == (NAME, SIZE, SIZE)
    assert plan["paths"][0] == {"path": FILE, "bytes": SIZE, "sha256": None, "present": False}
    assert plan["target"]["fits"] is True
    assert not any(line.startswith("ai download") for line in program.asked())
    shown = run("weights", "plan", NAME, home=home, env=program.env)
    assert "fetched by `anaconda ai download NVIDIA-Nemotron-3-Nano/Q4_K_M`" in shown.text


def test_a_pull_puts_the_file_where_it_was_asked_for(home: Home, here: Path) -> None:
    program = Program(home)
    line = ("weights", "pull", NAME, "--local-dir", str(here), "--json")
    done = run(*line, home=home, env=program.env)
    assert_said(done, 0)
    report = done.json()
    assert report["schema"] == "nemocli.weights-pull/1"
    assert report["path"] == str(here / FILE)
    # The program announces no digest: what arrived is named, and nothing is called verified.
    assert report["sha256"] == hashlib.sha256((here / FILE).read_bytes()).hexdigest()
    assert report["verified"] is False
    again = run(*line, home=home, env=program.env)
    assert again.json()["bytes_fetched"] == 0
    assert sum("ai download" in line for line in program.asked()) == 1


def test_a_pull_without_a_place_leaves_the_file_with_the_program(home: Home) -> None:
    program = Program(home)
    done = run("weights", "pull", NAME, home=home, env=program.env)
    assert_said(done, 0, "only the size was compared")
    assert done.out.decode().strip().endswith(".anaconda/ai/models")
    assert "ai download NVIDIA-Nemotron-3-Nano/Q4_K_M --json" in program.asked()


def test_a_file_of_another_size_is_no_success(home: Home, here: Path) -> None:
    program = Program(home, got=SIZE - 1)
    done = run("weights", "pull", NAME, "--local-dir", str(here), home=home, env=program.env)
    assert_said(done, 8, f"{SIZE - 1} bytes, and {SIZE} were announced")
    assert done.out == b""


def test_what_does_not_fit_is_not_begun(home: Home) -> None:
    program = Program(home, size=10**18)
    done = run("weights", "pull", NAME, home=home, env=program.env)
    assert_said(done, 3, "not enough space")
    assert not any("ai download" in line for line in program.asked())


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("anaconda:nobody/Q4_K_M", 5, "anaconda"),
        ("anaconda:NVIDIA-Nemotron-3-Nano", 2, "MODEL/QUANT"),
        ("openrouter:x/y", 2, "fetches no weights"),
        ("nowhere:x/y", (2, 3), "nowhere"),
    ],
)
def test_names_that_mean_nothing_are_refused(
    home: Home, name: str, code: int | tuple[int, ...], said: str
) -> None:
    program = Program(home)
    assert_said(run("weights", "pull", name, home=home, env=program.env), code, said)


def test_without_the_program_one_line_says_how_to_get_it(home: Home) -> None:
    done = run("weights", "pull", NAME, home=home, env={"PATH": "/usr/bin:/bin"})
    assert_said(done, 5, "not installed", "pip install anaconda-ai")


def test_a_failing_program_is_named(home: Home) -> None:
    program = Program(home, fail="download")
    done = run("weights", "pull", NAME, home=home, env=program.env)
    assert_said(done, 5, "MissingAuth")
