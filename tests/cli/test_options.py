"""What is typed reaches the dataclass of its command: no option is lost on the way."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields

import pytest

from nemocli.cli import options
from nemocli.cli.ask import command as ask
from nemocli.cli.ask.job import AskOptions
from nemocli.cli.batch import command as batch
from nemocli.cli.batch.wish import BatchOptions
from nemocli.cli.chat import command as chat
from nemocli.cli.chat.options import ChatOptions
from nemocli.cli.cost import command as cost
from nemocli.cli.cost.summary import SummaryOptions
from nemocli.cli.eval import command as evaluation
from nemocli.cli.eval import outside_command
from nemocli.cli.eval.options import EvalOptions
from nemocli.cli.eval.record import RecordOptions
from nemocli.cli.eval.stages import StageOptions
from nemocli.cli.nim import command as nim
from nemocli.cli.nim.bench import BenchOptions
from nemocli.cli.serve import command as serve
from nemocli.cli.serve import launch
from nemocli.cli.serve.run import ServeOptions

TAKEN: list[tuple[Callable[..., object], type, str]] = [
    (ask.ask, AskOptions, "stdin old_option json jsonl compare no_log"),
    (chat.chat, ChatOptions, "no_log"),
    (batch.run, BatchOptions, "dry_run sample"),
    (batch.estimate, BatchOptions, "sample"),
    (cost.cost, SummaryOptions, "tz csv json"),
    (evaluation.run, EvalOptions, "folder json"),
    (evaluation.week2, StageOptions, "folder no_load json"),
    (evaluation.record, RecordOptions, "folder words timeout new json"),
    (outside_command.suite, EvalOptions, "name folder category user limit new json"),
    (nim.bench, BenchOptions, "json"),
    (serve.serve, ServeOptions, "no_token allow_host new_key map_ loop_guard json"),
    (launch.launch, ServeOptions, "words map_ loop_guard own_settings json"),
]
"""A command, what becomes of its options, and those that it looks at itself."""


NAMES = [f"{command.__name__}-{kind.__name__}" for command, kind, _ in TAKEN]


@pytest.mark.parametrize(("command", "kind", "own"), TAKEN, ids=NAMES)
def test_every_option_has_a_place(command: Callable[..., object], kind: type, own: str) -> None:
    names = set(inspect.signature(command).parameters) - {"ctx"}
    places = {field.name for field in fields(kind)}
    lost = {n for n in names if n not in places and f"{n}s" not in places}
    assert lost == set(own.split())


@dataclass(frozen=True, slots=True)
class Three:
    words: tuple[str, ...]
    tags: tuple[str, ...] = ()
    jobs: int = 1
    log: bool = True


def test_lists_become_tuples_and_what_is_not_named_is_left_out() -> None:
    given = {"words": ["a"], "tag": None, "jobs": 3, "other": 5, "log": False}
    assert options.options_from(Three, given) == Three(("a",), (), 3, False)
    assert options.options_from(Three, {"tag": ["x", "y"]}, words=("b",), log=True) == Three(
        ("b",), ("x", "y")
    )
