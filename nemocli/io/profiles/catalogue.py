"""Every provider and model card this user has, from a cache of parsed files while none changed."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from nemocli.core.card import ModelCard
from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.plan import Catalogue
from nemocli.core.profile import card_from, provider_from
from nemocli.core.provider import Layer, Provider
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject
from nemocli.version import __version__

if TYPE_CHECKING:
    from nemocli.core.money import Price
    from nemocli.io.profiles.files import File, Kind, ProfileShelf

T = TypeVar("T")

FORMAT = 1
"""Of the cache file; another number is another file."""

SETTLED_S = 0.05
"""A file changed more recently may change again unseen, within one tick of its clock: it is not
cached yet."""

KINDS: tuple[Kind, Kind] = ("providers", "models")


@value_class(frozen=True, slots=True)
class ProfileFolders:
    """Where profiles are, farthest first. Each has `providers/` and `models/`, if anything;
    `project` is given only for a folder the user trusts."""

    shipped: Path
    user: Path | None = None
    project: Path | None = None

    @property
    def layers(self) -> tuple[tuple[Layer, Path | None], ...]:
        """Each folder with the name of its layer."""
        return ("bundled", self.shipped), ("user", self.user), ("project", self.project)


@value_class(frozen=True, slots=True)
class LoadedProfiles:
    """The catalogue, and the faults of files that could not be used, by file. A name whose file is
    broken is in the catalogue in so far as asking for it raises that fault; listing passes it over.
    """

    catalogue: Catalogue
    broken: Mapping[str, Fault]


class Shelved(Mapping[str, T], Generic[T]):
    """Values built when first asked for. `in` is true also of a name that is refused, and asking
    for it raises NemoError; iteration gives only what can be had."""

    def __init__(
        self,
        rows: Mapping[str, JsonObject],
        refused: Mapping[str, Fault],
        build: Callable[[JsonObject], T],
    ) -> None:
        self._rows = rows
        self._refused = refused
        self._build = build
        self._built: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._built:
            if name in self._refused:
                raise NemoError(self._refused[name])
            self._built[name] = self._build(self._rows[name])
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows or name in self._refused

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def profiles_folder() -> Path:
    """Inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parents[2]
    inside = package / "profiles"
    return inside if inside.is_dir() else package.parent / "profiles"


def catalogue(
    folders: ProfileFolders, cache: Path | None = None, prices: Path | None = None
) -> LoadedProfiles:
    """Everything the folders hold, nearer layers over farther ones. The rows of the `prices` file
    are added to the cards they are about.

    Nothing is raised for a broken file. `cache` is used while no file changed in size or time of
    change; one that is missing, damaged or unwritable costs time and nothing else.
    """
    files, unreadable = _files(folders)
    key = _key(folders, files)
    image = None if cache is None else _cached(cache, key)
    if image is None:
        settled = _settled(key)  # as of before the files are read
        image = _image(files, folders.shipped / "schemas")
        if cache is not None and settled:
            from nemocli.io.files import write_private

            with suppress(NemoError):
                write_private(cache, _packed({"key": key, **image}))
    providers, cards = _shelf(image, "providers"), _shelf(image, "models")
    more = _Rows(prices)
    broken = {**unreadable, **_faults(image, "broken")}
    return LoadedProfiles(
        Catalogue(
            Shelved(providers[0], providers[1], _provider),
            Shelved(cards[0], cards[1], lambda row: more.add_to(_card(row))),
        ),
        broken,
    )


def _provider(row: JsonObject) -> Provider:
    return provider_from(
        cast(JsonObject, row["data"]),
        layer=cast(Layer, row["layer"]),
        file=str(row["file"]),
        lineage=tuple(str(name) for name in cast(list[str], row["lineage"])),
    )


def _card(row: JsonObject) -> ModelCard:
    return card_from(
        cast(JsonObject, row["data"]), layer=cast(Layer, row["layer"]), file=str(row["file"])
    )


