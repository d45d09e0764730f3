"""`nim` with the engine's own client, against an engine behind its real interface."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.run import KEY, Home, run, spawn
from tests.servers.behaviours import Status
from tests.servers.docker import DockerEngine
from tests.servers.stub import Stub

ULTRA = ("nemotron-3-ultra", "--gpus", "8xH100")
OURS = {"nemocli.nim": "nemotron-3-ultra"}
docker = pytest.mark.skipif(shutil.which("docker") is None, reason="no client of Docker is here")


@pytest.fixture(autouse=True)
def nobody_to_ask(home: Home) -> None:
    """The vendor is not asked but where a test is about that."""
    home.env["NEMOCLI_NIM_METADATA_URL"] = "http://127.0.0.1:1/"


@pytest.fixture
def engine(home: Home) -> Iterator[DockerEngine]:
    with DockerEngine() as found:
        home.env |= {"DOCKER_HOST": found.host, "NGC_API_KEY": KEY}
        yield found


def up(home: Home, *more: str) -> tuple[str, ...]:
    return ("nim", "up", *ULTRA, "--cache", str(home.root / "cache"), *more)


@docker
def test_up_starts_once_and_hands_the_key_over_by_name(home: Home, engine: DockerEngine) -> None:
    first = run(*up(home), home=home)
    assert first.code == 0, first.err
    (made,) = engine.created
    assert made["Labels"] == OURS
    assert f"NGC_API_KEY={KEY}" in made["Env"]  # to the engine, which is where it belongs
    assert made["HostConfig"]["PortBindings"] == {
        "8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}]
    }
    assert KEY not in first.text + first.err
    assert home.files_holding(KEY) == []
    again = run(*up(home), home=home)
    assert "runs already" in again.text
    assert len(engine.created) == 1


@docker
def test_what_is_stopped_is_started_again(home: Home, engine: DockerEngine) -> None:
    at = engine.add("nemocli-nim-nemotron-3-ultra", OURS, "exited")
    done = run(*up(home), home=home)
    assert "is started again" in done.text, done.err
    assert engine.containers[at]["State"] == "running"
    assert engine.created == []


@docker
def test_the_dry_run_is_a_command_that_the_client_takes(home: Home, engine: DockerEngine) -> None:
    import shlex
    import subprocess

    done = run(*up(home, "--dry-run", "--max-model-len", "65536"), home=home)
    words = shlex.split(done.text)
    assert KEY not in done.text
    assert engine.created == []
    taken = subprocess.run(
        words, env=home.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert taken.returncode == 0, taken.stderr
    assert len(engine.created) == 1


@docker
@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (500, 'could not select device driver "" with capabilities: [[gpu]]', "nvidia-ctk"),
        (500, "Bind for 127.0.0.1:8000 failed: port is already allocated", "--port N"),
        (500, "no space left on device", "docker system df"),
    ],
)
def test_a_refusal_has_its_remedy(
    home: Home, engine: DockerEngine, status: int, said: str, hint: str
) -> None:
    engine.refuses = (status, said)
    done = run(*up(home), home=home)
    assert done.code == 3
    assert hint in done.err
    assert done.out == b""


def test_without_its_key_nothing_is_started(home: Home) -> None:
    done = run(*up(home), home=home)
    assert done.code == 4
    assert "export NGC_API_KEY" in done.err
    assert not (home.root / "cache").exists()


def test_what_is_not_shown_to_fit_is_not_started(home: Home) -> None:
    done = run("nim", "up", "nemotron-3-ultra", "--gpus", "4xH100", home=home)
    assert done.code == 3
    assert "--force" in done.err


def test_two_nodes_are_not_one_command(home: Home) -> None:
    sixteen = ("nemotron-3-ultra", "--gpus", "16xH100", "--precision", "BF16")
    done = run("nim", "up", *sixteen, home=home, env={"NGC_API_KEY": KEY})
    assert done.code == 2
    assert "--to operator" in done.err
    refused = run("nim", "manifest", *sixteen, "--to", "compose", home=home)
    assert refused.code == 2
    two = run("nim", "manifest", *sixteen, "--to", "operator", home=home)
    cache, service = yaml.safe_load_all(two.text)
    assert (cache["kind"], service["kind"]) == ("NIMCache", "NIMService")
    assert service["spec"]["multiNode"]["parallelism"] == {"tensor": 8, "pipeline": 2}


@docker
def test_down_takes_ours_and_nothing_else(home: Home, engine: DockerEngine) -> None:
    other = engine.add("database", {"app": "db"})
    mine = engine.add("nemocli-nim-nemotron-3-ultra", OURS)
    done = run("nim", "down", home=home)
    assert done.code == 0, done.err
    assert "its cache stays" in done.text
    assert other in engine.containers
    assert mine not in engine.containers
    assert "no container of ours" in run("nim", "down", home=home).err


@docker
def test_a_trouble_in_a_log_is_named_beside_it(home: Home, engine: DockerEngine) -> None:
    engine.add(
        "n", OURS, said="start\n\x1b]0;owned\x07nothing more to say\nno space left on device\n"
    )
    done = run("nim", "logs", home=home)
    assert "start" in done.text
    assert "docker system df" in done.err


@docker
def test_wait_ends_with_the_cause_when_the_container_has(home: Home, engine: DockerEngine) -> None:
    engine.add("n", OURS, "exited", "ERROR Could not match a profile in manifest\n")
    done = run("nim", "wait", home=home)
    assert done.code == 5, done.err
    assert "no profile of this container is for these GPUs" in done.err
    assert "nim plan" in done.err


@docker
def test_status_and_wait_see_a_server_that_is_ready(home: Home, engine: DockerEngine) -> None:
    from tests.nim.test_metrics import PAGE

    engine.add("n", OURS)
    with Stub() as stub:
        stub.on("/v1/health/ready", Status(200, b"{}"))
        stub.on("/v1/metrics", Status(200, PAGE.format(p="vllm:").encode()))
        port = stub.origin.rpartition(":")[2]
        status = run("nim", "status", "--port", port, "--json", home=home).json()
        assert status["health"] == "ready"
        assert status["metrics"]["kv_cache"] == 0.25
        assert [c["model"] for c in status["containers"]] == ["nemotron-3-ultra"]
        page = PAGE.replace("{p}num_requests_running 2", "{p}num_requests_running 0")
        stub.on("/v1/metrics", Status(200, page.format(p="vllm:").encode()))
        with spawn("nim", "status", "--port", port, "--json", "--watch", home=home) as running:
            running.until("\n{")
            running.process.send_signal(signal.SIGINT)
            watched = running.finish(20)
        assert watched.code == 130
        assert all(row["health"] == "ready" for row in watched.lines())
        ready = run("nim", "wait", "--port", port, home=home)
    assert (ready.code, ready.text.strip()) == (0, f"ready at http://127.0.0.1:{port}/v1")


PROFILE = {"profile_id": "vllm-nvfp4-tp8", "gpu": "H100", "tensor_parallel_size": 8,
           "precision": "NVFP4", "min_vram_per_device_gb": 75}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "said", "profile"),
    [
        (200, {"profiles": [PROFILE]}, "published profile for 8 H100: 75 GB", "vllm-nvfp4-tp8"),
        (200, {"profiles": [{**PROFILE, "tensor_parallel_size": "x"}]}, "none is for", None),
        (200, {"profiles": "no"}, "could not be read", None),
        (200, [1], "could not be read", None),
        (404, {}, "publishes no profiles", None),
        (500, {}, "could not be read", None),
    ],
)
def test_the_vendors_published_profiles_are_asked_first(
    home: Home, status: int, body: object, said: str, profile: str | None
) -> None:
    with Stub() as stub:
        stub.on("/meta", Status(status, body))
        home.env["NEMOCLI_NIM_METADATA_URL"] = f"{stub.origin}/meta"
        done = run("nim", "plan", *ULTRA, "--json", home=home)
        (asked,) = stub.asked("/meta")
        run("nim", "plan", *ULTRA, "--offline", home=home)
        assert len(stub.asked("/meta")) == 1
    assert done.code == 0, done.err
    plan = done.json()
    assert asked.query == {
        "resourceId": "nim/nvidia/nemotron-3-ultra-550b-a55b",
        "tag": "2.0.5-variant",
    }
    assert plan["profile"] == profile
    assert said in done.err + " ".join(plan["why"])
    asked_just_now = "NIM metadata API, asked just now" in plan["sources"]
    assert asked_just_now == (said.endswith("GB") or said == "none is for")


def test_no_engine_is_one_clear_line(home: Home) -> None:
    home.env["PATH"] = str(home.root)
    done = run("nim", "status", home=home)
    assert done.code == 3
    assert done.err.splitlines()[0] == "nemocli: `docker` is not installed"


def test_doctor_says_each_thing_and_fails(home: Home) -> None:
    home.env["PATH"] = str(home.root)
    done = run("nim", "doctor", "--json", "--cache", str(home.root), home=home)
    assert done.code == 3
    checks = {c["name"]: c["ok"] for c in done.json()["checks"]}
    assert checks["docker"] is False
    assert checks["driver"] is False
    assert checks["NGC_API_KEY"] is False
    assert all(c["ok"] or c["remedy"] for c in done.json()["checks"])


def test_doctor_reads_the_drivers_own_tool(home: Home) -> None:
    tools = home.root / "tools"
    tools.mkdir()
    for version, ok in (("580.65.06", True), ("570.1", False)):
        file = tools / "nvidia-smi"
        file.write_text(f"#!/bin/sh\necho '{version}, Default'\n")
        file.chmod(0o755)
        home.env["PATH"] = f"{tools}:/usr/bin:/bin"
        done = run("nim", "doctor", "--json", "--engine", "podman", home=home)
        assert {c["name"]: c["ok"] for c in done.json()["checks"]}["driver"] is ok


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (("plan", "nemotron-3-ultra", "--gpus", "8xTPU"), "no memory is known"),
        (("plan", "nothing-like-it", "--gpus", "8xH100"), "no container of NIM is known"),
        (("plan", *ULTRA, "--precision", "INT3"), "NVFP4, BF16"),
        (("up", *ULTRA, "--engine", "lxc"), "docker, podman"),
        (("manifest", *ULTRA, "--to", "nomad"), "compose, operator, helm, slurm"),
    ],
)
def test_what_is_mistyped_is_said(home: Home, args: tuple[str, ...], hint: str) -> None:
    done = run("nim", *args, home=home)
    assert done.code == 2
    assert hint in done.err


def test_manifests_are_yaml_with_keys_by_reference(home: Home, tmp_path: Path) -> None:
    home.env["NGC_API_KEY"] = KEY
    for to in ("compose", "operator", "helm", "slurm"):
        done = run("nim", "manifest", *ULTRA, "--to", to, home=home)
        assert done.code == 0, done.err
        assert KEY not in done.text
        if to == "slurm":
            assert done.text.startswith("#!/bin/bash\n")
        else:
            assert all(isinstance(d, dict) for d in yaml.safe_load_all(done.text))
    plan = run("nim", "plan", *ULTRA, "--json", home=home).json()
    assert plan["verdict"] == "fits"
    assert json.dumps(plan).count(KEY) == 0
