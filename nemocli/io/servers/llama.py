"""The embedded engine: llama.cpp's server in this process, on a loopback port of its own."""

from __future__ import annotations

import importlib.util
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.ports import Endpoint, Key

PACKAGE = "xllamacpp"
MAGIC = b"GGUF"


@dataclass(slots=True)
class LlamaServer:
    """A running server; `close` ends it and frees the model."""

    endpoint: Endpoint
    _server: object | None

    def close(self) -> None:
        """Stop answering. In the middle of an answer that was stopped it may take long."""
        self._server = None


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


def start(file: Path, name: str, context: int) -> LlamaServer:
    """Load a model and serve it as `name`; blocks for about a second.

    The server takes only calls with a key made for it, so that nobody else on this machine uses
    it. Raises NemoError when the engine refuses the file.
    """
    import xllamacpp

    key = secrets.token_urlsafe(24)
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(file)
    wanted.model_alias = {name}
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = 0
    wanted.api_keys = [key]
    wanted.n_ctx = context
    wanted.n_parallel = 1
    wanted.cpuparams.n_threads = _threads()
    wanted.use_jinja = True
    wanted.endpoint_metrics = True
    wanted.verbosity = -1  # its log would go to our stdout and stderr
    wanted.warmup = False
    wanted.ui = False
    try:
        server = xllamacpp.Server(wanted)
    except RuntimeError as error:
        raise config_error(
            f"{file}: the engine cannot load it ({error})", "is it a complete GGUF file?"
        ) from error
    endpoint = Endpoint(f"{server.listening_address}/v1", Key(key, "made for this process"), name)
    return LlamaServer(endpoint, server)


def _threads() -> int:
    """One core less than there are: the engine's threads wait for each other in a spin, and one
    that is put aside for a moment, by whoever reads the answer, stops them all (2 cores with other
    work on them, measured: 2 threads 2-7 tokens/s, 1 thread 60-80; on an idle machine 90 and 80).
    """
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)) - 1)
    return max(1, (os.cpu_count() or 1) - 1)
