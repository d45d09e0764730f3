"""The stub in a process of its own, for measurements in which it must not share a lock."""

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
def launched(script: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The base URL of a stub that follows a script; it ends with the block."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "script.json"
        file.write_text(json.dumps(script or {}))
        line = [sys.executable, str(Path(__file__).with_name("stub.py")), "--script", str(file)]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()
