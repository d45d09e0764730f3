"""`nim doctor`: what would go wrong, before anything starts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemocli.cli.event_loop import run_async
from nemocli.core.faults import ExitCode, NemoError
from nemocli.core.value_class import value_class
from nemocli.io.nim.engine import Engine
from nemocli.io.programs import NEUTRAL_FOLDER, bare_environment, find_program

if TYPE_CHECKING:
    from nemocli.cli.context import Setup

DRIVER = 580
NEEDED_GB = 400
"""Weights of NVFP4 (352 GB) and room beside them."""
CONTAINER_UID = 1000


@value_class(frozen=True, slots=True)
class NimCheck:
    """One thing that was looked at. `ok` None: it could not be found out."""

    name: str
    ok: bool | None
    said: str
    remedy: str = ""


def examine(setup: Setup, engine: str, port: int, cache: str | None, *, as_json: bool) -> int:
    """Every check; 0 only where nothing is wrong."""
    found = list(_checks(setup, engine, port, Path(cache or "~/.cache/nim").expanduser()))
    bad = any(check.ok is False for check in found)
    if as_json:
        rows = [
            {"name": c.name, "ok": c.ok, "said": c.said, "remedy": c.remedy or None} for c in found
        ]
        setup.out.json({"schema": "nemocli.nim_doctor/1", "ok": not bad, "checks": rows})
    else:
        for check in found:
            mark = {True: "ok", False: "FAILS", None: "?"}[check.ok]
            setup.out.line(f"{mark:<6}{check.name}: {check.said}")
            if check.ok is not True and check.remedy:
                setup.out.line(f"      {check.remedy}")
    return ExitCode.CONFIG if bad else ExitCode.OK


def _checks(setup: Setup, engine: str, port: int, cache: Path) -> Iterator[NimCheck]:
    yield from _engine(setup, engine)
    yield _driver(setup)
    yield _key(setup)
    yield _port(port)
    yield from _cache(cache)


def _engine(setup: Setup, name: str) -> Iterator[NimCheck]:
    try:
        info: dict[str, Any] = run_async(Engine(name, setup.env).info)
    except NemoError as error:
        yield NimCheck(name, False, error.fault.message, error.fault.hint or "")
        return
    version = str(info.get("ServerVersion") or info.get("version") or "answers")
    yield NimCheck(name, True, f"version {version}")
    runtimes = info.get("Runtimes") or {}
    cdi = info.get("DiscoveredDevices") or info.get("CDISpecDirs")
    has = "nvidia" in runtimes or bool(cdi)
    yield NimCheck(
        "container toolkit",
        has or None,
        "the runtime nvidia is there" if has else "no runtime nvidia is listed",
        "install nvidia-container-toolkit, then `nvidia-ctk runtime configure`",
    )
    root = info.get("DockerRootDir")
    if root and Path(str(root)).exists():
        free = shutil.disk_usage(str(root)).free / 1e9
        yield NimCheck(
            "image store", free > 60, f"{free:,.0f} GB free in {root}", "make room there"
        )


def _driver(setup: Setup) -> NimCheck:
    tool = find_program("nvidia-smi", setup.env)
    remedy = f"Ultra needs driver {DRIVER} or newer"
    if tool is None:
        return NimCheck("driver", False, "nvidia-smi is not installed", remedy)
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own tool
            [tool, "--query-gpu=driver_version,compute_mode", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env=bare_environment(setup.env),
            cwd=NEUTRAL_FOLDER,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return NimCheck("driver", False, f"nvidia-smi: {error}", remedy)
    first = done.stdout.partition("\n")[0]
    version, _, mode = first.partition(",")
    number = version.strip().partition(".")[0]
    if done.returncode or not number.isdecimal():
        said = (done.stdout + done.stderr).strip().partition("\n")[0]
        return NimCheck("driver", False, f"nvidia-smi: {said or 'failed'}", remedy)
    if "exclusive" in mode.lower():
        return NimCheck("driver", False, f"compute mode {mode.strip()}", "`nvidia-smi -c DEFAULT`")
    return NimCheck("driver", int(number) >= DRIVER, version.strip(), remedy)


def _key(setup: Setup) -> NimCheck:
    there = bool(setup.env.get("NGC_API_KEY"))
    return NimCheck(
        "NGC_API_KEY",
        there,
        "is set" if there else "is not set",
        "a key of https://org.ngc.nvidia.com/setup; containers from 2.0.10 on need none",
    )


def _port(port: int) -> NimCheck:
    with closing(socket.socket()) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError as error:
            return NimCheck("port", False, f"{port}: {error.strerror}", "`--port N` takes another")
    return NimCheck("port", True, f"{port} is free")


def _cache(cache: Path) -> Iterator[NimCheck]:
    there = next(p for p in (cache, *cache.parents) if p.exists())
    free = shutil.disk_usage(there).free / 1e9
    yield NimCheck(
        "cache room",
        free >= NEEDED_GB,
        f"{free:,.0f} GB free in {there}, NVFP4 takes 352 GB",
        "`--cache DIR` names another disk",
    )
    if cache.exists():
        state = cache.stat()
        open_ = bool(state.st_mode & 0o002) or state.st_uid == CONTAINER_UID
        yield NimCheck(
            "cache owner",
            open_,
            f"{cache} belongs to {state.st_uid}, mode {state.st_mode & 0o777:o}",
            f"`chmod -R a+w {cache}`, or `nim up --user {os.getuid()}`",
        )
