"""Is it right for the task: the guide's lists, and what decides alone."""

from __future__ import annotations

import pytest

from nemocli.eval.suitability import TaskFacts, suitability, suitability_json

AGENT = TaskFacts("agent", 12, True, 100_000)


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        (AGENT, "consider"),
        (TaskFacts("coding", 8, True, 64_000), "consider"),
        (TaskFacts("coding", None, True, 64_000), "test first"),
        (TaskFacts("chat", 2, False, 2_000), "skip"),
        (TaskFacts("creative", 1, False), "skip"),
        (TaskFacts("extraction", 1, True, 4_000), "skip"),
        (TaskFacts("agent", 12, True, 100_000, modality="image"), "skip"),
        (TaskFacts("agent", 12, True, 2_000_000), "skip"),
        (TaskFacts("agent", 12, True, 100_000, latency_ms=300), "consider"),
        (TaskFacts("agent", 12, True, 100_000, place="own", calls=1_000), "consider"),
        (TaskFacts(), "test first"),
    ],
)
def test_answers(facts: TaskFacts, answer: str) -> None:
    found = suitability(facts)
    assert found.answer == answer, found.reasons
    assert found.reasons or found.unknown
    assert found.next_step.startswith("nemocli ")


def test_what_is_not_known_is_said_and_every_correction_has_a_source() -> None:
    found = suitability_json(suitability(TaskFacts("agent")), TaskFacts("agent"))
    assert found["unknown"] == ["turns", "tools", "context"]
    assert all(row["source"] and row["holds"] for row in found["corrections"])
