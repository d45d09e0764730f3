"""Tiny real calls that tell whether a path works and what a model there can do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nemocli.cli.choice import providers_with_key
from nemocli.cli.event_loop import run_async
from nemocli.cli.providers.probe_report import ALIVE, PathProbe, show, sum_text
from nemocli.cli.providers.provider_facts import today
from nemocli.core.budget import RunBudget
from nemocli.core.events import Event, Fold, Reasoning, Text, ToolCallPart
from nemocli.core.faults import Fault, FaultKind, NemoError, usage_error
from nemocli.core.money import pico_from_usd
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Policy
from nemocli.core.request import Effort, Message, Request, ToolSpec
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject
from nemocli.engine.run import Answer, run
from nemocli.engine.waiting import acknowledge_stop

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.ports import World

ENOUGH = 256
"""Output tokens: room for some reasoning where it cannot be turned off."""
MORE = 768

REFUSALS = frozenset({FaultKind.REQUEST, FaultKind.USAGE, FaultKind.UNAVAILABLE})
"""How a model that answers says no to what it is asked for."""

_TOOL = ToolSpec(
    "add",
    "Add two numbers",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)
_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}


def probe_providers(setup: Setup, names: list[str], model: str | None, *, every: bool) -> int:
    """`providers test`; the exit code is the largest of the failures."""
    targets = _targets(setup, names, model, every=every)
    probes = run_async(lambda: _probed(setup, targets, "providers test", deep=False))
    return show(setup, probes, deep=False)


def probe_models(setup: Setup, targets: Sequence[Target]) -> int:
    """`models probe`."""
    probes = run_async(lambda: _probed(setup, targets, "models probe", deep=True))
    return show(setup, probes, deep=True)


def unpaid(target: Target) -> bool:
    """Whether nobody charges for a probe of it, as far as is known today."""
    price = target.price(today())
    return target.free or (price is not None and price.free)


def _targets(setup: Setup, names: list[str], model: str | None, *, every: bool) -> list[Target]:
    catalogue = setup.catalogue
    if every:
        from nemocli.cli.providers.provider_facts import readiness

        ready = [p for p in catalogue.providers.values() if readiness(setup, p)[0]]
        for name in (p.name for p in ready if p.runtime is not None):
            setup.err.dim(f"{name} is left out: it would have to be started, name it to test it")
        ready = [p for p in ready if p.runtime is None]
        return [t for p in ready if (t := _quietly(setup, p.name, model)) is not None]
    if not names:
        names = list(setup.settings.words("provider")) or [
            p.name for p in providers_with_key(setup, None)
        ]
    if not names:
        raise usage_error("name a provider to test", "`nemocli providers ls` lists them")
    return [catalogue.target(catalogue.provider(name), model) for name in names]


def _quietly(setup: Setup, name: str, model: str | None) -> Target | None:
    try:
        return setup.catalogue.target(setup.catalogue.provider(name), model)
    except NemoError:
        return None


async def _probed(
    setup: Setup, targets: Sequence[Target], command: str, *, deep: bool
) -> list[PathProbe]:
    from nemocli.cli.world import world_of

    probes: list[PathProbe] = []
    cap = setup.settings.amount("max_cost_usd")
    budget = RunBudget(pico_from_usd(cap)) if cap is not None else None
    async with world_of(setup) as world:
        caller = _Caller(world, command, budget)
        for target in targets:
            setup.err.dim(
                f"asking {target.provider.name} {target.model or target.name}{_so(probes)}"
            )
            probe = PathProbe(target)
            probes.append(probe)
            try:
                await _first(probe, caller)
                if deep and probe.alive:
                    await _deeper(probe, caller)
            except NemoError as error:
                probe.stopped = error.fault
            except asyncio.CancelledError:
                probe.stopped = Fault(FaultKind.INTERRUPTED, "interrupted")
                acknowledge_stop()
                break
    return probes


def _so(probes: list[PathProbe]) -> str:
    """What those before came to."""
    entries = [entry for probe in probes for entry in probe.entries]
    return f" ({sum_text(entries)} so far)" if entries else ""


async def _first(probe: PathProbe, caller: _Caller) -> None:
    answer = await caller.ask(probe, "Reply with the word ready.")
    probe.target, probe.fault, probe.asked = answer.target, answer.fault, True


async def _deeper(probe: PathProbe, caller: _Caller) -> None:
    """Each check is one call."""
    checks, sum_ = probe.checks, "What is 17 times 23?"
    try:
        checks["reasoning"] = await _shows(
            caller, probe, sum_, lambda fold: fold.reasoning_chars > 0, effort="high"
        )
        if checks["reasoning"]:
            checks["reasoning_off"] = await _shows(
                caller, probe, sum_, lambda fold: not fold.reasoning_chars, effort="off"
            )
        checks["tools"] = await _shows(
            caller, probe, "Use the tool: add 2 and 3.", _called, tools=(_TOOL,)
        )
        probe.target = _enforcing(probe.target)
        checks["json_schema"] = await _shows(
            caller, probe, "Are you ready? Say true.", lambda f: _fits(f.text), schema=_SCHEMA
        )
    finally:
        checks["streaming"] = probe.pieces > 1


def _called(fold: Fold) -> bool:
    return any(c.name == _TOOL.name and c.parse() is not None for c in fold.tool_calls)


def _enforcing(target: Target) -> Target:
    """The target as if it enforced schemas: whether it does is the question."""
    offer = target.offer and replace(target.offer, structured_output=None)
    provider = replace(target.provider, structured_output="json_schema")
    return replace(target, provider=provider, offer=offer)


def _fits(text: str) -> bool:
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get("ready"), bool)


async def _shows(
    caller: _Caller,
    probe: PathProbe,
    prompt: str,
    found: Callable[[Fold], bool],
    *,
    effort: Effort | None = None,
    tools: tuple[ToolSpec, ...] = (),
    schema: JsonObject | None = None,
) -> bool | None:
    """Whether the reply has what was asked for; None where there is no such effort, or the call
    failed or was cut for some other reason."""
    if effort is not None:
        try:
            probe.target.effort_patch(effort)
        except NemoError:
            return None
    answer = await caller.ask(probe, prompt, effort, tools, schema)
    kind = answer.fault.kind if answer.fault is not None else None
    if kind is not None and kind not in ALIVE:
        return False if kind in REFUSALS else None
    return True if found(answer.fold) else None if kind is not None else False


@value_class(frozen=True, slots=True)
class _Caller:
    """Makes the calls of a command, within a budget for all of them."""

    world: World
    command: str
    budget: RunBudget | None

    async def ask(
        self,
        probe: PathProbe,
        prompt: str,
        effort: Effort | None = None,
        tools: tuple[ToolSpec, ...] = (),
        schema: JsonObject | None = None,
    ) -> Answer:
        """One call, booked in the probe whatever became of it. Raises NemoError at the budget's
        end."""
        target = probe.target
        if effort is None and not tools:
            effort = _off(target)
        request = Request(
            model=target.name or target.model,
            messages=(Message("user", prompt),),
            reasoning=effort,
            max_tokens=ENOUGH if effort == "off" else MORE,
            tools=tools,
            schema=schema,
        )
        run_id = self.world.clock.new_id()
        plan = Plan((target,), Policy(tries=1), run_id=run_id, command=self.command)
        answer = Answer(Fold(), target)
        pieces = 0

        def count(event: Event) -> None:
            nonlocal pieces
            pieces += isinstance(event, Text | Reasoning | ToolCallPart)

        try:
            await run(plan, request, self.world, count, budget=self.budget, answer=answer)
        finally:
            probe.entries += answer.entries
            probe.pieces = max(probe.pieces, pieces)
        if answer.fault is not None and answer.fault.kind is FaultKind.BUDGET:
            raise NemoError(answer.fault)
        return answer


def _off(target: Target) -> Effort | None:
    """No reasoning where that can be said: a test should not pay for it."""
    try:
        target.effort_patch("off")
    except NemoError:
        return None
    return "off"
