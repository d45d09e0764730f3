"""Keys: where they are looked for, where they are kept, and where they never go."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.provider import Auth, Provider
from nemocli.io.keys.store import KeyStore, check_key, variable
from nemocli.io.paths import Paths, paths_from

KEY = "nvapi-0123456789abcdefghijWXYZ"
HERE = Provider("some", "chat", "https://api.example.com/v1", auth=Auth(env=("FIRST", "SECOND")))
MOVED = Provider("some", "chat", "https://evil.example.com/v1", auth=Auth(env=("FIRST",)))
LOCAL = Provider("near", "chat", "http://127.0.0.1:8000/v1", auth=Auth(required=False))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_from({"NEMOCLI_HOME": str(tmp_path / "home")})


class Told:
    """A key store and what it warned of."""

    def __init__(self, paths: Paths, env: dict[str, str], *argv: str) -> None:
        self.lines: list[str] = []
        self.store = KeyStore(paths, env, lambda _: argv or None, self.lines.append)


def failing(action: Callable[[], object]) -> str:
    with pytest.raises(NemoError) as error:
        action()
    fault = error.value.fault
    assert fault.kind is FaultKind.AUTH
    assert KEY not in f"{fault.message} {fault.hint}"
    return fault.message


def script(folder: Path, text: str) -> str:
    path = folder / "command"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o700)
    return str(path)


# Environment


def test_the_providers_own_variables_come_first_in_order(paths: Paths) -> None:
    env = {"SECOND": " b ", "NEMOCLI_KEY_SOME": "c"}
    key = Told(paths, env).store.key_for(HERE)
    assert key is not None
    assert (key.value, key.source) == ("b", "env SECOND")
    key = Told(paths, {**env, "FIRST": "a"}).store.key_for(HERE)
    assert key is not None
    assert key.value == "a"
    assert "a" not in repr(key).split("source")[0].replace("Key(", "")


def test_every_provider_has_a_variable_of_ours(paths: Paths) -> None:
    assert variable("my.llm-2") == "NEMOCLI_KEY_MY_LLM_2"
    key = Told(paths, {"FIRST": "  ", "NEMOCLI_KEY_SOME": "c"}).store.key_for(HERE)
    assert key is not None
    assert key.source == "env NEMOCLI_KEY_SOME"


def test_no_key_anywhere_is_none_and_touches_nothing(paths: Paths) -> None:
    told = Told(paths, {})
    assert told.store.key_for(HERE) is None
    assert told.lines == []
    assert not paths.config.exists()


@pytest.mark.parametrize(
    "bad", ["two words", "a\nInjected: x", "a\x00b", "schlüssel\u2019", "a\x85b", "\x7fx"]
)
def test_a_key_that_would_break_a_header_is_refused_unshown(bad: str, paths: Paths) -> None:
    message = failing(lambda: Told(paths, {"FIRST": bad}).store.key_for(HERE))
    assert "FIRST" in message
    assert bad not in message


@given(st.text(max_size=40))
def test_what_passes_can_stand_in_a_header(value: str) -> None:
    try:
        key = check_key(value, "it")
    except NemoError:
        return
    assert key
    assert key == key.strip()
    assert not any(c.isspace() or ord(c) < 33 or 126 < ord(c) < 161 for c in key)
    key.encode("latin-1")


# The file


def test_a_stored_key_comes_back_from_a_private_file(paths: Paths) -> None:
    told = Told(paths, {})
    stored = told.store.store(HERE, f" {KEY}\n", "file")
    assert (stored.storage, stored.where, stored.warning) == ("file", str(paths.keys_file), None)
    key = Told(paths, {}).store.key_for(HERE)
    assert key is not None
    assert (key.value, key.source) == (KEY, "file")
    assert stat.S_IMODE(paths.keys_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.keys_file.parent.stat().st_mode) == 0o700
    assert KEY not in paths.keys_index.read_text()


def test_a_stored_key_goes_to_no_other_origin(paths: Paths) -> None:
    Told(paths, {}).store.store(HERE, KEY, "file")
    message = failing(lambda: Told(paths, {}).store.key_for(MOVED))
    assert "stored for https://api.example.com:443" in message
    assert "https://evil.example.com:443" in message
    assert Told(paths, {"FIRST": "envkey"}).store.key_for(MOVED) is not None


def test_where_no_key_is_needed_a_bound_one_is_left_out_with_a_line(paths: Paths) -> None:
    Told(paths, {}).store.store(LOCAL, KEY, "file")
    elsewhere = Provider("near", "chat", "http://127.0.0.1:9/v1", auth=Auth(required=False))
    told = Told(paths, {})
    assert told.store.key_for(elsewhere) is None
    assert told.store.key_for(elsewhere) is None
    assert len(told.lines) == 1
    assert "it is not sent there" in told.lines[0]


def test_a_file_others_can_read_is_refused(paths: Paths) -> None:
    Told(paths, {}).store.store(HERE, KEY, "file")
    paths.keys_file.chmod(0o644)
    with pytest.raises(NemoError) as error:
        Told(paths, {}).store.key_for(HERE)
    assert f"chmod 600 {paths.keys_file}" in (error.value.fault.hint or "")


def test_storing_again_makes_it_private_again(paths: Paths) -> None:
    Told(paths, {}).store.store(HERE, KEY, "file")
    paths.keys_file.chmod(0o644)
    Told(paths, {}).store.store(LOCAL, "other-key", "file")
    key = Told(paths, {}).store.key_for(HERE)
    assert key is not None
    assert key.value == KEY


def test_a_broken_key_file_is_named_and_not_quoted(paths: Paths) -> None:
    paths.keys_file.parent.mkdir(parents=True)
    paths.keys_file.write_text(f'{{"some": {KEY}')
    paths.keys_file.chmod(0o600)
    with pytest.raises(NemoError) as error:
        Told(paths, {}).store.key_for(HERE)
    assert str(paths.keys_file) in error.value.fault.message
    assert KEY not in str(error.value.__cause__) + str(error.value)


def test_forgetting_removes_every_trace(paths: Paths) -> None:
    told = Told(paths, {})
    told.store.store(HERE, KEY, "file")
    told.store.store(LOCAL, "other-key", "file")
    assert told.store.forget(HERE) is True
    assert told.store.forget(HERE) is False
    assert told.store.key_for(HERE) is None
    assert KEY not in paths.keys_file.read_text()
    assert told.store.key_for(LOCAL) is not None


def test_status_never_holds_the_key(paths: Paths) -> None:
    told = Told(paths, {})
    told.store.store(HERE, KEY, "file")
    status = told.store.status(HERE)
    assert (status.source, status.last4, status.problem) == ("file", "WXYZ", None)
    assert status.where == str(paths.keys_file)
    assert status.origin == "https://api.example.com:443"
    assert KEY not in repr(status)
    short = Told(paths, {"FIRST": "short-key"}).store.status(HERE)
    assert (short.source, short.last4, short.origin) == ("env FIRST", None, None)
    assert "not sent there" in (told.store.status(MOVED).problem or "")
    assert told.store.status(LOCAL).source is None


# The command


def test_a_key_command_gives_its_first_line(paths: Paths, tmp_path: Path) -> None:
    command = script(tmp_path, 'printf "%s-%s\\r\\nmore\\n" "$1" "$MARK"\n')
    key = Told(paths, {"MARK": "m", "PATH": os.defpath}, command, "a;b$HOME").store.key_for(HERE)
    assert key is not None
    assert (key.value, key.source) == ("a;b$HOME-m", "command")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exit 3", "ended with 3"),
        ("echo 'no such item' >&2; exit 1", "ended with 1: no such item"),
        (f"echo {KEY}; echo 'cannot use {KEY}' >&2; exit 1", "ended with 1: cannot use ***"),
        ("true", "is empty"),
        ("echo two words", "holds spaces"),
        ("read line && echo got $line", "ended with 1"),
    ],
)
def test_a_command_that_fails_says_how(text: str, said: str, paths: Paths, tmp_path: Path) -> None:
    command = script(tmp_path, text + "\n")
    told = Told(paths, {"PATH": os.defpath}, command)
    assert said in failing(lambda: told.store.key_for(HERE))


def test_a_command_that_is_not_there_says_so(paths: Paths) -> None:
    told = Told(paths, {}, "/nowhere/op", "read")
    assert "cannot be run: No such file" in failing(lambda: told.store.key_for(HERE))


def test_a_command_runs_once_however_often_the_key_is_asked_for(
    paths: Paths, tmp_path: Path
) -> None:
    command = script(tmp_path, f"echo x >> {tmp_path}/count; echo the-key\n")
    told = Told(paths, {"PATH": os.defpath}, command)
    assert all(told.store.key_for(HERE) for _ in range(3))
    assert (tmp_path / "count").read_text() == "x\n"


def test_a_failing_command_does_not_hide_a_stored_key(paths: Paths, tmp_path: Path) -> None:
    told = Told(paths, {"PATH": os.defpath}, script(tmp_path, "exit 9\n"))
    told.store.store(HERE, KEY, "file")
    key = told.store.key_for(HERE)
    assert key is not None
    assert key.source == "file"
    assert len(told.lines) == 1
    assert "ended with 9; using the key from file" in told.lines[0]


@pytest.mark.slow
def test_a_command_that_hangs_is_given_up(paths: Paths, tmp_path: Path) -> None:
    told = Told(paths, {"PATH": os.defpath}, script(tmp_path, "exec sleep 60\n"))
    assert "did not end within 10 s" in failing(lambda: told.store.key_for(HERE))


# The keyring: real backends, each in a process of its own

BACKENDS = """
import json, os, time
from pathlib import Path
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Base(KeyringBackend):
    priority = 9
    path = Path(os.environ["RING"])
    def rows(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}
    def get_password(self, service, user):
        return self.rows().get(f"{service} {user}")
    def set_password(self, service, user, value):
        self.path.write_text(json.dumps({**self.rows(), f"{service} {user}": value}))
    def delete_password(self, service, user):
        rows = self.rows()
        del rows[f"{service} {user}"]
        self.path.write_text(json.dumps(rows))

