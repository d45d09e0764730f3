"""What can go wrong, as values, and the exit code of each.

The exit codes are a contract (`nemocli help exit-codes`): scripts branch on them, so a row here is
added but never renumbered.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum, StrEnum

from nemocli.core.quantities import time_text
from nemocli.core.value_class import value_class


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIG = 3
    AUTH = 4
    UNAVAILABLE = 5
    RATE = 6
    NETWORK = 7
    INCOMPLETE = 8
    BUDGET = 9
    BATCH_FAILURES = 10
    EVAL_REJECT = 11
    EVAL_MARGINAL = 12
    EVAL_INVALID = 13
    INTERRUPTED = 130


class FaultKind(StrEnum):
    """The kinds of failure. The value is the `code` that `--json` prints."""

    INTERNAL = "internal"
    USAGE = "usage"
    REQUEST = "request_rejected"
    CONFIG = "config"
    AUTH = "auth"
    UNAVAILABLE = "unavailable"
    SERVER = "server_error"
    RATE = "rate_limited"
    QUOTA = "quota_exhausted"
    NETWORK = "network"
    REFUSED = "connection_refused"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    OFFLINE = "offline"
    CUT = "cut_stream"
    TRUNCATED = "truncated"
    NO_ANSWER = "no_answer"
    FILTERED = "content_filter"
    SCHEMA = "schema_mismatch"
    CORRUPT = "corrupt_data"
    BUDGET = "budget"
    LOOP = "loop_detected"
    INTERRUPTED = "interrupted"


EXIT: dict[FaultKind, ExitCode] = {
    FaultKind.INTERNAL: ExitCode.UNEXPECTED,
    FaultKind.USAGE: ExitCode.USAGE,
    FaultKind.REQUEST: ExitCode.USAGE,
    FaultKind.CONFIG: ExitCode.CONFIG,
    FaultKind.AUTH: ExitCode.AUTH,
    FaultKind.UNAVAILABLE: ExitCode.UNAVAILABLE,
    FaultKind.SERVER: ExitCode.UNAVAILABLE,
    FaultKind.RATE: ExitCode.RATE,
    FaultKind.QUOTA: ExitCode.RATE,
    FaultKind.NETWORK: ExitCode.NETWORK,
    FaultKind.REFUSED: ExitCode.NETWORK,
    FaultKind.TLS: ExitCode.NETWORK,
    FaultKind.TIMEOUT: ExitCode.NETWORK,
    FaultKind.PROTOCOL: ExitCode.NETWORK,
    FaultKind.OFFLINE: ExitCode.NETWORK,
    FaultKind.CUT: ExitCode.INCOMPLETE,
    FaultKind.TRUNCATED: ExitCode.INCOMPLETE,
    FaultKind.NO_ANSWER: ExitCode.INCOMPLETE,
    FaultKind.FILTERED: ExitCode.INCOMPLETE,
    FaultKind.SCHEMA: ExitCode.INCOMPLETE,
    FaultKind.CORRUPT: ExitCode.INCOMPLETE,
    FaultKind.BUDGET: ExitCode.BUDGET,
    FaultKind.LOOP: ExitCode.BUDGET,
    FaultKind.INTERRUPTED: ExitCode.INTERRUPTED,
}

PASSING = frozenset(
    {FaultKind.RATE, FaultKind.NETWORK, FaultKind.TIMEOUT, FaultKind.SERVER, FaultKind.CUT}
)
"""Kinds that may go away when the same call is made again."""


HINTS: dict[FaultKind, str] = {
    FaultKind.SERVER: "try again later, or use another path with `-p`",
    FaultKind.RATE: "wait a little, or use another path with `-p`",
    FaultKind.QUOTA: "add credit to the account, or use another path with `-p`",
    FaultKind.NETWORK: "look at the connection and any proxy, then try again",
    FaultKind.REFUSED: "is it running? start the server, or use another path with `-p`",
    FaultKind.TIMEOUT: "try again, raise `--timeout`, or use another path with `-p`",
    FaultKind.PROTOCOL: "check `base_url` in the provider's file and any proxy on the way",
    FaultKind.OFFLINE: "leave `--offline` out, or use a path on this machine",
    FaultKind.CUT: "the text above is incomplete; try again, or use another path with `-p`",
    FaultKind.UNAVAILABLE: "`nemocli models ls` lists what is served where",
    FaultKind.AUTH: "`nemocli auth status` shows which keys are used",
}
"""What to do about a kind of failure when nobody closer to it knows better."""


@value_class(frozen=True, slots=True)
class Fault:
    """One failure: what happened, to whom, and what to type next.

    `status` is the HTTP status, `request_id` the server's own name for the request (asked for by
    every support desk), `retry_after_s` what the server asked for in seconds, `retryable` an
    override of the kind's default where the server or the circumstances know better.
    `sent` is False when the request certainly never reached a server that could bill it.
    """

    kind: FaultKind
    message: str
    hint: str | None = None
    provider: str | None = None
    status: int | None = None
    request_id: str | None = None
    retry_after_s: float | None = None
    retry: bool | None = None
    sent: bool = True

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later without anyone changing anything."""
        return self.kind in PASSING if self.retry is None else self.retry

    @property
    def advice(self) -> str | None:
        """The hint, or what generally helps; with the time the server asked for, where it is more
        than a little."""
        hint = self.hint or HINTS.get(self.kind)
        wait = self.retry_after_s
        if wait is None or wait < A_LITTLE_S or self.retry is False:
            return hint
        when = f"it asks to be left alone for {time_text(wait)}"
        rest = (hint or "").removeprefix("wait a little, or ").removeprefix("wait a little")
        return f"{when}; {rest}" if rest else when

    @property
    def exit_code(self) -> ExitCode:
        """The process exit code of this failure."""
        return EXIT[self.kind]

    def at(self, provider: str, request_id: str | None = None) -> Fault:
        """The same fault, naming the provider (and request) it happened to."""
        return replace(
            self,
            provider=self.provider or provider,
            request_id=self.request_id or request_id,
        )


A_LITTLE_S = 5.0
"""Waits below this are not worth a word."""


class NemoError(Exception):
    """A fault on its way to the user. The only exception this package raises on purpose."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def usage_error(message: str, hint: str | None = None) -> NemoError:
    """The user typed something that cannot be done (exit 2)."""
    return NemoError(Fault(FaultKind.USAGE, message, hint, sent=False))


def config_error(message: str, hint: str | None = None) -> NemoError:
    """A file of the user's is invalid (exit 3); the message names file and position."""
    return NemoError(Fault(FaultKind.CONFIG, message, hint, sent=False))
