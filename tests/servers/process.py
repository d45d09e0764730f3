"""Servers in processes of their own, for measurements in which they must not share a lock."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


@contextmanager
def served(module: str, *args: str) -> Iterator[str]:
    """The base URL that a server of this folder prints when it is up; it ends with the block."""
    line = [sys.executable, str(Path(__file__).with_name(module)), *args]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def launched(script: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The base URL of a stub that follows a script."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "script.json"
        file.write_text(json.dumps(script or {}))
        with served("stub.py", "--script", str(file)) as url:
            yield url
