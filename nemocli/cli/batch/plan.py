"""What a command line comes to: a plan in which nothing is left to go wrong but the calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nemocli.batch.lines import Told
from nemocli.batch.options import JobTerms
from nemocli.batch.rows import Bad, Renderer, columns_of, row_of
from nemocli.batch.spec import Spec
from nemocli.cli.batch.table import lines_beside
from nemocli.cli.batch.wish import BatchOptions
from nemocli.cli.choice import choose_targets
from nemocli.cli.context import Setup
from nemocli.cli.request_options import effort_of, retry_base_s, settle_options
from nemocli.core.faults import Fault, NemoError, config_error, usage_error
from nemocli.core.money import NOTHING, UNKNOWN, Cost, cost_of, pico_from_usd
from nemocli.core.ports import Clock, Entry
from nemocli.core.value_class import value_class
from nemocli.engine.pool.gate import SPREADS, Spread, TargetLane
from nemocli.engine.pool.pacing import Pinned
from nemocli.io.batch.inputs import Inputs, inputs_of

if TYPE_CHECKING:
    from nemocli.core.plan import Target
    from nemocli.core.ports import Validator
    from nemocli.core.values import JsonObject


ENGINES = ("local", "ray")
FIRST_ROWS = 50
"""Rows that are looked at before a job begins."""


@value_class(frozen=True, slots=True)
class BatchPlan:
    """All that a job needs: nothing in it comes from outside any more."""

    inputs: Inputs
    out: Path
    terms: JobTerms
    pinned: Pinned
    spread: Spread
    cap: int | None
    ordered: bool
    check: Validator | None
    jinja: Renderer | None = None
    fresh_connections: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def context(self) -> int | None:
        """The smallest context of the models in question, in tokens."""
        return min((t.context for t in self.terms.targets if t.context), default=None)


def lanes_of(plan: BatchPlan, clock: Clock) -> list[TargetLane]:
    day = clock.now().date()
    lanes = []
    for target in plan.terms.targets:
        price, limits = target.price(day), target.provider.limits
        pinned = plan.pinned
        if pinned.cap is None and limits.concurrency is not None:
            pinned = replace(pinned, cap=limits.concurrency)
        if pinned.tpm is None and limits.tokens_per_minute is not None:
            pinned = replace(pinned, tpm=limits.tokens_per_minute)
        rate = float(price.output) if price is not None else 0.0 if target.free else None
        name = target.provider.name
        lanes.append(
            TargetLane(name, pinned, plan.weights.get(name, 1.0), rate, limits.requests_per_minute)
        )
    return lanes


def price_of(setup: Setup, terms: JobTerms) -> Callable[[Entry], Cost]:
    """What an attempt of estimated tokens is thought to have cost."""
    by_name = {t.provider.name: t for t in terms.targets}

    def price(entry: Entry) -> Cost:
        target = by_name.get(entry.provider)
        if target is None:
            return UNKNOWN
        if target.free:
            return Cost(NOTHING.pico, "free")
        if entry.model != target.name:
            target = setup.catalogue.target(target.provider, entry.model)
        return cost_of(entry.usage, target.price(entry.at.date()), None)

    return price


def plan_of(setup: Setup, wish: BatchOptions) -> BatchPlan:
    """Settle everything that can be wrong before a call is made. Raises NemoError."""
    given = settle_options(setup, wish)
    _check_words(wish)
    settings = setup.settings
    choice = choose_targets(setup, list(wish.providers), settings.text("model"))
    schema, check = _schema(wish.schema)
    spec = Spec(
        settings.text("model"),
        wish.model is not None,
        settings.text("system"),
        _template(wish),
        wish.jinja,
        given,
        effort_of(settings.text("reasoning")),
        settings.count("max_tokens"),
        schema,
    )
    cap = settings.amount("max_cost_usd")
    targets = choice.targets if len(wish.providers) > 1 else choice.targets[:1]
    terms = _terms(setup, wish, targets, spec)
    share = _share(wish.shard)
    inputs, renderer = _inputs(wish, share), _jinja(spec)
    notices = inputs.inspect()
    check_first_rows(inputs, spec, renderer)
    return BatchPlan(
        inputs,
        part_of(lines_beside(Path(wish.out)), share),
        terms,
        Pinned(wish.rpm, wish.tpm, wish.jobs),
        next((s for s in SPREADS if s == wish.spread), "order"),
        pico_from_usd(cap) if cap is not None else None,
        wish.order == "input",
        check,
        renderer,
        wish.fresh_connections,
        _weights(wish, [t.provider.name for t in terms.targets]),
        ((choice.notice,) if choice.notice else ()) + tuple(notices),
    )


def _check_words(wish: BatchOptions) -> None:
    """Refuse a word that is none of an option's. Raises NemoError (usage)."""
    spreads = SPREADS[1:]
    for option, word, known in (
        ("--spread", spreads[0] if wish.spread is None else wish.spread, spreads),
        ("--engine", wish.engine, ENGINES),
        ("--order", wish.order, ("completion", "input")),
    ):
        if word not in known:
            raise usage_error(f"{option} {word!r} is none", f"one of: {', '.join(known)}")


