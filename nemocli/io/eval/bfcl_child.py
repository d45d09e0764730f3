"""BFCL's simulated machines, run in a process of their own: `python -I FILE WHEEL...`.

This file stands alone: it is started as a program, imports the wheels it is given and nothing of
nemocli. A line of JSON `{"op": …, …}` on stdin is answered by one on stdout, `{"ok": …}` or
`{"error": "…"}`. A call of a model comes as a name and JSON arguments and is looked up among the
public methods of the task's machines; gold calls are read as Python syntax and carried out piece by
piece. Nothing is ever evaluated as code. Machines are fresh for each attempt: kept over attempts,
as the benchmark's own runner keeps them, a good attempt after a bad one is judged by the bad one's
leavings.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import json
import os
import sys
import zipfile
from typing import Any

PLACE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
MACHINES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
STATELESS = ("MathAPI",)
CATEGORIES = ("base", "miss_func", "miss_param", "long_context")


class Machines:
    """The machines of one side of an attempt."""

    def __init__(self, entry: dict[str, Any], *, long_context: bool) -> None:
        self.by_class: dict[str, Any] = {}
        self._methods: dict[str, Any] = {}
        for name in entry["involved_classes"]:
            module = importlib.import_module(f"{PLACE}.{MACHINES[name]}")
            made = getattr(module, name)()
            if name not in STATELESS:
                config = copy.deepcopy(entry["initial_config"].get(name, {}))
                made._load_scenario(config, long_context=long_context)
            self.by_class[name] = made
            for method, bound in inspect.getmembers(made, predicate=inspect.ismethod):
                if not method.startswith("_"):
                    self._methods[method] = bound

    def call(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> str:
        """What a method gives back, as text; what goes wrong in it is text too."""
        try:
            if name not in self._methods:
                raise NameError(f"name {name!r} is not defined")
            return _text(self._methods[name](*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever a simulated machine raises
            return f"Error during execution: {error}"

    def call_written(self, call: str) -> str:
        """The same for a call that is written as Python."""
        try:
            node = ast.parse(call, mode="eval").body
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                raise TypeError("not a call of a function")
            args = [self._value(each) for each in node.args]
            kwargs = {str(each.arg): self._value(each.value) for each in node.keywords}
        except Exception as error:  # noqa: BLE001 - as above
            return f"Error during execution: {error}"
        return self.call(node.func.id, args, kwargs)

    def _value(self, node: ast.expr) -> Any:  # noqa: ANN401 - any value that can be written
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            args = [self._value(each) for each in node.args]
            kwargs = {str(each.arg): self._value(each.value) for each in node.keywords}
            return self._methods[node.func.id](*args, **kwargs)
        if isinstance(node, ast.List):
            return [self._value(each) for each in node.elts]
        return ast.literal_eval(node)


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a method returns
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        try:
            return json.dumps(value)
        except (TypeError, ValueError):
            return str(value)
    return str(value)


class JudgedAttempt:
    """One attempt at a task, judged turn by turn as the benchmark's checker does: after a turn with
    gold calls the machines stand as after the gold calls, and every result of those was seen."""

    def __init__(self, entry: dict[str, Any], gold: list[list[str]]) -> None:
        long_context = "long_context" in entry["id"]
        self._mine = Machines(entry, long_context=long_context)
        self._gold_machines = Machines(entry, long_context=long_context)
        self._gold = gold
        self._turn = 0
        self._seen: list[str] = []
        self._calls = 0
        self.why: str | None = None

    def call(self, name: str, kwargs: dict[str, Any]) -> str:
        """A call of a model."""
        return self._kept(self._mine.call(name, [], kwargs))

    def call_written(self, call: str) -> str:
        """A call that is written as Python."""
        return self._kept(self._mine.call_written(call))

    def _kept(self, result: str) -> str:
        self._calls += 1
        self._seen.append(result)
        return result

    def end_turn(self) -> str | None:
        """The turn is over: what is wrong by now, None for nothing."""
        gold = self._gold[self._turn]
        wanted = [self._gold_machines.call_written(call) for call in gold]
        if gold and self.why is None:
            self.why = self._wrong(wanted)
        self._turn, self._calls = self._turn + 1, 0
        return self.why

    def _wrong(self, wanted: list[str]) -> str | None:
        where = f"turn {self._turn}"
        if not self._calls:
            return f"{where}: no call was made"
        for name, gold in self._gold_machines.by_class.items():
            mine = self._mine.by_class[name]
            for attribute, value in vars(gold).items():
                if not attribute.startswith("_") and getattr(mine, attribute) != value:
                    return f"{where}: {name}.{attribute} is not as it should be"
        left = list(self._seen)
        for result in wanted:
            if result not in left:
                return f"{where}: a result was never seen: {result[:200]}"
            left.remove(result)
        return None


class TaskStore:
    """The tasks in the wheel, and the attempts that are under way."""

    def __init__(self, wheel: str) -> None:
        self._wheel = zipfile.ZipFile(wheel)
        self._names: dict[str, list[str]] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        self._gold: dict[str, list[list[str]]] = {}
        self._docs: dict[str, list[dict[str, Any]]] = {}
        self._attempts: dict[str, JudgedAttempt] = {}

    def _lines(self, name: str) -> list[dict[str, Any]]:
        text = self._wheel.read(f"bfcl_eval/data/{name}").decode()
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def ids(self, category: str) -> list[str]:
        """The names of a category's tasks."""
        if category not in CATEGORIES:
            raise ValueError(f"no category {category!r}")
        if category in self._names:
            return self._names[category]
        file = f"BFCL_v4_multi_turn_{category}.json"
        rows = self._lines(file)
        self._entries |= {row["id"]: row for row in rows}
        self._gold |= {r["id"]: r["ground_truth"] for r in self._lines(f"possible_answer/{file}")}
        self._names[category] = [row["id"] for row in rows]
        return self._names[category]

    def task(self, name: str) -> dict[str, Any]:
        """What a model is shown of a task: messages by turn, functions, and those that come later
        by turn."""
        entry = self._entries[name]
        docs = [doc for each in entry["involved_classes"] for doc in self._docs_of(each)]
        late = entry.get("missed_function") or {}
        later = {int(turn): list(names) for turn, names in late.items()}
        held = {name for names in later.values() for name in names}
        return {
            "turns": [[message["content"] for message in turn] for turn in entry["question"]],
            "functions": [doc for doc in docs if doc["name"] not in held],
            "later": {
                turn: [doc for doc in docs if doc["name"] in names] for turn, names in later.items()
            },
        }

    def _docs_of(self, machine: str) -> list[dict[str, Any]]:
        if machine not in self._docs:
            self._docs[machine] = self._lines(f"multi_turn_func_doc/{MACHINES[machine]}.json")
        return self._docs[machine]

    def open(self, name: str, attempt: str) -> None:
        """Begin an attempt, with machines of its own."""
        self._attempts[attempt] = JudgedAttempt(self._entries[name], self._gold[name])

    def call(self, attempt: str, name: str, arguments: dict[str, Any]) -> str:
        """A call of a model."""
        return self._attempts[attempt].call(name, arguments)

    def end_turn(self, attempt: str) -> str | None:
        """What is wrong by now."""
        return self._attempts[attempt].end_turn()

    def close(self, attempt: str) -> None:
        """The attempt is over."""
        self._attempts.pop(attempt, None)

    # The machine checked by itself

    def replay(self, name: str, turns: list[list[str]]) -> bool:
        """Whether calls written as Python, by turn, are judged right."""
        attempt = JudgedAttempt(self._entries[name], self._gold[name])
        for calls in turns:
            for call in calls:
                attempt.call_written(call)
            attempt.end_turn()
        return attempt.why is None

    def check(self, what: str) -> list[int]:
        """How many tasks were judged right, of how many."""
        return getattr(self, f"_check_{what}")()  # type: ignore[no-any-return]

    def _all(self) -> list[str]:
        return [name for category in CATEGORIES for name in self.ids(category)]

    def _check_gold(self) -> list[int]:
        names = self._all()
        return [sum(self.replay(n, self._gold[n]) for n in names), len(names)]

    def _check_null(self) -> list[int]:
        names = self._all()
        return [sum(self.replay(n, [[] for _ in self._gold[n]]) for n in names), len(names)]

    def _check_dropped(self) -> list[int]:
        right = count = 0
        for name in self.ids("base"):
            gold = self._gold[name]
            for turn, calls in enumerate(gold):
                for place in range(len(calls)):
                    left = [list(each) for each in gold]
                    del left[turn][place]
                    count += 1
                    right += self.replay(name, left)
        return [right, count]

    def _check_invented(self) -> list[int]:
        names = self.ids("base")
        right = 0
        for name in names:
            first, *rest = self._gold[name]
            right += self.replay(name, [["no_such_function(x=1)", *first], *rest])
        return [right, len(names)]

    def _check_second(self) -> list[int]:
        """Perfect attempts right after failed ones at the same task."""
        names = self.ids("base")
        right = 0
        for name in names:
            first, *rest = self._gold[name]
            self.replay(name, [[first[0]] * 2 if first else [], *([] for _ in rest)])
            right += self.replay(name, self._gold[name])
        return [right, len(names)]


def main() -> None:
    """Answer line by line until stdin ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a simulated machine prints is no answer
    wheels = sys.argv[1:]
    sys.path[:0] = wheels
    sys.setrecursionlimit(5_000)
    benchmark = TaskStore(wheels[0])
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said = {"ok": getattr(benchmark, asked.pop("op"))(**asked)}
        except Exception as error:  # noqa: BLE001 - it is told to who asked
            said = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(said, default=str) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
