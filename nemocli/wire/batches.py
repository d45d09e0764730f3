"""A provider's own batches: how they are handed over, and what is said of them afterwards.

Inline: `{endpoint, model, requests}` to one address, results in the object of the batch
(openrouter.ai/docs/guides/features/batch-api, 2026-08; its client 1.3.84). Files: an upload, a
batch that names it, and files of results (perplexityai 0.46.1, resources/batches.py and files.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject, count, dig
from nemocli.wire.bulk import dumps, loads
from nemocli.wire.jsontext import string

ENDPOINTS = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}
OVER = frozenset({"completed", "failed", "expired", "cancelled"})
GONE = 410
"""Its results were kept for a while, and no longer are."""


@value_class(frozen=True, slots=True)
class Handed:
    """A batch as its provider tells of it. `results` are files of lines, or None; `inline` the
    items themselves."""

    id: str
    status: str
    total: int | None = None
    completed: int | None = None
    failed: int | None = None
    results: tuple[str, ...] = ()
    inline: tuple[JsonObject, ...] = ()
    mark: str | None = None
    created_at: float | None = None
    error: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in OVER


@value_class(frozen=True, slots=True)
class Item:
    """The answer to one request of a batch: the status of its call, and its body; `error` where
    there is none."""

    custom_id: str
    status: int | None
    request_id: str | None
    body: JsonObject | None
    error: tuple[str, str] | None


def inline_body(endpoint: str, model: str, items: Iterable[tuple[str, JsonObject]]) -> bytes:
    """The document of a batch. Its reader works as it comes: what says how to read the requests
    stands before them."""
    requests = b",".join(b'{"custom_id":%b,"body":%b}' % (dumps(n), dumps(b)) for n, b in items)
    return b'{"endpoint":%b,"model":%b,"completion_window":"24h","requests":[%b]}' % (
        dumps(endpoint),
        dumps(model),
        requests,
    )


def file_body(endpoint: str, items: Iterable[tuple[str, JsonObject]]) -> bytes:
    """The lines of an input file."""
    return b"".join(
        dumps({"custom_id": n, "method": "POST", "url": endpoint, "body": b}) + b"\n"
        for n, b in items
    )


def upload(data: bytes, boundary: str) -> tuple[str, bytes]:
    """Content type and body of a form with a file for a batch; `boundary` is nowhere in it."""
    line = f"--{boundary}\r\n"
    head = (
        f'{line}content-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'{line}content-disposition: form-data; name="file"; filename="batch.jsonl"\r\n'
        "content-type: application/jsonl\r\n\r\n"
    )
    body = b"%b%b\r\n--%b--\r\n" % (head.encode(), data, boundary.encode())
    return f"multipart/form-data; boundary={boundary}", body


def file_batch(endpoint: str, file_id: str, mark: str) -> bytes:
    """What asks for a batch of an uploaded file; `mark` is how to know it again."""
    return dumps(
        {
            "endpoint": endpoint,
            "input_file_id": file_id,
            "completion_window": "24h",
            "metadata": {"nemocli": mark},
        }
    )


def batch_from(said: Json) -> Handed:
    """The object of a batch. Raises ValueError where it is none."""
    if not isinstance(said, dict) or not isinstance(said.get("id"), str):
        raise ValueError("not a batch: it has no id")
    results = said.get("results")
    counts = said.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    files = [string(said.get(name)) for name in ("output_file_id", "error_file_id")]
    inline = results if isinstance(results, list) else []
    created = said.get("created_at")
    return Handed(
        str(said["id"]),
        string(said.get("status")) or "unknown",
        count(counts.get("total")),
        count(counts.get("completed")),
        count(counts.get("failed")),
        tuple(f for f in files if f),
        tuple(item for item in inline if isinstance(item, dict)),
        string(dig(said, "metadata.nemocli")),
        float(created) if isinstance(created, int | float) else None,
        _error(said.get("error") or said.get("errors")),
    )


def batches_from(said: Json) -> list[Handed]:
    """The batches of a listing, newest first. Raises ValueError."""
    rows = said.get("data") if isinstance(said, dict) else said
    if not isinstance(rows, list):
        raise ValueError("not a listing of batches")
    return [batch_from(row) for row in rows]


def file_id(said: Json) -> str:
    """The name of an uploaded file. Raises ValueError."""
    name = string(said.get("id")) if isinstance(said, dict) else None
    if not name:
        raise ValueError("not a file: it has no id")
    return name


def items_in(lines: bytes) -> list[JsonObject]:
    """The results of a file. Raises ValueError."""
    found = [loads(line) for line in lines.splitlines() if line.strip()]
    return [item for item in found if isinstance(item, dict)]


def item_of(said: JsonObject) -> Item:
    """One result. Raises ValueError where nothing says whose it is."""
    name = said.get("custom_id")
    if not isinstance(name, str):
        raise ValueError("a result without custom_id")
    response = said.get("response")
    response = response if isinstance(response, dict) else {}
    body = response.get("body")
    error = _error(said.get("error"))
    return Item(
        name,
        count(response.get("status_code")),
        string(response.get("request_id")),
        body if isinstance(body, dict) else None,
        None if error is None else (_code(said.get("error")), error),
    )


def _code(said: Json) -> str:
    code = said.get("code") if isinstance(said, dict) else None
    return str(code) if isinstance(code, str | int) and code != "" else "batch_failed"


def _error(said: Json) -> str | None:
    """Whatever shape it has, as one text."""
    if said in (None, "", [], {}):
        return None
    if isinstance(said, dict):
        rows: Sequence[Json] = said["data"] if isinstance(said.get("data"), list) else [said]
    else:
        rows = said if isinstance(said, list) else [said]
    texts = [string(r.get("message")) if isinstance(r, dict) else str(r) for r in rows]
    return "; ".join(t for t in texts[:3] if t) or "no reason is given"
