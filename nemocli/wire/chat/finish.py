"""What servers say at the end of a chat completion, and what each word promises.

The documented four, and what engines and converted services say instead. A word that is not here
promises nothing: the answer is kept, with a warning.
"""

from __future__ import annotations

from nemocli.core.events import Finish, Warned
from nemocli.core.text import one_line

_WORDS: dict[Finish, str] = {
    "stop": "stop eos eos_token end_turn stop_sequence stop_token complete completed finished"
    " finish done end normal success",
    "length": "length max_tokens max_output_tokens max_completion_tokens max_length model_length"
    " model_context_window_exceeded context_length_exceeded token_limit",
    "tool_calls": "tool_calls function_call tool_use",
    "content_filter": "content_filter content_filtered safety refusal refused recitation"
    " prohibited_content blocklist spii image_safety moderation guardrail guardrail_intervened",
}
FINISH: dict[str, Finish] = {
    word: reason for reason, words in _WORDS.items() for word in words.split()
}
"""Words in lower case to the ends that they mean."""

BROKEN = frozenset(
    {
        "error",
        "abort",
        "aborted",
        "network_error",
        "insufficient_system_resource",
        "malformed_function_call",
        "unexpected_tool_call",
        "cancelled",
        "canceled",
        "timeout",
        "interrupted",
        "failed",
    }
)
"""Words of a server that broke the answer off."""

NOTHING = frozenset({"", "null", "none"})
"""Words for no end yet."""


def unknown_finish(word: str, provider: str) -> Warned:
    """What is said of an end by a word that is in no list."""
    return Warned(
        "unknown_finish_reason",
        f"{provider} ended the answer with {one_line(repr(word), 60)}, a reason that is not known"
        " here: it may not be complete",
    )
