"""Which source wins, what a project may do, and what is said about mistakes."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.faults import FaultKind, NemoError
from nemocli.core.settings import (
    SETTINGS,
    Settings,
    coerce,
    from_env,
    from_file,
    from_flags,
    from_project,
    setting,
)


def said(error: pytest.ExceptionInfo[NemoError]) -> str:
    assert error.value.fault.kind is FaultKind.CONFIG
    return error.value.fault.message


def test_flags_beat_environment_beats_file_beats_built_in() -> None:
    file = from_file({"model": "c", "system": "c", "color": "never"}, {("system",): 2}, "f.yaml")
    env = from_env({"NEMOCLI_MODEL": "b", "NEMOCLI_SYSTEM": ""})
    settings = Settings((from_flags({"model": "a", "system": None}), env, file))
    assert (settings.get("model"), settings.origin("model")) == ("a", "command line")
    assert (settings.get("system"), settings.origin("system")) == ("c", "f.yaml:2")
    assert (settings.get("log"), settings.origin("log")) == (True, "built-in")
    env_only = Settings((env, file))
    assert (env_only.get("model"), env_only.origin("model")) == ("b", "environment NEMOCLI_MODEL")


def test_every_setting_has_its_own_variable_and_help() -> None:
    names = [s.env for s in SETTINGS if s.env]
    assert len(names) == len(set(names))
    assert "NEMOCLI_EMBEDDED_MODEL_PATH" in names
    assert all(s.help for s in SETTINGS)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("provider", "one, two,", ("one", "two")),
        ("provider", ["one", "two"], ("one", "two")),
        ("max_tokens", "100", 100),
        ("max_cost_usd", "0.60", Decimal("0.60")),
        ("max_cost_usd", Decimal(0), Decimal(0)),
        ("timeout_s", 30, Decimal(30)),
        ("fallback", "on", True),
        ("fallback", "0", False),
        ("reasoning", "off", "off"),
        ("keys.some.command", ["pass", "show", "a b "], ("pass", "show", "a b ")),
    ],
)
def test_values_are_understood_as_people_write_them(name: str, raw: object, value: object) -> None:
    assert coerce(setting(name), raw) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "raw", "wanted"),
    [
        ("max_tokens", "0", "whole number above 0"),
        ("max_tokens", "1.5", "whole number above 0"),
        ("max_tokens", True, "whole number above 0"),
        ("timeout_s", "0", "number above 0"),
        ("timeout_s", "inf", "number above 0"),
        ("max_cost_usd", "-1", "number of 0 or more"),
        ("max_cost_usd", "lots", "number of 0 or more"),
        ("fallback", "maybe", "true or false"),
        ("reasoning", "huge", "off, low, medium, high"),
        ("color", "blue", "auto, always, never"),
        ("model", ["a"], "must be text"),
        ("provider", {"a": 1}, "list of words"),
        ("keys.some.command", "pass show key", "list of arguments"),
        ("keys.some.command", [], "list of arguments"),
    ],
)
def test_wrong_values_are_refused_with_what_is_wanted(name: str, raw: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        coerce(setting(name), raw)  # type: ignore[arg-type]


@given(st.sampled_from(SETTINGS), st.text(max_size=30))
def test_any_text_is_a_value_or_a_value_error(row: object, raw: str) -> None:
    with contextlib.suppress(ValueError):
        coerce(row, raw)  # type: ignore[arg-type]


def test_an_unknown_name_is_an_error_with_its_place_and_a_guess() -> None:
    with pytest.raises(NemoError) as error:
        from_file({"modle": "x"}, {("modle",): 3}, "config.yaml")
    assert said(error) == "config.yaml:3: unknown setting `modle`; did you mean `model`?"
    with pytest.raises(NemoError) as error:
        Settings().get("colour")
    assert "did you mean `color`?" in said(error)


def test_a_base_url_in_the_users_file_says_where_addresses_are_set() -> None:
    with pytest.raises(NemoError) as error:
        from_file({"base_url": "http://x"}, {}, "config.yaml")
    assert "profiles/providers/" in (error.value.fault.hint or "")


def test_a_wrong_value_names_file_line_and_setting() -> None:
    with pytest.raises(NemoError) as error:
        from_file({"embedded": {"model_path": ["x"]}}, {("embedded", "model_path"): 7}, "c.yaml")
    assert said(error).startswith("c.yaml:7: embedded.model_path: must be text")
    with pytest.raises(NemoError) as error:
        from_env({"NEMOCLI_MAX_TOKENS": "many"})
    assert said(error).startswith("NEMOCLI_MAX_TOKENS: must be a whole number")


def test_nothing_and_a_schema_line_are_not_settings() -> None:
    assert from_file({"schema": "nemocli.config/1", "model": None}, {}, "f").values == {}


def test_keys_commands_belong_to_one_provider() -> None:
    layer = from_file({"keys": {"my.llm": {"command": ["op", "read"]}}}, {}, "f")
    settings = Settings((layer,))
    assert settings.key_command("my.llm") == ("op", "read")
    assert settings.key_command("other") is None
    assert "keys.my.llm.command" in settings.names()


@pytest.mark.parametrize(
    "data",
    [
        {"base_url": "http://evil"},
        {"providers": {"x": {"base_url": "http://evil"}}},
        {"keys": {"x": {"command": ["sh", "-c", "steal"]}}},
        {"keys": {"x": "value"}},
        {"auth": {"x": "y"}},
        {"embedded": {"model_path": "evil.gguf"}},
        {"storage": "file"},
    ],
)
def test_a_project_nobody_trusts_cannot_move_keys_or_run_code(data: dict[str, object]) -> None:
    layer, refused = from_project(data, {}, "p/nemocli.yaml", Settings())  # type: ignore[arg-type]
    assert layer.values == {}
    assert len(refused) == 1
    assert refused[0].startswith("p/nemocli.yaml: ")
    assert "trust" in refused[0]


def test_its_harmless_settings_count_and_know_their_line() -> None:
    data = {"model": "m", "storage": "file"}
    layer, refused = from_project(data, {("model",): 1, ("storage",): 2}, "n.yaml", Settings())
    assert layer.values == {"model": "m"}
    assert layer.origins == {"model": "n.yaml:1"}
    assert refused[0].startswith("n.yaml:2: `storage`")


def test_it_may_be_stricter_than_the_user_but_not_looser() -> None:
    user = Settings((from_file({"offline": True, "log": False, "max_cost_usd": 1}, {}, "u"),))
    loose = {"offline": False, "log": True, "max_cost_usd": Decimal("1.01")}
    layer, refused = from_project(loose, {}, "p", user)  # type: ignore[arg-type]
    assert (layer.values, len(refused)) == ({}, 3)
    strict = {"offline": True, "log": False, "max_cost_usd": Decimal("0.5")}
    layer, refused = from_project(strict, {}, "p", Settings())  # type: ignore[arg-type]
    assert (layer.values, refused) == (strict, ())


def test_a_typo_in_a_project_is_an_error_all_the_same() -> None:
    with pytest.raises(NemoError) as error:
        from_project({"modle": "x"}, {("modle",): 2}, "nemocli.yaml", Settings())
    assert said(error).startswith("nemocli.yaml:2: unknown setting")


def test_typed_readers_give_their_type_or_nothing() -> None:
    data = {"max_tokens": 5, "timeout_s": "2.5", "fallback": True, "provider": ["a"], "model": "m"}
    settings = Settings((from_file(data, {}, "f"),))
    assert settings.count("max_tokens") == 5
    assert settings.amount("timeout_s") == Decimal("2.5")
    assert settings.flag("fallback") is True
    assert settings.words("provider") == ("a",)
    assert settings.text("model") == "m"
    empty = Settings()
    assert (empty.count("max_tokens"), empty.amount("timeout_s")) == (None, None)
    assert (empty.words("provider"), empty.text("model"), empty.flag("offline")) == (
        (),
        None,
        False,
    )
