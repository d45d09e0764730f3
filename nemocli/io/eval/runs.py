"""A run on the disk: what it is, and one record per attempt that only grows.

`runs/ID/manifest.json` says what was fixed before the first attempt;
`attempts/ARM/TASK.EPOCH.jsonl` has every event of one attempt, the last one its end. A record
without an end was interrupted: it is put aside, its spend stays on record, and the attempt is made
anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.value_class import value_class
from nemocli.eval.grade import LOST
from nemocli.eval.judge import Measures, measures_from
from nemocli.eval.plan import Slot
from nemocli.io.files import file_error, lock, private_folder, write_private

SCHEMA = "nemocli.eval_manifest/1"


@value_class(frozen=True, slots=True)
class FinishedAttempt:
    """An attempt that ended: its slot, the task it was of (by digest), what it came to."""

    slot: Slot
    task_digest: str
    measures: Measures


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """Its id."""
        return self.folder.name

    @property
    def manifest(self) -> dict[str, Any]:
        """What was fixed. Raises NemoError."""
        file = self.folder / "manifest.json"
        try:
            value = json.loads(file.read_text("utf-8"))
        except OSError as error:
            raise file_error("cannot read", file, error) from error
        except ValueError as error:
            raise config_error(f"{file}: {error}", "the run cannot be gone on with") from error
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            raise config_error(f"{file}: not the manifest of a run")
        return value

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Fix what the run is. Raises NemoError."""
        private_folder(self.folder)
        write_private(
            self.folder / "manifest.json",
            json.dumps({"schema": SCHEMA, **manifest}, indent=2, default=str) + "\n",
        )

    def hold(self) -> AbstractContextManager[None]:
        """Nobody else works on it meanwhile. Raises NemoError."""
        return lock(self.folder / "lock", 0.5)

    def record(self, slot: Slot) -> AttemptRecord:
        """A new record for an attempt; one that was interrupted is put aside."""
        file = self._file(slot)
        if file.exists():
            lost = private_folder_of(self.folder / "lost") / slot.name.replace("/", "_")
            number = sum(1 for _ in lost.parent.glob(f"{lost.name}.*"))
            file.replace(lost.with_name(f"{lost.name}.{number + 1}.jsonl"))
        private_folder(file.parent)
        return AttemptRecord(file)

    def _file(self, slot: Slot) -> Path:
        return self.folder / "attempts" / slot.arm / f"{slot.task}.{slot.epoch}.jsonl"

    def events(self, slot: Slot) -> list[dict[str, Any]]:
        """The events of an attempt; a torn last line is none. Raises NemoError."""
        return list(_lines(self._file(slot)))

    def results(self) -> list[FinishedAttempt]:
        """Every attempt that ended."""
        found = []
        for file in sorted((self.folder / "attempts").glob("*/*.jsonl")):
            first, last = _ends(file)
            if last is None or first is None or last.get("type") != "end":
                continue
            task, _, epoch = file.stem.rpartition(".")
            slot = Slot(file.parent.name, task, int(epoch))
            found.append(
                FinishedAttempt(
                    slot, str(first.get("task_digest")), measures_from(last["measures"])
                )
            )
        return found

    def cost_of_lost(self) -> int:
        """What interrupted attempts had cost, in pico-USD, as far as it is known."""
        return sum(
            int(event.get("cost_pico") or 0)
            for file in (self.folder / "lost").glob("*.jsonl")
            for event in _lines(file)
            if event.get("type") == "model"
        )

    def keep_regrade(self, measures: Mapping[Slot, Measures]) -> None:
        """Keep another judgement of the same records beside the first."""
        rows = [
            {"arm": s.arm, "task": s.task, "epoch": s.epoch, "measures": asdict(m)}
            for s, m in measures.items()
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_private(self.folder / "regraded.jsonl", text)

    def regrade(self) -> dict[Slot, Measures]:
        """The last judgement that was made afterwards; empty where there is none."""
        return {
            Slot(row["arm"], row["task"], row["epoch"]): measures_from(row["measures"])
            for row in _lines(self.folder / "regraded.jsonl")
        }

    def keep(self, name: str, text: str) -> Path:
        """A file of the run, such as its verdict."""
        write_private(self.folder / name, text)
        return self.folder / name


class AttemptRecord:
    """One attempt's file while it grows."""

    def __init__(self, file: Path) -> None:
        self._path = file
        try:
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
            self._file: IO[bytes] = os.fdopen(handle, "ab", buffering=0)
        except OSError as error:
            raise file_error("cannot write", file, error) from error

    def event(self, event: Mapping[str, Any]) -> None:
        """Add one. Raises NemoError where the disk does not take it."""
        text = json.dumps(event, ensure_ascii=False, default=str)
        try:
            self._file.write(text.encode("utf-8", "replace") + b"\n")
        except OSError as error:
            raise file_error("cannot write", self._path, error) from error

    def end(self, measures: Measures) -> None:
        """The last one; on the disk when it returns."""
        self.event({"type": "end", "measures": asdict(measures)})
        os.fsync(self._file.fileno())
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def private_folder_of(folder: Path) -> Path:
    """A folder of this user's own, made where it is not there."""
    private_folder(folder)
    return folder


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise file_error("cannot read", file, error) from error
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise config_error(f"{file}:{number}: {error}", "the record is damaged") from error
        yield value


def _ends(file: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The first and the last whole event, without reading what is between."""
    try:
        with file.open("rb") as source:
            first = source.readline()
            source.seek(max(0, file.stat().st_size - (1 << 20)))
            tail = source.read()
        lines = tail.split(b"\n")
        whole = [line for line in lines[:-1] if line]
        return json.loads(first), json.loads(whole[-1]) if whole else None
    except (OSError, ValueError, IndexError):
        return None, None


def run_at(name: Path) -> Run:
    """The run a name means: a run's folder, or the newest one of a suite. Raises NemoError."""
    if (name / "manifest.json").is_file():
        return Run(name)
    runs = sorted(p for p in (name / "runs").glob("*") if (p / "manifest.json").is_file())
    if not runs:
        raise usage_error(f"no run is in {name}", "`nemocli eval run DIR --arm ...` makes one")
    return Run(runs[-1])


def results_of(run: Run, *, regraded: bool = True) -> dict[str, dict[str, list[Measures]]]:
    """Attempts that ended, by arm and task, in the order of epochs; as they were judged last."""
    later = run.regrade() if regraded else {}
    found: dict[str, dict[str, list[Measures]]] = {}
    for each in sorted(run.results(), key=lambda f: f.slot.epoch):
        measures = later.get(each.slot, each.measures)
        found.setdefault(each.slot.arm, {}).setdefault(each.slot.task, []).append(measures)
    return found


def missing_slots(run: Run, slots: Sequence[Slot], digests: Mapping[str, str]) -> list[Slot]:
    """What is still to be done. Raises NemoError where a task was changed under the run."""
    done = {}
    for each in run.results():
        if digests.get(each.slot.task, each.task_digest) != each.task_digest:
            raise NemoError(
                config_error(
                    f"{each.slot.task} was changed since the run began",
                    "begin another run: answers to two different tasks are not compared",
                ).fault
            )
        if each.measures.cls not in LOST:
            done[each.slot] = True
    return [slot for slot in slots if slot not in done]
