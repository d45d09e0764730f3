"""Several jobs at once, of which the first failure ends all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from nemocli.core.faults import NemoError


async def abreast(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them to their end. Raises the NemoError that came first, without the group around it; a
    failure of any other kind stays in its group, because it is a bug."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except BaseExceptionGroup as failures:
        known, rest = failures.split(NemoError)
        if known is None or rest is not None:
            raise
        raise _first(known) from None


def _first(failures: BaseExceptionGroup[NemoError]) -> NemoError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
