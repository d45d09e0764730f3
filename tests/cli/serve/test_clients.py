"""Clients that programs use, as they come: SDKs, LangChain and the `llm` command."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.serve.test_serve import HI, Gateway, started
from tests.run import Home
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

pytestmark = pytest.mark.slow
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CALL = Answer("", tool_calls=(("weather", '{"city": "Oslo"}'),))
SUNNY = Answer("It is sunny in Oslo.")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = Home(tmp_path_factory.mktemp("serve") / "user")
    with Stub() as stub:
        home.provider("stub", stub.url, default_model="m")
        running, client = started(home, "-p", "stub", "--loop-guard", "0")
        with running:
            yield Gateway(home, stub, running, client)


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    """What a client leaves to the garbage collector is not another test's affair."""
    yield
    collect_silently()


def collect_silently() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture
def chat(gateway: Gateway) -> Iterator[Any]:
    openai = pytest.importorskip("openai")
    to = gateway.client
    with openai.OpenAI(base_url=to.url, api_key=to.token, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[Any]:
    anthropic = pytest.importorskip("anthropic")
    to, url = gateway.client, gateway.client.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=url, auth_token=to.token, max_retries=0) as client:
        yield client


def test_chat_completions_with_tools_in_two_rounds(gateway: Gateway, chat: Any) -> None:
    gateway.stub.script(CALL, SUNNY)
    tools = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    turns: list[Any] = [{"role": "user", "content": "Oslo?"}]
    first = chat.chat.completions.create(model="m", messages=turns, tools=tools)
    [call] = first.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Oslo"}')
    turns += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    with chat.chat.completions.create(
        model="m", messages=turns, tools=tools, stream=True, stream_options={"include_usage": True}
    ) as stream:
        pieces = list(stream)
    said = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
    assert said == "It is sunny in Oslo."
    assert pieces[-1].usage.total_tokens > 0


def test_responses_with_tools_in_two_rounds_and_a_schema(gateway: Gateway, chat: Any) -> None:
    gateway.stub.script(CALL, Answer('{"city": "Oslo"}'))
    tools = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}]
    first = chat.responses.create(model="m", input="Oslo?", tools=tools)
    [call] = [item for item in first.output if item.type == "function_call"]
    assert (call.name, call.arguments) == ("weather", '{"city": "Oslo"}')
    items = [
        {"role": "user", "content": "Oslo?"},
        *(item.model_dump(exclude_none=True) for item in first.output),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    shape = {"format": {"type": "json_schema", "name": "city", "schema": WEATHER}}
    second = chat.responses.create(model="m", input=items, tools=tools, text=shape)
    assert second.output_text == '{"city": "Oslo"}'
    assert second.usage.output_tokens > 0


def test_messages_with_tools_in_two_rounds(gateway: Gateway, claude: Any) -> None:
    gateway.stub.script(CALL, SUNNY)
    tools = [{"name": "weather", "input_schema": WEATHER}]
    turns: list[Any] = [{"role": "user", "content": "Oslo?"}]
    first = claude.messages.create(model="m", max_tokens=50, messages=turns, tools=tools)
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert (first.stop_reason, call.input) == ("tool_use", {"city": "Oslo"})
    turns += [
        {"role": "assistant", "content": [b.model_dump() for b in first.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}],
        },
    ]
    with claude.messages.stream(model="m", max_tokens=50, messages=turns, tools=tools) as stream:
        assert "".join(stream.text_stream) == "It is sunny in Oslo."


def test_a_client_that_cancels_ends_the_call(gateway: Gateway, chat: Any) -> None:
    gateway.stub.script(Answer("word " * 200, gap_s=0.05))
    seen = len(gateway.stub.requests)
    with chat.chat.completions.create(model="m", messages=HI, stream=True) as stream:
        next(iter(stream))
    assert gateway.stub.wait_for(seen + 1)[-1].gone.wait(5)


def test_refusals_are_their_own_errors(gateway: Gateway, chat: Any, claude: Any) -> None:
    import anthropic
    import openai

    for status, theirs, other in (
        (401, openai.AuthenticationError, anthropic.AuthenticationError),
        (429, openai.RateLimitError, anthropic.RateLimitError),
        (404, openai.NotFoundError, anthropic.NotFoundError),
    ):
        gateway.stub.script(Status(status, {"error": {"message": "no"}}, retry_after=0))
        with pytest.raises(theirs):
            chat.chat.completions.create(model="m", messages=HI)
        with pytest.raises(other):
            claude.messages.create(model="m", max_tokens=9, messages=HI)


def test_langchain_calls_a_tool(gateway: Gateway) -> None:
    langchain = pytest.importorskip("langchain_openai")
    gateway.stub.script(CALL, SUNNY)
    model = langchain.ChatOpenAI(
        base_url=gateway.client.url, api_key=gateway.client.token, model="m", max_retries=0
    )
    tool = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
    first = model.bind_tools([tool]).invoke("Oslo?")
    assert first.tool_calls[0]["args"] == {"city": "Oslo"}
    turns = [("user", "Oslo?"), first, {"role": "tool", "content": "sunny",
                                       "tool_call_id": first.tool_calls[0]["id"]}]  # fmt: skip
    assert "".join(str(p.content) for p in model.stream(turns)) == "It is sunny in Oslo."
    model.root_client.close()


def test_the_llm_command_is_answered(gateway: Gateway, tmp_path: Path) -> None:
    gateway.stub.script(SUNNY)
    done = ask_llm(gateway, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "It is sunny in Oslo."), done.stderr


def ask_llm(gateway: Gateway, folder: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("llm")
    (folder / "extra-openai-models.yaml").write_text(
        f"- model_id: gate\n  model_name: m\n  api_base: {gateway.client.url}\n"
        "  api_key_name: gate\n"
    )
    (folder / "keys.json").write_text(f'{{"gate": "{gateway.client.token}"}}')
    return subprocess.run(
        [sys.executable, "-m", "llm", "-m", "gate", "--no-log", "Oslo?"],
        env={**os.environ, "LLM_USER_PATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
