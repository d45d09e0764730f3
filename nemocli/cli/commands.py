"""Every command in one table: what `--help` lists, and where each is found when it is needed."""

from __future__ import annotations

from typing import NamedTuple


class CommandRow(NamedTuple):
    """One noun. `module` under `nemocli.cli` holds its `app`; an `alias` is not listed."""

    name: str
    module: str
    help: str
    group: str
    alias: str | None = None


COMMANDS: tuple[CommandRow, ...] = (
    CommandRow("ask", "ask.command", "One answer, for people and scripts", "Ask"),
    CommandRow(
        "batch", "batch.command", "Very many calls: resumable, priced, at the pace allowed", "Ask"
    ),
    CommandRow("chat", "chat.command", "A conversation in the terminal", "Ask"),
    CommandRow("sessions", "sessions.command", "Kept conversations: read, search, export", "Ask"),
    CommandRow("eval", "eval.command", "Adopt it or not? Tasks, pairs, a verdict", "Evaluate"),
    CommandRow("fit", "eval.fit", "Is this model right for the task?", "Evaluate"),
    CommandRow("serve", "serve.command", "Every path at one address, for your programs", "Paths"),
    CommandRow("launch", "serve.launch", "A coding agent behind that address", "Paths"),
    CommandRow(
        "models", "providers.models", "Which models there are, and which really answer", "Paths"
    ),
    CommandRow(
        "providers", "providers.providers", "The paths to a model, their order, and tests", "Paths"
    ),
    CommandRow("auth", "providers.auth", "Keys: store, check, remove", "Paths", alias="keys"),
    CommandRow("cost", "cost.command", "What calls cost, and how that is known", "Money"),
    CommandRow("nim", "nim.command", "A NIM of your own: plan, start, watch", "Weights"),
    CommandRow(
        "weights", "weights.command", "Weights that arrive whole: plan, pull, verify", "Weights"
    ),
    CommandRow("config", "setup.config", "Settings and where each comes from", "Set-up"),
    CommandRow("doctor", "setup.doctor", "Check this installation", "Set-up"),
    CommandRow(
        "completion", "setup.completion", "Shell completion for bash, zsh or fish", "Set-up"
    ),
    CommandRow("version", "setup.version", "Version, Python, system and folders", "Set-up"),
    CommandRow(
        "help", "help.command", "Help on a topic: exit-codes, environment, formats", "Set-up"
    ),
)

BY_NAME = {row.name: row for row in COMMANDS} | {row.alias: row for row in COMMANDS if row.alias}
