"""`nemocli providers`: the paths to a model, which of them are ready, and tests of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nemocli.cli import options
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples
from nemocli.cli.providers.auth import confirm
from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.value_class import value_class

if TYPE_CHECKING:
    from nemocli.core.values import Json

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="The paths to a model, their order, and tests.",
    epilog=examples("nemocli providers ls"),
)

LAYER = {"bundled": "comes with nemocli", "project": "is the project's"}

Name = Annotated[str, typer.Argument(metavar="NAME")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")]


@app.command(epilog=examples("nemocli providers ls", "nemocli providers ls --json"))
def ls(ctx: typer.Context, json: options.Json = False) -> None:
    """Every provider, and whether it is ready: a key at hand, a live server, or what it needs."""
    from nemocli.cli.providers.provider_facts import provider_rows, ready_rows

    setup: Setup = ctx.obj
    rows = provider_rows(setup)
    for fault in setup.profiles.broken.values():
        setup.err.warn(fault.message)
    if json:
        setup.out.json([dict(row) for row in rows])
        return
    if setup.globals.quiet:
        for row in rows:
            setup.out.line(str(row["name"]))
        return
    setup.out.lines(ready_rows(rows, setup.out.width))


@app.command(epilog=examples("nemocli providers info openrouter"))
def info(ctx: typer.Context, name: Name, json: options.Json = False) -> None:
    """What is known of one provider: address, key, limits, models and prices with their sources."""
    from nemocli.cli.providers.provider_facts import provider_info, provider_lines

    setup: Setup = ctx.obj
    said = provider_info(setup, setup.catalogue.provider(name))
    if json:
        setup.out.json(said)
        return
    setup.out.lines(provider_lines(said))


@app.command(
    epilog=examples("nemocli providers test openrouter", "nemocli providers test --all --json")
)
def test(
    ctx: typer.Context,
    names: Names = None,
    model: options.Model = None,
    all_: Annotated[bool, typer.Option("--all", help="Every provider that is ready.")] = False,
    json: options.Json = False,
) -> None:
    """A tiny real call: does the key work, does the model answer, how fast, for how much."""
    from nemocli.cli.providers.probe import probe_providers

    raise typer.Exit(probe_providers(ctx.obj, list(names or ()), model, every=all_))


@app.command(
    epilog=examples("nemocli providers order", "nemocli providers order nvidia openrouter")
)
def order(
    ctx: typer.Context,
    names: Names = None,
    clear: Annotated[bool, typer.Option("--clear", help="Back to the built-in order.")] = False,
    json: options.Json = False,
) -> None:
    """Show or set the order in which providers are tried when none is named."""
    setup: Setup = ctx.obj
    if names and clear:
        raise usage_error("either names or `--clear`")
    if names or clear:
        wanted = list(dict.fromkeys(names or ()))
        _set_order(setup, wanted)
        if json:
            setup.out.json({"order": wanted, "origin": str(setup.loaded.config_file)})
        return
    given = setup.settings.words("provider")
    if json:
        setup.out.json({"order": list(given), "origin": setup.settings.origin("provider")})
        return
    setup.out.lines(given)
    if not given:
        setup.err.dim("none set: the first with a key or a live local server is asked")


def _set_order(setup: Setup, names: list[str]) -> None:
    from nemocli.cli.setup.config import warn_if_hidden
    from nemocli.io.settings import set_value, unset_value

    for name in names:
        setup.catalogue.provider(name)
    file = setup.loaded.config_file
    if names:
        set_value(file, "provider", list(names))
        setup.err.dim(f"provider: {', '.join(names)} in {file}")
    else:
        said = "taken out of" if unset_value(file, "provider") else "not set in"
        setup.err.dim(f"provider: {said} {file}")
    warn_if_hidden(setup, "provider")


@app.command(
    epilog=examples(
        "nemocli providers add mine --base-url https://llm.example.org/v1 --env MINE_API_KEY",
        "nemocli providers add near --base-url http://localhost:9000/v1 --local",
    )
)
def add(
    ctx: typer.Context,
    name: Name,
    base_url: Annotated[str, typer.Option("--base-url", metavar="URL", help="Up to `/v1`.")],
    extends: Annotated[
        str | None,
        typer.Option("--extends", metavar="PROVIDER", help="Inherit dialect and quirks."),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="VAR", help="Variable with its key.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME=ID", help="A card's name and its id there."),
    ] = None,
    header: Annotated[
        str | None, typer.Option("--header", metavar="NAME", help="The header of the key.")
    ] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", metavar="WORD", help="The word before the key.")
    ] = None,
    key_command: Annotated[
        str | None,
        typer.Option("--key-command", metavar="CMD", help="Prints the key; run without a shell."),
    ] = None,
    ca: Annotated[
        str | None,
        typer.Option("--ca", metavar="FILE", help="Certificates (PEM) to trust there as well."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="What people call it.")] = None,
    local: Annotated[
        bool, typer.Option("--local", help="A server of yours: no key, models are asked for.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace your file of that name.")] = False,
) -> None:
    """Write a provider's file. Everything else it can say: `nemocli config schema provider`."""
    from nemocli.io.files import write_private

    setup: Setup = ctx.obj
    file = _file(setup, name)
    if file.exists() and not force:
        raise config_error(f"{file} is there already", "`--force` replaces it")
    if not force and name in setup.catalogue.providers:
        raise config_error(
            f"there is a provider {name} already", "another name, or `--force` to change that one"
        )
    if extends is not None:
        setup.catalogue.provider(extends)
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word) for word in env or ()):
        # Not repeated: it may be the key itself.
        raise usage_error("`--env` takes the name of a variable, such as MINE_API_KEY")
    auth = {"env": env or None, "header": header, "scheme": scheme}
    new = _New(
        name,
        base_url,
        extends,
        title,
        {k: v for k, v in auth.items() if v is not None},
        _certificates(ca),
    )
    text = _yaml(new, _models_of(model or []), local=local)
    _check(setup, name, text)
    write_private(file, text)
    if key_command is not None:
        _set_key_command(setup, name, key_command)
    setup.out.line(str(file))
    first = "" if local and not env else f"{_key_step(name, env)}, then "
    setup.err.dim(f"next: {first}`nemocli providers test {name}`")


