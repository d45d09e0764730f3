"""Weights on this machine's disks: in the shared cache, or in a plain folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from nemocli.core.faults import NemoError, config_error
from nemocli.io.weights.part import PartFile, disk_error, sync_folder
from nemocli.io.weights.state import StateFolder, replace_file
from nemocli.weights import hub_layout as layout
from nemocli.weights.ports import Space, Stamp
from nemocli.weights.repository import Blob, Listing, check_path


class _Store:
    """What both kinds of place have in common."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root = root
        self.folder = str(root)
        self.state = StateFolder(state)
        self.journal = self.state.journal
        self.rewrite_journal = self.state.rewrite_journal
        self.note = self.state.note
        self.read_state = self.state.read
        self.write_state = self.state.write

    def lock(self) -> AbstractContextManager[str | None]:
        """Take it: None when it is ours, else who has it."""
        return self.state.lock()

    def path_of(self, seat: str) -> Path:
        """Where a seat is."""
        return self.root / seat

    def stamp(self, seat: str) -> Stamp | None:
        """What a file looks like; None when there is none."""
        try:
            found = self.path_of(seat).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise disk_error("cannot look at", self.path_of(seat), error) from error
        return Stamp(found.st_size, found.st_mtime_ns)

    def open_seat(self, seat: str) -> PartFile:
        """A finished file, for reading."""
        return PartFile(self.path_of(seat))

    def part_path(self, blob: Blob) -> str:
        """The same, as text."""
        return str(self.where(blob))

    def where(self, blob: Blob) -> Path:
        """Where a content is put together."""
        return self.state.path / "parts" / blob.name

    def part_bytes(self, blob: Blob) -> int:
        """Bytes of the disk that a part holds already."""
        try:
            found = self.where(blob).stat()
        except OSError:
            return 0
        blocks = getattr(found, "st_blocks", None)
        return min(found.st_size if blocks is None else blocks * 512, blob.size)

    def part(self, blob: Blob) -> PartFile:
        """A content under way, made if need be."""
        return PartFile(self.where(blob), blob.size)

    def drop_part(self, blob: Blob) -> None:
        """A part that is worth nothing."""
        with suppress(OSError):
            self.where(blob).unlink()

    def withdraw(self, seat: str, blob: Blob) -> None:
        """Make a damaged file a part again, so that only what is damaged must come anew. One that
        other folders share is copied."""
        source, target = self.path_of(seat), self.where(blob)
        try:
            if source.is_symlink() or source.stat().st_nlink > 1:
                copy_file(source, target)
            else:
                source.replace(target)
        except OSError as error:
            raise disk_error("cannot mend", source, error) from error

    def reserve(self, blobs: Sequence[Blob]) -> None:
        """Take the room for all parts. When it is not there, what was taken here is given back."""
        made: list[Blob] = []
        try:
            for blob in blobs:
                if not self.where(blob).exists():
                    made.append(blob)
                part = self.part(blob)
                try:
                    part.reserve(blob.size)
                finally:
                    part.close()
        except NemoError:
            for blob in made:
                self.drop_part(blob)
            raise

    def space(self) -> Space:
        """Room on the target's file system, for this user."""
        place = self.root
        while not place.exists() and place != place.parent:
            place = place.parent
        try:
            if not hasattr(os, "statvfs"):
                return Space(shutil.disk_usage(place).free, None)
            found = os.statvfs(place)
        except OSError as error:
            raise disk_error("cannot look at", place, error) from error
        return Space(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)

    def check_case(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Refuse two names that are one here. Only a file system that holds both is asked again."""
        if not pairs:
            return
        self.state.make()
        probe = self.state.path / "Case-Probe"
        try:
            probe.touch()
            same = probe.with_name("cASE-pROBE").exists()
            probe.unlink()
        except OSError as error:
            raise disk_error("cannot write", probe, error) from error
        if same:
            one, other = pairs[0]
            raise config_error(
                f"{one} and {other} are one name on the file system of {self.folder}",
                "choose a place that tells upper from lower case, or --exclude one of them",
            )

    def _prune(self, whole: Listing) -> None:
        """Parts of contents that the revision does not have any more."""
        known = {file.etag for file in whole.files}
        with suppress(OSError):
            for part in (self.state.path / "parts").iterdir():
                if part.name not in known:
                    part.unlink()

    def _make(self, *folders: Path) -> None:
        for folder in folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise disk_error("cannot make the folder", folder, error) from error

    def _place(self, source: Path, target: Path) -> None:
        """A rename, and its folder on the disk."""
        try:
            source.replace(target)
        except OSError as error:
            raise disk_error("cannot put in place", target, error) from error
        sync_folder(target.parent)


class CacheStore(_Store):
    """A repository in the shared cache, as huggingface_hub 2.4.0 lays it out."""

    def __init__(self, cache: Path, repo: str) -> None:
        self.cache = cache
        root = cache / layout.repo_folder(repo)
        super().__init__(root, root / layout.STATE)

    def seats(self, blob: Blob) -> tuple[str, ...]:
        """One, whatever the names."""
        return (f"blobs/{blob.name}",)

    def begin(self) -> None:
        """The folders; without `snapshots` the ecosystem takes the cache for broken."""
        self.state.make()
        self._make(self.root / "blobs", self.root / "snapshots")
        tag = self.cache / "CACHEDIR.TAG"
        if not tag.exists():
            replace_file(tag, layout.CACHE_TAG.encode())

    def publish(self, blob: Blob) -> None:
        """A whole content."""
        self._place(self.where(blob), self.root / "blobs" / blob.name)

    def finish(self, whole: Listing, files: Listing) -> str:
        """Links by name, the revision's commit, and the list from which others see that nothing is
        missing. The snapshot's folder."""
        snapshot = self.root / "snapshots" / files.commit
        for file in files.files:
            self._link(snapshot, file.path, file.etag)
        tree = self.root / "trees" / f"{files.commit}.json"
        if not tree.exists():
            replace_file(tree, layout.tree_file(whole.files).encode())
        if files.revision != files.commit:
            check_path(files.revision)
            replace_file(self.root / "refs" / files.revision, files.commit.encode())
        self._prune(whole)
        return str(snapshot)

    def complete_folder(self, files: Listing) -> str | None:
        """The snapshot's folder where each name of it is linked and the revision means it."""
        snapshot = self.root / "snapshots" / files.commit
        try:
            linked = all((snapshot / file.path).exists() for file in files.files)
            ref = self.root / "refs" / files.revision
            meant = files.revision == files.commit or ref.read_text("utf-8") == files.commit
        except (OSError, ValueError):
            return None
        return str(snapshot) if linked and meant else None

    def _link(self, snapshot: Path, path: str, name: str) -> None:
        link, target = snapshot / path, layout.link_target(path, name)
        try:
            if link.is_symlink() and link.readlink() == Path(target):
                return
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            try:
                link.symlink_to(target)
            except (OSError, NotImplementedError):
                share_file(self.root / "blobs" / name, link)
        except OSError as error:
            raise disk_error("cannot link", link, error) from error


class FolderStore(_Store):
    """A plain folder, with the notes by which huggingface_hub 2.4.0 knows its files again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder / layout.LOCAL_STATE)

    def seats(self, blob: Blob) -> tuple[str, ...]:
        """One for each name."""
        return blob.paths

    def begin(self) -> None:
        """The folder, marked as one whose bookkeeping is nobody's to commit or to back up."""
        self.state.make()
        meta = self.root / layout.LOCAL_META
        for name, text in ((".gitignore", "*"), ("CACHEDIR.TAG", layout.CACHE_TAG)):
            if not (meta / name).exists():
                replace_file(meta / name, text.encode())

    def complete_folder(self, files: Listing) -> str | None:
        """The folder, where the list of the commit is in it."""
        tree = self.root / layout.LOCAL_META / "trees" / f"{files.commit}.json"
        return str(self.root) if tree.is_file() else None

    def publish(self, blob: Blob) -> None:
        """A whole content under each of its names."""
        first = self._safe(blob.paths[0])
        self._place(self.where(blob), first)
        for path in blob.paths[1:]:
            beside = self.where(blob).with_name(f"{blob.name}.copy")
            try:
                copy_file(first, beside)
            except OSError as error:
                raise disk_error("cannot copy", first, error) from error
            self._place(beside, self._safe(path))

    def _safe(self, path: str) -> Path:
        """The place of a name, which no link on the way may lead out of the folder."""
        target = self.root / path
        self._make(target.parent)
        if not target.parent.resolve().is_relative_to(self.root.resolve()):
            raise config_error(f"{target.parent} leads out of {self.root}", "remove that link")
        return target

    def finish(self, whole: Listing, files: Listing) -> str:
        """A note for each file, and the list of all. The folder."""
        meta = self.root / layout.LOCAL_META
        for file in files.files:
            note = meta / "download" / f"{file.path}.metadata"
            text = layout.metadata_file(files, file.etag, time.time())
            with suppress(NemoError):  # a name may be too long for it; the file itself is here
                replace_file(note, text.encode(), durable=False)
        tree = meta / "trees" / f"{files.commit}.json"
        if not tree.exists():
            replace_file(tree, layout.tree_file(whole.files).encode())
        self._prune(whole)
        return str(self.root)


def share_file(source: Path, target: Path) -> str:
    """One content under a second name, as cheaply as can be; how: `reflink`, `hardlink`, `copy`."""
    target.unlink(missing_ok=True)
    if _reflink(source, target):
        return "reflink"
    try:
        os.link(source.resolve(), target)
    except OSError:
        copy_file(source, target)
        return "copy"
    return "hardlink"


def copy_file(source: Path, target: Path) -> None:
    """A file of its own with the same bytes, sharing the disk's blocks where that can be."""
    if not _reflink(source, target):
        shutil.copyfile(source, target)


def _reflink(source: Path, target: Path) -> bool:
    """ioctl FICLONE of linux/fs.h: btrfs, XFS and some others; False elsewhere."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with source.open("rb") as old, target.open("wb") as new:
            fcntl.ioctl(new.fileno(), 0x40049409, old.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        return False
    return True
