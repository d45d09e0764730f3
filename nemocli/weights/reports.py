"""Plans, pulls and checks as a program or a person reads them."""

from __future__ import annotations

from nemocli.core.quantities import size_text, time_text
from nemocli.core.values import Json
from nemocli.weights.pull.pull import Report


def report_json(report: Report) -> dict[str, Json]:
    """`nemocli.weights-pull/1`; fields are only ever added."""
    return {
        "schema": "nemocli.weights-pull/1",
        "repo": report.repo,
        "commit": report.commit,
        "path": report.path,
        "files": report.files,
        "bytes": report.size,
        "bytes_fetched": report.fetched,
        "bytes_present": report.present,
        "bytes_resumed": report.resumed,
        "seconds": round(report.seconds, 3),
        "requests": report.requests,
        "retries": report.retries,
        "files_refetched": report.refetched_files,
        "verified": True,
    }


def report_line(report: Report) -> str:
    """The receipt."""
    rate = f" at {size_text(report.fetched / report.seconds)}/s" if report.seconds > 0 else ""
    fetched = f"{size_text(report.fetched)} fetched{rate}" if report.fetched else "nothing fetched"
    retries = f", {report.retries} retries" if report.retries else ""
    return (
        f"{report.repo}@{report.commit[:8]}: {report.files} files, {size_text(report.size)},"
        f" every one verified; {fetched}, {time_text(report.seconds)}{retries}"
    )
