"""`batch status` and `ls`: what becomes of jobs after they were started."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.terminal.tables import facts
from nemocli.core.faults import ExitCode, NemoError
from nemocli.core.money import Pico, pico_from_usd, usd_short, usd_text
from nemocli.core.quantities import time_text
from nemocli.core.records import BAD, DONE, FAILED
from nemocli.core.values import amount
from nemocli.io.batch.job import BatchJob, all_outputs

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.values import Json


def status_json(job: BatchJob) -> dict[str, Json]:
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


def show_status(setup: Setup, job: BatchJob, *, watch: bool, as_json: bool) -> None:
    """How far a job is; with `watch` again and again until nobody works on it."""
    import time

    while True:
        said = status_json(job)
        said["spent_usd"] = usd_text(spend_of(setup, job))
        if as_json:
            setup.out.json(said) if not watch else setup.out.jsonl(said)
        else:
            setup.out.lines(status_lines(said))
        if not watch or said["state"] != "running":
            return
        time.sleep(WATCH_S)
        if not as_json:
            setup.out.line()


def spend_of(setup: Setup, job: BatchJob) -> Pico | None:
    """What all runs of a job came to, in pico-USD, as the ledger has it."""
    from nemocli.cost.calls import Where

    runs = (job.facts() or {}).get("runs", [])
    if not runs or not setup.paths.ledger.exists():
        return None
    sums = [t for run in runs for t in setup.ledger.totals(where=Where(run_id=str(run)))]
    return Pico(sum(total.pico or 0 for total in sums))


def status_lines(said: dict[str, Any]) -> list[str]:
    """For people: how far, how long still, what it cost over all runs, what holds it up."""
    live, summary = said["live"] or {}, said["summary"] or {}
    known = live or summary
    money = ""
    if (spent := amount(said.get("spent_usd") or known.get("usd"))) is not None:
        money = usd_short(pico_from_usd(spent))
        if known.get("unpriced"):
            money = f"at least {money}"
        if live and (likely := amount(live.get("projected_usd"))) is not None:
            money += f", this run about {usd_short(pico_from_usd(likely))} in all"
    over, total = said["answered"] + said["failed"] + said["bad_rows"], known.get("rows")
    rows = [_share_of(max(over, int(live.get("over") or 0)), total)]
    rows += [f"{said['answered']:,} answered"]
    rows += [f"{said[key]:,} {word}" for key, word in _FAILING if said[key]]
    speed, left = live.get("requests_per_s"), live.get("eta_s")
    limit = str(live.get("limit") or "")
    why = live.get("why")
    lines = facts(
        [
            ("output", str(said["out"])),
            ("state", _STATES.get(said["state"], said["state"])),
            ("rows", ", ".join(rows)),
            ("rate", "" if speed is None else f"{speed:,.1f} calls a second"),
            ("left", "" if left is None else f"about {time_text(left)}"),
            ("limit", f"{limit} ({why})" if limit and why else limit),
            ("cost", f"{money} over all runs" if money else ""),
            ("providers", ", ".join(said["providers"] or ())),
            ("models", ", ".join(m or "" for m in said["models"] or ())),
            ("began", _moment(said["began_at"])),
            ("ended", _moment(said["ended_at"])),
        ]
    )
    for chunk in said["remote"] or ():
        done = chunk.get("counts") or {}
        part = f"{done.get('completed', 0)}/{chunk['rows']} rows"
        lines.append(f"batch {chunk['id'] or '(not confirmed)'}: {chunk['state']}, {part}")
    return lines


def _share_of(over: int, total: int | None) -> str:
    if not total:
        return f"{over:,} done"
    return f"{over:,}/{total:,} done ({100 * min(over, total) // total} %)"


def _moment(text: str | None) -> str:
    """`2026-11-27 14:03:05 UTC`."""
    if not text:
        return ""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


WATCH_S = 2.0
_FAILING = (("failed", "failed"), ("bad_rows", "bad"))
_STATES = {
    "killed": "killed; run the same command again to resume",
    "stopped": "stopped; run the same command again to resume",
    "remote": "at the provider",
}


def list_jobs(setup: Setup) -> None:
    """Every job that was started here and still has its files, newest last."""
    rows = []
    for name in all_outputs(setup.paths.state / "batches.jsonl"):
        job = BatchJob(Path(name))
        if not job.out.exists() and job.facts() is None:
            continue
        with suppress(NemoError):
            rows.append(status_json(job) | {"spent_usd": usd_text(spend_of(setup, job))})
    if setup.json:
        setup.out.json({"schema": "nemocli.batch_jobs/1", "jobs": rows})
        return
    if not rows:
        setup.err.dim("no jobs yet: `nemocli batch run prompts.jsonl -o answers.jsonl`")
        return
    cells = [
        (
            str(row["state"]),
            *_progress(row),
            f"{int(str(row['failed'])) + int(str(row['bad_rows'])):,}",
            _money(row),
            str(row["began_at"] or "")[:16].replace("T", " "),
            str(row["out"]),
        )
        for row in rows
    ]
    heads = ("STATE", "DONE", "%", "RATE", "LEFT", "FAILED", "COST", "BEGAN (UTC)", "OUTPUT")
    setup.out.table(heads, cells)


def _money(row: dict[str, Json]) -> str:
    spent = amount(row["spent_usd"])
    return "" if spent is None else usd_short(pico_from_usd(spent))


def _progress(row: dict[str, Json]) -> tuple[str, str, str, str]:
    """`349/500`, `69 %`, `5.0/s` and `about 2 min`, as far as they are known."""
    over = sum(int(str(row[name])) for name in ("answered", "failed", "bad_rows"))
    known: Any = row["live"] or row["summary"] or {}
    total = known.get("rows")
    live: Any = row["live"] or {}
    speed, left = live.get("requests_per_s"), live.get("eta_s")
    return (
        f"{over:,}/{total:,}" if total else f"{over:,}",
        f"{100 * min(over, total) // total} %" if total else "",
        "" if speed is None else f"{speed:,.1f}/s",
        "" if left is None else time_text(left),
    )
