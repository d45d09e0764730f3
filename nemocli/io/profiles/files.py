"""Profile files to layered mappings: read, check, cover, extend. The slow way, taken on change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from nemocli.core.faults import Fault, NemoError, config_error
from nemocli.core.profile import extend, overlaid, stamp_prices
from nemocli.core.provider import Layer, origin_of
from nemocli.core.value_class import value_class
from nemocli.core.values import JsonObject
from nemocli.io.profiles.check import Checker, config_fault
from nemocli.io.yaml import Document, read

Kind = Literal["providers", "models"]
SCHEMAS: Mapping[Kind, str] = {
    "providers": "provider.schema.json",
    "models": "model.schema.json",
}


@value_class(frozen=True, slots=True)
class File:
    """A file that may hold a profile."""

    kind: Kind
    layer: Layer
    path: Path


@value_class(frozen=True, slots=True)
class ProfileRow:
    """A profile with all its layers and what it extends applied; `file` is its nearest file."""

    data: JsonObject
    layer: Layer
    file: str
    lineage: tuple[str, ...] = ()


@dataclass(slots=True)
class ProfileShelf:
    """Everything of one kind: rows by name, and by name why there is none."""

    rows: dict[str, ProfileRow] = field(default_factory=dict)
    refused: dict[str, Fault] = field(default_factory=dict)


@value_class(frozen=True, slots=True)
class Shelves:
    """What all files come to. `broken` are the faults by file."""

    providers: ProfileShelf
    models: ProfileShelf
    broken: Mapping[str, Fault]


@value_class(frozen=True, slots=True)
class _Piece:
    layer: Layer
    file: str
    document: Document

    @property
    def data(self) -> JsonObject:
        return self.document.data if isinstance(self.document.data, Mapping) else {}


def shelves(files: Iterable[File], schemas: Path) -> Shelves:
    """Read every file, nearer layers over farther ones. A broken file spoils only its own name
    and those that extend it; nothing is raised for it. Files come in the order of their layers.
    """
    files = list(files)
    broken: dict[str, Fault] = {}
    kinds: tuple[Kind, Kind] = ("providers", "models")
    both = [
        _Shelving(kind, schemas, broken).fill(f for f in files if f.kind == kind) for kind in kinds
    ]
    return Shelves(both[0], both[1], broken)


def problem_in(path: Path, schemas: Path, others: Iterable[File] = ()) -> Fault | None:
    """What is wrong with one file: a profile, as its schema or folder says, read as a user's file
    of that name among the `others`; else settings."""
    from nemocli.core.settings import from_file
    from nemocli.io.files import read_text

    try:
        text = read_text(path)
        if text is None:
            raise config_error(f"{path}: no such file")
        document = read(text, str(path))
        data = document.data if isinstance(document.data, Mapping) else {}
        named = str(data.get("schema", ""))
        for kind in SCHEMAS:
            if named.startswith(f"nemocli.{kind[:-1]}") or path.absolute().parent.name == kind:
                beside = [
                    f
                    for f in others
                    if f.kind == kind and (f.layer == "bundled" or f.path.stem != path.stem)
                ]
                mine = File(kind, "user", path)
                return shelves([*beside, mine], schemas).broken.get(str(path))
        from_file(data, document.lines, str(path))
    except NemoError as error:
        return error.fault
    return None


@dataclass(slots=True)
class _Shelving:
    """Fills one shelf; `going` is the path of `extends` being followed, to see a circle."""

    kind: Kind
    schemas: Path
    broken: dict[str, Fault]
    pieces: dict[str, list[_Piece]] = field(default_factory=dict)
    shelf: ProfileShelf = field(default_factory=ProfileShelf)
    going: list[str] = field(default_factory=list)

    def fill(self, files: Iterable[File]) -> ProfileShelf:
        checker = Checker(json.loads((self.schemas / SCHEMAS[self.kind]).read_text("utf-8")))
        for file in files:
            name = file.path.stem
            try:
                piece = _Piece(file.layer, str(file.path), _checked(file, checker))
            except NemoError as error:
                self.broken[str(file.path)] = error.fault
                self.shelf.refused[name] = error.fault
            else:
                self.pieces.setdefault(name, []).append(piece)
        for name in sorted(self.pieces):
            self._settled(name)
        for name, fault in list(self.shelf.refused.items()):
            # The shipped names of a card whose nearer file is broken must not mean another model.
            for piece in self.pieces.get(name, ()):
                for alias in _words(piece.data, "aliases"):
                    self.shelf.refused.setdefault(alias.lower(), fault)
        return self.shelf

    def _settled(self, name: str) -> ProfileRow | Fault:
        if name in self.shelf.refused:
            return self.shelf.refused[name]
        if name in self.shelf.rows:
            return self.shelf.rows[name]
        pieces = self.pieces[name]
        self.going.append(name)
        try:
            row = self._row(name, pieces)
        except NemoError as error:
            self.broken.setdefault(pieces[-1].file, error.fault)
            self.shelf.refused[name] = error.fault
            return error.fault
        finally:
            self.going.pop()
        self.shelf.rows[name] = row
        return row

    def _row(self, name: str, pieces: Sequence[_Piece]) -> ProfileRow:
        nearest = pieces[-1]
        data: JsonObject = {}
        for piece in pieces:
            layer = stamp_prices(piece.data, piece.layer)
            if data and layer.get("extends") == name:  # it lies over that one as it is
                layer = {key: value for key, value in layer.items() if key != "extends"}
            data = overlaid(data, layer) if data else layer
        lineage: tuple[str, ...] = ()
        if data.get("extends") is not None:
            base = self._base(pieces, str(data["extends"]))
            data = extend(base.data, data)
            lineage = (str(data["extends"]), *base.lineage)
        row = ProfileRow(data, nearest.layer, nearest.file, lineage)
        if self.kind == "providers":
            _complete(row, nearest)
        return row

    def _base(self, pieces: Sequence[_Piece], name: str) -> ProfileRow:
        says = next(p for p in reversed(pieces) if "extends" in p.data)
        line = says.document.line(("extends",))

        def refusal(what: str, hint: str | None = None) -> NemoError:
            return NemoError(config_fault(says.file, line, what, hint))

        if name in self.going:
            circle = " -> ".join([*self.going[self.going.index(name) :], name])
            raise refusal(f"extends goes in a circle: {circle}", "leave `extends` out")
        if name not in self.pieces and name not in self.shelf.refused:
            near = get_close_matches(name, self.pieces, 1)
            raise refusal(
                f"extends {name!r}, which there is not",
                f"did you mean {near[0]!r}?" if near else None,
            )
        base = self._settled(name)
        if isinstance(base, Fault):
            raise refusal(f"extends {name!r}, which is broken: {base.message}", base.hint)
        return base


def _checked(file: File, checker: Checker) -> Document:
    """The document of a file that is sound by itself. Raises NemoError naming file and line."""
    shown = str(file.path)
    if file.path.suffix != ".yaml":
        raise config_error(f"{shown}: not read", f"call it {file.path.stem}.yaml")
    try:
        document = read(file.path.read_bytes(), shown)
    except OSError as error:
        raise config_error(f"{shown}: {(error.strerror or str(error)).lower()}") from error
    if fault := checker.fault(document, shown):
        raise NemoError(fault)
    data = document.data
    assert isinstance(data, Mapping)
    if data["name"] != file.path.stem:
        line = document.line(("name",))
        what = f"name is {data['name']!r}, but the file is called {file.path.name}"
        raise NemoError(config_fault(shown, line, what, f"call it {data['name']}.yaml"))
    return document


_NEEDS = {
    "settlement": ("path", "fields"),
    "runtime": ("kind", "settings"),
}


def _complete(row: ProfileRow, nearest: _Piece) -> None:
    """Raises NemoError for what a partial file left out and nothing it stands on supplies."""

    def refusal(key: str, what: str, hint: str | None = None) -> NemoError:
        return NemoError(config_fault(row.file, nearest.document.line((key,)), what, hint))

    data = row.data
    if data.get("dialect") is None:
        raise refusal("dialect", "missing key 'dialect'", "`dialect: chat` fits most servers")
    if data.get("base_url") is None and data.get("runtime") is None:
        raise refusal("base_url", "missing key 'base_url'", "such as http://localhost:8000/v1")
    for key, needed in _NEEDS.items():
        part = data.get(key)
        for inner in needed if isinstance(part, Mapping) else ():
            if part.get(inner) is None:  # type: ignore[union-attr]
                raise refusal(key, f"missing key {inner!r} in {key}")
    try:
        origin_of(str(data.get("base_url") or ""))
    except ValueError as error:
        # Ports and bracketed hosts are judged by the URL parser, not by a pattern.
        what = f"base_url is no address: {str(error)[0].lower()}{str(error)[1:]}"
        raise refusal("base_url", what) from error


def _words(data: JsonObject, key: str) -> list[str]:
    value = data.get(key)
    return [w for w in value if isinstance(w, str)] if isinstance(value, list) else []
