"""Which repository a name means: `ORG/NAME` as it is, or a model card's weights at a precision."""

from __future__ import annotations

import re

from nemocli.core.card import ModelCard, Weights
from nemocli.core.faults import usage_error
from nemocli.core.plan import Catalogue
from nemocli.core.value_class import value_class
from nemocli.weights.hub_layout import check_repo


@value_class(frozen=True, slots=True)
class Meant:
    """A repository, and what a card knows about it."""

    repo: str
    card: ModelCard | None = None
    weights: Weights | None = None


_PLACE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?:models/)?|hf://(?:models/)?",
    re.IGNORECASE,
)
"""What stands before a repository's name in a browser, and in file systems for the Hub."""


def repository_name(name: str) -> str:
    """A name as it was copied from a browser or a script, without what stands around it. Raises a
    usage fault for one that means something else than a model's repository at its main branch."""
    place = _PLACE.match(name)
    if place is None:
        return name
    rest = name[place.end() :].partition("?")[0].partition("#")[0].strip("/")
    if rest.startswith(("datasets/", "spaces/", "buckets/")):
        raise usage_error(f"{name!r} is no repository of a model", "write ORG/NAME of a model")
    parts = rest.split("/")
    repo, revision = "/".join(parts[:2]), "main"
    if len(parts) > 3 and parts[2] in ("tree", "blob", "resolve"):
        revision = parts[3]
    repo, at, named = repo.partition("@")
    revision = named if at else revision
    if revision != "main":
        raise usage_error(f"{name!r} names a revision", f"write {repo} and `--revision {revision}`")
    return repo


def resolve_repo(catalogue: Catalogue, name: str, precision: str | None) -> Meant:
    """Raises a usage fault for a name that is neither, or a precision the card has not."""
    name = repository_name(name)
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
    if not found.weights:
        raise usage_error(
            f"where the weights of {found.name} are is not known here",
            "write its repository as ORG/NAME, where there is one",
        )
    if not rows:
        known = ", ".join(dict.fromkeys(w.precision.lower() for w in found.weights))
        raise usage_error(
            f"{found.name} has no weights as {precision}", f"--precision is one of {known}"
        )
    return Meant(rows[0].repo, found, rows[0])
