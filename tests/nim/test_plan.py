"""From GPUs to a command: two sources side by side, and nothing secret in what is typed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.card import ModelCard
from nemocli.core.fit import parse_gpus
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder
from nemocli.nim.manifest import ACROSS_NODES, TARGETS
from nemocli.nim.plan import ContainerImage, Launch, NimPlan, plan_json, plan_nim

SIZES = {"NVFP4": 352_300_000_000, "BF16": 1_121_000_000_000}
IMAGE = ContainerImage(
    "registry.test/nim/ultra", "2.0.5", "a page", 580, True, None, SIZES, "--parser x"
)


@pytest.fixture(scope="module")
def ultra(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    cache = tmp_path_factory.mktemp("cards") / "profiles.json"
    card = catalogue(ProfileFolders(profiles_folder()), cache).catalogue.card("nemotron-3-ultra")
    assert card is not None
    return card


def planned(card: ModelCard, gpus: str, precision: str = "NVFP4", **more: Any) -> NimPlan:
    return plan_nim(card, precision, parse_gpus(gpus), IMAGE, Launch(), **more)


@pytest.mark.parametrize(
    ("gpus", "precision", "verdict"),
    [
        ("8xH100", "NVFP4", "fits"),
        ("4xH100", "NVFP4", "no"),
        ("2xB200", "NVFP4", "tight"),
        ("8xA100", "NVFP4", "unknown"),
        ("8xH100", "BF16", "no"),
        ("16xH100", "BF16", "tight"),
    ],
)
def test_verdicts(ultra: ModelCard, gpus: str, precision: str, verdict: str) -> None:
    plan = planned(ultra, gpus, precision)
    assert plan.verdict == verdict, plan.why
    assert plan.why
    assert plan.sources[0] == "a page"


def test_fp4_weights_on_hopper_are_said_not_to_compute_in_fp4(ultra: ModelCard) -> None:
    assert any("W4A16" in why for why in planned(ultra, "8xH100").why)
    assert not any("W4A16" in why for why in planned(ultra, "8xB200").why)


def test_a_published_profile_is_named_and_its_absence_is_not_a_no(ultra: ModelCard) -> None:
    row = {"profile_id": "vllm-nvfp4-tp8", "gpu": "H100", "tensor_parallel_size": 8,
           "precision": "NVFP4"}  # fmt: skip
    plan = planned(ultra, "8xH100", metadata=[row])
    assert plan.profile == "vllm-nvfp4-tp8"
    assert "NIM_MODEL_PROFILE=vllm-nvfp4-tp8" in plan.argv
    other = planned(ultra, "8xH100", metadata=[{**row, "gpu": "B200"}])
    assert other.profile is None
    assert other.verdict == "fits"
    assert "of 1 published profiles none is for 8 H100" in other.why


@given(
    st.sampled_from(["docker", "podman"]),
    st.integers(1, 65535),
    st.none() | st.integers(1, 2**20),
    st.none() | st.from_regex(r"[0-9]{1,5}", fullmatch=True),
    st.none() | st.just("/data/weights"),
)
def test_a_command_names_its_keys_and_never_holds_one(
    ultra: ModelCard, engine: str, port: int, length: int | None, user: str | None, at: str | None
) -> None:
    launch = Launch(engine, port, "/cache", user, ("NGC_API_KEY",), length, at)
    argv = plan_nim(ultra, "NVFP4", parse_gpus("8xH100"), IMAGE, launch).argv
    values = [argv[i + 1] for i, flag in enumerate(argv) if flag == "-e"]
    assert "NGC_API_KEY" in values
    assert not any(value.startswith("NGC_API_KEY=") for value in values)
    assert argv[0] == engine
    assert argv[-1] == IMAGE.reference
    assert f"127.0.0.1:{port}:8000" in argv
    assert "--label" in argv
    assert ("nvidia.com/gpu=all" in argv) == (engine == "podman")
    assert ("/data/weights:/weights:ro" in argv) == (at is not None)
    assert (f"NIM_MAX_MODEL_LEN={length}" in argv) == (length is not None)


def test_the_object_is_the_contracts(ultra: ModelCard) -> None:
    plan = plan_json(planned(ultra, "8xH100"))
    assert list(plan) == [
        "schema", "model", "precision", "gpus", "verdict", "why", "image", "profile",
        "tensor_parallel", "pipeline_parallel", "nodes", "image_bytes", "weights_bytes", "argv",
        "sources",
    ]  # fmt: skip
    assert plan["gpus"] == {"name": "H100", "count": 8, "memory_gb": 85.5}
    assert plan["image_bytes"] is None


@pytest.mark.parametrize("to", sorted(TARGETS))
def test_a_manifest_is_about_the_same_plan_and_holds_no_key(ultra: ModelCard, to: str) -> None:
    plan = planned(ultra, "8xB200")
    text = str(TARGETS[to](plan, Launch(max_model_len=65536)))
    assert "nim/ultra" in text
    assert "2.0.5" in text
    assert "65536" in text
    assert "8" in text


def test_sixteen_gpus_of_two_nodes_are_tensor_by_pipeline(ultra: ModelCard) -> None:
    plan = planned(ultra, "16xH100", "BF16")
    assert (plan.tensor, plan.pipeline, plan.nodes) == (8, 2, 2)
    for to in ACROSS_NODES:
        made = str(TARGETS[to](plan, Launch()))
        assert "'pipeline': 2" in made or "--nodes=2" in made
