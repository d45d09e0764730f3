"""One server for the chats of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.run import Home
from tests.servers.answer import Answer
from tests.servers.stub import Stub


@pytest.fixture(scope="module")
def server() -> Iterator[Stub]:
    with Stub(Answer("Hello.", cost=0.0001)) as stub:
        yield stub


@pytest.fixture
def stub(server: Stub, home: Home) -> Stub:
    server.requests.clear()
    server.script(Answer("Hello.", cost=0.0001))
    home.provider("stub", server.url)
    return server
