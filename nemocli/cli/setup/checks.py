"""What `doctor` looks at: each check one line, and what to type when it is not well."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.cli.setup.check import Check, failure
from nemocli.core.faults import NemoError

if TYPE_CHECKING:
    from nemocli.cli.context import Setup


EARLIEST = datetime(2026, 11, 1, tzinfo=UTC)
LITTLE_DISK = 500_000_000
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def run_checks(setup: Setup, *, online: bool) -> Iterator[Check]:
    """Every check in turn; none of them raises."""
    yield from _program(setup)
    yield from _folders(setup)
    settings = _settings(setup)
    yield settings
    if settings.state == "ok":
        yield from _profiles(setup)
        yield from _keys(setup)
    yield _keyring()
    yield _ledger(setup)
    if settings.state == "ok":
        yield from _engine(setup)
    yield _disk(setup)
    yield _clock()
    yield from _network(setup)
    yield from _completions(setup)
    if online and settings.state == "ok":
        from nemocli.cli.setup.reach import check_reach

        yield from check_reach(setup)


def _program(setup: Setup) -> Iterator[Check]:
    from nemocli.version import __version__

    version = ".".join(str(n) for n in sys.version_info[:3])
    yield Check("program", "ok", f"nemocli {__version__}, Python {version} at {sys.executable}")
    terminal = setup.terminal
    streams = {"stdin": terminal.stdin, "stdout": terminal.stdout, "stderr": terminal.stderr}
    on = ", ".join(name for name, tty in streams.items() if tty) or "no stream"
    colour = "colour" if terminal.colour_out or terminal.colour_err else "no colour"
    yield Check("terminal", "ok", f"{on} on a terminal, {terminal.width} columns, {colour}")
    encoding = (getattr(sys.stdout, "encoding", None) or "none").lower()
    if encoding not in ("utf-8", "utf8", "none"):
        yield Check("encoding", "warn", f"stdout is {encoding}; answers are written as UTF-8")


def _folders(setup: Setup) -> Iterator[Check]:
    places = {
        "config": setup.paths.config,
        "data": setup.paths.data,
        "state": setup.paths.state,
        "cache": setup.paths.cache,
    }
    for name, folder in places.items():
        yield _folder(name, folder)
    for kept in (setup.paths.keys_file, setup.paths.ledger):
        if (mode := _open_to_others(kept)) is not None:
            yield Check("privacy", "fail", f"{kept} has mode {mode}", f"`chmod 600 {kept}`")
    for folder in (setup.paths.data, setup.paths.state):
        if (mode := _open_to_others(folder)) is not None:
            yield Check("privacy", "warn", f"{folder} has mode {mode}", f"`chmod 700 {folder}`")


def _open_to_others(path: Path) -> str | None:
    """The mode of what others of this machine can read, None where they cannot."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    return f"{mode:o}" if os.name == "posix" and mode & 0o077 else None


def _folder(name: str, folder: Path) -> Check:
    nearest = _nearest(folder)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        hint = "make it yours, or set NEMOCLI_HOME to a folder that is"
        return Check(f"{name} folder", "fail", f"{folder} cannot be written", hint)
    said = str(folder) if nearest == folder else f"{folder} (made when needed)"
    return Check(f"{name} folder", "ok", said)


def _nearest(path: Path) -> Path:
    """What of a path is there."""
    return next(p for p in (path, *path.parents) if os.path.lexists(p))


def _settings(setup: Setup) -> Check:
    try:
        project = setup.loaded.project
    except NemoError as error:
        hint = error.fault.hint or "`nemocli config validate` shows all of them"
        return Check("settings", "fail", error.fault.message, hint)
    where = f", project {project.file}" if project is not None else ""
    return Check("settings", "ok", f"{setup.loaded.config_file}{where}")


def _profiles(setup: Setup) -> Iterator[Check]:
    known = setup.profiles
    for fault in known.broken.values():
        yield Check("profile", "fail", fault.message, fault.hint or "edit the file at that line")
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
        yield Check("keys", "warn", "none", hint)


def _keyring() -> Check:
    from nemocli.io.keys.oskeyring import backend

    try:
        return Check("keyring", "ok", backend())
    except NemoError as error:
        hint = "keys go to a private file instead, or come from the environment"
        return Check("keyring", "warn", error.fault.message, hint)


def _ledger(setup: Setup) -> Check:
    file = setup.paths.ledger
    if not file.exists():
        return Check("ledger", "ok", f"{file} (made by the first call)")
    try:
        version, damage = setup.ledger.examine()
        calls = sum(total.calls for total in setup.ledger.totals())
        left = len(setup.ledger.orphans())
    except NemoError as error:
        return failure("ledger", error.fault)
    finally:
        setup.ledger.close()
    if damage is not None:
        hint = f"keep a copy; `sqlite3 {file} .recover` may save its rows"
        return Check("ledger", "fail", f"{file} is damaged: {damage}", hint)
    more = f", {left} killed before they were booked" if left else ""
    return Check("ledger", "ok", f"{calls} calls in {file} (version {version}, sound){more}")


def _engine(setup: Setup) -> Iterator[Check]:
    from nemocli.io.servers.llama import engine_version
    from nemocli.io.servers.servers import weights_folder, weights_status

    version = engine_version()
    for provider in setup.catalogue.providers.values():
        if provider.runtime is None or provider.runtime.kind != "llama_cpp":
            continue
        if version is None:
            yield Check(f"{provider.name} engine", "warn", "not installed", provider.start_hint)
            continue
        yield Check(f"{provider.name} engine", "ok", f"llama.cpp in xllamacpp {version}")
        file, size = weights_status(provider, setup.paths)
        if file is not None:
            yield Check(f"{provider.name} weights", "ok", f"{file}, verified")
        else:
            said = f"not here yet ({size / 1e6:.0f} MB, fetched once into"
            yield Check(f"{provider.name} weights", "ok", f"{said} {weights_folder(setup.paths)})")


def _disk(setup: Setup) -> Check:
    nearest = _nearest(setup.paths.data)
    try:
        free = shutil.disk_usage(nearest).free
    except OSError as error:
        said = f"{nearest}: {error.strerror or error}"
        return Check("disk", "fail", said, "point NEMOCLI_HOME at a folder that is there")
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


def _clock() -> Check:
    now = datetime.now(UTC)
    said = f"{now:%Y-%m-%d %H:%M} UTC"
    if now < EARLIEST:
        hint = "set the clock of this machine: prices and certificates hold by dates"
        return Check("clock", "warn", f"{said} is before this program was made", hint)
    return Check("clock", "ok", said)


def _completions(setup: Setup) -> Iterator[Check]:
    from nemocli.cli.setup.completion import SCRIPTS, place_of

    shell = setup.env.get("SHELL", "").rpartition("/")[2]
    if shell not in SCRIPTS:
        return
    place = place_of(shell, setup.env)
    if place.exists():
        yield Check("completion", "ok", str(place))
    else:
        said = f"not installed for {shell}: `nemocli completion {shell} --install`"
        yield Check("completion", "ok", said)
