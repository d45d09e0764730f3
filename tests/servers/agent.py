"""A model that plays a part: it knows a suite's gold paths, and takes them, or does worse.

Each style is one way in which models really fail: `gold` does what is right, `lazy` talks and calls
nothing, `forgetful` says the value that was superseded, `repeating` calls all twice, `broken`
sends arguments that fit no schema first, `leaking` writes its calls as text, `flaky` is answered
for by a server that refuses now and then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nemocli.eval.expr import ExprError, fill
from nemocli.eval.task import Task, instance
from nemocli.eval.world import TaskWorld, canonical
from nemocli.io.eval.suite import load_suite
from tests.servers.answer import Answer

STYLES = ("gold", "lazy", "forgetful", "repeating", "broken", "leaking")


class Agent:
    """Answers requests for a chat completion as one style would."""

    def __init__(
        self, suite: Path, style: str = "gold", cost: float = 0.001, *more: Path, epochs: int = 7
    ) -> None:
        tasks = [task for folder in (suite, *more) for task in load_suite(folder).tasks]
        self._known = {
            one.turns[0].user: one
            for task in tasks
            for one in (instance(task, epoch) for epoch in range(1, epochs + 1))
        }
        self._style = style
        self._cost = cost

    def __call__(self, body: dict[str, Any]) -> Answer:
        messages = body["messages"] if "messages" in body else list(_messages(body))
        task = self._meant(messages)
        world, turn, done = self._replayed(task, messages)
        due = [g for g in task.gold if g.turn == turn]
        if self._style != "lazy":
            for place, call in enumerate(due):
                if place < done:
                    continue
                names = {"state": world.state, "vars": dict(task.values)}
                try:
                    args = canonical(fill(dict(call.args), names))
                except ExprError:  # the world is not as it should be by now
                    args = canonical(dict(call.args))
                return self._call(call.name, args, messages)
        return Answer(self._words(task, turn), cost=self._cost)

    def _meant(self, messages: Sequence[dict[str, Any]]) -> Task:
        return self._known[next(m["content"] for m in messages if m["role"] == "user")]

    def _replayed(
        self, task: Task, messages: Sequence[dict[str, Any]]
    ) -> tuple[TaskWorld, int, int]:
        """The world as it is, the user's turn, and gold calls of it that are done."""
        world, turn, done = TaskWorld(task), 0, 0
        said = [t.user for t in task.turns]
        asked: dict[str, tuple[str, str]] = {}
        for message in messages:
            if message["role"] == "user" and message["content"] in said:
                turn, done = said.index(message["content"]) + 1, 0
                world.turn = turn
            for call in message.get("tool_calls") or ():
                asked[call["id"]] = (call["function"]["name"], call["function"]["arguments"])
            if message["role"] == "tool":
                result = world.call(*asked[message["tool_call_id"]])
                due = [g for g in task.gold if g.turn == turn]
                done += result.kind == "ok" and done < len(due)
        return world, turn, done

    def _call(self, name: str, args: str, messages: Sequence[dict[str, Any]]) -> Answer:
        failed = sum(m["role"] == "tool" and "error" in str(m["content"]) for m in messages)
        if self._style == "leaking":
            text = f"<tool_call>{json.dumps({'name': name, 'arguments': args})}</tool_call>"
            return Answer(text, cost=self._cost)
        if self._style == "broken" and not failed:
            return Answer("", tool_calls=((name, '{"nonsense": 1}'),), cost=self._cost)
        twice = ((name, args),) * (2 if self._style == "repeating" else 1)
        return Answer("", tool_calls=twice, cost=self._cost)

    def _words(self, task: Task, turn: int) -> str:
        probes = task.turns[turn - 1].probes
        if self._style == "forgetful":
            old = [w for p in probes for w in p.reject_any[:1]]
            return "; ".join(old) or "I do not remember."
        return "; ".join(p.expect_any[0] for p in probes) or "Done."


def _messages(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The items of a Responses request as messages of a chat completion."""
    if body.get("instructions"):
        yield {"role": "system", "content": body["instructions"]}
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        match item.get("type", "message"):
            case "function_call":
                call = {"name": item["name"], "arguments": item["arguments"]}
                yield {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": item["call_id"], "type": "function", "function": call}],
                }
            case "function_call_output":
                yield {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
            case "message":
                yield {"role": item["role"], "content": item["content"]}
            case _:
                pass
