"""Every example in the README, in docs/ and in the help texts is run as it stands: those of the
README each time, the many others with the slow tests.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from nemocli.cli.app import command_in
from nemocli.cli.commands import COMMANDS
from nemocli.cli.help.text import root_help
from tests.run import KEY, ROOT, Done, Home, run
from tests.servers.answer import Answer
from tests.servers.hub import Hub
from tests.servers.repository import small
from tests.servers.stub import Stub

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SAID = '```json\n{"name": "Ada", "age": 36}\n```'
"""An answer that is at once text, a code block and an object that fits the examples' schema."""


def in_pages() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(
            r"^```console\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
        ):
            for line in re.findall(r"^\$ (.+)$", block, re.MULTILINE):
                yield f"{page.name}: {line}", line


def in_help() -> Iterator[tuple[str, str]]:
    yield from (("nemocli --help: " + line, line) for line in examples_in(root_help()))
    for row in COMMANDS:
        command = command_in(row.module)
        for name, text in epilogs(command, row.name):
            yield from ((f"{name} --help: {line}", line) for line in examples_in(text))


def epilogs(command: object, name: str) -> Iterator[tuple[str, str]]:
    yield name, getattr(command, "epilog", None) or ""
    for sub, inner in getattr(command, "commands", {}).items():
        yield from epilogs(inner, f"{name} {sub}")


def examples_in(text: str) -> list[str]:
    return re.findall(r"^\s*\$ (.+)$", text, re.MULTILINE)


EXAMPLES = list(dict.fromkeys([*in_pages(), *in_help()]))
README = [(name, line) for name, line in EXAMPLES if name.startswith("README.md: ")]
OTHERS = [(name, line) for name, line in EXAMPLES if not name.startswith("README.md: ")]


@pytest.fixture(scope="module")
def everyday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Somebody who has a key, a repository and a few files; every path leads to one server, and
    weights come from one Hub."""
    home = Home(tmp_path_factory.mktemp("everyday"))
    ultra = small(name="nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4")
    with Stub(Answer(SAID, cost=0.000123)) as stub, Hub(small(), ultra) as hub:
        settle_in(home, stub.url)
        home.env |= {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(home.root / "hub")}
        yield home


def settle_in(home: Home, url: str) -> None:
    """Everything an example takes for granted."""
    folder = home.folder / "profiles" / "providers"
    folder.mkdir(parents=True, mode=0o700)
    for shipped in (ROOT / "profiles" / "providers").glob("*.yaml"):
        row = yaml.safe_load(shipped.read_text())
        if "runtime" in row or row["dialect"] != "chat":
            continue
        auth = {k: v for k, v in row.get("auth", {}).items() if k in ("env", "required")}
        home.env |= dict.fromkeys(auth.get("env", ()), KEY)
        mine = {"schema": row["schema"], "name": row["name"], "base_url": url, "auth": auth}
        (folder / shipped.name).write_text(yaml.safe_dump(mine))
    bin_ = home.root / "bin"
    bin_.mkdir()
    command = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nemocli "$@"\n'
    (bin_ / "nemocli").write_text(command)
    (bin_ / "nemocli").chmod(0o755)
    home.env["PATH"] = f"{bin_}:{home.environment()['PATH']}"
    (home.cwd / "notes.txt").write_text("the moon is far\n")
    (home.cwd / "key.txt").write_text(KEY + "\n")
    (home.cwd / "schema.json").write_text('{"type": "object"}')
    (home.cwd / "prompts.jsonl").write_text('{"prompt": "one"}\n{"prompt": "two"}\n')
    for share in ("1-of-2", "2-of-2"):
        (home.cwd / f"shares.{share}.jsonl").write_text("")
    subprocess.run(["git", "init", "-q"], cwd=home.cwd, check=True)
    subprocess.run(["git", "add", "notes.txt"], cwd=home.cwd, check=True)


CHANGING = re.compile(
    r"\b(eval|nim|serve|launch|tag|export|default|login|logout|add|rm|set|order|trust|weights|cost"
    r"|batch)\b"
)


def carried_out(home: Home, examples: list[tuple[str, str]]) -> dict[str, Done]:
    """Each example once; those that change something come in their order, alone."""

    def one(line: str) -> Done:
        return run(home=home, line=["bash", "-c", line], timeout=120)

    lines = list(dict.fromkeys(line for _, line in examples))
    changing = [line for line in lines if CHANGING.search(line)]
    with ThreadPoolExecutor(3) as pool:
        calm = [line for line in lines if line not in changing]
        done = dict(zip(calm, pool.map(one, calm), strict=True))
    return done | {line: one(line) for line in changing}


def check(line: str, done: Done) -> None:
    assert done.code == 0, f"{line}\n{done.err}"
    assert "Traceback" not in done.err


@pytest.fixture(scope="module")
def first_results(everyday: Home) -> dict[str, Done]:
    """What the README's examples came to."""
    return carried_out(everyday, README)


