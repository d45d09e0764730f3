"""Behaviours from JSON, for a stub started from the command line.

A script is an object of paths to lists of behaviours; `*` stands for every answering path::

    {"*": [{"do": "Status", "code": 503}, {"do": "Answer", "text": "hello"}],
     "/v1/models": [{"do": "Stall"}]}

`do` is a name from BEHAVIOURS, the other fields are its arguments; `answer` inside a fault is an
object of Answer's fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.servers import answer as good
from tests.servers import behaviours as bad
from tests.servers.answer import Answer
from tests.servers.behaviours import Behaviour

BEHAVIOURS: dict[str, Callable[..., Behaviour | Answer]] = {
    "Answer": Answer,
    "Crlf": good.crlf,
    "Comments": good.commented,
    "SplitUtf8": good.split_utf8,
    "OddChunks": good.odd_chunks,
    "GiantLine": good.giant_line,
    "Hostile": good.hostile,
    "ReasoningOnly": good.reasoning_only,
    "Length": good.length,
    "Status": bad.Status,
    "Html": bad.html,
    "WrongType": bad.wrong_type,
    "EmptyBody": bad.empty_body,
    "Redirect": bad.redirect,
    "Cut": bad.Cut,
    "MidStreamError": bad.MidStreamError,
    "Reset": bad.Reset,
    "Stall": bad.Stall,
    "Drip": bad.Drip,
    "Gzip": bad.Gzip,
    "BigStream": bad.BigStream,
    "Raw": bad.Raw,
    "Noise": bad.Noise,
}


def behaviour(row: dict[str, Any]) -> Behaviour | Answer:
    """One row of a script as a value; KeyError or TypeError when it names nothing known."""
    fields = {k: _field(k, v) for k, v in row.items() if k != "do"}
    return BEHAVIOURS[row["do"]](**fields)


def _field(name: str, value: Any) -> Any:
    if name == "answer":
        return Answer(**{k: _field(k, v) for k, v in value.items()})
    if name == "tool_calls":
        return tuple(tuple(call) for call in value)
    return tuple(value) if isinstance(value, list) else value