class Working(Base):
    pass

class Locked(Base):
    def get_password(self, *args):
        raise KeyringLocked("locked")
    set_password = delete_password = get_password

class Hanging(Base):
    def get_password(self, *args):
        time.sleep(600)
    set_password = delete_password = get_password

class Failing(Base):
    def set_password(self, service, user, value):
        raise RuntimeError(f"D-Bus says no to {value}")
    def get_password(self, *args):
        raise OSError("no bus")

class Leaving(Base):
    def set_password(self, *args):
        raise SystemExit(7)

class Forgetting(Base):
    def set_password(self, *args):
        pass
"""

PRELUDE = """
import json, os, sys, time
from pathlib import Path
from nemocli.core.provider import Auth, Provider
from nemocli.core.faults import NemoError
from nemocli.io.paths import paths_from
from nemocli.io.keys.store import KeyStore
KEY = "nvapi-0123456789abcdefghijWXYZ"
paths = paths_from(os.environ)
lines = []
def new():
    return KeyStore(paths, {}, lambda name: None, lines.append)
def at(host, required=True):
    return Provider("some", "chat", f"https://{host}/v1", auth=Auth(env=("V",), required=required))
"""


@pytest.fixture
def ring(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    (tmp_path / "rings.py").write_text(BACKENDS)

    def run(backend: str, code: str) -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            "PYTHONPATH": f"{tmp_path}:{Path.cwd()}",
            "PYTHON_KEYRING_BACKEND": backend,
            "NEMOCLI_HOME": str(tmp_path / "home"),
            "RING": str(tmp_path / "ring.json"),
        }
        line = [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(code)]
        done = subprocess.run(
            line, env=env, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


Ring = Callable[..., subprocess.CompletedProcess[str]]

STORE = """
    start = time.monotonic()
    stored = new().store(at("h"), KEY)
    assert time.monotonic() - start < 6
    key = new().key_for(at("h"))
    print(json.dumps([stored.storage, stored.warning, key.value == KEY, key.source]))
