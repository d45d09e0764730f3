"""Listings of models, in the shapes that servers answer GET /models with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from nemocli.core.faults import Fault, FaultKind, NemoError
from nemocli.core.money import Tier
from nemocli.core.provider import StructuredOutput
from nemocli.core.text import one_line
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject, count, mappings
from nemocli.wire.complaint import read_body
from nemocli.wire.jsontext import mapping, parse, string, usd

_CONTEXT = ("context_length", "max_model_len", "max_context_length", "context_window")
_OUTPUT = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_MILLION = 10**6


@value_class(frozen=True, slots=True)
class Listed:
    """One model as its server lists it. None is not said; prices are USD per million tokens."""

    id: str
    context: int | None = None
    output_limit: int | None = None
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    tools: bool | None = None
    structured_output: StructuredOutput | None = None
    owned_by: str | None = None
    cached_input_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    reasoning_usd: Decimal | None = None
    request_usd: Decimal | None = None
    tiers: tuple[Tier, ...] = ()


def hosts(body: bytes) -> tuple[Listed, ...]:
    """The hosts of one model that are up, cheapest first, each under its own name: OpenRouter's
    `/models/AUTHOR/SLUG/endpoints` (openapi.yaml, 2026-08-22; USD per token as strings, `status`
    below 0 is down). Raises NemoError (protocol) for anything else."""
    try:
        value = parse(body.decode("utf-8", "replace"))
    except ValueError:
        raise _no_listing(body) from None
    rows = mapping(mapping(value).get("data")).get("endpoints")
    if not isinstance(rows, list):
        raise _no_listing(body)
    found = []
    for row in mappings(rows):
        name = string(row.get("tag")) or string(row.get("provider_name"))
        down = (state := row.get("status")) is not None and not isinstance(state, bool)
        if name is None or one_line(name) != name or (down and str(state).startswith("-")):
            continue
        found.append(_plain(name, row))
    dear = Decimal(10**12)
    return tuple(sorted(found, key=lambda h: (h.output_usd or dear, h.input_usd or dear)))


def listing(body: bytes) -> tuple[Listed, ...]:
    """The models in a listing, each id once, in its order. Raises NemoError (protocol) for a body
    that is none.

    Shapes: OpenAI (`data[]`), OpenRouter (USD per token as strings; openapi.yaml, 2026-08-22), the
    Hugging Face router (`providers[]`, USD per million; hub-docs, 2026-08), vLLM (`max_model_len`),
    LM Studio, llama.cpp and Ollama (`models[]`), DeepInfra (`metadata`), bare lists.
    """
    try:
        value = parse(body.decode("utf-8", "replace").lstrip("\ufeff"))
    except ValueError:
        raise _no_listing(body) from None
    rows = _rows(value)
    if rows is None:
        raise _no_listing(body)
    found: dict[str, Listed] = {}
    for row in rows:
        for model in _models(row):
            found.setdefault(model.id, model)
    if rows and not found:
        raise _no_listing(body)
    return tuple(found.values())


def _rows(value: Json) -> list[Json] | None:
    if isinstance(value, list):
        return value
    for name in ("data", "models"):
        rows = mapping(value).get(name)
        if isinstance(rows, list):
            return rows
    return None


def _models(row: Json) -> Iterator[Listed]:
    if isinstance(row, str):
        row = {"id": row}
    data = mapping(row)
    name = string(data.get("id")) or string(data.get("model")) or string(data.get("name"))
    if name is None or one_line(name) != name:
        return  # not an id: nobody could type it, and no terminal should see it
    hosts = [h for h in mappings(data.get("providers")) if h.get("status", "live") == "live"]
    offers = [_hosted(f"{name}:{host}", h) for h in hosts if (host := string(h.get("provider")))]
    own = _plain(name, data)
    yield _over_hosts(own, offers) if offers else own
    yield from offers


def _plain(name: str, data: JsonObject) -> Listed:
    about = mapping(data.get("metadata"))
    top = mapping(data.get("top_provider"))
    meta = mapping(data.get("meta"))
    context = _first(data, _CONTEXT) or _first(about, _CONTEXT) or count(meta.get("n_ctx_train"))
    pricing = mapping(data.get("pricing")) or mapping(about.get("pricing"))
    parameters = data.get("supported_parameters")
    known = isinstance(parameters, list)
    return Listed(
        name,
        context or None,
        _first(top, _OUTPUT) or _first(data, _OUTPUT) or _first(about, _OUTPUT),
        _price(pricing, "prompt", "input", "input_tokens"),
        _price(pricing, "completion", "output", "output_tokens"),
        "tools" in parameters if isinstance(parameters, list) else None,
        _structured(parameters) if known and isinstance(parameters, list) else None,
        string(data.get("owned_by")),
        _price(pricing, "input_cache_read", "cached_input", "cache_read", "cache_read_tokens"),
        _price(pricing, "input_cache_write", "cache_write"),
        _price(pricing, "internal_reasoning", "reasoning"),
        (usd(pricing.get("request")) or None) if "prompt" in pricing else None,
        _tiers(pricing),
    )


def _hosted(name: str, host: JsonObject) -> Listed:
    pricing = mapping(host.get("pricing"))
    tools, structured = host.get("supports_tools"), host.get("supports_structured_output")
    return Listed(
        name,
        count(host.get("context_length")) or None,
        None,
        usd(pricing.get("input")),
        usd(pricing.get("output")),
        tools if isinstance(tools, bool) else None,
        ("json_schema" if structured else "none") if isinstance(structured, bool) else None,
        string(host.get("provider")),
        usd(pricing.get("cached_input")),
    )


def _over_hosts(own: Listed, hosts: list[Listed]) -> Listed:
    """The model under its own name, where the router chooses: what all hosts agree on."""
    first = hosts[0]
    same = all((h.input_usd, h.output_usd) == (first.input_usd, first.output_usd) for h in hosts)
    contexts = [h.context for h in hosts if h.context is not None]
    return replace(
        own,
        context=own.context or min(contexts, default=None),
        input_usd=first.input_usd if same else None,
        output_usd=first.output_usd if same else None,
        tools=first.tools if all(h.tools == first.tools for h in hosts) else None,
    )


def _first(data: JsonObject, names: tuple[str, ...]) -> int | None:
    return next((n for name in names if (n := count(data.get(name)))), None)


def _price(pricing: JsonObject, per_token: str, *per_million: str) -> Decimal | None:
    """The field names tell the unit: OpenRouter's are per token, everyone else's per million."""
    if (price := usd(pricing.get(per_token))) is not None:
        return (price * _MILLION).normalize() + 0
    return next((p for name in per_million if (p := usd(pricing.get(name))) is not None), None)


def _tiers(pricing: JsonObject) -> tuple[Tier, ...]:
    """OpenRouter's `overrides` for long prompts; those for hours of the day are passed over."""
    found = []
    for row in mappings(pricing.get("overrides")):
        above = count(row.get("min_prompt_tokens"))
        given, made = _price(row, "prompt"), _price(row, "completion")
        if above and given is not None and made is not None and "utc_start" not in row:
            found.append(Tier(above - 1 or 1, given, made, _price(row, "input_cache_read")))
    return tuple(found)


def _structured(parameters: list[Json]) -> StructuredOutput:
    if "structured_outputs" in parameters:
        return "json_schema"
    return "json_object" if "response_format" in parameters else "none"


def _no_listing(body: bytes) -> NemoError:
    said = read_body(body)
    if said.page:
        what = "a web page"
    else:
        what = f"`{one_line(said.message, 120)}`" if said.message else "something else"
    return NemoError(
        Fault(
            FaultKind.PROTOCOL,
            f"the server was asked for its models and answered with {what}",
            "check `base_url` in the provider's file and any proxy on the way",
        )
    )
