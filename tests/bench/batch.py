"""Batch against a bare script: speed, memory at a million rows, and how soon it goes on.

    python -m tests.bench.batch [--rows 30000] [--many 1000000] [--folder FOLDER]

The peer of speed is a plain `aiohttp` + `asyncio.gather` script that makes the same calls and keeps
nothing, in the same run, in turns; bespokelabs-curator and Ray's HttpRequestProcessor are measured
where they are installed. The server is a process of its own on loopback. Nothing fails here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.run import Home, argv
from tests.servers.quick import Quick

AT_ONCE = 64
GATHER = """
import asyncio, json, sys, aiohttp

async def main(path, url, at_once):
    slots = asyncio.Semaphore(at_once)
    connector = aiohttp.TCPConnector(limit=at_once)
    headers = {"authorization": "Bearer k"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        async def one(line):
            row = json.loads(line)
            async with slots, session.post(url + "/chat/completions", json=row["body"]) as reply:
                return (await reply.json())["usage"]["completion_tokens"]
        with open(path) as file:
            print(sum(await asyncio.gather(*[one(line) for line in file])))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""
RAY_DATA = """
import sys, ray
from ray.data.llm import HttpRequestProcessorConfig, build_processor

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
config = HttpRequestProcessorConfig(
    url=sys.argv[2] + "/chat/completions", headers={"authorization": "Bearer k"}, qps=100_000,
    concurrency=2,
)
processor = build_processor(
    config,
    preprocess=lambda row: {"payload": row["body"]},
    postprocess=lambda row: {"tokens": row["http_response"]["usage"]["completion_tokens"]},
)
print(processor(ray.data.read_json(sys.argv[1], lines=True)).sum("tokens"))
"""
CURATOR = """
import json, os, pathlib, sys
import litellm

# It counts tokens with a vocabulary that it would fetch; litellm brings it along.
bundle = pathlib.Path(litellm.__file__).parent / "litellm_core_utils" / "tokenizers"
os.environ |= {"TIKTOKEN_CACHE_DIR": str(bundle), "OPENAI_API_KEY": "k", "TELEMETRY_ENABLED": "0"}
from bespokelabs import curator

class Ask(curator.LLM):
    def prompt(self, input):
        return input["text"]

    def parse(self, input, response):
        return [{"chars": len(response)}]

with open(sys.argv[1]) as file:
    rows = [{"text": json.loads(line)["body"]["messages"][0]["content"]} for line in file]
params = {
    "base_url": sys.argv[2], "max_concurrent_requests": 64,
    "max_requests_per_minute": 10_000_000, "max_tokens_per_minute": 10**10,
}
done = Ask(model_name="x/anything", backend="openai", backend_params=params)(rows)
print(len(getattr(done, "dataset", done)))
"""


def write_rows(path: Path, count: int, words: int = 600) -> None:
    with path.open("w") as file:
        for n in range(count):
            body = {
                "model": "x/anything",
                "messages": [{"role": "user", "content": f"{n} " + "w " * words}],
            }
            row = {"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions"}
            file.write(json.dumps({**row, "body": body}) + "\n")


def timed(line: list[str], home: Home) -> tuple[float, dict[str, float]]:
    """Seconds, and the most memory in MB of the process and of its writer."""
    peaks: dict[int, float] = {}
    began = time.perf_counter()
    with (
        tempfile.TemporaryFile() as err,
        subprocess.Popen(
            line,
            env={**os.environ, **home.environment()},
            cwd=home.cwd,
            stdout=subprocess.DEVNULL,
            stderr=err,
        ) as run,
    ):
        while True:
            for pid in (run.pid, *children(run.pid)):
                peaks[pid] = peak(pid) or peaks.get(pid, 0.0)
            try:
                run.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                continue
        took = time.perf_counter() - began
        err.seek(0)
        assert run.returncode == 0, err.read()[-2000:]
    own = peaks.pop(run.pid, 0.0)
    return took, {"process": own, "writer": max(peaks.values(), default=0.0)}


def children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def peak(pid: int) -> float | None:
    """The most resident memory so far, in MB; None once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("VmHWM")), None)
    return int(found.split()[1]) / 1024 if found else None


def ours(out: str, rows: str = "in.jsonl", *more: str) -> list[str]:
    line = ("batch", "run", rows, "-o", out, "-p", "stub", "-m", "x/anything")
    return argv(*line, "-j", str(AT_ONCE), *more)


def speed(home: Home, url: str, count: int) -> None:
    """Rows a second of the whole process, peers in turns."""
    write_rows(home.cwd / "in.jsonl", count)
    write_rows(home.cwd / "tenth.jsonl", count // 10)  # enough for what is much slower
    plain = [sys.executable, "-c", GATHER, "in.jsonl", url, str(AT_ONCE)]
    took: dict[str, list[float]] = {"nemocli batch": [], "aiohttp + gather": []}
    for number in range(3):
        took["nemocli batch"].append(timed(ours(f"speed{number}.jsonl"), home)[0])
        took["aiohttp + gather"].append(timed(plain, home)[0])
    mine = statistics.median(took["nemocli batch"])
    for name, times in took.items():
        middle = statistics.median(times)
        print(f"{name:28} {count / middle:9,.0f} rows/s: ours {middle / mine:.2f}x of it")
    for name, package, script in (
        ("Ray HttpRequestProcessor", "ray.data", RAY_DATA),
        ("bespokelabs-curator", "bespokelabs", CURATOR),
    ):
        if not installed(package):
            continue
        try:
            slow, _ = timed([sys.executable, "-c", script, "tenth.jsonl", url], home)
        except AssertionError as error:
            print(f"{name}: did not run: {str(error)[-200:]}")
            continue
        rate = count // 10 / slow
        print(f"{name:28} {rate:9,.0f} rows/s: ours {count / mine / rate:.1f}x of it")


def installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def memory(home: Home, many: int) -> None:
    """Peak RSS at ten thousand rows and at many; then how soon a finished job goes on."""
    peaks = []
    for name, count in (("few", 10_000), ("many", many)):
        write_rows(home.cwd / f"{name}.jsonl", count, words=20)
        took, most = timed(ours(f"{name}.out.jsonl", f"{name}.jsonl"), home)
        peaks.append(most)
        said = ", ".join(f"{who} {size:.1f} MB" for who, size in most.items())
        print(f"{count:9,} rows: {said} at most; {count / took:,.0f} rows/s")
    few, lots = (sum(most.values()) for most in peaks)
    print(f"both: growth {lots - few:.1f} MB (bar 10), peak {lots:.1f} MB (bar 150)")
    with (home.cwd / "many.jsonl").open("a") as file:
        file.write('{"prompt": "one more"}\n')
    took, _ = timed(ours("many.out.jsonl", "many.jsonl"), home)
    print(f"{many:,} rows over, one more: whole process {took:.2f} s (bar 5 s to its call)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--folder", help="where files go; a fresh one is made in it")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=given.folder) as folder,
        Quick() as server,
        Quick(tokens=20) as terse,
    ):
        home = Home(Path(folder) / "user")
        home.provider("stub", server.url)
        speed(home, server.url, given.rows)
        if given.many:
            home.provider("stub", terse.url)
            memory(home, given.many)


if __name__ == "__main__":
    main()
