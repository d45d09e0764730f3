"""Which process made a promise, and whether it still lives."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


def birth_of(pid: int) -> str | None:
    """`boot/pid namespace/start in clock ticks`: tells a process from a later one of its number.

    None when there is no such process, or no /proc to ask (proc(5): field 22 of `stat`, counted
    after the command, which may hold anything).
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    here = _here()
    return None if state in "ZX" or here is None else f"{here}/{fields[18]}"


def has_ended(pid: int, birth: str | None) -> bool | None:
    """Whether the process of that number and birth has ended; None when it cannot be told.

    A process of another container is out of sight: its numbers mean nothing here.
    """
    here = _here()
    if birth is None or here is None:
        return _no_such_process(pid)
    boot, space, _ = birth.split("/")
    if boot != here.split("/")[0]:
        return True
    if space != here.split("/")[1]:
        return None
    return birth_of(pid) != birth


@cache
def _here() -> str | None:
    """This boot and this pid namespace; None where there is no /proc."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return None
    return f"{boot}/{space}"


def _no_such_process(pid: int) -> bool | None:
    if os.name != "posix":
        return None  # signal 0 would end the process there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return None
    return None
