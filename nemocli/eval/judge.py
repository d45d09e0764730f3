"""One attempt judged from its events alone: the same words live, and again later (`regrade`).

The tool calls of the events are played on a fresh world of the task; what a model said is text.
Every attempt ends in exactly one class, and everything that is measured of it stands beside.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from typing import Any

from nemocli.core.faults import FaultKind
from nemocli.core.money import total_of
from nemocli.core.value_class import value_class
from nemocli.eval.grade import (
    AttemptClass,
    Difference,
    ProbeResult,
    gold_world,
    grade_end,
    grade_probe,
)
from nemocli.eval.machine import result_from
from nemocli.eval.retries import Made, Retries, faults_survived
from nemocli.eval.task import Task
from nemocli.eval.world import TaskWorld, canonical

Event = Mapping[str, Any]
BINDING = frozenset({"recall", "update"})
"""Kinds of probes that an attempt must have right."""
LEAK = re.compile(r"</?think>|<tool_call>|</tool_call>|<function=|<\|tool|<TOOLCALL>")
_LIMITS = frozenset({FaultKind.TRUNCATED, FaultKind.REQUEST})
_OURS = frozenset({FaultKind.INTERNAL, FaultKind.CONFIG, FaultKind.USAGE})


@value_class(frozen=True, slots=True)
class Measures:
    """What an attempt came to. Money in pico-USD (None: of some call nobody knows), times in
    seconds, tokens as they were counted. `completed_at`: model turns until the end state was right
    for good; `first_break`: the user turn in which coherence broke first; `user_cost_pico`: of a
    model that played the user, which is no part of `cost_pico`."""

    cls: AttemptClass
    why: str = ""
    user_turns: int = 0
    model_turns: int = 0
    tool_calls: int = 0
    nudges: int = 0
    completed_at: int | None = None
    cost_pico: int | None = 0
    shadow_pico: int | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    wall_s: float = 0.0
    waiting_s: float = 0.0
    ttft_s: tuple[float, ...] = ()
    transport_retries: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)
    first_try_valid: int = 0
    faults_met: int = 0
    faults_survived: int = 0
    probes: tuple[Mapping[str, Any], ...] = ()
    broken: tuple[tuple[int, str], ...] = ()
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    collateral: tuple[str, ...] = ()
    first_break: int | None = None
    leaks: int = 0
    providers: tuple[str, ...] = ()
    user_cost_pico: int | None = 0

    @property
    def coherent(self) -> bool:
        """Whether all probes were right, no invariant broke and nothing else was changed."""
        return self.first_break is None and not self.collateral


def measures_from(data: Mapping[str, Any]) -> Measures:
    """Measures as `asdict` wrote them."""
    known = dict(data)
    for name in ("ttft_s", "probes", "missing", "wrong", "collateral", "providers"):
        known[name] = tuple(known.get(name) or ())
    known["broken"] = tuple((int(t), str(x)) for t, x in known.get("broken") or ())
    return Measures(**known)


def judge(task: Task, events: Sequence[Event], gold: TaskWorld | None = None) -> Measures:
    """The class and the measures of an attempt of a task's instance. `gold` is the world after the
    gold path, where it is known already."""
    world = TaskWorld(task)
    if gold is None:
        gold = _gold(task, events)
    replay = _Replay(task, world, gold)
    for event in events:
        replay.take(event)
    return replay.measures()


def _gold(task: Task, events: Sequence[Event]) -> TaskWorld | None:
    """The world after the gold path: as it was kept, where a machine had a part in it."""
    kept = next((e for e in events if e["type"] == "gold"), None)
    if kept is not None:
        world = TaskWorld(task)
        world.state, world.made_ids = dict(kept["state"]), set(kept["made_ids"])
        return world
    return gold_world(task) if task.gold else None


class _Replay:
    def __init__(self, task: Task, world: TaskWorld, gold: TaskWorld | None) -> None:
        self._task, self._world, self._gold = task, world, gold
        self._retries, self._codes = Retries(task), Counter[str]()
        self._made: list[Made] = []
        self._models: list[Event] = []
        self._texts: dict[int, list[str]] = {}
        self._given: dict[str, int] = {}
        self._probes: list[ProbeResult] = []
        self._user_turns = self._nudges = self._turn = 0
        self._right_since: int | None = None
        self._fault: Event | None = None
        self._limit: str | None = None
        self._wall = self._waiting = 0.0

    def take(self, event: Event) -> None:
        match event["type"]:
            case "user":
                self._user(event)
            case "model":
                self._models.append(event)
                self._texts.setdefault(self._turn, []).append(str(event.get("text") or ""))
                self._fault = event.get("fault") or self._fault
                self._see()
            case "tool":
                self._tool(event)
            case "limit":
                self._limit = str(event["name"])
            case "clock":
                self._wall, self._waiting = float(event["wall_s"]), float(event["waiting_s"])
            case _:
                pass

    def _user(self, event: Event) -> None:
        self._user_turns += 1
        self._nudges += bool(event.get("nudge"))
        if not event.get("nudge"):
            self._ask_probes()
            self._turn = self._world.turn = int(event["turn"])
            spoken = self._task.turns[self._turn - 1]
            self._given |= dict.fromkeys(spoken.sets, self._turn)

    def _ask_probes(self) -> None:
        """The probes of the turn that is over."""
        if self._turn:
            answer = "\n".join(self._texts.get(self._turn, ()))
            self._probes += [
                grade_probe(probe, answer, self._turn, self._given)
                for probe in self._task.turns[self._turn - 1].probes
            ]

    def _tool(self, event: Event) -> None:
        outside = event.get("outside")
        result = self._world.call(
            str(event["name"]),
            str(event["arguments"]),
            None if outside is None else result_from(outside),
        )
        arguments = str(event["arguments"])
        try:
            import json

            arguments = canonical(json.loads(arguments or "{}"))
        except (ValueError, RecursionError):
            pass
        made = Made(self._turn, str(event["name"]), arguments, result.kind, result.version)
        code = self._retries.of(made)
        self._made.append(made)
        if code is not None:
            self._codes[code] += 1
        self._see()

    def _see(self) -> None:
        """Whether the end state is right now."""
        right, _ = grade_end(self._world, self._gold)
        if not right:
            self._right_since = None
        elif self._right_since is None:
            self._right_since = len(self._models)

    def measures(self) -> Measures:
        self._ask_probes()
        right, apart = grade_end(self._world, self._gold)
        cls, why = self._class(right, apart)
        met, survived = faults_survived(self._made)
        breaks = [p.turn for p in self._probes if not p.right]
        breaks += [turn for turn, _ in self._world.broken]
        return Measures(
            cls,
            why,
            user_turns=self._user_turns,
            tool_calls=len(self._made),
            nudges=self._nudges,
            completed_at=self._right_since if right else None,
            wall_s=self._wall,
            waiting_s=self._waiting,
            retries={**self._codes, **({"R7": self._nudges} if self._nudges else {})},
            first_try_valid=sum(m.kind in ("ok", "error", "transient") for m in self._made),
            faults_met=met,
            faults_survived=survived,
            probes=tuple(asdict(p) for p in self._probes),
            broken=tuple(self._world.broken),
            missing=apart.missing,
            wrong=apart.wrong,
            collateral=apart.collateral,
            first_break=min(breaks, default=None),
            leaks=sum(map(leaks, self._models)),
            **sums_of(self._models),
        )

    def _class(self, right: bool, apart: Difference) -> tuple[AttemptClass, str]:
        if self._fault is not None:
            return class_of(self._fault)
        if self._limit is not None:
            return "fail.limit", self._limit
        wrong = [p for p in self._probes if p.kind in BINDING and not p.right]
        if right and not wrong and not self._world.broken:
            return "success", ""
        empty = [
            m for m in self._models if not (m.get("text") or "").strip() and not m.get("calls")
        ]
        if any(leaks(m) and not m.get("calls") for m in self._models):
            return "fail.serving", "tool or reasoning markup arrived as text"
        if len(empty) >= 2:
            return "fail.serving", "two replies were empty"
        return "fail.model", self._reason(apart, wrong)

    def _reason(self, apart: Difference, wrong: Sequence[ProbeResult]) -> str:
        parts = []
        for what, paths in (
            ("missing", apart.missing), ("wrong", apart.wrong), ("collateral", apart.collateral)
        ):  # fmt: skip
            if paths:
                parts.append(f"{what}: {', '.join(paths[:3])}")
        parts += [f"turn {p.turn}: {p.kind} of {p.fact or 'a fact'} wrong" for p in wrong[:3]]
        parts += [f"turn {turn}: invariant broken: {text}" for turn, text in self._world.broken[:2]]
        return "; ".join(parts) or "the end state is not right"


def leaks(model: Event) -> bool:
    """Whether markup of a tool call or of reasoning came as text."""
    return bool(LEAK.search(str(model.get("text") or "")))


def class_of(fault: Event) -> tuple[AttemptClass, str]:
    """What an attempt is that ended with this fault of a call, and why."""
    kind, message = FaultKind(fault["code"]), str(fault["message"])
    if kind is FaultKind.TRUNCATED or (kind is FaultKind.REQUEST and "context" in message):
        return "fail.limit", message
    if kind in (FaultKind.NO_ANSWER, FaultKind.PROTOCOL):
        return "fail.serving", message
    if kind is FaultKind.FILTERED:
        return "fail.model", message
    if kind in _OURS:
        return "harness", message
    return "infra", message


def sums_of(models: Sequence[Event]) -> dict[str, Any]:
    """What the calls of a model came to, as fields of `Measures`."""
    usage = [m.get("usage") or {} for m in models]
    return {
        "model_turns": len(models),
        "cost_pico": total_of(m.get("cost_pico") for m in models),
        "shadow_pico": total_of(m.get("list_pico") for m in models),
        "input_tokens": sum(u.get("input_tokens") or 0 for u in usage),
        "cached_tokens": sum(u.get("cached_input_tokens") or 0 for u in usage),
        "output_tokens": sum(u.get("output_tokens") or 0 for u in usage),
        "reasoning_tokens": sum(u.get("reasoning_tokens") or 0 for u in usage),
        "ttft_s": tuple(m["ttft_s"] for m in models if m.get("ttft_s") is not None),
        "transport_retries": sum(int(m.get("transport_retries") or 0) for m in models),
        "providers": tuple(sorted({str(m["upstream"]) for m in models if m.get("upstream")})),
    }
