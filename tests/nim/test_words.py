"""What engines say, and the remedy it gets."""

from __future__ import annotations

import pytest

from nemocli.nim.words import TROUBLES, trouble_in

SAID = [
    ("docker: Error response from daemon: unauthorized: authentication required", "docker login"),
    ('could not select device driver "" with capabilities: [[gpu]]', "nvidia-container-toolkit"),
    ("docker: Error response from daemon: unknown or invalid runtime name: nvidia.", "nvidia-ctk"),
    ("Bind for 127.0.0.1:8000 failed: port is already allocated", "--port N"),
    ("write /var/lib/docker/tmp/x: no space left on device", "docker system df"),
    ("load library failed: libnvidia-ml.so.1: cannot open shared object file", "nvidia-smi"),
    ("ERROR Could not match a profile in manifest at /opt/nim/etc", "nim plan"),
    ("Permission denied (os error 13)", "--user"),
    ("ValueError: the model's max seq len (1048576) is larger than the KV", "--max-model-len"),
    ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "group `docker`"),
    ('The container name "/nim" is already in use by container "abc"', "nim down"),
]


@pytest.mark.parametrize(("text", "remedy"), SAID)
def test_known_words_have_a_remedy(text: str, remedy: str) -> None:
    found = trouble_in(f"some\nlines before\n{text}\n")
    assert found is not None
    assert remedy in found.remedy


def test_ordinary_words_have_none() -> None:
    assert trouble_in("INFO: Application startup complete.") is None
    assert all(trouble.cause and trouble.remedy for trouble in TROUBLES)
