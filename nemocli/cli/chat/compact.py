"""`/compact`: a summary in the place of old turns, by the model itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nemocli.chat.session import last_question, messages_of
from nemocli.cli.ask.receipt import usd
from nemocli.core.faults import NemoError, usage_error
from nemocli.core.money import table_cost
from nemocli.core.request import Message, Request
from nemocli.core.usage import Usage
from nemocli.engine.run import run

if TYPE_CHECKING:
    from nemocli.cli.chat.talk import Talk

MOST_SUMMARY = 1500
"""Tokens of a summary."""
ASK = (
    "Summarise the conversation so far for yourself, so that it can go on without its old turns:"
    " facts, decisions, names, numbers, code that still matters, open questions, and what I want."
    " Write only the summary."
)


async def compact(talk: Talk, *, ask: bool) -> None:
    """Summarise all but the last question and its answer; those too where there is nothing else.
    Raises NemoError."""
    conversation = talk.conversation
    session, how = conversation.session, conversation.asking_how
    place = last_question(session.turns)
    if place is None:
        raise usage_error("there is nothing to summarise yet")
    place = place or len(session.turns)
    old, kept = session.turns[:place], session.turns[place:]
    used, _ = talk.context()
    target = how.plan.targets[0]
    if ask:
        price = target.price(talk.world.clock.now().date())
        pico = None
        if price is not None:
            pico = table_cost(Usage(used, output_tokens=MOST_SUMMARY), price)
        cost = "nothing" if target.free else "unknown" if pico is None else f"up to {usd(pico)}"
        if not await talk.confirm(f"summarise {len(old)} turns ({used:,} tokens), cost {cost}?"):
            talk.say("nothing was changed")
            return
    messages = messages_of(old, session.system, target.provider.name)
    request = Request(how.model, (*messages, Message("user", ASK)), max_tokens=MOST_SUMMARY)
    plan = replace(
        how.plan, run_id=talk.world.clock.new_id(), session=session.session_id, keep=True
    )
    answer = await run(plan, request, talk.world, lambda event: None, budget=conversation.budget)
    if answer.fault is not None:  # a summary that is cut stands for nothing
        raise NemoError(answer.fault)
    conversation.summarise(answer.fold.text, kept, answer.entries)
    now, _ = talk.context()
    talk.say(f"{len(old)} turns are summarised: about {now:,} tokens instead of {used:,}")


async def make_room(talk: Talk) -> None:
    """Old turns are summarised when the context is nearly full, if that was asked for."""
    share = talk.full()
    if share is None:
        return
    if talk.wish.auto_compact:
        await compact(talk, ask=False)
    else:
        talk.say(f"the context is {share} % full: `/compact` summarises old turns")
