"""The GPUs of this machine, as the driver's own tool lists them."""

from __future__ import annotations

import os
import subprocess
from collections import Counter

from nemocli.io.programs import NEUTRAL_FOLDER, bare_environment, find_program

TIMEOUT_S = 10.0
_QUERY = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")


def detect_gpus(path: str | None = None) -> tuple[tuple[str, int, int], ...]:
    """Kind, count and MiB of each sort of GPU, most numerous first; empty where there is no
    nvidia-smi, or it fails. `path` is a search path instead of the environment's."""
    env = os.environ if path is None else {**os.environ, "PATH": path}
    tool = find_program("nvidia-smi", env)
    if tool is None:
        return ()
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own tool, found where commands are
            [tool, *_QUERY],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env=bare_environment(env),
            cwd=NEUTRAL_FOLDER,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return read_listing(done.stdout) if done.returncode == 0 else ()


def read_listing(text: str) -> tuple[tuple[str, int, int], ...]:
    """Lines such as `NVIDIA H100 80GB HBM3, 81559`."""
    found: Counter[tuple[str, int]] = Counter()
    for line in text.splitlines():
        name, _, memory = line.rpartition(",")
        if name.strip() and memory.strip().isdecimal():
            found[name.strip(), int(memory)] += 1
    return tuple((name, count, memory) for (name, memory), count in found.most_common())
