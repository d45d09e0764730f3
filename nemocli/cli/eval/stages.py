"""`eval day1`, `day3` and `week2`: the trial as the guide lays it out, stage by stage. Each step is
kept in the suite's folder: the same command goes on where it was stopped, and shows a stage that is
done again without a call."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.eval.decide import JudgedRun
from nemocli.cli.eval.options import ArmCell, EvalOptions
from nemocli.cli.eval.run import run_attempts
from nemocli.cli.eval.suites import suite_at
from nemocli.cli.request_options import settle_options
from nemocli.core.faults import ExitCode, NemoError, config_error, usage_error
from nemocli.core.value_class import value_class
from nemocli.eval.metrics import summary_of
from nemocli.eval.stages import (
    Gate,
    best_cell,
    card_rows,
    gate_1,
    gate_2,
    gate_json,
)
from nemocli.io.eval.runs import Run, results_of
from nemocli.io.eval.suite import init_suite
from nemocli.io.files import private_folder, write_private
from nemocli.io.profiles.catalogue import profiles_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nemocli.cli.context import Setup
    from nemocli.eval.metrics import Results
    from nemocli.io.eval.suite import Suite

PROFILE = "nemotron.profile.yaml"
MATRIX_TASKS = ("card-01-one-call", "card-06-corrects-a-call", "card-09-keeps-a-changed-fact",
                "card-11-nested-arguments")  # fmt: skip
CELLS = (
    ArmCell("default"),
    ArmCell("reasoning-off", "off"),
    ArmCell("reasoning-medium", "medium"),
    ArmCell("reasoning-high", "high"),
    ArmCell("temperature-0", options={"temperature": 0}),
    ArmCell("one-call-at-a-time", options={"parallel_tool_calls": False}),
)
SMOKE_TURNS = (5, 7)
SMOKE_TASKS, SMOKE_EPOCHS = 3, 2
GATE_EXIT = {True: ExitCode.OK, False: ExitCode.EVAL_REJECT}


@value_class(frozen=True, slots=True)
class StageOptions:
    """The command line of a stage."""

    candidate: str
    baseline: str | None = None
    epochs: int | None = None
    pilot_epochs: int = 2
    jobs: int = 1
    max_cost: str | None = None
    trust: Path | None = None
    sweep: str | None = None
    slo: tuple[str, ...] = ()
    gpus: int | None = None
    gpu_hour: str | None = None


class Stage:
    """A stage's folder: notes of what is done, by step."""

    def __init__(self, suite: Path, name: str) -> None:
        self.folder = suite / "stages" / name
        self._file = self.folder / "notes.json"
        private_folder(self.folder)

    def note(self, step: str) -> Any:
        """What is known of a step; None where it was not begun."""
        return self._notes().get(step)

    def keep(self, step: str, value: object) -> None:
        """Write a step down."""
        write_private(self._file, json.dumps({**self._notes(), step: value}, indent=2) + "\n")

    def _notes(self) -> dict[str, Any]:
        """Of all steps. Raises NemoError where they cannot be read."""
        try:
            notes: dict[str, Any] = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise config_error(f"{self._file}: {error}", "remove it to begin anew") from error
        return notes


def step_run(
    setup: Setup,
    stage: Stage,
    step: str,
    folder: Path,
    wish: EvalOptions,
    *,
    cells: tuple[ArmCell, ...] = (),
) -> Run:
    """The run of a step: begun, gone on with, or as it is. Raises NemoError where it stops."""
    if (known := stage.note(step)) is not None:
        wish = replace(wish, resume=Path(known))
    setup.err.dim(f"{step}:")
    run, fault = run_attempts(
        setup, folder, wish, cells, begun=lambda run: stage.keep(step, str(run.folder))
    )
    if fault is not None:
        raise NemoError(replace(fault, hint="the same command goes on from here"))
    return run


def run_wish(options: StageOptions, arms: tuple[str, ...], **more: Any) -> EvalOptions:
    return EvalOptions(
        arms=arms, jobs=options.jobs, max_cost=options.max_cost, trust=options.trust, **more
    )


def day1(setup: Setup, folder: Path, options: StageOptions, *, as_json: bool) -> int:
    """Patterns, the behaviour card, smoke tasks, gate 1."""
    settle_options(setup, run_wish(options, ()))  # the cap is among the settings
    suite = suite_at(folder, options.trust)
    stage = Stage(folder, "day1")
    card_folder = stage.folder / "card"
    if not card_folder.exists():
        init_suite(card_folder, profiles_folder() / "suites", "card")
    arm = (f"candidate={options.candidate}",)
    wish, ways = run_wish(options, arm, tasks=MATRIX_TASKS, epochs=1), _cells(setup, options)
    matrix = step_run(setup, stage, "patterns", card_folder, wish, cells=ways)
    cells = results_of(matrix)
    chosen = best_cell({name: summary_of(results) for name, results in cells.items()})
    cell = next(c for c in CELLS if c.name == chosen)
    profile = _freeze(folder, options.candidate, cell)
    chosen_cell = (replace(cell, name="candidate"),)
    card = step_run(setup, stage, "card", card_folder, run_wish(options, arm), cells=chosen_cell)
    wish = run_wish(options, arm, tasks=_smoke_tasks(suite), epochs=SMOKE_EPOCHS)
    smoke = step_run(setup, stage, "smoke", folder, wish, cells=chosen_cell)
    card_results, smoke_results = arm_of(card, "candidate"), arm_of(smoke, "candidate")
    gate = gate_1(card_results, smoke_results, str(folder))
    said = {
        "schema": "nemocli.eval_day1/1",
        "candidate": options.candidate,
        "patterns": {n: _score(results) for n, results in cells.items()},
        "profile": str(profile),
        "chosen": chosen,
        "card": {t: _score({t: ms}) for t, ms in card_results.items()},
        "smoke": {t: _score({t: ms}) for t, ms in smoke_results.items()},
        **gate_json(gate),
    }
    stage.keep("gate", said)
    if as_json:
        setup.out.json(said)
        return GATE_EXIT[gate.passed]
    _print_day1(setup, said, card_results)
    return tell_gate(setup, gate)