"""


def test_a_working_keyring_keeps_the_key_and_the_index_only_says_so(
    ring: Ring, tmp_path: Path, paths: Paths
) -> None:
    done = ring("rings.Working", STORE)
    assert json.loads(done.stdout) == ["keyring", None, True, "keyring"]
    rows = json.loads((tmp_path / "ring.json").read_text())
    assert list(rows) == ["nemocli some@https://h:443"]
    assert not paths.keys_file.exists()
    assert KEY not in paths.keys_index.read_text()


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("rings.Locked", "it is locked"),
        ("rings.Failing", "RuntimeError: D-Bus says no to ***"),
        ("rings.Forgetting", "it accepted the key and did not keep it"),
        ("rings.Leaving", "SystemExit: 7"),
        ("keyring.backends.fail.Keyring", "this machine has none"),
        ("keyring.backends.null.Keyring", "it is switched off"),
        ("no.such.Backend", "ModuleNotFoundError"),
    ],
)
def test_a_keyring_that_fails_gives_one_line_and_the_file_keeps_the_key(
    backend: str, reason: str, ring: Ring, paths: Paths
) -> None:
    storage, warning, same, source = json.loads(ring(backend, STORE).stdout)
    assert (storage, same, source) == ("file", True, "file")
    assert warning.startswith(f"keyring unavailable ({reason}")
    assert warning.endswith(f"); the key was stored in {paths.keys_file}, readable by you only")
    assert KEY not in warning
    assert "\n" not in warning


def test_a_keyring_that_hangs_is_given_up_after_three_seconds(ring: Ring) -> None:
    storage, warning, same, source = json.loads(ring("rings.Hanging", STORE).stdout)
    assert (storage, same, source) == ("file", True, "file")
    assert "no answer within 3 s" in warning


def test_the_keyring_is_imported_only_when_the_index_says_so(ring: Ring) -> None:
    code = """
        new().store(at("h"), KEY, "file")
        assert new().key_for(at("h")).source == "file"
        assert new().status(at("h")).source == "file"
        print("keyring" in sys.modules)
    """
    assert ring("rings.Working", code).stdout == "False\n"


def test_a_key_in_the_keyring_is_bound_to_its_origin_and_replaced_whole(
    ring: Ring, tmp_path: Path
) -> None:
    code = """
        new().store(at("h"), KEY)
        try:
            new().key_for(at("evil"))
        except NemoError as error:
            print(error.fault.message)
        assert new().key_for(at("evil", required=False)) is None
        new().store(at("new"), KEY)
        assert new().key_for(at("new")).source == "keyring"
    """
    assert "stored for https://h:443" in ring("rings.Working", code).stdout
    rows = json.loads((tmp_path / "ring.json").read_text())
    assert list(rows) == ["nemocli some@https://new:443"]


def test_a_key_locked_away_says_so_once_and_how_to_go_on(ring: Ring) -> None:
    ring("rings.Working", 'new().store(at("h"), KEY)')
    code = """
        store = new()
        for _ in range(2):
            try:
                store.key_for(at("h"))
            except NemoError as error:
                print(error.fault.kind, error.fault.message, "/", error.fault.hint)
        print(store.status(at("h")).problem, lines)
    """
    first, second, status = ring("rings.Locked", code).stdout.splitlines()
    assert first == second
    assert first.startswith("auth the key of some is in the keyring, which is unavailable (it is")
    assert "set V, or type `nemocli auth login some --storage file`" in first
    assert status.endswith("(it is locked) []")


def test_moving_to_the_file_and_forgetting_leave_nothing_in_the_keyring(
    ring: Ring, tmp_path: Path
) -> None:
    code = """
        new().store(at("h"), KEY)
        new().store(at("h"), KEY, "file")
        assert new().key_for(at("h")).source == "file"
        print(Path(os.environ["RING"]).read_text())
        new().store(at("h"), KEY, "keyring")
        assert KEY not in paths.keys_file.read_text()
        assert new().forget(at("h")) is True
        assert new().key_for(at("h")) is None
        print(lines)
    """
    assert ring("rings.Working", code).stdout == "{}\n[]\n"
    assert json.loads((tmp_path / "ring.json").read_text()) == {}


def test_forgetting_a_locked_key_does_not_pretend(ring: Ring) -> None:
    ring("rings.Working", 'new().store(at("h"), KEY)')
    code = """
        try:
            new().forget(at("h"))
        except NemoError as error:
            print(error.fault.message, error.fault.hint)
    """
    said = ring("rings.Locked", code).stdout
    assert "still in the keyring (it is locked)" in said
    assert "user some@https://h:443" in said


def test_a_key_that_vanished_from_the_keyring_is_missed(ring: Ring, tmp_path: Path) -> None:
    ring("rings.Working", 'new().store(at("h"), KEY)')
    (tmp_path / "ring.json").unlink()
    code = """
        try:
            new().key_for(at("h"))
        except NemoError as error:
            print(error.fault.message)
    """
    assert "no longer has the key" in ring("rings.Working", code).stdout


def test_a_key_stored_for_another_address_is_not_at_hand(paths: Paths) -> None:
    Told(paths, {}).store.store(HERE, KEY, "file")
    assert Told(paths, {}).store.likely(HERE)
    assert not Told(paths, {}).store.likely(MOVED)
