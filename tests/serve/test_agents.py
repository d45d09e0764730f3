"""Rows of agents: what is filled in, what is left out, what is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from nemocli.io.serve.agents import agents_in
from nemocli.serve.agents import SCHEMA, Address, AgentError, agent_of, prepare_start
from tests.run import ROOT

ROW = {
    "schema": SCHEMA, "name": "a", "title": "A", "program": "a", "install": "get a", "docs": "d",
}  # fmt: skip
TO = Address("http://127.0.0.1:1/v1", "secret", "nemotron-3-ultra", 1000, None)


def row(**fields: Any) -> Any:
    return agent_of({**ROW, **fields})


def test_places_are_filled_and_what_needs_the_unknown_is_left_out() -> None:
    agent = row(
        folder="A_HOME",
        env={"URL": "${root_url}", "T": "${token}", "OUT": "${output}"},
        args=[
            ["-m", "${model}"],
            ["-o", "${output}"],
            ["-c", "${context}"],
            ["--f", "${folder}/x"],
        ],
        files={"x": "${output}", "y": "${output_or_guess}"},
        initial={"z": "$$"},
    )
    start = prepare_start(agent, TO, "/f")
    assert start.env == {"URL": "http://127.0.0.1:1", "T": "secret", "A_HOME": "/f"}
    assert start.args == ("-m", "nemotron-3-ultra", "-c", "1000")
    assert start.files == {"y": "16384"}
    own = prepare_start(agent, TO, "/f", own_settings=True)
    assert "A_HOME" not in own.env
    assert (own.files, own.initial) == ({}, {})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schema": "x"}, "nemocli.agent/1"),
        ({"nmae": "x"}, "unknown field 'nmae'"),
        ({"title": ""}, "`title`"),
        ({"env": {"A": "${nothing}"}}, "${nothing}"),
        ({"env": {"A": "$ "}}, "lone `$`"),
        ({"env": {"A": 1}}, "`env`"),
        ({"args": ["-m"]}, "`args`"),
        ({"args": [["--key", "${token}"]]}, "no token"),
        ({"files": {"../x": ""}}, "plain name"),
        ({"initial": {"a/b": ""}}, "plain name"),
        ({"session": "x"}, "`session`"),
    ],
)
def test_a_row_that_is_wrong_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(AgentError, match=re.escape(said)):
        row(**fields)
    with pytest.raises(AgentError):
        agent_of([])


def test_a_model_whose_name_would_break_out_of_somebodys_json_is_refused() -> None:
    for name in ('x", "y": "', "a b", "${token}", ""):
        with pytest.raises(AgentError):
            prepare_start(row(), Address("http://h/v1", "t", name), "/f")


def test_every_shipped_row_holds() -> None:
    agents = agents_in([ROOT / "profiles" / "agents"])
    assert not agents.broken
    assert {"codex", "claude", "opencode", "aider", "qwen", "pi", "mini"} <= agents.known.keys()
    for agent in agents.known.values():
        start = prepare_start(agent, TO, "/f")
        assert "secret" not in str(start.args)
        for name, text in {**start.files, **start.initial}.items():
            if name.endswith(".json"):
                json.loads(text)
    json.loads(prepare_start(agents.known["opencode"], TO, "/f").env["OPENCODE_CONFIG_CONTENT"])
