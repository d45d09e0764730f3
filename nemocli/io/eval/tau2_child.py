"""tau2's simulated shops, run in a process of their own: `python -I FILE FOLDER`.

This file stands alone: it is started as a program, imports the package unpacked in FOLDER and
nothing of nemocli (`simulator.py` says how it is asked). Only the environments, tools, tasks and
rules of the benchmark are used, none of its clients. A call comes as a name and JSON arguments and
is looked up among the tools of whoever makes it, the agent's or the user's. An attempt is judged as
tau2's own evaluator does: state after the calls against the state after the gold calls (a sum over
the database), what the environment asserts, gold calls that must be seen, and facts that must be
told, by what the task counts (`reward_basis`).
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

DOMAINS = ("airline", "retail", "telecom")
SCENARIO = "\0scenario\0"


class Shop:
    """An environment of a task, in its initial state."""

    def __init__(self, domain: Any, task: Any) -> None:  # noqa: ANN401 - modules of the package
        self.environment = domain.get_environment()
        state = task.initial_state
        self.environment.set_state(
            initialization_data=state and state.initialization_data,
            initialization_actions=state and state.initialization_actions,
            message_history=[],
        )

    def sums(self) -> tuple[str | None, str | None]:
        """Of the shop's database and the user's."""
        return self.environment.get_db_hash(), self.environment.get_user_db_hash()

    def play(self, actions: Any) -> None:  # noqa: ANN401 - a list of the package's actions
        """Carry out gold calls, as the evaluator does: what fails changes nothing."""
        for action in actions or ():
            try:
                self.environment.make_tool_call(
                    tool_name=action.name, requestor=action.requestor, **action.arguments
                )
            except Exception:  # noqa: BLE001, S112 - some gold calls are refused by design
                continue


class ShopAttempt:
    """One attempt at a task: its shop, and the calls that were made."""

    def __init__(self, domain: Any, task: Any) -> None:  # noqa: ANN401 - as above
        self._task = task
        self.shop = Shop(domain, task)
        self._calls: list[Any] = []

    def call(self, who: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A call of the agent (`assistant`) or of the user (`user`)."""
        message = sys.modules["tau2.data_model.message"]
        made = message.ToolCall(id="", name=name, arguments=arguments, requestor=who)
        self._calls.append(made)
        reply = self.shop.environment.get_response(made)
        return {"text": reply.content or "", "failed": bool(reply.error)}

    def wrong(self, texts: list[str], gold: tuple[str | None, str | None]) -> str | None:
        """What is wrong at the end; None where all that counts is right."""
        wanted = self._task.evaluation_criteria
        for basis in wanted.reward_basis:
            check = getattr(self, f"_{basis.value.lower()}", None)
            if check is None:
                return f"{basis.value} is not judged here"
            why = check(wanted, texts, gold)
            if why is not None:
                return str(why)
        return None

    def _db(self, _wanted: Any, _texts: Any, gold: Any) -> str | None:  # noqa: ANN401 - as above
        return None if self.shop.sums() == gold else "the database is not as it should be"

    def _env_assertion(self, wanted: Any, _texts: Any, _gold: Any) -> str | None:  # noqa: ANN401
        for each in wanted.env_assertions or ():
            if not self.shop.environment.run_env_assertion(each, raise_assertion_error=False):
                return f"{each.func_name} does not hold"
        return None

    def _action(self, wanted: Any, _texts: Any, _gold: Any) -> str | None:  # noqa: ANN401
        for gold in wanted.actions or ():
            if not any(map(gold.compare_with_tool_call, self._calls)):
                return f"{gold.name} was not called as it should be"
        return None

    def _communicate(self, wanted: Any, texts: list[str], _gold: Any) -> str | None:  # noqa: ANN401
        for fact in wanted.communicate_info or ():
            if not any(fact.lower() in text.lower().replace(",", "") for text in texts):
                return f"the user was not told {fact}"
        return None


