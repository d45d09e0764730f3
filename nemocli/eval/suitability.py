"""Is this model right for a task? The guide's consider and skip lists as rules over what is known
of the task, with reasons, and what primary sources say where they differ from the guide.

Rule of thumb: a task with at least 5 turns, tools and a state that has to stay right is what the
model was built for; whatever a small model does in one call is not. Nothing here replaces a run of
one's own tasks: `consider` means "worth an evaluation", never "adopt".
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from nemocli.core.value_class import value_class

Answer = Literal["consider", "test first", "skip"]
Kind = Literal["agent", "coding", "reasoning", "orchestration", "chat", "creative", "extraction"]
KINDS: tuple[Kind, ...] = (
    "agent", "coding", "reasoning", "orchestration", "chat", "creative", "extraction"
)  # fmt: skip
MODALITIES = ("text", "image", "audio", "video")
PLACES = ("anywhere", "region", "own")
"""Where the data may go: anywhere, only to named regions or hosts, only to one's own machines."""

MOST_CONTEXT = 1_048_576
MANY_TURNS = 5
SHORT_CONTEXT = 8_192
SOON_MS = 2_000
CALLS_FOR_HARDWARE = 100_000
"""Calls a day from which hardware of one's own may pay; below it hosted paths are cheaper."""


@value_class(frozen=True, slots=True)
class TaskFacts:
    """What is known of a task; None is not known. `context` in tokens, `latency_ms` until the first
    token, `calls` of the model in a day."""

    kind: Kind | None = None
    turns: int | None = None
    tools: bool | None = None
    context: int | None = None
    modality: str = "text"
    latency_ms: int | None = None
    calls: int | None = None
    place: str = "anywhere"


@value_class(frozen=True, slots=True)
class Reason:
    """One argument: `weight` above 0 speaks for the model, below 0 against it; `decides` alone."""

    weight: int
    text: str
    decides: bool = False


@value_class(frozen=True, slots=True)
class Suitability:
    """The answer, why, the cheapest next step, and what of the guide's facts does not hold."""

    answer: Answer
    reasons: tuple[Reason, ...]
    next_step: str
    unknown: tuple[str, ...]
    corrections: tuple[tuple[str, str, str], ...] = field(default=())


CORRECTIONS: tuple[tuple[str, str, str], ...] = (
    (
        "NVFP4 runs on 4 H100",
        "it takes 8 H100 (352 GB of weights do not fit 4 x 80 GB); 4 B200, B300, GB200 or GB300, or"
        " 4 H200, do",
        "model card; NIM LLM 2.0.6 support matrix; vLLM cookbook",
    ),
    (
        "FP16 on 16 GPUs",
        "the format is BF16; 16 H100, 8 H200, 8 B200 or 4 B300",
        "model card; NIM LLM 2.0.6 support matrix",
    ),
    (
        "NVFP4 needs Hopper or later",
        "Hopper computes it in 16 bits (W4A16): the memory of FP4, not its speed; per GPU a B200"
        " made 310.8 tokens/s where an H200 made 27.4 on the same agentic trace",
        "technical report table 12; Dynamo recipe, nemotron-3-ultra",
    ),
    (
        "repository nvidia/Nemotron-3-Ultra-550B-A55B",
        "nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4 and -BF16",
        "model card",
    ),
    (
        "1,000 free credits at build.nvidia.com",
        "replaced by rate limits (about 40 requests a minute) in 2026",
        "build.nvidia.com; replies quoted by users",
    ),
    (
        "up to 6x the throughput of its class",
        "1.3x to 5.9x, depending on the rival, the shape of the load and speculative decoding; on"
        " prompts of 50,000 tokens with short answers one rival is faster",
        "technical report figure 15 and its quick reference",
    ),
)
"""What the guide says, what holds, and by which source."""


def suitability(facts: TaskFacts) -> Suitability:
    """The answer to what is known; a question that is open makes it `test first` at best where the
    answer hangs on it."""
    reasons = tuple(_reasons(facts))
    unknown = tuple(_unknown(facts))
    return Suitability(
        _answer(reasons, unknown), reasons, _next(facts, reasons, unknown), unknown, CORRECTIONS
    )


def _reasons(facts: TaskFacts) -> list[Reason]:
    found: list[Reason] = []
    found += _kind_reasons(facts)
    if facts.turns is not None:
        found.append(
            Reason(2, f"{facts.turns} turns: coherence over turns is what the model is built for")
            if facts.turns >= MANY_TURNS
            else Reason(-1, f"{facts.turns} turns: small models hold that together too")
        )
    if facts.tools is not None:
        found.append(
            Reason(1, "tools and state: calls that must be right are where failures cost")
            if facts.tools
            else Reason(-1, "no tools: much of what is paid for is not used")
        )
    found += _context_reasons(facts)
    if facts.modality != "text":
        found.append(
            Reason(
                -5,
                f"{facts.modality} goes in: this model takes text only (its 3.5 Super-VL sibling"
                " takes images)",
                decides=True,
            )
        )
    found += _speed_reasons(facts)
    return found


