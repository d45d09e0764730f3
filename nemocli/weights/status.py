"""What another process may know of a pull: whether it runs, how far it is, what is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from nemocli.core.quantities import count_of, size_text, time_text
from nemocli.core.value_class import value_class
from nemocli.core.values import Json

State = Literal["running", "interrupted", "complete", "incomplete", "nothing"]
"""`incomplete`: it was whole once, and files have gone since."""


@value_class(frozen=True, slots=True)
class Status:
    """A repository's pull as its notes tell it; `said` is the last progress that was written."""

    where: str
    state: State
    owner: str | None
    said: Mapping[str, Json]
    missing: int = 0


def read_status(where: str, owner: str | None, text: str | None) -> Status:
    """From the note of a pull (None: there is none) and who holds the repository."""
    said: Mapping[str, Json] = {}
    try:
        found = json.loads(text) if text else {}
        said = found if isinstance(found, dict) else {}
    except (RecursionError, ValueError):
        said = {}
    if owner is not None:
        return Status(where, "running", owner, said)
    if not said:
        return Status(where, "nothing", None, said)
    return Status(where, "complete" if said.get("phase") == "done" else "interrupted", None, said)


def status_json(status: Status) -> dict[str, Json]:
    """`nemocli.weights-status/1`."""
    said = {k: v for k, v in status.said.items() if k != "type"}
    return {
        "schema": "nemocli.weights-status/1",
        "where": status.where,
        "state": status.state,
        "owner": status.owner,
        "files_missing": status.missing,
        **said,
    }


def status_lines(status: Status) -> list[str]:
    """For people."""
    said = status.said
    repo = said.get("repo")
    head = f"{repo}: {status.state}" if isinstance(repo, str) else status.state
    lines = [head + (f" ({status.owner})" if status.owner else "") + f" in {status.where}"]
    done, total = said.get("bytes_done"), said.get("bytes_total")
    if isinstance(done, int) and isinstance(total, int) and total:
        files = f"{said.get('files_done')} of {said.get('files_total')} files"
        share = f"{100 * done / total:.1f} %"
        lines.append(f"  {size_text(done)} of {size_text(total)} ({share}), {files}")
    rate, eta = said.get("bytes_per_s"), said.get("eta_s")
    if status.state == "running" and isinstance(rate, int) and isinstance(eta, int | float):
        lines.append(f"  {size_text(rate)}/s, {time_text(eta)} left")
    if status.missing:
        lines.append(
            f"  {count_of(status.missing, 'file')} missing since;"
            " `nemocli weights pull` brings them back"
        )
    if status.state == "interrupted":
        lines.append("  the same `nemocli weights pull` goes on from here")
    return lines
