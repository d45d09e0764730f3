"""Keys: stored for one address, shown to nobody, taken from where a person put them."""

from __future__ import annotations

import os
import stat

import pytest

from tests.run import KEY, ROOT, Done, Home, run, run_pty
from tests.servers.answer import Answer
from tests.servers.behaviours import Status
from tests.servers.stub import Stub

HEADLESS = "keyring.backends.fail.Keyring"


def login(home: Home, name: str = "stub", *more: str, key: str = KEY) -> Done:
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


@pytest.mark.parametrize(
    "args",
    [
        ("login", KEY),
        ("login", "openrouter", KEY),
        ("login", "openrouter", "--storage", KEY),
        ("login", f"--token={KEY}", "openrouter"),
        ("login", f"--with-token={KEY}", "openrouter"),
        ("login", "nvapi-a1b2c3d4"),
        ("status", KEY),
        ("token", KEY),
        ("logout", KEY, "--yes"),
        (KEY,),
    ],
    ids=lambda args: " ".join(args).replace(KEY, "KEY"),
)
def test_a_key_typed_as_an_argument_is_refused_and_not_repeated(
    home: Home, args: tuple[str, ...]
) -> None:
    done = run("auth", *args, home=home)
    assert (done.code, done.out) == (2, b"")
    assert not any(word.removeprefix("--token=") in done.err for word in args if len(word) > 12)
    assert "hint: " in done.err
    assert home.files_holding(KEY) == []


def test_a_mistyped_name_is_still_named(home: Home) -> None:
    assert "did you mean `openrouter`?" in run("auth", "login", "opnrouter", home=home).err
    assert "'loginn'" in run("auth", "loginn", home=home).err


