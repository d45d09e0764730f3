"""`nemocli completion`: the shell's side of completion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nemocli.cli.helping import examples
from nemocli.core.faults import usage_error

if TYPE_CHECKING:
    from nemocli.cli.setup import Setup
    from nemocli.core.plan import Catalogue

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SCRIPTS = {"bash": "nemocli.bash", "zsh": "_nemocli", "fish": "nemocli.fish"}
PLACES = {
    "bash": "~/.local/share/bash-completion/completions/nemocli",
    "zsh": "a folder on your fpath, as `_nemocli`",
    "fish": "~/.config/fish/completions/nemocli.fish",
}


@app.command(epilog=examples("nemocli completion bash", "nemocli completion fish > nemocli.fish"))
def completion(
    ctx: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish")],
) -> None:
    """Print a shell's completion script, and where it goes."""
    from nemocli.io.files import read_text

    setup: Setup = ctx.obj
    if shell not in SCRIPTS:
        raise usage_error(f"no completion for {shell!r}", f"one of: {', '.join(SCRIPTS)}")
    text = read_text(folder() / SCRIPTS[shell])
    refresh(setup)
    setup.out.text(text or "")
    setup.err.dim(f"save it as {PLACES[shell]}")


def folder() -> Path:
    """Inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
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

    write_private(cache, json.dumps(names_in(setup.catalogue), ensure_ascii=False))


def names_in(catalogue: Catalogue) -> dict[str, dict[str, str]]:
    """Every kind of name that completion offers, each name with what it is."""
    from nemocli.core.settings import SETTINGS

    cards = list(catalogue.cards.values())
    models = {c.name: c.title for c in cards}
    models |= {alias: f"alias of {c.name}" for c in cards for alias in c.aliases}
    models |= {
        f"{c.name}:{o.variant}": f"at {o.provider}" for c in cards for o in c.offers if o.variant
    }
    return {
        "providers": {p.name: p.title for p in catalogue.providers.values()},
        "models": models,
        "settings": {s.name: s.help for s in SETTINGS},
    }
