"""Whether files on a disk are what a manifest, or a listing, says: every byte, or a sample."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Literal, Protocol

from nemocli.core.faults import Fault, FaultKind, NemoError, usage_error
from nemocli.core.quantities import count_of, size_text
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.weights.concurrency import abreast
from nemocli.weights.digest import Count, Reading, StopFlag, read_whole
from nemocli.weights.manifest import ManifestEntry
from nemocli.weights.ports import Part, Threads
from nemocli.weights.repository import Blob, RemoteFile

Problem = Literal["missing", "truncated", "too long", "damaged", "misplaced", "foreign"]


class Folder(Protocol):
    """Files by their names. All methods block; failures of the disk leave as NemoError."""

    def size(self, path: str) -> int | None:
        """None when there is no such file."""
        ...

    def open(self, path: str) -> Part: ...
    def names(self) -> Sequence[str]:
        """Every file that is not bookkeeping."""
        ...


@value_class(frozen=True, slots=True)
class Finding:
    """What is wrong with one file; `segment` is the first bad one, where it can be told."""

    path: str
    problem: Problem
    said: str
    segment: int | None = None


@value_class(frozen=True, slots=True)
class Checked:
    """The outcome. `sampled` is the share that was read, 1.0 for all of it."""

    files: int
    size: int
    read: int
    seconds: float
    findings: tuple[Finding, ...]
    sampled: float = 1.0

    @property
    def good(self) -> bool:
        """Nothing was found."""
        return not self.findings


def parse_sample(text: str) -> float:
    """`10%` or `0.1`: a share above 0, at most 1."""
    raw = text.strip()
    try:
        share = float(raw[:-1]) / 100 if raw.endswith("%") else float(raw)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise usage_error(f"--sample {text!r} is no share", "write 10%")
    return share


async def check(
    entries: Sequence[ManifestEntry],
    folder: Folder,
    threads: Threads,
    monotonic: Callable[[], float],
    *,
    jobs: int,
    sample: float | None,
    seen: Count,
) -> Checked:
    """Read all files, `jobs` at a time, the largest first; with `sample` look at all of them and
    read only some, chosen anew each time."""
    began = monotonic()
    findings: list[Finding] = []
    queue = sorted(entries, key=lambda e: e.file.size)
    by_digest = {e.sha256: e.file.path for e in entries if e.sha256}
    stop = StopFlag()
    only = None if sample is None else _some(entries, sample)
    look = _Look(folder, by_digest, only, stop, seen)

    async def one() -> None:
        while queue:
            findings.extend(await threads.run(partial(look.at, queue.pop()), stop.set))

    try:
        await abreast(one() for _ in range(max(1, min(jobs, len(entries)))))
        foreign = await threads.run(lambda: _foreign(entries, folder, findings, stop), stop.set)
    finally:
        stop.set()
    findings += foreign
    findings.sort(key=lambda f: f.path)
    return Checked(
        len(entries),
        sum(e.file.size for e in entries),
        seen.bytes,
        monotonic() - began,
        tuple(findings),
        1.0 if sample is None else sample,
    )


@value_class(frozen=True, slots=True)
class _Look:
    """How one file is looked at."""

    folder: Folder
    by_digest: Mapping[str, str]
    only: frozenset[str] | None
    stop: StopFlag
    seen: Count

    def at(self, entry: ManifestEntry) -> list[Finding]:
        """What is wrong with it."""
        file, size = entry.file, self.folder.size(entry.file.path)
        if size is None:
            return [Finding(file.path, "missing", "is missing")]
        if size != file.size:
            return [_wrong_size(file, size)]
        if self.is_passed(entry):
            return []
        part = self.folder.open(file.path)
        try:
            reading = read_whole(part, blob_of(entry), self.stop, self.seen)
        finally:
            part.close()
        return [] if reading.good else [self._judged(entry, reading)]

    def is_passed(self, entry: ManifestEntry) -> bool:
        """Whether its bytes are left unread."""
        return self.only is not None and entry.file.path not in self.only

    def _judged(self, entry: ManifestEntry, reading: Reading) -> Finding:
        path = entry.file.path
        other = self.by_digest.get(reading.sha256)
        if other is not None and other != path:
            return Finding(path, "misplaced", f"holds the content of {other}")
        first = reading.first_bad(entry.sums) if entry.sums else None
        if first is None:
            return Finding(path, "damaged", "is damaged")
        said = f"is damaged in segment {first} of {len(entry.sums)}"
        return Finding(path, "damaged", said, first)


def _some(entries: Sequence[ManifestEntry], share: float) -> frozenset[str]:
    """Files that hold at least this share of all bytes, one at the least, chosen by chance."""
    left = share * sum(e.file.size for e in entries)
    some: set[str] = set()
    for entry in random.sample(list(entries), len(entries)):
        if left <= 0 and some:
            break
        some.add(entry.file.path)
        left -= entry.file.size
    return frozenset(some)


def _wrong_size(file: RemoteFile, size: int) -> Finding:
    problem: Problem = "truncated" if size < file.size else "too long"
    return Finding(file.path, problem, f"has {size} bytes instead of {file.size}")


def _foreign(
    entries: Sequence[ManifestEntry], folder: Folder, findings: Sequence[Finding], stop: StopFlag
) -> list[Finding]:
    """Files nobody listed; one that is really a missing file is told apart by its digest."""
    known = {e.file.path for e in entries}
    gone = {f.path for f in findings if f.problem == "missing"}
    lost = [e for e in entries if e.file.path in gone]
    found = []
    for name in folder.names():
        if name not in known:
            said = _who_is(name, folder, lost, stop)
            found.append(Finding(name, "foreign", said))
    return found


def _who_is(name: str, folder: Folder, lost: Sequence[ManifestEntry], stop: StopFlag) -> str:
    size = folder.size(name)
    for entry in lost:
        if entry.file.size == size:
            part = folder.open(name)
            try:
                if read_whole(part, blob_of(entry), stop, Count()).good:
                    return f"is {entry.file.path} under another name"
            finally:
                part.close()
    return "does not belong to the repository"


def blob_of(entry: ManifestEntry) -> Blob:
    """An entry's content."""
    file = entry.file
    return Blob(file.etag, file.size, file.sha256, (file.path,), file.xet)


