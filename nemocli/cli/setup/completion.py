"""`nemocli completion`: the shell's side of completion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nemocli.cli.help.text import examples
from nemocli.core.faults import config_error, usage_error
from nemocli.io.paths import user_home

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.card import ModelCard
    from nemocli.core.plan import Catalogue
    from nemocli.core.provider import Provider

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SCRIPTS = {"bash": "nemocli.bash", "zsh": "_nemocli", "fish": "nemocli.fish"}
OURS = "completion for nemocli"
"""In every script, so that a file of somebody else's is not taken for one."""


@app.command(
    epilog=examples(
        "nemocli completion bash",
        "nemocli completion fish > nemocli.fish",
        "nemocli completion zsh --install",
    )
)
def completion(
    ctx: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish")],
    install: Annotated[
        bool, typer.Option("--install", help="Put it where the shell looks for it.")
    ] = False,
) -> None:
    """Print a shell's completion script, or put it in its place."""
    setup: Setup = ctx.obj
    if shell not in SCRIPTS:
        raise usage_error(f"no completion for {shell!r}", f"one of: {', '.join(SCRIPTS)}")
    text = (folder() / SCRIPTS[shell]).read_text("utf-8")
    place = place_of(shell, setup.env)
    refresh(setup)
    if not install:
        setup.out.text(text)
        setup.err.dim(f"`--install` saves it as {place}")
        return
    _installed(place, text)
    setup.out.line(str(place))
    setup.err.dim(_begins(shell, place))


def _installed(place: Path, text: str) -> None:
    from nemocli.io.files import read_text, write_private

    before = read_text(place)
    if before is not None and OURS not in before:
        raise config_error(f"{place} is not a script of nemocli's", "move it away first")
    write_private(place, text)


def _begins(shell: str, place: Path) -> str:
    if shell == "zsh":
        return f"before `compinit` in ~/.zshrc: fpath=({place.parent} $fpath); then a new shell"
    needs = " (needs the package bash-completion)" if shell == "bash" else ""
    return f"a new {shell} completes nemocli{needs}"


def place_of(shell: str, env: Mapping[str, str]) -> Path:
    """Where a shell finds the scripts of a user. bash-completion 2.12 and fish 3 look there by
    themselves; zsh looks nowhere in a home, and is told."""
    home = user_home(env)
    data = Path(env.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    bash = Path(env.get("BASH_COMPLETION_USER_DIR") or data / "bash-completion")
    return {
        "bash": bash / "completions" / "nemocli",
        "zsh": data / "zsh" / "site-functions" / SCRIPTS["zsh"],
        "fish": config / "fish" / "completions" / SCRIPTS["fish"],
    }[shell]


def folder() -> Path:
    """Inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parents[2]
    inside = package / "completions"
    return inside if inside.is_dir() else package.parent / "completions"


def refresh(setup: Setup) -> None:
    """Write the names that completion answers with, where they are older than the profiles."""
    from nemocli.core.faults import NemoError

    cache, profiles = setup.paths.completion_cache, setup.paths.profile_cache
    try:
        if cache.stat().st_mtime_ns >= profiles.stat().st_mtime_ns:
            return
    except OSError:
        pass
    try:
        _write(setup, cache)
    except NemoError:
        return  # completion is a convenience: nothing else may fail for it


def _write(setup: Setup, cache: Path) -> None:
    import json

    from nemocli.io.files import write_private

    write_private(cache, json.dumps(names_in(setup.catalogue)))


def names_in(catalogue: Catalogue) -> dict[str, dict[str, str] | dict[str, dict[str, str]]]:
    """Every kind of name that completion offers, each name with what it is; `models_at` has the
    models of each provider that does not decide itself what it calls them."""
    from nemocli.core.settings import SETTINGS

    cards = list(catalogue.cards.values())
    models = {c.name: c.title for c in cards}
    models |= {alias: f"alias of {c.name}" for c in cards for alias in c.aliases}
    models |= {
        f"{c.name}:{o.variant}": f"at {o.provider}" for c in cards for o in c.offers if o.variant
    }
    providers = list(catalogue.providers.values())
    return {
        "providers": {p.name: p.title for p in providers},
        "models": models,
        "models_at": {p.name: at for p in providers if (at := _models_at(p, cards))},
        "settings": {s.name: s.help for s in SETTINGS},
    }


def _models_at(provider: Provider, cards: list[ModelCard]) -> dict[str, str]:
    """House names first, then the ids of the provider's own."""
    names = (provider.name, *provider.lineage)
    served = [(c, o) for c in cards for o in c.offers if o.provider in names]
    found = {c.name: c.title for c, _ in served}
    found |= {f"{c.name}:{o.variant}": o.id for c, o in served if o.variant}
    return found | {o.id: c.name for c, o in served}
