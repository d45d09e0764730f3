"""The token that huggingface_hub would use: of the environment, else of its own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nemocli.core.faults import config_error
from nemocli.io.files import read_text
from nemocli.weights.hub_layout import expand, hf_home, is_true

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def hub_token(env: Mapping[str, str], home: str) -> str | None:
    """None when there is none, or when HF_HUB_DISABLE_IMPLICIT_TOKEN keeps it back. Raises a config
    fault for one that cannot be sent."""
    for name in VARIABLES:
        if token := env.get(name, "").strip():
            return _checked(token, name)
    if is_true(env.get("HF_HUB_DISABLE_IMPLICIT_TOKEN")):
        return None
    named = env.get("HF_TOKEN_PATH")
    file = Path(expand(named, env, home) if named else f"{hf_home(env, home)}/token")
    token = (read_text(file) or "").strip() if file.is_file() else ""
    return _checked(token, str(file)) if token else None


def _checked(token: str, source: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise config_error(f"{source} holds something that is no token")
    return token
