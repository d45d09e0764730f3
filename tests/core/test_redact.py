"""No secret leaves, whatever stands around it."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemocli.core.redact import FRAGMENT, MARK, Redactor

KEY = "nvapi-AbCdEf0123456789-_AbCdEf"
OTHER = "s3cr3t/with+odd=chars&more"
PRINTABLE = st.characters(min_codepoint=33, max_codepoint=126)
SECRET = st.text(PRINTABLE, min_size=8, max_size=40)
AROUND = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            ['"', "\\", '{"api_key": "', "Authorization: ", "***", "**", "://", "@", "=", "&", "\n"]
        ),
    ),
    max_size=5,
).map("".join)


@given(AROUND, SECRET, AROUND, st.integers(1, 3))
def test_a_secret_never_survives_whatever_surrounds_it(
    before: str, secret: str, after: str, times: int
) -> None:
    shown = Redactor([secret]).text(before + (secret + after) * times)
    assert secret not in shown


@given(SECRET, AROUND, AROUND, st.data())
def test_no_fragment_of_eight_characters_survives(
    secret: str, before: str, after: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(secret) - FRAGMENT))
    stop = data.draw(st.integers(start + FRAGMENT, len(secret)))
    fragment = secret[start:stop]
    shown = Redactor([secret]).text(f"{before}|{fragment}|{after}")
    assert f"|{fragment}|" not in shown


@given(SECRET, AROUND)
def test_every_door_is_closed(secret: str, around: str) -> None:
    redactor = Redactor([secret])
    text = around + secret + around
    assert secret not in redactor.url(text)
    assert secret not in redactor.body(text.encode("utf-8", "replace"))
    assert secret not in json.dumps(
        redactor.headers({"x-echo": text, text: "x"}), ensure_ascii=False
    )


@given(st.text(max_size=300))
def test_any_text_at_all_is_taken(text: str) -> None:
    assert isinstance(Redactor([KEY]).text(text), str)


@given(
    st.lists(st.sampled_from(["eyJ", "sk-", "key", "token:", "\\", '"', "'", "://", "=", " ", "1"]))
)
def test_pieces_of_patterns_are_taken(parts: list[str]) -> None:
    assert isinstance(Redactor().text("".join(parts)), str)


def test_a_secret_of_the_marks_own_characters_does_not_survive() -> None:
    for secret in ("********", "ab***cdef", "****", "://***@"):
        assert secret not in Redactor([secret, "XXXXXXXX"]).text(f"ab{'X' * 8}cdef {secret}****")


def test_spellings_of_a_secret_count_as_it() -> None:
    redactor = Redactor([OTHER, 'quo"te\\d-secret'])
    assert "s3cr3t" not in redactor.text(quote(OTHER, safe=""))
    assert "te" not in redactor.text("x " + json.dumps('quo"te\\d-secret')[1:-1] + " x")


@pytest.mark.parametrize(
    "text",
    [
        "the key nvapi-abcdefghijklmnop is bad",
        "the key sk-or-v1-abcdefghijklmnop is bad",
        "\\nsk-abcdefghijklmnop",
        "hf_abcdefghijklmnop",
        "pplx-abcdefghijklmnop",
        "Authorization: Bearer abcdefghijklmnop",
        "authorization: Basic abcdefghijklmnop==",
        "sent bearer abcdefghijklmnop.",
        "cookie: session=abcdefghijklmnop; b=c",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.abcdefghijklmnop.SflKxwRJSMeKKF2QT4",
        "https://user:abcdefghijklmnop@host/v1",
        "https://host/v1?api_key=abcdefghijklmnop&x=1",
        "https://host/v1?x=1&access_token=abcdefghijklmnop",
        '{"api_key": "abcdefghijklmnop"}',
        '{"client_secret":"abcdefghijklmnop","x":1}',
        '{"password" : "abc\\"defghijklmnop"}',
        '{"a": "{\\"token\\": \\"abcdefghijklmnop\\"}"}',
        "{'X-Api-Key': 'abcdefghijklmnop'}",
        'half a body: {"credential": "abcdefghijklmnop',
        "token: abcdefghijklmnop1",
    ],
)
def test_what_looks_or_is_named_like_a_key_is_hidden(text: str) -> None:
    shown = Redactor().text(text)
    assert "efghij" not in shown
    assert MARK in shown


@pytest.mark.parametrize(
    "text",
    [
        '{"usage":{"prompt_tokens":987654321,"completion_tokens":5,"total_tokens":12}}',
        "max_tokens=1000000000",
        "Invalid API key: please check it at https://host/settings/keys",
        "a task-force of risk-averse keyboards",
        '{"model": "vendor/model-3-ultra", "stream": true}',
        "Header of type `authorization` was missing",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor([KEY]).text(text) == text


def test_a_field_keeps_its_name_and_the_rest_its_shape() -> None:
    assert Redactor().text('{"api_key": "abc def", "x": 1}') == f'{{"api_key": "{MARK}", "x": 1}}'
    assert Redactor().text("/v1?key=abc&x=1") == f"/v1?key={MARK}&x=1"


def test_sensitive_headers_lose_their_whole_value() -> None:
    headers = {"X-Api-Key": "short", "Set-Cookie": "a=b", "Content-Type": "text/plain"}
    assert Redactor().headers(headers) == {
        "X-Api-Key": MARK,
        "Set-Cookie": MARK,
        "Content-Type": "text/plain",
    }


def test_bytes_that_are_no_text_still_hide_the_key() -> None:
    assert KEY not in Redactor([KEY]).body(b"\xff\xfe" + KEY.encode() + b"\x80")


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 100_000,
        "token" * 60_000,
        "token:" * 50_000,
        '"key":"' * 40_000,
        '\\"key\\":\\"' * 30_000,
        "://" * 100_000,
        "key" + "\\" * 300_000,
        "Bearer " * 40_000,
        "a" * 300_000,
        base64.b64encode(bytes(220_000)).decode(),
        KEY[:-1] * 10_000,
    ],
)
def test_time_is_linear_in_the_text(text: str) -> None:
    redactor = Redactor([KEY, OTHER])
    start = time.perf_counter()
    redactor.text(text)
    assert time.perf_counter() - start < 5
