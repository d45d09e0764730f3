"""The gateway as a bare ASGI application: routes from the request's target only, nothing else.

Each may stand under `/v1` or not, and under `/a/ATTEMPT`, which tags its calls for an evaluation.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from nemocli.core.budget import RunBudget
from nemocli.core.events import Event
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Plan, Target, taking_images
from nemocli.core.ports import World
from nemocli.core.request import Effort, Request
from nemocli.core.usage import CHARS_PER_TOKEN
from nemocli.core.value_class import value_class
from nemocli.engine.run import Answer
from nemocli.io.serve.asgi import Receive, Scope, Send, reply, whole_body
from nemocli.io.serve.call import ClientDialect, GatewayCall, fail
from nemocli.io.serve.recorder import Recorder
from nemocli.io.serve.replay import play
from nemocli.serve.agents import SessionHeader
from nemocli.serve.guard import Guard, Holder
from nemocli.serve.incoming import Incoming, refusal
from nemocli.serve.loops import Failures, count_repeats, digest
from nemocli.serve.messages import MessagesReply, messages_error, refusal_json
from nemocli.serve.outgoing import ChatReply, error_json
from nemocli.serve.recording import READERS, Script
from nemocli.serve.responses_reply import ResponsesReply
from nemocli.serve.tally import GatewayTally

ATTEMPT = re.compile(r"/a/([A-Za-z0-9._-]{1,64})(/.*|$)")
SESSION = re.compile(r"[\x21-\x7e]{1,128}")
OWN_HEADER = "x-nemocli-session"


@value_class(frozen=True, slots=True)
class ModelPaths:
    """Where a model's name leads: `plan` for a wish, `served` its name where it is another one.
    `models` are the names to offer."""

    plan_of: Callable[[str], tuple[Plan, str | None]]
    models: tuple[str, ...]


CHAT = ClientDialect(
    READERS["/chat/completions"],
    lambda name, model, at, wish: ChatReply(name, model, at, include_usage=wish.include_usage),
    error_json,
)
MESSAGES = ClientDialect(
    READERS["/messages"],
    lambda name, model, at, wish: MessagesReply(name, model),
    messages_error,
)
RESPONSES = ClientDialect(
    READERS["/responses"],
    lambda name, model, at, wish: ResponsesReply(name, model, at, wish.tools),
    error_json,
)
DIALECTS = {"/chat/completions": CHAT, "/messages": MESSAGES, "/responses": RESPONSES}


@value_class(frozen=True, slots=True)
class _Caller:
    """Who calls, and where: a session of an agent, an attempt of an evaluation."""

    path: str
    session: str | None
    attempt: str | None
    holder: Holder | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """What its calls are marked with."""
        attempt = () if self.attempt is None else (f"attempt:{self.attempt}",)
        holder = () if self.holder is None else (f"key:{self.holder.name}", *self.holder.tags)
        return (*attempt, *holder)


@dataclass(slots=True)
class Gateway:
    """The application. `sessions` are the headers in which agents name theirs; `loops` is how
    often the same may fail, or be done, in a row (0: any number). A `recorder` keeps what is asked
    and answered; a `script` answers in everybody's place."""

    world: World
    guard: Guard
    paths: ModelPaths
    budget: RunBudget | None
    sessions: Sequence[SessionHeader] = ()
    loops: int = 0
    recorder: Recorder | None = None
    script: Script | None = None
    tally: GatewayTally = field(default_factory=GatewayTally)
    failures: Failures = field(default_factory=Failures)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def cut(self) -> None:
        """End the calls under way now: each is booked, and its client is told."""
        for task in list(self.under_way):
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        path, attempt = scope["path"], None
        if found := ATTEMPT.fullmatch(path):
            attempt, path = found[1], found[2]
        path = path.removeprefix("/v1").rstrip("/") or "/"
        if path == "/health" and scope["method"] == "GET":
            await reply(send, 200, b'{"status": "ok"}')
            return
        refused = self.guard.refuses(headers)
        if refused is not None:
            body = _refused(path, *refused)
            await reply(send, refused[0], body, (("x-should-retry", "false"),))
            return
        if headers.get("content-encoding", "identity") != "identity":
            await reply(send, 415, _refused(path, 415, "send the body without an encoding"))
            return
        holder = self.guard.holder(headers)
        caller = _Caller(path, _session(headers, self.sessions), attempt, holder)
        await self._route(scope["method"], path, caller, receive, send)

    async def _route(
        self, method: str, path: str, caller: _Caller, receive: Receive, send: Send
    ) -> None:
        dialect = DIALECTS.get(path) if method == "POST" else None
        if dialect is not None:
            task = cast(asyncio.Task[None], asyncio.current_task())
            self.under_way.add(task)
            try:
                await self._answer(dialect, caller, receive, send)
            finally:
                self.under_way.discard(task)
        elif (method, path) == ("POST", "/messages/count_tokens"):
            await _count(receive, send)
        elif (method, path) == ("GET", "/models"):
            await reply(send, 200, _models(self.paths.models))
        elif (method, path) == ("GET", "/responses"):
            what = "answers come over HTTP here, not over WebSocket; POST to this path"
            await reply(send, 426, _refused(path, 426, what), (("upgrade", "HTTP/1.1"),))
        elif (method, path) == ("HEAD", "/"):
            await reply(send, 200, b"")
        else:
            await reply(send, 404, _refused(path, 404, f"nothing is served at {method} {path}"))

    async def _answer(
        self, dialect: ClientDialect, caller: _Caller, receive: Receive, send: Send
    ) -> None:
        try:
            body = await whole_body(receive)
            key = digest(body, caller.session)
            wish = dialect.read(body)
            self._looping(key, wish)
            if self.script is not None:
                await play(self.script, body, wish, dialect, send)
                self.tally.calls["answered"] = self.tally.calls.get("answered", 0) + 1
                return
            plan, served = self.paths.plan_of(wish.model)
            plan = _seeing(plan, wish)
            request, dropped, alike = _request(wish, plan)
        except NemoError as error:
            self.tally.fault(error.fault.message)
            await fail(send, dialect, error.fault)
            return
        if self.failures.of(key, self.world.clock.monotonic()):
            self.tally.again += 1
        if caller.session is not None:
            self.tally.session(caller.session)
        self.tally.leave_out(dropped)
        tags = tuple(dict.fromkeys((*plan.tags, *caller.tags)))
        plan = replace(plan, session=caller.session, tags=tags, keep=not wish.stream)
        clock = self.world.clock
        began, replying = clock.monotonic(), None
        if self.recorder is not None:
            about = {
                "path": caller.path,
                "session": caller.session,
                "attempt": caller.attempt,
            }
            replying = self.recorder.begin(clock.new_id(), clock.now(), body, wish.model, about)
            # The call goes out first: the loop comes to this when it waits for the answer.
            asyncio.get_running_loop().call_soon(replying.write_request)
        del body

        def tell(event: Event) -> None:
            if replying is not None:
                replying.event(clock.monotonic() - began, event)

        def over(how: str, answer: Answer, fault: Fault | None) -> None:
            if replying is not None:
                replying.over(how, answer, fault, clock.monotonic() - began)
            self.tally.call(how, answer.entries)
            if fault is not None:
                self.tally.fault(fault.message)
                self.failures.fail(key, self.world.clock.monotonic())
            elif how == "answered":
                self.failures.succeed(key)

        call = GatewayCall(
            self.world, self.budget, over, dialect, wish, plan, served, dropped, alike, send, tell
        )
        await call.carry_out(request, receive)

    def _looping(self, key: bytes, wish: Incoming) -> None:
        """Refuse the call of an agent that has lost its way. Raises NemoError (loop)."""
        if not self.loops:
            return
        now = self.world.clock.monotonic()
        if (failed := self.failures.of(key, now)) >= self.loops:
            raise _loop(f"this very call has failed {failed} times in a row")
        if wish.turns < self.loops:
            return
        turns = wish.other.messages if wish.other is not None else ()
        if (count := count_repeats(turns)) >= self.loops:
            raise _loop(f"the same tools were called in the same way {count} times in a row")


