"""`nemocli fit`: is this model right for the task? The guide's table as questions, or as flags."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, TypeVar, cast

import typer

from nemocli.cli import options
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.text import wrap
from nemocli.eval.suitability import (
    KINDS,
    MODALITIES,
    PLACES,
    Kind,
    Suitability,
    TaskFacts,
    suitability,
    suitability_json,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)

T = TypeVar("T")
_NUMBERS = {"k": 1_000, "m": 1_000_000}


@app.command(
    epilog=examples(
        "nemocli fit --kind coding --turns 12 --tools --context 64k",
        "nemocli fit --kind chat --turns 2 --no-tools --json",
    )
)
def fit(
    ctx: typer.Context,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help=f"One of {', '.join(KINDS)}.")
    ] = None,
    turns: Annotated[
        int | None, typer.Option("--turns", metavar="N", min=1, help="Turns of the user.")
    ] = None,
    tools: Annotated[
        bool | None, typer.Option("--tools/--no-tools", help="Calls of tools, and a state.")
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", metavar="TOKENS", help="At its longest; 64k.")
    ] = None,
    modality: Annotated[
        str, typer.Option("--modality", metavar="WHAT", help="text, image, audio or video.")
    ] = "text",
    latency_ms: Annotated[
        int | None,
        typer.Option("--latency-ms", metavar="MS", min=1, help="To the first token, at most."),
    ] = None,
    calls: Annotated[
        str | None, typer.Option("--calls", metavar="N", help="Of the model in a day; 20k.")
    ] = None,
    place: Annotated[
        str,
        typer.Option("--place", metavar="WHERE", help="Data may go: anywhere, region, own."),
    ] = "anywhere",
    json: options.Json = False,
) -> None:
    """Is this model right for the task? Consider, test first, or skip, with reasons and the
    cheapest next step. On a terminal what was not said is asked."""
    setup: Setup = ctx.obj
    facts = TaskFacts(
        cast("Kind | None", _one_of(kind, KINDS, "--kind")),
        turns,
        tools,
        _number(context, "--context"),
        _one_of(modality, MODALITIES, "--modality") or "text",
        latency_ms,
        _number(calls, "--calls"),
        _one_of(place, PLACES, "--place") or "anywhere",
    )
    if setup.may_ask and not json and facts == TaskFacts():
        facts = _asked(setup)
    found = suitability(facts)
    if json:
        setup.out.json(suitability_json(found, facts))
        return
    width = setup.out.width
    for line in _lines(found):
        setup.out.line(line if width is None else wrap(line, width, "    "))


def _one_of(value: str | None, known: tuple[str, ...], option: str) -> str | None:
    if value is not None and value not in known:
        raise usage_error(f"{option} {value!r} is not known", f"one of: {', '.join(known)}")
    return value


def _number(text: str | None, option: str) -> int | None:
    """`64k`, `1m`, `200000`."""
    if text is None:
        return None
    bare = text.strip().lower().replace(",", "").replace("_", "")
    factor = _NUMBERS.get(bare[-1:], 1)
    digits = bare[:-1] if factor > 1 else bare
    try:
        value = float(digits) * factor
    except ValueError:
        value = 0
    if not 1 <= value <= 1e12:
        raise usage_error(f"{option} {text!r} is no number", "write 64k or 200000")
    return int(value)


def _asked(setup: Setup) -> TaskFacts:
    """The questions, one after another; an empty answer is "not known"."""
    kind = _ask(
        setup, f"What kind of task? ({', '.join(KINDS)})", lambda t: _one_of(t, KINDS, "kind")
    )
    turns = _ask(setup, "How many turns of the user?", lambda t: _number(t, "turns"))
    tools = _ask(setup, "Does it call tools, and keep a state? (y/n)", _yes)
    context = _ask(setup, "How many tokens at its longest? (64k)", lambda t: _number(t, "context"))
    what = _ask(setup, "What goes in? (text, image, audio, video)",
                lambda t: _one_of(t, MODALITIES, "modality"))  # fmt: skip
    soon = _ask(setup, "First token within how many ms, if that matters?",
                lambda t: _number(t, "latency"))  # fmt: skip
    calls = _ask(setup, "How many calls a day?", lambda t: _number(t, "calls"))
    place = _ask(setup, "Where may the data go? (anywhere, region, own)",
                 lambda t: _one_of(t, PLACES, "place"))  # fmt: skip
    return TaskFacts(
        cast("Kind | None", kind),
        turns,
        tools,
        context,
        what or "text",
        soon,
        calls,
        place or "anywhere",
    )


def _yes(text: str) -> bool:
    return text.strip().lower() in ("y", "yes")


def _ask(setup: Setup, question: str, read: Callable[[str], T]) -> T | None:
    while True:
        setup.err.ask(question)
        line = sys.stdin.readline()
        if not line.strip():
            return None
        try:
            return read(line.strip())
        except NemoError as error:
            setup.err.warn(f"{error.fault.message}; {error.fault.hint}")


def _lines(found: Suitability) -> list[str]:
    marks = {True: "+", False: "-"}
    lines = [f"{found.answer.upper()}"]
    lines += [
        f"  {marks[r.weight > 0] if r.weight else ' '} {r.text}"
        for r in sorted(found.reasons, key=lambda r: -abs(r.weight))
    ]
    if found.unknown:
        lines.append(f"  ? not known: {', '.join(found.unknown)}")
    lines += ["", f"Next: {found.next_step}", "", "Where the guide's facts do not hold:"]
    lines += [f"  {said}: {holds} ({source})" for said, holds, source in found.corrections]
    lines += [
        "",
        "Rule of thumb: at least 5 turns, tools, and a state that must stay right. Pitfall: one"
        " good answer to one prompt says nothing of a run; try your own workflow, several times.",
    ]
    return lines
