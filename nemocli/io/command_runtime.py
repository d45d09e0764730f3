"""Servers that another program starts and lists, driven through its JSON output."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Target
from nemocli.core.ports import Endpoint, Key
from nemocli.core.provider import Provider
from nemocli.core.text import one_line
from nemocli.core.values import Json, JsonObject
from nemocli.io.fetching import Teller
from nemocli.io.process import run

ASK_S = 60.0
LAUNCH_S = 900.0
"""A server loads its weights before it answers that it runs."""

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Held:
    """A model the program knows: `name` as it is launched (MODEL/QUANT), and its state."""

    name: str
    running: bool
    downloaded: bool


class CommandRuntime:
    """One provider's program: its commands and the fields of its answers are in the profile."""

    def __init__(self, provider: Provider, env: Mapping[str, str], teller: Teller) -> None:
        assert provider.runtime is not None
        self._provider = provider
        self._settings = provider.runtime.settings
        self._env = env
        self._teller = teller

    async def endpoint(self, target: Target) -> Endpoint:
        """The running server of the model, or one that is launched for it.

        Nothing is downloaded: that may be hundreds of gigabytes. Raises NemoError.
        """
        wanted = self._pattern(target)
        for server in _objects(await self._asked("servers")):
            name, number = self._text(server, "server_model"), self._text(server, "server_id")
            if name and number and re.search(wanted, name, re.IGNORECASE) and self._up(server):
                return self._at(await self._asked("server", server=number))
        model = self._choice(target, [m async for m in self._listed()], wanted)
        self._teller.say(f"{self._provider.name}: launching {model.name}")
        return self._at(await self._asked("launch", LAUNCH_S, model=model.name))

    async def models(self) -> list[Held]:
        """The models the program lists that are not blocked."""
        return [m async for m in self._listed()]

    async def _listed(self) -> Any:  # noqa: ANN401 - an async generator of Held
        for row in _objects(await self._asked("models")):
            name = self._text(row, "model_name")
            for quant in _objects(row.get(self._field("quantizations"))):
                if name and not quant.get(self._field("blocked")):
                    yield Held(
                        f"{name}/{self._text(quant, 'quantization') or ''}".rstrip("/"),
                        bool(quant.get(self._field("running"))),
                        bool(quant.get(self._field("downloaded"))),
                    )

    def _pattern(self, target: Target) -> str:
        if target.model:
            return re.escape(target.model).replace("/", ".*")
        return str(self._settings.get("match", "."))

    def _choice(self, target: Target, held: list[Held], wanted: str) -> Held:
        """The model that is meant, downloaded ones first."""
        fitting = [m for m in held if re.search(wanted, m.name, re.IGNORECASE)]
        ready = [m for m in fitting if m.downloaded]
        if ready:
            return ready[0]
        name = self._provider.name
        if fitting:
            command = " ".join(self._argv("download", model=fitting[0].name)[:-1])
            raise self._fault(f"{fitting[0].name} is not downloaded", f"`{command}` fetches it")
        known = ", ".join(m.name for m in held[:6]) or "nothing"
        raise self._fault(
            f"no model like {target.model or target.name} is listed by {name}",
            f"it lists {known}; name one with `-m`",
        )

    def _up(self, server: JsonObject) -> bool:
        status = (self._text(server, "server_status") or "running").lower()
        return status in ("running", "ready", "started", "starting")

    def _at(self, server: Json) -> Endpoint:
        url = self._text(next(iter(_objects(server)), {}), "server_url")
        if not url:
            raise self._fault("the answer of its program has no address", None)
        key = self._settings.get("key")
        return Endpoint(url.rstrip("/"), Key(str(key), "its own client's") if key else None)

    async def _asked(self, what: str, timeout_s: float = ASK_S, **names: str) -> Json:
        argv = self._argv(what, **names)
        program = shutil.which(argv[0], path=self._env.get("PATH"))
        if program is None:
            raise self._fault(f"`{argv[0]}` is not installed", self._provider.start_hint)
        shown = f"`{' '.join(argv)}`"
        try:
            done = await run([program, *argv[1:]], {**self._env, "NO_COLOR": "1"}, timeout_s)
        except OSError as error:
            raise self._fault(f"{shown} cannot run: {error.strerror}", None) from error
        if done.code is None:
            raise self._fault(f"{shown} took more than {timeout_s:.0f} s", None)
        if done.code:
            said = one_line(done.last_line or done.out.decode("utf-8", "replace"), 200)
            raise self._fault(f"{shown} failed: {said or f'exit {done.code}'}", None)
        try:
            value: Json = json.loads(_ESCAPES.sub("", done.out.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            raise self._fault(f"{shown} did not answer with JSON", None) from None
        return value

    def _argv(self, what: str, **names: str) -> list[str]:
        argv = self._settings.get(what)
        assert isinstance(argv, list | tuple)
        parts = [str(part) for part in argv]
        for name, value in names.items():
            parts = [part.replace(f"{{{name}}}", value) for part in parts]
        return parts

    def _field(self, what: str) -> str:
        fields = self._settings.get("fields")
        return str(fields.get(what, what)) if isinstance(fields, Mapping) else what

    def _text(self, row: JsonObject, what: str) -> str | None:
        value = row.get(self._field(what))
        return str(value) if value not in (None, "") else None

    def _fault(self, message: str, hint: str | None) -> NemoError:
        name = self._provider.name
        hint = hint or self._provider.start_hint
        return NemoError(Fault(FaultKind.UNAVAILABLE, message, hint, name, sent=False))


def _objects(value: Json) -> Iterator[JsonObject]:
    rows: Iterable[Json] = value if isinstance(value, list | tuple) else [value]
    return (row for row in rows if isinstance(row, Mapping))
