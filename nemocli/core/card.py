"""What a model is, wherever it is served: one card, many offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from nemocli.core.money import Price
from nemocli.core.provider import StructuredOutput
from nemocli.core.request import Effort
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject


@value_class(frozen=True, slots=True)
class Offer:
    """The model at one provider, under that provider's `id`; None fields are unknown there.

    `variant` tells several offers of one provider apart (`free`, `batch`, a precision);
    `reasoning` overrides the provider's body patch per effort; `end_of_life` is an ISO date or
    time after which calls are answered 410.
    """

    provider: str
    id: str
    variant: str | None = None
    context: int | None = None
    output_limit: int | None = None
    precision: str | None = None
    tools: bool | None = None
    structured_output: StructuredOutput | None = None
    reasoning: Mapping[Effort, JsonObject] = field(default_factory=dict)
    end_of_life: str | None = None
    source: str = ""


@value_class(frozen=True, slots=True)
class Weights:
    """A repository of weights on the Hugging Face Hub. `size_bytes` None is unknown."""

    repo: str
    precision: str
    size_bytes: int | None = None
    gated: bool = False
    note: str = ""
    source: str = ""


@value_class(frozen=True, slots=True)
class GpuRow:
    """One row of a published support matrix: so many GPUs of a kind run it at a precision."""

    gpu: str
    memory_gb: int
    precision: str
    count: int
    tensor_parallel: int
    pipeline_parallel: int = 1
    nodes: int = 1
    lora: bool = False
    source: str = ""


@value_class(frozen=True, slots=True)
class ModelCard:
    """One model. `aliases` are other names for it; `misnomers` are wrong names people were told,
    with what to say about them. `sampling` holds body fields, `sampling_off` those that replace
    them while reasoning is off. `efforts` are the reasoning modes the model really has; empty
    for a model that does not reason. `input_modalities` are the kinds of input it takes
    (`text`, `image`, `audio`, `video`); empty where that is not known. `list_seller` is the seller
    whose price stands for free and self-hosted calls.
    """

    name: str
    title: str = ""
    vendor: str = ""
    description: str = ""
    parameters: str = ""
    context: int | None = None
    output_limit: int | None = None
    aliases: tuple[str, ...] = ()
    misnomers: Mapping[str, str] = field(default_factory=dict)
    efforts: tuple[Effort, ...] = ()
    default_effort: Effort | None = None
    input_modalities: tuple[str, ...] = ()
    sampling: JsonObject = field(default_factory=dict)
    sampling_off: JsonObject = field(default_factory=dict)
    tools: bool = False
    licence: str = ""
    released: str = ""
    languages: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()
    prices: tuple[Price, ...] = ()
    list_seller: str | None = None
    weights: tuple[Weights, ...] = ()
    hardware: tuple[GpuRow, ...] = ()
    notes: tuple[str, ...] = ()
    file: str = ""

    def has_name(self, name: str) -> bool:
        """Whether a name people use means this card; case does not matter."""
        wanted = name.lower()
        return wanted == self.name or wanted in {
            n.lower() for n in (*self.aliases, *self.misnomers)
        }
