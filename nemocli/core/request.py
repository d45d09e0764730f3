"""What the user asked, free of any provider's spelling."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject, count

Role = Literal["system", "user", "assistant", "tool"]
Effort = Literal["off", "low", "medium", "high"]
EFFORTS: tuple[Effort, ...] = ("off", "low", "medium", "high")


@value_class(frozen=True, slots=True)
class ToolSpec:
    """A function the model may call; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: JsonObject


@value_class(frozen=True, slots=True)
class ToolCall:
    """A call the model asked for. `arguments` is the text as it came, broken JSON included."""

    call_id: str
    name: str
    arguments: str

    def parse(self) -> JsonObject | None:
        """The arguments as an object, or None when they are not one."""
        try:
            value = json.loads(self.arguments or "{}")
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


LIMIT_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""What dialects call the most output tokens of a reply."""
IMAGE_CHARS = 6_000
"""What a picture counts as in estimates of length: about 1,500 tokens, as sellers count a large
one."""


@value_class(frozen=True, slots=True)
class Image:
    """A picture in a message. `url` is an address, or `data:` with the bytes in base64; `detail` is
    how closely it is looked at, in the words of the chat dialect."""

    url: str
    detail: str | None = None


@value_class(frozen=True, slots=True)
class Message:
    """One turn. Reasoning travels beside the text, never in it.

    `parts` are texts and pictures in their order where there are pictures, and `text` is then all
    of their text. `reasoning_details` are a provider's own items, handed back unmodified and in
    order on tool turns, as the providers that send them ask for.
    """

    role: Role
    text: str
    reasoning: str | None = None
    reasoning_details: tuple[JsonObject, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    parts: tuple[str | Image, ...] = ()

    @property
    def images(self) -> int:
        """How many pictures are in it."""
        return sum(isinstance(part, Image) for part in self.parts)

    @property
    def chars(self) -> int:
        """Length in characters of everything that is sent, for estimates."""
        calls = sum(len(c.name) + len(c.arguments) for c in self.tool_calls)
        return len(self.text) + len(self.reasoning or "") + calls + IMAGE_CHARS * self.images


def with_parts(role: Role, parts: Sequence[str | Image]) -> Message:
    """A message of texts and pictures; a plain one where there is no picture."""
    text = "".join(part for part in parts if isinstance(part, str))
    pictured = any(isinstance(part, Image) for part in parts)
    return Message(role, text, parts=tuple(parts) if pictured else ())


def answers_in(options: Mapping[str, Json]) -> int:
    """How many answers a body asks for (`n`, `best_of`), each of them paid for."""
    if "n" not in options and "best_of" not in options:
        return 1
    return max(1, count(options.get("n")) or 1, count(options.get("best_of")) or 1)


@value_class(frozen=True, slots=True)
class Request:
    """A wish. `model` is what the user typed: a card name, an alias or a provider's own id.

    `options` are extra body fields in the provider's spelling (`-O top_k=20`); `schema` a JSON
    Schema the answer must satisfy; `stream` False only where a provider cannot.
    """

    model: str
    messages: tuple[Message, ...]
    reasoning: Effort | None = None
    max_tokens: int | None = None
    options: Mapping[str, Json] = field(default_factory=dict)
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str | None = None
    schema: JsonObject | None = None
    stream: bool = True

    @property
    def most_output(self) -> int | None:
        """The most output tokens that are asked for, by `max_tokens` or an option."""
        given = [self.max_tokens, *(count(self.options.get(name)) for name in LIMIT_FIELDS)]
        return min((most for most in given if most is not None), default=None)

    @property
    def answers(self) -> int:
        """How many answers are asked for, each of them paid for."""
        return answers_in(self.options)

    @property
    def chars(self) -> int:
        """Length in characters of the whole input, for estimates."""
        tools = sum(
            len(t.name) + len(t.description) + len(json.dumps(t.parameters)) for t in self.tools
        )
        return sum(m.chars for m in self.messages) + tools
