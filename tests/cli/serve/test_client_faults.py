"""Five clients that programs use, against nine ways in which a reply fails: none may take it for a
success. (Through the best-known gateway two agents of two report half an answer as whole.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cli.serve.test_clients import ask_llm, collect_silently
from tests.cli.serve.test_serve import HI, Gateway, started
from tests.run import Home
from tests.servers.answer import Answer
from tests.servers.behaviours import (
    Behaviour,
    Cut,
    Gzip,
    MidStreamError,
    Reset,
    Stall,
    Status,
    html,
)
from tests.servers.stub import Stub

pytestmark = pytest.mark.slow
LONG = Answer("It is sunny in Oslo and everywhere else.", piece=6)
FAULTS: dict[str, Behaviour] = {
    "reset before the head": Reset(),
    "reset in the text": Reset(3, LONG),
    "cut inside the body": Cut(3, answer=LONG, clean=False),
    "clean end without an end": Cut(3, answer=LONG),
    "error in the stream": MidStreamError(3, answer=LONG),
    "silence in the text": Stall(3, LONG),
    "a web page": html(),
    "500": Status(500, {"error": {"message": "broken"}}),
    "broken compression": Gzip(LONG, "corrupt"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = Home(tmp_path_factory.mktemp("faults") / "user")
    home.env["NEMOCLI_RETRY_BASE_S"] = "0.01"
    with Stub() as stub:
        home.provider(
            "stub", stub.url, default_model="m", timeouts={"first_byte_s": 2, "idle_s": 1}
        )
        running, client = started(home, "-p", "stub", "--loop-guard", "0")
        with running:
            yield Gateway(home, stub, running, client)


def _chat(gateway: Gateway) -> str:
    openai = pytest.importorskip("openai")
    to = gateway.client
    with (
        openai.OpenAI(base_url=to.url, api_key=to.token, max_retries=0) as client,
        client.chat.completions.create(model="m", messages=HI, stream=True) as stream,
    ):
        return "".join(p.choices[0].delta.content or "" for p in stream if p.choices)


def _responses(gateway: Gateway) -> str:
    openai = pytest.importorskip("openai")
    to = gateway.client
    with openai.OpenAI(base_url=to.url, api_key=to.token, max_retries=0) as client:
        last = None
        for event in client.responses.create(model="m", input="Oslo?", stream=True):
            last = event
            if event.type in ("error", "response.failed"):
                raise RuntimeError(event.type)  # as its users must look for it
        if last is None or last.type != "response.completed":
            raise RuntimeError("never completed")
        return str(last.response.output_text)


def _messages(gateway: Gateway) -> str:
    anthropic = pytest.importorskip("anthropic")
    to = gateway.client
    with (
        anthropic.Anthropic(
            base_url=to.url.removesuffix("/v1"), auth_token=to.token, max_retries=0
        ) as client,
        client.messages.stream(model="m", max_tokens=99, messages=HI) as stream,
    ):
        return str(stream.get_final_text())


def _langchain(gateway: Gateway) -> str:
    langchain = pytest.importorskip("langchain_openai")
    to = gateway.client
    model = langchain.ChatOpenAI(base_url=to.url, api_key=to.token, model="m", max_retries=0)
    try:
        return "".join(str(piece.content) for piece in model.stream("Oslo?"))
    finally:
        model.root_client.close()


def _llm(gateway: Gateway) -> str:
    folder = gateway.home.cwd / "llm"
    folder.mkdir(exist_ok=True)
    done = ask_llm(gateway, folder)
    done.check_returncode()
    return done.stdout.strip()


CLIENTS: dict[str, Callable[[Gateway], str]] = {
    "openai, chat": _chat,
    "openai, responses": _responses,
    "anthropic": _messages,
    "LangChain": _langchain,
    "llm": _llm,
}


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    """What a client leaves to the garbage collector is not another test's affair."""
    yield
    collect_silently()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_failed_reply_is_no_success(gateway: Gateway, client: str) -> None:
    gateway.stub.script(LONG)
    assert CLIENTS[client](gateway) == LONG.text
    taken = {}
    for fault, behaviour in FAULTS.items():
        gateway.stub.script(behaviour)
        try:
            taken[fault] = CLIENTS[client](gateway)
        except Exception:  # noqa: BLE001 - each client has its own
            continue
    assert taken == {}, "taken for a success"
