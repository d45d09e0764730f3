"""Coding agents as rows: how each is pointed at the gateway without touching its own settings.

A row says which variables, arguments and files an agent needs, with places to fill:
`${base_url}` (ends in `/v1`), `${root_url}` (without it), `${token}`, `${model}`, `${folder}`
(one of its own), `${context}` and `${output}` (tokens; a variable, a group of arguments or a file
that needs one that is not known is left out; `${context_or_guess}` and `${output_or_guess}` are
for agents that must be told a number).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from string import Template
from typing import Any

from nemocli.core.value_class import value_class

SCHEMA = "nemocli.agent/1"
CONTEXT_GUESS = 131_072
OUTPUT_GUESS = 16_384
"""Tokens, for agents that must be told: less than any model here has."""
PLACES = frozenset(
    {
        "base_url",
        "root_url",
        "token",
        "model",
        "folder",
        "context",
        "output",
        "context_or_guess",
        "output_or_guess",
    }
)
_FIELDS = frozenset(
    {
        "schema",
        "name",
        "title",
        "program",
        "install",
        "docs",
        "checked",
        "folder",
        "env",
        "args",
        "files",
        "initial",
        "session",
    }
)
_FILE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+-]+")
"""What a model's name may be made of where it is written into somebody's JSON or TOML."""


class AgentError(ValueError):
    """What is wrong with a row."""


@value_class(frozen=True, slots=True)
class SessionHeader:
    """Where an agent says which of its sessions a call belongs to; `user_agent` is how its own name
    begins, where others use the header for something else."""

    header: str
    user_agent: str = ""


@value_class(frozen=True, slots=True)
class Agent:
    """One agent. `folder` is the variable that moves its settings to a folder of its own, `files`
    are written there for every start, `initial` only where there is none yet."""

    name: str
    title: str
    program: str
    install: str
    docs: str
    checked: str | None = None
    folder: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    args: tuple[tuple[str, ...], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    initial: Mapping[str, str] = field(default_factory=dict)
    session: SessionHeader | None = None


@value_class(frozen=True, slots=True)
class Start:
    """What a start of an agent takes, filled in."""

    env: Mapping[str, str]
    args: tuple[str, ...]
    files: Mapping[str, str]
    initial: Mapping[str, str]


@value_class(frozen=True, slots=True)
class Address:
    """Where an agent is pointed: a gateway, a model, and what is known of it in tokens."""

    base_url: str
    token: str
    model: str
    context: int | None = None
    output: int | None = None


def agent_of(data: object) -> Agent:
    """A row. Raises AgentError."""
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        raise AgentError(f"not {SCHEMA}")
    if unknown := sorted(data.keys() - _FIELDS):
        raise AgentError(f"unknown field {unknown[0]!r}")
    for name in ("name", "title", "program", "install", "docs"):
        if not isinstance(data.get(name), str) or not data[name]:
            raise AgentError(f"`{name}` is missing")
    env, files, initial = _texts(data, "env"), _texts(data, "files"), _texts(data, "initial")
    args = tuple(_group(group) for group in data.get("args") or ())
    for text in (*env.values(), *files.values(), *(a for group in args for a in group)):
        _checked(text)
    if any("token" in _places(a) for group in args for a in group):
        raise AgentError("`args`: every user of this machine sees arguments; no token goes there")
    if odd := next((name for name in (*files, *initial) if not _FILE.fullmatch(name)), None):
        raise AgentError(f"`files`: {odd!r} is not a plain name")
    return Agent(
        data["name"],
        data["title"],
        data["program"],
        data["install"],
        data["docs"],
        data.get("checked"),
        data.get("folder"),
        env,
        args,
        files,
        initial,
        _session(data.get("session")),
    )


def prepare_start(agent: Agent, to: Address, folder: str, *, own_settings: bool = False) -> Start:
    """A start of an agent; with `own_settings` its own folder is left where it is. Raises
    AgentError for a model whose name cannot be written into settings."""
    if not _PLAIN.fullmatch(to.model):
        raise AgentError(f"the model's name {to.model!r} cannot be handed to {agent.title}")
    values: dict[str, object] = {
        "base_url": to.base_url,
        "root_url": to.base_url.removesuffix("/v1"),
        "token": to.token,
        "model": to.model,
        "folder": folder,
        "context_or_guess": to.context or CONTEXT_GUESS,
        "output_or_guess": to.output or OUTPUT_GUESS,
    }
    values |= {k: v for k, v in (("context", to.context), ("output", to.output)) if v}
    known = values.keys()
    env = {k: _filled(v, values) for k, v in agent.env.items() if _places(v) <= known}
    if agent.folder is not None and not own_settings:
        env[agent.folder] = folder
    groups = [group for group in agent.args if all(_places(a) <= known for a in group)]
    files = {k: _filled(v, values) for k, v in agent.files.items() if _places(v) <= known}
    absent = {f"{folder}/{name}" for name in agent.files.keys() - files.keys()}
    args = [tuple(_filled(a, values) for a in group) for group in groups]
    theirs = own_settings and agent.folder is not None
    return Start(
        env,
        tuple(a for group in args if not absent & set(group) for a in group),
        {} if theirs else files,
        {} if theirs else agent.initial,
    )


def _texts(data: Mapping[str, Any], name: str) -> dict[str, str]:
    found = data.get(name) or {}
    if not isinstance(found, Mapping) or not all(isinstance(v, str) for v in found.values()):
        raise AgentError(f"`{name}`: texts by name")
    return {str(k): str(v) for k, v in found.items()}


def _group(group: object) -> tuple[str, ...]:
    if not isinstance(group, list) or not all(isinstance(a, str) for a in group):
        raise AgentError("`args`: groups of texts, such as [-m, '${model}']")
    return tuple(group)


def _session(data: object) -> SessionHeader | None:
    if data is None:
        return None
    if not isinstance(data, Mapping) or not isinstance(data.get("header"), str):
        raise AgentError("`session`: a `header`")
    return SessionHeader(data["header"].lower(), str(data.get("user_agent") or "").lower())


def _places(text: str) -> set[str]:
    return set(Template(text).get_identifiers())


def _checked(text: str) -> None:
    if not Template(text).is_valid():
        raise AgentError(f"a lone `$` in {text[:60]!r}: write `$$`")
    if odd := sorted(_places(text) - PLACES):
        raise AgentError(f"no place is called ${{{odd[0]}}}; there are {', '.join(sorted(PLACES))}")


def _filled(text: str, values: Mapping[str, object]) -> str:
    return Template(text).substitute(values)
