"""From what the user typed to targets in order: provider, model id, card, offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date

from nemocli.core.card import ModelCard, Offer
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import Pico, Price, price_on
from nemocli.core.policy import Policy
from nemocli.core.provider import Provider, StructuredOutput
from nemocli.core.request import Effort
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject, merge


@value_class(frozen=True, slots=True)
class Target:
    """One provider and the id it is asked for. An empty `model` is found out from the server."""

    provider: Provider
    model: str
    card: ModelCard | None = None
    offer: Offer | None = None

    @property
    def name(self) -> str:
        """The model's house name where it has one, else the provider's id."""
        return self.card.name if self.card else self.model

    def takes(self, modality: str) -> bool:
        """Whether it takes this kind of input, as far as anybody says."""
        known = self.card.input_modalities if self.card else ()
        return not known or modality in known

    @property
    def context(self) -> int | None:
        """Context window in tokens as served here."""
        return (self.offer and self.offer.context) or (self.card and self.card.context) or None

    @property
    def output_limit(self) -> int | None:
        """Most output tokens in one reply as served here."""
        known = (self.offer and self.offer.output_limit) or (self.card and self.card.output_limit)
        return known or None

    @property
    def structured_output(self) -> StructuredOutput:
        """How a schema can be enforced here."""
        if self.offer is not None and self.offer.structured_output is not None:
            return self.offer.structured_output
        return self.provider.structured_output

    def effort_patch(self, effort: Effort) -> JsonObject:
        """The body patch for a reasoning effort; a usage fault when there is none."""
        patches = dict(self.provider.reasoning.request)
        if self.offer is not None:
            patches.update(self.offer.reasoning)
        reasons = self.card is None or bool(self.card.efforts)
        if effort == "off" and not reasons:
            return {}
        if effort not in patches or not reasons:
            known = [e for e in patches if reasons]
            raise NemoError(
                Fault(
                    FaultKind.USAGE,
                    f"{self.name} at {self.provider.name} has no reasoning effort {effort!r}",
                    f"one of: {', '.join(known)}" if known else "leave `--reasoning` out",
                    self.provider.name,
                    sent=False,
                )
            )
        return patches[effort]

    def sampling(self, effort: Effort | None) -> JsonObject:
        """The card's sampling defaults for an effort, where the provider wants them sent."""
        if self.card is None or not self.provider.sampling_defaults:
            return {}
        if effort == "off":
            return merge(self.card.sampling, self.card.sampling_off)
        return self.card.sampling

    def price(self, day: date) -> Price | None:
        """The price row that holds here on a day, if one is known."""
        return price_on(self._rows(), day)

    def list_price(self, day: date) -> Price | None:
        """The reference seller's row, for calls that are free or self-hosted."""
        if self.card is None or self.card.list_seller is None:
            return None
        rows = (p for p in self.card.prices if p.seller == self.card.list_seller)
        return price_on((p for p in rows if p.variant is None), day)

    @property
    def free(self) -> bool:
        """Whether a call costs nothing: the address is the user's own and the model stays there."""
        away = self.provider.leaves_machine
        return self.provider.free and not (away and self.model.endswith(away))

    def _rows(self) -> list[Price]:
        """The rows of exactly this variant; where it has none, the model's own."""
        names = {self.model, self.name}
        variant = self.offer.variant if self.offer is not None else None
        rows = [p for p in self.provider.prices if p.model in names]
        own = [p for p in rows if p.variant == variant] or [p for p in rows if p.variant is None]
        cards = self.card.prices if self.card is not None else ()
        seller = self.provider.name
        return own + [p for p in cards if p.seller == seller and p.variant == variant]


