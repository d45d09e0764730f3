"""Pinned weights: what a file must be, and whether it is on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from nemocli.core.faults import NemoError, config_error
from nemocli.core.value_class import value_class
from nemocli.core.values import Json
from nemocli.io.files import write_private

_NEEDED = {"package": {"package"}, "index": {"requirement", "sha256"}, "url": {"url"}}


@value_class(frozen=True, slots=True)
class Pin:
    """What the file must be. Its `sources` are tried in order; the sum decides, not the source."""

    file: str
    size: int
    sha256: str
    sources: tuple[Mapping[str, str], ...]
    instead: str = ""
    """What one may do where it cannot be fetched."""


def pin_from(provider: str, weights: Json) -> Pin:
    """The pin in a profile's runtime settings. Raises NemoError where a user's own is none."""
    try:
        return _pin(cast(Any, weights))
    except (KeyError, TypeError, ValueError) as error:
        raise config_error(
            f"{provider}: `runtime.settings.weights` must have a file (a plain name), its size, its"
            " sha256 and its sources",
            "mend the provider's file, or give a model with `-O model_path=FILE`",
        ) from error


def _pin(weights: Any) -> Pin:  # noqa: ANN401 - whatever a profile has there
    rows = tuple({str(k): str(v) for k, v in dict(row).items()} for row in weights["sources"])
    name = str(weights["file"])
    if Path(name).name != name or not all(_NEEDED[r["kind"]] <= r.keys() for r in rows):
        raise ValueError(name)
    own = "give a GGUF file with `-O model_path=FILE`"
    return Pin(name, int(weights["size"]), str(weights["sha256"]), rows, own)


@value_class(frozen=True, slots=True)
class PinnedShelf:
    """Where fetched files are kept, with notes of which were verified."""

    folder: Path

    def present(self, pin: Pin) -> Path | None:
        """The verified file where it is on this machine already."""
        places = [self.folder / pin.file, *(p for s in pin.sources if (p := _packaged(s, pin)))]
        return next((place for place in places if self.verify(place, pin)), None)

    def verify(self, file: Path, pin: Pin) -> bool:
        """Whether the file is the pinned one. Its sum is taken once, and again when it changed."""
        try:
            stat = file.stat()
        except OSError:
            return False
        if stat.st_size != pin.size:
            return False
        state = [str(file), stat.st_size, stat.st_mtime_ns, pin.sha256]
        mark = self.folder / f".{pin.file}.{_short(str(file))}.json"
        with suppress(OSError, ValueError):
            if json.loads(mark.read_text("utf-8")) == state:
                return True
        if _sum(file) != pin.sha256:
            return False
        with suppress(NemoError):  # an unwritable cache costs time, nothing else
            write_private(mark, json.dumps(state))
        return True


def _packaged(source: Mapping[str, str], pin: Pin) -> Path | None:
    """The file inside an installed package, which is looked for and not imported."""
    if source["kind"] != "package":
        return None
    try:
        spec = importlib.util.find_spec(source["package"])
    except (ImportError, ValueError):
        return None
    places = (spec.submodule_search_locations if spec is not None else None) or ()
    return next((Path(place, pin.file) for place in places), None)


def _sum(file: Path) -> str:
    try:
        with file.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError:
        return ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
