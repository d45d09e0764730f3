"""Codes to kinds of failure: one table for statuses and for errors inside a good status."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nemocli.core.faults import FaultKind

_STATUS: dict[int, FaultKind] = {
    401: FaultKind.AUTH,
    402: FaultKind.QUOTA,
    403: FaultKind.AUTH,
    404: FaultKind.UNAVAILABLE,
    407: FaultKind.PROTOCOL,  # a proxy on the way, not the provider
    408: FaultKind.TIMEOUT,
    410: FaultKind.UNAVAILABLE,
    424: FaultKind.SERVER,  # something the server itself depends on
    425: FaultKind.RATE,
    429: FaultKind.RATE,
    499: FaultKind.SERVER,  # a gateway whose own connection was given up
}

NEVER = frozenset({501, 505})
"""Server errors that no repetition mends."""

# Words as servers spell them, in lower case, without punctuation and a final `error`:
# OpenAI's types, Python exception names of vLLM and NIM, OpenRouter's error_type and
# availability.code (errors-and-debugging, 2026-08-22), Perplexity's types (2026-10).
_WORDS: dict[FaultKind, str] = {
    FaultKind.REQUEST: "badrequest invalidrequest invalidprompt contextlengthexceeded "
    "maxtokensexceeded tokenlimitexceeded stringtoolong preconditionfailed payloadtoolarge "
    "unprocessable unprocessableentity validation missingrequiredfield wrongendpoint value",
    FaultKind.AUTH: "authentication unauthorized unauthenticated invalidapikey permission "
    "permissiondenied forbidden regionrestricted",
    FaultKind.QUOTA: "paymentrequired insufficientquota insufficientcredits insufficientbalance "
    "insufficientfunds billinghardlimitreached billingnotactive creditsexhausted quotaexceeded "
    "creditbalancetoolow freevariantlimitreached",
    FaultKind.RATE: "ratelimit ratelimitexceeded toomanyrequests requestratelimitexceeded "
    "capacityexhausted ratelimited throttled throttling",
    FaultKind.UNAVAILABLE: "notfound modelnotfound modelnotsupported noendpoints modeldeprecated "
    "modelunavailableupstream privacyrestricted constraintfiltered freevariantended gone",
    FaultKind.SERVER: "server internalserver internal api overloaded provideroverloaded "
    "providerunavailable serviceunavailable temporarilyunavailable badgateway unmapped",
    FaultKind.TIMEOUT: "timeout requesttimeout gatewaytimeout deadlineexceeded",
    FaultKind.FILTERED: "contentpolicyviolation contentfilter refusal moderation",
}
_BY_WORD = {word: kind for kind, words in _WORDS.items() for word in words.split()}

_SHARPER = {
    word: kind
    for word, kind in _BY_WORD.items()
    if kind in (FaultKind.QUOTA, FaultKind.FILTERED, FaultKind.UNAVAILABLE)
    and word not in ("notfound", "gone")
}
"""Words that know more than a 4xx they come with."""

_PAY = (
    r"insufficient[_ ]quota|exceeded your current quota|\bcredits?\b|\bbilling\b|\bbalance\b"
    r"|payment"
)

# What people's words say where a server gave no code. Looked for in this order, and seldom: they
# are compiled when they are.
_SAID: tuple[tuple[FaultKind, str], ...] = (
    (FaultKind.QUOTA, _PAY),
    (
        FaultKind.RATE,
        r"rate[ -]?limit|too many requests|slow down|\bthrottl|requests per (?:minute|second)",
    ),
    (
        FaultKind.AUTH,
        r"not authenticated|unauthenticated|unauthori[sz]ed|authentication (?:failed|required)"
        r"|(?:invalid|incorrect|missing|no|expired|wrong) (?:api[ -_]?key|token|credentials)"
        r"|api[ -_]?key (?:is )?(?:invalid|missing|required|expired|not valid)|access denied",
    ),
    (
        FaultKind.UNAVAILABLE,
        r"model\b.{0,80}\b(?:not found|does not exist|is not (?:available|supported))"
        r"|(?:no such|unknown) model",
    ),
    (
        FaultKind.REQUEST,
        r"(?:token|context|length) limit|context (?:length|window)|too long",
    ),
)


def _found(words: str, text: str) -> bool:
    return re.search(words, text, re.IGNORECASE) is not None


def kind_said(text: str) -> FaultKind | None:
    """The kind that the words of an error without a code come to; None where they say nothing."""
    return next((kind for kind, words in _SAID if _found(words, text)), None)


def kind_of(code: int | str | None) -> FaultKind | None:
    """The kind of an HTTP status (every number has one) or of a server's word; None for others."""
    if isinstance(code, int):
        if code in _STATUS:
            return _STATUS[code]
        if 500 <= code <= 599:
            return FaultKind.SERVER
        return FaultKind.REQUEST if 400 <= code <= 499 else FaultKind.PROTOCOL
    return _BY_WORD.get(_bare(code)) if code else None


def kind_among(codes: Iterable[int | str], text: str) -> FaultKind | None:
    """The kind that all codes of one failure, heaviest first, and its text come to."""
    codes = tuple(codes)
    kind = next((k for code in codes if (k := kind_of(code)) is not None), None)
    if any(isinstance(c, int) and 400 <= c <= 499 for c in codes):
        words = (_SHARPER.get(_bare(c)) for c in codes if isinstance(c, str))
        kind = next((k for k in words if k is not None), kind)
    if kind is FaultKind.RATE and _found(_PAY, text):
        return FaultKind.QUOTA
    return kind


def _bare(word: str) -> str:
    bare = re.sub(r"[^a-z0-9]", "", word.lower())
    for ending in ("error", "exception"):
        bare = bare.removesuffix(ending) or bare
    return bare
