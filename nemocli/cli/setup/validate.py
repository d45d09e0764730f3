"""What `config validate` looks at: every file that can be wrong, and everything wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nemocli.core.faults import Fault, NemoError, config_error
from nemocli.core.value_class import value_class
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profile_files, profiles_folder
from nemocli.io.profiles.files import problem_in
from nemocli.io.settings import find_project

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.plan import Catalogue
    from nemocli.core.settings import Settings
    from nemocli.io.profiles.files import File


_HELD = "settings as they hold here, environment included"


@value_class(frozen=True, slots=True)
class ValidatedFile:
    """One thing that was looked at, and what is wrong with it."""

    what: str
    problems: tuple[Fault, ...] = ()


def everything(setup: Setup) -> Iterator[ValidatedFile]:
    """The user's settings, the project's, then all profiles and what the settings name of them.
    Nothing stops at the first problem: a broken settings file hides no broken profile."""
    schemas = profiles_folder() / "schemas"
    config = setup.globals.config
    mine = Path(config).expanduser() if config else setup.paths.config_file
    project = find_project(setup.paths, Path.cwd())
    if config or mine.exists():
        yield _one(mine, schemas)
    if project is not None:
        yield _one(project.file, schemas)
    own = project.profiles if project is not None else None
    loaded = catalogue(ProfileFolders(profiles_folder(), setup.paths.profiles, own))
    known = loaded.catalogue
    profiles = f"{len(known.providers)} providers, {len(known.cards)} models"
    yield ValidatedFile(profiles, tuple(loaded.broken.values()))
    try:
        settings = setup.settings
    except NemoError as error:
        # A variable of the environment; what the files say is known by now.
        yield ValidatedFile(_HELD, (error.fault,))
    else:
        yield ValidatedFile(_HELD, tuple(_unknown_names(settings, known)))


def files_named(setup: Setup, files: list[str]) -> Iterator[ValidatedFile]:
    """The files the user names: settings, or profiles as if they were the user's own."""
    folders = ProfileFolders(profiles_folder(), setup.paths.profiles)
    others = profile_files(folders)
    for file in files:
        yield _one(Path(file).expanduser(), folders.shipped / "schemas", others)


def _one(file: Path, schemas: Path, others: Iterable[File] = ()) -> ValidatedFile:
    fault = problem_in(file, schemas, others)
    return ValidatedFile(str(file), () if fault is None else (fault,))


def _unknown_names(settings: Settings, known: Catalogue) -> Iterator[Fault]:
    """Providers that the order names and nobody has."""
    for name in settings.words("provider"):
        try:
            known.provider(name)
        except NemoError as error:
            origin = settings.origin("provider")
            yield config_error(f"{origin}: {error.fault.message}", error.fault.hint).fault
