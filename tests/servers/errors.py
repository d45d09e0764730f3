"""Error bodies as the providers spell them: NVIDIA's four families and OpenRouter's two shapes.

From facts gathered in November 2026: NVCF gateway source and forum captures (families a to d),
OpenRouter's errors-and-debugging page (shape 2 since 2026-08-19 has no `code`).
"""

from __future__ import annotations

from typing import Any


def problem(status: int, title: str, detail: str | None = None) -> dict[str, Any]:
    """Family (a): problem details."""
    body = {"type": "about:blank", "status": status, "title": title}
    return body if detail is None else {**body, "detail": detail}


def openai(message: str, kind: str = "invalid_request_error", code: Any = None) -> dict[str, Any]:
    """Family (b): OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def bare(message: str, kind: str, code: int) -> dict[str, Any]:
    """Family (c): the same fields without the envelope."""
    return {"message": message, "type": kind, "code": code}


PLAIN_404 = "404 page not found\n"
"""Family (d): plain text, here of an unknown model."""


def openrouter(code: int, message: str, **metadata: Any) -> dict[str, Any]:
    """Shape 1: an integer code, metadata where there is any."""
    error: dict[str, Any] = {"code": code, "message": message}
    return {"error": {**error, "metadata": metadata} if metadata else error}


def availability(http_status: int, code: str, message: str, retryable: bool) -> dict[str, Any]:
    """Shape 2: availability, without `code` at the top."""
    about = {"code": code, "retryable": retryable, "requested_models": ["x/anything"]}
    return {
        "error": {
            "message": message,
            "error_type": "not_found",
            "http_status": http_status,
            "availability": {**about, "docs_url": "https://example.invalid/errors"},
            "metadata": {"previous_errors": []},
        }
    }


PORTAL = """<!doctype html><html><head><title>Welcome to Hotel Wi-Fi</title></head>
<body><form action="/login"><h1>Sign in to use the network</h1></form></body></html>
"""
