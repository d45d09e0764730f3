"""The rows of coding agents: those that come with the program, and the user's own over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nemocli.core.faults import Fault, NemoError, config_error
from nemocli.io.files import private_folder, write_private
from nemocli.io.yaml import read
from nemocli.serve.agents import Agent, AgentError, Start, agent_of


@dataclass(slots=True)
class Agents:
    """Agents by name, and what is wrong with files that could not be read, by the agent's name."""

    known: dict[str, Agent] = field(default_factory=dict)
    broken: dict[str, Fault] = field(default_factory=dict)


def agents_in(folders: Iterable[Path]) -> Agents:
    """The rows in some folders, later over earlier. A broken file costs its agent only."""
    found = Agents()
    for folder in folders:
        for file in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
            try:
                agent = _agent(file)
            except NemoError as error:
                found.broken[file.stem] = error.fault
                found.known.pop(file.stem, None)
            else:
                found.known[file.stem] = agent
                found.broken.pop(file.stem, None)
    return found


def _agent(file: Path) -> Agent:
    try:
        data = read(file.read_bytes(), str(file)).data
    except OSError as error:
        raise config_error(f"{file}: {error.strerror or error}") from error
    try:
        agent = agent_of(data)
    except AgentError as error:
        raise config_error(f"{file}: {error}") from error
    if agent.name != file.stem:
        raise config_error(f"{file}: its name is {agent.name!r}; a file is called as its agent")
    return agent


def prepare(folder: Path, start: Start) -> None:
    """Write what a start needs into the agent's own folder. Raises NemoError (config)."""
    private_folder(folder)
    for name, text in start.files.items():
        write_private(folder / name, text)
    for name, text in start.initial.items():
        if not (folder / name).exists():
            write_private(folder / name, text)
