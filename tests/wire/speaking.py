"""Providers as values and replies as bytes: what the wire tests share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nemocli.core.card import ModelCard
from nemocli.core.events import Event, Failed, Fold
from nemocli.core.faults import Fault
from nemocli.core.plan import Target
from nemocli.core.provider import Auth, Provider, ReasoningWire, UsageWire
from nemocli.core.request import Message, Request
from nemocli.wire.dialect import dialect_named

TRANSCRIPTS = Path(__file__).parent / "transcripts"
STREAMS = sorted(TRANSCRIPTS.glob("*/*.sse"))
DOCUMENTS = sorted(TRANSCRIPTS.glob("*/*.json"))

ID = "nvidia/nemotron-3-ultra-550b-a55b"
AGGREGATOR = Provider(
    "aggregator",
    "chat",
    "https://api.example/v1",
    auth=Auth(env=("AGGREGATOR_KEY",)),
    reasoning=ReasoningWire(
        fields=("reasoning", "reasoning_content"),
        details="reasoning_details",
        returns="reasoning_details",
    ),
    usage=UsageWire(
        cost="usage.cost",
        upstream_cost="usage.cost_details.upstream_inference_cost",
        byok="usage.is_byok",
    ),
    upstream="provider",
)
HOSTED = Provider("hosted", "chat", "https://hosted.example/v1")
AGENT = Provider(
    "agent",
    "responses",
    "https://agent.example/v1",
    usage=UsageWire(
        input_tokens="usage.input_tokens",
        cached_input_tokens="usage.input_tokens_details.cache_read_input_tokens",
        cache_write_tokens="usage.input_tokens_details.cache_creation_input_tokens",
        output_tokens="usage.output_tokens",
        reasoning_tokens="usage.output_tokens_details.reasoning_tokens",
        cost="usage.cost.total_cost",
    ),
)
ASKED = Request("ultra", (Message("user", "hi"),))


def target(provider: Provider, card: ModelCard | None = None) -> Target:
    return Target(provider, ID, card)


def provider_of(path: Path) -> Provider:
    """Who a transcript is from."""
    if path.parent.name == "responses":
        return AGENT
    return AGGREGATOR if path.stem.startswith("aggregator") else HOSTED


def events(provider: Provider, *chunks: bytes) -> list[Event]:
    """Everything a decoder makes of a body in these chunks."""
    decoder = dialect_named(provider.dialect).decoder(target(provider), ASKED)
    out = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*out, *decoder.close()]


def read(provider: Provider, *chunks: bytes) -> Fold:
    """The fold of those events, which refuses anything after the end."""
    fold = Fold()
    for event in events(provider, *chunks):
        fold.add(event)
    assert fold.end is not None
    return fold


def fault(fold: Fold) -> Fault:
    assert isinstance(fold.end, Failed), fold.end
    return fold.end.fault


def sse(*payloads: Any, done: bool = True) -> bytes:
    """A stream of these payloads; text stands for itself."""
    lines = [p if isinstance(p, str) else json.dumps(p) for p in payloads]
    if done:
        lines.append("[DONE]")
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def chunk(delta: Any = None, finish: Any = None, **more: Any) -> dict[str, Any]:
    """A chat-completions chunk."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c-1", "model": "m", "choices": [choice], **more}


def stream(*deltas: Any, finish: Any = "stop", done: bool = True) -> bytes:
    """A chat-completions stream of these deltas and its end."""
    return sse(*(chunk(delta) for delta in deltas), chunk({}, finish), done=done)