class ServiceTasks:
    """The tasks of the package, and the attempts that are under way."""

    def __init__(self, folder: str) -> None:
        self._package = Path(folder) / "tau2"
        self._domains: dict[str, Any] = {}
        self._tasks: dict[str, Any] = {}
        self._names: dict[str, list[str]] = {}
        self._sides: dict[str, dict[str, Any]] = {}
        self._gold: dict[str, tuple[str | None, str | None]] = {}
        self._attempts: dict[str, tuple[str, ShopAttempt]] = {}

    def ids(self, category: str) -> list[str]:
        """The names of a domain's tasks: those of its base split, by number."""
        if category not in DOMAINS:
            raise ValueError(f"no domain {category!r}")
        if category not in self._names:
            module = importlib.import_module(f"tau2.domains.{category}.environment")
            self._domains[category] = module
            found = {
                f"{category}-{task.id if task.id.isdigit() else number}": task
                for number, task in enumerate(module.get_tasks("base"))
            }
            self._tasks |= found
            self._names[category] = list(found)
        return self._names[category]

    def _of(self, name: str) -> tuple[Any, Any]:
        category = name.partition("-")[0]
        self.ids(category)
        return self._domains[category], self._tasks[name]

    def task(self, name: str) -> dict[str, Any]:
        """Both sides of a task: what each is told and may call, how the agent begins, and with
        which words the user ends it."""
        domain, task = self._of(name)
        category = name.partition("-")[0]
        if category not in self._sides:
            self._sides[category] = self._sides_of(domain)
        sides = self._sides[category]
        scenario = sides["user_system"].replace(SCENARIO, str(task.user_scenario))
        return {**sides, "user_system": scenario}

    def _sides_of(self, domain: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """What all tasks of a domain have in common, `SCENARIO` where each has its own."""
        environment = domain.get_environment()
        mine = environment.user_tools is not None
        file = "simulation_guidelines_tools.md" if mine else "simulation_guidelines.md"
        guidelines = self._package / "data" / "tau2" / "user_simulator" / file
        return {
            "system": self._text("agent/llm_agent.py", "SYSTEM_PROMPT").format(
                agent_instruction=self._text("agent/llm_agent.py", "AGENT_INSTRUCTION"),
                domain_policy=environment.policy,
            ),
            "tools": [tool.openai_schema["function"] for tool in environment.get_tools()],
            "greeting": self._text("orchestrator/orchestrator.py", "DEFAULT_FIRST_AGENT_MESSAGE"),
            "stops": [
                self._text("user/base.py", word) for word in ("STOP", "TRANSFER", "OUT_OF_SCOPE")
            ],
            "user_system": self._text("user/user_simulator.py", "SYSTEM_PROMPT").format(
                global_user_sim_guidelines=guidelines.read_text("utf-8"),
                instructions=SCENARIO,
            ),
            "user_tools": [
                tool.openai_schema["function"]
                for tool in (environment.get_user_tools() if mine else ())
            ],
        }

    def _text(self, file: str, name: str) -> str:
        """A text of the package, read and not imported: what stands beside it wants the clients of
        others."""
        for node in ast.parse((self._package / file).read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                texts = [
                    each.value
                    for each in ast.walk(node.value)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                ]
                return max(texts, key=len).strip()
        raise KeyError(name)

    def open(self, name: str, attempt: str) -> None:
        """Begin an attempt, with a shop of its own."""
        self._attempts[attempt] = name, ShopAttempt(*self._of(name))

    def call(self, attempt: str, who: str, name: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401
        """A call of one side: what came of it, and whether it failed."""
        return self._attempts[attempt][1].call(who, name, arguments)

    def judge(self, attempt: str, texts: list[str]) -> str | None:
        """The conversation is over, `texts` is all that the agent said: what is wrong."""
        name, made = self._attempts[attempt]
        return made.wrong(texts, self._gold_of(name))

    def close(self, attempt: str) -> None:
        """The attempt is over."""
        self._attempts.pop(attempt, None)

    def _gold_of(self, name: str) -> tuple[str | None, str | None]:
        if name not in self._gold:
            domain, task = self._of(name)
            shop = Shop(domain, task)
            shop.play(task.evaluation_criteria.actions)
            self._gold[name] = shop.sums()
        return self._gold[name]

    # The simulator checked by itself

    def check(self, what: str) -> list[int]:
        """How many tasks were judged right, of how many; `what` is `gold_DOMAIN` or
        `null_DOMAIN`."""
        kind, category = what.split("_")
        names = self.ids(category)
        return [sum(self._played(name, gold=kind == "gold") for name in names), len(names)]

    def _played(self, name: str, *, gold: bool) -> bool:
        domain, task = self._of(name)
        if not gold and not task.evaluation_criteria.actions and task.initial_state is None:
            return not task.evaluation_criteria.communicate_info  # as it was is as it should be
        attempt = ShopAttempt(domain, task)
        wanted = task.evaluation_criteria
        if gold:
            for action in wanted.actions or ():
                attempt.call(action.requestor, action.name, action.arguments)
        texts = list(wanted.communicate_info or ()) if gold else []
        return attempt.wrong(texts, self._gold_of(name)) is None


def main() -> None:
    """Answer line by line until stdin ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the package prints is no answer
    sys.path.insert(0, sys.argv[1])
    # The package looks for a file of settings and keys (.env) from here up to the root.
    unread = types.ModuleType("dotenv")
    unread.load_dotenv = lambda *_, **__: True  # type: ignore[attr-defined]
    sys.modules["dotenv"] = unread
    benchmark = ServiceTasks(sys.argv[1])
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
