"""What a verified pull of weights costs beside those who do not look at the bytes.

    python -m tests.bench.weights [--shards 8] [--mib 256] [--rounds 5] [--tls] [--raw FILE]

The Hub stand-in answers the API from a process of its own; the bodies come from nginx on loopback,
out of tmpfs, as everything is written to tmpfs. In every round each tool runs once, in a random
order; ratios are of runs of the same round. A virtual machine may be given its memory page by page,
which takes four times what the copying does and counts as the tool's: the least of all rounds is
what the work itself takes. `hf` needs huggingface_hub here or under the interpreter that
NEMOCLI_TEST_HUB_PYTHON names; tools that are missing are left out. Nothing fails here.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.hub_peer import environment, interpreter
from tests.servers.certificate import self_signed
from tests.servers.content import MIB, Virtual, pieces
from tests.servers.hub_cli import from_folder
from tests.servers.process import served as server

ROOT = Path(__file__).parents[2]
NAME = "bench/weights"
GB = 1e9
OURS = [sys.executable, "-m", "nemocli", "weights"]

NGINX = """
worker_processes 1; daemon off; pid {work}/nginx.pid; error_log {work}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  client_body_temp_path {work}/a; proxy_temp_path {work}/b; fastcgi_temp_path {work}/c;
  uwsgi_temp_path {work}/d; scgi_temp_path {work}/e; {tls}
  server {{ listen 127.0.0.1:{port} {ssl}; location / {{ root {bodies}; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: seconds, CPU seconds, megabytes of memory at the most."""

    wall: float
    cpu: float
    rss: float


@dataclass(frozen=True, slots=True)
class Scene:
    """Where things are: the files to come, where they are served, and who trusts whom."""

    size: int
    files: Mapping[str, str]
    bodies: str
    hub: str
    ca: Path | None
    out: Path


def fill(folder: Path, shards: int, mib: int) -> None:
    """The repository: shards, and three small files."""
    for n in range(1, shards + 1):
        content = Virtual(mib * MIB, f"bench/{n}")
        with (folder / f"model-{n:05}-of-{shards:05}.safetensors").open("wb") as opened:
            opened.writelines(pieces(content, 0, content.size))
    for name in ("config.json", "README.md", "generation_config.json"):
        (folder / name).write_text(f"{name}\n")


@contextlib.contextmanager
def nginx(work: Path, bodies: Path, tls: tuple[Path, Path] | None) -> Iterator[str]:
    """The base URL of a server over a folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = f"ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};" if tls else ""
    config = work / "nginx.conf"
    config.write_text(
        NGINX.format(work=work, port=port, bodies=bodies, tls=keys, ssl="ssl" if tls else "")
    )
    process = subprocess.Popen(
        ["nginx", "-e", str(work / "error.log"), "-g", "user root;", "-c", str(config)]
        if os.geteuid() == 0
        else ["nginx", "-e", str(work / "error.log"), "-c", str(config)]
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def timed(*lines: list[str], env: Mapping[str, str]) -> Cost:
    """Run the lines one after another; what they cost together."""
    began, cpu, rss = time.perf_counter(), 0.0, 0.0
    for line in lines:
        process = subprocess.Popen(
            line, env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{line[:6]}: {process.returncode}\n{said.decode()[-2000:]}")
        cpu += used.ru_utime + used.ru_stime
        rss = max(rss, used.ru_maxrss / 1024)
    return Cost(time.perf_counter() - began, cpu, rss)


def ours_environment(scene: Scene) -> dict[str, str]:
    """A user with nothing but this Hub, and its certificate where it has one."""
    return {
        **environment(scene.out.parent / "cache", {}),
        "PYTHONPATH": str(ROOT),
        "NEMOCLI_HOME": str(scene.out.parent / "home"),
        "HF_ENDPOINT": scene.hub,
        "LANG": "C.UTF-8",
        **({} if scene.ca is None else {"SSL_CERT_FILE": str(scene.ca)}),
    }


def tools(scene: Scene, workers: int | None) -> dict[str, Callable[[], Cost]]:
    """Everybody who can be run here."""
    base = ours_environment(scene)
    trust = [] if scene.ca is None else ["--cacert", str(scene.ca)]
    out = str(scene.out)
    ours = [*OURS, "pull", NAME, "--local-dir", out]
    ours += [] if workers is None else ["--max-workers", str(workers)]
    curl = ["curl", "-sfZ", "--parallel-max", "8", "--create-dirs", *trust]
    for path, digest in scene.files.items():
        curl += ["-o", f"{out}/{path}", f"{scene.bodies}/{digest}"]
    sums = ["sh", "-c", f"find {out} -name '*.safetensors' | xargs -P 2 -n 1 openssl sha256"]
    found: dict[str, Callable[[], Cost]] = {
        "nemocli weights pull": lambda: timed(ours, env=base),
        "curl -Z8": lambda: timed(curl, env=base),
        "curl -Z8, openssl sha256 x2": lambda: timed(curl, sums, env=base),
    }
    python = interpreter()
    if python is not None:
        hf = [python, "-m", "huggingface_hub.cli.hf"]
        download = [*hf, "download", NAME, "--local-dir", out, "--max-workers", "8"]
        check = [*hf, "cache", "verify", NAME, "--local-dir", out]
        found["hf download"] = lambda: timed(download, env=base)
        found["hf download, hf cache verify"] = lambda: timed(download, check, env=base)
    return found


def race(scene: Scene, rounds: int, workers: int | None, skip: set[str]) -> dict[str, list[Cost]]:
    """Every tool in every round, each into an empty folder."""
    found = {name: run for name, run in tools(scene, workers).items() if name not in skip}
    costs: dict[str, list[Cost]] = {name: [] for name in found}
    for number in range(rounds):
        for name in random.sample(list(found), len(found)):
            costs[name].append(found[name]())
            wall = costs[name][-1].wall
            shutil.rmtree(scene.out, ignore_errors=True)
            print(f"round {number + 1}: {name} {wall:.2f} s", file=sys.stderr)
    return costs


def verifying(scene: Scene, rounds: int) -> dict[str, list[Cost]]:
    """Our `verify` of finished files, and openssl in two processes over the same."""
    base, out, ours = ours_environment(scene), str(scene.out), OURS
    timed([*ours, "pull", NAME, "--local-dir", out], env=base)
    sums = ["sh", "-c", f"find {out} -name '*.safetensors' | xargs -P 2 -n 1 openssl sha256"]
    costs: dict[str, list[Cost]] = {"nemocli weights verify": [], "openssl sha256 x2": []}
    for _ in range(rounds):
        costs["nemocli weights verify"].append(timed([*ours, "verify", out], env=base))
        costs["openssl sha256 x2"].append(timed(sums, env=base))
    shutil.rmtree(scene.out, ignore_errors=True)
    return costs


def capped(scene: Scene, mb_per_s: int) -> str:
    """How near to its own cap a pull comes, start and end of the program included."""
    base = ours_environment(scene)
    line = [*OURS, "pull", NAME, "--local-dir", str(scene.out), "--limit-rate", f"{mb_per_s}M"]
    cost = timed(line, env=base)
    shutil.rmtree(scene.out, ignore_errors=True)
    share = scene.size / 1e6 / cost.wall / mb_per_s
    return (
        f"--limit-rate {mb_per_s}M: {share:.1%} of it, {cost.cpu / (scene.size / GB):.2f} CPU s/GB"
    )


def table(costs: Mapping[str, list[Cost]], size: int, first: str) -> str:
    """Medians, and the first tool's ratio to each, of the runs of the same round."""
    rows = [
        "| tool | wall s | CPU s/GB | least | RSS MB | ratio of ours | range |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, runs in costs.items():
        ratios = [a.wall / b.wall for a, b in zip(costs[first], runs, strict=True)]
        rows.append(
            f"| {name} | {median(c.wall for c in runs):.2f} "
            f"| {median(c.cpu for c in runs) / (size / GB):.2f} "
            f"| {min(c.cpu for c in runs) / (size / GB):.2f} "
            f"| {max(c.rss for c in runs):.0f} "
            f"| {median(ratios):.2f} | {min(ratios):.2f}-{max(ratios):.2f} |"
        )
    return "\n".join(rows)


def write_raw(file: Path, costs: Mapping[str, list[Cost]]) -> None:
    """Every run, as CSV."""
    fresh = not file.exists()
    with file.open("a", newline="") as opened:
        writer = csv.writer(opened)
        if fresh:
            writer.writerow(["tool", "round", "wall s", "CPU s", "RSS MB"])
        for name, runs in costs.items():
            for number, cost in enumerate(runs, 1):
                numbers = (f"{n:.3f}" for n in (cost.wall, cost.cpu, cost.rss))
                writer.writerow([name, number, *numbers])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, help="ours; its own choice when not given")
    parser.add_argument("--tls", action="store_true", help="bodies over TLS")
    parser.add_argument("--without", action="append", default=[], help="leave a tool out")
    parser.add_argument("--cap", type=int, default=200, help="MB/s to hold; 0: not tried")
    parser.add_argument("--raw", type=Path, help="append every run to this CSV")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    given = parser.parse_args()
    if shutil.which("nginx") is None:
        raise SystemExit("the bodies need nginx in PATH")
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder)))
        source, bodies = work / "source", work / "bodies"
        source.mkdir()
        bodies.mkdir()
        fill(source, given.shards, given.mib)
        repo = from_folder(source, NAME)
        for entry in repo.entries:
            (bodies / entry.sha256).hardlink_to(source / entry.path)
        work.chmod(0o755)
        keys = self_signed(work) if given.tls else None
        served = stack.enter_context(nginx(work, bodies, keys))
        hub = stack.enter_context(
            server("hub.py", "--folder", str(source), "--name", NAME, "--bodies", served)
        )
        scene = Scene(
            repo.size,
            {e.path: e.sha256 for e in repo.entries},
            served,
            hub,
            keys[0] if keys else None,
            work / "out",
        )
        costs = race(scene, given.rounds, given.workers, set(given.without))
        print(f"{repo.size / GB:.3f} GB, {given.rounds} rounds, {served.split(':')[0]}")
        ours = "nemocli weights pull"
        print(table(costs, repo.size, ours if ours in costs else next(iter(costs))))
        if ours in costs:
            checks = verifying(scene, given.rounds)
            print(table(checks, repo.size, "nemocli weights verify"))
            costs |= checks
            if given.cap:
                print(capped(scene, given.cap))
        if given.raw is not None:
            write_raw(given.raw, costs)


if __name__ == "__main__":
    main()
