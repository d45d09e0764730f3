"""What a pull would do, and whether it can: everything that is known before the first byte."""

from __future__ import annotations

from collections.abc import Sequence

from nemocli.core.fit import Fit, Gpus, fit_json
from nemocli.core.quantities import size_text, time_text
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.weights.ports import Space
from nemocli.weights.repository import Blob, Listing
from nemocli.weights.space import Need, lack
from nemocli.weights.survey import Survey


@value_class(frozen=True, slots=True)
class SpeedProbe:
    """Bytes per second that a short look at the body host gave, or why it gave none."""

    rate: float | None
    said: str


@value_class(frozen=True, slots=True)
class Copy:
    """Contents that lie somewhere else on this machine: an `import` would save fetching them."""

    where: str
    files: int
    size: int


@value_class(frozen=True, slots=True)
class PullPlan:
    """The answer of `weights plan`. `held` are bytes of the disk that parts have taken already."""

    listing: Listing
    folder: str
    survey: Survey
    space: Space
    held: int
    requests: int
    probe: SpeedProbe | None
    copies: tuple[Copy, ...] = ()
    gpus: Gpus | None = None
    fits: tuple[Fit, ...] = ()

    @property
    def need(self) -> Need:
        """What the target still has to take."""
        lacking = [f for f in self.survey.found if f.lacking]
        size = sum(f.blob.size for f in lacking)
        return Need(max(0, size - self.held), sum(len(f.lacking) for f in lacking))

    @property
    def lack(self) -> int:
        """Bytes missing on the target."""
        return lack(self.need, self.space)

    @property
    def largest(self) -> Blob:
        """The largest content."""
        return max((f.blob for f in self.survey.found), key=lambda b: b.size)

    @property
    def eta_s(self) -> float | None:
        """Seconds at the probe's rate."""
        if self.probe is None or not self.probe.rate:
            return None
        return self.survey.to_fetch / self.probe.rate


def plan_json(plan: PullPlan) -> dict[str, Json]:
    """`nemocli.weights-plan/1`; fields are only ever added."""
    listing, found = plan.listing, plan.survey
    here = {path for f in found.found if not f.lacking for path in f.blob.paths}
    eta = plan.eta_s
    return {
        "schema": "nemocli.weights-plan/1",
        "repo": listing.repo,
        "endpoint": listing.endpoint,
        "revision": listing.revision,
        "commit": listing.commit,
        "licence": listing.licence,
        "gated": listing.gated,
        "files": len(listing.files),
        "bytes": listing.size,
        "largest": {"path": plan.largest.path, "bytes": plan.largest.size},
        "bytes_present": found.present,
        "bytes_unverified": sum(b.size for b, _ in found.unsure),
        "bytes_partial": found.partial,
        "bytes_to_fetch": found.to_fetch,
        "target": {
            "folder": plan.folder,
            "bytes_free": plan.space.free,
            "files_free": plan.space.files,
            "bytes_needed": plan.need.size,
            "bytes_missing": plan.lack,
            "fits": plan.lack == 0,
        },
        "eta_s": None if eta is None else round(eta, 1),
        "probe": None if plan.probe is None else _probe_json(plan.probe),
        "requests": plan.requests,
        "copies": [{"where": c.where, "files": c.files, "bytes": c.size} for c in plan.copies],
        "gpus": None if plan.gpus is None else _gpus_json(plan.gpus),
        "hardware": [fit_json(fit) for fit in plan.fits],
        "paths": [
            {"path": f.path, "bytes": f.size, "sha256": f.sha256, "present": f.path in here}
            for f in listing.files
        ],
    }


def _probe_json(probe: SpeedProbe) -> dict[str, Json]:
    rate = probe.rate
    return {"bytes_per_s": None if rate is None else round(rate), "said": probe.said}


def _gpus_json(gpus: Gpus) -> dict[str, Json]:
    return {
        "kind": gpus.kind,
        "count": gpus.count,
        "memory_mib": gpus.memory_mib,
        "detected": gpus.detected,
    }


def plan_lines(plan: PullPlan) -> list[str]:
    """For people."""
    listing, found, need = plan.listing, plan.survey, plan.need
    gate = "gated" if listing.gated else "open"
    licence = f", licence {listing.licence}" if listing.licence else ""
    lines = [
        f"{listing.repo} at {listing.revision} ({listing.commit[:12]}), {gate}{licence}",
        f"  files     {len(listing.files)}, {size_text(listing.size)}; the largest is"
        f" {plan.largest.path} ({size_text(plan.largest.size)})",
        f"  here      {size_text(found.present)}" + _unsure(found) + _begun(found),
        f"  to fetch  {size_text(found.to_fetch)}" + _eta(plan),
        f"  target    {plan.folder}: {size_text(plan.space.free)} free,"
        f" {size_text(need.size)} needed" + _short(plan.lack),
    ]
    lines += [
        f"  also at   {c.where}: {c.files} files, {size_text(c.size)}"
        f" (`nemocli weights import {c.where}` takes them over)"
        for c in plan.copies
    ]
    return lines + _hardware(plan.gpus, plan.fits)


def verdict_json(repo: str, gpus: Gpus, fits: Sequence[Fit]) -> dict[str, Json]:
    """What needs no listing: does it fit."""
    return {
        "schema": "nemocli.weights-plan/1",
        "repo": repo,
        "commit": None,
        "files": None,
        "bytes": None,
        "gpus": _gpus_json(gpus),
        "hardware": [fit_json(fit) for fit in fits],
    }


def verdict_lines(repo: str, gpus: Gpus, fits: Sequence[Fit]) -> list[str]:
    """The same for people."""
    return [repo, *_hardware(gpus, fits)]


def _hardware(gpus: Gpus | None, fits: Sequence[Fit]) -> list[str]:
    if gpus is None:
        return []
    seen = "detected" if gpus.detected else "as given"
    lines = [f"  hardware  {gpus.count} x {gpus.kind} ({gpus.memory_mib:,} MiB each, {seen})"]
    if not fits:
        lines.append(
            "    whether it fits is not known: the size of these weights is not known here"
        )
    for fit in fits:
        ranks = f"TP{fit.tensor}" + (f" PP{fit.pipeline}" if fit.pipeline > 1 else "")
        lines.append(f"    {fit.precision:<5} {ranks}: {fit.verdict}; {fit.why}")
        if fit.verdict == "does not fit" and fit.nearest:
            rows = "; ".join(f"{r.count} x {r.gpu}" for r in fit.nearest)
            lines.append(f"          the list begins with {rows}")
    return lines


def _unsure(found: Survey) -> str:
    size = sum(blob.size for blob, _ in found.unsure)
    return f", of which {size_text(size)} are to be verified" if size else ""


def _begun(found: Survey) -> str:
    return f", {size_text(found.partial)} of files begun" if found.partial else ""


def _eta(plan: PullPlan) -> str:
    if plan.probe is None or not plan.survey.to_fetch:
        return ""
    if not plan.probe.rate:
        return f" ({plan.probe.said})"
    return f", about {time_text(plan.eta_s)} at {size_text(plan.probe.rate)}/s ({plan.probe.said})"


def _short(missing: int) -> str:
    return f", {size_text(missing)} MISSING: a pull will refuse to start" if missing else ", fits"
