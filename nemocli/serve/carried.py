"""What of a client's request reaches a model: one table for every dialect.

The readers decide by it, `docs/serve.md` shows it. A field that stands in no row is dropped, and
the reply's header `x-nemocli-dropped` names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from nemocli.core.value_class import value_class

How = Literal["carried", "dropped", "refused"]


@value_class(frozen=True, slots=True)
class CarriedRow:
    """A field of a request, or a kind of part or tool in it, and what becomes of it. `note` says
    how it is carried, or why it is not."""

    name: str
    how: How
    note: str = ""


def _rows(how: How, *names: str, note: str = "") -> tuple[CarriedRow, ...]:
    return tuple(CarriedRow(name, how, note) for name in names)


CHAT_TO_CHAT = (
    CarriedRow("every field", "carried", "as it came, unknown ones too, and so is the reply"),
)
CHAT_TO_OTHERS = (
    *_rows("carried", "messages", "tools", "tool_choice", "max_tokens", "max_completion_tokens"),
    *_rows("carried", "temperature", "top_p", "stop", "seed", "user"),
    *_rows("carried", "presence_penalty", "frequency_penalty"),
    CarriedRow("images", "carried", "where the model's card does not say that it takes none"),
    *_rows("refused", "audio, files", note="texts and pictures are what can be carried"),
    CarriedRow("everything else", "refused", "the path's dialect has no such field"),
)
MESSAGES = (
    *_rows("carried", "messages", "system", "max_tokens", "temperature", "top_p", "top_k"),
    CarriedRow("stop_sequences", "carried", "as `stop`"),
    *_rows("carried", "tools", "tool_choice", "thinking blocks"),
    CarriedRow(
        "output_config.effort", "carried", "as the reasoning effort, where the model has it"
    ),
    CarriedRow("thinking", "carried", "`disabled` turns reasoning off; else the model decides"),
    *_rows("dropped", "cache_control", "context_management", "metadata", note="changes no answer"),
    CarriedRow("redacted_thinking", "dropped", "only its seller can read it"),
    CarriedRow("tools of the seller's own", "dropped", "web search, code execution, …"),
    CarriedRow("images", "carried", "where the model's card does not say that it takes none"),
    CarriedRow("images in tool results", "carried", "in a turn after the results"),
    CarriedRow("documents of plain text", "carried", "as text"),
    *_rows("refused", "other documents", note="texts and pictures are what can be carried"),
)
RESPONSES = (
    *_rows("carried", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls"),
    *_rows("carried", "max_output_tokens", "temperature", "top_p"),
    CarriedRow("text.format", "carried", "a JSON Schema, as far as the path enforces one"),
    CarriedRow("reasoning.effort", "carried", "where the model has it"),
    CarriedRow(
        "reasoning items", "carried", "in `encrypted_content`, which only this gateway reads"
    ),
    CarriedRow("function tools", "carried"),
    CarriedRow(
        "namespace tools", "carried", "as `NAMESPACE__NAME`, and back; two alike are refused"
    ),
    CarriedRow(
        "custom tools", "carried", "as a function of one text, and back; a grammar is not kept to"
    ),
    *_rows("dropped", "store", "metadata", "prompt_cache_key", "prompt_cache_retention"),
    *_rows("dropped", "safety_identifier", "service_tier", "client_metadata", "user"),
    *_rows("dropped", "include", "truncation", "stream_options", "text.verbosity"),
    CarriedRow("reasoning.summary", "dropped", "the reasoning itself is handed on"),
    CarriedRow("tools of the seller's own", "dropped", "web search, file search, MCP, …"),
    CarriedRow("items of other sellers", "dropped", "their searches, their encrypted reasoning"),
    *_rows("refused", "previous_response_id", "conversation", note="no conversation is kept here"),
    *_rows("refused", "background", "prompt", "item_reference", note="nothing is kept here"),
    CarriedRow("images", "carried", "where the model's card does not say that it takes none"),
    CarriedRow("images in tool results", "carried", "in a turn after the results"),
    *_rows("refused", "files", note="texts and pictures are what can be carried"),
)
TABLE: Mapping[str, tuple[CarriedRow, ...]] = {
    "chat completions, to a path of the same dialect": CHAT_TO_CHAT,
    "chat completions, to another dialect": CHAT_TO_OTHERS,
    "messages": MESSAGES,
    "responses": RESPONSES,
}
QUIET = frozenset({"include", "store"})
"""Fields whose usual values ask for nothing that a client could miss: dropped without a word."""


def names(rows: tuple[CarriedRow, ...], how: How) -> frozenset[str]:
    """The names of the rows of one kind."""
    return frozenset(row.name for row in rows if row.how == how)


def markdown() -> Iterator[str]:
    """The table, as the documents show it."""
    for title, rows in TABLE.items():
        yield from ("", f"### From {title}", "", "| what | | how, or why not |", "|---|---|---|")
        done: set[tuple[How, str]] = set()
        for row in rows:
            key = (row.how, row.note)
            if key in done:
                continue
            done.add(key)
            alike = [r.name for r in rows if (r.how, r.note) == key]
            yield f"| {', '.join(_code(name) for name in alike)} | {row.how} | {row.note} |"


def _code(name: str) -> str:
    return name if " " in name or "," in name else f"`{name}`"
