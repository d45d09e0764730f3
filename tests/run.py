"""Runs the real program, in an environment with nothing in it but what a test puts there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

ROOT = Path(__file__).parents[1]
KEY = "sk-or-v1-FAKEFAKE5c0ffee5c0ffee5c0ffee5c0ffeeFAKE"
"""No key of anybody's. Tests look for it in everything the program wrote."""

PASSED_ON = ("PATH", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_START", "LD_LIBRARY_PATH")


class TookTooLong(AssertionError):
    """The program did not come to the point in time; says what it had written by then."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a run ended: exit code, stdout as it came, stderr as text."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    def json(self) -> Any:
        """All of stdout as one JSON value."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Every line of stdout as a JSON value."""
        return [json.loads(line) for line in self.out.splitlines()]

    def error(self) -> dict[str, Any]:
        """The error object that is the last line of stderr under `--json`."""
        found: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return found


@dataclass(slots=True)
class Home:
    """One user: a NEMOCLI_HOME, an empty folder to be in, and the environment."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cwd.mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """NEMOCLI_HOME."""
        return self.root / "nemo"

    @property
    def cwd(self) -> Path:
        return self.root / "cwd"

    def provider(
        self,
        name: str,
        url: str,
        extends: str = "openrouter",
        key: str | None = KEY,
        **extra: Any,
    ) -> str:
        """Write a provider's file and set its key variable (`STUB_API_KEY`); the name again."""
        variable = f"{name.upper().replace('-', '_')}_API_KEY"
        row = {
            "schema": "nemocli.provider/1",
            "name": name,
            "extends": extends,
            "base_url": url,
            "auth": {"env": [variable]},
            **extra,
        }
        file = self.folder / "profiles" / "providers" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(row, sort_keys=False))
        if key is not None:
            self.env[variable] = key
        return name

    def attempts(self) -> list[dict[str, Any]]:
        """The ledger's rows in the order they were made; empty when there is no ledger."""
        file = self.folder / "data" / "ledger.db"
        if not file.exists():
            return []
        with contextlib.closing(sqlite3.connect(file)) as book:
            book.row_factory = sqlite3.Row
            return [dict(r) for r in book.execute("SELECT * FROM attempts ORDER BY rowid")]

    def files_holding(self, secret: str) -> list[Path]:
        """Every file under this user's roof with these bytes in it."""
        files = (p for p in self.root.rglob("*") if p.is_file())
        return [p for p in files if secret.encode() in p.read_bytes()]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment a run of this user gets."""
        return {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "NEMOCLI_HOME": str(self.folder),
            "NEMOCLI_RETRY_BASE_S": "0.01",
            **self.env,
            **(extra or {}),
        }


def argv(*args: str) -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "nemocli", *args]


class Running:
    """A run under way. A context manager: what is left running at its end is killed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._parts: dict[str, bytes] = {"out": b"", "err": b""}
        self._news = threading.Condition()
        self._pumps = [
            self._pump(name, pipe)
            for name, pipe in (("out", process.stdout), ("err", process.stderr))
            if pipe is not None
        ]

    def _pump(self, name: str, pipe: IO[bytes]) -> threading.Thread:
        def copy() -> None:
            while data := os.read(pipe.fileno(), 65536):
                with self._news:
                    self._parts[name] += data
                    self._news.notify_all()

        thread = threading.Thread(target=copy, daemon=True)
        thread.start()
        return thread

    def until(self, text: str, stream: str = "out", timeout: float = 60) -> str:
        """What came out, as soon as the text is in it."""
        wanted = text.encode()
        with self._news:
            if not self._news.wait_for(lambda: wanted in self._parts[stream], timeout):
                raise TookTooLong(f"{text!r} never came: {self._parts}")
            return self._parts[stream].decode(errors="replace")

    def interrupt(self) -> None:
        """Ctrl-C, as a shell sends it."""
        self.process.send_signal(signal.SIGINT)

    def memory_kb(self) -> int | None:
        """Resident memory now, where /proc tells; None once the program has ended."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        line = next((s for s in status.splitlines() if s.startswith("VmRSS")), None)
        return int(line.split()[1]) if line else None

    def finish(self, timeout: float = 60) -> Done:
        """Wait for the end."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise TookTooLong(f"still running after {timeout} s: {self._parts}") from None
        for pump in self._pumps:
            pump.join(5)
        return Done(code, self._parts["out"], self._parts["err"].decode(errors="replace"))

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pump in self._pumps:
            pump.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def spawn(
    *args: str,
    home: Home,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.PIPE,
    stderr: int | IO[Any] = subprocess.PIPE,
    line: list[str] | None = None,
) -> Running:
    """Start the program (or another `line`) and return at once."""
    process = subprocess.Popen(
        line or argv(*args),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=home.environment(env),
        cwd=home.cwd,
    )
    return Running(process)