class _Rows:
    """The rows of a price file, read when the first card is asked for."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._prices: tuple[Price, ...] | None = None

    def add_to(self, card: ModelCard) -> ModelCard:
        """The card with the rows that are about it."""
        if self._prices is None:
            self._prices = ()
            if self._path is not None and self._path.exists():
                from nemocli.io.profiles.price_file import read_prices

                self._prices = read_prices(self._path)
        mine = tuple(p for p in self._prices if p.model == card.name)
        return replace(card, prices=(*card.prices, *mine)) if mine else card


def profile_files(folders: ProfileFolders) -> list[File]:
    """Every file the folders have, in the order of their layers."""
    from nemocli.io.profiles.files import File

    return [File(kind, layer, Path(path)) for kind, layer, path in _files(folders)[0]]


def _files(folders: ProfileFolders) -> tuple[list[tuple[Kind, Layer, str]], dict[str, Fault]]:
    """Every file that may hold a profile, layer by layer, and the folders that cannot be read."""
    found: list[tuple[Kind, Layer, str]] = []
    unreadable: dict[str, Fault] = {}
    for kind in KINDS:
        for layer, root in folders.layers:
            if root is None:
                continue
            folder = f"{root}{os.sep}{kind}"
            try:
                names = os.listdir(folder)  # noqa: PTH208 - pathlib costs as much as the rest here
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                what = f"{folder}: {(error.strerror or str(error)).lower()}"
                unreadable[folder] = Fault(FaultKind.CONFIG, what, sent=False)
                continue
            found += [
                (kind, layer, f"{folder}{os.sep}{name}")
                for name in sorted(names)
                if name.endswith((".yaml", ".yml")) and not name.startswith(".")
            ]
    return found, unreadable


def _key(folders: ProfileFolders, files: list[tuple[Kind, Layer, str]]) -> list[Json]:
    """What the cache depends on: size and time of change of every file, and this program."""
    from sys import version_info

    schemas = f"{folders.shipped}{os.sep}schemas"
    key: list[Json] = [FORMAT, __version__, f"{version_info[0]}.{version_info[1]}"]
    for path in (
        *(path for _, _, path in files),
        f"{schemas}{os.sep}provider.schema.json",
        f"{schemas}{os.sep}model.schema.json",
    ):
        try:
            stat = os.stat(path)  # noqa: PTH116
        except OSError:
            key.append([path, -1, -1])
        else:
            key.append([path, stat.st_size, stat.st_mtime_ns])
    return key


def _settled(key: list[Json]) -> bool:
    newest = max((cast(int, row[2]) for row in key if isinstance(row, list)), default=0)
    return newest < time.time_ns() - int(SETTLED_S * 1e9)


def _image(files: list[tuple[Kind, Layer, str]], schemas: Path) -> JsonObject:
    from nemocli.io.profiles.files import File, shelves

    found = shelves((File(kind, layer, Path(path)) for kind, layer, path in files), schemas)
    return {
        "providers": _shelf_image(found.providers),
        "models": _shelf_image(found.models),
        "broken": {file: [f.message, f.hint] for file, f in found.broken.items()},
    }


def _shelf_image(shelf: ProfileShelf) -> JsonObject:
    return {
        "rows": {
            name: {
                "data": row.data,
                "layer": row.layer,
                "file": row.file,
                "lineage": list(row.lineage),
            }
            for name, row in shelf.rows.items()
        },
        "refused": {name: [f.message, f.hint] for name, f in shelf.refused.items()},
    }


def _shelf(image: JsonObject, kind: Kind) -> tuple[Mapping[str, JsonObject], Mapping[str, Fault]]:
    shelf = cast(JsonObject, image[kind])
    return cast(Mapping[str, JsonObject], shelf["rows"]), _faults(shelf, "refused")


def _faults(data: JsonObject, key: str) -> dict[str, Fault]:
    rows = cast(Mapping[str, tuple[str, str | None]], data[key])
    return {n: Fault(FaultKind.CONFIG, what, hint, sent=False) for n, (what, hint) in rows.items()}


def _cached(cache: Path, key: list[Json]) -> JsonObject | None:
    """The image of the very same files, or None. A checksum stands before it, so that no damaged
    byte becomes part of an address."""
    try:
        packed = cache.read_bytes()
    except OSError:
        return None
    checksum, _, text = packed.partition(b"\n")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    image: JsonObject = json.loads(text, parse_float=Decimal)
    return image if image.get("key") == key else None


def _packed(image: JsonObject) -> bytes:
    text = _json(image).encode("utf-8")
    return b"%08x\n%s" % (zlib.crc32(text), text)


def _json(value: Json) -> str:
    """JSON in which a Decimal is a number with all its digits."""
    if isinstance(value, Decimal):
        text = str(value)
        # A whole Decimal is written so that it is read back as one.
        return text if any(c in text for c in ".E") else f"{text}.0"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(k)}:{_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value)
