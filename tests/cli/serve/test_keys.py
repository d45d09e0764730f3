"""`serve --keys`: several people, each with a token, a tag in the ledger and a budget."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.serve.test_serve import Client, started
from tests.run import Home, run
from tests.servers.answer import Answer
from tests.servers.stub import Stub


@pytest.fixture
def stub(home: Home) -> Iterator[Stub]:
    with Stub(Answer("Hello.", cost=0.004)) as made:
        price = {"model": "x/m", "valid_from": "2026-01-01", "input": 1, "output": 1}
        home.provider("stub", made.url, default_model="x/m", prices=[price])
        yield made


def made(home: Home, name: str) -> str:
    done = run("serve", "--keys", "keys.yaml", "--new-key", name, home=home)
    assert done.code == 0, done.err
    return done.text.strip()


def test_each_is_booked_under_their_name_and_stopped_at_their_budget(
    home: Home, stub: Stub
) -> None:
    ada, bob = made(home, "ada"), made(home, "bob")
    file = home.cwd / "keys.yaml"
    assert file.stat().st_mode & 0o077 == 0
    assert ada not in file.read_text()
    assert run("cost", "budget", "set", "0.01", "--tag", "key:ada", home=home).code == 0
    running, client = started(home, "-p", "stub", "--keys", "keys.yaml")
    with running:
        assert client.token is None
        one, other = Client(client.url, ada), Client(client.url, bob)
        assert Client(client.url, "wrong").chat(model="")[0] == 401
        codes = [one.chat(model="", max_tokens=1000)[0] for _ in range(6)]
        assert other.chat(model="", max_tokens=1000)[0] == 200
    assert codes[0] == 200
    assert codes[-1] == 400
    rows = home.attempts()
    assert sum("key:bob" in row["tags"] for row in rows) == 1
    assert any("key:ada" in row["tags"] for row in rows)


def test_a_new_token_ends_the_old_one(home: Home, stub: Stub) -> None:
    first = made(home, "ada")
    second = made(home, "ada")
    running, client = started(home, "-p", "stub", "--keys", "keys.yaml")
    with running:
        assert Client(client.url, first).chat(model="")[0] == 401
        assert Client(client.url, second).chat(model="")[0] == 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not nemocli.serve_keys/1"),
        ("schema: nemocli.serve_keys/1\nkeys: {}\n", "nobody is in it"),
        ("schema: nemocli.serve_keys/1\nkeys: {ada: {sha256: x}}\n", "64 hex digits"),
        ("schema: nemocli.serve_keys/1\nkeys: {ada: 1}\n", "names and values"),
        ("keys: [", "keys.yaml:"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(home: Home, stub: Stub, text: str, said: str) -> None:
    (home.cwd / "keys.yaml").write_text(text)
    done = run("serve", "-p", "stub", "--keys", "keys.yaml", home=home)
    assert (done.code, said in done.err) == (3, True), done.err


def test_what_does_not_go_together(home: Home, stub: Stub) -> None:
    assert run("serve", "--new-key", "ada", home=home).code == 2
    made(home, "ada")
    done = run("serve", "-p", "stub", "--keys", "keys.yaml", "--no-token", home=home)
    assert done.code == 2
    assert run("serve", "-p", "stub", "--keys", "absent.yaml", home=home).code == 3
