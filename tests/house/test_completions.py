"""What is checked in under completions/ is what the program would generate today."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from nemocli.cli.commands import COMMANDS
from nemocli.cli.setup.completion_scripts import generate, values_in
from tests.run import ROOT

FOLDER = ROOT / "completions"
FILES = generate()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_fresh(name: str) -> None:
    again = "run `python -m nemocli.cli.setup.completion_scripts`"
    assert (FOLDER / name).read_text("utf-8") == FILES[name], again


def test_nothing_else_is_in_the_folder() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(FILES)


def nodes(node: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield name, node
    for sub, inner in node.get("commands", {}).items():
        yield from nodes(inner, f"{name} {sub}")


def test_every_command_and_option_is_offered_with_what_it_is() -> None:
    tree = json.loads(FILES["tree.json"])
    assert {row.name for row in COMMANDS} <= set(tree["commands"])
    for name, node in nodes({**tree, "help": "-"}, "nemocli"):
        assert node["help"], name
        for flag, option in node["options"].items():
            assert flag.startswith("-")
            assert option["help"], f"{name} {flag}"
            assert "\n" not in option["help"]


def test_options_that_want_a_kind_of_name_offer_it() -> None:
    """A kind without names is an option that completes nothing."""
    tree = json.loads(FILES["tree.json"])
    for name, node in nodes({**tree, "help": "-"}, "nemocli"):
        for where, row in [("", node), *node["options"].items()]:
            kind = row.get("names") if isinstance(row.get("names"), str) else None
            assert kind is None or tree["names"][kind], f"{name} {where}"


def test_values_that_a_help_text_lists_are_offered() -> None:
    commands = json.loads(FILES["tree.json"])["commands"]
    batch, cost, nim = commands["batch"], commands["cost"], commands["nim"]
    assert batch["commands"]["run"]["options"]["--progress"]["choices"] == [
        "auto", "bar", "line", "json", "none",
    ]  # fmt: skip
    assert "parquet" in batch["commands"]["show"]["options"]["--to"]["choices"]
    assert {"day", "provider", "status"} <= set(cost["options"]["--by"]["choices"])
    assert "operator" in nim["commands"]["manifest"]["options"]["--to"]["choices"]
    assert "8xH100" in nim["commands"]["plan"]["options"]["--gpus"]["choices"]
    assert "choices" not in nim["commands"]["bench"]["options"]["--gpus"]
    assert {"codex", "claude"} <= set(commands["launch"]["choices"])
    assert values_in("How many of the last.") == []


def test_the_files_travel_in_the_wheel() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    target = wheel["targets"]["wheel"]
    assert target["force-include"]["completions"] == "nemocli/completions"
    shared = set(target["shared-data"])
    completions = {f"completions/{name}" for name in FILES if name != "tree.json"}
    assert {name for name in shared if name.startswith("completions")} == completions
