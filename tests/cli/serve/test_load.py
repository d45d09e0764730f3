"""The gateway under many clients at once: nothing lost, nothing booked twice, no cap passed."""

from __future__ import annotations

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tests.cli.batch.batch_case import Each
from tests.cli.serve.test_serve import Client, started
from tests.run import Home
from tests.servers.answer import Answer
from tests.servers.behaviours import Cut, Status
from tests.servers.stub import Stub

pytestmark = pytest.mark.slow
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
USAGE = {"prompt_tokens": 11, "completion_tokens": 3}


def body_for(path: str, number: int, *, stream: bool = False) -> dict[str, Any]:
    words = f"row {number}"
    said = [{"role": "user", "content": words}]
    body: dict[str, Any] = {"model": "m", "stream": stream}
    if path.endswith("responses"):
        return {**body, "input": words}
    return {**body, "messages": said, "max_tokens": 50}


def test_every_attempt_of_a_thousand_calls_is_booked_once(home: Home) -> None:
    """One call in ten meets a fault at the seller; the ledger has what the seller saw."""
    count = itertools.count(1)
    lock = threading.Lock()

    def choose(request: Any) -> Any:
        with lock:
            number = next(count)
        if number % 20 == 0:
            return Status(500, {"error": {"message": "no"}})
        if number % 20 == 10:
            return Cut(1, answer=Answer("Hello there.", usage=USAGE, cost=0.25))
        return Answer("Hello there.", usage=USAGE, cost=0.25)

    with Stub(Each(choose)) as stub:
        home.provider("stub", stub.url, default_model="m")
        running, client = started(home, "-p", "stub", "--loop-guard", "0")
        with running:

            def call(number: int) -> tuple[int, bytes]:
                path = PATHS[number % 3]
                stream = number % 2 == 0
                try:
                    status, _, said = client.ask(path, body_for(path, number, stream=stream))
                except OSError:
                    return 0, b""
                except Exception as error:  # noqa: BLE001 - a stream that was cut off
                    return 0, repr(error).encode()
                return status, said

            with ThreadPoolExecutor(16) as pool:
                replies = list(pool.map(call, range(1000)))
            time.sleep(0.5)
        asked = len(stub.asked())
    rows = home.attempts()
    assert len(rows) == asked
    assert len({row["attempt_id"] for row in rows}) == asked
    whole = [row for row in rows if row["status"] == "ok"]
    assert sum(row["input_tokens"] for row in whole) == 11 * len(whole)
    assert sum(row["cost_pico"] for row in whole) == len(whole) * 250_000_000_000
    assert sum(status == 200 for status, _ in replies) >= 900


def test_no_cap_is_passed_by_parallel_calls(home: Home) -> None:
    price = {"model": "m", "valid_from": "2026-01-01", "input": 1, "output": 4}

    def choose(request: Any) -> Answer:
        """What is asked for at the most is what it costs at the most."""
        return Answer("Hello.", cost=request.json["max_tokens"] * 4e-6, delay_s=0.05)

    with Stub(Each(choose)) as stub:
        home.provider("stub", stub.url, default_model="m", prices=[price])
        running, client = started(home, "-p", "stub", "--max-cost", "0.05", "--loop-guard", "0")
        with running:

            def call(number: int) -> int:
                said = [{"role": "user", "content": f"row {number}"}]
                return client.ask(body={"model": "m", "messages": said, "max_tokens": 1000})[0]

            with ThreadPoolExecutor(32) as pool:
                codes = list(pool.map(call, range(200)))
        asked = len(stub.asked())
    spent = sum(row["cost_pico"] for row in home.attempts())
    assert Decimal(spent) <= Decimal("0.05") * 10**12
    assert set(codes) == {200, 400}
    assert codes.count(200) == asked >= 12, "as many as the cap pays for"
    assert Decimal(spent) >= Decimal("0.045") * 10**12


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_is_gone_ends_the_sellers_work_at_once(
    home: Home, path: str, *, stream: bool
) -> None:
    """Five times each, so thirty in all. It takes a few milliseconds; the bound is for busy
    machines."""
    with Stub(
        Answer("word " * 200, gap_s=0.05, whole=not stream, delay_s=0 if stream else 5)
    ) as stub:
        home.provider("stub", stub.url, default_model="m")
        running, client = started(home, "-p", "stub", "--loop-guard", "0")
        with running:
            for number in range(5):
                _left(client, stub, path, number, stream=stream)
            time.sleep(0.3)
    rows = home.attempts()
    assert [row["status"] for row in rows] == ["aborted"] * 5


def _left(client: Client, stub: Stub, path: str, number: int, *, stream: bool) -> None:
    seen = len(stub.requests)
    connection = client.open(path, body_for(path, number, stream=stream))
    request = stub.wait_for(seen + 1)[-1]
    if stream:
        connection.getresponse().read(20)
    else:
        time.sleep(0.1)
    connection.close()
    began = time.monotonic()
    assert request.gone.wait(5)
    assert time.monotonic() - began < 1, "0.1 s is the bar"


def test_streams_side_by_side_are_each_whole(home: Home) -> None:
    """A hundred open streams: each client gets its own words, in order, to the end."""

    def choose(request: Any) -> Answer:
        words = str(request.json["messages"][-1]["content"])
        return Answer(f"{words} " * 40, gap_s=0.01, usage=USAGE)

    with Stub(Each(choose)) as stub:
        home.provider("stub", stub.url, default_model="m")
        running, client = started(home, "-p", "stub", "--loop-guard", "0")
        with running:

            def call(number: int) -> bool:
                said = [{"role": "user", "content": f"w{number}"}]
                _, _, body = client.ask(body={"model": "m", "messages": said, "stream": True})
                events = [json.loads(line[6:]) for line in body.decode().split("\n\n")
                          if line.startswith("data: {")]  # fmt: skip
                text = "".join(
                    e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"]
                )
                return text == f"w{number} " * 40 and body.endswith(b"data: [DONE]\n\n")

            with ThreadPoolExecutor(100) as pool:
                assert all(pool.map(call, range(100)))
            memory = running.memory_kb()
    assert memory is None or memory < 150_000
