"""Servers that another program starts and lists, driven through its JSON output."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.plan import Target
from nemocli.core.ports import Endpoint, Key
from nemocli.core.provider import Provider
from nemocli.core.redact import Redactor
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject
from nemocli.io.process import run
from nemocli.io.programs import find_program, without_keys
from nemocli.io.servers.fetch import Teller

Test = Callable[[str], bool]

ASK_S = 60.0
DOWNLOAD_S = 7 * 86_400.0
"""It says nothing while it fetches; how long that takes is the line's affair."""
LAUNCH_S = 900.0
"""A server loads its weights before it answers that it runs."""

READY = frozenset({"running", "ready", "started"})

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_QUANT = r"(?:i?q|b?f|fp|mxfp|nvfp|int)\d\w*"


@value_class(frozen=True, slots=True)
class _Running:
    """A server that answers: what it serves, as the program names it, and its id."""

    model: str
    number: str


@value_class(frozen=True, slots=True)
class KnownModel:
    """A model the program knows: `name` as it is launched (MODEL/QUANT), and its state."""

    name: str
    running: bool
    downloaded: bool


@value_class(frozen=True, slots=True)
class HeldFile:
    """A model's file as the program lists it. `size` is in bytes, None where it is not said."""

    model: str
    name: str
    size: int | None
    downloaded: bool


