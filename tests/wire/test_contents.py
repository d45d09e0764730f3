"""A package's first page lists what is in it."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["core", "wire", "wire.chat", "wire.responses"])
def test_a_table_of_contents_names_every_module_once_and_imports_nothing(name: str) -> None:
    package = import_module(f"nemocli.{name}")
    page = Path(str(package.__file__))
    listed = [line.split()[0] for line in str(package.__doc__).splitlines() if line[:2] == "  "]
    assert sorted(listed) == sorted(p.stem for p in page.parent.glob("*.py") if p != page)
    assert len(ast.parse(page.read_text("utf-8")).body) == 1
