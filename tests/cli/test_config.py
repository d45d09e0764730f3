"""Settings: what holds, who said so, and what is wrong with the files."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tests.run import Home, run


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
def test_what_cannot_be_set_is_said(home: Home, args, said: str) -> None:
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
