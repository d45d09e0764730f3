"""Keys: stored for one address, shown to nobody, taken from where a person put them."""

from __future__ import annotations

import stat

import pytest

from tests.run import KEY, Home, run, run_pty
from tests.servers.answer import Answer
from tests.servers.stub import Stub

HEADLESS = "keyring.backends.fail.Keyring"


def login(home: Home, name: str = "stub", *more: str, key: str = KEY):
    return run("auth", "login", name, "--with-token", *more, home=home, input=key + "\n")


def test_a_stored_key_is_used_and_bound_to_its_address(home: Home) -> None:
    with Stub(Answer("yes")) as stub, Stub(Answer("no")) as thief:
        home.provider("stub", stub.url, key=None)
        stored = login(home, "stub", "--storage", "file")
        assert stored.code == 0, stored.err
        assert stub.origin in stored.err
        assert run("ask", "-p", "stub", "-m", "x/a", "hi", home=home).text == "yes\n"
        home.provider("stub", thief.url, key=None)
        moved = run("ask", "-p", "stub", "-m", "x/a", "hi", "--json", home=home)
    assert (moved.code, thief.requests) == (4, [])
    assert "auth login stub" in moved.error()["hint"]
    assert stub.asked()[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_key_is_in_one_private_file_and_nowhere_else(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    login(home, "stub", "--storage", "file")
    (file,) = home.files_holding(KEY)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("backend", [HEADLESS, "keyring.backends.null.Keyring", "no.such.Backend"])
def test_without_a_keyring_the_key_is_kept_and_said_where(home: Home, backend: str) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    home.env["PYTHON_KEYRING_BACKEND"] = backend
    done = login(home)
    assert done.code == 0, done.err
    assert "keyring" in done.err
    assert "keys.json" in done.err
    assert KEY not in done.err
    assert run("auth", "token", "stub", home=home).text == KEY + "\n"


def test_status_says_where_from_and_never_the_key(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1")
    rows = {r["provider"]: r for r in run("auth", "status", "--json", home=home).json()}
    assert rows["stub"]["key"] == "env STUB_API_KEY"
    assert rows["openrouter"]["key"] is None
    plain = run("keys", "status", home=home)
    assert "STUB_API_KEY" in plain.text
    for done in (plain, run("auth", "status", "stub", home=home)):
        assert KEY not in done.text
        assert KEY[-4:] in done.text
    assert run("auth", "status", "openrouter", home=home).code == 4


def test_an_argument_is_never_a_key(home: Home) -> None:
    done = run("auth", "login", KEY, home=home)
    assert done.code == 2
    assert KEY not in done.err


def test_nobody_is_asked_where_nobody_is(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    done = run("auth", "login", "stub", home=home)
    assert (done.code, "--with-token" in done.err) == (2, True)
    assert run("auth", "logout", "stub", home=home).code == 2


def test_a_typed_key_is_not_shown(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    keys = [("not shown", KEY.encode() + b"\r")]
    seen = run_pty("auth", "login", "stub", "--storage", "file", home=home, keys=keys, timeout=20)
    assert seen.code == 0, seen.text
    assert KEY not in seen.text
    assert run("auth", "token", "stub", home=home).text == KEY + "\n"


@pytest.mark.parametrize("key", ["", "two words", "snow☃man-key", "line\nbreak"])
def test_what_cannot_be_a_key_is_refused(home: Home, key: str) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    assert login(home, key=key).code in (2, 4)
    assert run("auth", "token", "stub", home=home).code == 4


def test_a_key_of_another_kind_is_warned_about(home: Home) -> None:
    done = login(home, "nvidia", "--storage", "file")
    assert (done.code, "nvapi-" in done.err) == (0, True)


def test_logout_removes_it(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    login(home, "stub", "--storage", "file")
    assert run("auth", "logout", "stub", "--yes", home=home).code == 0
    assert home.files_holding(KEY) == []
    assert run("auth", "token", "stub", home=home).code == 4


def test_a_key_is_shown_on_a_terminal_only_on_request(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1")
    assert KEY not in run_pty("auth", "token", "stub", home=home, timeout=20).text
    assert KEY in run_pty("auth", "token", "stub", "--yes", home=home, timeout=20).text


def test_the_embedded_model_needs_no_key(home: Home) -> None:
    done = login(home, "embedded")
    assert (done.code, "needs no key" in done.err) == (2, True)