class CommandRuntime:
    """One provider's program: its commands and the fields of its answers are in the profile."""

    def __init__(
        self,
        provider: Provider,
        env: Mapping[str, str],
        teller: Teller,
        key_names: Collection[str] = (),
    ) -> None:
        """`key_names` are the variables with keys of other providers: the program is not told
        those."""
        assert provider.runtime is not None
        self._allowed = without_keys(env, set(key_names) - set(provider.auth.env))
        self._provider = provider
        self._settings = provider.runtime.settings
        self._env = env
        self._teller = teller

    async def endpoint(self, target: Target) -> Endpoint:
        """The running server of the model, or one that is launched for it and stays.

        Nothing is downloaded: that may be hundreds of gigabytes. Raises NemoError.
        """
        fits, meant = self._tests(target)
        servers = [s for s in await self._servers() if fits(s.model)]
        found = next((s for s in servers if meant(s.model)), None)
        if found is None:
            held = await self.models()
            ready = [m for m in held if m.downloaded and fits(m.name)]
            best = next((m for m in ready if meant(m.name)), None)
            if best is None and (servers or ready):
                other = servers[0].model if servers else ready[0].name
                self._teller.say(f"{self._provider.name} has no {target.name}; {other} answers")
            if best is None and servers:
                found = servers[0]
            elif best is None and not ready:
                raise self._none(target, held, fits)
            else:
                found = await self._launched(best or ready[0])
        return self._at(await self._asked("server", server=found.number))

    def _tests(self, target: Target) -> tuple[Test, Test]:
        """Which names can stand for the target, and which of them are what was meant."""
        if target.model:
            named = _named(target.model)
            return (lambda name: bool(named.search(name)),) * 2
        try:
            fits = re.compile(str(self._settings.get("match", ".")), re.IGNORECASE)
        except re.error as error:
            name = self._provider.name
            raise config_error(
                f"{name}: `runtime.settings.match` is no pattern: {error}"
            ) from error
        own = _bare(target.card.name) if target.card is not None else ""
        return (lambda name: bool(fits.search(name))), (lambda name: own in _bare(name))

    async def _servers(self) -> list[_Running]:
        rows = []
        for row in _objects(await self._asked("servers")):
            model, number = self._text(row, "server_model"), self._text(row, "server_id")
            status = (self._text(row, "server_status") or "running").lower()
            if model and number and status in READY:
                rows.append(_Running(model, number))
        return rows

    async def _launched(self, held: KnownModel) -> _Running:
        name = self._provider.name
        self._teller.say(f"{name}: launching {held.name}")
        # What it answers is not looked at: 0.7.0 silences its console for `launch --json`.
        await self._said("launch", LAUNCH_S, model=held.name)
        wanted = _named(held.name)
        for server in await self._servers():
            if wanted.search(server.model):
                stop = self.display("stop", server=server.number)
                self._teller.say(f"{name}: {held.name} runs until `{stop}`")
                return server
        raise self._fault(f"{held.name} was launched and is not among its servers", None)

    async def models(self) -> list[KnownModel]:
        """The models the program lists that are not blocked. Raises NemoError."""
        return [
            self._held(name, quant)
            for row in _objects(await self._asked("models"))
            if (name := self._text(row, "model_name"))
            for quant in _objects(row.get(self._field("quantizations")))
            if not quant.get(self._field("blocked"))
        ]

    async def file(self, model: str) -> HeldFile:
        """The file of MODEL/QUANT. Raises NemoError when the program lists none."""
        wanted = _named(model)
        for row in _objects(await self._asked("model", model=model.partition("/")[0])):
            for quant in _objects(row.get(self._field("quantizations"))):
                name = self._text(quant, "file_name")
                if name and wanted.search(name):
                    size = self._text(quant, "file_bytes")
                    there = bool(quant.get(self._field("downloaded")))
                    number = int(size) if size and size.isdecimal() else None
                    return HeldFile(model, name, number, there)
        listing = self.display("models")
        raise self._fault(f"it lists no file for {model}", f"`{listing}` shows MODEL/QUANT")

    async def download(self, model: str, to: str | None) -> None:
        """Let the program fetch a model; `to` names a second place for its file."""
        if to is None:
            await self._said("download", DOWNLOAD_S, model=model)
        else:
            await self._said("download_to", DOWNLOAD_S, model=model, file=to)

    def display(self, what: str, **names: str) -> str:
        """A command of the profile as a person would type it."""
        return " ".join(word for word in self._argv(what, **names) if word != "--json")

    def _held(self, name: str, quant: JsonObject) -> KnownModel:
        return KnownModel(
            f"{name}/{self._text(quant, 'quantization') or ''}".rstrip("/"),
            bool(quant.get(self._field("running"))),
            bool(quant.get(self._field("downloaded"))),
        )

    def _none(self, target: Target, held: list[KnownModel], fits: Test) -> NemoError:
        """No model that fits is on this machine."""
        there = next((m.name for m in held if fits(m.name)), None)
        if there is not None:
            command = self.display("download", model=there)
            return self._fault(f"{there} is not downloaded", f"`{command}` fetches it")
        known = ", ".join(m.name for m in held[:6]) or "nothing"
        return self._fault(
            f"no model like {target.name} is listed by {self._provider.name}",
            f"it lists {known}; name one with `-m`",
        )

    def _at(self, server: Json) -> Endpoint:
        url = self._text(next(iter(_objects(server)), {}), "server_url")
        if not url:
            raise self._fault("the answer of its program has no address", None)
        key = self._settings.get("key")
        return Endpoint(url.rstrip("/"), Key(str(key), "its own client's") if key else None)

    async def _asked(self, what: str, **names: str) -> Json:
        out = await self._said(what, ASK_S, **names)
        try:
            value: Json = json.loads(_ESCAPES.sub("", out.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            shown = " ".join(self._argv(what, **names))
            raise self._fault(f"`{shown}` did not answer with JSON", None) from None
        return value

    async def _said(self, what: str, timeout_s: float, **names: str) -> bytes:
        argv = self._argv(what, **names)
        program = find_program(argv[0], self._env)
        if program is None:
            raise self._fault(f"`{argv[0]}` is not installed", None)
        shown = f"`{' '.join(argv)}`"
        try:
            done = await run([program, *argv[1:]], {**self._allowed, "NO_COLOR": "1"}, timeout_s)
        except OSError as error:
            raise self._fault(f"{shown} cannot run: {error.strerror or error}", None) from error
        if done.code is None:
            raise self._fault(f"{shown} took more than {timeout_s:.0f} s", None)
        if done.code:
            secrets = [self._env.get(name, "") for name in self._provider.auth.env]
            said = one_line(Redactor(secrets).text(_ESCAPES.sub("", done.complaint)), 200)
            raise self._fault(f"{shown} failed: {said or f'exit {done.code}'}", None)
        return done.out

    def _argv(self, what: str, **names: str) -> list[str]:
        argv = self._settings.get(what)
        if not isinstance(argv, list | tuple) or not argv:
            raise config_error(
                f"{self._provider.name}: `runtime.settings.{what}` must be a list of words: a"
                " program and its arguments"
            )
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


def _named(name: str) -> re.Pattern[str]:
    """Finds a model under any of its spellings: `[author/]MODEL[/QUANT]` as it is listed and
    launched, and `MODEL_QUANT.gguf` as its file and its servers are called."""
    name = re.sub(rf"[/_](?={_QUANT}$)", "/", name.removesuffix(".gguf"), flags=re.IGNORECASE)
    _, _, rest = name.partition("/")
    ways = [rf"(?:[^/]+/)?{_spelt(name)}", *([_spelt(rest)] if rest else [])]
    return re.compile(rf"^(?:{'|'.join(ways)})(?:[/_]{_QUANT})?(?:\.gguf)?$", re.IGNORECASE)


def _spelt(name: str) -> str:
    return re.escape(name).replace("/", "[/_]")


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _objects(value: Json) -> Iterator[JsonObject]:
    rows: Iterable[Json] = value if isinstance(value, list | tuple) else [value]
    return (row for row in rows if isinstance(row, Mapping))
