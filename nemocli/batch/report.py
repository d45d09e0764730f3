"""Output lines as people and tables read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, cast

from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject, dig
from nemocli.wire.bulk import loads
from nemocli.wire.jsontext import string


@value_class(frozen=True, slots=True)
class Result:
    """One row of a job. `usd` is a decimal string, None where it is unknown; tokens are those of
    all attempts together."""

    row: int
    custom_id: str
    where: str
    status: str
    answer: str | None
    finish_reason: str | None
    provider: str | None
    upstream: str | None
    served_model: str | None
    input_tokens: int | None
    output_tokens: int | None
    usd: str | None
    cost_source: str | None
    attempts: int
    error_code: str | None
    error_message: str | None


COLUMNS: Mapping[str, str] = {
    field.name: "usd"
    if field.name == "usd"
    else "count"
    if field.name in ("row", "input_tokens", "output_tokens", "attempts")
    else "text"
    for field in fields(Result)
}
"""Names, and what is in them: `text`, `count` or `usd`."""


def result_of(line: bytes) -> Result:
    """What an output line says. Raises ValueError for one that this program did not write."""
    try:
        said = cast(Any, loads(line))
        about, error = said["x_nemocli"], said["error"] or {}
        attempts = about["attempts"]
        body = (said["response"] or {}).get("body")
        usage = [a["usage"] for a in attempts]
        cost = about.get("cost") or {}
        return Result(
            row=int(about["ordinal"]) + 1,
            custom_id=str(said["custom_id"]),
            where=str(about["where"]),
            status=str(about["status"]),
            answer=answer_in(body),
            finish_reason=attempts[-1]["finish_reason"] if attempts else _reason(body),
            provider=about.get("provider"),
            upstream=about.get("upstream"),
            served_model=about.get("served_model"),
            input_tokens=_sum(usage, "input_tokens"),
            output_tokens=_sum(usage, "output_tokens"),
            usd=cost.get("usd"),
            cost_source=cost.get("source"),
            attempts=len(attempts),
            error_code=error.get("code"),
            error_message=error.get("message"),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as why:
        raise ValueError(f"no line of a batch: {why}") from why


def answer_in(body: Json) -> str | None:
    """The text of a chat completion or of a response; None where there is none."""
    if not isinstance(body, Mapping):
        return None
    choice = _choice(body)
    if choice is not None:
        return string(dig(choice, "message.content"))
    text, output = string(body.get("output_text")), body.get("output")
    return "".join(_texts(output)) or None if text is None and isinstance(output, list) else text


def _texts(output: Iterable[Json]) -> list[str]:
    contents = [item.get("content") for item in output if isinstance(item, Mapping)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [
        str(part.get("text", ""))
        for part in parts
        if isinstance(part, Mapping) and part.get("type") == "output_text"
    ]


def _choice(body: JsonObject) -> JsonObject | None:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, Mapping) else None


def _reason(body: Json) -> str | None:
    choice = _choice(body) if isinstance(body, Mapping) else None
    return string(choice.get("finish_reason")) if choice is not None else None


def _sum(usages: list[Any], name: str) -> int | None:
    known = [usage[name] for usage in usages if usage.get(name) is not None]
    return sum(known) if known else None