def taking_images(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets that take pictures, or of which that is not known. Raises NemoError (request)
    where there is none."""
    found = tuple(target for target in targets if target.takes("image"))
    if found:
        return found
    raise NemoError(
        Fault(
            FaultKind.REQUEST,
            f"{targets[0].name} takes no pictures",
            "describe it in words, or ask a model that takes them with `-m`",
            status=400,
            sent=False,
            retry=False,
        )
    )


@value_class(frozen=True, slots=True)
class Plan:
    """Targets in the order they are tried, and the bounds on trying.

    `timeout_s` bounds each attempt in place of the provider's own total; `max_cost_pico` is a hard
    cap on this run; `keep` False lets the text of the reply go once the sink has seen it.
    """

    targets: tuple[Target, ...]
    policy: Policy = field(default_factory=Policy)
    timeout_s: float | None = None
    max_cost_pico: Pico | None = None
    run_id: str = ""
    command: str = ""
    tags: tuple[str, ...] = ()
    project: str | None = None
    session: str | None = None
    keep: bool = True


@value_class(frozen=True, slots=True)
class Catalogue:
    """Every provider and card this user has, by name."""

    providers: Mapping[str, Provider]
    cards: Mapping[str, ModelCard]

    def provider(self, name: str) -> Provider:
        """The provider of that name; a usage fault with the nearest name when there is none."""
        from difflib import get_close_matches

        if name in self.providers:
            return self.providers[name]
        near = get_close_matches(name, self.providers, 1)
        raise NemoError(
            Fault(
                FaultKind.USAGE,
                f"no provider {name!r}",
                f"did you mean `{near[0]}`?" if near else "`nemocli providers ls` lists them",
                sent=False,
            )
        )

    def card(self, name: str) -> ModelCard | None:
        """The card a name or alias means. Raises NemoError where that card's file is broken."""
        if name.lower() in self.cards:
            return self.cards[name.lower()]
        return next((c for c in self.cards.values() if c.has_name(name)), None)

    def target(self, provider: Provider, model: str | None) -> Target:
        """Resolve what was typed at one provider.

        A provider's own id is passed through as it is; a card name, with an optional `:variant`,
        becomes that provider's id. A provider of whose models nothing is said anywhere is asked
        for the card's id, and takes any other id. Raises NemoError (unavailable) when the card is
        known and the provider does not serve it.
        """
        asked = model or provider.default_model or DEFAULT_MODEL
        names = (provider.name, *provider.lineage)
        for card in self.cards.values():
            for offer in card.offers:
                if offer.provider in names and offer.id == asked:
                    return Target(provider, asked, card, offer)
        name, _, variant = asked.partition(":")
        found = self.card(asked)
        if found is not None:
            variant = ""
        else:
            found = self.card(name)
        if found is None:
            self._check_spelling(provider, asked)
            return Target(provider, asked)
        return self._offered(provider, found, variant or None, asked)

    def _offered(
        self, provider: Provider, card: ModelCard, variant: str | None, asked: str
    ) -> Target:
        if variant is None and card.name in provider.models:
            return Target(provider, provider.models[card.name], card)
        for name in (provider.name, *provider.lineage):
            offers = [o for o in card.offers if o.provider == name]
            offer = next((o for o in offers if o.variant == variant), None)
            if offer is None and variant is None and offers:
                offer = offers[0]
            if offer is not None:
                return Target(provider, offer.id, card, offer)
        if self._unlisted(provider):
            return Target(provider, asked if "/" in asked else "", card)
        if provider.discover:
            return Target(provider, "", card)
        raise NemoError(
            Fault(
                FaultKind.UNAVAILABLE,
                f"{provider.name} does not serve {asked}",
                self._who(provider, card),
                provider.name,
                sent=False,
            )
        )

    def _check_spelling(self, provider: Provider, asked: str) -> None:
        """Refuse, before a call is made, what is nearly a card's name and no id of anybody's."""
        from difflib import get_close_matches

        if "/" in asked or provider.local or asked in provider.models.values():
            return
        names = [name for card in self.cards.values() for name in (card.name, *card.aliases)]
        near = get_close_matches(asked.lower(), names, 1, 0.88)
        if near and len(asked) > 4:
            raise NemoError(
                Fault(
                    FaultKind.USAGE,
                    f"no model is called {asked!r}",
                    f"did you mean `{near[0]}`?",
                    sent=False,
                )
            )

    def _unlisted(self, provider: Provider) -> bool:
        """Whether neither the provider's file nor any card says a model of it."""
        if provider.models or provider.discover:
            return False
        names = (provider.name, *provider.lineage)
        return not any(o.provider in names for c in self.cards.values() for o in c.offers)

    def _who(self, provider: Provider, card: ModelCard) -> str:
        who = f"`nemocli models info {card.name}` lists who does"
        return who if provider.layer == "bundled" else f"{add_model(provider, card)}; {who}"


def add_model(provider: Provider, card: ModelCard) -> str:
    """The line that tells a provider's id of a model."""
    return f"add `models: {{{card.name}: ID}}` to {provider.file}"


DEFAULT_MODEL = "nemotron-3-ultra"
