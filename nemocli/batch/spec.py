"""What every row of a job has in common, as far as it decides what is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from hashlib import blake2b

from nemocli.core.provider import plain
from nemocli.core.request import Effort
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject


@value_class(frozen=True, slots=True)
class Spec:
    """How rows become questions. Two jobs of equal `fingerprint` ask the same of the same row.

    `model` is None for the provider's own default; where it is `forced`, models that rows name are
    not asked. `options` are body fields that
    every row gets where it has none of its own.
    """

    model: str | None = None
    forced: bool = False
    system: str | None = None
    template: str | None = None
    jinja: bool = False
    options: Mapping[str, Json] = field(default_factory=dict)
    reasoning: Effort | None = None
    max_tokens: int | None = None
    schema: JsonObject | None = None

    fingerprint: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", self._fingerprint())

    def _fingerprint(self) -> bytes:
        """16 bytes that change when a row would be asked differently."""
        said = [
            self.model,
            self.forced,
            self.system,
            self.template,
            self.jinja,
            plain(dict(self.options)),
            self.reasoning,
            self.max_tokens,
            None if self.schema is None else plain(self.schema),
        ]
        return blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).digest()
