"""Settings from the command line, the environment, a project's file and the user's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from nemocli.core.faults import NemoError, config_error
from nemocli.core.settings import (
    Layer,
    Lines,
    Settings,
    Value,
    coerce,
    from_env,
    from_file,
    from_flags,
    from_project,
    setting,
)
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject
from nemocli.io.files import lock, read_text, write_private
from nemocli.io.paths import Paths

PROJECT_FILE = "nemocli.yaml"
PROJECT_PROFILES = Path(".nemocli", "profiles")


@value_class(frozen=True, slots=True)
class Project:
    """A folder with a `nemocli.yaml`. Its profiles count only when the user trusts it."""

    folder: Path
    trusted: bool

    @property
    def file(self) -> Path:
        """The project's settings."""
        return self.folder / PROJECT_FILE

    @property
    def profiles(self) -> Path | None:
        """The project's own profiles; None while the folder is not trusted."""
        return self.folder / PROJECT_PROFILES if self.trusted else None


@value_class(frozen=True, slots=True)
class LoadedSettings:
    """What holds here and now. `warnings` are lines about what a project was refused."""

    settings: Settings
    config_file: Path
    project: Project | None = None
    warnings: tuple[str, ...] = ()


def load(
    paths: Paths,
    env: Mapping[str, str],
    cwd: Path,
    flags: Mapping[str, Json] | None = None,
    config_file: Path | None = None,
) -> LoadedSettings:
    """Flags over `NEMOCLI_*` over the project's file over the user's over built-in.

    `config_file` stands for the user's file and must exist. Raises NemoError naming the place.
    """
    user_file = config_file or paths.config_file
    text = read_text(user_file)
    if text is None and config_file is not None:
        raise config_error(f"{config_file}: no such file")
    strong = (from_flags(flags or {}), from_env(env))
    user = () if text is None else (_layer(text, user_file),)
    project = find_project(paths, cwd)
    if project is None:
        return LoadedSettings(Settings((*strong, *user)), user_file)
    layer, warnings = _project_layer(project, Settings(user))
    return LoadedSettings(Settings((*strong, layer, *user)), user_file, project, warnings)


def find_project(paths: Paths, cwd: Path) -> Project | None:
    """The nearest folder with a `nemocli.yaml`, from here up to the git root.

    Outside a repository only here: a file further up may be anybody's.
    """
    here = cwd.absolute()
    upward = (here, *here.parents)
    root = project_root(cwd) or here
    for folder in upward[: upward.index(root) + 1]:
        if (folder / PROJECT_FILE).is_file():
            return Project(folder, is_trusted(paths, folder))
    return None


def project_root(cwd: Path) -> Path | None:
    """The git root that a folder is in; None outside a repository."""
    here = cwd.absolute()
    return next((f for f in (here, *here.parents) if (f / ".git").exists()), None)


def is_trusted(paths: Paths, folder: Path) -> bool:
    """Whether the user vouched for exactly this folder."""
    return str(folder.resolve()) in _trusted(paths)


def trust(paths: Paths, folder: Path, *, yes: bool = True) -> None:
    """Vouch for a folder, or take it back."""
    with lock(paths.trust_file.with_suffix(".lock")):
        folders = _trusted(paths) - {str(folder.resolve())}
        if yes:
            folders |= {str(folder.resolve())}
        write_private(paths.trust_file, json.dumps({"folders": sorted(folders)}, indent=2) + "\n")


def set_value(path: Path, name: str, value: Json) -> Value:
    """Set one setting in a YAML file, leaving every other line as it is; the value as understood.

    Raises NemoError for unknown names and wrong values, and where the file spells the setting in
    a way that only a person can edit.
    """
    row = setting(name)
    try:
        wanted = coerce(row, value)
    except ValueError as error:
        raise config_error(f"{name}: {error}") from error
    before = read_text(path) or ""
    if before:
        _layer(before, path)  # a broken file is reported, not edited
    after = _edited(before, name.split("."), _yaml(wanted))
    if after is None or not _says(after, path, name, wanted):
        raise config_error(
            f"{path}: `{name}` is written there over several lines", "edit the file by hand"
        )
    write_private(path, after)
    return wanted


def unset_value(path: Path, name: str) -> bool:
    """Take one setting out of a YAML file, every other line as it is; False where it is not in it.

    Raises NemoError for unknown names, and where the file spells it in a way that only a person can
    edit.
    """
    setting(name)
    before = read_text(path)
    if before is None or name not in _layer(before, path).values:
        return False
    after = _without(before, name.split("."))
    if after is None or name in _layer(after, path).values:
        raise config_error(
            f"{path}: `{name}` is written there over several lines", "edit the file by hand"
        )
    write_private(path, after)
    return True


def _layer(text: str, file: Path) -> Layer:
    data, lines = _parsed(text, file)
    return from_file(data, lines, str(file))


