"""What a provider is: one access path, as a value. Who differs from whom is all in here.

Built from `profiles/providers/*.yaml`; no field names a provider, so no code has to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from nemocli.core.faults import FaultKind
from nemocli.core.money import Price
from nemocli.core.request import Effort
from nemocli.core.value_class import value_class
from nemocli.core.values import Json, JsonObject

Layer = Literal["bundled", "user", "project"]
StructuredOutput = Literal["json_schema", "json_object", "none"]
ReasoningReturn = Literal["reasoning_content", "reasoning", "reasoning_details", "none"]


@value_class(frozen=True, slots=True)
class Auth:
    """How the key travels and where it is looked for.

    `env` are variables in the provider's own documentation's order, `header` and `scheme` how it is
    sent (`Authorization: Bearer KEY`), `key_prefix` what a right key begins with, `setup_url` where
    a person gets one, `check` the path of a free call that refuses a wrong key. `allow_http`
    permits the key on plain HTTP beyond loopback.
    """

    env: tuple[str, ...] = ()
    required: bool = True
    header: str = "Authorization"
    scheme: str = "Bearer"
    key_prefix: str | None = None
    setup_url: str | None = None
    check: str | None = None
    allow_http: bool = False


@value_class(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_byte_s` runs from the request to the first byte of the reply's body,
    `idle_s` between bytes (keep-alive comments count), `total_s` over the whole attempt."""

    connect_s: float = 10.0
    first_byte_s: float = 300.0
    idle_s: float = 120.0
    total_s: float = 3600.0

    def within(self, total_s: float | None) -> Timeouts:
        """These, with every phase bounded by a total the user gave."""
        if total_s is None:
            return self
        return Timeouts(
            min(self.connect_s, total_s),
            min(self.first_byte_s, total_s),
            min(self.idle_s, total_s),
            total_s,
        )


