"""Whether a reply that ended well is an answer at all."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from nemocli.core.events import Failed, Finish, Finished, Fold
from nemocli.core.faults import Fault, FaultKind

STANDING = frozenset(
    {FaultKind.INTERNAL, FaultKind.TIMEOUT, FaultKind.PROTOCOL, FaultKind.FILTERED, FaultKind.CUT}
)
"""Kinds that say enough after part of the answer came; any other then means it broke off."""


def shortfall(fold: Fold, provider: str) -> Fault | None:
    """What is wrong with a finished reply; None when it is complete.

    A reply with tool calls needs no text. Reasoning without an answer is a failure with a name:
    most clients print an empty line and call it success.
    """
    match fold.end:
        case None:
            return Fault(FaultKind.INTERRUPTED, "interrupted before the end", None, provider)
        case Failed(fault):
            return _broken_off(fault) if fold.text_chars else fault
        case Finished(reason):
            return _unfinished(reason, fold, provider)
        case _:
            assert_never(fold.end)


def _broken_off(fault: Fault) -> Fault:
    if fault.kind in STANDING:
        return fault
    return replace(
        fault,
        kind=FaultKind.CUT,
        message=f"the answer broke off: {fault.message}",
        hint="the text above is incomplete; ask again, or try another provider with `-p`",
        retry=None,
    )


def _unfinished(reason: Finish, fold: Fold, provider: str) -> Fault | None:
    match reason:
        case "length":
            return _truncated(fold, provider)
        case "content_filter":
            return Fault(
                FaultKind.FILTERED,
                f"{provider} stopped the answer with its content filter",
                "rephrase the prompt, or try another provider with `-p`",
                provider,
            )
        case "stop" | "tool_calls":
            return None if fold.text_chars or fold.has_calls else _empty(fold, provider)
        case _:
            assert_never(reason)


def _truncated(fold: Fold, provider: str) -> Fault:
    if fold.text_chars:
        return Fault(
            FaultKind.TRUNCATED,
            "the answer was cut at the token limit",
            "raise `--max-tokens`, or lower `--reasoning`",
            provider,
        )
    return Fault(
        FaultKind.TRUNCATED,
        "the token limit was used up by reasoning before any answer",
        "raise `--max-tokens`, or use `--reasoning off`",
        provider,
    )


def _empty(fold: Fold, provider: str) -> Fault:
    if fold.reasoning_chars:
        return Fault(
            FaultKind.NO_ANSWER,
            f"{provider} sent reasoning but no answer",
            "raise `--max-tokens`, use `--reasoning off`, or show it with `--show-reasoning`",
            provider,
        )
    return Fault(
        FaultKind.NO_ANSWER,
        f"{provider} sent an empty answer",
        "try again, or try another provider with `-p`",
        provider,
    )
