"""Settings: what holds, who said so, and what is wrong with the files."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tests.run import Home, run, run_pty


def project(home: Home, text: str) -> None:
    (home.cwd / "nemocli.yaml").write_text(text)


def test_every_layer_can_be_seen_to_win(home: Home) -> None:
    run("config", "set", "reasoning", "low", home=home)
    project(home, "max_tokens: 100\nreasoning: medium\n")
    home.env["NEMOCLI_MAX_TOKENS"] = "7"
    rows = {r["name"]: r for r in run("config", "show", "--json", home=home).json()}
    assert (rows["reasoning"]["value"], rows["max_tokens"]["value"]) == ("medium", 7)
    assert rows["reasoning"]["origin"].endswith("nemocli.yaml:2")
    assert rows["max_tokens"]["origin"] == "environment NEMOCLI_MAX_TOKENS"
    assert rows["color"]["origin"] == "built-in"


def test_setting_leaves_the_rest_of_the_file_alone(home: Home) -> None:
    home.folder.mkdir(parents=True)
    file = home.folder / "config.yaml"
    file.write_text("# mine\nreasoning: high  # for now\n")
    assert run("config", "set", "max_tokens", "64", home=home).code == 0
    assert run("config", "set", "reasoning", "off", home=home).code == 0
    assert "# mine" in file.read_text()
    assert "# for now" in file.read_text()
    assert run("config", "get", "reasoning", home=home).text == "off\n"
    assert run("config", "get", "max_tokens", home=home).text == "64\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("reasonin", "low"), "reasoning"),
        (("reasoning", "max"), "off, low"),
        (("offline", "x"), "true"),
    ],
)
def test_what_cannot_be_set_is_said(home: Home, args: tuple[str, ...], said: str) -> None:
    done = run("config", "set", *args, home=home)
    assert (done.code, said in done.err) == (3, True)


def test_a_project_may_not_move_keys_until_it_is_trusted(home: Home) -> None:
    project(home, "keys:\n  nvidia:\n    command: [echo, stolen]\n")
    refused = run("config", "show", home=home)
    assert "nemocli.yaml" in refused.err
    assert "trust" in refused.err
    assert run("config", "trust", home=home).code == 0
    shown = run("config", "show", home=home)
    assert "stolen" in shown.text
    assert run("config", "trust", "--revoke", home=home).code == 0
    assert "stolen" not in run("config", "show", home=home).text


def test_validate_names_every_broken_file_and_line(home: Home) -> None:
    assert run("config", "validate", home=home).code == 0
    folder = home.folder / "profiles" / "providers"
    folder.mkdir(parents=True)
    (folder / "one.yaml").write_text("schema: nemocli.provider/1\nname: one\nbase_ur: x\n")
    (folder / "two.yaml").write_text("a: [1\n")
    done = run("config", "validate", home=home)
    assert done.code == 3
    assert "one.yaml:3" in done.err
    assert "two.yaml:" in done.err
    single = run("config", "validate", str(folder / "one.yaml"), home=home)
    assert (single.code, "one.yaml:3" in single.err) == (3, True)
    assert run("providers", "ls", home=home).code == 0, "a broken file spoils only its own name"


@pytest.mark.parametrize("what", ["provider", "model", "config"])
def test_schemas_are_schemas(home: Home, what: str) -> None:
    schema = run("config", "schema", what, home=home).json()
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_schema_of_settings_takes_what_the_program_takes(home: Home) -> None:
    schema = run("config", "schema", "config", home=home).json()
    good = {"reasoning": "low", "provider": ["a"], "keys": {"nvidia": {"command": ["x"]}}}
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"reasonin": "low"}, schema)


def test_paths_tell_the_truth(home: Home) -> None:
    paths = run("config", "path", "--json", home=home).json()
    assert paths["config"] == str(home.folder / "config.yaml")
    assert paths["ledger"] == str(home.folder / "data" / "ledger.db")
    assert json.dumps(paths["project"]) == "null"


def test_validate_says_everything_at_once(home: Home) -> None:
    folder = home.folder / "profiles" / "models"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("schema: nemocli.model/1\nname: yours\n")
    (home.folder / "config.yaml").write_text("# settings\ncolr: always\n")
    project(home, "max_tokens: many\n")
    done = run("config", "validate", home=home)
    assert done.code == 3
    told = [line for line in done.err.splitlines() if line.startswith("nemocli: ")]
    assert [line.split(": ")[1].rpartition("/")[2] for line in told] == [
        "config.yaml:2",
        "nemocli.yaml:1",
        "mine.yaml:2",
    ]
    assert "did you mean `color`?" in told[0]


def test_validate_knows_what_the_settings_name(home: Home) -> None:
    home.folder.mkdir(parents=True)
    (home.folder / "config.yaml").write_text("provider: [openrouter, opnrouter]\n")
    done = run("config", "validate", home=home)
    assert done.code == 3
    assert "config.yaml:1: no provider 'opnrouter'" in done.err
    assert "did you mean `openrouter`?" in done.err
    home.env["NEMOCLI_TIMEOUT_S"] = "soon"
    assert "NEMOCLI_TIMEOUT_S" in run("config", "validate", home=home).err


def test_a_file_is_checked_as_if_it_were_in_its_place(home: Home) -> None:
    home.provider("base", "http://127.0.0.1:1/v1")
    good, bad = home.cwd / "good.yaml", home.cwd / "bad.yaml"
    good.write_text("schema: nemocli.provider/1\nname: good\nextends: base\n")
    bad.write_text("schema: nemocli.provider/1\nname: bad\nextends: nobody\n")
    done = run("config", "validate", "good.yaml", "bad.yaml", "none.yaml", home=home)
    assert (done.code, done.text) == (3, "ok: good.yaml\n")
    assert "bad.yaml:3: extends 'nobody'" in done.err
    assert "none.yaml: no such file" in done.err


def test_what_was_set_but_does_not_hold_here_is_said(home: Home) -> None:
    home.env["NEMOCLI_REASONING"] = "low"
    done = run("config", "set", "reasoning", "high", home=home)
    assert (done.code, "NEMOCLI_REASONING" in done.err) == (0, True)
    assert run("config", "get", "reasoning", home=home).text == "low\n"
    plain = run("config", "set", "max_tokens", "9", home=home)
    assert plain.err == f"max_tokens: 9 in {home.folder / 'config.yaml'}\n"


def test_another_file_takes_the_place_of_the_users(home: Home) -> None:
    file = home.cwd / "other.yaml"
    file.write_text("reasoning: low\n")
    given = ("--config", str(file))
    assert run("config", "get", "reasoning", *given, home=home).text == "low\n"
    assert run("config", "set", "reasoning", "off", *given, home=home).code == 0
    assert file.read_text() == 'reasoning: "off"\n'
    assert run("config", "path", "--json", *given, home=home).json()["config"] == str(file)
    assert not (home.folder / "config.yaml").exists()


def test_a_setting_nobody_knows_is_named(home: Home) -> None:
    done = run("config", "get", "colr", home=home)
    assert (done.code, "did you mean `color`?" in done.err) == (3, True)
    assert run("config", "schema", "../provider", home=home).code == 2


def test_a_long_value_is_cut_on_a_terminal_and_whole_in_a_pipe(home: Home) -> None:
    run("config", "set", "system", "word " * 60 + "end", home=home)
    assert "end" in run("config", "show", home=home).text
    seen = run_pty("config", "show", home=home, size=(24, 60), timeout=20)
    assert max(map(len, seen.text.splitlines())) <= 60
    assert "…" in seen.text


def test_trust_can_be_taken_back_from_a_folder_that_is_gone(home: Home) -> None:
    folder = home.cwd / "work"
    folder.mkdir()
    assert run("config", "trust", "work", home=home).code == 0
    folder.rmdir()
    assert run("config", "trust", "work", "--revoke", home=home).code == 0
    assert run("config", "trust", "work", home=home).code == 3
