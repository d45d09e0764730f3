"""What `ask` was told, and all that is needed to ask."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from nemocli.core.plan import Plan
from nemocli.core.request import Request
from nemocli.core.value_class import value_class

if TYPE_CHECKING:
    from nemocli.engine.structured import SchemaCheck

Form = Literal["text", "json", "jsonl"]


@value_class(frozen=True, slots=True)
class AskOptions:
    """The command line of `ask`."""

    prompt: str | None = None
    dash: str | None = None
    no_stdin: bool = False
    providers: tuple[str, ...] = ()
    model: str | None = None
    system: str | None = None
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    reasoning: str | None = None
    show_reasoning: bool = False
    max_tokens: int | None = None
    timeout: str | None = None
    max_cost: str | None = None
    schema: str | None = None
    extract: bool = False
    form: Form = "text"
    fallback: bool | None = None
    tags: tuple[str, ...] = ()
    log: bool = True


@value_class(frozen=True, slots=True)
class AskJob:
    """All that is needed to ask: nothing in it comes from outside any more."""

    plan: Plan
    request: Request
    check: SchemaCheck | None = None
    notices: tuple[str, ...] = field(default=())
