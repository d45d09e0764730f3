"""From a model, a precision and GPUs to a container and its command: pure, to be argued with.

Two sources stand side by side: the vendor's list and our arithmetic (`core.fit`). Where they
disagree both are said. `unknown` is a verdict: a list that does not name a machine has not said no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from nemocli.core.card import ModelCard
from nemocli.core.fit import NATIVE_FP4, Fit, Gpus, fits
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, count

Verdict = Literal["fits", "tight", "no", "unknown"]
LABEL = "nemocli.nim"
PORT = 8000
SHM = "32g"
CACHE = "/opt/nim/.cache"


@value_class(frozen=True, slots=True)
class ContainerImage:
    """A container of NIM: what is known of it, and from where. Bytes, None where nobody says."""

    image: str
    tag: str
    source: str
    driver: int | None = None
    needs_key: bool = True
    image_bytes: int | None = None
    weights_bytes: Mapping[str, int] = field(default_factory=dict)
    passthrough: str = ""

    @property
    def reference(self) -> str:
        """What is pulled."""
        return f"{self.image}:{self.tag}"


@value_class(frozen=True, slots=True)
class NimPlan:
    """What would be started, whether it can, and why."""

    model: str
    precision: str
    gpus: Gpus
    verdict: Verdict
    why: tuple[str, ...]
    image: ContainerImage
    profile: str | None
    tensor: int
    pipeline: int
    nodes: int
    weights_bytes: int | None
    argv: tuple[str, ...]
    sources: tuple[str, ...]


@value_class(frozen=True, slots=True)
class Launch:
    """How a container is started. `keys` are names of variables, never their values."""

    engine: str = "docker"
    port: int = PORT
    cache: str = "~/.cache/nim"
    user: str | None = None
    keys: tuple[str, ...] = ("NGC_API_KEY",)
    max_model_len: int | None = None
    weights: str | None = None
    host: str = "127.0.0.1"


def image_of(row: Mapping[str, Any]) -> ContainerImage:
    """An image as its row says it. Raises KeyError."""
    sizes = {str(k): int(v) for k, v in (row.get("weights_bytes") or {}).items()}
    return ContainerImage(
        str(row["image"]),
        str(row["tag"]),
        str(row["source"]),
        row.get("driver"),
        bool(row.get("needs_key", True)),
        row.get("image_bytes"),
        sizes,
        str(row.get("passthrough") or ""),
    )


def plan_nim(
    card: ModelCard,
    precision: str,
    gpus: Gpus,
    image: ContainerImage,
    launch: Launch,
    *,
    metadata: Sequence[Mapping[str, Any]] | None = None,
) -> NimPlan:
    """The plan for one precision on some GPUs. `metadata` are the vendor's published profiles,
    where they could be asked for."""
    found = fits(card, gpus, precision.lower(), image.weights_bytes.get(precision))
    fit = found[0] if found else None
    verdict, why = _verdict(fit, precision, gpus)
    profile, published = _published(metadata, precision, gpus)
    sources = [image.source]
    if fit is not None and fit.listed is not None:
        sources.append(fit.listed.source)
        sources.append("arithmetic: technical report, 90 % of the memory the driver reports")
    if metadata is not None:
        sources.append("NIM metadata API, asked just now")
    if profile is not None and verdict in ("no", "unknown"):
        published.append("the vendor publishes a profile for this, and our arithmetic disagrees")
    tensor, pipeline = (fit.tensor, fit.pipeline) if fit is not None else (gpus.count, 1)
    nodes = fit.listed.nodes if fit is not None and fit.listed is not None else 1
    return NimPlan(
        card.name,
        precision,
        gpus,
        verdict,
        (*why, *published),
        image,
        profile,
        tensor,
        pipeline,
        nodes,
        image.weights_bytes.get(precision),
        run_argv(card.name, image, launch, gpus, profile),
        tuple(sources),
    )


def _verdict(fit: Fit | None, precision: str, gpus: Gpus) -> tuple[Verdict, list[str]]:
    kind = gpus.kind.upper()
    why: list[str] = []
    if fit is None:
        return "unknown", ["the size of these weights is not known"]
    if fit.verdict == "unknown":
        return "unknown", [fit.why]
    why.append(fit.why)
    if precision == "NVFP4" and not any(name in kind for name in NATIVE_FP4):
        why.append(
            "NVFP4 weights run here, but are computed in 16 bits (W4A16): the memory of FP4,"
            " not its speed; only Blackwell computes in FP4"
        )
    if fit.verdict == "fits" and fit.listed is None:
        why.append("not in the copy of the vendor's list that we have, which is not a no")
    if fit.context is not None and fit.context:
        why.append(f"about {fit.context:,} tokens of one sequence fit by arithmetic")
    verdicts: dict[str, Verdict] = {"fits": "fits", "listed, tight": "tight", "does not fit": "no"}
    return verdicts[fit.verdict], why


def _published(
    metadata: Sequence[Mapping[str, Any]] | None, precision: str, gpus: Gpus
) -> tuple[str | None, list[str]]:
    """The profile that the vendor publishes for these GPUs, and what is to be said of it. A field
    that is not there is unknown, never none."""
    if metadata is None:
        return None, []
    named = [p for p in metadata if gpus.kind.upper() in str(p.get("gpu") or "").upper()]
    for each in named:
        ranks = [count(each.get(f"{way}_parallel_size")) or 1 for way in ("tensor", "pipeline")]
        said = str(each.get("precision") or each.get("profile_id") or "")
        if ranks[0] * ranks[1] == gpus.count and precision.lower() in said.lower():
            why = f"published profile for {gpus.count} {gpus.kind}"
            if needed := count(each.get("min_vram_per_device_gb")):
                why += f": {needed} GB on each, {gpus.memory_mib * 2**20 / 1e9:,.0f} are there"
            return str(each.get("profile_id") or "") or None, [why]
    said = f"of {len(metadata)} published profiles none is for {gpus.count} {gpus.kind}"
    return None, [said]


def profiles_in(answer: object) -> list[Mapping[str, Any]]:
    """The profiles in an answer of the vendor's metadata API; empty for anything else."""
    found = answer.get("profiles") if isinstance(answer, Mapping) else None
    return [p for p in found if isinstance(p, Mapping)] if isinstance(found, list) else []


