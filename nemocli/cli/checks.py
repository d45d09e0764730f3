"""What `doctor` looks at: each check one line, and what to type when it is not well."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nemocli.core.faults import NemoError

if TYPE_CHECKING:
    from nemocli.cli.setup import Setup
    from nemocli.core.provider import Provider

State = Literal["ok", "note", "fail"]

LITTLE_DISK = 500_000_000
SKEW_S = 120
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `note` is worth knowing, `fail` keeps something from working."""

    name: str
    state: State
    said: str
    hint: str | None = None


def checked(setup: Setup, *, online: bool) -> Iterator[Check]:
    """Every check in turn; none of them raises."""
    yield from _program()
    yield from _folders(setup)
    yield from _settings(setup)
    if any(True for _ in _broken_settings(setup)):
        return  # nothing further can be known
    yield from _profiles(setup)
    yield from _keys(setup)
    yield _keyring()
    yield _ledger(setup)
    yield from _engine(setup)
    yield _disk(setup)
    yield from _network(setup)
    if online:
        yield from _reached(setup)


def _program() -> Iterator[Check]:
    from nemocli.version import __version__

    version = ".".join(str(n) for n in sys.version_info[:3])
    yield Check("program", "ok", f"nemocli {__version__}, Python {version} at {sys.executable}")
    encoding = (getattr(sys.stdout, "encoding", None) or "none").lower()
    if encoding not in ("utf-8", "utf8", "none"):
        yield Check("encoding", "note", f"stdout is {encoding}; answers are written as UTF-8")


def _folders(setup: Setup) -> Iterator[Check]:
    places = {
        "config": setup.paths.config,
        "data": setup.paths.data,
        "state": setup.paths.state,
        "cache": setup.paths.cache,
    }
    for name, folder in places.items():
        yield _folder(name, folder)
    for file in (setup.paths.keys_file, setup.paths.ledger):
        if file.exists() and os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            mode = f"{stat.S_IMODE(file.stat().st_mode):o}"
            yield Check("privacy", "fail", f"{file} has mode {mode}", f"`chmod 600 {file}`")


def _folder(name: str, folder: Path) -> Check:
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        hint = "make it yours, or set NEMOCLI_HOME to a folder that is"
        return Check(f"{name} folder", "fail", f"{folder} cannot be written", hint)
    said = str(folder) if folder.exists() else f"{folder} (made when needed)"
    return Check(f"{name} folder", "ok", said)


def _broken_settings(setup: Setup) -> Iterator[str]:
    try:
        _ = setup.settings
    except NemoError as error:
        yield error.fault.message


def _settings(setup: Setup) -> Iterator[Check]:
    for problem in _broken_settings(setup):
        yield Check("settings", "fail", problem, "`nemocli config validate` shows all of them")
        return
    project = setup.loaded.project
    where = f", project {project.file}" if project is not None else ""
    yield Check("settings", "ok", f"{setup.loaded.config_file}{where}")


def _profiles(setup: Setup) -> Iterator[Check]:
    known = setup.profiles
    for fault in known.broken.values():
        yield Check("profile", "fail", fault.message, fault.hint)
    counts = f"{len(known.catalogue.providers)} providers, {len(known.catalogue.cards)} models"
    yield Check("profiles", "ok", counts)


def _keys(setup: Setup) -> Iterator[Check]:
    found = []
    for provider in setup.catalogue.providers.values():
        if not provider.auth.required:
            continue
        status = setup.keys.status(provider)
        if status.problem:
            hint = f"`nemocli auth login {provider.name}`"
            yield Check(f"key of {provider.name}", "fail", status.problem, hint)
        elif status.source:
            found.append(f"{provider.name} ({status.source})")
    if found:
        yield Check("keys", "ok", ", ".join(found))
    else:
        hint = "`nemocli auth login` stores one; without a key the embedded model answers"
        yield Check("keys", "note", "none", hint)


def _keyring() -> Check:
    from nemocli.io.oskeyring import backend

    try:
        return Check("keyring", "ok", backend())
    except NemoError as error:
        hint = "keys go to a private file instead, or come from the environment"
        return Check("keyring", "note", error.fault.message, hint)


