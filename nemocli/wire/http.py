"""Status, headers and body of a refusal, or an error inside a good reply, to one Fault."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from nemocli.core.faults import Fault, FaultKind
from nemocli.core.provider import ErrorRule, Provider, plain
from nemocli.core.text import one_line
from nemocli.core.values import Json, JsonObject
from nemocli.wire.complaint import MOST_TEXT, Complaint, complaint_of, read_body
from nemocli.wire.foreign import other_api
from nemocli.wire.headers import deprecation_of, request_id_of, retry_after
from nemocli.wire.kinds import NEVER, kind_among, kind_of, kind_said

__all__ = [
    "ANSWERED",
    "QUEUED",
    "complains",
    "deprecation_of",
    "fault_from",
    "fault_inside",
    "kind_of",
    "not_a_reply",
    "queue_fault",
    "request_id_of",
    "retry_after",
]

LONGEST = 300
_TOO_LONG = (
    r"(?i)context|too (?:long|large|big|many tokens)|maximum.{0,40}tokens|(?:token|length) limit"
)
_NO_STATUS = 200
_QUOTED = 120

ANSWERED = frozenset({200, 201, 203})
"""Statuses of a reply that holds an answer: frameworks answer every POST with 201, and a proxy that
touched the body makes 203 of 200."""

QUEUED = 202
_HINTS = {
    FaultKind.AUTH: "check what the key may do; `nemocli auth login {0}` stores another",
    FaultKind.QUOTA: "add credit to the account, or use another path with `-p`",
    FaultKind.UNAVAILABLE: "`nemocli models ls -p {0}` lists what it serves",
    FaultKind.RATE: "wait a little, or use another path with `-p`",
    FaultKind.TIMEOUT: "try again, ask for less with `--max-tokens`, or use another path with `-p`",
    FaultKind.REQUEST: "leave out `-o` options, tools or `--schema`; `--debug` shows the call",
    FaultKind.FILTERED: "rephrase the prompt, or try another path with `-p`",
    FaultKind.PROTOCOL: "check `base_url` of {0} and any proxy on the way",
}
"""What helps by kind of fault; `{0}` is the provider's name."""
_SPENT = (FaultKind.QUOTA, FaultKind.RATE)
_COMPLAINING = ("error", "errors", "message", "detail", "title")


def fault_from(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    *,
    provider: Provider,
    model: str,
    url: str = "",
) -> Fault:
    """What a reply other than 200 means. `headers` have lower-case names, `url` is what was asked;
    never raises.

    The provider's own rules come first, then the table of kinds. The message is one line.
    """
    said = read_body(body)
    kind = kind_among((status, *(c for c in said.codes if isinstance(c, str))), said.message)
    fault = Fault(
        kind or FaultKind.PROTOCOL,
        one_line(_answered(status, headers, said, provider) + _route(status, said, url), LONGEST),
        provider=provider.name,
        status=status,
        request_id=request_id_of(headers),
        retry_after_s=_wait(status, headers, said, now),
        retry=False if status in NEVER else said.retryable,
    )
    text = body[:MOST_TEXT].decode("utf-8", "replace")
    return _ruled(fault, text, said, provider, model)


def queue_fault(headers: Mapping[str, str], provider: Provider) -> Fault:
    """What 202 means: the call waits in the server's queue, and its answer comes elsewhere."""
    name, request_id = provider.name, request_id_of(headers)
    which = f" as {request_id}" if request_id else ""
    return Fault(
        FaultKind.UNAVAILABLE,
        f"{name} put the call in a queue{which} (202) and did not answer it here",
        "ask again with streaming on (without `--no-stream`), or use another path with `-p`;"
        " the queued call may still be billed",
        name,
        status=QUEUED,
        request_id=request_id,
        retry=False,
    )


def fault_inside(error: Json, provider: Provider, model: str) -> Fault:
    """What an error object (or text) inside a reply with a good status means.

    Its own number counts as a status; without one it is taken for the server's.
    """
    said = complaint_of(error)
    status = said.status
    head = f"{provider.name} reported an error{f' {status}' if status else ''}"
    detail = _detail(said) or ", ".join(c for c in said.codes if isinstance(c, str))
    fault = Fault(
        kind_among(said.codes, said.message) or kind_said(said.message) or FaultKind.SERVER,
        one_line(f"{head}: {detail}" if detail else head, LONGEST),
        provider=provider.name,
        status=status,
        retry_after_s=said.retry_after_s,
        retry=False if status in NEVER else said.retryable,
    )
    return _ruled(fault, _written(error), said, provider, model)


def complains(payload: JsonObject) -> bool:
    """Whether an object without any field of the dialect is an error that stands for itself: a
    message, and a status or a word for a failure (the bare bodies of NVIDIA's gateway and of
    engines, which also come inside a stream)."""
    if not any(payload.get(name) for name in _COMPLAINING):
        return False
    return bool(complaint_of(payload).message) and _says_why(payload)


