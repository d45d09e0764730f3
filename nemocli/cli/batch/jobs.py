"""`batch status` and `ls`: what becomes of jobs after they were started."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.terminal.tables import facts, table
from nemocli.core.faults import ExitCode, NemoError
from nemocli.core.money import pico_from_usd, usd_short
from nemocli.core.records import BAD, DONE, FAILED
from nemocli.core.values import amount
from nemocli.io.batch.job import Job, registered

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.values import Json


def status_json(job: Job) -> dict[str, Json]:
    """All that is known of a job, whoever works on it. Raises NemoError where its files cannot be
    read."""
    said: dict[str, Any] = job.facts() or {}
    counts = job.counts()
    remote = job.remote()
    state = "running" if job.running else _state(said, remote)
    return {
        "schema": "nemocli.batch_status/1",
        "out": str(job.out),
        "state": state,
        "answered": counts.get(DONE, 0),
        "failed": counts.get(FAILED, 0),
        "bad_rows": counts.get(BAD, 0),
        "providers": said.get("providers"),
        "models": said.get("models"),
        "began_at": said.get("began_at"),
        "ended_at": said.get("ended_at") if state != "running" else None,
        "exit_code": said.get("exit_code") if state != "running" else None,
        "live": said.get("live") if state == "running" else None,
        "summary": said.get("summary"),
        "remote": None if remote is None else remote["chunks"],
    }


def _state(said: dict[str, Any], remote: dict[str, Any] | None) -> str:
    if remote is not None and not all(chunk["fetched"] for chunk in remote["chunks"]):
        return "remote"
    code = said.get("exit_code")
    if remote is not None and code is None:
        return "complete"
    if code is None:
        return "killed" if said else "unknown"
    return "complete" if code in (ExitCode.OK, ExitCode.BATCH_FAILURES) else "stopped"


def status_lines(said: dict[str, Any]) -> list[str]:
    """For people."""
    live, summary = said["live"] or {}, said["summary"] or {}
    usd = (live or summary).get("usd")
    money = ""
    if (known := amount(usd)) is not None:
        money = usd_short(pico_from_usd(known))
        if (live or summary).get("unpriced"):
            money = f"at least {money}"
    rows = [f"{said['answered']:,} answered"]
    rows += [f"{said[key]:,} {word}" for key, word in _FAILING if said[key]]
    lines = facts(
        [
            ("output", str(said["out"])),
            ("state", _STATES.get(said["state"], said["state"])),
            ("rows", ", ".join(rows)),
            ("providers", ", ".join(said["providers"] or ())),
            ("models", ", ".join(m or "" for m in said["models"] or ())),
            ("began", str(said["began_at"] or "")),
            ("ended", str(said["ended_at"] or "")),
            ("limit", str(live.get("limit") or "")),
            ("cost", f"{money} (last run)" if money else ""),
        ]
    )
    for chunk in said["remote"] or ():
        done = chunk.get("counts") or {}
        part = f"{done.get('completed', 0)}/{chunk['rows']} rows"
        lines.append(f"batch {chunk['id'] or '(not confirmed)'}: {chunk['state']}, {part}")
    return lines


_FAILING = (("failed", "failed"), ("bad_rows", "bad"))
_STATES = {
    "killed": "killed; the same line again goes on",
    "stopped": "stopped; the same line again goes on",
    "remote": "at the provider",
}


def list_jobs(setup: Setup) -> None:
    """Every job that was started here and still has its files, newest last."""
    rows = []
    for name in registered(setup.paths.state / "batches.jsonl"):
        job = Job(Path(name))
        if not job.out.exists() and job.facts() is None:
            continue
        with suppress(NemoError):
            rows.append(status_json(job))
    if setup.json:
        setup.out.json({"schema": "nemocli.batch_jobs/1", "jobs": rows})
        return
    if not rows:
        setup.err.dim("no jobs yet: `nemocli batch run prompts.jsonl -o answers.jsonl`")
        return
    cells = [
        (
            str(row["state"]),
            f"{row['answered']:,}",
            f"{int(str(row['failed'])) + int(str(row['bad_rows'])):,}",
            str(row["began_at"] or "")[:16].replace("T", " "),
            str(row["out"]),
        )
        for row in rows
    ]
    width = setup.terminal.width if setup.terminal.stdout else None
    for line in table(("STATE", "ANSWERED", "FAILED", "BEGAN (UTC)", "OUTPUT"), cells, width):
        setup.out.line(line)
