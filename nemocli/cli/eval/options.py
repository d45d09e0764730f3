"""From what was typed to arms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.choice import choose_targets
from nemocli.cli.request_options import effort_of, one_answer, retry_base_s, settle_options
from nemocli.core.faults import usage_error
from nemocli.core.plan import Plan
from nemocli.core.policy import Policy
from nemocli.core.request import Effort
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.eval.attempt import Arm

if TYPE_CHECKING:
    from nemocli.cli.context import Setup

TRIES = 6
"""Times a request is sent before an attempt is lost to infrastructure."""
_ARM = re.compile(r"([A-Za-z0-9][\w.-]{0,40})=([^:]+)(?::(.*))?")


@value_class(frozen=True, slots=True)
class EvalOptions:
    """The command line of `eval run`."""

    arms: tuple[str, ...]
    epochs: int | None = None
    tasks: tuple[str, ...] = ()
    jobs: int = 4
    max_cost: str | None = None
    reasoning: str | None = None
    max_tokens: int | None = None
    options: tuple[str, ...] = ()
    timeout: str | None = None
    resume: Path | None = None
    trust: Path | None = None
    providers: tuple[str, ...] = ()
    model: str | None = None
    system: str | None = None


@value_class(frozen=True, slots=True)
class ArmCell:
    """One way of asking, for a comparison of ways: a name and what goes with every request; None
    leaves it as the arm has it."""

    name: str
    reasoning: Effort | None = None
    max_tokens: int | None = None
    options: Mapping[str, Json] = field(default_factory=dict)

    def of(self, arm: Arm) -> Arm:
        """The arm asked this way."""
        return replace(
            arm,
            name=self.name,
            plan=replace(arm.plan, tags=(f"arm:{self.name}",)),
            reasoning=self.reasoning if self.reasoning is not None else arm.reasoning,
            max_tokens=self.max_tokens if self.max_tokens is not None else arm.max_tokens,
            options={**arm.options, **self.options},
        )


def arms_of(setup: Setup, wish: EvalOptions, run_id: str) -> list[Arm]:
    """Each arm with a plan of one target. Raises NemoError."""
    fields = one_answer(settle_options(setup, wish))
    settings = setup.settings
    timeout = settings.amount("timeout_s")
    base_s = retry_base_s(setup)
    arms: list[Arm] = []
    for text in wish.arms:
        found = _ARM.fullmatch(text)
        if found is None:
            raise usage_error(
                f"--arm takes NAME=PROVIDER:MODEL, not {text!r}",
                "for example `--arm new=openrouter:nemotron-3-ultra`",
            )
        name, provider, model = found.groups()
        target = choose_targets(setup, [provider], model or None).targets[0]
        if name in [arm.name for arm in arms]:
            raise usage_error(f"two arms are called {name!r}")
        plan = Plan(
            (target,),
            Policy(tries=TRIES, budget=TRIES, fallback=False, base_s=base_s),
            timeout_s=float(timeout) if timeout is not None else None,
            run_id=run_id,
            command="eval run",
            tags=(f"arm:{name}",),
            project=setup.project,
        )
        effort = effort_of(settings.text("reasoning"))
        arms.append(
            Arm(name, plan, model or target.name, effort, settings.count("max_tokens"), fields)
        )
    return arms


def arm_json(arm: Arm) -> dict[str, Any]:
    """An arm as the manifest keeps it: a changed one is another run."""
    target = arm.plan.targets[0]
    return {
        "name": arm.name,
        "provider": target.provider.name,
        "base_url": target.provider.base_url,
        "model": target.model or target.name,
        "reasoning": arm.reasoning,
        "max_tokens": arm.max_tokens,
        "options": dict(arm.options),
    }