def _check(setup: Setup, name: str, text: str) -> None:
    """Read the file back among all others before it is theirs. Raises NemoError."""
    from tempfile import TemporaryDirectory

    from nemocli.io.profiles.catalogue import profile_files
    from nemocli.io.profiles.files import problem_in

    with TemporaryDirectory() as folder:
        file = Path(folder, f"{name}.yaml")
        file.write_text(text, "utf-8")
        folders = setup.profile_folders
        fault = problem_in(file, folders.shipped / "schemas", profile_files(folders))
    if fault is not None:
        raise usage_error(fault.message.partition(": ")[2] or fault.message, fault.hint)


def _key_step(name: str, env: list[str] | None) -> str:
    stored = f"`nemocli auth login {name}`"
    return f"set {env[0]} or type {stored}" if env else stored


@value_class(frozen=True, slots=True)
class _New:
    name: str
    base_url: str
    extends: str | None
    title: str | None
    auth: Mapping[str, object]
    ca: str | None


def _certificates(ca: str | None) -> str | None:
    """The file from any folder, once it has been read. Raises NemoError."""
    if ca is None:
        return None
    from pathlib import Path

    from nemocli.io.http.trust import trust_context

    file = str(Path(ca).expanduser().absolute())
    trust_context(file)
    return file


def _models_of(given: list[str]) -> dict[str, str]:
    """`NAME=ID`, as often as it was typed."""
    found = {}
    for text in given:
        card, equals, model = text.partition("=")
        if not (equals and card and model):
            raise usage_error(
                f"`--model` takes NAME=ID, not {text!r}", "such as nemotron-3-ultra=ultra-550b"
            )
        found[card] = model
    return found


def _set_key_command(setup: Setup, name: str, command: str) -> None:
    import shlex

    from nemocli.io.settings import set_value

    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise usage_error(f"--key-command: {error}", "put the command in quotes") from None
    set_value(setup.loaded.config_file, f"keys.{name}.command", argv)


def _yaml(new: _New, models: Mapping[str, str], *, local: bool) -> str:
    from nemocli.io.yaml import to_yaml

    row: dict[str, object] = {"schema": "nemocli.provider/1", "name": new.name}
    row |= {"extends": new.extends} if new.extends else {"dialect": "chat"}
    row["base_url"] = new.base_url.rstrip("/")
    if new.title:
        row["title"] = new.title
    if new.ca:
        row["ca"] = new.ca
    if local:
        row |= {"local": True, "discover": True, "free": True}
    if new.auth:
        row["auth"] = dict(new.auth)
    elif local:
        row["auth"] = {"required": False}
    if models:
        row["models"] = dict(models)
    return to_yaml(cast("Json", row))


@app.command(epilog=examples("nemocli providers rm near --yes"))
def rm(ctx: typer.Context, name: Name, yes: options.Yes = False) -> None:
    """Remove your file for a provider, and its stored key; a built-in provider of that name shows
    through again and keeps its key."""
    from nemocli.io.files import file_error

    setup: Setup = ctx.obj
    file = _file(setup, name)
    if not file.is_file():
        layer = setup.catalogue.provider(name).layer
        raise usage_error(f"{name} {LAYER.get(layer, 'is not yours')} and cannot be removed")
    confirm(setup, f"Remove {file}?", yes=yes)
    if not (setup.profile_folders.shipped / "providers" / file.name).is_file():
        _forget_key(setup, name)
    try:
        file.unlink()
    except OSError as error:
        raise file_error("cannot remove", file, error) from error
    setup.err.dim(f"removed {file}")


def _forget_key(setup: Setup, name: str) -> None:
    """Once its provider is gone, no command could name the key any more."""
    try:
        provider = setup.catalogue.provider(name)
    except NemoError:  # its file is broken: then it is the file that has to go
        return
    if setup.keys.forget(provider):
        setup.err.dim(f"removed the stored key of {name}")


def _file(setup: Setup, name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise usage_error(f"{name!r} is no provider's name", "small letters, digits, `-` and `_`")
    return setup.paths.profiles / "providers" / f"{name}.yaml"
