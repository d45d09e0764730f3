"""The manifest: portable, whole, and not to be used for writing outside a folder."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.weights.manifest import Manifest, ManifestEntry, manifest_json, read_manifest
from nemocli.weights.repository import RemoteFile, check_path
from nemocli.weights.segments import SEGMENT, segment_count

HEX40 = st.text("0123456789abcdef", min_size=40, max_size=40)
HEX64 = st.text("0123456789abcdef", min_size=64, max_size=64)
WORDS = st.text("abcXYZ019._-é", min_size=1, max_size=12).filter(lambda w: w.strip("."))
PATHS = st.lists(WORDS, min_size=1, max_size=3).map("/".join)


@st.composite
def entries(draw: st.DrawFn) -> ManifestEntry:
    size = draw(st.integers(0, 5 * SEGMENT))
    sha256 = draw(HEX64)
    file = RemoteFile(draw(PATHS), size, draw(HEX40), sha256 if draw(st.booleans()) else None)
    marks = draw(st.booleans())
    return ManifestEntry(file, sha256, ("00ff00ff00ff00ff",) * segment_count(size) if marks else ())


MANIFESTS = st.builds(
    Manifest,
    repo=st.just("acme/tiny"),
    endpoint=st.just("https://hub.example"),
    revision=st.just("main"),
    commit=HEX40,
    tool=st.text(),
    created=st.text(),
    entries=st.lists(entries(), max_size=4, unique_by=lambda e: e.file.path).map(tuple),
    licence=st.none() | st.text(),
)


@given(MANIFESTS)
def test_what_is_written_is_read(manifest: Manifest) -> None:
    assert read_manifest(manifest_json(manifest), "here") == manifest


@given(st.text() | st.builds(json.dumps, st.dictionaries(st.text(), st.integers())))
def test_anything_else_is_one_fault_that_names_the_file(text: str) -> None:
    with pytest.raises(NemoError) as caught:
        read_manifest(text, "stick/manifest.json")
    assert caught.value.fault.kind is FaultKind.CONFIG
    assert "stick/manifest.json" in caught.value.fault.message


def manifest_with(**changed: object) -> str:
    file = RemoteFile("a", 1, "0" * 40, "1" * 64)
    whole = Manifest("acme/tiny", "e", "main", "2" * 40, "t", "c", (ManifestEntry(file, "1" * 64),))
    said = json.loads(manifest_json(whole))
    rows = {k: v for k, v in changed.items() if k in said["files"][0]}
    said["files"][0] |= rows
    return json.dumps({**said, **{k: v for k, v in changed.items() if k not in rows}})


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "../../evil"},
        {"path": "/etc/passwd"},
        {"path": "a/../../b"},
        {"path": "C:\\windows"},
        {"path": "a\x1b[2J"},
        {"git_oid": "../../../x"},
        {"sha256": "../x"},
        {"commit": "../x"},
        {"revision": "../../x"},
        {"repo": "../x/y"},
        {"size": -1},
        {"size": "1"},
    ],
)
def test_no_field_can_lead_out_of_the_folder(changed: dict[str, object]) -> None:
    read_manifest(manifest_with(), "here")
    with pytest.raises(NemoError):
        read_manifest(manifest_with(**changed), "here")


@given(st.text(max_size=40))
def test_a_path_that_is_let_through_stays_below(path: str) -> None:
    try:
        check_path(path)
    except NemoError:
        return
    assert not path.startswith("/")
    assert ".." not in path.replace("\\", "/").split("/")
    assert path
