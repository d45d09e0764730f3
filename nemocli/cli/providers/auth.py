"""`nemocli auth`: keys, from where and to where, and never the key itself unless asked for."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from nemocli.cli import options
from nemocli.cli.context import Setup
from nemocli.cli.help.text import examples
from nemocli.core.faults import ExitCode, Fault, FaultKind, NemoError, usage_error
from nemocli.core.provider import Provider
from nemocli.core.redact import Redactor
from nemocli.core.values import Json

if TYPE_CHECKING:
    from nemocli.core.ports import Key

LOOKS_LIKE_A_KEY = 24
"""Characters in one piece: no provider has so long a name, and most keys are longer."""
_PIECE = re.compile(rf"[^\s'\"()=,]{{{LOOKS_LIKE_A_KEY},}}")


class _NeverShowsAKey(TyperGroup):
    """A key where none belongs is not repeated in the complaint about it."""

    def invoke(self, ctx: Any) -> Any:
        """The sub-command; what the parser says of a key leaves without the key."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            if _like_a_key(error.format_message()):
                raise _key_typed() from None
            raise


app = typer.Typer(
    cls=_NeverShowsAKey,
    add_completion=False,
    rich_markup_mode=None,
    help="Keys: store, check, remove. A key is never an argument.",
    epilog=examples("nemocli auth status"),
)

Name = Annotated[str, typer.Argument(metavar="PROVIDER")]
MaybeName = Annotated[str | None, typer.Argument(metavar="[PROVIDER]", show_default=False)]


@app.command(
    epilog=examples(
        "nemocli auth login openrouter --with-token --storage file < key.txt",
    )
)
def login(
    ctx: typer.Context,
    provider: MaybeName = None,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Read the key from stdin.")
    ] = False,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="WHERE", help="keyring (default) or file."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Try the key first, where a free call does it."),
    ] = True,
) -> None:
    """Store a provider's key. It is asked for without being shown, or read from stdin; a provider
    with a free call for it is asked first whether the key is right."""
    setup: Setup = ctx.obj
    if storage not in (None, "keyring", "file"):
        raise _key_typed() if _like_a_key(storage) else _no_storage(storage)
    chosen = _asked(setup) if provider is None else _named(setup, provider)
    if not chosen.base_url:
        env = chosen.auth.env
        raise usage_error(
            f"{chosen.name} is started on this machine and needs no key stored",
            f"where yours wants one, set {env[0]}" if env else None,
        )
    key = _read_key(setup, chosen, with_token=with_token)
    prefix = chosen.auth.key_prefix
    if prefix and not key.startswith(prefix):
        setup.err.warn(f"keys of {chosen.name} begin with {prefix}; this one does not")
    if check:
        _try(setup, chosen, key)
    where = storage or setup.settings.text("storage") or "keyring"
    stored = setup.keys.store(chosen, key, "file" if where == "file" else "keyring")
    if stored.warning:
        setup.err.warn(stored.warning)
    setup.err.dim(f"stored in {stored.where}, for {chosen.origin} and nowhere else")
    if (name := _variable(setup, chosen)) is not None:
        setup.err.warn(f"{name} is set and is used instead of the stored key")
    setup.err.dim(f"`nemocli providers test {chosen.name}` makes a tiny call with it")


def _try(setup: Setup, provider: Provider, value: str) -> None:
    """Ask the provider whether the key is right. Raises NemoError where it says no; where it cannot
    be asked, the key is stored all the same."""
    path = provider.auth.check or ("/models" if provider.layer == "user" else None)
    if path is None or setup.globals.offline:
        return
    from nemocli.cli.event_loop import run_async
    from nemocli.core.ports import Key
    from nemocli.io.keys.store import check_key

    key = Key(check_key(value, "the key"), "just typed")
    try:
        status = run_async(lambda: _status_of(setup, provider, path, key))
    except NemoError as error:
        setup.err.warn(f"the key could not be tried: {error.fault.message}")
        return
    if status in (401, 403):
        raise NemoError(
            Fault(
                FaultKind.AUTH,
                f"{provider.name} refuses this key ({status}); nothing was stored",
                "copy it again, or store it all the same with `--no-check`",
                provider.name,
                status=status,
            )
        )
    if status == 200 and provider.auth.check is not None:
        setup.err.dim(f"{provider.name} takes this key")


async def _status_of(setup: Setup, provider: Provider, path: str, key: Key) -> int:
    from nemocli.cli.world import world_of
    from nemocli.core.ports import Call
    from nemocli.core.provider import Timeouts
    from nemocli.engine.door import authorise, check_key

    check_key(provider, provider.base_url, key)
    times = Timeouts(connect_s=3, first_byte_s=5, idle_s=5, total_s=8)
    call = Call("GET", provider.base_url + path, dict(provider.headers), timeouts=times)
    async with (
        world_of(setup) as world,
        world.transport.send(authorise(call, provider, key)) as reply,
    ):
        return reply.status


def _named(setup: Setup, name: str) -> Provider:
    if name not in setup.catalogue.providers and _like_a_key(name):
        raise _key_typed()
    return setup.catalogue.provider(name)


def _like_a_key(text: str) -> bool:
    return bool(_PIECE.search(text)) or Redactor().text(text) != text


