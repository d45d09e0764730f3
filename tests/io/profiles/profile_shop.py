"""A small shipped folder of profiles, a user's and a project's, to write into."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.io.profiles.catalogue import LoadedProfiles, ProfileFolders, catalogue, profiles_folder

WHOLE = "dialect: chat\nbase_url: https://a.example/v1\nauth: {env: [A_KEY]}\n"


class Shop:
    """Three folders of profiles and a cache."""

    def __init__(self, root: Path) -> None:
        self.folders = ProfileFolders(root / "shipped", root / "user", root / "project")
        self.cache = root / "cache" / "profiles.json"
        shutil.copytree(profiles_folder() / "schemas", self.folders.shipped / "schemas")

    def write(self, layer: str, name: str, text: str, kind: str = "providers") -> Path:
        root: Path = getattr(self.folders, layer)
        path = root / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def provider(self, layer: str, name: str, rest: str = "") -> Path:
        head = f"schema: nemocli.provider/1\nname: {name}\n"
        return self.write(layer, f"{name}.yaml", head + rest)

    def card(self, layer: str, name: str, rest: str = "") -> Path:
        head = f"schema: nemocli.model/1\nname: {name}\n"
        return self.write(layer, f"{name}.yaml", head + rest, "models")

    def load(self) -> LoadedProfiles:
        return catalogue(self.folders, self.cache)

    def settle(self) -> None:
        """Make every file old enough to be cached, as all are but just after an edit."""
        then = time.time() - 10
        for path in self.cache.parent.parent.rglob("*"):
            if path.is_file():
                os.utime(path, (then, then))


def refused(loaded: LoadedProfiles, name: str) -> Fault:
    with pytest.raises(NemoError) as caught:
        loaded.catalogue.provider(name)
    assert caught.value.fault.kind is FaultKind.CONFIG
    return caught.value.fault