def _ledger(setup: Setup) -> Check:
    file = setup.paths.ledger
    if not file.exists():
        return Check("ledger", "ok", f"{file} (made by the first call)")
    try:
        calls = sum(total.calls for total in setup.ledger.totals())
        left = len(setup.ledger.orphans())
    except NemoError as error:
        return Check("ledger", "fail", error.fault.message, error.fault.hint)
    finally:
        setup.ledger.close()
    more = f", {left} killed before they were booked" if left else ""
    return Check("ledger", "ok", f"{calls} calls in {file}{more}")


def _engine(setup: Setup) -> Iterator[Check]:
    from nemocli.io.llama import engine_version
    from nemocli.io.servers import weights_folder, weights_status

    version = engine_version()
    for provider in setup.catalogue.providers.values():
        if provider.runtime is None or provider.runtime.kind != "llama_cpp":
            continue
        if version is None:
            yield Check(f"{provider.name} engine", "note", "not installed", provider.start_hint)
            continue
        yield Check(f"{provider.name} engine", "ok", f"llama.cpp in xllamacpp {version}")
        file, size = weights_status(provider, setup.paths)
        if file is not None:
            yield Check(f"{provider.name} weights", "ok", f"{file}, verified")
        else:
            said = f"not here yet ({size / 1e6:.0f} MB, fetched once into"
            yield Check(f"{provider.name} weights", "ok", f"{said} {weights_folder(setup.paths)})")


def _disk(setup: Setup) -> Check:
    nearest = next(p for p in (setup.paths.data, *setup.paths.data.parents) if p.exists())
    free = shutil.disk_usage(nearest).free
    said = f"{free / 1e9:.1f} GB free at {nearest}"
    if free < LITTLE_DISK:
        return Check("disk", "fail", said, "make room: the ledger must be able to grow")
    return Check("disk", "ok", said)


def _network(setup: Setup) -> Iterator[Check]:
    env = {**{k.upper(): v for k, v in setup.env.items() if k.islower()}, **setup.env}
    for names, what in ((_PROXIES, "proxy"), (_CERTIFICATES, "certificates")):
        given = [name for name in names if env.get(name)]
        if given:
            yield Check(what, "ok", f"from {', '.join(given)}")
    for name in _CERTIFICATES:
        if env.get(name) and not Path(env[name]).exists():
            yield Check("certificates", "fail", f"{name} names what is not there", f"unset {name}")


def _reached(setup: Setup) -> Iterator[Check]:
    from nemocli.cli.choice import keyed
    from nemocli.cli.running import run_async

    for provider in keyed(setup, None):
        yield run_async(lambda provider=provider: _reach(setup, provider))  # type: ignore[misc]


async def _reach(setup: Setup, provider: Provider) -> Check:
    """One GET of the listing; with the clock of whoever answers."""
    from nemocli.cli.world import world_of
    from nemocli.core.ports import Call
    from nemocli.core.provider import Timeouts
    from nemocli.engine.call import authorised

    name = f"reach {provider.name}"
    async with world_of(setup) as world:
        begun = world.clock.monotonic()
        try:
            call = Call("GET", provider.url("models"), timeouts=Timeouts(5, 15, 15, 20))
            key = world.secrets.key_for(provider)
            async with world.transport.send(authorised(call, provider, key)) as reply:
                took = world.clock.monotonic() - begun
                skew = _skew(reply.headers.get("date"))
                status = reply.status
        except NemoError as error:
            return Check(name, "fail", error.fault.message, error.fault.advice)
    if skew is not None and abs(skew) > SKEW_S:
        return Check(
            name, "note", f"this clock is {skew:.0f} s off", "set the clock of this machine"
        )
    if status in (401, 403):
        hint = f"`nemocli auth login {provider.name}`"
        return Check(name, "fail", f"answered {status}: it refuses the key", hint)
    return Check(name, "ok" if status < 500 else "note", f"answered {status} in {took:.2f} s")


def _skew(date: str | None) -> float | None:
    if not date:
        return None
    try:
        theirs = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    if theirs.tzinfo is None:
        return None
    return (datetime.now(UTC) - theirs).total_seconds()