def _terms(setup: Setup, wish: BatchOptions, targets: tuple[Target, ...], spec: Spec) -> JobTerms:
    """What holds for every row."""
    settings = setup.settings
    cap, timeout = settings.amount("max_cost_usd"), settings.amount("timeout_s")
    budget = _budget(setup)
    return JobTerms(
        targets,
        spec,
        Told(setup.clock.new_id(), "batch", setup.project, wish.tags),
        spread=wish.spread is not None,
        tries=wish.tries,
        base_s=retry_base_s(setup),
        timeout_s=float(timeout) if timeout is not None else None,
        capped=cap is not None or budget is not None,
        cap_name="`--max-cost`" if cap is not None else f"the budget {budget!r}",
        repairs=wish.repairs,
        fail_fast=wish.fail_fast,
        named=lambda target, model: setup.catalogue.target(target.provider, model),
    )


def _inputs(wish: BatchOptions, share: tuple[int, int] | None) -> Inputs:
    return inputs_of(
        wish.inputs, wish.form, share, delimiter=wish.delimiter, encoding=wish.encoding
    )


def check_first_rows(inputs: Inputs, spec: Spec, jinja: Renderer | None) -> None:
    """Refuse input of which no row can be asked, for a reason that all rows share: a column that
    the template names or the prompt needs is in none of the first rows. Raises NemoError."""
    for path in inputs.paths if not inputs.pipe else ():
        records = list(islice(replace(inputs, paths=(path,), shard=None), FIRST_ROWS))
        rows = [row_of(record, spec, jinja) for record in records]
        shared = {row.code if isinstance(row, Bad) else "" for row in rows}
        if rows and shared in ({"missing_column"}, {"missing_prompt"}):
            bad, values = cast("Bad", rows[0]), records[0].values or {}
            missing = [c for c in columns_of(spec.template or "") if c not in values]
            near = get_close_matches(missing[0], values, 1) if missing and values else []
            hint = f"did you mean {{{near[0]}}}? " if near else ""
            raise config_error(
                f"{path}: {bad.message}", f"{hint}name columns in `--template` as in {{column}}"
            )


def check_keys(setup: Setup, plan: BatchPlan) -> None:
    """Refuse a job that no provider could be asked for; warn of one that cannot. Raises NemoError
    (authentication)."""
    from nemocli.engine.door import check_key

    faults: dict[str, Fault] = {}
    for target in plan.terms.targets:
        provider = target.provider
        try:
            check_key(provider, provider.base_url, setup.keys.key_for(provider))
        except NemoError as error:
            faults[provider.name] = error.fault
    if len(faults) == len(plan.terms.targets):
        raise NemoError(next(iter(faults.values())))
    for name, fault in faults.items():
        setup.err.warn(f"{name} cannot be asked: {fault.message}")


def _budget(setup: Setup) -> str | None:
    """The name of a hard budget, where one is set: then every call is counted before it is made."""
    if not setup.paths.ledger.exists():
        return None
    uses = setup.ledger.budgets(setup.clock.now())
    return next((use.budget.name for use in uses if use.budget.hard), None)


def _template(wish: BatchOptions) -> str | None:
    text = wish.template
    if text is not None and text.startswith("@"):
        from nemocli.io.files import read_text

        text = read_text(Path(text[1:]))
        if text is None:
            raise usage_error(f"--template: no such file: {wish.template}")
    if text is not None and not wish.jinja:
        try:
            columns_of(text)
        except ValueError as error:
            raise usage_error(f"--template: {error}") from error
    return text


def _weights(wish: BatchOptions, names: list[str]) -> dict[str, float]:
    """`NAME=N` for some of the providers."""
    found = {}
    for given in wish.weights:
        name, _, number = given.partition("=")
        if name not in names:
            raise usage_error(f"--weight {given!r}: {name!r} is none of this job's providers")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = 0.0
        if not 0 < found[name] < 1e9:
            raise usage_error(f"--weight takes NAME=N with N above 0, not {given!r}")
    if found and wish.spread != "weight":
        raise usage_error("--weight is for `--spread weight`")
    return found


def _jinja(spec: Spec) -> Renderer | None:
    if not spec.jinja:
        return None
    if spec.template is None:
        raise usage_error("--jinja says how to read --template, and there is none")
    from nemocli.io.batch.jinja import jinja

    return jinja(spec.template)


def _schema(given: str | None) -> tuple[JsonObject | None, Validator | None]:
    if given is None:
        return None, None
    from nemocli.io.json_schema import schema_argument, validator

    schema = schema_argument(given)
    return schema, validator(schema)


def _share(text: str | None) -> tuple[int, int] | None:
    """`I/N`, I from 1, as a place from 0 and a number."""
    if text is None:
        return None
    first, _, count = text.partition("/")
    if first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count):
        return int(first) - 1, int(count)
    raise usage_error(f"--shard takes I/N with I from 1 to N, not {text!r}")


def part_of(out: Path, share: tuple[int, int] | None) -> Path:
    """The file of a share: `out.jsonl` is `out.2-of-4.jsonl` for the second of four."""
    if share is None:
        return out
    return out.with_name(f"{out.stem}.{share[0] + 1}-of-{share[1]}{out.suffix}")
