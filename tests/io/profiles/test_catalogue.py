"""Layers, extensions and complaints of profile files, with real files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemocli.core.faults import NemoError
from nemocli.core.values import Json
from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder
from nemocli.io.yaml import read
from tests.io.profiles.profile_shop import WHOLE, Shop, refused

STUB = """\
schema: nemocli.provider/1
name: stub
extends: openrouter
base_url: http://127.0.0.1:8099/v1
auth:
  env: [STUB_API_KEY]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_the_documented_stub_works_as_it_stands(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    path = shop.write("user", "stub.yaml", STUB)
    folders = ProfileFolders(profiles_folder(), shop.folders.user)
    loaded = catalogue(folders, None)
    stub, shipped = (loaded.catalogue.provider(n) for n in ("stub", "openrouter"))
    assert loaded.broken == {}
    assert stub.base_url == "http://127.0.0.1:8099/v1"
    assert stub.auth.env == ("STUB_API_KEY",)
    assert stub.auth.key_prefix is None
    assert (stub.dialect, stub.reasoning, stub.usage) == (
        shipped.dialect,
        shipped.reasoning,
        shipped.usage,
    )
    assert stub.prices == ()
    assert stub.lineage == ("openrouter",)
    assert (stub.layer, stub.file) == ("user", str(path))
    target = loaded.catalogue.target(stub, "nemotron-3-ultra")
    assert target.model == "nvidia/nemotron-3-ultra-550b-a55b"
    assert loaded.catalogue.target(stub, "x/anything").model == "x/anything"


def test_a_nearer_file_of_the_same_name_covers_the_farther_one(shop: Shop) -> None:
    shop.provider("shipped", "a", WHOLE + "headers: {X-A: '1', X-B: '2'}\ntitle: shipped\n")
    shop.provider("user", "a", "headers: {X-B: user}\ntimeouts: {total_s: 9}\n")
    shop.provider("project", "a", "title: project\n")
    found = shop.load().catalogue.provider("a")
    assert found.headers == {"X-A": "1", "X-B": "user"}
    assert (found.title, found.layer, found.timeouts.total_s) == ("project", "project", 9.0)
    assert found.auth.env == ("A_KEY",)


def test_moving_the_address_of_a_shipped_provider_leaves_its_key_behind(shop: Shop) -> None:
    shop.provider("shipped", "a", WHOLE)
    shop.provider("user", "a", "base_url: https://elsewhere.example/v1\n")
    assert shop.load().catalogue.provider("a").auth.env == ()


def test_lineage_is_nearest_first(shop: Shop) -> None:
    shop.provider("shipped", "a", WHOLE)
    shop.provider("user", "b", "extends: a\n")
    shop.provider("user", "c", "extends: b\nbase_url: https://c.example\n")
    found = shop.load().catalogue.provider("c")
    assert found.lineage == ("b", "a")
    assert found.dialect == "chat"


def test_an_extension_sees_what_the_user_changed_in_its_base(shop: Shop) -> None:
    shop.provider("shipped", "a", WHOLE)
    shop.provider("user", "a", "drop: [seed]\n")
    shop.provider("user", "b", "extends: a\n")
    assert shop.load().catalogue.provider("b").drop == frozenset({"seed"})


COMPLAINTS = {
    "unknown key": ("base_ulr: x\n", 3, "unknown key 'base_ulr'", "did you mean 'base_url'?"),
    "unknown inner key": (
        WHOLE + "limits:\n  concurency: 3\n",
        7,
        "unknown key 'concurency' in limits",
        "did you mean 'concurrency'?",
    ),
    "wrong type": (
        WHOLE + "free: yes\n",
        6,
        "free must be true or false, not 'yes'",
        None,
    ),
    "number for text": (
        WHOLE + "headers:\n  X-N: 3600\n",
        7,
        "headers.X-N must be text, not 3600",
        "put it in quotes: '3600'",
    ),
    "text for list": (
        "dialect: chat\nauth: {env: A_KEY}\n",
        4,
        "auth.env must be a list, not 'A_KEY'",
        "write [A_KEY]",
    ),
    "bad choice": (
        "dialect: chats\n",
        3,
        "dialect must be one of chat, responses, not 'chats'",
        "did you mean 'chat'?",
    ),
    "missing": ("base_url: https://a.example\n", 1, "missing key 'dialect'", None),
    "missing address": ("dialect: chat\n", 1, "missing key 'base_url'", None),
    "missing in a row": (
        WHOLE + "prices:\n  - {model: m, input: 1, output: 2}\n",
        7,
        "missing key 'valid_from' in prices[1]",
        None,
    ),
    "no day": (
        WHOLE + "prices:\n  - {model: m, valid_from: 2026-13-01, input: 1, output: 2}\n",
        7,
        "prices[1].valid_from is no day: '2026-13-01'",
        "write it as 2026-10-19",
    ),
    "negative": (
        WHOLE + "prices:\n  - {model: m, valid_from: 2026-10-01, input: -1, output: 2}\n",
        7,
        "prices[1].input must be at least 0, not -1",
        None,
    ),
    "no pattern": (
        WHOLE + "errors:\n  - {kind: auth, match: '('}\n",
        7,
        "errors[1].match is no regular expression: '('",
        None,
    ),
    "empty rule": (
        WHOLE + "errors:\n  - {kind: auth}\n",
        7,
        "errors[1] needs 'status' or 'match'",
        None,
    ),
    "no address": ("dialect: chat\nbase_url: ftp://a\n", 4, "base_url cannot be 'ftp://a'", None),
    "user in address": (
        "dialect: chat\nbase_url: https://u:p@a.example\n",
        4,
        "base_url cannot be 'https://***@a.example'",
        None,
    ),
    "bad port": (
        "dialect: chat\nbase_url: http://a.example:99999/v1\n",
        4,
        "base_url is no address: port out of range 0-65535",
        None,
    ),
    "half a part": (
        WHOLE + "settlement: {tries: 3}\n",
        6,
        "missing key 'path' in settlement",
        None,
    ),
    "said twice": ("dialect: chat\ndialect: chat\n", 4, "'dialect' is said twice", None),
    "unknown base": ("extends: opnrouter\n", 3, "extends 'opnrouter', which there is not", None),
    "itself": ("extends: x\n", 3, "extends goes in a circle: x -> x", "leave `extends` out"),
}


@pytest.mark.parametrize("case", COMPLAINTS)
def test_a_complaint_names_file_line_and_cure(shop: Shop, case: str) -> None:
    rest, line, message, hint = COMPLAINTS[case]
    path = shop.provider("user", "x", rest)
    loaded = shop.load()
    fault = refused(loaded, "x")
    column = ":1" if case == "said twice" else ""
    assert fault.message.startswith(f"{path}:{line}{column}: {message}")
    assert hint is None or fault.hint == hint
    assert loaded.broken == {str(path): fault}
    assert list(loaded.catalogue.providers) == []


def test_a_file_without_its_first_line_is_told_what_it_is(shop: Shop) -> None:
    path = shop.write("user", "x.yaml", "name: x\n")
    fault = refused(shop.load(), "x")
    assert fault.message == f"{path}:1: missing key 'schema'"
    assert fault.hint == "its first line is `schema: nemocli.provider/1`"


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n", "a: [\n", "\0"])
def test_what_is_no_profile_at_all_is_refused_by_name(shop: Shop, text: str) -> None:
    path = shop.write("user", "x.yaml", text)
    assert refused(shop.load(), "x").message.startswith(str(path))


def test_a_name_that_differs_from_the_files_is_an_error(shop: Shop) -> None:
    path = shop.write("user", "x.yaml", "schema: nemocli.provider/1\nname: y\n")
    fault = refused(shop.load(), "x")
    assert fault.message == f"{path}:2: name is 'y', but the file is called x.yaml"
    assert fault.hint == "call it y.yaml"


def test_a_file_with_another_ending_is_not_silently_ignored(shop: Shop) -> None:
    shop.write("user", "x.yml", STUB)
    assert refused(shop.load(), "x").hint == "call it x.yaml"


def test_a_file_that_is_not_text_or_cannot_be_read_is_told(shop: Shop) -> None:
    path = shop.write("user", "x.yaml", "")
    path.write_bytes(b"name: \xff\n")
    path.with_name("gone.yaml").symlink_to(path.with_name("nowhere"))
    path.with_name("folder.yaml").mkdir()
    loaded = shop.load()
    assert refused(loaded, "x").message == f"{path}:1:7: not UTF-8 text"
    assert "no such file" in refused(loaded, "gone").message
    assert "directory" in refused(loaded, "folder").message


def test_a_broken_file_takes_down_only_what_stands_on_it(shop: Shop) -> None:
    shop.provider("shipped", "a", WHOLE)
    shop.provider("shipped", "b", WHOLE)
    shop.provider("user", "a", "nonsense: 1\n")
    shop.provider("user", "on-a", "extends: a\n")
    loaded = shop.load()
    assert loaded.catalogue.provider("b").base_url == "https://a.example/v1"
    assert list(loaded.catalogue.providers) == ["b"]
    assert "unknown key 'nonsense'" in refused(loaded, "a").message
    assert "extends 'a', which is broken: " in refused(loaded, "on-a").message
    assert len(loaded.broken) == 2


def test_a_file_over_a_shipped_one_may_name_it_as_its_base(shop: Shop) -> None:
    shop.provider("shipped", "base", WHOLE)
    shop.provider("shipped", "a", "extends: base\ndefault_model: m\n")
    shop.provider("user", "a", "extends: a\nbase_url: https://b.example/v1\n")
    found = shop.load().catalogue.provider("a")
    assert (found.base_url, found.default_model) == ("https://b.example/v1", "m")
    assert found.dialect == shop.load().catalogue.provider("base").dialect


def test_a_circle_is_told_with_its_members(shop: Shop) -> None:
    shop.provider("user", "a", "extends: b\n")
    shop.provider("user", "b", "extends: c\n")
    shop.provider("user", "c", "extends: a\n")
    loaded = shop.load()
    assert "circle: a -> b -> c -> a" in " ".join(f.message for f in loaded.broken.values())
    assert {n for n in "abc" if n in loaded.catalogue.providers} == {"a", "b", "c"}
    assert list(loaded.catalogue.providers) == []


def test_asking_for_a_broken_card_by_any_of_its_names_raises_its_fault(shop: Shop) -> None:
    shop.card("shipped", "m", "aliases: [Em]\n")
    shop.card("user", "m", "contxt: 1\n")
    loaded = shop.load()
    for name in ("m", "em"):
        with pytest.raises(NemoError, match="unknown key 'contxt'"):
            loaded.catalogue.card(name)


def test_a_users_card_adds_offers_and_prices_to_the_shipped_one(shop: Shop) -> None:
    shop.card(
        "shipped",
        "m",
        "offers: [{provider: a, id: a/m}]\n"
        "prices: [{seller: a, valid_from: 2026-10-01, input: 0.60, output: 1}]\n",
    )
    shop.card(
        "user",
        "m",
        "offers: [{provider: b, id: b/m}]\n"
        "prices: [{seller: a, valid_from: 2026-11-01, input: 0.7, output: 1}]\n",
    )
    card = shop.load().catalogue.cards["m"]
    assert [o.id for o in card.offers] == ["a/m", "b/m"]
    assert [(p.origin, p.input) for p in card.prices] == [
        ("bundled", Decimal("0.60")),
        ("override", Decimal("0.7")),
    ]


def test_a_card_can_start_from_another(shop: Shop) -> None:
    shop.card("shipped", "m", "aliases: [em]\ncontext: 10\noffers: [{provider: a, id: a/m}]\n")
    shop.card("user", "tuned", "extends: m\nsampling: {temperature: 0.1}\n")
    card = shop.load().catalogue.cards["tuned"]
    assert (card.context, card.aliases) == (10, ())
    assert card.sampling == {"temperature": Decimal("0.1")}


SHIPPED = {
    path: read(path.read_bytes(), path.name).data
    for kind in ("providers", "models")
    for path in sorted((profiles_folder() / kind).iterdir())
}
ODD: list[Json] = [None, True, 0, -1, 10**30, 0.5]
ODD += ["", "x", "http://[", "\u0130", [], [None], [{}], {}, {"a": None}]


def replaced(value: Json, draw: st.DrawFn) -> Json:
    """The value with one thing in it, drawn, changed into something odd."""
    if isinstance(value, Mapping) and value and draw(st.integers(0, 9)) > 0:
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: replaced(value[key], draw)}
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], replaced(value[at], draw), *value[at + 1 :]]
    return draw(st.sampled_from(ODD))


@given(data=st.data(), path=st.sampled_from(sorted(SHIPPED)))
@settings(max_examples=60, deadline=None)
def test_whatever_a_users_file_says_it_is_used_or_told_and_nothing_else_breaks(
    data: st.DataObject, path: Path
) -> None:
    with TemporaryDirectory() as root:
        shop = Shop(Path(root))
        odd = data.draw(st.composite(lambda draw: replaced(SHIPPED[path], draw))())
        text = json.dumps(odd, default=float)
        mine = shop.write("user", path.name, text, path.parent.name)
        loaded = shop.load()
        found = loaded.catalogue
        usable = [p.file for p in found.providers.values()]
        usable += [c.file for c in found.cards.values()]
        assert (usable == [str(mine)]) != (list(loaded.broken) == [str(mine)])