def unknown_entries(files: Sequence[RemoteFile]) -> tuple[ManifestEntry, ...]:
    """Entries of files of which only the digest is known."""
    return tuple(ManifestEntry(file, file.sha256 or "") for file in files)


def verification_fault(checked: Checked, where: str) -> Fault:
    """The failure that a command ends with when something was found."""
    paths = ", ".join(f.path for f in checked.findings[:3])
    more = len(checked.findings) - 3
    repairable = any(f.problem != "foreign" for f in checked.findings)
    hint = f"`nemocli weights verify {where} --repair` fetches only what is bad"
    return Fault(
        FaultKind.CORRUPT,
        f"{count_of(len(checked.findings), 'problem')} in {where}: {paths}"
        + (f" and {more} more" * (more > 0)),
        hint if repairable else "remove what does not belong there, or add --allow-foreign",
        retry=False,
        sent=False,
    )


def verification_json(checked: Checked, where: str, repaired: Sequence[str]) -> dict[str, Json]:
    """`nemocli.weights-verify/1`; fields are only ever added."""
    return {
        "schema": "nemocli.weights-verify/1",
        "where": where,
        "good": checked.good,
        "files": checked.files,
        "bytes": checked.size,
        "bytes_read": checked.read,
        "seconds": round(checked.seconds, 3),
        "sampled": checked.sampled,
        "findings": [asdict(finding) for finding in checked.findings],
        "repaired": list(repaired),
    }


def receipt(checked: Checked) -> str:
    """The receipt."""
    rate = f" at {size_text(checked.read / checked.seconds)}/s" if checked.seconds > 0 else ""
    what = (
        "every byte read" if checked.sampled == 1.0 else f"a sample of {checked.sampled:.0%} read"
    )
    verdict = "all good" if checked.good else count_of(len(checked.findings), "problem")
    return f"{checked.files} files, {size_text(checked.size)}: {verdict}; {what}{rate}"


def require_entries(entries: Sequence[ManifestEntry], where: str) -> None:
    """Nothing to check is not success."""
    if not entries:
        message = f"nothing is known of the files in {where}"
        raise NemoError(Fault(FaultKind.CONFIG, message, sent=False))
