"""Files by their names, for a check or an export: of a plain folder, or of a snapshot's links."""

from __future__ import annotations

import os
from pathlib import Path

from nemocli.io.weights.part import PartFile, disk_error
from nemocli.weights.hub_layout import LOCAL_META

MANIFEST = "nemocli-manifest.json"
_SKIPPED = (f"{LOCAL_META}/", ".git/", ".nemocli/")


class NamedFiles:
    """Fills `weights.verify.Folder`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def size(self, path: str) -> int | None:
        """None when there is no such file, or a link that leads nowhere."""
        try:
            found = (self.root / path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise disk_error("cannot look at", self.root / path, error) from error
        return found.st_size if (self.root / path).is_file() else None

    def open(self, path: str) -> PartFile:
        """For reading."""
        return PartFile(self.root / path)

    def names(self) -> list[str]:
        """Every file, and every link to one, that is not bookkeeping."""
        found = []
        for folder, _, files in os.walk(self.root):
            for name in files:
                path = (Path(folder) / name).relative_to(self.root).as_posix()
                if not path.startswith(_SKIPPED) and path != MANIFEST:
                    found.append(path)
        return sorted(found)