def run_argv(
    model: str, image: ContainerImage, launch: Launch, gpus: Gpus, profile: str | None
) -> tuple[str, ...]:
    """The command that starts the container. Nothing secret is in it: keys travel by name."""
    argv = [launch.engine, "run", "-d", "--name", f"nemocli-nim-{model}"]
    argv += ["--label", f"{LABEL}={model}", *_gpu_flags(launch.engine)]
    argv += ["--shm-size", SHM, "--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]
    argv += ["-p", f"{launch.host}:{launch.port}:8000"]
    if launch.user is not None:
        argv += ["-u", launch.user]
    for name in launch.keys:
        argv += ["-e", name]
    for name, value in variables(image, launch, profile).items():
        argv += ["-e", f"{name}={value}"]
    argv += ["-v", f"{launch.cache}:{CACHE}"]
    if launch.weights is not None:
        argv += ["-v", f"{launch.weights}:/weights:ro", "-e", "NIM_MODEL_PATH=/weights"]
        argv += ["-e", "NIM_DISABLE_MODEL_DOWNLOAD=1"]
    return (*argv, image.reference)


def variables(image: ContainerImage, launch: Launch, profile: str | None) -> dict[str, str]:
    """What the container is told by its environment, keys aside."""
    found: dict[str, str] = {}
    if profile is not None:
        found["NIM_MODEL_PROFILE"] = profile
    if launch.max_model_len is not None:
        found["NIM_MAX_MODEL_LEN"] = str(launch.max_model_len)
    if image.passthrough:
        found["NIM_PASSTHROUGH_ARGS"] = image.passthrough
    return found


def _gpu_flags(engine: str) -> list[str]:
    """Podman names devices by CDI; Docker has a flag of its own."""
    return ["--device", "nvidia.com/gpu=all"] if engine == "podman" else ["--gpus", "all"]


def plan_json(plan: NimPlan) -> dict[str, Json]:
    """`nemocli.nim_plan/1`."""
    return {
        "schema": "nemocli.nim_plan/1",
        "model": plan.model,
        "precision": plan.precision,
        "gpus": {
            "name": plan.gpus.kind,
            "count": plan.gpus.count,
            "memory_gb": round(plan.gpus.memory_mib * 2**20 / 1e9, 1),
        },
        "verdict": plan.verdict,
        "why": list(plan.why),
        "image": plan.image.reference,
        "profile": plan.profile,
        "tensor_parallel": plan.tensor,
        "pipeline_parallel": plan.pipeline,
        "nodes": plan.nodes,
        "image_bytes": plan.image.image_bytes,
        "weights_bytes": plan.weights_bytes,
        "argv": list(plan.argv),
        "sources": list(plan.sources),
    }
