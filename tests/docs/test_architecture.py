"""The page about how it is built names nothing that is not there."""

from __future__ import annotations

import ast
import re

from tests.run import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:nemocli|profiles)/[\w./-]+?)(?::(\w+))?`", PAGE)))


def test_every_path_and_name_is_there() -> None:
    assert len(NAMED) > 40
    for path, name in NAMED:
        file = ROOT / path
        assert file.exists(), path
        if name:
            tree = ast.parse(file.read_text())
            defined = {
                node.name
                for node in tree.body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            }
            assert name in defined, f"{path}:{name}"


def test_the_picture_shows_the_floors_in_their_order() -> None:
    found = [
        PAGE.index(f'{name}["{name}: ')
        for name in ("cli", "io", "features", "engine", "wire", "core")
    ]
    assert found == sorted(found)
