"""The embedded engine: llama.cpp's server in a process of its own, on a loopback port of its own.

In this process it could not be ended: its destructor holds Python's lock while it waits for its
own threads, and one of them may wait for ever (xllamacpp 2026.10, ended right after its start or in
the middle of an answer). A process can always be ended, and a file that makes the engine abort ends
only that one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.ports import Endpoint, Key
from nemocli.io.programs import NEUTRAL_FOLDER, without_keys

PACKAGE = "xllamacpp"
MAGIC = b"GGUF"
CLOSING_S = 2.0
"""For a process that was killed to be gone."""
_PROGRAM = Path(__file__).with_name("llama_child.py")


@dataclass(slots=True)
class LlamaServer:
    """A running server; `close` ends it and frees the model."""

    endpoint: Endpoint
    _process: subprocess.Popen[bytes]

    def close(self) -> None:
        """Stop answering, at once."""
        _end(self._process)


def engine_version() -> str | None:
    """The engine's version; None when it is not installed. Nothing is loaded."""
    if importlib.util.find_spec(PACKAGE) is None:
        return None
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "unknown"


def check_engine(provider: str, hint: str | None) -> None:
    """Raises NemoError when the engine is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        message = f"the engine of {provider} is not installed"
        raise NemoError(Fault(FaultKind.UNAVAILABLE, message, hint, provider, sent=False))


def check_model(file: Path) -> None:
    """Raises NemoError for a file that is no model: the engine would only say that it failed."""
    try:
        with file.open("rb") as source:
            magic = source.read(4)
    except OSError as error:
        raise config_error(f"cannot read the model {file}: {error.strerror or error}") from error
    if magic != MAGIC:
        raise config_error(f"{file}: not a GGUF model", "`-O model_path=` takes a GGUF file")


def start(
    file: Path,
    name: str,
    context: int,
    env: Mapping[str, str],
    key_names: Collection[str] = frozenset(),
) -> LlamaServer:
    """Load a model and serve it as `name`; blocks for about a second.

    The server takes only calls with a key made for it, so that nobody else on this machine uses it,
    and gets no key of a provider (`key_names`). It ends with this process, however that ends.
    Raises NemoError when the engine refuses the file.
    """
    key = secrets.token_urlsafe(24)
    asked = {
        "file": str(file.absolute()),
        "name": name,
        "context": context,
        "key": key,
        "threads": _threads(),
    }
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None
    assert found.origin is not None
    process = subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-I", str(_PROGRAM), str(Path(found.origin).parent.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=without_keys(env, key_names),
        cwd=NEUTRAL_FOLDER,
        start_new_session=True,  # a Ctrl-C is ours to obey
    )
    assert process.stdin is not None
    assert process.stdout is not None
    said: Mapping[str, str] = {"error": "it broke off"}
    try:
        with suppress(OSError, ValueError):
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
    except BaseException:
        _end(process)
        raise
    if "address" not in said:
        _end(process)
        raise config_error(
            f"{file}: the engine cannot load it ({said['error']})", "is it a complete GGUF file?"
        )
    endpoint = Endpoint(f"{said['address']}/v1", Key(key, "made for this process"), name)
    return LlamaServer(endpoint, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(CLOSING_S)


def _threads() -> int:
    """One core less than there are: the engine's threads wait for each other in a spin, and one
    that is put aside for a moment, by whoever reads the answer, stops them all (2 cores with other
    work on them, measured: 2 threads 2-7 tokens/s, 1 thread 60-80; on an idle machine 90 and 80).
    """
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)) - 1)
    return max(1, (os.cpu_count() or 1) - 1)
