"""From what was typed to how a conversation is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.chat.conversation import Asking
from nemocli.cli.choice import Choice, choose_targets
from nemocli.cli.request_options import effort_of, one_answer, retry_base_s, settle_options
from nemocli.core.money import Pico, pico_from_usd
from nemocli.core.plan import Plan
from nemocli.core.policy import Policy
from nemocli.core.value_class import value_class

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


@value_class(frozen=True, slots=True)
class ChatOptions:
    """The command line of `chat`."""

    providers: tuple[str, ...] = ()
    model: str | None = None
    system: str | None = None
    options: tuple[str, ...] = ()
    reasoning: str | None = None
    max_tokens: int | None = None
    timeout: str | None = None
    max_cost: str | None = None
    again: bool = False
    session: str | None = None
    files: tuple[str, ...] = ()
    mcp: tuple[str, ...] = ()
    show_reasoning: bool = False
    auto_compact: bool = False
    vi: bool = False
    fallback: bool | None = None
    tags: tuple[str, ...] = ()
    log: bool = True
    compare: bool = False


def asking_of(setup: Setup, wish: ChatOptions) -> tuple[Asking, Choice, Pico | None]:
    """How questions are asked, the choice behind it, and a cap. Raises NemoError."""
    fields = one_answer(settle_options(setup, wish, fallback=wish.fallback))
    settings = setup.settings
    choice = choose_targets(setup, list(wish.providers), settings.text("model"))
    cap = settings.amount("max_cost_usd")
    asking = Asking(
        plan_of(setup, wish, choice),
        settings.text("model") or choice.targets[0].name,
        effort_of(settings.text("reasoning")),
        settings.count("max_tokens"),
        dict(fields),
    )
    return asking, choice, None if cap is None else pico_from_usd(cap)


def plan_of(setup: Setup, wish: ChatOptions, choice: Choice) -> Plan:
    """The targets in order, and how they are tried."""
    settings = setup.settings
    timeout = settings.amount("timeout_s")
    several = len(choice.targets) > 1 and len(wish.providers) != 1
    fallback = settings.flag("fallback") if wish.fallback is None else wish.fallback
    return Plan(
        choice.targets if several or fallback else choice.targets[:1],
        Policy(fallback=several or fallback, base_s=retry_base_s(setup)),
        timeout_s=float(timeout) if timeout is not None else None,
        command="chat",
        tags=wish.tags,
        project=setup.project,
    )
