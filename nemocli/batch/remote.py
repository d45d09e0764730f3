"""Rows handed to a provider's own batches, and their answers fetched.

A batch is written down before it is sent. Where a kill leaves open whether it was, the provider's
own list decides: it is taken over, or its rows are handed over again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar, cast
from urllib.parse import urljoin

from nemocli.batch.request import Speller
from nemocli.batch.rows import Row
from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.ports import Call, World
from nemocli.core.provider import Batches, Timeouts
from nemocli.core.values import Json, JsonObject
from nemocli.engine.door import Door, authorise, refusal, without_key
from nemocli.wire.batches import (
    ENDPOINTS,
    GONE,
    Handed,
    Item,
    batch_from,
    batches_from,
    file_batch,
    file_body,
    file_id,
    inline_body,
    item_of,
    items_in,
    upload,
)
from nemocli.wire.http import fault_from
from nemocli.wire.jsontext import parse

A = TypeVar("A")
T = TypeVar("T")

GOOD = frozenset({200, 201, 202})
CLOCKS_S = 300.0
"""By how much a server's clock may differ from ours."""
_TIMEOUTS = Timeouts(first_byte_s=300.0, idle_s=120.0, total_s=1800.0)


class Remote:
    """One provider's batches through an open door."""

    def __init__(self, door: Door, world: World) -> None:
        batches = door.target.provider.batches
        if batches is None:
            name = door.target.provider.name
            raise config_error(
                f"{name} has no batches of its own", "leave `--remote` out, or use another path"
            )
        self.wire: Batches = batches
        self.door = door
        self._world = world
        self.endpoint = ENDPOINTS[door.target.provider.dialect]

    def spell(self, row: Row, speller: Speller) -> tuple[str, JsonObject]:
        """A row as an item: a name that is its own, and the body without what the batch says."""
        body = cast("dict[str, Json]", json.loads(speller.call(row).body))
        if self.wire.kind == "inline":
            body.pop("model", None)
        body.pop("stream", None)
        return f"row-{row.ordinal + 1}", body

    # Handing over

    async def hand_over(self, items: Sequence[tuple[str, JsonObject]], mark: str) -> Handed:
        """Submit one batch. Raises NemoError; whether it arrived is open where the fault says that
        it was sent."""
        target = self.door.target
        if self.wire.kind == "inline":
            body = inline_body(self.endpoint, target.model, items)
            return batch_from(await self._somewhere("POST", "", body))
        boundary = f"nemocli-{mark}"
        kind, form = upload(file_body(self.endpoint, items), boundary)
        said = await self._asked("POST", self._url(self.wire.files), form, {"content-type": kind})
        body = file_batch(self.endpoint, _understood(file_id, said), mark)
        return _understood(
            batch_from, await self._somewhere("POST", "", body, {"idempotency-key": mark})
        )

    async def find(self, mark: str, rows: int, since: datetime, known: set[str]) -> Handed | None:
        """The batch that was sent under this mark, where its provider has it. Raises NemoError
        where more than one may be it."""
        found = _understood(batches_from, await self._somewhere("GET", "?limit=100"))
        if self.wire.kind == "files":
            return next((b for b in found if b.mark == mark), None)
        begin = since.timestamp() - CLOCKS_S
        likely = [
            b
            for b in found
            if b.id not in known and b.total == rows and (b.created_at or begin) >= begin
        ]
        if len(likely) > 1:
            ids = ", ".join(b.id for b in likely)
            raise config_error(
                f"one of these batches may be the one that was interrupted: {ids}",
                "look at them there; `--restart` forgets about it and hands the rows over again",
            )
        return likely[0] if likely else None

    # Looking and fetching

    async def look(self, batch_id: str) -> tuple[Handed, JsonObject]:
        """How far a batch has come, and all that was said. Raises NemoError."""
        said = await self._somewhere("GET", f"/{batch_id}")
        return _understood(batch_from, said), cast(JsonObject, said)

    async def items(self, batch: Handed) -> list[Item]:
        """Its results. Raises NemoError."""
        found: list[JsonObject] = list(batch.inline)
        for name in batch.results:
            url = f"{self._url(self.wire.files)}/{name}/content"
            found += _understood(items_in, await self._raw("GET", url))
        return _understood(lambda rows: [item_of(row) for row in rows], found)

    async def _somewhere(
        self, method: str, rest: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Json:
        """Ask at the first of the paths that exists."""
        for number, path in enumerate(self.wire.paths, 1):
            try:
                return await self._asked(method, self._url(path) + rest, body, headers)
            except NemoError as error:
                missing = error.fault.status in (404, 405)
                if not missing or number == len(self.wire.paths):
                    raise
        raise AssertionError("a profile with no path")

    def _url(self, path: str) -> str:
        base = self.door.base_url.rstrip("/")
        return base + path if path.startswith("/") else urljoin(base + "/", path)

    async def _asked(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Json:
        data = await self._raw(method, url, body, headers)
        return _understood(lambda text: parse(text.decode("utf-8", "replace")), data)

    async def _raw(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        provider, key = self.door.target.provider, self.door.key
        given = {name.lower(): value for name, value in provider.headers.items()}
        given["accept"] = "application/json"
        if body:
            given["content-type"] = "application/json"
        call = Call(method, url, {**given, **(headers or {})}, body, _TIMEOUTS)
        try:
            async with self._world.transport.send(authorise(call, provider, key)) as reply:
                if reply.status in GOOD:
                    return b"".join([chunk async for chunk in reply.chunks])
                fault = self._fault(reply.status, reply.headers, await refusal(reply))
        except NemoError as error:
            raise NemoError(without_key(error.fault.at(provider.name), key)) from error
        raise NemoError(without_key(fault.at(provider.name), key))

    def _fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        target, now = self.door.target, self._world.clock.now()
        if status == GONE:
            return Fault(
                FaultKind.UNAVAILABLE,
                "the results of this batch are no longer kept",
                "`--restart` hands its rows over again",
                target.provider.name,
                status=status,
            )
        return fault_from(status, headers, body, now, provider=target.provider, model=target.model)


def _understood(read: Callable[[A], T], said: A) -> T:
    try:
        return read(said)
    except ValueError as error:
        hint = "`--debug` shows what came"
        raise NemoError(Fault(FaultKind.PROTOCOL, f"not what a batch is: {error}", hint)) from error
