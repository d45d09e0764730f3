"""A suite: a folder one can read and edit. `suite.yaml`, `tasks/*.yaml`, `policy.yaml`, `runs/`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.value_class import value_class
from nemocli.eval.task import Task, TaskError, digest_of, task_of
from nemocli.eval.verdict import VerdictPolicy
from nemocli.io.files import read_text
from nemocli.io.yaml import read, to_yaml

SCHEMA = "nemocli.suite/1"


@value_class(frozen=True, slots=True)
class Suite:
    """What a folder holds. `digest` changes with any task, `policy_digest` with the policy."""

    folder: Path
    name: str
    tasks: tuple[Task, ...]
    policy: VerdictPolicy
    digest: str
    policy_digest: str
    epochs: int

    @property
    def runs(self) -> Path:
        """Where its runs are."""
        return self.folder / "runs"

    def choose(self, names: tuple[str, ...]) -> tuple[Task, ...]:
        """The tasks that were named, or all. Raises NemoError (usage)."""
        known = {task.task_id: task for task in self.tasks}
        missing = [name for name in names if name not in known]
        if missing:
            raise usage_error(f"no task {missing[0]!r}", f"there are: {', '.join(known)}")
        return tuple(known[name] for name in names) if names else self.tasks


def load_suite(folder: Path, *, trusted: bool = False) -> Suite:
    """Read a folder. `trusted`: tools that touch this machine are allowed. Raises NemoError naming
    file and place."""
    if not (folder / "suite.yaml").is_file():
        raise config_error(f"{folder}: no suite.yaml", "`nemocli eval init DIR` makes a suite")
    about = _mapping(folder / "suite.yaml")
    if about.get("schema") != SCHEMA:
        raise config_error(f"{folder / 'suite.yaml'}: schema must be {SCHEMA}")
    files = sorted((folder / "tasks").glob("*.yaml"))
    tasks = [_task(file, trusted=trusted) for file in files]
    names = [task.task_id for task in tasks]
    twice = {name for name in names if names.count(name) > 1}
    if not tasks or twice:
        what = f"two tasks are called {min(twice)!r}" if twice else "there are no tasks/*.yaml"
        raise config_error(f"{folder}: {what}")
    policy = _policy(folder / "policy.yaml")
    return Suite(
        folder,
        str(about.get("name") or folder.name),
        tuple(tasks),
        policy,
        digest_of({task.task_id: task.digest for task in tasks}),
        digest_of({f.name: getattr(policy, f.name) for f in fields(VerdictPolicy)}),
        int(about.get("epochs") or 5),
    )


def _task(file: Path, *, trusted: bool) -> Task:
    try:
        task = task_of(_mapping(file))
    except TaskError as error:
        raise config_error(f"{file}: {error}") from error
    if task.trusted_only and not trusted:
        raise config_error(
            f"{file}: {', '.join(task.trusted_only)} would run on this machine",
            f"read it first; `--trust {file.parent.parent}` allows it",
        )
    return task


def _mapping(file: Path) -> Mapping[str, Any]:
    text = read_text(file)
    if text is None:
        raise config_error(f"{file}: no such file")
    value = read(text, str(file)).data
    if not isinstance(value, Mapping):
        raise config_error(f"{file}: names and values, not {type(value).__name__}")
    return cast("Mapping[str, Any]", value)


def _policy(file: Path) -> VerdictPolicy:
    """`policy.yaml` over the usual policy; the usual one where there is none."""
    if not file.is_file():
        return VerdictPolicy()
    given = dict(_mapping(file))
    given.pop("schema", None)
    known = {f.name: f for f in fields(VerdictPolicy)}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise config_error(f"{file}: there is no {unknown[0]!r}", f"one of: {', '.join(known)}")
    try:
        for name in ("margin", "gain", "alpha"):
            if name in given:
                given[name] = float(given[name])
        return VerdictPolicy(**given)
    except (TypeError, ValueError) as error:
        raise config_error(f"{file}: {error}") from error


def init_suite(folder: Path, shipped: Path, source: str) -> list[str]:
    """Make a folder from a suite that is shipped, or from another folder; its files. Raises
    NemoError, and never writes over anything."""
    given = shipped / source
    origin = given if given.is_dir() else Path(source)
    if not (origin / "suite.yaml").is_file():
        names = ", ".join(sorted(p.name for p in shipped.iterdir() if p.is_dir()))
        raise usage_error(f"no suite is called {source!r}", f"there are: {names}; or name a folder")
    if folder.exists() and any(folder.iterdir()):
        raise config_error(f"{folder} is there already", "name a folder that is not")
    about = dict(_mapping(origin / "suite.yaml"))
    whole, only = about.pop("from", None), about.pop("only", None)
    tasks = (shipped / str(whole) if whole else origin) / "tasks"
    files = sorted(tasks.glob("*.yaml"))
    if only:
        files = [file for file in files if file.stem in only]
    try:
        (folder / "tasks").mkdir(parents=True, exist_ok=True)
        made = []
        for file in [*origin.glob("*.yaml"), *files]:
            target = folder / "tasks" / file.name if file in files else folder / file.name
            shutil.copyfile(file, target)
            made.append(str(target.relative_to(folder)))
        if whole:
            (folder / "suite.yaml").write_text(to_yaml(about), "utf-8")
    except OSError as error:
        raise config_error(f"{folder}: {error.strerror}") from error
    return sorted(made)


def is_suite(folder: Path) -> bool:
    """Whether a folder is one."""
    return (folder / "suite.yaml").is_file()


def problem(error: NemoError) -> str:
    """A fault in a line."""
    return error.fault.message
