"""Which paths a call takes when nobody said, and in which order."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import DEFAULT_MODEL, Target
from nemocli.core.provider import Provider, loopback
from nemocli.core.value_class import value_class

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.card import ModelCard

LISTENING_S = 0.15
"""For a server of this machine to accept a connection."""


@value_class(frozen=True, slots=True)
class Choice:
    """The targets in order, and a line that says why when nobody asked for them."""

    targets: tuple[Target, ...]
    notice: str | None = None


def choose_targets(setup: Setup, providers: list[str] | None, model: str | None) -> Choice:
    """The user's own order; else the first path with a key or a live local server that serves the
    model; else the model on this machine. Raises NemoError where nothing is left."""
    names = providers or list(setup.settings.words("provider"))
    catalogue = setup.catalogue
    if names:
        return Choice(tuple(_targets(setup, names, model)))
    say_broken(setup)
    card = catalogue.card(model.partition(":")[0]) if model else default_card(setup)
    for provider in (*providers_with_key(setup, card), *_listening(setup)):
        if (target := _served(setup, provider, model)) is not None:
            return Choice((target,))
    return _without_key(setup, card, model)


def say_broken(setup: Setup) -> None:
    """A line for each profile file that cannot be read: it costs what it describes, and no more."""
    for fault in setup.profiles.broken.values():
        setup.err.warn(f"{fault.message}; gone on without it")


def default_card(setup: Setup) -> ModelCard | None:
    """The card of the model that is meant when none is named."""
    return setup.catalogue.card(DEFAULT_MODEL)


def providers_with_key(setup: Setup, card: ModelCard | None) -> list[Provider]:
    """Providers whose key is at hand: those that offer the model in the card's order, then the
    user's own. Nothing is run to find out."""
    order = [offer.provider for offer in card.offers] if card is not None else []
    known = setup.catalogue.providers
    usable = set(known)  # a name whose file is broken is in it, and cannot be had
    names = dict.fromkeys([*(n for n in order if n in usable), *known])
    providers = (known[name] for name in names)
    return [p for p in providers if p.auth.required and setup.keys.likely(p)]


def _targets(setup: Setup, names: list[str], model: str | None) -> Iterator[Target]:
    for name in dict.fromkeys(names):
        yield setup.catalogue.target(setup.catalogue.provider(name), model)


def _served(setup: Setup, provider: Provider, model: str | None) -> Target | None:
    try:
        return setup.catalogue.target(provider, model)
    except NemoError as error:
        if error.fault.kind is FaultKind.UNAVAILABLE:
            return None
        raise


def _listening(setup: Setup) -> Iterator[Provider]:
    for provider in setup.catalogue.providers.values():
        near = provider.local and not provider.runtime and loopback(provider.base_url)
        if near and listens(provider.base_url):
            yield provider


def listens(url: str) -> bool:
    """Whether somebody on this machine accepts connections at the URL's port."""
    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        with closing(socket.create_connection(place, LISTENING_S)):
            return True
    except OSError:
        return False


def _without_key(setup: Setup, card: ModelCard | None, model: str | None) -> Choice:
    """The model in this process, where it is the one that was meant or none was."""
    first = _first_offer(setup, card)
    how = _how_to_get_a_key(first)
    for provider in setup.catalogue.providers.values():
        inside = provider.runtime is not None and provider.default_model is not None
        if not inside or (model and card is not None and not _offers(card, provider)):
            continue
        if model and card is None:
            continue
        target = setup.catalogue.target(provider, model)
        wanted = card is not None and target.card is not None and target.card.name == card.name
        title = target.card.title if target.card is not None else target.model
        notice = f"no key and no local server: {title} answers, on this machine; {how}"
        return Choice((target,), None if wanted and model else notice)
    what = card.name if card is not None else model
    raise NemoError(
        Fault(FaultKind.AUTH, f"no path to {what} has a key or a live server", how, sent=False)
    )


def _offers(card: ModelCard, provider: Provider) -> bool:
    return any(offer.provider in (provider.name, *provider.lineage) for offer in card.offers)


def _first_offer(setup: Setup, card: ModelCard | None) -> Provider | None:
    known = setup.catalogue.providers
    usable = set(known)
    for each in (card, default_card(setup)):
        for offer in each.offers if each is not None else ():
            if offer.provider in usable and known[offer.provider].auth.required:
                return known[offer.provider]
    return None


def _how_to_get_a_key(provider: Provider | None) -> str:
    if provider is None:
        return "`nemocli auth login PROVIDER` stores a key"
    where = f" (free at {provider.auth.setup_url})" if provider.auth.setup_url else ""
    name = provider.auth.env[0] if provider.auth.env else "its key"
    return f"for Nemotron set {name}{where} or type `nemocli auth login {provider.name}`"