def _smoke_tasks(suite: Suite) -> tuple[str, ...]:
    """Tasks of the suite itself, of a middling length."""
    few, many = SMOKE_TURNS
    tasks = [t for t in suite.tasks if t.role == "consider" and few <= len(t.turns) <= many]
    return tuple(task.task_id for task in tasks[:SMOKE_TASKS])


def _print_day1(setup: Setup, said: Mapping[str, Any], card: Results) -> None:
    _print(setup, "Patterns", ("WAY OF ASKING", "RIGHT"), list(said["patterns"].items()))
    setup.out.line(f"chosen: {said['chosen']}, frozen in {said['profile']}")
    _print(setup, "Behaviour card", ("PROBE", "RIGHT", "WHAT WAS WRONG"), card_rows(card))
    _print(setup, "Smoke tasks", ("TASK", "DONE"), list(said["smoke"].items()))


def _cells(setup: Setup, options: StageOptions) -> tuple[ArmCell, ...]:
    """The ways of asking that the provider has."""
    from nemocli.cli.choice import choose_targets

    provider, _, model = options.candidate.partition(":")
    target = choose_targets(setup, [provider], model or None).targets[0]
    found = []
    for cell in CELLS:
        try:
            if cell.reasoning is not None:
                target.effort_patch(cell.reasoning)
        except NemoError:
            continue
        found.append(cell)
    return tuple(found)


def _freeze(folder: Path, candidate: str, cell: ArmCell) -> Path:
    """How the model is asked from now on, as a file to be read and kept under version control."""
    from nemocli.io.yaml import to_yaml

    provider, _, model = candidate.partition(":")
    text = to_yaml(
        {
            "schema": "nemocli.eval_profile/1",
            "provider": provider,
            "model": model,
            "reasoning": cell.reasoning,
            "max_tokens": cell.max_tokens,
            "options": dict(cell.options),
        }
    )
    write_private(folder / PROFILE, text)
    return folder / PROFILE


def profile_cell(folder: Path) -> ArmCell:
    """The way of asking that day 1 chose; the model's own where there was no day 1."""
    from nemocli.io.files import read_text
    from nemocli.io.yaml import read

    text = read_text(folder / PROFILE)
    if text is None:
        return ArmCell("candidate")
    data = read(text, str(folder / PROFILE)).data
    if not isinstance(data, dict):
        raise config_error(f"{folder / PROFILE}: not a profile of day 1")
    return ArmCell(
        "candidate", data.get("reasoning"), data.get("max_tokens"), data.get("options") or {}
    )


def day3(setup: Setup, folder: Path, options: StageOptions, *, as_json: bool) -> int:
    """A pilot, a plan, the main run of both arms, gate 2."""
    if options.baseline is None:
        raise usage_error(
            "a baseline is missing: what the candidate is compared with",
            "`--baseline PROVIDER:MODEL`, for example what you use now",
        )
    suite = suite_at(folder, options.trust)
    stage = Stage(folder, "day3")
    arms = (f"candidate={options.candidate}", f"baseline={options.baseline}")
    cells = (profile_cell(folder),)
    wish = run_wish(options, arms, epochs=options.pilot_epochs)
    pilot = step_run(setup, stage, "pilot", folder, wish, cells=cells)
    needs = JudgedRun(pilot.folder).verdict
    wish = run_wish(options, arms, epochs=options.epochs or suite.epochs)
    main = step_run(setup, stage, "main", folder, wish, cells=cells)
    found = JudgedRun(main.folder)
    assert found.verdict is not None
    gate = gate_2(found.verdict, str(main.folder))
    said = {
        "schema": "nemocli.eval_day3/1",
        "candidate": options.candidate,
        "baseline": options.baseline,
        "pilot": str(pilot.folder),
        "plan": dict(needs.needs) if needs is not None else {},
        "main": str(main.folder),
        "verdict": found.verdict.decision,
        **gate_json(gate),
    }
    stage.keep("gate", said)
    if as_json:
        setup.out.json(said)
        return GATE_EXIT[gate.passed]
    setup.out.line(f"{found.verdict.decision} ({options.candidate} against {options.baseline})")
    setup.err.dim(f"`nemocli eval report {main.folder} -o report.html` shows all of it")
    return tell_gate(setup, gate)


def arm_of(run: Run, arm: str) -> Results:
    return results_of(run).get(arm, {})


def _score(results: Results) -> str:
    summary = summary_of(results)
    return f"{summary.successes}/{summary.scored}"


def _print(
    setup: Setup, title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    setup.out.line()
    setup.out.line(title)
    setup.out.table(head, rows)


def tell_gate(setup: Setup, gate: Gate) -> int:
    setup.out.line()
    setup.out.line(f"Gate {gate.name}: {'passed' if gate.passed else 'not passed'}")
    for reason in gate.reasons:
        setup.out.line(f"- {reason}")
    setup.err.dim(f"next: `{gate.next_step}`")
    return GATE_EXIT[gate.passed]
