"""nemocli: one command for every path to NVIDIA Nemotron 3 Ultra.

The map of the house: floors, top first, each with its rooms; imports point down only.

nemocli/ The doors.
  __main__                     `nemocli` and `python -m nemocli`: three answers need no program
  complete                     Shell completion, answered without the program
  version                      The version, written here so that nothing has to be looked up at star

cli/ THE FACE: parses, composes the World once, draws.
  cli/app                      The program: options for every command
  cli/choice                   Which paths a call takes when nobody said, and in which order
  cli/commands                 Every command in one table: what `--help` lists
  cli/context                  What every command may need, each part made when it is first asked fo
  cli/downloads                How a fetch is shown: a line, and on a terminal a bar
  cli/event_loop               One event loop for one command, stopped by the signals that mean stop
  cli/late_commands            Commands below a command
  cli/options                  Options that several commands share, spelt once
  cli/request_options          What commands that ask have in common: their options as settings
  cli/world                    The composition root: the one place that puts real parts into the por

cli/ask/ `nemocli ask`: from what was typed to one answer, drawn.
  cli/ask/answer_json          `nemocli.answer/1` and the events of `--jsonl`
  cli/ask/command              `nemocli ask`: one answer, scriptable
  cli/ask/compare              `ask --compare`
  cli/ask/job                  What `ask` was told
  cli/ask/receipt              One line after an answer: who, what, how long, how much
  cli/ask/render               An answer as it is shown: text for people
  cli/ask/run                  From what was typed to a plan and a request
  cli/ask/spinner              A line that says what is being waited for

cli/batch/ `nemocli batch`: from a command line to very many calls, and their results for people.
  cli/batch/command            `nemocli batch`: scripted calls at scale
  cli/batch/estimate           `batch estimate` and `batch run --dry-run`: what a job will come to
  cli/batch/jobs               `batch status` and `ls`: what becomes of jobs after they were started
  cli/batch/plan               What a command line comes to
  cli/batch/progress           A job as it is shown: a line on a terminal
  cli/batch/ray                `batch run --engine ray`: the same shares as `--shard`
  cli/batch/remote             `batch run --remote`: rows handed to a provider's own batches
  cli/batch/results            `batch show`: results for people, and as tables for other programs
  cli/batch/retry              `batch retry` and `merge`: rows asked once more, and outputs joined
  cli/batch/run                From a plan to its rows, and from their end to an exit code
  cli/batch/table              Results as a table beside their input
  cli/batch/wish               The command line of `batch run`
  cli/batch/work               What a batch needs before its first row and after its last

cli/chat/ `nemocli chat`: a conversation in the terminal.
  cli/chat/command             `nemocli chat`
  cli/chat/commands            What the slash commands of a chat do
  cli/chat/compact             `/compact`
  cli/chat/compare             `chat --compare`
  cli/chat/input               The line one types into
  cli/chat/options             From what was typed to how a conversation is asked
  cli/chat/render              An answer on the terminal
  cli/chat/run                 `nemocli chat`
  cli/chat/talk                One chat
  cli/chat/tools               Tools in a chat

cli/cost/ `nemocli cost`: what calls cost, caps on it, prices, and exports.
  cli/cost/budget              `nemocli cost budget`: caps on spending, checked before each call
  cli/cost/command             `nemocli cost`: what calls came to, and how that is known
  cli/cost/explain             `nemocli cost explain`: one call, or every attempt of a run
  cli/cost/export              The ledger for other programs, and less of it
  cli/cost/gpu                 `nemocli cost gpu`: GPUs of one's own by the hour
  cli/cost/price_rows          Price rows: shown, refreshed, and set by hand
  cli/cost/prices              `nemocli cost prices`: what tokens cost, since when, and who says so
  cli/cost/reconcile           What sellers say afterwards, and what other prices would have come to
  cli/cost/statusline          The line for a shell prompt, which is asked for at every one
  cli/cost/summary             Views of what calls cost: tables, a line for prompts, a page
  cli/cost/what_if             `nemocli cost what-if`: what this traffic would take elsewhere

cli/eval/ `nemocli eval`: should this model be adopted? Suites, runs, verdicts.
  cli/eval/command             `nemocli eval`
  cli/eval/decide              What a run says
  cli/eval/exchange            `eval export` and `import`
  cli/eval/fit                 `nemocli fit`
  cli/eval/options             From what was typed to arms
  cli/eval/outside_command     `nemocli eval` and the world outside
  cli/eval/public              `eval suite`
  cli/eval/record              `eval record`
  cli/eval/run                 `eval run`
  cli/eval/selfcheck           `eval selfcheck`
  cli/eval/stages              `eval day1`
  cli/eval/suites              `eval init` and `lint`
  cli/eval/week2               `eval week2`

cli/help/ `nemocli help`: the words of `--help`, and topics that do not fit under one command.
  cli/help/command             `nemocli help`: what does not fit under one command
  cli/help/text                The words of `nemocli` alone and of `nemocli --help`
  cli/help/topics              Help topics, written from the same tables the program runs on

cli/nim/ `nemocli nim`: a local NIM, from GPUs to an endpoint.
  cli/nim/bench                `nim bench`
  cli/nim/command              `nemocli nim`
  cli/nim/containers           `nim up`
  cli/nim/doctor               `nim doctor`
  cli/nim/plan                 `nim plan`
  cli/nim/workload             What a bench asks

cli/providers/ `nemocli providers`, `models` and `auth`: the paths, what is known of them, and their
  cli/providers/auth           `nemocli auth`: keys, from where and to where
  cli/providers/listings       What providers list right now, as rows
  cli/providers/model_facts    What is known of models, as rows: for tables, for `--json`, for peopl
  cli/providers/models         `nemocli models`: which there are, who serves them
  cli/providers/probe          Tiny real calls that tell whether a path works and what a model there
  cli/providers/probe_report   What tiny real calls showed of a model: the facts, and how they are d
  cli/providers/provider_facts What is known of providers, as rows: for tables, for `--json`, for pe
  cli/providers/providers      `nemocli providers`: the paths to a model, which of them are ready

cli/serve/ `nemocli serve` and `nemocli launch`.
  cli/serve/command            `nemocli serve`
  cli/serve/kept               Recorded exchanges as kept conversations
  cli/serve/launch             `nemocli launch`
  cli/serve/run                From what was typed to a gateway that listens
  cli/serve/start              A coding agent

cli/sessions/ `nemocli sessions`: conversations that are kept, listed, read, searched, exported, rem
  cli/sessions/command         `nemocli sessions`
  cli/sessions/show            Kept conversations as tables

cli/setup/ `nemocli config`, `doctor`, `completion` and `version`: this installation.
  cli/setup/check              One thing that `doctor` looked at
  cli/setup/checks             What `doctor` looks at: each check one line
  cli/setup/completion         `nemocli completion`: the shell's side of completion
  cli/setup/completion_scripts Generates what is in `completions/`
  cli/setup/config             `nemocli config`: settings, where each comes from
  cli/setup/doctor             `nemocli doctor`: one look at everything an answer depends on
  cli/setup/man_pages          Generates `man/`
  cli/setup/reach              Whether providers can be reached, and what their clocks say of ours
  cli/setup/validate           What `config validate` looks at: every file that can be wrong
  cli/setup/version            `nemocli version`: which program this is, and where

cli/terminal/ The terminal: the only writers to stdout and stderr, and plain tables.
  cli/terminal/diagnostics     The only writer to stderr: what happened, to whom, and what to type n
  cli/terminal/output          The only writer to stdout: the answer or the data, and nothing else
  cli/terminal/secret          A secret that is typed or pasted
  cli/terminal/side_by_side    Several answers beside one another
  cli/terminal/streams         What the three standard streams are: terminals or not, coloured or no
  cli/terminal/tables          Plain tables: aligned columns, cut only where a terminal would wrap t

cli/weights/ `nemocli weights`: plan, pull, verify, move and remove repositories of weights.
  cli/weights/command          `nemocli weights`: repositories of weights, planned, pulled
  cli/weights/held             The names of models whose weights another program keeps
  cli/weights/manage           `nemocli weights status`, `ls` and `rm`: what is here, and what is to
  cli/weights/pinned           Pinned weights, brought by the same engine as whole repositories
  cli/weights/plan             `nemocli weights plan`: two requests, a look at the disk
  cli/weights/program          `nemocli weights plan|pull PROVIDER:MODEL/QUANT`
  cli/weights/progress         A pull as it is shown: bars on a terminal, quiet lines in a log
  cli/weights/pull             `nemocli weights pull`: wait for the others, pull
  cli/weights/session          What the weights commands share: the endpoint, the token, the target
  cli/weights/transfer         `nemocli weights export` and `import`: across an air gap
  cli/weights/verify           `nemocli weights verify`: read it all, name what is bad

io/ THE WORLD: one resource and one third-party package per module; fills the ports.
  io/attachments               Files and folders that go along with a message
  io/clipboard                 The clipboard
  io/clock                     The machine's clock and chance
  io/editor                    The user's editor on a text of ours
  io/event_loop                An event loop for very many calls at once, where one is installed
  io/files                     Private files: written whole or not at all, one writer at a time
  io/json_schema               JSON Schema: what `--schema` was given
  io/keyboard                  The keyboard while nobody is asked
  io/liveness                  Which process made a promise, and whether it still lives
  io/mcp                       Tools of MCP servers
  io/paths                     Where things are kept on this machine
  io/process                   Programs of others, run without a shell
  io/programs                  Programs of others: where they lie, where they start
  io/settings                  Settings from the command line, the environment
  io/sqlite                    SQLite files that are private
  io/stdin                     What is piped in and what is attached: text, whole
  io/text                      What is text
  io/threads                   Blocking work beside the event loop
  io/yaml                      YAML without surprises: words stay words, numbers are exact

io/batch/ A batch job on the disk: inputs, output, index, spool, and the process that writes.
  io/batch/answer_cache        Answers kept by what was asked: one SQLite file
  io/batch/count               How many rows the files of a job hold
  io/batch/encoding            What a file of rows is written in
  io/batch/files               The files a job grows: one that is only added to
  io/batch/in_flight           Which attempts are on record, and which of them were sent
  io/batch/index               Which rows of a job are over: 24 bytes a row in one file
  io/batch/inputs              Rows out of files and pipes, one at a time: JSONL, CSV, TSV
  io/batch/jinja               Templates in Jinja2, where it is installed. They are the user's own
  io/batch/job                 A job on the disk: its files, who works on it
  io/batch/join                Outputs of shares joined into one
  io/batch/lines               The lines of an output file, whole ones only
  io/batch/parquet             Parquet, where pyarrow is installed: rows in, a table out
  io/batch/pipe                Records out of a pipe, read by a thread
  io/batch/ray_pool            Shares of a job in actors of a Ray cluster
  io/batch/results             Where rows end up, for an event loop
  io/batch/spool               Lines on their way to the writer
  io/batch/writer              The files of a job, brought forward a group at a time: output, errors
  io/batch/writer_process      A keeper in a process of its own

io/eval/ Suites and runs of evaluations on the disk.
  io/eval/bfcl                 BFCL's multi-turn tasks
  io/eval/bfcl_child           BFCL's simulated machines
  io/eval/machine              The machine of an attempt
  io/eval/runs                 A run on the disk
  io/eval/simulator            A benchmark's simulator in a process of its own
  io/eval/suite                A suite
  io/eval/tau2                 tau2-bench
  io/eval/tau2_child           tau2's simulated shops

io/http/ HTTP: one pooled client, one for very many calls, one for large files.
  io/http/connection           The connections to one address
  io/http/direct               HTTP straight to its server
  io/http/download_client      Large bodies over plain sockets, straight into a buffer: for files
  io/http/exchange             How far an exchange has come, how long it may still take
  io/http/general              HTTP by a general client
  io/http/http_log             What was said over HTTP
  io/http/proxy                The proxy of the environment that would serve one URL
  io/http/redirect             Where a redirect may be followed to
  io/http/trust                Whom TLS trusts here

io/keys/ Keys: the environment, the keyring, a command or a private file.
  io/keys/command              Commands that print a key
  io/keys/keyfile              Two small private files: the keys of those without a keyring
  io/keys/oskeyring            The operating system's keyring, which may be locked, absent
  io/keys/store                Keys: found in the environment, the keyring

io/ledger/ The ledger in SQLite: one append-only row per attempt, with its sums, budgets and leases.
  io/ledger/budgets            Budgets in the ledger: checked and held in the transaction that reser
  io/ledger/leases             Leases of GPUs in the ledger: begun, ended
  io/ledger/ledger             The ledger in SQLite: one append-only row per attempt
  io/ledger/maintenance        What is done to the whole book: valuations beside it
  io/ledger/rows               Ledger values to SQL and back: each statement with its values
  io/ledger/schema             The ledger's tables, as numbered migrations: a statement here is adde
  io/ledger/schema_v2          The ledger's second version: rollups, budgets, leases of GPUs
  io/ledger/sums               Sums of the ledger by SQL: rollups where they are exact

io/nim/ Containers of NIM through the engine's own program.
  io/nim/engine                A container engine through its own program

io/profiles/ Profile files: read, checked, layered, and cached.
  io/profiles/catalogue        Every provider and model card this user has
  io/profiles/check            What is wrong with a profile file, said so that its writer can mend i
  io/profiles/files            Profile files to layered mappings: read, check, cover, extend
  io/profiles/genai_prices     The dated table of the genai-prices package, where it is installed
  io/profiles/price_file       Prices that were refreshed or set by hand

io/serve/ The gateway as an HTTP server.
  io/serve/agents              The rows of coding agents
  io/serve/asgi                The little of ASGI that the gateway needs
  io/serve/call                One call through the gateway
  io/serve/gateway             The gateway as a bare ASGI application
  io/serve/keys                The file of those who may use a gateway
  io/serve/recorder            A recording on the disk
  io/serve/replay              A recording in the place of every path
  io/serve/server              uvicorn as a library
  io/serve/tap                 A transport that lets one call through the gateway see the bytes of i

io/servers/ Servers that must be started before they can be asked, and the weights they need.
  io/servers/command           Servers that another program starts and lists
  io/servers/fetch             Pinned weights, fetched once from the first source that has them
  io/servers/llama             The embedded engine: llama.cpp's server in this process
  io/servers/llama_child       The embedded engine
  io/servers/pinned            Pinned weights: what a file must be, and whether it is on this machin
  io/servers/servers           Servers that must be started before they can be asked

io/sessions/ Conversations in SQLite: every turn is on the disk as it happens.
  io/sessions/schema           The tables of conversations
  io/sessions/store            Conversations in SQLite

io/weights/ Files of weights on this machine, and the stores they come from.
  io/weights/find              Weights that are on this machine already, whoever brought them
  io/weights/folder            Files by their names, for a check or an export: of a plain folder
  io/weights/gpus              The GPUs of this machine, as the driver's own tool lists them
  io/weights/hub_token         The token that huggingface_hub would use: of the environment
  io/weights/part              Large files under way: their room taken at once, written at any place
  io/weights/state             What a pull remembers between runs: its journal, its status
  io/weights/store             Weights on this machine's disks: in the shared cache
  io/weights/transfer          Weights carried from machine to machine: a folder
  io/weights/xet               The Hub's chunk store through its own client, hf_xet 1.8; an extra

batch/ Scripted calls at scale: a million rows, killed twice, paid once.
  batch/attempt                One attempt at a row, and what follows from how it ended
  batch/estimate               What a job will come to, before it is started: tokens, money, time
  batch/lines                  Lines of the output: the OpenAI Batch shape
  batch/options                How a job is done, a row on its way through it, and the steps it may
  batch/ports                  The shapes of the outside that a job needs beyond the engine's
  batch/progress               How far a job has come: what is counted, and what it means for the re
  batch/remote                 Rows handed to a provider's own batches, and their answers fetched
  batch/remote_lines           The answers of a batch as output lines
  batch/report                 Output lines as people and tables read them
  batch/request                One row asked of one target: its body in that provider's words
  batch/reuse                  Answers that are known already: from an earlier job
  batch/rows                   From a record of the input to a row that can be asked
  batch/sampling               A few rows asked for what they tell about the rest
  batch/shard                  The rows of a job
  batch/source                 Records to rows, less those that are over
  batch/spec                   What every row of a job has in common, as far as it decides what is a
  batch/table                  Results beside the input they answer

cost/ What was spent: sums over the ledger, told in numbers and in words.
  cost/calls                   Calls as the ledger shows them: one attempt with its settlement appli
  cost/explain                 One call's cost: tokens times price, where every number comes from
  cost/export                  Every call, for other programs: JSON lines, CSV, FOCUS 1.2, OpenTelem
  cost/gpu                     A lease of GPUs among its calls, for people and scripts
  cost/leases                  GPUs of one's own by the hour: what a lease costs
  cost/page                    A page of what calls cost: whole in itself
  cost/prices                  Price rows as lines of a file, and doubts about new ones
  cost/reconciled              Differences between the ledger and what sellers, or other prices, say
  cost/reprice                 What an attempt would be booked at with the prices of another day
  cost/statusline              One line for a shell prompt
  cost/summary                 What calls came to, per provider and model
  cost/summary_data            A summary for scripts: one JSON object, or CSV
  cost/summary_lines           A summary for people: a table, what the total leaves out
  cost/what_if                 A period's traffic on every other path, and on GPUs of one's own

weights/ Weights that arrive whole: plan, pull, verify and move repositories of hundreds of gigabyte
  weights/adopt                Contents taken over from elsewhere on this machine
  weights/concurrency          Several jobs at once, of which the first failure ends all
  weights/digest               Whether bytes are the ones that were announced
  weights/hub                  The Hub's API: what a revision is
  weights/hub_layout           Where files lie: the shared cache as huggingface_hub writes it
  weights/journal              The journal of a repository: which segments are written
  weights/listing              A repository at one commit, as the Hub lists it
  weights/manifest             What a pulled repository is
  weights/names                Which repository a name means: `ORG/NAME` as it is
  weights/plan                 What a pull would do, and whether it can
  weights/ports                The shapes of the outside that a pull needs. io/ fills them
  weights/program              Weights that another program brings: the same plan and report
  weights/progress             How far a pull has come: for a bar, for a line a program reads
  weights/reports              Plans, pulls and checks as a program or a person reads them
  weights/repository           A repository of weights at one commit: its files
  weights/segments             A file as segments: what is there, what is missing
  weights/space                Whether there is room for everything, before the first byte is asked
  weights/status               What another process may know of a pull: whether it runs
  weights/survey               What of a repository is here already, by looking at names
  weights/verify               Whether files on a disk are what a manifest, or a listing, says

weights/pull/ Getting every byte of a repository: workers, files under way, one stretch at a time.
  weights/pull/assembly        One file under way: its bytes, and the digest that follows them
  weights/pull/bulk            Contents that another engine brings whole
  weights/pull/fetch           The workers of a pull: each takes files, then shares of files
  weights/pull/file_response   What an answer to a request for a file means
  weights/pull/options         What a pull is given: the outside, and how it is to be done
  weights/pull/pace            A cap on the rate, and hours of the day
  weights/pull/pull            A pull from beginning to end
  weights/pull/retry           After a failure: wait and go on, ask elsewhere, or give up
  weights/pull/stream          One stretch of one file

chat/ Conversations: turns, what is asked next, what is kept, and how it reads; no terminal in it.
  chat/blocks                  Markdown cut into blocks while it streams
  chat/conversation            A conversation as it goes on
  chat/ports                   What conversations need of the outside
  chat/session                 A conversation as a value
  chat/slash                   What a line that begins with a slash means
  chat/transcript              A conversation for reading and for scripts

nim/ A local NIM: which container on which GPUs, how it is started, what it says of itself.
  nim/arrivals                 Streams that are timed as they come and read afterwards
  nim/bench                    A server under load
  nim/bench_plot               A sweep as pictures
  nim/load                     Many requests at once against one path
  nim/manifest                 The same plan for engines that go beyond one command
  nim/metrics                  What `/v1/metrics` says
  nim/plan                     From a model
  nim/words                    What engines and containers say when it goes wrong

eval/ Whether a model should be adopted: tasks with state and tools, attempts, metrics, a verdict.
  eval/attempt                 One attempt at a task
  eval/backends                What carries out a tool of a task
  eval/expr                    Expressions of task files
  eval/grade                   What an attempt came to
  eval/inspect_log             Attempts as a log of Inspect (version 2 of its JSON)
  eval/judge                   One attempt judged from its events alone
  eval/lint                    What can be wrong with a task before a model sees it
  eval/machine                 Tools of a task that are no data
  eval/metrics                 What the attempts of an arm come to
  eval/nel_results             Attempts as results of NeMo Evaluator
  eval/page                    A run as one page
  eval/plan                    Which attempts a run makes
  eval/plots                   Plots of an evaluation as SVG
  eval/public_suite            A public benchmark as attempts
  eval/report                  A run in words and numbers
  eval/retries                 What kind of retry a tool call is
  eval/selfcheck               The machine checked against what is known
  eval/simulated_user          An agent that is tried serves a user whom another model plays
  eval/stages                  The gates of an evaluation
  eval/stats                   Statistics of small samples
  eval/suitability             Is this model right for a task? The guide's consider and skip lists a
  eval/task                    Tasks of `nemocli.eval/v1`
  eval/verdict                 Adopt
  eval/world                   The world of a task

serve/ The gateway: every path at one address, in the dialect that agents speak.
  serve/agents                 Coding agents as rows
  serve/attempt                A recording of an agent as an attempt of an evaluation
  serve/carried                What of a client's request reaches a model
  serve/frames                 The events of a stream as the bytes they came in
  serve/guard                  Who may talk to the gateway
  serve/incoming               What a client asked for
  serve/loops                  Agents that loop
  serve/messages               The Messages dialect at the gateway
  serve/outgoing               What a client gets
  serve/recording              Recorded exchanges of an agent
  serve/repeats                Texts told by what they have in common with earlier ones
  serve/responses              The Responses dialect at the gateway
  serve/responses_reply        The Responses dialect at the gateway
  serve/tally                  What went through a gateway

engine/ The only loop around calls; async, through ports only.
  engine/agent                 The loop of a model with tools
  engine/book                  What an attempt becomes in the ledger: its tokens
  engine/call                  One attempt: a request down, events up to one sink, exactly one end
  engine/discover              Which model a server has, where the server decides what it is called
  engine/door                  What every exchange with a provider has
  engine/pricing               What sellers list today, as price rows
  engine/run                   The one door: attempts in order until one answers
  engine/settle                What an abandoned reply really cost, asked of its seller afterwards
  engine/structured            Answers that must fit a schema: ask, check
  engine/waiting               Waiting that a cancellation always ends

engine/pool/ Very many calls at once: a bounded pool of work, and how fast servers may be asked.
  engine/pool/each             The same work for each of many things
  engine/pool/gate             Limits and budget over all calls of a job
  engine/pool/paced            A transport whose calls wait until their server may be asked
  engine/pool/pacing           How fast a server may be asked
  engine/pool/ports            What the pool works with
  engine/pool/queues           Calls that wait to be let through
  engine/pool/runner           Work without end

wire/ PURE: bytes to values and back.
  wire/activity                Sums by day, as a seller keeps them
  wire/batches                 A provider's own batches: how they are handed over
  wire/bulk                    JSON in bulk: a million lines in, a million lines out. orjson
  wire/catalog                 Listings of models, in the shapes that servers answer GET /models wit
  wire/complaint               What a server says when it refuses
  wire/dialect                 The two questions a dialect answers, how to ask and how to read
  wire/foreign                 Replies of other APIs
  wire/headers                 What the headers of a reply say about waiting, about the request
  wire/http                    Status, headers and body of a refusal, or an error inside a good repl
  wire/jsontext                JSON from a wire: exact numbers
  wire/kinds                   Codes to kinds of failure
  wire/leaks                   Tool calls that a server left in the text of an answer
  wire/meter                   Token counts and money, from where the provider's profile says they a
  wire/reply                   The body of a good reply to events
  wire/settle                  The final cost of one reply, asked for after it
  wire/sources                 Citations: the sources of an answer
  wire/sse                     Bytes to server-sent events, with no I/O and no opinion about the pay
  wire/surrogates              Halves of characters, put together again
  wire/think                   `<think>` in the text of an answer

wire/chat/ The chat-completions dialect: requests out, replies and streams in.
  wire/chat/fast               A whole chat completion of the usual kind, read at once
  wire/chat/finish             What servers say at the end of a chat completion
  wire/chat/reply              Chat-completions payloads to events
  wire/chat/request            The chat-completions dialect: how to ask. How to read is in `chat_rep
  wire/chat/tool_calls         Pieces of tool calls in chat completions, brought to one index per ca

wire/responses/ The responses dialect: requests out, typed events in.
  wire/responses/reply         Payloads of the responses dialect to events
  wire/responses/request       The responses dialect: how to ask. How to read is in `responses_reply
  wire/responses/tool_calls    Function calls of the responses dialect

core/ PURE, standard library only: the values that flow and the decisions about them.
  core/backoff                 When to ask again
  core/budget                  Caps on spending, of a run or over a period: reserve before the call
  core/card                    What a model is, wherever it is served: one card, many offers
  core/events                  What a reply is made of: any number of parts, then exactly one end
  core/faults                  What can go wrong, as values, and the exit code of each
  core/fit                     Does it fit
  core/moments                 Points in time as the ledger keeps them and as others read them
  core/money                   Prices with dates, costs in whole pico-dollars
  core/outcome                 Whether a reply that ended well is an answer at all
  core/plan                    From what the user typed to targets in order: provider, model id, car
  core/policy                  Retry, move on, or stop: one pure decision over what has happened so
  core/ports                   The shapes of the outside world. io/ fills them
  core/profile                 Profile mappings to providers and model cards
  core/prompt                  One message out of what was typed, piped and attached
  core/provider                What a provider is: one access path, as a value
  core/quantities              Amounts of bytes and time, for people
  core/records                 Records of an input, how they ended, and the attempts in between as J
  core/redact                  Keys and passwords, taken out of whatever is about to be shown or wri
  core/request                 What the user asked, free of any provider's spelling
  core/schema                  A short list of fields as a JSON Schema: `name, age int, tags [string
  core/settings                Every setting there is, and which of its sources wins
  core/text                    Text from elsewhere, made harmless for a terminal
  core/usage                   Token counts. Totals include their parts: cached inside input
  core/value_class             Classes of values: shown, compared and hashed by their fields
  core/values                  JSON as a type, and the few questions asked of it
"""
