"""What an event costs between bytes and fold, with no socket, beside what its JSON alone costs.

    python -m tests.bench.decoding [--streams 400]

Streams of 50 events are decoded and folded, each in one piece and each in a piece per event; the
same payloads are read by `json.loads` in the same run. Then 100 MB go through one decoder and
memory is looked at. Nothing fails here.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from nemocli.core.events import Finished, Fold
from nemocli.core.plan import Target
from nemocli.core.provider import Provider
from nemocli.core.request import Message, Request
from nemocli.wire.dialect import dialect_named

EVENTS = 50
BATCH = 20
BIG = 100_000_000
PIECE = 4_000
ASKED = Request("x/anything", (Message("user", "hi"),))


def chat() -> list[dict[str, Any]]:
    """The role, half reasoning and half text, the finish, the usage."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1780551208}
        return {**head, "model": "vendor/model", "choices": [choice]}

    parts = EVENTS - 4
    deltas = [{"reasoning_content": " why"}] * (parts // 2) + [{"content": " so"}] * (parts // 2)
    usage = {"prompt_tokens": 9, "completion_tokens": parts, "total_tokens": parts + 9}
    ends = [chunk({}, "stop"), {**chunk({}), "choices": [], "usage": usage}]
    return [chunk({"role": "assistant", "content": ""}), *map(chunk, deltas), *ends]


def responses() -> list[dict[str, Any]]:
    """The same in typed events."""
    about = {"id": "resp_1", "object": "response", "model": "vendor/model", "output": []}
    delta = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": " so"}
    head = {"type": "response.created", "response": {**about, "status": "in_progress"}}
    tail = {"type": "response.completed", "response": {**about, "status": "completed"}}
    middle = [{"type": "response.output_text.delta", **delta}] * (EVENTS - 2)
    return [{**p, "sequence_number": i} for i, p in enumerate((head, *middle, tail))]


def framed(payloads: Sequence[dict[str, Any]], *, done: bool) -> list[bytes]:
    """One piece per event."""
    frames = [b"data: %b\n\n" % json.dumps(p).encode() for p in payloads]
    return [*frames, b"data: [DONE]\n\n"] if done else frames


def decode(dialect: str, pieces: Sequence[bytes]) -> Fold:
    """The answer in these pieces; its text is not kept."""
    target = Target(Provider("bench", dialect, "http://127.0.0.1/v1", local=True), ASKED.model)
    decoder = dialect_named(dialect).decoder(target, ASKED)
    fold = Fold(keep=False)
    for piece in pieces:
        for event in decoder.feed(piece):
            fold.add(event)
    for event in decoder.close():
        fold.add(event)
    assert isinstance(fold.end, Finished), fold.end
    return fold


def microseconds(work: Callable[[], object]) -> float:
    """Per event, over a batch of streams."""
    begun = time.perf_counter()
    for _ in range(BATCH):
        work()
    return (time.perf_counter() - begun) / BATCH / EVENTS * 1e6


def compare(dialect: str, payloads: Sequence[dict[str, Any]], batches: int) -> None:
    """Batches of each kind in turn; prints microseconds per event and the ratio to the JSON."""
    pieces = framed(payloads, done=dialect == "chat")
    whole = [b"".join(pieces)]
    texts = [json.dumps(p) for p in payloads]
    kinds: dict[str, Callable[[], object]] = {
        "json.loads alone": lambda: [json.loads(text) for text in texts],
        "in one piece": lambda: decode(dialect, whole),
        "a piece per event": lambda: decode(dialect, pieces),
    }
    seen: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(-1, batches):
        for name, work in kinds.items():
            took = microseconds(work)
            if number >= 0:
                seen[name].append(took)
    print(f"{dialect}: {EVENTS} events a stream, {batches * BATCH} streams of each kind")
    bare = seen["json.loads alone"]
    for name, values in seen.items():
        ratio = median(a / b for a, b in zip(values, bare, strict=True))
        times = f"min {min(values):5.1f}  median {median(values):5.1f} us/event"
        print(f"  {name:<18} {times}  {ratio:4.1f} x json.loads")


def grow() -> None:
    """One very long answer; prints the most memory that Python objects took on the way."""
    target = Target(Provider("bench", "chat", "http://127.0.0.1/v1", local=True), ASKED.model)
    decoder = dialect_named("chat").decoder(target, ASKED)
    fold = Fold(keep=False)
    delta = {"choices": [{"index": 0, "delta": {"content": "x" * PIECE}}]}
    (piece,) = framed([delta], done=False)
    tracemalloc.start()
    early = 0
    for number in range(BIG // PIECE):
        for event in decoder.feed(piece):
            fold.add(event)
        if number == BIG // PIECE // 20:
            early = tracemalloc.get_traced_memory()[1]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{fold.text_chars / 1e6:.0f} MB of text")
    print(f"  at most {early // 1024} kB in the first 5 %, {most // 1024} kB in all")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.decoding", description=__doc__)
    parser.add_argument("--streams", type=int, default=400)
    batches = max(1, parser.parse_args().streams // BATCH)
    compare("chat", chat(), batches)
    compare("responses", responses(), batches)
    grow()


if __name__ == "__main__":
    main()
