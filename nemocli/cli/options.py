"""Options that several commands share, spelt once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, TypeVar

import typer

T = TypeVar("T")

Provider = Annotated[
    list[str] | None,
    typer.Option("--provider", "-p", metavar="NAME", help="Provider; repeat for a fallback order."),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="MODEL", help="Card name, alias or a provider's own id."),
]
System = Annotated[
    str | None, typer.Option("--system", "-s", metavar="TEXT", help="System prompt.")
]
Option = Annotated[
    list[str] | None,
    typer.Option("--option", "-O", metavar="K=V", help="Extra body field, sent as it is."),
]
Reasoning = Annotated[
    str | None,
    typer.Option("--reasoning", metavar="EFFORT", help="off, low, medium or high."),
]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", metavar="N", min=1, help="Most output tokens.")
]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="SECONDS", help="For one attempt, all of it."),
]
MaxCost = Annotated[
    str | None,
    typer.Option("--max-cost", metavar="USD", help="Stop before this run costs more than USD."),
]
Tag = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Tag in the ledger; repeatable.")
]
NoLog = Annotated[bool, typer.Option("--no-log", help="Keep no content of this call.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


def options_from(kind: type[T], params: Mapping[str, Any], **own: object) -> T:
    """What was typed, as a command's dataclass of options. A field is found by its name, or by that
    without its plural (`providers` is `--provider`); lists become tuples, and `own` stand as they
    are: paths, which are texts among `params`, go there. What the dataclass does not name is left
    out."""
    made = dict(own)
    for each in fields(kind):  # type: ignore[arg-type]
        place = each.name if each.name in params else each.name.removesuffix("s")
        if each.name not in own and place in params:
            value = params[place]
            several = isinstance(value, list) or (value is None and each.default == ())
            made[each.name] = tuple(value or ()) if several else value
    return kind(**made)