def _project_layer(project: Project, user: Settings) -> tuple[Layer, tuple[str, ...]]:
    data, lines = _parsed(read_text(project.file) or "", project.file)
    if project.trusted:
        return from_file(data, lines, str(project.file)), ()
    return from_project(data, lines, str(project.file), user)


def _parsed(text: str, file: Path) -> tuple[JsonObject, Lines]:
    from nemocli.io.yaml import read

    document = read(text, str(file))
    if document.data is None:
        return {}, {}
    if not isinstance(document.data, Mapping):
        raise config_error(f"{file}:1: settings are written as `name: value`")
    return document.data, document.lines


def _trusted(paths: Paths) -> set[str]:
    text = read_text(paths.trust_file)
    if text is None:
        return set()
    try:
        data = json.loads(text)
    except ValueError as error:
        raise config_error(
            f"{paths.trust_file}: not JSON ({error})", "delete it and trust your folders again"
        ) from error
    folders = data.get("folders") if isinstance(data, dict) else None
    return {f for f in folders if isinstance(f, str)} if isinstance(folders, list) else set()


def _says(text: str, path: Path, name: str, wanted: Value) -> bool:
    try:
        return _layer(text, path).values.get(name) == wanted
    except NemoError:
        return False


def _yaml(value: Value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_yaml(v) for v in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    # JSON strings are YAML strings; only words that cannot mean anything else go bare.
    bare = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", value)
    special = value.lower() in {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    return value if bare and not special else json.dumps(value, ensure_ascii=False)


_ENTRY = (
    r"{indent}{key}[ \t]*:(?=[ \t]|$)"
    r"(?:[^#\"']|(?<=\S)#|\"(?:[^\"\\]|\\.)*\"|'[^']*')*?"
    r"(?P<note>[ \t]+#.*)?"
)


def _edited(text: str, path: list[str], value: str) -> str | None:
    """The text with one more or one changed line; None where a line is not enough."""
    lines = text.splitlines()
    start, stop, indent = 0, len(lines), ""
    for depth, parent in enumerate(path[:-1]):
        at = _find(lines, start, stop, indent, parent)
        if at is None:
            lines[stop:stop] = _nested(path[depth:], value, indent)
            return _joined(lines)
        start, stop = at + 1, _block_end(lines, at + 1)
        first = next((line for line in lines[start:stop] if line.strip()), "")
        indent = first[: len(first) - len(first.lstrip())] or "  "
    at = _find(lines, start, stop, indent, path[-1])
    if at is None:
        lines.insert(stop, f"{indent}{path[-1]}: {value}")
        return _joined(lines)
    match = _entry(lines, at, indent, path[-1])
    if match is None:
        return None
    lines[at] = f"{indent}{path[-1]}: {value}{match['note'] or ''}"
    return _joined(lines)


def _nested(path: list[str], value: str, indent: str) -> list[str]:
    """A setting and the mappings around it, from a depth on where nothing is yet."""
    heads = [f"{indent}{'  ' * n}{key}:" for n, key in enumerate(path[:-1])]
    return [*heads, f"{indent}{'  ' * (len(path) - 1)}{path[-1]}: {value}"]


def _entry(lines: list[str], at: int, indent: str, key: str) -> re.Match[str] | None:
    """The entry on a line; None where it goes on below."""
    match = re.fullmatch(_ENTRY.format(indent=indent, key=re.escape(key)), lines[at])
    following = lines[at + 1] if at + 1 < len(lines) else ""
    deeper = following.strip() and following.startswith((f"{indent} ", f"{indent}\t", f"{indent}-"))
    return None if deeper else match


def _without(text: str, path: list[str]) -> str | None:
    """The text without the line of a setting, and without what held nothing else; None where a
    line is not enough."""
    lines = text.splitlines()
    start, stop, indent = 0, len(lines), ""
    above: list[int] = []
    for key in path:
        at = _find(lines, start, stop, indent, key)
        if at is None or (len(above) + 1 == len(path) and not _entry(lines, at, indent, key)):
            return None
        above.append(at)
        start, stop = at + 1, _block_end(lines, at + 1)
        first = next((line for line in lines[start:stop] if line.strip()), "")
        indent = first[: len(first) - len(first.lstrip())]
    del lines[above.pop()]
    while above and _block_end(lines, above[-1] + 1) == above[-1] + 1:
        del lines[above.pop()]
    return _joined(lines) if lines else ""


def _find(lines: list[str], start: int, stop: int, indent: str, key: str) -> int | None:
    head = re.compile(rf"{indent}{re.escape(key)}[ \t]*:(?:[ \t]|$)")
    return next((i for i in range(start, stop) if head.match(lines[i])), None)


def _block_end(lines: list[str], start: int) -> int:
    """Where the indented lines under a key end; blank lines and comments after them are not in."""
    end = start
    for i in range(start, len(lines)):
        if lines[i].startswith((" ", "\t")) and lines[i].strip():
            end = i + 1
        elif lines[i].strip() and not lines[i].startswith("#"):
            break
    return end


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
