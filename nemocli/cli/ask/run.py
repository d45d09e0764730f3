"""From what was typed to a plan and a request, and from the answer to an exit code."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from nemocli.cli.ask.job import AskJob, AskOptions
from nemocli.cli.ask.render import ShownAnswer, view_for
from nemocli.cli.choice import Choice, choose_targets
from nemocli.cli.context import Setup
from nemocli.cli.event_loop import run_async
from nemocli.cli.request_options import effort_of, one_answer, retry_base_s, settle_options
from nemocli.core.events import Fold
from nemocli.core.faults import Fault, FaultKind, usage_error
from nemocli.core.money import pico_from_usd
from nemocli.core.plan import Plan, taking_images
from nemocli.core.policy import Policy
from nemocli.core.request import Image, Message, Request, with_parts
from nemocli.core.values import JsonObject
from nemocli.engine.run import Answer, run
from nemocli.engine.waiting import acknowledge_stop

if TYPE_CHECKING:
    from nemocli.core.ports import World
    from nemocli.engine.structured import SchemaCheck


SETTLE_TRIES_WHEN_INTERRUPTED = 2


def answer_once(setup: Setup, wish: AskOptions) -> int:
    """Ask, show, book; the exit code."""
    setup.out.ready()
    job = job_of(setup, wish)
    for line in job.notices:
        setup.err.warn(line)
    return run_async(lambda: _answered(setup, wish, job), finishes=True)


async def _answered(setup: Setup, wish: AskOptions, job: AskJob) -> int:
    from nemocli.cli.world import world_of

    async with world_of(setup) as world:
        shown = view_for(setup, wish.form, job, show_reasoning=wish.show_reasoning)
        answer = Answer(Fold(), job.plan.targets[0])
        begun = world.clock.monotonic()
        try:
            async with shown:
                await _run(job, world, shown, answer)
        except asyncio.CancelledError:
            answer.fault = _interrupted(answer)
            acknowledge_stop()
        took = world.clock.monotonic() - begun
        with suppress(asyncio.CancelledError):
            await _settle(answer, world, setup, SETTLE_TRIES_WHEN_INTERRUPTED)
        return shown.end(answer, took, extract=wish.extract)


async def _run(job: AskJob, world: World, shown: ShownAnswer, answer: Answer) -> None:
    if job.check is None:
        await run(job.plan, job.request, world, shown.event, answer=answer)
        return
    from nemocli.engine.structured import run_checked

    await run_checked(job.plan, job.request, world, shown.event, job.check, answer=answer)


async def _settle(answer: Answer, world: World, setup: Setup, tries: int) -> None:
    """Ask for the final cost of an answer that stopped in the middle; Ctrl-C leaves it open."""
    from nemocli.engine.settle import is_unsettled, settle_quietly

    last, provider = answer.last, answer.target.provider
    stopped = last is not None and last.status in ("aborted", "cut")
    if last is None or not stopped or not is_unsettled(last, provider):
        return
    setup.err.dim(f"asking {provider.name} what the stopped answer cost; Ctrl-C skips it")
    if (settled := await settle_quietly(last, provider, world, tries)) is not None:
        answer.entries[-1] = settled


def _interrupted(answer: Answer) -> Fault:
    message = "interrupted; the text above is incomplete" if answer.fold.shown else "interrupted"
    return Fault(FaultKind.INTERRUPTED, message, None, answer.target.provider.name)


def job_of(setup: Setup, wish: AskOptions) -> AskJob:
    """Settle everything that can be wrong before a call is made. Raises NemoError."""
    options = one_answer(settle_options(setup, wish, fallback=wish.fallback))
    settings = setup.settings
    text, images = _prompt(setup, wish)
    model = settings.text("model")
    choice = choose_targets(setup, list(wish.providers), model)
    if images:
        choice = replace(choice, targets=taking_images(choice.targets))
    schema, check = _schema(wish)
    request = Request(
        model=model or choice.targets[0].name,
        messages=_messages(settings.text("system"), text, images),
        reasoning=effort_of(settings.text("reasoning")),
        max_tokens=settings.count("max_tokens"),
        options=options,
        schema=schema,
    )
    return AskJob(
        _plan(setup, wish, choice, keep=_keeps(wish)), request, check, _notices(choice, model)
    )


def _keeps(wish: AskOptions) -> bool:
    """Whether the text has to be held: shown as it comes, it need not be."""
    return wish.form == "json" or wish.extract or wish.schema is not None


def _plan(setup: Setup, wish: AskOptions, choice: Choice, *, keep: bool) -> Plan:

    settings = setup.settings
    cap, timeout = settings.amount("max_cost_usd"), settings.amount("timeout_s")
    several = len(wish.providers) > 1
    fallback = settings.flag("fallback") if wish.fallback is None else wish.fallback
    targets = choice.targets if several or fallback else choice.targets[:1]
    return Plan(
        targets,
        Policy(
            fallback=several if wish.fallback is None else wish.fallback or fallback,
            base_s=retry_base_s(setup),
        ),
        timeout_s=float(timeout) if timeout is not None else None,
        max_cost_pico=pico_from_usd(cap) if cap is not None else None,
        run_id=setup.clock.new_id(),
        command="ask",
        tags=wish.tags,
        project=setup.project,
        keep=keep,
    )


def _prompt(setup: Setup, wish: AskOptions) -> tuple[str, list[Image]]:
    """The text of what is asked, and the pictures with it."""
    from nemocli.core.prompt import assemble
    from nemocli.io.stdin import read_stdin, read_text_or_image
    from nemocli.io.text import text_from_argv

    if wish.dash not in (None, "-"):
        raise usage_error(
            f"one prompt is asked at a time, and {wish.dash!r} is a second one",
            "put the prompt in quotes",
        )
    dash = wish.prompt == "-" or wish.dash == "-"
    prompt = None if wish.prompt == "-" else text_from_argv(wish.prompt, "the prompt")
    text_from_argv(wish.system, "--system")
    if wish.no_stdin and dash:
        raise usage_error("either `-` or `-n`: one reads stdin, the other leaves it alone")
    wanted = dash or (prompt is None and not wish.files)
    piped = None if wish.no_stdin else read_stdin(wanted=wanted, say=setup.err.warn)
    files: list[tuple[str, str]] = []
    images: list[Image] = []
    for path in wish.files:
        found = read_text_or_image(path)
        if isinstance(found, Image):
            images.append(found)
        else:
            files.append(found)
    words = (prompt and prompt.strip()) or (piped and piped.strip())
    if not words and not files and not images:
        raise usage_error("nothing to ask", '`nemocli ask "a question"`, or pipe one in')
    return assemble(prompt, piped, files), images


def _messages(system: str | None, text: str, images: list[Image]) -> tuple[Message, ...]:
    user = with_parts("user", [text, *images])
    return (Message("system", system), user) if system else (user,)


def _schema(wish: AskOptions) -> tuple[JsonObject | None, SchemaCheck | None]:
    if wish.schema is None:
        return None, None
    from nemocli.engine.structured import SchemaCheck
    from nemocli.io.json_schema import schema_argument, validator

    schema = schema_argument(wish.schema)
    return schema, SchemaCheck(validator(schema))


def _notices(choice: Choice, model: str | None) -> tuple[str, ...]:
    """What the user should know of the path before it is taken."""
    said = [choice.notice] if choice.notice else []
    for target in choice.targets:
        away = target.provider.leaves_machine
        if away and target.model.endswith(away):
            said.append(
                f"{target.model} is answered in the cloud of {target.provider.name},"
                " although the address is local"
            )
    card = choice.targets[0].card
    if model is not None and card is not None:
        meant = {name.lower(): text for name, text in card.misnomers.items()}.get(model.lower())
        if meant is not None:
            said.append(f"{model}: {meant}; taken for {card.name}")
    return tuple(said)
