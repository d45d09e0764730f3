"""Shares of a job in actors of a Ray cluster, around one gate that all of them ask.

An actor that dies is started again and goes on where its files say it was; what it had been let
through for is taken for spent. Tried with Ray 2.x on one machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error

MOST_DEATHS = 20
"""Times an actor may die without having come any further."""
ASK_AGAIN_S = 0.2
"""How often an actor asks for room that only others' calls can make."""
FOREVER = float("inf")


class _Shared:
    """The gate, in an actor of its own, by whose clock it goes. `held` are grants by worker, to be
    let go of when it dies."""

    def __init__(self, make: Callable[[], Any], lost: Callable[[], Any]) -> None:
        self.gate = make()
        self.lost = lost
        self.held: dict[int, dict[int, Any]] = {}

    async def enter(self, worker: int, target: int, tokens: int, worst: int) -> Any:
        """What the gate says; never to wait for good."""
        answer = await self.gate.enter(target, tokens, worst)
        if hasattr(answer, "ticket"):
            self.held.setdefault(worker, {})[answer.ticket] = answer
        return answer

    async def leave(self, worker: int, grant: Any, outcome: Any) -> None:
        """A call is over."""
        if self.held.get(worker, {}).pop(grant.ticket, None) is not None:
            self.gate.leave(grant, outcome)

    async def forget(self, worker: int) -> None:
        """A worker is dead: its calls are over, at what they may have cost."""
        for grant in self.held.pop(worker, {}).values():
            self.gate.leave(grant, self.lost())

    async def state(self) -> tuple[Mapping[str, str], str]:
        """Limits in words, and what moved them."""
        return dict(self.gate.limits), self.gate.why


class RemoteGate:
    """Fills `engine.pool.ports.CallGate` in a worker, by asking the one that all share."""

    def __init__(self, actor: Any, worker: int, names: Sequence[str]) -> None:
        self._actor = actor
        self._worker = worker
        self._served = [0] * len(names)
        self.limits: Mapping[str, str] = dict.fromkeys(names, "shared")
        self.why = ""

    def choose(self, targets: Sequence[int], waiting: Sequence[int]) -> int:
        """The one that this worker has asked least."""
        return min(targets, key=lambda t: self._served[t] + waiting[t])

    async def enter(self, target: int, tokens: int, worst: int) -> Any:
        """Let a call through, or say when to ask again."""
        answer = await self._actor.enter.remote(self._worker, target, tokens, worst)
        wait = getattr(answer, "wait_s", 0.0)
        if wait == FOREVER:
            return type(answer)(ASK_AGAIN_S, answer.why)
        self._served[target] += hasattr(answer, "ticket")
        return answer

    def leave(self, grant: Any, outcome: Any) -> None:
        """A call is over."""
        self._actor.leave.remote(self._worker, grant, outcome)


class _Worker:
    """One share at a time, in an actor of its own."""

    def work(self, job: Callable[[RemoteGate], Any], gate: Any, worker: int, names: Any) -> Any:
        """Its outcome."""
        return job(RemoteGate(gate, worker, names))

    def pid(self) -> int:
        """For whoever wants to see it die."""
        import os

        return os.getpid()


def run_pool(
    jobs: Sequence[Callable[[RemoteGate], Any]],
    gate: Callable[[], Any],
    lost: Callable[[], Any],
    names: Sequence[str],
    *,
    address: str | None,
    told: Callable[[str], None],
    state: Callable[[Mapping[str, str], str], None],
) -> list[Any]:
    """Run every job to its end, each in an actor; what each returned. `gate` makes the gate where
    it is to be, `lost` the outcome of a call whose worker died. Raises NemoError."""
    try:
        import ray
    except ImportError as error:
        raise config_error("`--engine ray` needs Ray", "`pip install 'nemocli[ray]'`") from error
    mine = not ray.is_initialized()
    if mine:
        try:
            ray.init(
                address=address,
                num_cpus=None if address else len(jobs) + 1,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise config_error(f"no Ray there: {error}", "`RAY_ADDRESS` names a cluster") from error
    try:
        shared = ray.remote(_Shared).options(num_cpus=0, max_concurrency=1000).remote(gate, lost)
        return _driven(ray, jobs, shared, names, told, state)
    finally:
        if mine:
            ray.shutdown()


def _driven(
    ray: Any,
    jobs: Sequence[Callable[[RemoteGate], Any]],
    shared: Any,
    names: Sequence[str],
    told: Callable[[str], None],
    state: Callable[[Mapping[str, str], str], None],
) -> list[Any]:
    worker = ray.remote(_Worker).options(num_cpus=1, max_restarts=0)
    actors, under_way, deaths = {}, {}, dict.fromkeys(range(len(jobs)), 0)
    outcomes: dict[int, Any] = {}

    def start(number: int) -> None:
        actors[number] = worker.remote()
        ref = actors[number].work.remote(jobs[number], shared, number, list(names))
        under_way[ref] = number

    for number in range(len(jobs)):
        start(number)
    try:
        while under_way:
            ready, _ = ray.wait(list(under_way), timeout=1.0)
            with contextlib.suppress(ray.exceptions.RayError):
                state(*ray.get(shared.state.remote()))
            for ref in ready:
                number = under_way.pop(ref)
                try:
                    outcomes[number] = ray.get(ref)
                except ray.exceptions.RayActorError:
                    deaths[number] += 1
                    if deaths[number] > MOST_DEATHS:
                        message = f"the actor of share {number + 1} died {MOST_DEATHS} times"
                        raise NemoError(Fault(FaultKind.INTERNAL, message, sent=False)) from None
                    told(f"the actor of share {number + 1} died; another goes on with it")
                    ray.get(shared.forget.remote(number))
                    time.sleep(0.2)  # what it was writing is on its way to the disk
                    start(number)
                except ray.exceptions.RayTaskError as error:
                    cause = error.cause
                    if isinstance(cause, NemoError):
                        raise cause from None
                    raise
    except KeyboardInterrupt:
        for actor in actors.values():
            ray.kill(actor)
        raise asyncio.CancelledError from None
    return [outcomes[number] for number in range(len(jobs))]
