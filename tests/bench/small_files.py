"""What very many small files of weights cost, near and far away, beside huggingface_hub.

    python -m tests.bench.small_files [--files 1500] [--lag 0.02] [--rounds 1] [--folder /tmp]

The Hub stand-in is a process of its own; far away, each byte takes `--lag` seconds in either
direction. Each tool pulls into an empty folder, in turns. Nothing fails here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.bench.weights import OURS, ROOT, timed
from tests.hub_peer import environment, interpreter
from tests.servers.process import served

NAME = "bench/small"


@contextlib.contextmanager
def far(url: str, lag: float) -> Iterator[str]:
    """The same server at a distance."""
    loop = asyncio.new_event_loop()
    port = int(url.rpartition(":")[2])

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                loop.call_later(lag, writer.write, data)
        loop.call_later(lag, writer.close)

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * lag)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, back), carry(there, writer))

    server = loop.run_until_complete(asyncio.start_server(meet, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def fill(folder: Path, count: int) -> None:
    """Files of a kilobyte or so, in twenty folders."""
    folder.mkdir()
    for n in range(count):
        path = folder / f"part-{n % 20}" / f"file-{n:05}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{n}\n" * 200)


def race(work: Path, hub: str, rounds: int) -> None:
    """Each in turn; prints medians and ratios."""
    out = work / "out"
    env = {
        **environment(work / "cache", {}),
        "PYTHONPATH": str(ROOT),
        "NEMOCLI_HOME": str(work / "home"),
        "HF_ENDPOINT": hub,
        "LANG": "C.UTF-8",
    }
    lines = {"nemocli weights pull": [*OURS, "pull", NAME, "--local-dir", str(out)]}
    python = interpreter()
    if python is not None:
        hf = [python, "-m", "huggingface_hub.cli.hf", "download", NAME]
        lines["hf download"] = [*hf, "--local-dir", str(out), "--max-workers", "8"]
    walls: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(rounds):
        for name, line in lines.items():
            walls[name].append(timed(line, env=env).wall)
            for folder in (out, work / "cache"):
                shutil.rmtree(folder, ignore_errors=True)
    mine = walls["nemocli weights pull"]
    for name, values in walls.items():
        ratio = median(a / b for a, b in zip(mine, values, strict=True))
        print(
            f"  {name:22} {median(values):6.2f} s" + (f", ours {ratio:.2f}x" * (values is not mine))
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--files", type=int, default=1500)
    parser.add_argument("--lag", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        work = Path(folder)
        fill(work / "source", given.files)
        args = ("hub.py", "--folder", str(work / "source"), "--name", NAME)
        with served(*args) as hub, far(hub, given.lag) as away:
            for where, url in (("near", hub), (f"{given.lag * 2000:.0f} ms away", away)):
                print(f"{given.files} files, {where}", file=sys.stdout, flush=True)
                race(work, url, given.rounds)


if __name__ == "__main__":
    main()
