"""What engines and containers say when it goes wrong, and what to do about it.

The words are those people search for: the daemon's own, from NVIDIA's pages and public reports.
"""

from __future__ import annotations

import re

from nemocli.core.value_class import value_class


@value_class(frozen=True, slots=True)
class Trouble:
    """A failure that is known: its words, its cause, its remedy."""

    words: str
    cause: str
    remedy: str


TROUBLES = (
    Trouble(
        r"unauthorized: authentication required|pull access denied|denied: requested access",
        "the registry does not know you, or the licence was not accepted",
        "echo \"$NGC_API_KEY\" | docker login nvcr.io --username '$oauthtoken' --password-stdin",
    ),
    Trouble(
        r"could not select device driver .* with capabilities: \[\[gpu\]\]",
        "the NVIDIA container toolkit is not installed",
        "install nvidia-container-toolkit, then `nvidia-ctk runtime configure` and restart Docker",
    ),
    Trouble(
        r"unknown or invalid runtime name: nvidia",
        "the runtime `nvidia` is not configured",
        "`nvidia-ctk runtime configure`, and restart the engine",
    ),
    Trouble(
        r"port is already allocated|address already in use",
        "another program listens at that port",
        "`nemocli nim up --port N` takes another one",
    ),
    Trouble(
        r"no space left on device",
        "the disk of the engine or of the cache is full",
        "`docker system df` and `df -h` show which; the weights of NVFP4 take 352 GB",
    ),
    Trouble(
        r"libnvidia-ml\.so\.1|nvidia-container-cli: initialization error",
        "there is no NVIDIA driver, or it is too old",
        "`nvidia-smi` must work; Ultra needs driver 580 or newer",
    ),
    Trouble(
        r"[Cc]ould not match a profile in manifest|Unknown profiles provided",
        "no profile of this container is for these GPUs",
        "`nemocli nim plan` shows which GPUs are listed",
    ),
    Trouble(
        r"Permission denied \(os error 13\)|ManifestDownloadError",
        "the cache folder cannot be written by the container's user (1000)",
        '`chmod -R a+w` on the cache folder, or start with `--user "$(id -u)"`',
    ),
    Trouble(
        r"max seq len|KV cache memory|CUDA out of memory",
        "the context is too long for the memory that is left",
        "`nemocli nim up --max-model-len 65536`, or more GPUs",
    ),
    Trouble(
        r"P2P is disabled between connected GPUs",
        "the GPUs cannot reach each other's memory",
        "`nvidia-smi topo -m` shows the links; check the BIOS (ACS, IOMMU)",
    ),
    Trouble(
        r"[Cc]annot connect to the Docker daemon|docker daemon running|connect: permission denied"
        r"|failed to connect to the docker API",
        "the container engine does not run, or you may not use it",
        "start it, or add yourself to the group `docker`",
    ),
    Trouble(
        r"is already in use by container",
        "a container of that name is there already",
        "`nemocli nim status` shows it, `nemocli nim down` takes it away",
    ),
)


def trouble_in(text: str) -> Trouble | None:
    """The first known failure that a text tells of."""
    return next((t for t in TROUBLES if re.search(t.words, text)), None)
