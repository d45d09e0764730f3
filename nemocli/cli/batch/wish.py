"""The command line of `batch run`, `estimate` and `retry`."""

from __future__ import annotations

from nemocli.core.value_class import value_class


@value_class(frozen=True, slots=True)
class BatchOptions:
    """The command line of `batch run`."""

    inputs: tuple[str, ...]
    out: str
    providers: tuple[str, ...] = ()
    model: str | None = None
    system: str | None = None
    template: str | None = None
    jinja: bool = False
    form: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    options: tuple[str, ...] = ()
    reasoning: str | None = None
    max_tokens: int | None = None
    timeout: str | None = None
    max_cost: str | None = None
    schema: str | None = None
    repairs: int = 1
    jobs: int | None = None
    rpm: float | None = None
    tpm: float | None = None
    spread: str | None = None
    weights: tuple[str, ...] = ()
    tries: int = 4
    order: str = "completion"
    shard: str | None = None
    restart: bool = False
    fail_fast: bool = False
    progress: str = "auto"
    tags: tuple[str, ...] = ()
    cache: bool = False
    cache_any: bool = False
    dedupe: bool = False
    fresh_connections: bool = False
    remote: bool = False
    engine: str = "local"
    actors: int = 2
    json: bool = False
