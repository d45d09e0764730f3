"""Help topics, written from the same tables the program runs on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nemocli.cli.terminal.tables import facts, table
from nemocli.core.faults import EXIT, ExitCode, NemoError

if TYPE_CHECKING:
    from nemocli.cli.context import Setup
    from nemocli.core.plan import Catalogue
    from nemocli.core.provider import Provider

MEANING = {
    ExitCode.OK: "complete",
    ExitCode.UNEXPECTED: "unexpected fault (a bug)",
    ExitCode.USAGE: "usage, or the provider refused the request",
    ExitCode.CONFIG: "configuration or an input file is invalid",
    ExitCode.AUTH: "authentication",
    ExitCode.UNAVAILABLE: "model or provider unavailable",
    ExitCode.RATE: "rate limit or quota",
    ExitCode.NETWORK: "network, TLS, timeout",
    ExitCode.INCOMPLETE: "answer incomplete: cut, token limit, no answer, schema not met",
    ExitCode.BUDGET: "budget refused or reached",
    ExitCode.BATCH_FAILURES: "batch finished with failed rows",
    ExitCode.EVAL_REJECT: "evaluation gate not met (REJECT)",
    ExitCode.EVAL_MARGINAL: "evaluation inconclusive (MARGINAL)",
    ExitCode.EVAL_INVALID: "evaluation INVALID",
    ExitCode.INTERRUPTED: "interrupted",
}


def exit_codes(setup: Setup) -> str:
    """Each code, its meaning, and the `code` strings of `--json` that lead to it."""
    rows = []
    for code in ExitCode:
        kinds = ", ".join(str(kind) for kind, exit_code in EXIT.items() if exit_code is code)
        rows.append((str(int(code)), MEANING[code], kinds or "-"))
    head = "A retry or fallback that recovered exits 0. A closed pipe ends quietly (141).\n\n"
    return head + _text(table(("CODE", "MEANING", "`code` IN --json"), rows, None))


def environment(setup: Setup) -> str:
    """Every variable that is read."""
    from nemocli.core.settings import SETTINGS

    rows = [
        ("NEMOCLI_HOME", "one folder for everything: settings, ledger, keys, caches"),
        ("NEMOCLI_KEY_<PROVIDER>", "a key, after the provider's own variable"),
        ("NEMOCLI_SERVE_TOKEN", "the token that clients of `serve` must show"),
        ("NEMOCLI_RETRY_BASE_S", "seconds before the first retry (0.5)"),
        *((s.env or "", s.help) for s in SETTINGS if s.env),
        ("NO_COLOR, FORCE_COLOR", "colour off, on; `--color` wins over both"),
        ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "proxies; never used for this machine"),
        ("SSL_CERT_FILE, SSL_CERT_DIR", "certificates besides the system's"),
        ("HF_ENDPOINT", "a mirror of the Hugging Face Hub"),
        ("XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_CACHE_HOME", "folders"),
    ]
    keys = [
        (", ".join(p.auth.env), f"key of {p.name}{_where(p)}")
        for p in _catalogue(setup).providers.values()
        if p.auth.env
    ]
    return _text(table(("VARIABLE", "WHAT IT IS"), [*rows, *keys], None))


def _where(provider: Provider) -> str:
    return f", {provider.auth.setup_url}" if provider.auth.setup_url else ""


def _catalogue(setup: Setup) -> Catalogue:
    """The user's; what is shipped where the settings that lead there are broken: help must help."""
    from nemocli.io.profiles.catalogue import ProfileFolders, catalogue, profiles_folder

    try:
        return setup.catalogue
    except NemoError:
        return catalogue(ProfileFolders(profiles_folder())).catalogue


