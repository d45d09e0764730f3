"""What every command may need, each part made when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nemocli.cli.terminal.diagnostics import Diagnostics, stderr
from nemocli.cli.terminal.output import Output, stdout
from nemocli.cli.terminal.streams import Colour, Terminal, terminal_from
from nemocli.core.value_class import value_class

if TYPE_CHECKING:
    from nemocli.core.plan import Catalogue
    from nemocli.core.settings import Settings
    from nemocli.core.values import Json
    from nemocli.io.clock import SystemClock
    from nemocli.io.keys.store import KeyStore
    from nemocli.io.ledger.ledger import SqliteLedger
    from nemocli.io.paths import Paths
    from nemocli.io.profiles.catalogue import LoadedProfiles, ProfileFolders
    from nemocli.io.settings import LoadedSettings


@value_class(frozen=True, slots=True)
class Globals:
    """The options of every command, as typed."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    color: str | None = None
    no_input: bool = False
    offline: bool = False
    config: str | None = None


class Setup:
    """One process's streams, folders, settings, profiles, keys and book."""

    def __init__(self, env: Mapping[str, str], *, json: bool = False) -> None:
        self.env = env
        self.json = json
        self.globals = Globals()
        self._flags: dict[str, Json] = {}
        self._open_streams(cast(Colour, env.get("NEMOCLI_COLOR", "auto")))

    def begin(self, given: Globals) -> None:
        """Take the options that were typed before the command."""
        self.globals = given
        self._flags |= {"color": given.color, "offline": True if given.offline else None}
        if given.color is not None:
            self._open_streams(cast(Colour, given.color))
        self.err.quiet = given.quiet

    def flags(self, **given: Json) -> None:
        """Settings that were typed as options of the command. What was read without them is read
        again: an option is never passed over because something looked first."""
        self._flags |= given
        self.__dict__.pop("loaded", None)

    def _open_streams(self, colour: Colour) -> None:
        self.terminal: Terminal = terminal_from(self.env, colour)
        width = self.terminal.width if self.terminal.stdout else None
        self.out: Output = stdout(self.terminal.stdout, width)
        self.err: Diagnostics = stderr(
            self.terminal.colour_err,
            quiet=self.globals.quiet,
            json=self.json,
            width=self.terminal.width if self.terminal.stderr else None,
        )

    @cached_property
    def paths(self) -> Paths:
        """Where things are kept."""
        from nemocli.io.paths import paths_from

        return paths_from(self.env)

    @cached_property
    def loaded(self) -> LoadedSettings:
        """The settings with their files. Raises NemoError naming the place."""
        from nemocli.io.settings import load

        config = Path(self.globals.config).expanduser() if self.globals.config else None
        loaded = load(self.paths, self.env, Path.cwd(), self._flags, config)
        for line in loaded.warnings:
            self.err.warn(line)
        colour = loaded.settings.text("color") or "auto"
        if self.globals.color is None and colour != "auto":
            self._open_streams(cast(Colour, colour))
        return loaded

    @property
    def settings(self) -> Settings:
        """The settings that hold here and now."""
        return self.loaded.settings

    @cached_property
    def profiles(self) -> LoadedProfiles:
        """Every provider and model card, and the files that are broken."""
        from nemocli.io.profiles.catalogue import catalogue

        return catalogue(self.profile_folders, self.paths.profile_cache, self.paths.prices)

    @property
    def profile_folders(self) -> ProfileFolders:
        """Where they are read from."""
        from nemocli.io.profiles.catalogue import ProfileFolders, profiles_folder

        project = self.loaded.project
        mine = project.profiles if project is not None else None
        return ProfileFolders(profiles_folder(), self.paths.profiles, mine)

    @property
    def has_profiles(self) -> bool:
        """Whether this command has read them."""
        return "profiles" in self.__dict__

    @property
    def catalogue(self) -> Catalogue:
        """Providers and cards by name."""
        return self.profiles.catalogue

    @cached_property
    def clock(self) -> SystemClock:
        """The machine's clock: the only one of a command."""
        from nemocli.io.clock import SystemClock

        return SystemClock()

    @cached_property
    def keys(self) -> KeyStore:
        """The keys, each looked up when it is asked for."""
        from nemocli.io.keys.store import KeyStore

        return KeyStore(
            self.paths, self.env, self.settings.key_command, self.err.warn, self.key_names
        )

    def key_names(self) -> frozenset[str]:
        """The environment variables that hold keys of providers: not for programs of others."""
        return frozenset(n for p in self.catalogue.providers.values() for n in p.auth.env)

    @cached_property
    def ledger(self) -> SqliteLedger:
        """The ledger; its file is made by its first use."""
        from nemocli.io.ledger.ledger import SqliteLedger

        return SqliteLedger(self.paths.ledger)

    @cached_property
    def project(self) -> str | None:
        """The folder that calls are booked under: the git root, else where a `nemocli.yaml` is."""
        from nemocli.io.settings import project_root

        found = self.loaded.project
        root = project_root(Path.cwd()) or (found.folder if found is not None else None)
        return None if root is None else str(root)

    @property
    def offline(self) -> bool:
        """Whether nothing may leave this machine."""
        return self.settings.flag("offline")

    @property
    def may_ask(self) -> bool:
        """Whether a question can be put to a person."""
        return self.terminal.talks and not self.globals.no_input

    def secrets(self) -> tuple[str, ...]:
        """Values in the environment that look like keys, for redaction."""
        from nemocli.core.redact import SENSITIVE

        return tuple(v for k, v in self.env.items() if SENSITIVE.search(k) and len(v) > 7)
