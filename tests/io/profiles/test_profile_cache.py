"""The cache of parsed profiles: never wrong, never in the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from nemocli.io.profiles.catalogue import LoadedProfiles, ProfileFolders, catalogue, profiles_folder
from tests.io.profiles.profile_shop import WHOLE, Shop, refused


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def everything(loaded: LoadedProfiles) -> tuple[object, ...]:
    found = loaded.catalogue
    return dict(found.providers), dict(found.cards), loaded.broken


def filled(shop: Shop) -> LoadedProfiles:
    shop.provider("shipped", "a", WHOLE + "body: {x: 0.60, y: 1., z: 1e2, n: null}\n")
    shop.provider(
        "user",
        "b",
        "extends: a\nprices:\n  - {model: m, valid_from: 2026-10-01, input: 0.1, output: 2}\n",
    )
    shop.provider("user", "bad", "nonsense: true\n")
    shop.card("shipped", "m", "aliases: [em]\nsampling: {top_p: 0.95}\n")
    shop.settle()
    return shop.load()  # fmt: skip


def test_what_the_cache_gives_back_is_what_the_files_say(shop: Shop) -> None:
    fresh = filled(shop)
    assert shop.cache.is_file()
    assert everything(shop.load()) == everything(fresh)
    body = shop.load().catalogue.provider("a").body
    assert str(body["x"]) == "0.60"
    assert isinstance(body["y"], Decimal)
    assert body["n"] is None
    assert refused(shop.load(), "bad") == refused(fresh, "bad")


def test_the_cache_is_private(shop: Shop) -> None:
    filled(shop)
    assert stat.S_IMODE(shop.cache.stat().st_mode) == 0o600
    assert stat.S_IMODE(shop.cache.parent.stat().st_mode) == 0o700


def test_a_changed_added_or_removed_file_is_seen(shop: Shop) -> None:
    filled(shop)
    path = shop.provider("user", "b", "extends: a\ntitle: changed\n")
    assert shop.load().catalogue.provider("b").title == "changed"
    shop.provider("user", "c", "extends: a\n")
    assert "c" in shop.load().catalogue.providers
    path.unlink()
    assert "b" not in shop.load().catalogue.providers


def test_a_file_rewritten_at_once_with_the_same_length_is_seen(shop: Shop) -> None:
    filled(shop)
    for port in range(8001, 8020):
        shop.provider("user", "b", f"extends: a\nbase_url: http://127.0.0.1:{port}\n")
        assert shop.load().catalogue.provider("b").base_url == f"http://127.0.0.1:{port}"


def test_a_file_changed_this_very_moment_is_not_cached_yet(shop: Shop) -> None:
    path = shop.provider("shipped", "a", WHOLE)
    shop.settle()
    now = time.time()
    os.utime(path, (now, now))
    shop.load()
    assert not shop.cache.exists()
    shop.settle()
    shop.load()
    assert shop.cache.exists()


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "folder"])
def test_a_damaged_cache_is_rebuilt_in_silence(shop: Shop, damage: str) -> None:
    fresh = filled(shop)
    data = shop.cache.read_bytes()
    if damage == "folder":
        shop.cache.unlink()
        shop.cache.mkdir()
    else:
        flipped = data.replace(b"https://a.example", b"https://b.example")
        shop.cache.write_bytes(
            {"empty": b"", "cut": data[:-9], "flipped": flipped, "text": b"\nhi"}[damage]
        )
    assert everything(shop.load()) == everything(fresh)
    if damage != "folder":
        assert shop.cache.read_bytes() == data


def test_an_unwritable_cache_costs_only_time(shop: Shop) -> None:
    shop.cache.parent.mkdir()
    shop.cache.parent.joinpath("profiles.json").mkdir()
    assert "a" in filled(shop).catalogue.providers
    file = shop.folders.shipped / "schemas" / "model.schema.json"
    assert "a" in catalogue(shop.folders, file / "below-a-file.json").catalogue.providers


def test_a_missing_folder_is_an_empty_one(tmp_path: Path) -> None:
    folders = ProfileFolders(profiles_folder(), tmp_path / "none", None)
    assert catalogue(folders, None).broken == {}


def test_a_cached_load_imports_no_parser(tmp_path: Path) -> None:
    cache = tmp_path / "profiles.json"
    assert len(catalogue(ProfileFolders(profiles_folder()), cache).catalogue.providers) >= 17
    if not cache.exists():
        pytest.skip("the shipped profiles were edited this very moment")
    code = f"""
import sys, time
from pathlib import Path
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder
least = 9.0
for _ in range(5):
    begun = time.perf_counter()
    found = catalogue(ProfileFolders(profiles_folder()), Path({str(cache)!r})).catalogue
    everything = dict(found.providers), dict(found.cards)
    least = min(least, time.perf_counter() - begun)
print(least, *sorted({{"yaml", "jsonschema"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[3])  # fmt: skip
    seconds, *loaded = run.stdout.split()
    assert loaded == []
    assert float(seconds) < 0.05  # takes 0.004