def test_nobody_is_asked_where_nobody_is(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    done = run("auth", "login", "stub", home=home)
    assert (done.code, "--with-token" in done.err) == (2, True)
    assert run("auth", "logout", "stub", home=home).code == 2


def test_a_typed_key_is_not_shown(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    keys = [("stars", KEY.encode() + b"\r")]
    seen = run_pty("auth", "login", "stub", "--storage", "file", home=home, keys=keys, timeout=20)
    assert seen.code == 0, seen.text
    assert KEY not in seen.text
    assert seen.text.count("*") >= len(KEY)
    assert run("auth", "token", "stub", home=home).text == KEY + "\n"


@pytest.mark.parametrize("key", ["", "two words", "snow☃man-key", "line\nbreak"])
def test_what_cannot_be_a_key_is_refused(home: Home, key: str) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    assert login(home, key=key).code in (2, 4)
    assert run("auth", "token", "stub", home=home).code == 4


def test_a_key_of_another_kind_is_warned_about(home: Home) -> None:
    done = login(home, "nvidia", "--storage", "file")
    assert (done.code, "nvapi-" in done.err) == (0, True)


def test_without_a_name_a_person_is_asked_and_a_script_is_told(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    script = run("auth", "login", "--with-token", home=home, input=KEY)
    assert (script.code, "openrouter" in script.err) == (2, True)
    keys = [("Which provider?", b"stub\r"), ("stars", KEY.encode() + b"\r")]
    person = run_pty("auth", "login", "--storage", "file", home=home, keys=keys, timeout=20)
    assert person.code == 0, person.text
    assert run("auth", "token", "stub", home=home).text == KEY + "\n"


def test_ctrl_d_at_the_prompt_stores_nothing(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1", key=None)
    seen = run_pty("auth", "login", "stub", home=home, keys=[("stars", b"\x04")], timeout=20)
    assert (seen.code, "Traceback" in seen.text, "bug" in seen.text) == (130, False, False)
    assert run("auth", "token", "stub", home=home).code == 4


def test_a_token_is_not_read_from_a_terminal_that_would_show_it(home: Home) -> None:
    seen = run_pty("auth", "login", "openrouter", "--with-token", home=home, timeout=20)
    assert (seen.code, "terminal" in seen.text) == (2, True)


def test_a_variable_that_wins_over_the_stored_key_is_named(home: Home) -> None:
    home.provider("stub", "https://stub.invalid/v1")
    stored = login(home, "stub", "--storage", "file", key="another-key-entirely")
    assert (stored.code, "STUB_API_KEY is set" in stored.err) == (0, True)
    gone = run("auth", "logout", "stub", "--yes", home=home)
    assert (gone.code, "STUB_API_KEY is set" in gone.err) == (0, True)


def test_a_server_that_needs_no_key_is_no_problem(home: Home) -> None:
    done = run("auth", "status", "vllm", home=home)
    assert (done.code, "none needed" in done.text) == (0, True)
    assert "vllm" not in run("auth", "status", home=home).text


def test_a_key_stored_for_another_address_is_a_problem_in_status(home: Home) -> None:
    home.provider("stub", "https://one.invalid/v1", key=None)
    login(home, "stub", "--storage", "file")
    home.provider("stub", "https://two.invalid/v1", key=None)
    done = run("auth", "status", "stub", "--json", home=home)
    (row,) = done.json()
    assert (done.code, row["key"], row["origin"]) == (4, None, "https://one.invalid:443")
    assert "https://two.invalid:443" in row["problem"]
    assert done.error()["exit_code"] == 4


KEYRING = """
import json, pathlib
from keyring.backend import KeyringBackend
FILE = pathlib.Path(__file__).with_suffix(".json")
class Drawer(KeyringBackend):
    priority = 1
    def rows(self):
        return json.loads(FILE.read_text()) if FILE.exists() else {}
    def get_password(self, service, user):
        return self.rows().get(user)
    def set_password(self, service, user, value):
        FILE.write_text(json.dumps({**self.rows(), user: value}))
    def delete_password(self, service, user):
        FILE.write_text(json.dumps({u: v for u, v in self.rows().items() if u != user}))
"""


def test_a_keyring_keeps_the_key_and_loses_it_again(home: Home) -> None:
    folder = home.root / "python"
    folder.mkdir()
    (folder / "drawer.py").write_text(KEYRING)
    home.env["PYTHONPATH"] = f"{ROOT}{os.pathsep}{folder}"
    home.env["PYTHON_KEYRING_BACKEND"] = "drawer.Drawer"
    home.provider("stub", "https://stub.invalid/v1", key=None)
    done = login(home)
    assert done.code == 0, done.err
    assert "keyring service nemocli" in done.err
    assert home.files_holding(KEY) == [folder / "drawer.json"]
    (row,) = run("auth", "status", "stub", "--json", home=home).json()
    assert (row["key"], row["ends_in"], row["origin"]) == (
        "keyring",
        "…FAKE",
        "https://stub.invalid:443",
    )
    assert run("auth", "token", "stub", home=home).text == KEY + "\n"
    assert run("auth", "logout", "stub", "--yes", home=home).code == 0
    assert home.files_holding(KEY) == []


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


def test_a_key_is_tried_by_a_free_call_before_it_is_stored(home: Home) -> None:
    with Stub() as stub:
        stub.on("/v1/key", Status(401, {"error": {"message": "no", "code": 401}}), Status(200, {}))
        home.provider("stub", stub.url, key=None)
        wrong = login(home, "stub", "--storage", "file")
        assert (wrong.code, home.files_holding(KEY)) == (4, [])
        assert "--no-check" in wrong.err
        right = login(home, "stub", "--storage", "file")
        asked = [r for r in stub.requests if r.path == "/v1/key"]
        assert right.code == 0
        assert "takes this key" in right.err
        assert login(home, "stub", "--storage", "file", "--no-check").code == 0
    assert len(asked) == 2
    assert {r.headers["authorization"] for r in asked} == {f"Bearer {KEY}"}
    assert stub.asked() == []


def test_a_provider_that_cannot_be_asked_costs_no_key(home: Home) -> None:
    with Stub() as stub:
        home.provider("stub", stub.url, key=None)
    done = login(home, "stub", "--storage", "file")
    assert done.code == 0
    assert "could not be tried" in done.err
    assert len(home.files_holding(KEY)) == 1
