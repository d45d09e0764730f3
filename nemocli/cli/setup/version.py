"""`nemocli version`: which program this is, and where."""

from __future__ import annotations

import platform
import sys

import typer

from nemocli.cli import options
from nemocli.cli.help.text import examples
from nemocli.version import __version__

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=examples("nemocli version", "nemocli version --json"))
def version(ctx: typer.Context, json: options.Json = False) -> None:
    """Version, Python, system and folders."""
    paths = ctx.obj.paths
    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "config": str(paths.config_file),
        "data": str(paths.data),
        "state": str(paths.state),
        "cache": str(paths.cache),
    }
    if json:
        ctx.obj.out.json(facts)
        return
    for name, value in facts.items():
        ctx.obj.out.line(f"{name:<12}{value}")