def not_a_reply(payload: Json, provider: Provider, model: str) -> Fault:
    """What it means that a good status brought JSON that is no reply of the dialect: an error where
    it says so, a reply of another API, or a payload nobody here knows, which is quoted. To ask
    again would bring the same."""
    holder = payload[0] if isinstance(payload, list) and payload else payload
    if isinstance(holder, Mapping):
        if (api := other_api(holder)) is not None:
            what, hint = api
            return Fault(
                FaultKind.PROTOCOL,
                f"{provider.name} answered with {what}",
                hint.format(provider.name),
                provider.name,
                retry=False,
            )
        if holder.get("error") or _says_why(holder):
            return fault_inside(payload, provider, model)
    name = provider.name
    return Fault(
        FaultKind.PROTOCOL,
        f"{name} answered with JSON that is no reply of its dialect:"
        f" {one_line(_written(payload), _QUOTED)}",
        f"check `dialect` and `base_url` of {name}",
        name,
        retry=False,
    )


def _says_why(payload: JsonObject) -> bool:
    """Whether a complaint without an envelope says what kind of failure it is."""
    if not any(payload.get(name) for name in _COMPLAINING):
        return False
    said = complaint_of(payload)
    known = any(kind_of(code) for code in said.codes) or kind_said(said.message)
    return bool(known) or "error" in (payload.get("type"), payload.get("object"))


def _written(error: Json) -> str:
    try:
        return json.dumps(plain(error), ensure_ascii=False)[:MOST_TEXT]
    except RecursionError:
        return ""


def _ruled(fault: Fault, text: str, said: Complaint, provider: Provider, model: str) -> Fault:
    """The fault as the provider's own rule for it says, with a hint in any case."""
    status = fault.status or _NO_STATUS
    rule = next((r for r in provider.errors if _applies(r, status, text)), None)
    if rule is not None and rule.match is None and (fault.kind, rule.kind) == _SPENT:
        rule = None  # the body says more than the status the rule goes by
    if rule is not None:
        message = _named(rule.message, model)
        wait = fault.retry_after_s
        generic = fault.retry if rule.kind is fault.kind else said.retryable
        fault = replace(
            fault,
            kind=rule.kind,
            message=one_line(message, LONGEST) if message else fault.message,
            hint=_named(rule.hint, model),
            retry=rule.retry if rule.retry is not None else generic,
            retry_after_s=rule.retry_after_s if wait is None else wait,
        )
    return fault if fault.hint else replace(fault, hint=_hint(fault, said, provider))


def _applies(rule: ErrorRule, status: int, text: str) -> bool:
    if rule.status is not None and rule.status != status:
        return False
    if rule.match is None:
        return True
    try:
        return re.search(rule.match, text, re.IGNORECASE) is not None
    except re.error:  # a rule nobody could have meant must not hide the failure itself
        return False


def _named(text: str | None, model: str) -> str | None:
    return text.replace("{model}", model or "this model") if text else None


def _answered(status: int, headers: Mapping[str, str], said: Complaint, provider: Provider) -> str:
    name = provider.name
    if 300 <= status <= 399:
        return f"{name} redirects to {_place(headers)}; the key was not sent there"
    head = f"{name} answered {status}"
    if said.page:
        title = f" “{said.message}”" if said.message else ""
        return f"{head} with a web page{title}: a gateway or a captive portal spoke, not the API"
    return f"{head}: {_detail(said) or _phrase(status)}"


def _route(status: int, said: Complaint, url: str) -> str:
    """Where nothing is, for a refusal that is about the address."""
    if status not in (404, 405) or not url or _names_a_model(said.message):
        return ""
    return f" ({url.partition('?')[0]})"


def _detail(said: Complaint) -> str:
    if said.upstream and said.upstream.lower() not in said.message.lower():
        return f"{said.upstream}: {said.message}" if said.message else said.upstream
    return said.message


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason given"


def _place(headers: Mapping[str, str]) -> str:
    """The host of a redirect, or its path where it stays on the same one; never a query."""
    try:
        parts = urlsplit(headers.get("location", ""))
        place = parts.hostname or parts.path
    except ValueError:
        place = ""
    return one_line(place, 100) if place else "another address"


def _wait(status: int, headers: Mapping[str, str], said: Complaint, now: datetime) -> float | None:
    if status < 400:
        return None
    for source in (headers, said.headers):
        if (seconds := retry_after(source, now)) is not None:
            return seconds
    return said.retry_after_s


def _names_a_model(message: str) -> bool:
    return "model" in message.lower()


def _hint(fault: Fault, said: Complaint, provider: Provider) -> str:
    """The next thing to type."""
    name, status = provider.name, fault.status or _NO_STATUS
    if said.page and status < 500:
        return "sign in to the network or check the proxy, then `base_url` in the provider's file"
    if 300 <= status <= 399:
        return f"set `base_url` of {name} to its new address, or sign in to the network first"
    if fault.kind is FaultKind.REQUEST and (status == 413 or re.search(_TOO_LONG, said.message)):
        return "make the input shorter or lower `--max-tokens`; another path may take more"
    lost = fault.kind in (FaultKind.UNAVAILABLE, FaultKind.REQUEST) and status in (404, 405)
    if lost and not _names_a_model(said.message):
        return (
            f"check `base_url` of {name}, which ends before /chat/completions, and the model's id:"
            f" `nemocli models ls -p {name}`"
        )
    if fault.kind is FaultKind.AUTH and status != 403 and provider.auth.env:
        return f"`nemocli auth login {name}` stores a key, or set {provider.auth.env[0]}"
    return _HINTS.get(fault.kind, "try again later, or use another path with `-p`").format(name)
