"""The words of `nemocli` alone and of `nemocli --help`, and examples under every command's help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemocli.cli.commands import COMMANDS

if TYPE_CHECKING:
    from nemocli.cli.context import Setup

GLOBAL_OPTIONS = (
    ("-q, --quiet", "Answers and failures only"),
    ("-v, --verbose", "Say more on stderr"),
    ("--debug", "Log every HTTP exchange to stderr, secrets removed"),
    ("--color WHEN", "auto, always or never"),
    ("--no-input", "Never ask a question"),
    ("--offline", "Never leave this machine"),
    ("--config FILE", "Settings from this file instead of the user's"),
    ("--version", "Version, in one line"),
    ("-h, --help", "This text, and that of every command"),
)


def examples(*lines: str) -> str:
    """An epilog in which the lines stand as they are; a test runs each of them."""
    return "\b\nExamples:\n" + "\n".join(f"  $ {line}" for line in lines)


def root_help() -> str:
    """All commands by group."""
    width = max(len(row.name) for row in COMMANDS)
    lines = [
        "Usage: nemocli [OPTIONS] COMMAND [ARGS]...",
        "",
        "  One command for every path to NVIDIA Nemotron 3 Ultra, and one book of what it cost.",
        "",
        "Example:",
        '  $ nemocli ask "What is a mixture of experts?"',
    ]
    for group in dict.fromkeys(row.group for row in COMMANDS):
        lines += ["", f"{group}:"]
        rows = (row for row in COMMANDS if row.group == group)
        lines += [f"  {row.name:<{width}}  {row.help}" for row in rows]
    wide = max(len(name) for name, _ in GLOBAL_OPTIONS)
    lines += ["", "Options, before or after the command:"]
    lines += [f"  {name:<{wide}}  {said}" for name, said in GLOBAL_OPTIONS]
    return "\n".join(lines) + "\n"


def short_help(setup: Setup) -> str:
    """What to type next."""
    from nemocli.version import __version__

    return (
        f"nemocli {__version__}: one command for every path to NVIDIA Nemotron 3 Ultra\n"
        "\n"
        '  nemocli ask "..."       one answer\n'
        "  nemocli providers ls    the paths, and which of them are ready\n"
        "  nemocli auth login      store a key\n"
        "  nemocli cost            what was spent\n"
        "  nemocli --help          everything else\n"
        "\n" + _next_step(setup)
    )


def _next_step(setup: Setup) -> str:
    from nemocli.cli.choice import default_card, providers_with_key, say_broken
    from nemocli.core.faults import NemoError

    say_broken(setup)
    try:
        card = default_card(setup)
        ready = providers_with_key(setup, card)
    except NemoError:
        return "Next: nemocli config validate\n"
    if ready:
        return f'Next: nemocli ask "hello"    (goes to {ready[0].name})\n'
    first = next(iter(card.offers), None) if card is not None else None
    known = setup.catalogue.providers
    provider = known[first.provider] if first is not None and first.provider in set(known) else None
    if provider is None:
        return 'Next: nemocli ask "hello"\n'
    where = f"; get one at {provider.auth.setup_url}" if provider.auth.setup_url else ""
    return (
        f"Next: nemocli auth login {provider.name}{where}\n"
        '      or without a key: nemocli ask "hello"    (a small local test model)\n'
    )
