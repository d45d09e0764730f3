"""Which repository a name means: `ORG/NAME` as it is, or a model card's weights at a precision."""

from __future__ import annotations

from dataclasses import dataclass

from nemocli.core.card import ModelCard, Weights
from nemocli.core.faults import usage_error
from nemocli.core.plan import Catalogue
from nemocli.weights.hub_layout import check_repo


@dataclass(frozen=True, slots=True)
class Meant:
    """A repository, and what a card knows about it."""

    repo: str
    card: ModelCard | None = None
    weights: Weights | None = None


def meant(catalogue: Catalogue, name: str, precision: str | None) -> Meant:
    """Raises a usage fault for a name that is neither, or a precision the card has not."""
    for card in catalogue.cards.values():
        if said := {k.lower(): v for k, v in card.misnomers.items()}.get(name.lower()):
            raise usage_error(f"{name}: {said}")
        row = next((w for w in card.weights if w.repo.lower() == name.lower()), None)
        if row is not None:
            return Meant(row.repo, card, row)
    if "/" in name:
        return Meant(check_repo(name))
    found = catalogue.card(name)
    if found is None:
        raise usage_error(
            f"{name!r} is neither a repository nor a model card",
            "write ORG/NAME; `nemocli models ls` lists the cards",
        )
    rows = [w for w in found.weights if precision in (None, w.precision.lower())]
    if not rows:
        known = ", ".join(dict.fromkeys(w.precision.lower() for w in found.weights))
        raise usage_error(
            f"{found.name} has no weights" + (f" as {precision}" if precision else ""),
            f"--precision is one of {known}" if known else None,
        )
    return Meant(rows[0].repo, found, rows[0])
