"""Generates `man/`: `python -m nemocli.cli.setup.man_pages` writes it anew.

One page for the program and one for each command, from the very help texts; checked in, shipped in
the wheel, and compared with the live command tree by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemocli.cli.app import command_in
from nemocli.cli.commands import COMMANDS, CommandRow
from nemocli.cli.help.text import GLOBAL_OPTIONS
from nemocli.cli.setup.completion import folder
from nemocli.core.faults import ExitCode

SECTION = "1"


def pages() -> dict[str, str]:
    """File name to content."""
    found = {f"nemocli.{SECTION}": _lines(_program())}
    for row in COMMANDS:
        command = command_in(row.module)
        found[f"nemocli-{row.name}.{SECTION}"] = _lines(_command(row, command))
    return found


def _lines(parts: Iterator[str]) -> str:
    return "\n".join(parts) + "\n"


def _head(name: str, about: str) -> Iterator[str]:
    yield f'.TH "{name.upper()}" "{SECTION}" "" "nemocli" "User Commands"'
    yield ".SH NAME"
    yield f"{_plain(name)} \\- {_plain(about)}"


def _program() -> Iterator[str]:
    yield from _head("nemocli", "one command for every path to NVIDIA Nemotron 3 Ultra")
    yield from (".SH SYNOPSIS", ".B nemocli", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]...")
    yield ".SH COMMANDS"
    for row in COMMANDS:
        yield from (".TP", f".BR nemocli\\-{row.name} (1)", _plain(row.help))
    yield from (".SH OPTIONS", "Before or after the command.")
    for name, said in GLOBAL_OPTIONS:
        yield from (".TP", f"\\fB{_plain(name)}\\fR", _plain(said))
    yield ".SH EXIT STATUS"
    for code in ExitCode:
        yield from (".TP", f".B {int(code)}", _plain(code.name.replace("_", " ").lower()))
    yield from (
        ".SH SEE ALSO",
        "\\fBnemocli help\\fR lists topics; every command has \\fB\\-\\-help\\fR.",
    )


def _command(row: CommandRow, command: Any) -> Iterator[str]:
    name = f"nemocli-{row.name}"
    yield from _head(name, row.help)
    yield ".SH SYNOPSIS"
    yield from _synopsis(f"nemocli {row.name}", command)
    yield from (".SH DESCRIPTION", *_paragraphs(command.help or row.help))
    yield from _options(command, ".SH OPTIONS")
    for sub, inner in getattr(command, "commands", {}).items():
        yield from _part(
            f"nemocli {row.name} {sub}", inner, f'.SH "{row.name.upper()} {sub.upper()}"'
        )
        for last, deepest in getattr(inner, "commands", {}).items():
            title = f"{row.name} {sub} {last}"
            yield from _part(f"nemocli {title}", deepest, f".SS {_plain(title)}")
        yield from _examples(inner)
    yield from _examples(command)
    yield from (".SH SEE ALSO", ".BR nemocli (1)")


def _part(name: str, command: Any, title: str) -> Iterator[str]:
    """A command of a command."""
    yield title
    yield from _synopsis(name, command)
    yield ".PP"
    yield from _paragraphs(command.help or "")
    yield from _options(command, None)


def _synopsis(name: str, command: Any) -> Iterator[str]:
    words = ["[\\fIOPTIONS\\fR]"] if _flags(command) else []
    for param in command.params:
        if param.param_type_name == "argument":
            word = (param.metavar or param.name.upper()).strip("[]")
            words.append(
                f"\\fI{_plain(word)}\\fR" if param.required else f"[\\fI{_plain(word)}\\fR]"
            )
    if getattr(command, "commands", None):
        words.append("\\fICOMMAND\\fR ...")
    yield f"\\fB{_plain(name)}\\fR {' '.join(words)}".rstrip()


def _flags(command: Any) -> list[Any]:
    return [
        p
        for p in command.params
        if p.param_type_name == "option" and not p.hidden and "--help" not in p.opts
    ]


def _options(command: Any, title: str | None) -> Iterator[str]:
    flags = _flags(command)
    if flags and title is not None:
        yield title
    for param in flags:
        names = ", ".join(f"\\fB{_plain(o)}\\fR" for o in (*param.opts, *param.secondary_opts))
        value = (
            "" if param.is_flag or param.count else f" \\fI{_plain(param.metavar or 'VALUE')}\\fR"
        )
        yield from (".TP", names + value, _plain(" ".join((param.help or "").split())))


def _examples(command: Any) -> Iterator[str]:
    lines = [
        line.strip()[2:]
        for line in (command.epilog or "").splitlines()
        if line.strip().startswith("$ ")
    ]
    if lines:
        yield from (".PP", "Examples:", ".nf", ".RS")
        yield from (_plain(line) for line in lines)
        yield from (".RE", ".fi")


def _paragraphs(text: str) -> Iterator[str]:
    for number, part in enumerate(text.replace("\b", "").strip().split("\n\n")):
        if number:
            yield ".PP"
        yield _plain(" ".join(part.split()))


def _plain(text: str) -> str:
    """A text that roff shows as it is."""
    out = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{out}" if out.startswith((".", "'")) else out


def man_folder() -> Path:
    """Where the pages are in a checkout."""
    return folder().parent / "man"


def main() -> None:
    """Write the files."""
    target = man_folder()
    target.mkdir(exist_ok=True)
    for old in target.glob(f"*.{SECTION}"):
        old.unlink()
    for name, content in pages().items():
        (target / name).write_text(content, "utf-8")


if __name__ == "__main__":
    main()
