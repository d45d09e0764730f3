"""`nemocli providers`: the paths to a model, which of them are ready, and tests of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nemocli.cli import options
from nemocli.cli.auth import confirm
from nemocli.cli.helping import examples
from nemocli.cli.setup import Setup
from nemocli.core.faults import ExitCode, config_error, usage_error

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="The paths to a model, their order, and tests.",
    epilog=examples("nemocli providers ls"),
)

Name = Annotated[str, typer.Argument(metavar="NAME")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")]


@app.command(epilog=examples("nemocli providers ls", "nemocli providers ls --json"))
def ls(ctx: typer.Context, json: options.Json = False) -> None:
    """Every provider, and whether it is ready: a key at hand, a live server, or what it needs."""
    from nemocli.cli.provider_facts import provider_rows, ready_rows

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
    for line in ready_rows(rows, setup.terminal.width if setup.terminal.stdout else None):
        setup.out.line(line)


@app.command(epilog=examples("nemocli providers info openrouter"))
def info(ctx: typer.Context, name: Name, json: options.Json = False) -> None:
    """What is known of one provider: address, key, limits, models and prices with their sources."""
    from nemocli.cli.provider_facts import provider_info, provider_lines

    setup: Setup = ctx.obj
    said = provider_info(setup, setup.catalogue.provider(name))
    if json:
        setup.out.json(said)
        return
    for line in provider_lines(said):
        setup.out.line(line)


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
    from nemocli.cli.probing import probe_providers

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
    if names or clear:
        _set_order(setup, list(names or ()))
        return
    given = setup.settings.words("provider")
    if json:
        setup.out.json({"order": list(given), "origin": setup.settings.origin("provider")})
        return
    for name in given:
        setup.out.line(name)
    if not given:
        setup.err.dim("none set: the first with a key or a live local server is asked")


def _set_order(setup: Setup, names: list[str]) -> None:
    from nemocli.io.settings import set_value

    for name in names:
        setup.catalogue.provider(name)
    set_value(setup.loaded.config_file, "provider", list(names))
    said = ", ".join(names) or "the built-in order"
    setup.err.dim(f"provider: {said} in {setup.loaded.config_file}")


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
    title: Annotated[str | None, typer.Option("--title", help="What people call it.")] = None,
    local: Annotated[
        bool, typer.Option("--local", help="A server of yours: no key, models are asked for.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace your file of that name.")] = False,
) -> None:
    """Write a provider's file. Everything else it can say: `nemocli config schema provider`."""
    from nemocli.io.files import write_private
    from nemocli.io.profile_files import problem_in
    from nemocli.io.profiles import shipped_folder

    setup: Setup = ctx.obj
    file = _file(setup, name)
    if file.exists() and not force:
        raise config_error(f"{file} is there already", "`--force` replaces it")
    if extends is not None:
        setup.catalogue.provider(extends)
    text = _yaml(name, base_url, extends=extends, env=env or [], title=title, local=local)
    beside = file.with_suffix(".new")
    write_private(beside, text)
    fault = problem_in(beside, shipped_folder() / "schemas")
    if fault is not None:
        beside.unlink()
        raise usage_error(fault.message.partition(": ")[2] or fault.message, fault.hint)
    beside.replace(file)
    setup.out.line(str(file))
    if env or not local:
        setup.err.dim(f"next: `nemocli auth login {name}`, then `nemocli providers test {name}`")
    else:
        setup.err.dim(f"next: `nemocli providers test {name}`")


def _yaml(
    name: str,
    base_url: str,
    *,
    extends: str | None,
    env: list[str],
    title: str | None,
    local: bool,
) -> str:
    import json

    lines = ["schema: nemocli.provider/1", f"name: {json.dumps(name)}"]
    lines.append(f"extends: {extends}" if extends else "dialect: chat")
    lines.append(f"base_url: {json.dumps(base_url.rstrip('/'))}")
    if title:
        lines.append(f"title: {json.dumps(title, ensure_ascii=False)}")
    if local:
        lines += ["local: true", "discover: true", "free: true"]
    if env:
        lines += ["auth:", f"  env: {json.dumps(env)}"]
    elif local:
        lines.append("auth: {required: false}")
    return "\n".join(lines) + "\n"


@app.command(epilog=examples("nemocli providers rm near --yes"))
def rm(ctx: typer.Context, name: Name, yes: options.Yes = False) -> None:
    """Remove your file for a provider; a built-in one then shows through again."""
    setup: Setup = ctx.obj
    file = _file(setup, name)
    if not file.is_file():
        setup.catalogue.provider(name)
        raise usage_error(
            f"{name} is built in, and there is no file of yours for it", "it cannot be removed"
        )
    confirm(setup, f"Remove {file}?", yes=yes)
    file.unlink()
    setup.err.dim(f"removed {file}")
    raise typer.Exit(ExitCode.OK)


def _file(setup: Setup, name: str) -> Path:
    import re

    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise usage_error(f"{name!r} is no provider's name", "small letters, digits, `-` and `_`")
    return setup.paths.profiles / "providers" / f"{name}.yaml"