def _kind_reasons(facts: TaskFacts) -> list[Reason]:
    match facts.kind:
        case "agent" | "coding" | "reasoning" | "orchestration":
            words = {
                "agent": "a long agent run", "coding": "coding over many files",
                "reasoning": "reasoning with evidence that changes",
                "orchestration": "orchestration of enterprise systems",
            }  # fmt: skip
            return [Reason(2, f"{words[facts.kind]} is on the guide's list of what to consider")]
        case "chat":
            return [
                Reason(-2, "short chat is on the guide's skip list: a small model says the same")
            ]
        case "creative":
            return [Reason(-2, "creative writing is on the guide's skip list: nothing measures it")]
        case "extraction":
            return [Reason(-2, "one call of one tool needs no model of this size")]
        case _:
            return []


def _context_reasons(facts: TaskFacts) -> list[Reason]:
    context = facts.context
    if context is None:
        return []
    if context > MOST_CONTEXT:
        return [
            Reason(-5, f"{context:,} tokens do not fit its {MOST_CONTEXT:,}", decides=True),
        ]
    if context <= SHORT_CONTEXT:
        return [Reason(-1, f"{context:,} tokens: within 8K the long context is not used")]
    if context > 262_144:
        return [
            Reason(1, f"{context:,} tokens: few models take so much"),
            Reason(-1, "most hosts and recipes serve 262,144 tokens of it: check the path first"),
        ]
    return [Reason(1, f"{context:,} tokens are well within its context")]


def _speed_reasons(facts: TaskFacts) -> list[Reason]:
    found = []
    if facts.latency_ms is not None and facts.latency_ms < SOON_MS:
        found.append(
            Reason(
                -3,
                f"a first token within {facts.latency_ms} ms: with reasoning on, no path is known"
                " to hold that; `--reasoning off` may",
            )
        )
    if facts.place == "own":
        found.append(
            Reason(1, "open weights run on machines of your own: 4 B200 or 8 H100 at the least")
        )
        if facts.calls is not None and facts.calls < CALLS_FOR_HARDWARE:
            found.append(
                Reason(
                    -1,
                    f"{facts.calls:,} calls a day leave such machines idle: `nemocli cost what-if"
                    " --gpus 4xB200` says what that costs",
                )
            )
    elif facts.place == "region":
        found.append(Reason(0, "several sellers host it: pin one, and its place, before you rely"))
    return found


def _unknown(facts: TaskFacts) -> list[str]:
    names = (
        ("kind", facts.kind),
        ("turns", facts.turns),
        ("tools", facts.tools),
        ("context", facts.context),
    )
    return [name for name, value in names if value is None]


def _answer(reasons: tuple[Reason, ...], unknown: tuple[str, ...]) -> Answer:
    if any(r.decides and r.weight < 0 for r in reasons):
        return "skip"
    sum_ = sum(r.weight for r in reasons)
    if sum_ <= -2:
        return "skip"
    if sum_ >= 3 and not unknown:
        return "consider"
    return "test first"


def _next(facts: TaskFacts, reasons: tuple[Reason, ...], unknown: tuple[str, ...]) -> str:
    """The cheapest thing to type."""
    answer = _answer(reasons, unknown)
    if answer == "skip":
        if facts.modality != "text":
            return "nemocli models ls"
        return "nemocli models info nemotron-3-nano"
    if facts.place == "own":
        return "nemocli nim plan nemotron-3-ultra --gpus 8xH100"
    return "nemocli eval init my-eval"


def suitability_json(found: Suitability, facts: TaskFacts) -> dict[str, Any]:
    """`nemocli.fit/1`."""
    return {
        "schema": "nemocli.fit/1",
        "answer": found.answer,
        "reasons": [{"weight": r.weight, "text": r.text} for r in found.reasons],
        "unknown": list(found.unknown),
        "next": found.next_step,
        "task": {
            "kind": facts.kind,
            "turns": facts.turns,
            "tools": facts.tools,
            "context": facts.context,
            "modality": facts.modality,
            "latency_ms": facts.latency_ms,
            "calls_per_day": facts.calls,
            "place": facts.place,
        },
        "corrections": [
            {"guide": said, "holds": holds, "source": source}
            for said, holds, source in found.corrections
        ],
    }
