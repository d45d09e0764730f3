"""A recording in the place of every path: the replies an agent had, for tests and demos without a
key. Where it asks something else, it has left the script, and is told so.
"""

from __future__ import annotations

import time

from nemocli.core.events import Finished, Fold
from nemocli.core.faults import Fault, FaultKind
from nemocli.io.serve.asgi import CutError, Send, reply, start
from nemocli.io.serve.call import ClientDialect, fail
from nemocli.serve.incoming import Incoming, refusal
from nemocli.serve.recording import RecordedExchange, Script, request_key


async def play(
    script: Script, body: bytes, wish: Incoming, dialect: ClientDialect, send: Send
) -> None:
    """The recorded reply to a request. Raises NemoError (request) where there is none."""
    found = script.take(request_key(body))
    if found is None:
        turns = wish.other.messages if wish.other is not None else ()
        where = script.nearest(turns)
        script.missed.append(where)
        raise refusal(f"this request is not in the recording: {where}")
    await _played(found, wish, dialect, send)


async def _played(
    found: RecordedExchange, wish: Incoming, dialect: ClientDialect, send: Send
) -> None:
    name = str(found.request.get("id"))
    headers = (("x-nemocli-replayed", name),)
    fold = Fold()
    said = dialect.reply(
        str(found.reply.get("reply_id") or name),
        str(found.reply.get("model") or wish.model),
        int(time.time()),
        wish,
    )
    pieces = []
    for _, event in found.events():
        fold.add(event)
        pieces.append(said.chunk(event))
    fault = found.fault
    if fault is None and not isinstance(fold.end, Finished):
        fault = Fault(FaultKind.CUT, "the recorded reply broke off")
    if fault is not None and not (wish.stream and fold.shown):
        await fail(send, dialect, fault, headers)
        return
    if not wish.stream:
        await reply(send, 200, said.whole(fold), headers)
        return
    await start(send, 200, "text/event-stream", headers)
    last = said.end(fold) if fault is None else said.fail(fault)
    data = b"".join([*pieces, last])
    await send({"type": "http.response.body", "body": data, "more_body": fault is not None})
    if fault is not None:
        raise CutError
