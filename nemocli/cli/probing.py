"""Tiny real calls that tell whether a path works and what a model there can do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nemocli.cli.choice import keyed
from nemocli.cli.diagnostics import error_json
from nemocli.cli.receipt import usd
from nemocli.cli.running import run_async
from nemocli.cli.setup import Setup
from nemocli.cli.tables import table
from nemocli.core.events import Event
from nemocli.core.faults import ExitCode, Fault, FaultKind, NemoError, usage_error
from nemocli.core.money import usd_text
from nemocli.core.plan import Plan, Target
from nemocli.core.policy import Policy
from nemocli.core.request import Effort, Message, Request, ToolSpec
from nemocli.core.values import Json, JsonObject
from nemocli.engine.run import Answer, run

if TYPE_CHECKING:
    from nemocli.core.ports import Entry, World

ENOUGH = 256
"""Output tokens: room for some reasoning where it cannot be turned off."""
MORE = 768

ALIVE = frozenset({FaultKind.TRUNCATED, FaultKind.NO_ANSWER, FaultKind.FILTERED})
"""Ends that no dead model comes to."""

CHECKS = ("reasoning", "reasoning_off", "tools", "json_schema")
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


@dataclass(slots=True)
class Probe:
    """What calls to one target showed; a check that could not be made is None."""

    target: Target
    fault: Fault | None = None
    entries: list[Entry] = field(default_factory=list)
    checks: dict[str, bool | None] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether the model answered at all."""
        return self.fault is None or self.fault.kind in ALIVE


def probe_providers(setup: Setup, names: list[str], model: str | None, *, every: bool) -> int:
    """`providers test`; the exit code is the largest of the failures."""
    targets = _targets(setup, names, model, every=every)
    probes = run_async(lambda: _probed(setup, targets, "providers test", deep=False))
    return _shown(setup, probes, deep=False)


def probe_models(setup: Setup, targets: Sequence[Target]) -> int:
    """`models probe`."""
    probes = run_async(lambda: _probed(setup, targets, "models probe", deep=True))
    return _shown(setup, probes, deep=True)


def _targets(setup: Setup, names: list[str], model: str | None, *, every: bool) -> list[Target]:
    catalogue = setup.catalogue
    if every:
        from nemocli.cli.provider_facts import readiness

        ready = [p for p in catalogue.providers.values() if readiness(setup, p)[0]]
        return [t for p in ready if (t := _quietly(setup, p.name, model)) is not None]
    if not names:
        names = list(setup.settings.words("provider")) or [p.name for p in keyed(setup, None)]
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
) -> list[Probe]:
    from nemocli.cli.world import world_of

    probes: list[Probe] = []
    async with world_of(setup) as world:
        for target in targets:
            probe = Probe(target)
            probes.append(probe)
            setup.err.dim(f"asking {target.provider.name} {target.model or target.name} …")
            try:
                await _first(probe, world, command)
                if deep and probe.alive:
                    await _deeper(probe, world, command)
            except asyncio.CancelledError:
                probe.fault = Fault(FaultKind.INTERRUPTED, "interrupted")
                break
    return probes


async def _first(probe: Probe, world: World, command: str) -> None:
    answer = await _asked(probe, world, command, "Reply with the word ready.")
    probe.target, probe.fault = answer.target, answer.fault


async def _deeper(probe: Probe, world: World, command: str) -> None:
    """Each check is one call; what a provider refuses is not supported there."""
    checks = probe.checks
    thinking = await _tried(probe, world, command, "What is 17 times 23?", effort="high")
    if thinking is not None:
        checks["reasoning"] = thinking.fold.reasoning_chars > 0
        plain = await _tried(probe, world, command, "What is 17 times 23?", effort="off")
        checks["reasoning_off"] = None if plain is None else not plain.fold.reasoning_chars
    called = await _tried(probe, world, command, "Use the tool: add 2 and 3.", tools=(_TOOL,))
    checks["tools"] = called is not None and any(
        c.name == _TOOL.name and c.parsed() is not None for c in called.fold.tool_calls
    )
    probe.target = replace(
        probe.target, provider=replace(probe.target.provider, structured_output="json_schema")
    )
    shaped = await _tried(probe, world, command, "Are you ready? Say true.", schema=_SCHEMA)
    checks["json_schema"] = shaped is not None and _fits(shaped.fold.text)


