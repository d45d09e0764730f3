"""Weights that another program brings: the same plan and report, with what can be known of them."""

from __future__ import annotations

from nemocli.core.quantities import size_text, time_text
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.weights.ports import Space
from nemocli.weights.space import Need, lack


@value_class(frozen=True, slots=True)
class ProgramPlan:
    """What a program would fetch: one file. `name` is PROVIDER:MODEL/QUANT, `size` in bytes (None
    when the program does not say), `program` who fetches and checks."""

    name: str
    file: str
    size: int | None
    present: bool
    folder: str
    space: Space
    program: str

    @property
    def to_fetch(self) -> int | None:
        """Bytes that still have to come; None is unknown."""
        return 0 if self.present else self.size

    @property
    def need(self) -> Need:
        """What the target still has to take, as far as that is known."""
        return Need(self.to_fetch or 0, 0 if self.present else 1)

    @property
    def lack(self) -> int:
        """Bytes missing on the target."""
        return lack(self.need, self.space)


@value_class(frozen=True, slots=True)
class ProgramReport:
    """What it came to. `sha256` is of what arrived, where the file was put at a known place; the
    program announces none, so nothing could be compared with it."""

    plan: ProgramPlan
    path: str | None
    sha256: str | None
    seconds: float


def plan_json(plan: ProgramPlan) -> dict[str, Json]:
    """`nemocli.weights-plan/1`, null where only a repository would have it."""
    unknown: Json = None
    return {
        "schema": "nemocli.weights-plan/1",
        "repo": plan.name,
        "endpoint": unknown,
        "revision": unknown,
        "commit": unknown,
        "licence": unknown,
        "gated": False,
        "files": 1,
        "bytes": plan.size,
        "largest": {"path": plan.file, "bytes": plan.size},
        "bytes_present": plan.size if plan.present else 0,
        "bytes_unverified": plan.size if plan.present else 0,
        "bytes_partial": 0,
        "bytes_to_fetch": plan.to_fetch,
        "target": {
            "folder": plan.folder,
            "bytes_free": plan.space.free,
            "files_free": plan.space.files,
            "bytes_needed": plan.to_fetch,
            "bytes_missing": plan.lack,
            "fits": None if plan.to_fetch is None else plan.lack == 0,
        },
        "eta_s": unknown,
        "probe": unknown,
        "requests": 0,
        "copies": [],
        "gpus": unknown,
        "hardware": [],
        "paths": [
            {"path": plan.file, "bytes": plan.size, "sha256": unknown, "present": plan.present}
        ],
    }


def plan_lines(plan: ProgramPlan) -> list[str]:
    """For people."""
    fits = f", {size_text(plan.lack)} MISSING" if plan.lack else ", fits"
    return [
        f"{plan.name}, fetched by `{plan.program}`",
        f"  file      {plan.file}, {_size(plan.size)}",
        f"  to fetch  {_size(plan.to_fetch)}" + (" (it is here)" if plan.present else ""),
        f"  target    {plan.folder}: {size_text(plan.space.free)} free" + fits,
    ]


def report_json(report: ProgramReport) -> dict[str, Json]:
    """`nemocli.weights-pull/1`; `verified` is false: there was no digest to compare with."""
    plan = report.plan
    return {
        "schema": "nemocli.weights-pull/1",
        "repo": plan.name,
        "commit": None,
        "path": report.path,
        "files": 1,
        "bytes": plan.size,
        "bytes_fetched": plan.to_fetch,
        "bytes_present": plan.size if plan.present else 0,
        "bytes_resumed": 0,
        "seconds": round(report.seconds, 3),
        "requests": 0,
        "retries": 0,
        "files_refetched": 0,
        "verified": False,
        "sha256": report.sha256,
    }


def report_line(report: ProgramReport) -> str:
    """The receipt."""
    plan = report.plan
    fetched = "nothing fetched" if plan.present else f"{_size(plan.size)} fetched"
    return (
        f"{plan.name}: {plan.file}; {fetched}, {time_text(report.seconds)};"
        f" `{plan.program}` announces no digest, so only the size was compared"
    )


def _size(size: int | None) -> str:
    return "a size it does not say" if size is None else size_text(size)
