"""The rules of the house, as tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import nemocli
from tests.run import ROOT

PACKAGE = Path(nemocli.__file__).parent
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")
PURE = [p for p in MODULES if p.relative_to(PACKAGE).parts[0] in ("core", "wire")]
LONGEST = 400
WORLDLY = {"open", "print", "input", "exec", "eval"}
WORLDLY_MODULES = {
    "os", "time", "random", "socket", "subprocess", "logging", "asyncio", "threading", "pathlib",
    "sqlite3", "secrets", "tempfile", "shutil",
}  # fmt: skip
PROVIDERS = {p.stem for p in (ROOT / "profiles" / "providers").glob("*.yaml")}
HOMES = {
    "httpx2": {"io/http/general", "io/http/exchange", "io/mcp"},
    "yaml": {"io/yaml"},
    "keyring": {"io/keys/oskeyring"},
    "sqlite3": {"io/sqlite"},
    "platformdirs": {"io/paths"},
    "xllamacpp": {"io/servers/llama_child"},
    "genai_prices": {"io/profiles/genai_prices"},
    "httptools": {"io/http/connection"},
    "truststore": {"io/http/trust"},
    "uvloop": {"io/event_loop"},
    "pyarrow": {"io/batch/parquet"},
    "mcp": {"io/mcp"},
    "uvicorn": {"io/serve/server"},
    "zstandard": {"io/batch/encoding"},
    "jinja2": {"io/batch/jinja"},
    "ray": {"io/batch/ray_pool"},
    "orjson": {"wire/bulk"},
}
"""The only modules that know a package of somebody else's."""
PARTICIPLE = re.compile(
    r"(?!need|feed|speed|exceed|seed|embed|proceed|succeed)\w+ed|sent|told|held|made|found|said|spent"
    r"|done|taken|given|known|shown|written|chosen|brought|meant|left|lost|begun|bought|sold|bound"
    r"|heard|spelt|gone|kept"
)
FACE = {"typer", "rich", "prompt_toolkit", "pygments"}
REACHES_NOTHING = {"orjson"}
"""Packages that only compute, and may be used on the lower floors."""


def label(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def floor(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def imported(path: Path) -> set[str]:
    """Top-level names of what a module imports, at its head or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


def test_the_map_names_every_module_once() -> None:
    lines = (nemocli.__doc__ or "").splitlines()
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(named) == sorted(label(p) for p in MODULES)


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_a_module_fits_in_the_head(path: Path) -> None:
    source = path.read_text("utf-8")
    assert source.count("\n") <= LONGEST
    assert ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("path", PURE, ids=label)
def test_the_lower_floors_touch_nothing(path: Path) -> None:
    assert imported(path) <= sys.stdlib_module_names | {"nemocli"} | REACHES_NOTHING
    assert not imported(path) & WORLDLY_MODULES
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in WORLDLY
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"now", "utcnow", "today", "environ"}


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_a_foreign_package_has_one_home(path: Path) -> None:
    for package in imported(path) - sys.stdlib_module_names - {"nemocli"}:
        if package in FACE:
            assert floor(path) == "cli"
        else:
            assert label(path) in HOMES.get(package, {label(path)})
            assert floor(path) == "io" or package in REACHES_NOTHING


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_no_provider_is_named_in_code(path: Path) -> None:
    # A room and its command may bear the name of what they are for.
    own = {*label(path).split("/"), *({"nim"} if label(path) == "cli/commands" else ())}
    if "nim" in own:
        own.add("nvidia")  # the name of the container runtime as well
    named = PROVIDERS - own
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value.lower() not in named
        if isinstance(node, ast.Name):
            assert node.id.lower() not in named


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_failures_are_caught_where_something_can_be_done(path: Path) -> None:
    broad = {"Exception", "BaseException"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler) and label(path) != "cli/app":
            assert node.type is not None, "a bare except hides what is not known"
            named = isinstance(node.type, ast.Name) and node.type.id in broad
            reraised = any(isinstance(n, ast.Raise) for n in ast.walk(node))
            assert not named or reraised or label(path).startswith("io/")


def test_the_floors_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def graph() -> dict[str, set[str]]:
    """Every module and the modules it imports, for types alone or inside a function included."""
    names = {
        ".".join(("nemocli", *p.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): p
        for p in PACKAGE.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for name, file in names.items():
        needs: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                needs |= {i if i in names else node.module for i in inner}
            elif isinstance(node, ast.Import):
                needs |= {alias.name for alias in node.names}
        found[name] = {n for n in needs if n in names and n != name}
    return found


def test_no_modules_import_one_another_in_a_circle() -> None:
    """What imports nothing that is left is taken away, until nothing is left."""
    left = graph()
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    circles = {name: sorted(needs & left.keys()) for name, needs in left.items()}
    assert circles == {}


def test_a_function_is_named_for_what_it_does_or_gives() -> None:
    """No participle at its beginning; a property may be one."""
    found = [
        f"{label(path)}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not any("property" in ast.unparse(each) for each in node.decorator_list)
        and PARTICIPLE.fullmatch(node.name.split("_")[0])
    ]
    assert found == []


def test_a_room_has_at_most_25_modules() -> None:
    rooms = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {room.name: count for room, count in rooms.items() if count > 25} == {}


def test_a_command_has_one_clock() -> None:
    """The context's; a gate in another process has that process's own."""
    made = [label(path) for path in MODULES if "SystemClock()" in path.read_text("utf-8")]
    assert made == ["cli/batch/ray", "cli/context"]


def test_a_public_class_name_means_one_thing() -> None:
    found: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(label(path))
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_values_are_made_by_the_cheap_decorator(path: Path) -> None:
    """A frozen dataclass takes half a millisecond of every command that loads it."""
    assert "dataclass(frozen=True" not in path.read_text().replace("`dataclass(frozen=True", "")