def _fits(text: str) -> bool:
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get("ready"), bool)


async def _tried(
    probe: Probe,
    world: World,
    command: str,
    prompt: str,
    *,
    effort: Effort | None = None,
    tools: tuple[ToolSpec, ...] = (),
    schema: JsonObject | None = None,
) -> Answer | None:
    """The answer; None where the request was refused or the effort does not exist."""
    if effort is not None:
        try:
            probe.target.effort_patch(effort)
        except NemoError:
            return None
    answer = await _asked(probe, world, command, prompt, effort, tools, schema)
    refused = answer.fault is not None and answer.fault.kind not in ALIVE
    return None if refused else answer


async def _asked(
    probe: Probe,
    world: World,
    command: str,
    prompt: str,
    effort: Effort | None = None,
    tools: tuple[ToolSpec, ...] = (),
    schema: JsonObject | None = None,
) -> Answer:
    target = probe.target
    if effort is None and not tools:
        effort = _off(target)
    request = Request(
        model=target.name or target.model,
        messages=(Message("user", prompt),),
        reasoning=effort,
        max_tokens=MORE if effort not in (None, "off") else ENOUGH,
        tools=tools,
        schema=schema,
    )
    plan = Plan((target,), Policy(tries=1), run_id=world.clock.new_id(), command=command)
    answer = await run(plan, request, world, _nowhere)
    probe.entries += answer.entries
    return answer


def _off(target: Target) -> Effort | None:
    """No reasoning where that can be said: a test should not pay for it."""
    try:
        target.effort_patch("off")
    except NemoError:
        return None
    return "off"


def _nowhere(event: Event) -> None:
    """Nothing of a probe is shown as it comes."""


def _shown(setup: Setup, probes: list[Probe], *, deep: bool) -> int:
    if setup.json:
        setup.out.json([_json(p) for p in probes])
    else:
        headers = ["PROVIDER", "MODEL", "ANSWERS", "FIRST TOKEN", "COST"]
        headers += [c.replace("_", " ").upper() for c in CHECKS] if deep else ["SERVED"]
        rows = [_row(p, deep=deep) for p in probes]
        for line in table(headers, rows, None):
            setup.out.line(line)
    failed = [p.fault for p in probes if not p.alive and p.fault is not None]
    if not setup.json:
        for fault in failed:
            setup.err.error(fault)
    return max((f.exit_code for f in failed), default=ExitCode.OK)


def _row(probe: Probe, *, deep: bool) -> list[str]:
    first = probe.entries[0] if probe.entries else None
    ttft = f"{first.ttft_s:.2f} s" if first is not None and first.ttft_s is not None else "-"
    said = "yes" if probe.alive else str(probe.fault.kind if probe.fault else "no")
    row = [probe.target.provider.name, probe.target.model or "-", said, ttft, _cost(probe)]
    if not deep:
        return [*row, (first.served_model if first is not None else None) or "-"]
    marks = {True: "yes", False: "no", None: "-"}
    return row + [marks[probe.checks.get(c)] for c in CHECKS]


def _cost(probe: Probe) -> str:
    total = _total(probe)
    return "unknown" if total is None else usd(total)


def _total(probe: Probe) -> int | None:
    sums = [e.cost.pico for e in probe.entries]
    return None if None in sums else sum(s for s in sums if s is not None)


def _json(probe: Probe) -> dict[str, Json]:
    first = probe.entries[0] if probe.entries else None
    said: dict[str, Json] = {
        "provider": probe.target.provider.name,
        "model": probe.target.model or None,
        "served_model": first.served_model if first is not None else None,
        "answers": probe.alive,
        "ttft_s": first.ttft_s if first is not None else None,
        "total_s": first.total_s if first is not None else None,
        "cost_usd": usd_text(_total(probe)),
        "calls": len(probe.entries),
        "error": error_json(probe.fault) if probe.fault is not None else None,
    }
    if probe.checks:
        said["checks"] = {c: probe.checks.get(c) for c in CHECKS}
    return said
