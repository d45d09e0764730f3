"""huggingface_hub, where it is installed: the one the ecosystem reads and writes with."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

PYTHON_VARIABLE = "NEMOCLI_TEST_HUB_PYTHON"
"""An interpreter that has huggingface_hub, where the one that runs the tests has not."""


@functools.cache
def interpreter() -> str | None:
    """Who can import huggingface_hub here; None when nobody can."""
    if importlib.util.find_spec("huggingface_hub") is not None:
        return sys.executable
    return os.environ.get(PYTHON_VARIABLE)


def peer() -> str:
    """The same, or the test is skipped."""
    found = interpreter()
    if found is None:
        pytest.skip(f"huggingface_hub is not installed here, nor named by {PYTHON_VARIABLE}")
    return found


def environment(cache: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """A user who has nothing but a cache folder."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(cache.parent),
        "HF_HOME": str(cache.parent / "hf-home"),
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **extra,
    }


def hf(*args: str, cache: Path, timeout: float = 120, **extra: str) -> CompletedProcess[str]:
    """Run its command line."""
    line = [peer(), "-m", "huggingface_hub.cli.hf", *args]
    return subprocess.run(
        line,
        env=environment(cache, extra),
        cwd=cache.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def hub_python(code: str, *args: str, cache: Path, **extra: str) -> CompletedProcess[str]:
    """Run a few lines that use it; `sys.argv[1:]` are the arguments."""
    return subprocess.run(
        [peer(), "-c", code, *args],
        env=environment(cache, extra),
        cwd=cache.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
