"""What travels in the wheel: everything the program reads, and nothing it does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nemocli.version import __version__

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_wheel_carries_profiles_and_completions(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("nemocli", "profiles", "completions", "man"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"nemocli-{__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("profiles", "completions"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                assert f"nemocli/{path.relative_to(ROOT).as_posix()}" in names
    shells = f"nemocli-{__version__}.data/data/share"
    assert f"{shells}/bash-completion/completions/nemocli" in names
    assert f"{shells}/zsh/site-functions/_nemocli" in names
    assert f"{shells}/fish/vendor_completions.d/nemocli.fish" in names
    assert f"{shells}/man/man1/nemocli-ask.1" in names
    assert not any("tests/" in name or name.startswith("shared") for name in names)
