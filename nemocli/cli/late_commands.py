"""Commands below a command, each made when it is asked for: typer makes all of them at once, and
twenty take as long as everything else a short command does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any, cast

import typer


def command_of(app: typer.Typer) -> Any:
    """What `typer.main.get_command` makes of an app; a group's commands are made late."""
    if not app.registered_groups and len(app.registered_commands) < 2:
        return typer.main.get_command(app)
    bare = copy(app)
    bare.registered_commands, bare.registered_groups = [], []
    group = typer.main.get_group(bare)
    group.no_args_is_help = not group.invoke_without_command
    group.commands = cast(Any, _Late(app))  # it is only read
    return group


class _Late(Mapping[str, Any]):
    """Names to commands."""

    def __init__(self, app: typer.Typer) -> None:
        self._app = app
        self._made: dict[str, Any] = {}
        self._infos: dict[str, Any] = {}
        for command in app.registered_commands:
            named = command.name or typer.main.get_command_name(command.callback.__name__)  # type: ignore[union-attr]
            self._infos[named] = command
        for group in app.registered_groups:
            self._infos[str(group.name)] = group

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            made = self._make(self._infos[name])
            # In the list of commands it stands whole, on as many lines as it takes.
            made.short_help = made.short_help or _sentence(made.help or "")
            self._made[name] = made
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def _make(self, info: Any) -> Any:
        only = copy(self._app)
        only.registered_callback, only.info = None, typer.Typer().info
        only.registered_commands, only.registered_groups = [], []
        if info in self._app.registered_commands:
            only.registered_commands.append(info)
            return typer.main.get_command(only)
        only.registered_groups.append(info)
        group: Any = next(iter(typer.main.get_group(only).commands.values()))
        group.no_args_is_help = not group.invoke_without_command
        return group


def _sentence(text: str) -> str:
    """The first one."""
    words = text.partition("\n\n")[0].split()
    ends = (n for n, word in enumerate(words, 1) if word.endswith("."))
    return " ".join(words[: next(ends, len(words))])
