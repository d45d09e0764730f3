"""Answers that must fit a schema: ask, check, and have a wrong one mended once."""

from __future__ import annotations

from dataclasses import replace

from nemocli.core.budget import RunBudget
from nemocli.core.events import Fold
from nemocli.core.faults import Fault, FaultKind
from nemocli.core.plan import Plan
from nemocli.core.ports import Validator, World
from nemocli.core.prompt import first_code_block
from nemocli.core.request import Message, Request
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.engine.call import Sink
from nemocli.engine.run import Answer, run

MOST_COMPLAINTS = 8
"""Told to the model: after that many it has lost the thread anyway."""


@value_class(frozen=True, slots=True)
class SchemaCheck:
    """The schema's own judge, and how often a wrong answer is sent back."""

    validate: Validator
    repairs: int = 1


async def run_checked(
    plan: Plan,
    request: Request,
    world: World,
    sink: Sink,
    check: SchemaCheck,
    *,
    budget: RunBudget | None = None,
    answer: Answer | None = None,
) -> Answer:
    """`run`, until the answer validates or the repairs are used up (then a schema fault).

    Every attempt is in the answer's entries; a repair is asked of the target that answered, under
    the same budget.
    """
    if answer is None:
        answer = Answer(Fold(), plan.targets[0])
    if budget is None and plan.max_cost_pico is not None:
        budget = RunBudget(plan.max_cost_pico)
    await run(plan, request, world, sink, budget=budget, answer=answer)
    for left in reversed(range(check.repairs + 1)):
        if answer.fault is not None:
            return answer
        wrong = check.validate(json_in(answer.fold.text))
        if not wrong:
            return answer
        if not left:
            answer.fault = _mismatch(wrong, answer)
            return answer
        request = repair(request, answer.fold.text, wrong)
        plan = replace(plan, targets=(answer.target,))
        await run(plan, request, world, sink, budget=budget, answer=answer)
    return answer


def json_in(text: str) -> str:
    """The JSON in an answer: the first fenced block where there is one, else all of it."""
    block = first_code_block(text)
    return (text if block is None else block).strip()


def repair(request: Request, text: str, wrong: list[str]) -> Request:
    """The same question with the wrong answer and what is wrong with it."""
    turns = (*request.messages, Message("assistant", text), Message("user", complaint(wrong)))
    return replace(request, messages=turns)


def complaint(wrong: list[str]) -> str:
    """What the model is told of an answer that does not fit."""
    listed = "\n".join(f"- {w}" for w in wrong[:MOST_COMPLAINTS])
    return (
        "That does not satisfy the JSON Schema:\n"
        f"{listed}\n"
        "Answer again with the corrected JSON value and nothing else."
    )


def _mismatch(wrong: list[str], answer: Answer) -> Fault:
    return Fault(
        FaultKind.SCHEMA,
        one_line(f"the answer does not fit the schema: {wrong[0]}", 300),
        "simplify the schema, or use a model or provider that enforces it (`nemocli models info`)",
        answer.target.provider.name,
    )
