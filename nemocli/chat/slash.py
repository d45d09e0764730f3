"""What a line that begins with a slash means. Two slashes are a message that begins with one."""

from __future__ import annotations

from difflib import get_close_matches

from nemocli.core.faults import usage_error
from nemocli.core.value_class import value_class


@value_class(frozen=True, slots=True)
class SlashCommand:
    """One command: its name, what may follow it, and what it does."""

    name: str
    takes: str
    help: str


COMMANDS = (
    SlashCommand("help", "", "these commands, and the keys"),
    SlashCommand("model", "[MODEL]", "ask another model from here on"),
    SlashCommand("provider", "[NAME]", "take another path; the conversation goes along"),
    SlashCommand("system", "[TEXT]", "the system prompt: show it, or set another"),
    SlashCommand("reasoning", "show|hide|off|low|medium|high", "show reasoning, or how much of it"),
    SlashCommand("file", "PATH...", "send files or folders along with the next message"),
    SlashCommand("edit", "[N]", "write the message in $EDITOR; N: the Nth question, asked again"),
    SlashCommand("retry", "[-p NAME] [-m MODEL]", "ask the last question again"),
    SlashCommand("undo", "[N]", "take back the last question and its answer, or N of them"),
    SlashCommand("fork", "[NAME]", "go on in a copy, and leave this conversation as it is"),
    SlashCommand("compact", "", "put a summary in the place of old turns, after a yes"),
    SlashCommand("clear", "", "begin a new conversation"),
    SlashCommand("copy", "[code]", "copy the last answer, or its first code block"),
    SlashCommand("save", "NAME", "give the conversation a name"),
    SlashCommand("export", "FILE", "write the conversation into a file (.md or .json)"),
    SlashCommand("cost", "", "what this conversation came to"),
    SlashCommand("budget", "[USD]", "stop before this chat costs more than that"),
    SlashCommand("keep", "NAME", "with --compare: go on with this path alone"),
    SlashCommand("tools", "", "the tools there are, and what was allowed"),
    SlashCommand("quit", "", "leave; so does Ctrl-D"),
)
_ALSO = {"exit": "quit", "q": "quit", "?": "help", "new": "clear", "m": "model", "p": "provider"}
NAMES = tuple(command.name for command in COMMANDS)


@value_class(frozen=True, slots=True)
class Slash:
    """A command that was typed, and what followed it."""

    name: str
    rest: str = ""

    @property
    def words(self) -> list[str]:
        """What followed, word by word; quotes hold words together."""
        import shlex

        try:
            return shlex.split(self.rest)
        except ValueError:
            return self.rest.split()


def parse(text: str) -> Slash | str:
    """A command, or the message that the text is. Raises NemoError (usage) for a command there is
    not: a typo must not become a billed question."""
    line = text.strip()
    if line.startswith("//"):
        return line[1:]
    first = line.partition("\n")[0].partition(" ")[0]
    if not line.startswith("/") or "/" in first[1:]:
        return text
    name = _ALSO.get(first[1:], first[1:])
    if name in NAMES:
        return Slash(name, line[len(first) :].strip())
    near = get_close_matches(name, NAMES, 1)
    hint = f"did you mean `/{near[0]}`? " if near else ""
    raise usage_error(f"there is no `{first}`", f"{hint}`/help` lists them; `//` sends a slash")


def help_lines() -> list[str]:
    """Every command on a line."""
    wide = max(len(c.name) + len(c.takes) for c in COMMANDS) + 3
    return [f"{f'/{c.name} {c.takes}':<{wide}}{c.help}" for c in COMMANDS]