def _key_typed() -> NemoError:
    return usage_error(
        "that looks like a key, and an argument can be read by others on this machine",
        "name the provider only: the key is asked for, or read with `--with-token` from stdin",
    )


def _no_storage(word: str) -> NemoError:
    return usage_error(f"--storage is keyring or file, not {word!r}")


def _variable(setup: Setup, provider: Provider) -> str | None:
    """The variable that has the provider's key now."""
    from nemocli.io.keys.store import variable

    names = (*provider.auth.env, variable(provider.name))
    return next((name for name in names if setup.env.get(name, "").strip()), None)


def _asked(setup: Setup) -> Provider:
    names = [p.name for p in setup.catalogue.providers.values() if p.auth.required]
    if not setup.may_ask:
        raise usage_error("name a provider", f"one of: {', '.join(names)}")
    setup.err.ask(f"Which provider? ({', '.join(names)})")
    name = sys.stdin.readline().strip()
    if not name:
        raise typer.Abort
    return _named(setup, name)


def _read_key(setup: Setup, provider: Provider, *, with_token: bool) -> str:
    if with_token:
        from nemocli.io.stdin import read_stdin

        if setup.terminal.stdin:
            raise usage_error(
                "`--with-token` reads a pipe or a file, and stdin is a terminal",
                "leave it out to be asked for the key",
            )
        return (read_stdin(wanted=True) or "").strip()
    if not setup.may_ask:
        raise usage_error(
            "there is no terminal to ask for the key on", "pipe it in with `--with-token`"
        )
    from nemocli.cli.terminal.secret import ask_secret

    if provider.auth.setup_url:
        setup.err.dim(f"keys are made at {provider.auth.setup_url}")
    return ask_secret(f"Key for {provider.name} (shown as stars): ").strip()


@app.command(epilog=examples("nemocli auth status", "nemocli auth status openrouter --json"))
def status(ctx: typer.Context, provider: MaybeName = None, json: options.Json = False) -> None:
    """Where each key comes from and where it may go; never the key."""
    setup: Setup = ctx.obj
    known = setup.catalogue.providers
    named = [_named(setup, provider)] if provider else list(known.values())
    rows = [row for p in named if (row := _status(setup, p, always=provider is not None))]
    if json:
        setup.out.json(list(rows))
    else:
        shown = [[str(row["provider"]), *_told(row)] for row in rows]
        setup.out.table(("PROVIDER", "KEY FROM", "ENDS IN", "ONLY FOR"), shown)
    if provider and not rows[0]["key"] and (rows[0]["required"] or rows[0]["problem"]):
        raise NemoError(_no_key(named[0], rows[0]["problem"]))


def _status(setup: Setup, provider: Provider, *, always: bool) -> dict[str, Json] | None:
    found = setup.keys.status(provider)
    if not always and not provider.auth.required and found.source is None and not found.problem:
        return None
    return {
        "provider": provider.name,
        "key": found.source,
        "where": found.where,
        "ends_in": f"…{found.last4}" if found.last4 else None,
        "origin": found.origin,
        "required": provider.auth.required,
        "variables": list(provider.auth.env),
        "problem": found.problem,
    }


def _told(row: dict[str, Json]) -> tuple[str, str, str]:
    if row["problem"]:
        source = f"problem: {row['problem']}"
    else:
        source = str(row["key"] or ("-" if row["required"] else "none needed"))
    return source, str(row["ends_in"] or "-"), str(row["origin"] or "-")


def _no_key(provider: Provider, problem: Json) -> Fault:
    message = str(problem) if problem else f"no key for {provider.name}"
    hint = f"`nemocli auth login {provider.name}`"
    if provider.auth.env:
        hint = f"set {provider.auth.env[0]}, or type {hint}"
    return Fault(FaultKind.AUTH, message, hint, provider.name, sent=False)


@app.command(epilog=examples("nemocli auth logout openrouter --yes"))
def logout(ctx: typer.Context, provider: Name, yes: options.Yes = False) -> None:
    """Remove a stored key. A key in the environment stays where it is."""
    setup: Setup = ctx.obj
    chosen = _named(setup, provider)
    confirm(setup, f"Remove the stored key of {chosen.name}?", yes=yes)
    removed = setup.keys.forget(chosen)
    setup.err.dim(f"{'removed the' if removed else 'there was no'} stored key of {chosen.name}")
    if (name := _variable(setup, chosen)) is not None:
        setup.err.warn(f"{name} is set and is still used")


@app.command(epilog=examples("nemocli auth token openrouter --yes | wc -c"))
def token(ctx: typer.Context, provider: Name, yes: options.Yes = False) -> None:
    """Print a key, for another program. On a terminal only with `--yes`."""
    setup: Setup = ctx.obj
    chosen = _named(setup, provider)
    if setup.terminal.stdout and not yes:
        raise usage_error("this would show the key on the terminal", "`--yes` does it all the same")
    key = setup.keys.key_for(chosen)
    if key is None:
        raise NemoError(_no_key(chosen, None))
    setup.out.line(key.value)


def confirm(setup: Setup, question: str, *, yes: bool) -> None:
    """Ask before something goes; where nobody can be asked, `--yes` must say so."""
    if yes:
        return
    if not setup.may_ask:
        raise usage_error("confirmation needed", "add `--yes`")
    setup.err.ask(f"{question} [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        setup.err.dim("nothing was changed")
        raise typer.Exit(ExitCode.OK)
