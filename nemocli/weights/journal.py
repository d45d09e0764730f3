"""The journal of a repository: which segments are written, which files were verified.

A segment that came in order is marked by the SHA-256 of the file up to its end, which costs nothing
and, at the next run, shows the first segment that is not as it was. One that came out of order has
a CRC-32 of its own until the digest has passed it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from nemocli.core.value_class import value_class
from nemocli.weights.ports import Stamp

HEAD = b'{"schema": "nemocli.weights-journal/1"}\n'

Claims = dict[int, str]
"""By segment, its mark (SUM_CHARS digits) or its checksum (8), as an earlier run left them;
believed only after a look at the disk."""


@value_class(frozen=True, slots=True)
class Verified:
    """A file was this content when it looked like this."""

    name: str
    stamp: Stamp


@dataclass(slots=True)
class Journal:
    """What holds: claims by content, and verified files by seat."""

    claims: dict[str, Claims] = field(default_factory=dict)
    verified: dict[str, Verified] = field(default_factory=dict)


def line(name: str, index: int, claim: str) -> bytes:
    """A segment of a content is written."""
    return f'{{"b": "{name}", "i": {index}, "c": "{claim}"}}\n'.encode()


def drop_line(name: str) -> bytes:
    """Nothing that was said of a content's segments holds any more."""
    return f'{{"b": "{name}", "drop": true}}\n'.encode()


def verification_line(seat: str, name: str, stamp: Stamp) -> bytes:
    """A file was read to its end, or written, and is what it should be."""
    said = {"s": seat, "b": name, "size": stamp.size, "mtime_ns": stamp.mtime_ns}
    return json.dumps(said).encode() + b"\n"


def read(data: bytes) -> Journal:
    """What a journal says, later lines over earlier ones. A line torn by a kill says nothing."""
    found = Journal()
    for raw in data.split(b"\n"):
        try:
            said = json.loads(raw)
            name = said["b"]
            if "s" in said:
                stamp = Stamp(int(said["size"]), int(said["mtime_ns"]))
                found.verified[said["s"]] = Verified(name, stamp)
            elif said.get("drop"):
                found.claims.pop(name, None)
            else:
                claim = str(said["c"])
                int(claim, 16)
                found.claims.setdefault(name, {})[int(said["i"])] = claim
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
            continue
    return found


def journal_bytes(journal: Journal) -> bytes:
    """A journal that says just this."""
    claims: Mapping[str, Claims] = journal.claims
    lines = [line(name, i, c) for name, rows in claims.items() for i, c in rows.items()]
    lines += [verification_line(seat, v.name, v.stamp) for seat, v in journal.verified.items()]
    return HEAD + b"".join(lines)
