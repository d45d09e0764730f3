"""How long the program takes to be there, as multiples of a bare `python -c pass`.

    python -m tests.bench.startup [--rounds 15]

Every round runs the bare interpreter and each command once, so that both meet the same machine;
a ratio is taken within its round. Times differ from machine to machine, ratios hardly. Nothing
fails here: the bars are for reading.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.run import Home, argv
from tests.servers.process import launched

BARS: dict[tuple[str, ...], int] = {
    ("--version",): 2,
    ("__complete", "--", "ask", "-p", ""): 2,
    ("--help",): 5,
    ("cost",): 9,
    ("ask", "-p", "stub", "-m", "x/anything", "hi"): 16,
}
"""Commands, and the ratio each should stay under."""

WARM_UPS = 2


@dataclass(slots=True)
class Series:
    """Wall times in seconds and their ratios to the bare interpreter of the same round."""

    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    code: int = 0


def measure(home: Home, rounds: int) -> dict[tuple[str, ...], Series]:
    """Run everything so many times, after warming up."""
    series = {command: Series() for command in ((), *BARS)}
    for number in range(-WARM_UPS, rounds):
        bare, _ = _timed([sys.executable, "-c", "pass"], home)
        for command, row in series.items():
            took, code = (bare, 0) if not command else _timed(argv(*command), home)
            if number >= 0:
                row.seconds.append(took)
                row.ratios.append(took / bare)
                row.code = row.code or code
    return series


def _timed(line: list[str], home: Home) -> tuple[float, int]:
    quiet = subprocess.DEVNULL
    begun = time.perf_counter()
    done = subprocess.run(
        line,
        env=home.environment(),
        cwd=home.cwd,
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        check=False,
    )
    return time.perf_counter() - begun, done.returncode


def table(series: dict[tuple[str, ...], Series]) -> str:
    """One line per command: least and median milliseconds and ratios, the bar, how it compares."""
    head = f"{'command':<42} {'min ms':>7} {'med ms':>7} {'min x':>6} {'med x':>6} {'bar':>4}"
    lines = [head, "-" * len(head)]
    for command, row in series.items():
        name = "nemocli " + " ".join(a or "''" for a in command) if command else "python -c pass"
        cells = f"{min(row.seconds) * 1000:7.1f} {median(row.seconds) * 1000:7.1f}"
        cells += f" {min(row.ratios):6.1f} {median(row.ratios):6.1f}"
        lines.append(f"{name:<42} {cells} {_verdict(command, row)}")
    return "\n".join(lines)


def _verdict(command: tuple[str, ...], row: Series) -> str:
    if not command:
        return ""
    if row.code:
        return f"{BARS[command]:>4}  exit {row.code}: not measured"
    return f"{BARS[command]:>4}  {'ok' if median(row.ratios) <= BARS[command] else 'OVER'}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder, launched() as url:
        home = Home(Path(folder))
        home.provider("stub", url)
        print(table(measure(home, rounds)))


if __name__ == "__main__":
    main()