def _loop(what: str) -> NemoError:
    hint = "start the agent again with other words, or raise `--loop-guard`"
    return NemoError(Fault(FaultKind.LOOP, what, hint, status=400, sent=False, retry=False))


def _session(headers: Mapping[str, str], known: Sequence[SessionHeader]) -> str | None:
    """The session a call belongs to, as the agent names it."""
    agent = headers.get("user-agent", "").lower()
    for row in (SessionHeader(OWN_HEADER), *known):
        found = headers.get(row.header, "")
        if SESSION.fullmatch(found) and agent.startswith(row.user_agent):
            return found
    return None


def _models(names: Sequence[str]) -> bytes:
    """The listing in both shapes at once: OpenAI's fields and Anthropic's."""
    rows = [
        {
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": "nemocli",
            "type": "model",
            "display_name": name,
            "created_at": "1970-01-01T00:00:00Z",
        }
        for name in names
    ]
    about = {"has_more": False, "first_id": names[0], "last_id": names[-1]}
    return json.dumps({"object": "list", "data": rows, **about}).encode()


def _request(wish: Incoming, plan: Plan) -> tuple[Request, tuple[str, ...], bool]:
    """The wish in the form that its targets take, what is left out of it, and whether it is the
    client's own. Raises NemoError (request)."""
    alike = all(target.provider.dialect == wish.dialect for target in plan.targets)
    alike = alike and wish.same is not None
    if alike and wish.same is not None:
        request, dropped = wish.same, wish.same_dropped
    elif wish.other is not None:
        request, dropped = wish.other, wish.dropped
    else:
        raise refusal(wish.refused or "cannot be carried")
    if request.reasoning is not None and not all(
        _has_effort(target, request.reasoning) for target in plan.targets
    ):
        return replace(request, reasoning=None), (*dropped, "reasoning.effort"), alike
    return request, dropped, alike


def _seeing(plan: Plan, wish: Incoming) -> Plan:
    """The plan without targets that take no pictures, where some are in the wish. Raises NemoError
    (request) where none is left."""
    turns = wish.other.messages if wish.pictures and wish.other is not None else ()
    if not any(turn.images for turn in turns):
        return plan
    return replace(plan, targets=taking_images(plan.targets))


def _has_effort(target: Target, effort: Effort) -> bool:
    try:
        target.effort_patch(effort)
    except NemoError:
        return False
    return True


async def _count(receive: Receive, send: Send) -> None:
    """About how many tokens a request would be: an estimate, and its header says so."""
    try:
        wish = MESSAGES.read(await whole_body(receive))
    except NemoError as error:
        await fail(send, MESSAGES, error.fault)
        return
    chars = wish.other.chars if wish.other is not None else 0
    body = json.dumps({"input_tokens": -(-chars // CHARS_PER_TOKEN)}).encode()
    await reply(send, 200, body, (("x-nemocli-usage", "estimated"),))


def _refused(path: str, status: int, message: str) -> bytes:
    """A refusal at the door, in the words of whoever asks at that path."""
    if path.startswith("/messages"):
        return refusal_json(status, message)
    kind = "invalid_request_error"
    return json.dumps(
        {"error": {"message": message, "type": kind, "code": str(status), "param": None}}
    ).encode()
