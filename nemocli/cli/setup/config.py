"""`nemocli config`: settings, where each comes from, and what is wrong with the files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples
from nemocli.core.faults import ExitCode, config_error, usage_error
from nemocli.core.values import Json

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Settings and where each comes from.",
    epilog=examples("nemocli config show --origin"),
)


@app.command(epilog=examples("nemocli config path"))
def path(ctx: typer.Context, json: options.Json = False) -> None:
    """Where settings, profiles, the ledger and caches are kept."""
    setup: Setup = ctx.obj
    paths, project = setup.paths, setup.loaded.project
    places = {
        "config": str(setup.loaded.config_file),
        "project": str(project.file) if project is not None else None,
        "profiles": str(paths.profiles),
        "ledger": str(paths.ledger),
        "data": str(paths.data),
        "state": str(paths.state),
        "cache": str(paths.cache),
    }
    if json:
        setup.out.json(dict(places))
        return
    from nemocli.cli.terminal.tables import facts

    setup.out.lines(facts([(name, place or "") for name, place in places.items()]))


@app.command(epilog=examples("nemocli config show", "nemocli config show --origin --json"))
def show(
    ctx: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Where each was set.")] = False,
    json: options.Json = False,
) -> None:
    """Every setting and its value; none of them is a secret."""
    setup: Setup = ctx.obj
    rows = [
        {"name": name, "value": _plain(setup, name), "origin": setup.settings.origin(name)}
        for name in setup.settings.names()
    ]
    if json:
        setup.out.json([dict(row) for row in rows])
        return

    shown = [[str(r["name"]), _text(r["value"]), *([str(r["origin"])] * origin)] for r in rows]
    headers = ("SETTING", "VALUE", *(["FROM"] * origin))
    setup.out.table(headers, shown)


@app.command(epilog=examples("nemocli config get color"))
def get(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """One setting's value; an empty line when nobody set it."""
    setup: Setup = ctx.obj
    value = _plain(setup, name)
    setup.out.line("" if value is None else _text(value))


@app.command(
    name="set",
    epilog=examples(
        "nemocli config set reasoning medium", "nemocli config set provider openrouter nvidia"
    ),
)
def set_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    value: Annotated[list[str], typer.Argument(metavar="VALUE...")],
) -> None:
    """Set one setting in your config.yaml; every other line stays as it is."""
    from nemocli.core.settings import setting
    from nemocli.io.settings import set_value

    setup: Setup = ctx.obj
    row = setting(name)
    if len(value) > 1 and row.kind not in ("words", "argv"):
        raise usage_error(f"{name} has one value, and {len(value)} were given")
    raw: Json = list(value) if row.kind in ("words", "argv") and len(value) > 1 else value[0]
    if row.kind == "argv":
        raw = list(value)
    given = set_value(setup.loaded.config_file, name, raw)
    setup.err.dim(f"{name}: {_text(_json(given))} in {setup.loaded.config_file}")
    warn_if_hidden(setup, name)


def warn_if_hidden(setup: Setup, name: str) -> None:
    """Say so where what was just written to the user's file does not hold here."""
    origin = setup.settings.origin(name)
    mine = str(setup.loaded.config_file)
    if origin != "built-in" and origin.rpartition(":")[0] != mine and origin != mine:
        setup.err.warn(f"{name} is set by {origin}, which holds here instead")


@app.command(epilog=examples("nemocli config validate"))
def validate(
    ctx: typer.Context,
    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...")] = None,
) -> None:
    """Check settings and profiles; each problem is one line with its file and position."""
    from nemocli.cli.setup.validate import everything, files_named

    setup: Setup = ctx.obj
    said: dict[str, None] = {}
    for looked in files_named(setup, files) if files else everything(setup):
        for fault in looked.problems:
            if fault.message not in said:
                said[fault.message] = None
                setup.err.error(fault)
        if not looked.problems:
            setup.out.line(f"ok: {looked.what}")
    if said:
        raise typer.Exit(ExitCode.CONFIG)


@app.command(epilog=examples("nemocli config schema provider"))
def schema(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="provider|model|config")] = "config",
) -> None:
    """The JSON Schema of a file, for editors."""
    from nemocli.io.files import read_text
    from nemocli.io.profiles.catalogue import profiles_folder

    setup: Setup = ctx.obj
    if what == "config":
        from nemocli.core.settings import settings_schema

        setup.out.json(settings_schema())
        return
    if what not in ("provider", "model"):
        raise usage_error(f"no schema {what!r}", "one of: provider, model, config")
    setup.out.text(read_text(profiles_folder() / "schemas" / f"{what}.schema.json") or "")


@app.command(epilog=examples("nemocli config trust ."))
def trust(
    ctx: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="[FOLDER]")] = ".",
    revoke: Annotated[bool, typer.Option("--revoke", help="Take it back.")] = False,
) -> None:
    """Let the nemocli.yaml of a folder set what runs code or moves a key."""
    from nemocli.io.settings import trust as vouch

    setup: Setup = ctx.obj
    place = Path(folder)
    if not revoke and not place.is_dir():
        raise config_error(f"{folder}: no such folder")
    vouch(setup.paths, place, yes=not revoke)
    setup.err.dim(f"{place.resolve()} is {'no longer ' if revoke else ''}trusted")


def _plain(setup: Setup, name: str) -> Json:
    return _json(setup.settings.get(name))


def _json(value: object) -> Json:
    if value is None or isinstance(value, bool | int | str):
        return value
    return [str(v) for v in value] if isinstance(value, tuple) else str(value)


def _text(value: Json) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(str(v) for v in value) or "-" if isinstance(value, list) else str(value)
