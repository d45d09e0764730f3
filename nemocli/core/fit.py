"""Does it fit: bytes per GPU against memory, and the vendor's list, never one without the other.

Arithmetic: weights + activations + key-value cache + Mamba state per rank, with the numbers of the
Nemotron 3 Ultra technical report (architecture table) and 90 % of the memory the driver reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from nemocli.core.card import GpuRow, ModelCard, Weights
from nemocli.core.faults import usage_error
from nemocli.core.value_class import value_class
from nemocli.core.values import Json

Verdict = Literal["fits", "listed, tight", "does not fit", "unknown"]
"""`unknown`: it has the room, but nobody here knows whether these GPUs run that precision."""

MIB = 2**20
USABLE = 0.90
"""Share of the memory that servers take by default (vLLM's gpu_memory_utilization)."""
OTHER_BYTES = 4_000_000_000
"""Activations, CUDA graphs and communication: an assumption until a first start has logged it."""
REPLICATED = 1.01
TIGHT = 0.05
"""With less than this share of a GPU left, a configuration is tight."""

_GPUS = re.compile(r"\s*(\d{1,4})\s*[xX*]\s*(.+?)\s*", re.IGNORECASE)

_SIZE = re.compile(r"(?<!\d)(\d{2,3})\s*-?G(?:i?B)?\b", re.IGNORECASE)
LABEL = 0.99
"""Of the memory on a GPU's label its driver reports at least so much."""

NATIVE_FP4 = ("B200", "B300", "GB200", "GB300", "RTX PRO 6000")
"""Kinds that compute in FP4; Hopper runs such weights too, computed in 16 bits."""
NO_FP4 = ("A100", "L40S", "V100", "A10", "A30", "A40")
"""Kinds older than Hopper: no source says that FP4 weights run there."""

_MODEL = re.compile(r"[A-Z]+\d{2,}[A-Z]?")

MEMORY_MIB = {
    "H100": 81_559,
    "H200": 143_771,
    "B200": 183_359,
    "B300": 275_040,
    "GB200": 189_471,
    "GB300": 284_208,
    "A100": 81_920,
    "RTX PRO 6000": 97_887,
    "L40S": 46_068,
}
"""`memory.total` of nvidia-smi, which is what counts: labels in GB are rounded. From memory of such
listings; a detected GPU is taken at its own word."""


@value_class(frozen=True, slots=True)
class ModelShape:
    """What of a model's shape decides its memory beside the weights."""

    mamba_layers: int
    attention_layers: int
    kv_heads: int
    head_dim: int
    mamba_heads: int
    mamba_head_dim: int
    state: int
    groups: int
    kv_bytes: int = 1
    state_bytes: int = 2
    source: str = ""

    def kv_per_token(self, tensor: int, pipeline: int) -> float:
        """Bytes for each rank; heads are copied where there are more ranks than heads."""
        heads = max(1.0, self.kv_heads / tensor)
        return self.attention_layers / pipeline * 2 * heads * self.head_dim * self.kv_bytes

    def per_sequence(self, tensor: int, pipeline: int) -> float:
        """Bytes of Mamba and convolution state for each rank."""
        inner = self.mamba_heads * self.mamba_head_dim
        state = inner / tensor * self.state * self.state_bytes
        convolution = (inner + 2 * self.groups * self.state) / tensor * 3 * 2
        return self.mamba_layers / pipeline * (state + convolution)


SHAPES = {
    "nemotron-3-ultra": ModelShape(
        48, 12, 2, 128, 256, 64, 128, 8,
        source="Nemotron 3 Ultra technical report; 12 of 108 layers as attention is derived",
    ),
}  # fmt: skip
"""By model card. Without one, the weights alone are counted."""


@value_class(frozen=True, slots=True)
class Gpus:
    """So many of a kind, with the memory of each as its driver reports it."""

    kind: str
    count: int
    memory_mib: int
    detected: bool = False


@value_class(frozen=True, slots=True)
class Fit:
    """The verdict for one precision on some GPUs, and everything it rests on. Bytes are per GPU;
    `context` is the longest sequence by arithmetic, None where the shape is unknown."""

    repo: str
    precision: str
    verdict: Verdict
    tensor: int
    pipeline: int
    weights_bytes: int
    room_bytes: int
    context: int | None
    listed: GpuRow | None
    nearest: tuple[GpuRow, ...]
    why: str


def parse_gpus(text: str) -> Gpus:
    """`8xH100`, or `H100` for one. Raises a usage fault for a kind whose memory is not known."""
    bare = text.strip().upper()
    alone = bare[:1] != "X" and _MODEL.match(bare)
    found = _GPUS.fullmatch(f"1x{text}" if alone else text)
    if found is None or not int(found[1]):
        raise usage_error(f"--gpus {text!r} is no set of GPUs", "write 8xH100")
    memory = memory_of(found[2])
    if (size := _SIZE.search(found[2])) is not None:
        # A size in the name goes before the usual one: an A100 has 40 or 80 GB.
        said = int(size[1]) * 1024
        if memory is None or not 0.85 < memory / said < 1.15:
            memory = round(said * LABEL)
    if memory is None:
        known = ", ".join(MEMORY_MIB)
        raise usage_error(f"no memory is known for a {found[2]!r}", f"one of {known}")
    return Gpus(found[2], int(found[1]), memory)


def memory_of(kind: str) -> int | None:
    """MiB of a kind of GPU, by the names people and lists use."""
    wanted = _plain(kind)
    names = sorted(MEMORY_MIB, key=len, reverse=True)
    name = next((n for n in names if _plain(n) in wanted), None)
    return None if name is None else MEMORY_MIB[name]


def fits(card: ModelCard, gpus: Gpus, precision: str | None, size: int | None) -> tuple[Fit, ...]:
    """A verdict for each of the card's weights that have a size, or only for one precision. `size`,
    the repository's own, stands in where the card has none for the precision asked for."""
    shape = SHAPES.get(card.name)
    rows = _each_precision(card.weights, precision)
    return tuple(
        fit
        for row in rows
        if (bytes_ := row.size_bytes or (size if precision else None)) is not None
        and (fit := _fit(card, row, bytes_, gpus, shape)) is not None
    )


def _each_precision(rows: Iterable[Weights], precision: str | None) -> list[Weights]:
    found: dict[str, Weights] = {}
    for row in rows:
        name = row.precision.lower()
        if precision in (None, name) and (row.size_bytes is not None or precision):
            found.setdefault(name, row)
    return list(found.values())


def _fit(
    card: ModelCard, row: Weights, size: int, gpus: Gpus, shape: ModelShape | None
) -> Fit | None:
    same = [
        r
        for r in card.hardware
        if r.precision.lower() == row.precision.lower() and _same_kind(r.gpu, gpus.kind)
    ]
    listed = max((r for r in same if r.count <= gpus.count), key=lambda r: r.count, default=None)
    tensor, pipeline = _split(gpus.count, same)
    memory = gpus.memory_mib * MIB
    weights = round(size / (tensor * pipeline) * REPLICATED)
    room = round(memory * USABLE - weights - OTHER_BYTES)
    context = _context(card, shape, room, tensor, pipeline)
    enough = room >= TIGHT * memory and (context is None or context > 0)
    nearest = tuple(
        sorted((r for r in card.hardware if r.precision.lower() == row.precision.lower()),
               key=lambda r: r.count)[:3]
    )  # fmt: skip
    verdict: Verdict = "fits" if enough else "listed, tight" if listed else "does not fit"
    if verdict == "fits" and listed is None and not _computes(row.precision, gpus.kind):
        verdict = "unknown"
    return Fit(
        row.repo, row.precision, verdict, tensor, pipeline, weights, room, context, listed,
        nearest, _why(card, gpus, verdict, listed=listed, room=room, context=context),
    )  # fmt: skip


def _computes(precision: str, kind: str) -> bool:
    """Whether GPUs of a kind are known to run weights of a precision."""
    return "FP4" not in precision.upper() or not _words(kind) & set(NO_FP4)


def _split(count: int, rows: Sequence[GpuRow]) -> tuple[int, int]:
    """Tensor and pipeline ranks: as listed for this count, else a power of two up to eight, times
    the rest."""
    exact = next((r for r in rows if r.count == count), None)
    if exact is not None:
        return exact.tensor_parallel, exact.pipeline_parallel
    tensor = next(t for t in (8, 4, 2, 1) if count % t == 0)
    return tensor, count // tensor


def _context(
    card: ModelCard, shape: ModelShape | None, room: int, tensor: int, pipeline: int
) -> int | None:
    """Tokens of one sequence that the room holds, at most the model's own limit."""
    if shape is None:
        return None
    left = room - shape.per_sequence(tensor, pipeline)
    tokens = max(0, int(left / shape.kv_per_token(tensor, pipeline)))
    return tokens if card.context is None else min(tokens, card.context)


def _why(
    card: ModelCard,
    gpus: Gpus,
    verdict: Verdict,
    *,
    listed: GpuRow | None,
    room: int,
    context: int | None,
) -> str:
    known = any(_same_kind(r.gpu, gpus.kind) for r in card.hardware)
    absent = "not in the vendor's list" if known else "our copy of the vendor's list ends before it"
    where = f"listed ({listed.source})" if listed is not None else absent
    gigabytes = f"{room / 1e9:+.1f} GB per GPU by arithmetic"
    if verdict == "fits":
        return f"{where}; {gigabytes}"
    if verdict == "listed, tight":
        if not context:
            return f"{where}, but {gigabytes}: list and arithmetic disagree, try it before you rent"
        short = ": a short context" if card.context is None or context < card.context else ""
        return f"{where}, but {gigabytes}, about {context:,} tokens at the most{short}"
    if verdict == "unknown":
        return (
            f"{where}; {gigabytes}, but {gpus.kind} does not compute in FP4: weight-only kernels"
            " (Marlin in vLLM) may run it at 16-bit speed, and nobody here has tried; BF16 is the"
            " precision for it"
        )
    return f"{where}; {gigabytes}"


def _same_kind(listed: str, given: str) -> bool:
    """`H100-80GB-HBM3` and `H100`; but `GB200` is not a `B200`."""
    one, other = _words(listed), _words(given)
    return bool(one & other)


def _words(kind: str) -> set[str]:
    words = re.split(r"[^A-Z0-9]+", kind.upper())
    return {w for w in words if _MODEL.fullmatch(w) and not w.startswith(("HBM", "SXM", "PCI"))}


def _plain(kind: str) -> str:
    return re.sub(r"[^a-z0-9]", "", kind.lower())


def fit_json(fit: Fit) -> dict[str, Json]:
    """One verdict for a program."""
    return {
        "repo": fit.repo,
        "precision": fit.precision,
        "verdict": fit.verdict,
        "tensor_parallel": fit.tensor,
        "pipeline_parallel": fit.pipeline,
        "weights_bytes_per_gpu": fit.weights_bytes,
        "room_bytes_per_gpu": fit.room_bytes,
        "context_tokens": fit.context,
        "listed": fit.listed.source if fit.listed is not None else None,
        "why": fit.why,
    }
