"""`eval export` and `import`: a run for the tools of others, and a log of Inspect as an arm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.eval.record import DIGEST, keep_attempt, open_recorded_run
from nemocli.core.faults import config_error, usage_error
from nemocli.eval.inspect_log import LogError, Sample, attempts_in, log_of
from nemocli.eval.nel_results import bundle_of, number_tasks, rows_of
from nemocli.eval.plan import Slot
from nemocli.io.eval.runs import Run, run_at
from nemocli.io.files import file_error, read_text

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


FORMATS = ("inspect", "nel")


def export_run(setup: Setup, folder: Path, out: Path, form: str) -> None:
    """Files for each arm of a run. Raises NemoError."""
    if form not in FORMATS:
        raise usage_error(f"unknown format {form!r}", f"one of {', '.join(FORMATS)}")
    run = run_at(folder)
    found = run.results()
    if not found:
        raise usage_error(f"{run.folder}: no attempt has ended", "`nemocli eval status` shows it")
    by_arm = {
        str(arm["name"]): [
            Sample(each.slot.task, each.slot.epoch, run.events(each.slot), each.measures)
            for each in sorted(found, key=lambda f: (f.slot.task, f.slot.epoch))
            if each.slot.arm == arm["name"]
        ]
        for arm in run.manifest["arms"]
    }
    written = _as_inspect if form == "inspect" else _as_nel
    setup.out.lines(written(run, by_arm, out))
    if form == "inspect":
        setup.err.dim(f"`inspect view --log-dir {out}` shows them")
    else:
        base, other, *_ = [*by_arm, "ARM", "ARM"]
        setup.err.dim(f"`nel compare {out / base} {out / other}` compares them")


def _as_inspect(run: Run, by_arm: dict[str, list[Sample]], out: Path) -> Iterator[str]:
    """A log for each arm."""
    manifest = run.manifest
    for arm in manifest["arms"]:
        samples = by_arm[str(arm["name"])]
        file = out / f"{run.name}_{arm['name']}.json"
        _write(file, json.dumps(log_of(run.name, arm, manifest, samples), indent=1, default=str))
        yield f"{file}: {len(samples)} samples"


def _as_nel(run: Run, by_arm: dict[str, list[Sample]], out: Path) -> Iterator[str]:
    """A folder for each arm, with a bundle and its rows."""
    manifest = run.manifest
    numbers = number_tasks([sample for samples in by_arm.values() for sample in samples])
    for arm in manifest["arms"]:
        samples = by_arm[str(arm["name"])]
        rows = list(rows_of(samples, numbers))
        folder = out / str(arm["name"])
        _write(folder / "results.jsonl", "\n".join(map(json.dumps, rows)))
        bundle = bundle_of(run.name, arm, manifest, rows)
        _write(folder / f"{bundle['run_id']}.json", json.dumps(bundle, indent=1))
        left = len(samples) - len(rows)
        yield f"{folder}: {len(rows)} results" + (f", {left} not scored left out" if left else "")


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise file_error("cannot write", file, error) from error


def import_log(setup: Setup, folder: Path, file: Path, arm: str, *, anew: bool) -> None:
    """A log of Inspect as an arm of a recorded run. Raises NemoError naming the file."""
    text = read_text(file)
    if text is None:
        raise usage_error(f"{file}: no such file")
    try:
        log = json.loads(text)
        attempts = list(attempts_in(log))
    except ValueError as error:  # LogError is one
        hint = None if isinstance(error, LogError) else "`inspect log dump FILE.eval` writes JSON"
        raise config_error(f"{file}: {error}", hint) from error
    model = str((log.get("eval") or {}).get("model") or "")
    tasks = tuple(dict.fromkeys(task for task, _, _ in attempts))
    run = open_recorded_run(
        setup, folder, arm, tasks, {"imported": str(file), "model": model}, anew=anew
    )
    with run.hold():
        for task, epoch, measures in attempts:
            begin = {"task_digest": DIGEST, "imported": file.name}
            keep_attempt(setup, run, Slot(arm, _plain(task), epoch), (), measures, begin)
    good = sum(m.cls == "success" for _, _, m in attempts)
    setup.out.line(f"{arm}: {len(attempts)} attempts at {len(tasks)} tasks, {good} completed")
    setup.err.dim(f"`nemocli eval decide {folder}` compares the arms of {run.name}")


def _plain(name: str) -> str:
    """A task's name as a file can have it."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)[:100] or "task"
