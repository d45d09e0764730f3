"""The operating system's keyring, which may be locked, absent, or never answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.redact import Redactor
from nemocli.core.text import one_line

SERVICE = "nemocli"
PATIENCE_S = 3.0
"""A keyring waiting for a password nobody sees would wait for ever."""

T = TypeVar("T")


def read(user: str) -> str | None:
    """The password kept for a user of this service. Raises NemoError, its message the reason."""

    def ask() -> str | None:
        import keyring

        _check_backend()
        return keyring.get_password(SERVICE, user)

    return _patiently(ask)


def write(user: str, value: str) -> None:
    """Keep a password, and make sure it is kept. Raises NemoError, its message the reason."""

    def tell() -> bool:
        import keyring

        _check_backend()
        keyring.set_password(SERVICE, user, value)
        return keyring.get_password(SERVICE, user) == value

    if not _patiently(tell, value):
        raise _unavailable("it accepted the key and did not keep it")


def delete(user: str) -> None:
    """Remove a password, if it is there. Raises NemoError, its message the reason."""

    def remove() -> None:
        import keyring

        _check_backend()
        if keyring.get_password(SERVICE, user) is not None:
            keyring.delete_password(SERVICE, user)

    _patiently(remove)


def backend() -> str:
    """What the keyring is. Raises NemoError (auth) when there is none to use."""

    def name() -> str:
        import keyring

        _check_backend()
        return keyring.get_keyring().name

    return _patiently(name)


def _check_backend() -> None:
    import keyring
    from keyring.backends import fail, null

    backend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring):
        raise _unavailable("this machine has none")
    if isinstance(backend, null.Keyring):
        raise _unavailable("it is switched off")


class _Outcome(Generic[T]):
    """What a thread came to. A backend is somebody else's code and may raise anything."""

    def __init__(self) -> None:
        self.value: T | None = None
        self.error: BaseException | None = None
        self.done = False

    def __enter__(self) -> _Outcome[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> bool:
        self.error = error
        self.done = True
        return True


def _patiently(action: Callable[[], T], secret: str = "") -> T:
    outcome: _Outcome[T] = _Outcome()

    def work() -> None:
        with outcome:
            outcome.value = action()

    # A daemon, so that one that hangs does not keep the program from ending.
    thread = threading.Thread(target=work, name="keyring", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    if not outcome.done:
        raise _unavailable(f"no answer within {PATIENCE_S:g} s")
    if outcome.error is not None:
        reason = Redactor((secret,)).text(_reason(outcome.error))
        raise _unavailable(reason) from None  # the cause may quote the key
    return outcome.value  # type: ignore[return-value]  # done without error: it was set


def _reason(error: BaseException) -> str:
    if isinstance(error, NemoError):
        return str(error)
    named = type(error).__name__
    if named == "KeyringLocked":
        return "it is locked"
    said = one_line(str(error), 100)
    return f"{named}: {said}" if said else named


def _unavailable(reason: str) -> NemoError:
    return NemoError(Fault(FaultKind.AUTH, reason, sent=False))
