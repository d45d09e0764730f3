"""One cache for everybody: ours is huggingface_hub's and the other way round; and air gaps."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.weights.weights_case import (
    NAME,
    SHARD,
    assert_said,
    assert_whole,
    pull,
    pull_to_cache,
    target,
    to_hub,
    unfinished,
    verify,
)
from tests.hub_peer import hf, hub_python
from tests.run import Home, run
from tests.servers.content import Virtual
from tests.servers.hub import Hub
from tests.servers.repository import COMMIT, OTHER_COMMIT, Entry, Repo, enormous, small

pytestmark = pytest.mark.slow

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
SNAPSHOT = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1]))
"""
SCAN = """
from huggingface_hub import scan_cache_dir
found = scan_cache_dir()
assert not found.warnings, found.warnings
for repo in found.repos:
    print(repo.repo_id, repo.nb_files, repo.size_on_disk, *[r.commit_hash for r in repo.revisions])
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def snapshot(cache: Path) -> Path:
    return cache / "models--acme--tiny" / "snapshots" / COMMIT


def test_by_default_it_goes_where_everybody_looks(home: Home, cache: Path) -> None:
    with Hub(small()) as hub:
        assert_said(pull_to_cache(home, hub, cache), 0)
        assert_whole(snapshot(cache), hub.repos[NAME])
        refs = cache / "models--acme--tiny" / "refs" / "main"
        assert refs.read_text() == COMMIT
        shard = snapshot(cache) / SHARD
        entry = hub.repos[NAME].entry(SHARD)
        assert entry is not None
        assert shard.is_symlink()
        assert shard.resolve() == cache / "models--acme--tiny" / "blobs" / entry.sha256
        assert not shard.readlink().is_absolute()
        assert unfinished(cache) == []


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "nothing"])
def test_the_folder_is_the_one_huggingface_hub_would_take(home: Home, variable: str) -> None:
    root = home.root / "elsewhere"
    hubs = {
        "HF_HOME": root / "hub",
        "HF_HUB_CACHE": root,
        "XDG_CACHE_HOME": root / "huggingface" / "hub",
        "nothing": home.root / ".cache" / "huggingface" / "hub",
    }
    env = {} if variable == "nothing" else {variable: str(root)}
    with Hub(small()) as hub:
        done = run("weights", "pull", NAME, home=home, env=to_hub(hub, **env))
        assert_said(done, 0)
        assert_whole(snapshot(hubs[variable]), hub.repos[NAME])


def test_huggingface_hub_takes_ours_for_its_own(home: Home, cache: Path) -> None:
    with Hub(small()) as hub:
        assert_said(pull_to_cache(home, hub, cache), 0)
        found = hub_python(SNAPSHOT, NAME, cache=cache, **OFFLINE)
        assert found.returncode == 0, found.stderr
        assert Path(found.stdout.strip()) == snapshot(cache)
        listed = hub_python(SCAN, cache=cache)
        assert listed.returncode == 0, listed.stderr
        name, files, _, commit = listed.stdout.split()
        assert (name, int(files), commit) == (NAME, len(hub.repos[NAME].entries), COMMIT)
        shown = hf("cache", "ls", cache=cache)
        assert shown.returncode == 0, shown.stderr
        assert NAME in shown.stdout
        checked = hf("cache", "verify", NAME, cache=cache, HF_ENDPOINT=hub.url)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_huggingface_hub_fetches_nothing_over_ours(home: Home, cache: Path) -> None:
    with Hub(small()) as hub:
        assert_said(pull_to_cache(home, hub, cache), 0)
        hub.forget()
        again = hf("download", NAME, cache=cache, HF_ENDPOINT=hub.url)
        assert again.returncode == 0, again.stderr
        assert hub.asked("cdn") == []


def test_huggingface_hub_takes_our_plain_folder_for_its_own(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        hub.forget()
        done = hf(
            "download", NAME, "--local-dir", str(target(home)),
            cache=home.root / "c", HF_ENDPOINT=hub.url,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert hub.asked("cdn") == []
        assert_said(verify(home, target(home)), 0)


def test_we_take_huggingface_hubs_cache_for_our_own(home: Home, cache: Path) -> None:
    with Hub(small()) as hub:
        theirs = hf("download", NAME, cache=cache, HF_ENDPOINT=hub.url)
        assert theirs.returncode == 0, theirs.stderr
        hub.forget()
        assert_said(pull_to_cache(home, hub, cache), 0)
        assert hub.asked("cdn") == []
        assert_whole(snapshot(cache), hub.repos[NAME])


def test_their_cache_with_a_flipped_bit_is_not_taken_on_trust(home: Home, cache: Path) -> None:
    with Hub(small()) as hub:
        theirs = hf("download", NAME, cache=cache, HF_ENDPOINT=hub.url)
        assert theirs.returncode == 0, theirs.stderr
        blob = (snapshot(cache) / SHARD).resolve()
        data = bytearray(blob.read_bytes())
        data[1000] ^= 1
        blob.chmod(0o600)
        blob.write_bytes(data)
        assert_said(pull_to_cache(home, hub, cache), 0)
        assert_whole(snapshot(cache), hub.repos[NAME])


def test_two_commits_share_the_blobs_they_have_in_common(home: Home, cache: Path) -> None:
    repo = small()
    with Hub(repo) as hub:
        assert_said(pull_to_cache(home, hub, cache), 0)
    changed = [e for e in repo.entries if e.path != SHARD]
    changed.append(Entry(SHARD, Virtual(1_000_000, "new")))
    with Hub(Repo(NAME, changed, commit=OTHER_COMMIT)) as hub:
        assert_said(pull_to_cache(home, hub, cache), 0)
        assert {s.path for s in hub.asked("cdn")} == {SHARD}
        other = cache / "models--acme--tiny" / "snapshots" / OTHER_COMMIT
        assert_whole(other, hub.repos[NAME])
        assert_whole(snapshot(cache), repo)


def test_offline_uses_what_is_there_and_asks_nobody(home: Home, cache: Path) -> None:
    with Hub(small()) as hub:
        assert_said(pull_to_cache(home, hub, cache), 0)
        hub.forget()
        for offline in ({"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "true"}):
            assert_said(pull_to_cache(home, hub, cache, **offline), 0)
        assert hub.seen == []
        fresh = cache.parent / "fresh"
        done = pull_to_cache(home, hub, fresh, HF_HUB_OFFLINE="1")
        assert_said(done, 7, "offline")
        assert hub.seen == []


def test_ls_leaves_out_what_was_refused_before_it_began(home: Home, cache: Path) -> None:
    repo = enormous(total=10**15)
    with Hub(repo) as hub:
        assert_said(pull_to_cache(home, hub, cache, name=repo.name), 3, "not enough space")
    listed = run("weights", "ls", home=home, env={"HF_HUB_CACHE": str(cache)})
    assert_said(listed, 0, "no models")
    assert listed.text == ""


def test_ls_and_rm_know_the_cache(home: Home, cache: Path) -> None:
    env = {"HF_HUB_CACHE": str(cache)}
    with Hub(small()) as hub:
        assert_said(pull_to_cache(home, hub, cache), 0)
    listed = run("weights", "ls", "--json", home=home, env=env)
    assert_said(listed, 0)
    assert NAME in listed.text
    removed = run("weights", "rm", NAME, "--yes", home=home, env=env)
    assert_said(removed, 0)
    assert not snapshot(cache).exists()
    assert not list(cache.rglob("blobs/*"))


# From machine to machine


def other_machine(home: Home) -> Home:
    return Home(home.root / "other-machine")


@pytest.mark.parametrize("source", ["folder", "cache"])
def test_an_export_is_imported_and_verified_without_a_network(
    home: Home, cache: Path, source: str
) -> None:
    repo = small()
    stick = home.root / "stick"
    with Hub(repo) as hub:
        if source == "folder":
            assert_said(pull(home, hub), 0)
            what = str(target(home))
        else:
            assert_said(pull_to_cache(home, hub, cache), 0)
            what = NAME
        env = to_hub(hub, HF_HUB_CACHE=str(cache))
    done = run("weights", "export", what, str(stick), home=home, env={**env, **OFFLINE})
    assert_said(done, 0)
    there = other_machine(home)
    env = {**OFFLINE, "HF_HUB_CACHE": str(there.root / "cache")}
    assert_said(run("weights", "import", str(stick), home=there, env=env), 0)
    assert_whole(snapshot(there.root / "cache"), repo)
    found = run("weights", "verify", NAME, home=there, env=env)
    assert_said(found, 0)


def test_an_export_through_a_pipe(home: Home) -> None:
    repo = small()
    with Hub(repo) as hub:
        assert_said(pull(home, hub), 0)
    tar = home.root / "weights.tar"
    with tar.open("wb") as opened:
        done = run(
            "weights", "export", str(target(home)), "-", home=home, env=OFFLINE, stdout=opened
        )
    assert_said(done, 0)
    names = subprocess.run(["tar", "tf", str(tar)], capture_output=True, text=True, check=True)
    assert SHARD in names.stdout
    there = other_machine(home)
    env = {**OFFLINE, "HF_HUB_CACHE": str(there.root / "cache")}
    with tar.open("rb") as opened:
        assert_said(run("weights", "import", "-", home=there, env=env, stdin=opened), 0)
    assert_whole(snapshot(there.root / "cache"), repo)


def test_an_import_that_was_spoilt_on_the_way_is_refused(home: Home) -> None:
    stick = home.root / "stick"
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
    done = run("weights", "export", str(target(home)), str(stick), home=home, env=OFFLINE)
    assert_said(done, 0)
    carried = next(p for p in stick.rglob("*") if p.name == SHARD and p.is_file()).resolve()
    data = bytearray(carried.read_bytes())
    data[99] ^= 4
    carried.unlink()
    carried.write_bytes(data)
    there = other_machine(home)
    env = {**OFFLINE, "HF_HUB_CACHE": str(there.root / "cache")}
    done = run("weights", "import", str(stick), home=there, env=env)
    assert "Traceback" not in done.err
    assert done.code not in (0, 1)
    assert SHARD in done.err
    assert not (snapshot(there.root / "cache") / SHARD).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"commit": "../../../../outside"},
        {"revision": "../../../../outside"},
        {"repo": "../../outside/x"},
        {"git_oid": "../../../../outside"},
        {"sha256": "../../../../outside"},
        {"path": "../../../../outside"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_that_leads_out_of_the_cache_is_refused(
    home: Home, change: dict[str, str]
) -> None:
    stick = home.root / "stick"
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
    done = run("weights", "export", str(target(home)), str(stick), home=home, env=OFFLINE)
    assert_said(done, 0)
    file = next(p for p in stick.rglob("*manifest*.json"))
    said = json.loads(file.read_text())
    if change.keys() & said.keys():
        said |= change
    else:
        for row in said["files"]:
            if not row["lfs"] or "git_oid" not in change:
                row.update(change)
    file.write_text(json.dumps(said))
    there = other_machine(home)
    env = {**OFFLINE, "HF_HUB_CACHE": str(there.root / "deep" / "in" / "cache")}
    done = run("weights", "import", str(stick), home=there, env=env)
    assert "Traceback" not in done.err
    assert done.code not in (0, 1), done.err
    assert list(home.root.rglob("*outside*")) == []


def test_the_manifest_says_what_lies_there(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        manifests = [p for p in target(home).rglob("*manifest*.json") if p.is_file()]
        assert len(manifests) == 1
        said = json.loads(manifests[0].read_text())
        text = json.dumps(said)
        assert COMMIT in text
        assert hub.url in text
        for entry in hub.repos[NAME].entries:
            assert entry.path in text
            assert entry.etag in text or not entry.lfs