def run(
    *args: str,
    home: Home,
    env: Mapping[str, str] | None = None,
    input: bytes | str | None = None,
    stdin: int | IO[Any] | None = None,
    stdout: int | IO[Any] = subprocess.PIPE,
    timeout: float = 60,
    line: list[str] | None = None,
) -> Done:
    """Run the program to its end. stdin is /dev/null, unless `input` is piped in or `stdin` is
    given; `subprocess.PIPE` there is an open pipe that nobody writes to."""
    source = subprocess.PIPE if input is not None else stdin
    if source is None:
        source = subprocess.DEVNULL
    with spawn(*args, home=home, env=env, stdin=source, stdout=stdout, line=line) as running:
        pipe = running.process.stdin
        if input is not None and pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.write(input.encode() if isinstance(input, str) else input)
                pipe.flush()
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return running.finish(timeout)


# A session leader that opens a terminal gets it as its controlling terminal, so that Ctrl-C typed
# there becomes a signal. Done in a process of its own: nothing may run between fork and exec in a
# program with threads.
_LAUNCH = "import os, sys; os.open(sys.argv[1], os.O_RDWR); os.execv(sys.argv[2], sys.argv[2:])"


@dataclass(frozen=True, slots=True)
class Screen:
    """How a run on a terminal ended: all the terminal received, and what went to pipes."""

    code: int
    seen: bytes
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.seen.decode(errors="replace")


def run_pty(
    *args: str,
    home: Home,
    keys: Iterable[tuple[str, bytes]] = (),
    streams: Iterable[str] = ("stdin", "stdout", "stderr"),
    env: Mapping[str, str] | None = None,
    size: tuple[int, int] = (24, 80),
    timeout: float = 60,
    line: list[str] | None = None,
) -> Screen:
    """Run the program on a terminal of `size` (rows, columns).

    `keys` are typed in turn, each once its text has been seen after the one before. Only `streams`
    are the terminal; other outputs are pipes and stdin is /dev/null.
    """
    primary, secondary = os.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    on = set(streams)
    process = subprocess.Popen(
        [sys.executable, "-SEc", _LAUNCH, os.ttyname(secondary), *(line or argv(*args))],
        stdin=secondary if "stdin" in on else subprocess.DEVNULL,
        stdout=secondary if "stdout" in on else subprocess.PIPE,
        stderr=secondary if "stderr" in on else subprocess.PIPE,
        env=home.environment({"TERM": "xterm-256color", **(env or {})}),
        cwd=home.cwd,
        start_new_session=True,
    )
    os.close(secondary)
    with Running(process) as running:
        try:
            seen = _converse(primary, list(keys), time.monotonic() + timeout)
            done = running.finish(max(1.0, timeout))
        finally:
            os.close(primary)
    return Screen(done.code, seen, done.out, done.err)


def _converse(primary: int, keys: list[tuple[str, bytes]], end: float) -> bytes:
    """Type and read until the other side of the terminal is closed."""
    import select

    seen, mark = b"", 0
    while True:
        while keys and (at := seen.find(keys[0][0].encode(), mark)) >= 0:
            mark = at + len(keys[0][0].encode())
            os.write(primary, keys.pop(0)[1])
        if not select.select([primary], [], [], max(0.0, end - time.monotonic()))[0]:
            raise TookTooLong(f"waiting for {keys[:1]}, seen: {seen!r}")
        try:
            data = os.read(primary, 65536)
        except OSError:  # EIO: Linux's way of saying that nobody has the terminal open
            return seen
        if not data:
            return seen
        seen += data
