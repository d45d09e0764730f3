"""Tasks of a public benchmark as a model is shown them."""

from __future__ import annotations

from nemocli.eval.public_suite import spec_of, task_from

DOC = {
    "name": "mv",
    "description": "Move it.",
    "parameters": {
        "type": "dict",
        "properties": {
            "type": {"type": "string", "description": "a field that is called type"},
            "size": {"type": "float", "default": 1.0},
            "names": {"type": "array", "items": {"type": "tuple"}},
        },
        "required": ["type"],
    },
}


def test_types_are_those_of_json_schema() -> None:
    spec = spec_of(DOC)
    assert (spec.name, spec.description) == ("mv", "Move it.")
    assert spec.parameters == {
        "type": "object",
        "properties": {
            "type": {"type": "string", "description": "a field that is called type"},
            "size": {"type": "number", "default": 1.0},
            "names": {"type": "array", "items": {"type": "array"}},
        },
        "required": ["type"],
    }


def test_functions_that_come_later_are_kept_by_turn() -> None:
    row = {"turns": [["a"], []], "functions": [], "later": {"1": [DOC]}}
    task = task_from("t", row)
    assert task.turns == (("a",), ())
    assert [spec.name for spec in task.later[1]] == ["mv"]
