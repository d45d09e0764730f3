"""What is known before the first byte, and how the bytes are asked for."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.weights.weights_case import (
    NAME,
    SHARD,
    assert_said,
    assert_whole,
    pull,
    target,
    to_hub,
)
from tests.run import Done, Home, run
from tests.servers.content import MIB, Known
from tests.servers.hub import TOKEN, Hub
from tests.servers.mishaps import Flip, Refuse
from tests.servers.repository import Entry, Repo, enormous, small


def plan(home: Home, hub: Hub, *args: str, name: str = NAME, **env: str) -> Done:
    return run("weights", "plan", name, *args, home=home, env=to_hub(hub, **env))


@pytest.mark.parametrize(("files", "pages"), [(5, 1), (1000, 1), (1001, 2), (2500, 3)])
def test_a_plan_is_one_request_and_one_for_each_thousand_files(
    home: Home, files: int, pages: int
) -> None:
    many = [Entry(f"f{n:05}.json", Known(b"{}"), lfs=False) for n in range(files)]
    with Hub(Repo("acme/many", many)) as hub:
        assert_said(plan(home, hub, "--json", "--no-probe", name="acme/many"), 0)
        kinds = [(s.method, s.where) for s in hub.seen]
        assert kinds == [("GET", "info")] + [("GET", "tree")] * pages


def test_a_pull_asks_nothing_twice(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        assert [s.method for s in hub.seen if s.method != "GET"] == []
        assert len(hub.asked("info", "tree")) == 2
        for entry in hub.repos[NAME].entries:
            assert len(hub.asked("resolve", path=entry.path)) == 1


def test_the_plan_knows_files_bytes_the_largest_and_the_commit(home: Home) -> None:
    with Hub(enormous()) as hub:
        repo = hub.repos["nvidia/virtual-ultra-nvfp4"]
        done = plan(home, hub, "--json", name=repo.name)
        assert "Traceback" not in done.err
        text = done.text
        for fact in (repo.commit, str(repo.size), "114", str(max(e.size for e in repo.entries))):
            assert fact in text, fact
        assert hub.sent() < 200 * MIB, "a probe is short"
        shown = plan(home, hub, "--gpus", "8xH200", name=repo.name)
        assert "    as it is TP8: fits; " in shown.text


def test_the_plan_says_that_a_repository_is_gated_without_fetching(home: Home) -> None:
    with Hub(replace(small(), gated="manual")) as hub:
        done = plan(home, hub, "--json")
        assert "Traceback" not in done.err
        assert "gated" in done.text + done.err
        assert hub.sent() < 1000, "more than a refusal"
        assert_said(plan(home, hub, HF_TOKEN=TOKEN), 0)


def test_the_plan_counts_what_is_there_already(home: Home) -> None:
    with Hub(small()) as hub:
        assert_said(pull(home, hub), 0)
        (target(home) / SHARD).unlink()
        hub.forget()
        done = plan(home, hub, "--local-dir", str(target(home)), "--json")
        assert_said(done, 0)
        entry = hub.repos[NAME].entry(SHARD)
        assert entry is not None
        assert str(entry.size) in done.text


def test_include_and_exclude_choose_files(home: Home) -> None:
    with Hub(small()) as hub:
        done = pull(home, hub, "--include", "*.safetensors", "--exclude", "model-00002*")
        assert_said(done, 0)
        shards = {"model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"}
        assert_whole(target(home), hub.repos[NAME], only=shards)


def test_a_mirror_gives_the_bodies_and_is_not_believed(home: Home) -> None:
    with Hub(small()) as hub, Hub(small()) as mirror:
        mirror.rule(Flip(5000), "cdn", SHARD, times=None)
        mirror.rule(Refuse(404), "cdn", "model-00002*", times=None)
        done = pull(home, hub, "--mirror", mirror.url, env={"HF_TOKEN": TOKEN})
        assert_said(done, 0)
        assert_whole(target(home), hub.repos[NAME])
        assert mirror.asked("cdn"), "the mirror was never asked"
        assert not any(s.authorized for s in mirror.seen)
        assert mirror.asked("info", "tree") == []


@pytest.mark.slow
def test_a_rate_limit_is_never_exceeded(home: Home) -> None:
    repo = small(shards=3, size=13 * MIB)
    with Hub(repo) as hub:
        done = pull(home, hub, "--limit-rate", "4M")
        assert_said(done, 0)
        bodies = hub.asked("cdn")
        took = time.monotonic() - min(s.at for s in bodies)
        assert took >= 0.9 * repo.size / 4e6, f"{took:.2f} s"


def test_an_alias_of_the_model_card_is_a_repository(home: Home) -> None:
    official = enormous("nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4")
    with Hub(official) as hub:
        done = plan(home, hub, "--json", name="nemotron-3-ultra")
        assert "Traceback" not in done.err
        assert official.name in done.text
        assert {s.path for s in hub.asked("info")} == {official.name}


@pytest.mark.parametrize(
    ("gpus", "precision", "word"),
    [
        ("8xH100", "nvfp4", "fits"),
        ("2xB200", "nvfp4", "tight"),
        ("1xH100", "nvfp4", "not"),
        ("8xB300", "bf16", "fits"),
        ("8xH200", "bf16", "tight"),
    ],
)
def test_the_plan_says_whether_it_fits_the_hardware(
    home: Home, gpus: str, precision: str, word: str
) -> None:
    name = f"nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-{precision.upper()}"
    total = {"nvfp4": 352_300_000_000, "bf16": 1_121_000_000_000}[precision]
    with Hub(enormous(name, total=total)) as hub:
        done = plan(home, hub, "--gpus", gpus, "--precision", precision, name="nemotron-3-ultra")
        assert "Traceback" not in done.err
        assert word in (done.text + done.err).lower()


def test_no_credentials_of_the_environment_reach_a_plan_for_another_hub(
    home: Home, tmp_path: Path
) -> None:
    with Hub(small()) as hub:
        assert_said(plan(home, hub, HF_TOKEN=TOKEN), 0)
        assert TOKEN.encode() not in b"".join(
            p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()
        )


def test_without_a_network_the_verdict_is_said_all_the_same(home: Home) -> None:
    line = ("weights", "plan", "nemotron-3-ultra", "--gpus", "8xH100")
    for more in (("--offline",), ()):
        done = run(*line, *more, home=home, env={"HF_ENDPOINT": "http://127.0.0.1:1"})
        assert done.code == 7
        assert "NVFP4 TP8: fits" in done.text
    found = run(*line, "--json", home=home, env={"HF_ENDPOINT": "http://127.0.0.1:1"})
    assert (found.code, found.json()["files"]) == (7, None)
    assert found.json()["hardware"][0]["verdict"] == "fits"


def test_a_size_that_is_not_known_gives_no_verdict(home: Home) -> None:
    done = run("weights", "plan", "nemotron-3-super", "--gpus", "8xH100", "--offline", home=home)
    assert "whether it fits is not known" in done.text
    done = run("weights", "plan", "nemotron-3.5-super-vl", "--offline", home=home)
    assert (done.code, "is not known here" in done.err) == (2, True)


def test_names_as_they_are_copied_from_a_browser(home: Home) -> None:
    with Hub(small()) as hub:
        for name in (f"https://huggingface.co/{NAME}", f"hf://{NAME}", f"hf.co/{NAME}/tree/main"):
            assert_said(plan(home, hub, name=name), 0)
        assert {s.path for s in hub.asked("info")} == {NAME}
        for name, said in (
            (f"https://huggingface.co/{NAME}/tree/v2", "--revision v2"),
            (f"hf://{NAME}@v2", "--revision v2"),
            ("https://huggingface.co/datasets/a/b", "no repository of a model"),
        ):
            done = plan(home, hub, name=name)
            assert done.code == 2
            assert said in done.err


def test_a_wait_of_an_hour_is_said_as_one(home: Home) -> None:
    with Hub(small()) as hub:
        hub.rule(Refuse(429, retry_after=3600), "info", "*", times=None)
        done = plan(home, hub)
    assert "left alone for 60 min" in done.err
    assert "HF_TOKEN raises the limit" in done.err
