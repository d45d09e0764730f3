"""What the slash commands of a chat do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.chat.session import last_question, question
from nemocli.chat.slash import Slash, help_lines
from nemocli.chat.transcript import markdown, session_json
from nemocli.cli.ask.receipt import usd
from nemocli.cli.chat.compact import compact, make_room
from nemocli.cli.choice import choose_targets
from nemocli.core.budget import RunBudget
from nemocli.core.faults import usage_error
from nemocli.core.money import pico_from_usd, usd_text
from nemocli.core.request import EFFORTS
from nemocli.core.text import one_line
from nemocli.core.values import amount

if TYPE_CHECKING:
    from nemocli.cli.chat.talk import Talk

KEYS = (
    "Enter sends; Ctrl-J, Alt-Enter or a backslash before Enter break the line",
    "Ctrl-C stops an answer and keeps it; twice at an empty line, it leaves; Ctrl-D leaves",
    "Up and Down recall what was typed; a line that begins with a space is not kept",
)

Handler = Callable[["Talk", Slash], Awaitable[None]]


async def run_command(talk: Talk, slash: Slash) -> None:
    """Carry out one. Raises NemoError (usage) where what follows it makes no sense."""
    await _HANDLERS[slash.name](talk, slash)


async def _help(talk: Talk, slash: Slash) -> None:
    for line in (*help_lines(), *KEYS):
        talk.setup.out.line(line)


async def _model(talk: Talk, slash: Slash) -> None:
    how = talk.conversation.asking_how
    if not slash.rest:
        for target in how.plan.targets:
            talk.say(f"{target.provider.name}: {target.name} ({target.model or 'as it serves'})")
        return
    _aim(talk, [t.provider.name for t in how.plan.targets], slash.rest)


async def _provider(talk: Talk, slash: Slash) -> None:
    if not slash.rest:
        talk.say(", ".join(talk.setup.catalogue.providers))
        return
    _aim(talk, slash.words, None)


def _aim(talk: Talk, providers: list[str], model: str | None) -> None:
    """Ask others from here on."""
    how = talk.conversation.asking_how
    choice = choose_targets(talk.setup, providers, model or how.model)
    how.plan = replace(how.plan, targets=choice.targets)
    how.model = model or choice.targets[0].name
    talk.say("from here on: " + ", ".join(f"{t.provider.name} {t.name}" for t in choice.targets))


async def _keep(talk: Talk, slash: Slash) -> None:
    raise usage_error("nothing is compared here", "`nemocli chat --compare -p ONE -p OTHER`")


async def _system(talk: Talk, slash: Slash) -> None:
    if slash.rest:
        talk.conversation.change(system=None if slash.rest == "-" else slash.rest)
    talk.say(f"system prompt: {talk.conversation.session.system or 'none'}")


async def _reasoning(talk: Talk, slash: Slash) -> None:
    word = slash.rest
    if word in ("show", "hide"):
        talk.show_reasoning = word == "show"
    elif word in EFFORTS:
        for target in talk.conversation.asking_how.plan.targets:
            target.effort_patch(word)
        talk.conversation.asking_how.reasoning = word
    elif word:
        raise usage_error(
            f"/reasoning {word!r} is none", "one of: show, hide, off, low, medium, high"
        )
    shown = "shown" if talk.show_reasoning else "folded to a line"
    effort = talk.conversation.asking_how.reasoning or "the model's own"
    talk.say(f"reasoning: {effort}, {shown}")


async def _file(talk: Talk, slash: Slash) -> None:
    if not slash.words:
        raise usage_error("/file takes a file or a folder", "`/file notes.txt src/`")
    talk.attach(slash.words)


async def _edit(talk: Talk, slash: Slash) -> None:
    turns = talk.conversation.session.turns
    text, place = "", None
    if slash.rest:
        number = int(slash.rest) if slash.rest.lstrip("-").isdecimal() else 0
        place = question(turns, number)
        if place is None:
            raise usage_error(f"there is no question {slash.rest}", "`/edit 1` is the first")
        text = turns[place].text
    from nemocli.io.editor import edit_text

    with talk.keyboard.lent():
        new = edit_text(text, talk.setup.env)
    if place is not None:
        if new.strip() and new.strip() != text.strip():
            talk.conversation.drop(place)
            await make_room(talk)
            talk.say(f"> {one_line(new, 2000)}")
            await talk.message(new.rstrip("\n"))
        return
    talk.draft = new.rstrip("\n")


async def _retry(talk: Talk, slash: Slash) -> None:
    place = last_question(talk.conversation.session.turns)
    if place is None:
        raise usage_error("nothing was asked yet")
    words, providers, model = slash.words, list[str](), None
    while words:
        flag, value, *words = [*words, ""] if len(words) == 1 else words
        match flag:
            case "-p" | "--provider":
                providers.append(value)
            case "-m" | "--model":
                model = value
            case _:
                raise usage_error(f"/retry does not know {flag!r}", "`/retry -p NAME -m MODEL`")
        words = [w for w in words if w]
    if providers or model:
        how = talk.conversation.asking_how
        _aim(talk, providers or [t.provider.name for t in how.plan.targets], model)
    talk.conversation.drop(place + 1)
    await talk.answer(talk.conversation.go_on)


async def _undo(talk: Talk, slash: Slash) -> None:
    count = int(slash.rest) if slash.rest.isdecimal() else 1
    gone = talk.conversation.undo(count)
    if not gone:
        raise usage_error("there is nothing to take back")
    talk.draft = next((turn.text for turn in gone if turn.role == "user"), "")
    talk.say(f"{len(gone)} turns taken back; what they cost stays in the ledger")


async def _fork(talk: Talk, slash: Slash) -> None:
    old = talk.conversation.fork(slash.rest or None)
    talk.say(f"a copy of {old.name or old.session_id[:10]}; that one stays as it is")


async def _compact(talk: Talk, slash: Slash) -> None:
    await compact(talk, ask=True)


async def _clear(talk: Talk, slash: Slash) -> None:
    talk.conversation.renew()
    talk.say("a new conversation; `nemocli sessions ls` has the one before")


async def _copy(talk: Talk, slash: Slash) -> None:
    turns = talk.conversation.session.turns
    text = next((t.text for t in reversed(turns) if t.role == "assistant" and t.text), "")
    if slash.rest == "code":
        from nemocli.core.prompt import first_code_block

        text = (first_code_block(text) or "").rstrip("\n")  # pasted into a shell, it waits
    if not text:
        raise usage_error("there is nothing to copy yet")
    from nemocli.io.clipboard import copy

    talk.say(copy(text, talk.setup.env, talk.setup.out.paint))


async def _save(talk: Talk, slash: Slash) -> None:
    if not slash.rest:
        raise usage_error("/save takes a name", "`/save plans`")
    talk.conversation.change(name=slash.rest)
    talk.say(f"`nemocli chat --session {slash.rest}` goes on with it")


async def _export(talk: Talk, slash: Slash) -> None:
    if len(slash.words) != 1:
        raise usage_error("/export takes a file", "`/export talk.md` or `/export talk.json`")
    from nemocli.cli.terminal.output import json_text
    from nemocli.io.files import write_private

    path, session = _file_named(slash.words[0]), talk.conversation.session
    as_json = path.suffix == ".json"
    text = json_text(session_json(session), indent=2) + "\n" if as_json else markdown(session)
    write_private(path, text)
    talk.say(f"{len(session.turns)} turns in {path}, readable by you only")


def _file_named(name: str) -> Path:
    return Path(name).expanduser()


async def _cost(talk: Talk, slash: Slash) -> None:
    for turn in talk.conversation.session.turns:
        if turn.role == "assistant":
            tokens = f"{turn.usage.input_tokens} in, {turn.usage.output_tokens} out"
            cost = "unknown" if turn.cost_pico is None else usd(turn.cost_pico)
            talk.say(f"{turn.provider} {turn.model}: {tokens}, {cost} ({turn.cost_source})")
    session = talk.conversation.session
    if session.undone_pico != 0:
        back = "unknown" if session.undone_pico is None else usd(session.undone_pico)
        talk.say(f"taken back: {back}")
    total = session.cost_pico
    talk.say(f"in all: {'unknown' if total is None else usd(total)}; `nemocli cost` has every call")


async def _budget(talk: Talk, slash: Slash) -> None:
    if slash.rest:
        sum_ = amount(slash.rest.lstrip("$"))
        if sum_ is None or sum_ < 0:
            raise usage_error(f"{slash.rest!r} is not an amount of US dollars", "`/budget 0.50`")
        talk.conversation.budget = RunBudget(pico_from_usd(sum_))
    left = talk.conversation.budget
    talk.say(
        "no budget" if left is None else f"{usd_text(max(0, left.left))} USD left for this chat"
    )


async def _tools(talk: Talk, slash: Slash) -> None:
    specs = talk.conversation.tools.specs
    if not specs:
        talk.say("no tools: `nemocli chat --mcp FILE` brings some")
    for spec in specs:
        allowed = talk.approvals.get(spec.name, "asks each time")
        talk.setup.out.line(f"{spec.name} ({allowed})  {spec.description.partition(chr(10))[0]}")


_HANDLERS: dict[str, Handler] = {
    "help": _help,
    "model": _model,
    "provider": _provider,
    "system": _system,
    "keep": _keep,
    "reasoning": _reasoning,
    "file": _file,
    "edit": _edit,
    "retry": _retry,
    "undo": _undo,
    "fork": _fork,
    "compact": _compact,
    "clear": _clear,
    "copy": _copy,
    "save": _save,
    "export": _export,
    "cost": _cost,
    "budget": _budget,
    "tools": _tools,
}