def formats(setup: Setup) -> str:
    """What programs can rely on."""
    from nemocli.cli.ask.answer_json import SCHEMA

    paths = setup.paths
    places = [
        ("settings", str(paths.config_file)),
        ("profiles", str(paths.profiles)),
        ("ledger", str(paths.ledger)),
        ("keys", f"{paths.keys_file} (where there is no keyring)"),
        ("caches", str(paths.cache)),
    ]
    files = "\n".join(f"  {line}" for line in facts(places))
    return f"""\
`ask --json` prints one object, `{SCHEMA}`:

  schema, id            which format, which run
  text, reasoning       the answer and what the model thought, as they came
  tool_calls, citations lists of {{id, name, arguments}} and {{url, title}}
  status                complete, truncated, interrupted, error
  finish_reason         stop, length, tool_calls, content_filter, or null; finish_reason_raw is
                        the server's own word
  warnings              [{{code, message}}]: leaked_tool_call, reasoning_as_answer,
                        unknown_finish_reason; null for notes of this program
  provider, upstream    who was asked, and whom an aggregator chose
  model, requested_model, served_model
  usage                 input_tokens, cached_input_tokens and cache_write_tokens (inside input),
                        output_tokens, reasoning_tokens (inside output), source: reported or
                        estimated
  cost                  usd and list_usd (decimal strings, or null where unknown), source:
                        reported, reconciled, table, override, gpu_hours, free, unknown; price_id
  timing                ttft_s, total_s
  attempts              [{{provider, status, http_status, error}}], every HTTP attempt
  session               null without one

`ask --jsonl` prints a line an event, {{"type", "seq", ...}}: started, text, reasoning, tool_call,
citation, usage, retrying; and closes with `done` or `error`.

A failure with --json is the last line of stderr:
  {{"error": {{"code", "exit_code", "message", "hint", "provider", "retryable"}}}}
  and where they are known http_status, retry_after_s and request_id

The ledger is an SQLite file: one row an HTTP attempt in `attempts`, what sellers said afterwards in
`settlements`; money in whole pico-dollars (10^-12 USD), NULL is unknown.

Files, readable by you alone (`nemocli config path` says more):
{files}

Fields are only ever added.
"""


def providers(setup: Setup) -> str:
    """How a path is chosen."""
    return """\
Without `-p` the order you set is used (`nemocli providers order`); else the first provider that has
a key or a live server on this machine and serves the model; else the model inside this program.

`-p` may be repeated: the next is asked when one is unavailable, refuses the key, or is at its
limit, never after the first word of an answer. `--no-fallback` keeps to the first.

`-m` takes a card's name (nemotron-3-ultra), an alias (ultra), a card with a variant
(nemotron-3-ultra:free), or a provider's own id, which is passed on as it is.

A provider of your own is a file in the profiles folder (`nemocli config path`), or
`nemocli providers add NAME --base-url URL`; its schema is `nemocli config schema provider`.
"""


def streams(setup: Setup) -> str:
    """What goes where."""
    return """\
stdout has the answer or the data, nothing else. Receipts, notes, progress, reasoning and failures
go to stderr. A pipe gets text byte for byte; a terminal gets it without escape sequences, bidi
overrides and other characters that would drive it.

In a pipe whole lines are written, so that programs side by side (`xargs -P`) do not mix theirs; a
line in which the model pauses is shown as far as it came.

stdin is read to its end when there is no prompt, when `-` is given, when it is a file, and when a
pipe begins within 5 s; one that stays silent longer is left, with a note. `-n` leaves it alone.
"""


def scripting(setup: Setup) -> str:
    """`ask` in loops, pipes and cron."""
    return """\
A loop that reads a file owns stdin: without `-n` the first call would take the rest of the file.

  while read -r line; do nemocli ask -n "Translate: $line"; done < lines.txt

A few at once; each answer's lines stay together. For many use `nemocli batch run`.

  xargs -P4 -I@ nemocli ask -n "Translate: @" < lines.txt

A pipe and a prompt are combined, however late the pipe begins (up to 5 s; with `-` for ever):

  git diff | nemocli ask "Write a commit message."

The exit code is 0 only for a complete answer (`nemocli help exit-codes`): let pipes pass it on.

  set -o pipefail
  nemocli ask -q --json "hello" | jq -r .text || echo "no whole answer: $?"

cron has no terminal, no HOME in some places, and an open stdin:

  NEMOCLI_HOME=/srv/nemo nemocli ask -n -q --max-cost 0.05 "hello" >> log 2>&1
"""


TOPICS: dict[str, Callable[[Setup], str]] = {
    "exit-codes": exit_codes,
    "environment": environment,
    "formats": formats,
    "providers": providers,
    "streams": streams,
    "scripting": scripting,
}


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
