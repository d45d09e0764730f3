"""`nim plan`, and the plan behind the other commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from nemocli.cli.event_loop import run_async
from nemocli.cli.terminal.tables import facts
from nemocli.core.faults import NemoError, config_error, usage_error
from nemocli.core.fit import Gpus, parse_gpus
from nemocli.core.ports import Call
from nemocli.core.provider import Timeouts
from nemocli.core.value_class import value_class
from nemocli.engine.door import whole
from nemocli.nim.manifest import ACROSS_NODES, TARGETS
from nemocli.nim.plan import (
    ContainerImage,
    Launch,
    NimPlan,
    image_of,
    plan_json,
    plan_nim,
    profiles_in,
)

if TYPE_CHECKING:
    from nemocli.cli.context import Setup

PRECISIONS = ("NVFP4", "BF16")
METADATA_URL = "NEMOCLI_NIM_METADATA_URL"
"""A variable that names another place to ask for published profiles."""
MOST_METADATA = 8 << 20
QUICK = Timeouts(connect_s=3, first_byte_s=5, idle_s=5, total_s=10)
OK, NOT_PUBLISHED = 200, 404
ENGINES = ("docker", "podman")


@value_class(frozen=True, slots=True)
class NimOptions:
    """The command line of what plans and starts."""

    model: str
    precision: str = "NVFP4"
    gpus: str | None = None
    engine: str = "docker"
    port: int = 8000
    cache: str | None = None
    user: str | None = None
    max_model_len: int | None = None
    weights: str | None = None


def make_plan(setup: Setup, wish: NimOptions) -> tuple[NimPlan, Launch]:
    """The plan for what was typed. Raises NemoError."""
    if wish.precision.upper() not in PRECISIONS:
        raise usage_error(
            f"--precision {wish.precision!r} is none", f"one of: {', '.join(PRECISIONS)}"
        )
    if wish.engine not in ENGINES:
        raise usage_error(f"--engine {wish.engine!r} is none", f"one of: {', '.join(ENGINES)}")
    card = setup.catalogue.card(wish.model)
    images, address = _images()
    if card is None or card.name not in images:
        raise usage_error(
            f"no container of NIM is known for {wish.model!r}", f"known: {', '.join(images)}"
        )
    image = images[card.name]
    launch = Launch(
        wish.engine,
        wish.port,
        str(Path(wish.cache or "~/.cache/nim").expanduser().absolute()),
        wish.user,
        ("NGC_API_KEY",) if image.needs_key else (),
        wish.max_model_len,
        None if wish.weights is None else str(Path(wish.weights).expanduser().absolute()),
    )
    gpus = _gpus(wish)
    metadata = fetch_profiles(setup, setup.env.get(METADATA_URL) or address, image)
    return plan_nim(card, wish.precision.upper(), gpus, image, launch, metadata=metadata), launch


def fetch_profiles(
    setup: Setup, address: str, image: ContainerImage
) -> list[Mapping[str, Any]] | None:
    """The profiles that the vendor publishes for an image; None where nobody could be asked, which
    is said."""
    if setup.offline:
        return None

    async def ask() -> tuple[int, bytes]:
        from nemocli.cli.world import world_of

        query = urlencode({"resourceId": image.image.partition("/")[2], "tag": image.tag})
        call = Call("GET", f"{address}?{query}", timeouts=QUICK)
        async with world_of(setup) as world, world.transport.send(call) as reply:
            return reply.status, await whole(reply, MOST_METADATA)

    try:
        status, body = run_async(ask)
    except NemoError as error:
        setup.err.dim(f"the vendor's profiles could not be asked for: {error.fault.message}")
        return None
    if status == NOT_PUBLISHED:
        setup.err.dim(f"the vendor publishes no profiles for {image.reference}")
        return None
    try:
        found = profiles_in(json.loads(body)) if status == OK else []
    except (ValueError, RecursionError):
        found = []
    if not found:
        setup.err.dim(f"the vendor's profiles could not be read (HTTP {status})")
    return found or None


def _gpus(wish: NimOptions) -> Gpus:
    if wish.gpus is not None:
        return parse_gpus(wish.gpus)
    from nemocli.io.weights.gpus import detect_gpus

    found = detect_gpus()
    if not found:
        raise usage_error("no GPUs are found here", "`--gpus 8xH100` plans for others")
    kind, count, memory = found[0]
    return Gpus(kind, count, memory, detected=True)


def _images() -> tuple[dict[str, ContainerImage], str]:
    """The containers that are known, by model card, and where their profiles are published."""
    from nemocli.io.profiles.catalogue import profiles_folder
    from nemocli.io.yaml import read

    file = profiles_folder() / "nim" / "images.yaml"
    data = cast("dict[str, Any]", read(file.read_bytes(), str(file)).data)
    try:
        images = {str(name): image_of(row) for name, row in data["images"].items()}
        return images, str(data["metadata"])
    except (KeyError, AttributeError, TypeError) as error:
        raise config_error(f"{file}: {error}") from error


def show_plan(setup: Setup, wish: NimOptions, *, as_json: bool) -> None:
    """The plan for people, or as one object."""
    plan, _ = make_plan(setup, wish)
    if as_json:
        setup.out.json(plan_json(plan))
        return
    size = "unknown" if plan.weights_bytes is None else f"{plan.weights_bytes / 1e9:,.1f} GB"
    gpus = plan.gpus
    rows = [
        ("model", f"{plan.model}, {plan.precision}"),
        ("GPUs", f"{gpus.count} x {gpus.kind} ({gpus.memory_mib:,} MiB each)"),
        ("verdict", plan.verdict),
        *(("", why) for why in plan.why),
        ("ranks", f"tensor {plan.tensor}, pipeline {plan.pipeline}, nodes {plan.nodes}"),
        ("weights", size),
        ("container", plan.image.reference),
        ("driver", f"{plan.image.driver} or newer" if plan.image.driver else ""),
        ("profile", plan.profile or "chosen by the container"),
        *(("source", source) for source in plan.sources),
    ]
    setup.out.lines(facts([(name or "why", value) for name, value in rows]))
    setup.err.dim(f"`nemocli nim up {plan.model} --dry-run` prints the command")


def show_manifest(setup: Setup, wish: NimOptions, to: str) -> None:
    """A file for another engine, on stdout."""
    if to not in TARGETS:
        raise usage_error(f"--to {to!r} is none", f"one of: {', '.join(TARGETS)}")
    plan, launch = make_plan(setup, wish)
    if plan.nodes > 1 and to not in ACROSS_NODES:
        raise usage_error(
            f"this plan needs {plan.nodes} nodes, and {to} is for one",
            f"--to {' or --to '.join(ACROSS_NODES)}",
        )
    made = TARGETS[to](plan, launch)
    if isinstance(made, str):
        setup.out.text(made)
        return
    from nemocli.io.yaml import to_yaml

    setup.out.text("---\n".join(to_yaml(document) for document in made))


def command_line(plan: NimPlan) -> str:
    """The command as one types it."""
    return shlex.join(plan.argv)
