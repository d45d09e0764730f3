"""A container engine through its own program, Docker's or Podman's: argument lists, no shell.

Only containers with our label are listed, looked at, or taken away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.io.process import ProgramEnd, run
from nemocli.io.programs import bare_environment, find_program
from nemocli.nim.plan import LABEL
from nemocli.nim.words import trouble_in

QUICK_S = 30.0
PULL_S = 6 * 3600.0
_OWN = ("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
        "CONTAINER_HOST", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")  # fmt: skip


@value_class(frozen=True, slots=True)
class Container:
    """One of ours, as the engine lists it."""

    container_id: str
    name: str
    model: str
    image: str
    state: str
    status: str
    ports: str


class Engine:
    """Docker or Podman. `keys` are variables that a container may be given by name."""

    def __init__(self, name: str, env: Mapping[str, str], keys: Sequence[str] = ()) -> None:
        self.name = name
        program = find_program(name, env)
        if program is None:
            raise config_error(
                f"`{name}` is not installed", "install it, or `--dry-run` shows the command"
            )
        self._program = program
        kept = {k: env[k] for k in (*_OWN, *keys) if k in env}
        self._env = bare_environment(env) | kept

    async def _said(self, *args: str, timeout_s: float = QUICK_S) -> bytes:
        done = await run([self._program, *args], self._env, timeout_s)
        if done.code != 0:
            raise NemoError(self._fault(args[0], done))
        return done.out

    def _fault(self, what: str, done: ProgramEnd) -> Fault:
        if done.code is None:
            return Fault(FaultKind.TIMEOUT, f"`{self.name} {what}` did not end in time", sent=False)
        said = one_line(done.complaint, 300)
        known = trouble_in(done.err or said)
        if known is None:
            return Fault(FaultKind.CONFIG, f"`{self.name} {what}` failed: {said}", None, sent=False)
        return Fault(FaultKind.CONFIG, f"{known.cause}: {said}", known.remedy, sent=False)

    async def containers(self) -> list[Container]:
        """Those with our label, running or not."""
        out = await self._said(
            "ps", "-a", "--no-trunc", "--filter", f"label={LABEL}", "--format", "{{json .}}"
        )
        return [_container(json.loads(line)) for line in out.splitlines() if line.strip()]

    async def start(self, argv: Sequence[str]) -> str:
        """Start a container by its command line; its id."""
        out = await self._said(*argv[1:], timeout_s=PULL_S)
        return out.decode("utf-8", "replace").strip().splitlines()[-1]

    async def again(self, container: Container) -> None:
        """Start one that is stopped."""
        await self._said("start", container.container_id)

    async def remove(self, container: Container) -> None:
        """Stop one of ours and take it away."""
        await self._said("rm", "-f", container.container_id, timeout_s=120)

    async def logs(self, container: Container, lines: int) -> str:
        """The last lines of what one said."""
        done = await run(
            [self._program, "logs", "--tail", str(lines), container.container_id],
            self._env,
            QUICK_S,
        )
        if done.code != 0:
            raise NemoError(self._fault("logs", done))
        return done.out.decode("utf-8", "replace") + done.err

    async def info(self) -> dict[str, Any]:
        """What the engine says of itself."""
        out = await self._said("info", "--format", "{{json .}}")
        value: dict[str, Any] = json.loads(out)
        return value


def _container(row: Mapping[str, Any]) -> Container:
    """A row of Docker's listing, or of Podman's."""
    names = row.get("Names") or row.get("Name") or ""
    labels = row.get("Labels") or ""
    if isinstance(labels, Mapping):
        model = str(labels.get(LABEL, ""))
    else:
        pairs = (part.partition("=") for part in str(labels).split(","))
        model = next((value for key, _, value in pairs if key == LABEL), "")
    return Container(
        str(row.get("ID") or row.get("Id") or ""),
        names[0] if isinstance(names, list) and names else str(names),
        model,
        str(row.get("Image") or ""),
        str(row.get("State") or ""),
        str(row.get("Status") or ""),
        str(row.get("Ports") or ""),
    )