@value_class(frozen=True, slots=True)
class ProviderLimits:
    """What the provider allows, as far as anyone knows: starting points for flow control."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


@value_class(frozen=True, slots=True)
class ErrorRule:
    """A reply that means something particular here. All given conditions must hold.

    `match` is a regular expression searched in the body, ignoring case; `hint` may hold `{model}`.
    """

    kind: FaultKind
    status: int | None = None
    match: str | None = None
    message: str | None = None
    hint: str | None = None
    retry: bool | None = None
    retry_after_s: float | None = None


@value_class(frozen=True, slots=True)
class ReasoningWire:
    """How reasoning is spelt: `request` a body patch per effort, `fields` where its text arrives,
    `details` the provider's own list of items, `returns` the field in which earlier reasoning is
    handed back, `tags` whether `<think>` in the text is taken for reasoning."""

    request: Mapping[Effort, JsonObject] = field(default_factory=dict)
    fields: tuple[str, ...] = ("reasoning_content", "reasoning")
    details: str | None = None
    returns: ReasoningReturn = "none"
    tags: bool = True


@value_class(frozen=True, slots=True)
class UsageWire:
    """Where token counts and money are in a reply, as dotted paths.

    `disjoint` says input excludes the cache classes (Anthropic style). `cost` is the seller's
    figure in USD; `upstream_cost` is added to it when `byok` holds true (own key at the upstream).
    """

    input_tokens: str = "usage.prompt_tokens"
    cached_input_tokens: str = "usage.prompt_tokens_details.cached_tokens"
    cache_write_tokens: str = "usage.prompt_tokens_details.cache_write_tokens"
    output_tokens: str = "usage.completion_tokens"
    reasoning_tokens: str = "usage.completion_tokens_details.reasoning_tokens"
    disjoint: bool = False
    cost: str | None = None
    upstream_cost: str | None = None
    byok: str | None = None


@value_class(frozen=True, slots=True)
class Settlement:
    """Where the final cost of one reply can be asked for afterwards.

    `path` holds `{id}`; `fields` maps `cost`, `upstream`, `cancelled` and the five token classes to
    dotted paths in the answer. 404 means not written yet: asked `tries` times, `delay_s` apart.
    """

    path: str
    fields: Mapping[str, str]
    delay_s: float = 1.0
    tries: int = 4


@value_class(frozen=True, slots=True)
class Activity:
    """Where sums by day can be asked for, with a key of their own (`env`). `rows` is the dotted
    path of a list, `fields` maps `day`, `usd`, `upstream_usd` and `calls` into its items."""

    path: str
    env: tuple[str, ...]
    rows: str
    fields: Mapping[str, str]


@value_class(frozen=True, slots=True)
class Batches:
    """The provider's own batches: many calls handed over at once, answered within a day, for less.

    `kind` says how: `inline` in one JSON document with its results in the answer to a question
    after it, or as `files` that are uploaded and downloaded. `paths` are tried in order (`/x` from
    `base_url` on, `../x` beside its last part); `files` is where files go. `most_rows` and
    `most_bytes` bound one batch.
    """

    kind: Literal["inline", "files"]
    paths: tuple[str, ...] = ("/batches",)
    files: str = "/files"
    most_rows: int = 5000
    most_bytes: int = 100_000_000


@value_class(frozen=True, slots=True)
class Runtime:
    """A server that has to be started (`kind` names the mechanism) before it can be asked."""

    kind: Literal["llama_cpp", "command"]
    settings: JsonObject


@value_class(frozen=True, slots=True)
class Provider:
    """One access path. `base_url` has no trailing slash and may be empty when `runtime` finds it.

    `body` is a merge patch applied last, `drop` and `rename` act on body fields before it;
    `query` is merged into every URL; `ca` is a file of certificates (PEM) that are trusted here
    beside the system's; `queued` is where a call in a queue (202) is answered, with
    `{id}`. `lineage` are the names it extends, nearest first: model ids are inherited through it,
    keys and prices never. `discover` says model ids come from the server itself; `lists_prices`
    that its listing has prices, and `paths` may name `endpoints`, the hosts of one model.
    `leaves_machine` is a suffix of model ids for which a local address is only a door to somewhere
    else.
    """

    name: str
    dialect: str
    base_url: str
    title: str = ""
    docs: str = ""
    local: bool = False
    auth: Auth = Auth()
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    ca: str | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    body: JsonObject = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    streaming: bool = True
    sampling_defaults: bool = True
    structured_output: StructuredOutput = "json_schema"
    reasoning: ReasoningWire = ReasoningWire()
    usage: UsageWire = UsageWire()
    upstream: str | None = None
    queued: str | None = None
    free: bool = False
    settlement: Settlement | None = None
    activity: Activity | None = None
    batches: Batches | None = None
    lists_prices: bool = False
    errors: tuple[ErrorRule, ...] = ()
    limits: ProviderLimits = ProviderLimits()
    timeouts: Timeouts = Timeouts()
    models: Mapping[str, str] = field(default_factory=dict)
    default_model: str | None = None
    discover: bool = False
    leaves_machine: str | None = None
    prices: tuple[Price, ...] = ()
    runtime: Runtime | None = None
    start_hint: str | None = None
    lineage: tuple[str, ...] = ()
    layer: Layer = "bundled"
    file: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a stored key is bound to."""
        return origin_of(self.base_url)

    def url(self, what: str) -> str:
        """The full URL of an endpoint (`chat`, `responses`, `models`)."""
        return self.base_url + self.path(what)

    def path(self, what: str) -> str:
        """An endpoint's path, from the base URL on."""
        return self.paths.get(what, PATHS[what])

    def url_with_query(self, url: str) -> str:
        """A URL of this provider with the parameters of `query`, which replace those of the same
        name."""
        if not self.query:
            return url
        parts = urlsplit(url)
        own = [
            (k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in self.query
        ]
        query = urlencode([*own, *self.query.items()])
        return urlunsplit(parts._replace(query=query))


PATHS: Mapping[str, str] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "models": "/models",
}

_PORTS = {"http": 80, "https": 443}


@lru_cache(256)
def origin_of(url: str) -> str:
    """`https://host:port` in lower case with the port always said; empty for no URL."""
    parts = urlsplit(url)
    if not parts.hostname:
        return ""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


@lru_cache(256)
def loopback(url: str) -> bool:
    """Whether the address never leaves this machine: localhost, 127.0.0.0/8 or ::1."""
    host = (urlsplit(url).hostname or "").lower()
    if host in ("localhost", "::1"):
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(p.isdigit() for p in parts)


def plain(value: Json) -> Json:
    """A profile value as it goes on the wire: exact decimals become numbers."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value
