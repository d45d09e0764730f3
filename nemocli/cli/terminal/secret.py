"""A secret that is typed or pasted: each character a star, so that one sees that it arrives."""

from __future__ import annotations

import sys


def ask_secret(question: str) -> str:
    """What was typed, up to Enter. Raises KeyboardInterrupt for Ctrl-C, and for Ctrl-D on an empty
    line."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import DummyHistory
    from prompt_toolkit.output import create_output

    session: PromptSession[str] = PromptSession(
        is_password=True, history=DummyHistory(), output=create_output(sys.stderr)
    )
    try:
        return session.prompt(question)
    except EOFError:
        raise KeyboardInterrupt from None
