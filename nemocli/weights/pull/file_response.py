"""What an answer to a request for a file means: where its bytes begin, or why it is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NoReturn
from urllib.parse import urlsplit

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.weights.ports import Hop
from nemocli.weights.repository import NO_COMMIT, Blob, Listing
from nemocli.wire.headers import request_id_of, retry_after, transforming

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
EXPIRED = frozenset({400, 401, 403, 404, 410})
"""What a storage host says of a signed address that no longer holds."""


@value_class(frozen=True, slots=True)
class Opening:
    """A good answer: its first byte's place in the file, and the address that needs no redirect."""

    offset: int
    url: str
    etag: str | None

    @property
    def ranged(self) -> bool:
        """Whether the server began where it was asked to."""
        return self.offset > 0


def read_opening(
    hops: Sequence[Hop], blob: Blob, listing: Listing, *, start: int, now: datetime, said: bytes
) -> Opening:
    """The beginning of the bytes. Raises NemoError: CORRUPT when the repository is no longer what
    was listed, else what the status means."""
    last = hops[-1]
    for hop in hops:
        _check_same(hop, blob, listing)
    if last.status not in (200, 206):
        redirected = len(hops) > 1
        raise NemoError(
            refusal(last, blob.path, listing, redirected=redirected, now=now, said=said)
        )
    host, headers = host_of(last.url), last.headers
    if transforming(headers.get("content-encoding", "")):
        _strange(host, f"sent {blob.path} encoded")
    if last.status == 206:
        offset, size = _content_range(headers, host)
    else:
        offset, size = 0, _length(headers, host, blob.size)
    if size != blob.size:
        kind = headers.get("content-type", "").split(";")[0]
        _strange(host, f"sent {size} bytes ({kind or 'unknown'}) for {blob.path}, not {blob.size}")
    if offset > start:
        _strange(host, f"sent {blob.path} from byte {offset}, not {start}")
    return Opening(offset, last.url, headers.get("etag"))


def refusal(
    hop: Hop, path: str, listing: Listing, *, redirected: bool, now: datetime, said: bytes
) -> Fault:
    """What a status other than success means, of a file or (`path` the repository) of the API."""
    host, status, code = host_of(hop.url), hop.status, hop.headers.get("x-error-code", "")
    about = one_line(path, 100)
    kind, hint = _kind(status, code, redirected)
    message = f"{host} answered {status} for {about}"
    detail = hop.headers.get("x-error-message") or _words(said)
    if code == "GatedRepo":
        message = f"{listing.repo} is gated: its owner must let you in"
        hint = (
            f"accept its terms at {listing.endpoint}/{listing.repo}, then set HF_TOKEN to a token"
            " that may read it"
        )
    elif code == "RepoNotFound":
        message = f"{host} has no repository {listing.repo}, or none that it shows to you"
        hint = "check the spelling; a private one needs HF_TOKEN"
    elif code == "RevisionNotFound":
        message = f"{listing.repo} has no revision {one_line(listing.revision, 60)!r}"
        hint = "`--revision` takes a branch, a tag or a commit"
    elif detail:
        message += f": {one_line(detail, 160)}"
    return Fault(
        kind,
        message,
        hint,
        status=status,
        request_id=request_id_of(hop.headers),
        retry_after_s=retry_after(hop.headers, now),
        retry=True if redirected and status in EXPIRED else None,
    )


def _kind(status: int, code: str, redirected: bool) -> tuple[FaultKind, str | None]:
    later = "the same command goes on from here"
    if status == 429:
        hint = f"{later}; HF_TOKEN raises the limit"
        return FaultKind.RATE, hint
    if status in (408, 425) or status >= 500:
        return FaultKind.SERVER, later
    if redirected:
        return FaultKind.UNAVAILABLE, f"the storage host refused a fresh address; {later}"
    if status in (404, 410) or code == "RepoNotFound":
        return FaultKind.UNAVAILABLE, None
    if status in (401, 403):
        return FaultKind.AUTH, "set HF_TOKEN to a token that may read this repository"
    return FaultKind.PROTOCOL, "check HF_ENDPOINT and any proxy on the way"


def _check_same(hop: Hop, blob: Blob, listing: Listing) -> None:
    headers = hop.headers
    commit = headers.get("x-repo-commit")
    if commit is not None and listing.commit not in (NO_COMMIT, commit):
        _changed(blob, f"commit {one_line(commit, 12)} instead of {listing.commit[:12]}")
    etag = _plain(headers.get("x-linked-etag"))
    if etag is not None and etag != blob.name:
        _changed(blob, f"ETag {one_line(etag, 12)} instead of {blob.name[:12]}")
    size = headers.get("x-linked-size", "")
    if size.isdecimal() and int(size) != blob.size:
        _changed(blob, f"{size} bytes instead of {blob.size}")
    own = _plain(headers.get("etag"))
    # Only the Hub itself names a file by its digest; a storage host's ETag is its own affair, and
    # that of a node behind a proxy too: where the digest is known, it decides in the end.
    digest_known = blob.sha256 is not None
    if (
        own is not None
        and not digest_known
        and hop.status == 200
        and commit is not None
        and own != blob.name
    ):
        _changed(blob, f"ETag {one_line(own, 12)} instead of {blob.name[:12]}")


def _changed(blob: Blob, how: str) -> NoReturn:
    raise NemoError(
        Fault(
            FaultKind.CORRUPT,
            f"{one_line(blob.path, 100)} is no longer what was listed: the server has {how}",
            "run the command again to plan afresh; nothing wrong was kept",
            retry=False,
        )
    )


def _length(headers: Mapping[str, str], host: str, size: int) -> int:
    """Content-Length; one number written twice by proxies is one (RFC 9110, section 8.6)."""
    said = headers.get("content-length", "").strip()
    numbers = {part.strip() for part in said.split(",")} if said else set()
    if not numbers:
        return size
    number = numbers.pop()
    if numbers or not number.isdecimal() or len(number) > 18:
        _strange(host, f"sent the length {said!r}")
    return int(number)


def _content_range(headers: Mapping[str, str], host: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(headers.get("content-range", "").strip())
    if found is None:
        _strange(host, "sent a part of a file without saying which")
    first, last, total = found.groups()
    return int(first), int(last) + 1 if total == "*" else int(total)


def _strange(host: str, what: str) -> NoReturn:
    raise NemoError(
        Fault(
            FaultKind.PROTOCOL,
            f"{host} {one_line(what, 200)}",
            "a login page of the network, or a proxy, may stand in between",
            retry=True,
        )
    )


def _plain(etag: str | None) -> str | None:
    return None if etag is None else etag.removeprefix("W/").strip('"')


def _words(said: bytes) -> str:
    text = said[:300].decode("utf-8", "replace")
    return "" if "<" in text else text


def host_of(url: str) -> str:
    """Host and port, for people: the rest of an address may hold a signature."""
    return one_line(urlsplit(url).netloc.rpartition("@")[2], 80)
