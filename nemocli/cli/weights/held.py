"""The names of models whose weights another program keeps: PROVIDER:MODEL/QUANT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.core.faults import usage_error
from nemocli.core.value_class import value_class
from nemocli.weights.names import repository_name

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.provider import Provider


@value_class(frozen=True, slots=True)
class HeldModel:
    """A model of a provider whose program fetches weights."""

    provider: Provider
    model: str

    @property
    def name(self) -> str:
        """As it was typed."""
        return f"{self.provider.name}:{self.model}"


def find_in_program(setup: Setup, name: str) -> HeldModel | None:
    """The model that PROVIDER:MODEL/QUANT means; None for the name of a repository or card."""
    provider_name, colon, model = repository_name(name).partition(":")
    if not colon:
        return None
    provider = setup.catalogue.provider(provider_name)
    if provider.runtime is None or provider.runtime.kind != "command":
        raise usage_error(
            f"{provider.name} fetches no weights", "write ORG/NAME, or a model card's name"
        )
    if not model or not model.partition("/")[2]:
        raise usage_error(f"{name!r} names no file", f"write {provider.name}:MODEL/QUANT")
    return HeldModel(provider, model)
