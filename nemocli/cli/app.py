"""The program: options for every command, then the one command that was meant."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nemocli.cli.commands import BY_NAME, COMMANDS
from nemocli.cli.context import Globals, Setup
from nemocli.cli.help.text import root_help
from nemocli.cli.late_commands import command_of
from nemocli.cli.terminal.output import ReaderGone, Unwritable
from nemocli.core.faults import ExitCode, Fault, FaultKind, NemoError, usage_error

SIGPIPE_EXIT = 141
"""What a shell reports of a program that SIGPIPE ended (128 + 13)."""

_SWITCHES = frozenset({"-q", "--quiet", "-v", "--verbose", "--debug", "--no-input", "--offline"})
_VALUED = ("--color", "--config")


class Root(TyperGroup):
    """Commands are imported when they are asked for, never to list them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the table."""
        return [row.name for row in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported now; None when there is none of that name."""
        row = BY_NAME.get(cmd_name)
        return None if row is None else command_in(row.module)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was meant; a typo is refused with the nearest names, never guessed."""
        if args[0] not in BY_NAME and not args[0].startswith("-"):
            raise _no_command(args[0])
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The commands grouped by what they are for."""
        formatter.write(root_help())


def command_in(module: str) -> Any:
    """The command a module of this package holds."""
    return command_of(import_module(f"nemocli.cli.{module}").app)


root = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@root.callback()
def begin(
    ctx: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False,
    debug: Annotated[bool, typer.Option("--debug")] = False,
    color: Annotated[str | None, typer.Option("--color", metavar="WHEN")] = None,
    no_input: Annotated[bool, typer.Option("--no-input")] = False,
    offline: Annotated[bool, typer.Option("--offline")] = False,
    config: Annotated[str | None, typer.Option("--config", metavar="FILE")] = None,
    version: Annotated[bool, typer.Option("--version")] = False,
) -> None:
    """One command for every path to NVIDIA Nemotron 3 Ultra."""
    setup: Setup = ctx.obj
    if color not in (None, "auto", "always", "never"):
        raise usage_error(f"--color is auto, always or never, not {color!r}")
    setup.begin(Globals(quiet, verbose, debug, color, no_input, offline, config))
    if version:
        from nemocli.version import __version__

        setup.out.line(f"nemocli {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        from nemocli.cli.help.text import short_help

        setup.out.text(short_help(setup))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    _reopen_closed_streams()
    args = _hoisted(list(sys.argv[1:] if argv is None else argv))
    typed = args[: args.index("--")] if "--" in args else args
    setup = Setup(os.environ, json="--json" in typed or "--jsonl" in typed)
    try:
        code = typer.main.get_command(root).main(
            args, prog_name="nemocli", standalone_mode=False, obj=setup
        )
        setup.out.flush()
        if code == ExitCode.INTERRUPTED and not setup.err.failed:
            return _failed(setup, typer.Abort())  # Typer makes a silent exit of a Ctrl-C
    except ReaderGone:
        return SIGPIPE_EXIT
    except Exception as error:  # noqa: BLE001 - the last door: a bug gets one line, not a page
        return _failed(setup, error)
    except KeyboardInterrupt:
        return _failed(setup, typer.Abort())
    _remember(setup)
    return code if isinstance(code, int) else ExitCode.OK


def _remember(setup: Setup) -> None:
    """Names for the next completion, where this command has read them anyway."""
    if setup.has_profiles:
        from nemocli.cli.setup.completion import refresh

        refresh(setup)


def _failed(setup: Setup, error: Exception) -> int:
    match error:
        case NemoError(fault=fault) | Unwritable(fault=fault):
            pass
        case typer.TyperException() if type(error).__name__ == "NoArgsIsHelpError":
            setup.err.text(error.format_message())  # which of them was not said: here they are
            return ExitCode.USAGE
        case typer.TyperException():
            fault = _usage_fault(error)
        case typer.Abort():
            fault = Fault(FaultKind.INTERRUPTED, "interrupted")
        case RecursionError():
            fault = Fault(FaultKind.CONFIG, "the input is nested too deeply", sent=False)
        case _:
            fault = _bug(setup, error)
    setup.err.error(_keyless(fault))
    return fault.exit_code


def _keyless(fault: Fault) -> Fault:
    """A key typed in the wrong place is not repeated into a log."""
    if fault.kind is not FaultKind.USAGE:
        return fault
    from nemocli.core.redact import without_key_shapes

    hint = fault.hint and without_key_shapes(fault.hint)
    return replace(fault, message=without_key_shapes(fault.message), hint=hint)


def _bug(setup: Setup, error: Exception) -> Fault:
    import traceback

    from nemocli.core.redact import Redactor

    where = traceback.extract_tb(error.__traceback__)[-1]
    if setup.globals.debug:
        setup.err.debug(Redactor(setup.secrets()).text(traceback.format_exc()))
    return Fault(
        FaultKind.INTERNAL,
        f"unexpected {type(error).__name__} at {os.path.basename(where.filename)}:{where.lineno}",  # noqa: PTH119
        "this is a bug: the same line with `--debug` in front shows more",
    )


def _usage_fault(error: typer.TyperException) -> Fault:
    """What typer says, as one line of ours."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nemocli"
    message = " ".join(error.format_message().split()).rstrip(".")
    if path.endswith(" ask") and "unexpected extra argument" in message:
        return Fault(
            FaultKind.USAGE,
            "the prompt is more than one word, and not in quotes",
            'write `nemocli ask "..."`',
            sent=False,
        )
    return Fault(FaultKind.USAGE, message, f"`{path} --help` shows how", sent=False)


def _no_command(name: str) -> NemoError:
    from difflib import get_close_matches

    near = get_close_matches(name, list(BY_NAME), 1)
    hint = f"did you mean `nemocli {near[0]}`?" if near else "`nemocli --help` lists them"
    if not near and " " in name:
        hint = "to ask the model, use `nemocli ask`"
    return usage_error(f"no command {name!r}", hint)


def _hoisted(args: list[str]) -> list[str]:
    """Options for every command may stand anywhere before `--`: typer wants them first."""
    front: list[str] = []
    rest: list[str] = []
    left = iter(args)
    for arg in left:
        if arg == "--":
            rest += [arg, *left]
        elif arg in _SWITCHES or arg.startswith(tuple(f"{name}=" for name in _VALUED)):
            front.append(arg)
        elif arg in _VALUED:
            front += [arg, *[value for value in [next(left, None)] if value is not None]]
        else:
            rest.append(arg)
    return front + rest


def _reopen_closed_streams() -> None:
    """A descriptor 0, 1 or 2 that was closed must not become that of a database or a socket."""
    for handle, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, mode)
