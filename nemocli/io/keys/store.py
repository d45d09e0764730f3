"""Keys: found in the environment, the keyring, a command or a private file, and kept there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Literal

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.ports import Key
from nemocli.core.provider import Provider
from nemocli.core.value_class import value_class
from nemocli.io.keys import keyfile, oskeyring
from nemocli.io.paths import Paths

Storage = Literal["keyring", "file"]
CommandFor = Callable[[str], tuple[str, ...] | None]
Tell = Callable[[str], None]

_ASSIGNED = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9_]*=")
LONG_ENOUGH = 20
"""Keys of at least this many characters may show their last four."""


@value_class(frozen=True, slots=True)
class StoredAt:
    """Where a key was put; `warning` when that is not where it was meant to go."""

    storage: Storage
    where: str
    warning: str | None = None


@value_class(frozen=True, slots=True)
class KeyStatus:
    """What is known of a provider's key, without the key. `source` None: there is none to use."""

    source: str | None
    where: str | None = None
    origin: str | None = None
    last4: str | None = None
    problem: str | None = None


class KeyStore:
    """Fills `core.ports.Secrets`. Each provider is looked up once; `warn` gets one line each time
    something had to be left out.

    A stored key goes only to the origin it was stored for. The keyring is asked only when the
    index says it has the key: importing it alone takes longer than most commands. A key command is
    not told the keys of other providers: the variables of `key_names`.
    """

    def __init__(
        self,
        paths: Paths,
        env: Mapping[str, str],
        command_for: CommandFor,
        warn: Tell,
        key_names: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._paths = paths
        self._env = env
        self._command_for = command_for
        self._warn = warn
        self._key_names = key_names
        self._known: dict[tuple[str, str], Key | Fault | None] = {}

    def key_for(self, provider: Provider) -> Key | None:
        """The provider's key. Raises NemoError when there should be one and it cannot be used."""
        place = (provider.name, provider.origin)
        if place not in self._known:
            self._known[place] = self._looked_up(provider)
        found = self._known[place]
        if isinstance(found, Fault):
            raise NemoError(found)
        return found

    def likely(self, provider: Provider) -> bool:
        """Whether a key seems to be at hand; no keyring and no command is asked to make sure."""
        names = (*provider.auth.env, variable(provider.name))
        if any(self._env.get(name, "").strip() for name in names):
            return True
        placed = keyfile.index(self._paths.keys_index).get(provider.name)
        if placed is not None:
            return placed.origin == provider.origin
        return bool(self._command_for(provider.name))

    def store(self, provider: Provider, value: str, storage: Storage | None = None) -> StoredAt:
        """Keep a key for this provider at its present origin; by default in the keyring.

        A keyring that fails is replaced by the file, so a key just typed is never lost. Raises
        NemoError for a key that cannot be one, and when not even the file can be written.
        """
        key = check_key(value, "the key")
        before = keyfile.index(self._paths.keys_index).get(provider.name)
        stored = self._put(provider, key, storage or "keyring")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        placed = keyfile.Placed(stored.storage, provider.origin, now)
        keyfile.note(self._paths.keys_index, provider.name, placed)
        if stored.storage == "keyring":
            keyfile.write_key(self._paths.keys_file, provider.name, None, "")
        if before is not None and before.storage == "keyring":
            old, new = _user(provider.name, before.origin), _user(provider.name, provider.origin)
            if stored.storage == "file" or old != new:
                self._delete_quietly(old)
        self._known.clear()
        return stored

    def forget(self, provider: Provider) -> bool:
        """Remove the provider's stored key, wherever it is; False when none was stored."""
        placed = keyfile.index(self._paths.keys_index).get(provider.name)
        if placed is not None and placed.storage == "keyring":
            user = _user(provider.name, placed.origin)
            try:
                oskeyring.delete(user)
            except NemoError as error:
                raise _no_key(
                    f"the key of {provider.name} is still in the keyring ({error.fault.message})",
                    "unlock the keyring and try again, or remove it there: service"
                    f" {oskeyring.SERVICE}, user {user}",
                ) from error
        in_file = keyfile.read_key(self._paths.keys_file, provider.name) is not None
        keyfile.write_key(self._paths.keys_file, provider.name, None, "")
        keyfile.note(self._paths.keys_index, provider.name, None)
        self._known.clear()
        return placed is not None or in_file

    def status(self, provider: Provider) -> KeyStatus:
        """Where the provider's key would come from, and what stands in its way; never the key."""
        placed = keyfile.index(self._paths.keys_index).get(provider.name)
        origin = placed.origin if placed else None
        try:
            key = self.key_for(provider)
        except NemoError as error:
            return KeyStatus(None, origin=origin, problem=error.fault.message)
        if key is None:
            return KeyStatus(None, origin=origin)
        stored = key.source in ("keyring", "file")
        last4 = key.value[-4:] if len(key.value) >= LONG_ENOUGH else None
        return KeyStatus(key.source, self._where(key.source), origin if stored else None, last4)

    def _where(self, source: str) -> str:
        if source == "file":
            return str(self._paths.keys_file)
        return f"keyring service {oskeyring.SERVICE}" if source == "keyring" else source

    def _looked_up(self, provider: Provider) -> Key | Fault | None:
        problems: list[Fault] = []
        for look in (self._from_env, self._from_keyring, self._from_command, self._from_file):
            try:
                key = look(provider)
            except NemoError as error:
                problems.append(error.fault.at(provider.name))
                continue
            if key is not None:
                for problem in problems:
                    self._warn(f"{problem.message}; using the key from {key.source}")
                return key
        if problems and provider.auth.required:
            return problems[0]
        for problem in problems:
            self._warn(problem.message)
        return None

    def _from_env(self, provider: Provider) -> Key | None:
        for name in (*provider.auth.env, variable(provider.name)):
            if value := self._env.get(name, "").strip():
                if unquote(value) != value:
                    self._warn(f"the quotes around the key in {name} are not part of it: left out")
                return Key(check_key(value, f"the key in {name}"), f"env {name}")
        return None

    def _from_keyring(self, provider: Provider) -> Key | None:
        placed = keyfile.index(self._paths.keys_index).get(provider.name)
        if placed is None or placed.storage != "keyring":
            return None
        _check_origin(provider, placed.origin)
        try:
            value = oskeyring.read(_user(provider.name, placed.origin))
        except NemoError as error:
            raise _no_key(
                f"the key of {provider.name} is in the keyring, which is unavailable"
                f" ({error.fault.message})",
                f"set {_first_variable(provider)}, or type"
                f" `nemocli auth login {provider.name} --storage file`",
            ) from error
        if value is None:
            raise _no_key(
                f"the keyring no longer has the key of {provider.name}",
                f"type `nemocli auth login {provider.name}`",
            )
        return Key(check_key(value, f"the key of {provider.name} in the keyring"), "keyring")

    def _from_command(self, provider: Provider) -> Key | None:
        argv = self._command_for(provider.name)
        if not argv:
            return None
        from nemocli.io.keys.command import first_line
        from nemocli.io.programs import without_keys

        line = first_line(provider.name, argv, without_keys(self._env, self._key_names()))
        return Key(check_key(line, f"what the key command of {provider.name} printed"), "command")

    def _from_file(self, provider: Provider) -> Key | None:
        row = keyfile.read_key(self._paths.keys_file, provider.name)
        if row is None:
            return None
        value, origin = row
        _check_origin(provider, origin)
        return Key(check_key(value, f"the key of {provider.name} in the key file"), "file")

    def _put(self, provider: Provider, key: str, storage: Storage) -> StoredAt:
        warning = None
        if storage == "keyring":
            try:
                oskeyring.write(_user(provider.name, provider.origin), key)
            except NemoError as error:
                warning = (
                    f"keyring unavailable ({error.fault.message}); the key was stored in"
                    f" {self._paths.keys_file}, readable by you only"
                )
            else:
                return StoredAt("keyring", self._where("keyring"))
        keyfile.write_key(self._paths.keys_file, provider.name, key, provider.origin)
        return StoredAt("file", str(self._paths.keys_file), warning)

    def _delete_quietly(self, user: str) -> None:
        try:
            oskeyring.delete(user)
        except NemoError as error:
            self._warn(
                f"an older key may still be in the keyring as {user} ({error.fault.message})"
            )


def variable(provider: str) -> str:
    """The environment variable every provider has: `NEMOCLI_KEY_` and its name."""
    return "NEMOCLI_KEY_" + re.sub(r"[^A-Z0-9]", "_", provider.upper())


def check_key(value: str, what: str) -> str:
    """A key without the space around it. Raises NemoError, not showing it, when what is left could
    not be sent in a header or would smuggle another one in."""
    key = unquote(value)
    if not key:
        raise _no_key(f"{what} is empty", None)
    if "${" in key or key.startswith("$"):
        raise _no_key(
            f"{what} is the name of a variable, not a key",
            "whatever set it did not expand it: write the key itself, or use `keys.NAME.command`",
        )
    if _ASSIGNED.match(key):
        raise _no_key(
            f"{what} begins with a name and `=`", "leave out the name: only the key itself counts"
        )
    if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
        raise _no_key(
            f"{what} holds spaces, line breaks or characters that no key has",
            "copy it again, without what surrounds it",
        )
    return key


def unquote(value: str) -> str:
    """The value without space and one pair of quotes around it, which an env file that a shell did
    not read leaves there."""
    key = value.strip()
    if len(key) > 1 and key[0] == key[-1] and key[0] in "'\"":
        return key[1:-1].strip()
    return key


def _check_origin(provider: Provider, origin: str) -> None:
    if origin != provider.origin:
        raise _no_key(
            f"the key of {provider.name} was stored for {origin} and {provider.name} is now at"
            f" {provider.origin or 'no address'}: it is not sent there",
            f"type `nemocli auth login {provider.name}` to store one for the new address",
        )


def _no_key(message: str, hint: str | None) -> NemoError:
    return NemoError(Fault(FaultKind.AUTH, message, hint, sent=False))


def _user(provider: str, origin: str) -> str:
    return f"{provider}@{origin}"


def _first_variable(provider: Provider) -> str:
    return provider.auth.env[0] if provider.auth.env else variable(provider.name)