@pytest.mark.parametrize(("name", "line"), README, ids=[name for name, _ in README])
def test_an_example_of_the_readme_does_what_it_says(
    name: str, line: str, first_results: dict[str, Done]
) -> None:
    check(line, first_results[line])


@pytest.fixture(scope="module")
def results(everyday: Home) -> dict[str, Done]:
    """What all the others came to."""
    return carried_out(everyday, OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "line"), OTHERS, ids=[name for name, _ in OTHERS])
def test_an_example_does_what_it_says(name: str, line: str, results: dict[str, Done]) -> None:
    check(line, results[line])


@pytest.mark.slow
def test_the_walk_through_a_batch_ends_where_it_says(
    everyday: Home, results: dict[str, Done]
) -> None:
    """Killed in the middle, on a real model: every row is there once, answered or given up."""
    found = []
    for name in ("greetings.jsonl", "greetings.jsonl.errors.jsonl"):
        path = everyday.cwd / name
        lines = path.read_text().splitlines() if path.exists() else []
        found += [json.loads(line) for line in lines]
    assert sorted(line["x_nemocli"]["ordinal"] for line in found) == list(range(6))
    good = [line for line in found if line["error"] is None]
    for line in good:
        said = line["response"]["body"]["choices"][0]["message"]["content"]
        assert set(json.loads(said)) == {"greeting"}
    assert len(good) >= 3
    assert "greeting" in (everyday.cwd / "greetings.csv").read_text()


def test_every_command_has_an_example() -> None:
    missing = []
    for row in COMMANDS:
        command = command_in(row.module)
        missing += [name for name, text in epilogs(command, row.name) if not examples_in(text)]
    assert missing == []


def test_the_readmes_provider_file_is_valid(home: Home) -> None:
    blocks = re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert blocks
    for number, block in enumerate(blocks):
        name = re.search(r"^name: (\S+)$", block, re.MULTILINE)
        assert name
        file = home.folder / "profiles" / "providers" / f"{name[1]}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block)
        done = run("config", "validate", home=home)
        assert done.code == 0, f"block {number}: {done.err}{done.text}"


def test_readme_paths_are_the_shipped_providers() -> None:
    named = set(re.findall(r"^\| `([a-z]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named <= {p.stem for p in (ROOT / "profiles" / "providers").glob("*.yaml")}


def test_no_page_leads_nowhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_the_exit_codes_in_the_readme_are_the_programs() -> None:
    from nemocli.core.faults import ExitCode

    codes = {int(c) for c in re.findall(r"\| (\d+) \|", (ROOT / "README.md").read_text())}
    assert codes <= {int(c) for c in ExitCode}
    assert {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130} <= codes


def test_every_dependency_is_justified() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [d for name in ("embedded", "test") for d in project["optional-dependencies"][name]]
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for dependency in [*project["dependencies"], *extras]:
        name = re.split(r"[\[<>=~; ]", dependency)[0]
        assert f"`{name}`" in text, f"{name} has no line in CONTRIBUTING.md"


def test_the_changelog_knows_this_version() -> None:
    from nemocli.version import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_machine_and_no_registry_is_named() -> None:
    registries = re.compile("pypi" + r"\.org|python" + r"hosted\.org|registry\.npm|/work" + "/main")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else []
    for name in filter(None, names):
        file = Path(ROOT, name)
        if file.is_file():
            assert not registries.search(file.read_text("utf-8", "replace")), name
