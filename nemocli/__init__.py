"""nemocli: one command for every path to NVIDIA Nemotron 3 Ultra.

The map of the house, top floor first; imports point down only.

nemocli/ The doors.
  __main__                 `nemocli` and `python -m nemocli`: three answers need no program
  complete                 Shell completion, answered without the program
  version                  The version, written here so that nothing has to be looked up at start

cli/ THE FACE: parses, composes the World once, draws.
  cli/answer_json          `nemocli.answer/1` and the events of `--jsonl`
  cli/app                  The program: options for every command
  cli/ask                  `nemocli ask`: one answer, scriptable
  cli/asking               From what was typed to a plan and a request
  cli/auth                 `nemocli auth`: keys, from where and to where
  cli/batch                `nemocli batch`: scripted calls at scale
  cli/batch_again          `batch retry` and `merge`: rows asked once more, and outputs joined
  cli/batch_estimate       `batch estimate` and `batch run --dry-run`: what a job will come to
  cli/batch_jobs           `batch status` and `ls`: what becomes of jobs after they were started
  cli/batch_plan           What a command line comes to
  cli/batch_ray            `batch run --engine ray`: the same shares as `--shard`
  cli/batch_remote         `batch run --remote`: rows handed to a provider's own batches
  cli/batch_run            From a plan to its rows, and from their end to an exit code
  cli/batch_show           `batch show`: results for people, and as tables for other programs
  cli/batch_shown          A job as it is shown: a line on a terminal
  cli/body_options         What commands that ask have in common: their options as settings
  cli/checks               What `doctor` looks at: each check one line
  cli/choice               Which paths a call takes when nobody said, and in which order
  cli/completion           `nemocli completion`: the shell's side of completion
  cli/completion_scripts   Generates what is in `completions/`
  cli/config               `nemocli config`: settings, where each comes from
  cli/cost                 `nemocli cost`: what calls came to, and how that is known
  cli/cost_budget          `nemocli cost budget`: caps on spending, checked before each call
  cli/cost_explain         `nemocli cost explain`: one call, or every attempt of a run
  cli/cost_export          The book for other programs, and less of it
  cli/cost_gpu             `nemocli cost gpu`: GPUs of one's own by the hour
  cli/cost_price_rows      Price rows: shown, refreshed, and set by hand
  cli/cost_prices          `nemocli cost prices`: what tokens cost, since when, and who says so
  cli/cost_reconcile       What sellers say afterwards, and what other prices would have come to
  cli/cost_views           Views of what calls cost: tables, a line for prompts, a page
  cli/cost_what_if         `nemocli cost what-if`: what this traffic would take elsewhere
  cli/diagnostics          The only writer to stderr: what happened, to whom, and what to type next
  cli/doctor               `nemocli doctor`: one look at everything an answer depends on
  cli/downloads            How a fetch is shown: a line, and on a terminal a bar
  cli/help                 `nemocli help`: what does not fit under one command
  cli/helping              The words of `nemocli` alone and of `nemocli --help`
  cli/listings             What providers list right now, as rows
  cli/model_facts          What is known of models, as rows: for tables, for `--json`, for people
  cli/models               `nemocli models`: which there are, who serves them
  cli/options              Options that several commands share, spelt once
  cli/output               The only writer to stdout: the answer or the data, and nothing else
  cli/probes               What tiny real calls showed of a model: the facts, and how they are drawn
  cli/probing              Tiny real calls that tell whether a path works and what a model there
  cli/prompt               The line for a shell prompt, which is asked for at every one
  cli/provider_facts       What is known of providers, as rows: for tables, for `--json`, for people
  cli/providers            `nemocli providers`: the paths to a model, which of them are ready
  cli/reaching             Whether providers can be reached, and what their clocks say of ours
  cli/receipt              One line after an answer: who, what, how long, how much
  cli/running              One event loop for one command, stopped by the signals that mean stop
  cli/setup                What every command may need, each part made when it is first asked for
  cli/showing              An answer as it is shown: text for people
  cli/tables               Plain tables: aligned columns, cut only where a terminal would wrap them
  cli/terminal             What the three standard streams are: terminals or not, coloured or not
  cli/topics               Help topics, written from the same tables the program runs on
  cli/tree                 Every command in one table: what `--help` lists
  cli/validity             What `config validate` looks at: every file that can be wrong
  cli/version              `nemocli version`: which program this is, and where
  cli/waiting              A line that says what is being waited for
  cli/weights              `nemocli weights`: repositories of weights, planned, pulled
  cli/weights_carry        `nemocli weights export` and `import`: across an air gap
  cli/weights_desk         What the weights commands share: the endpoint, the token, the target
  cli/weights_keep         `nemocli weights status`, `ls` and `rm`: what is here, and what is to go
  cli/weights_pinned       Pinned weights, brought by the same engine as whole repositories
  cli/weights_plan         `nemocli weights plan`: two requests, a look at the disk
  cli/weights_program      `nemocli weights plan|pull PROVIDER:MODEL/QUANT`
  cli/weights_pull         `nemocli weights pull`: wait for the others, pull
  cli/weights_shown        A pull as it is shown: bars on a terminal, quiet lines in a log
  cli/weights_verify       `nemocli weights verify`: read it all, name what is bad
  cli/world                The composition root: the one place that puts real parts into the ports

batch/
  batch/asking             One row asked of one target: its body in that provider's words
  batch/attempt            One attempt at a row, and what follows from how it ended
  batch/estimate           What a job will come to, before it is started: tokens, money, time
  batch/feed               Records to rows, less those that are over
  batch/gate               Limits and budget over all calls of a job, in one process
  batch/lines              Lines of the output: the OpenAI Batch shape
  batch/ports              The shapes of the outside that a job needs beyond the engine's
  batch/progress           How far a job has come: what is counted, and what it means for the rest
  batch/recall             Answers that are known already: from an earlier job
  batch/remote             Rows handed to a provider's own batches, and their answers fetched
  batch/remote_lines       The answers of a batch as output lines
  batch/report             Output lines as people and tables read them
  batch/rows               From a record of the input to a row that can be asked
  batch/sampling           A few rows asked for what they tell about the rest
  batch/shard              The rows of a job, or of one share of it, asked until each is over
  batch/spec               What every row of a job has in common, as far as it decides what is asked
  batch/terms              How a job is done, a row on its way through it, and the steps it may take

spend/
  spend/explain            One call's cost: tokens times price, where every number comes from
  spend/export             Every call, for other programs: JSON lines, CSV, FOCUS 1.2, OpenTelemetry
  spend/gpu                A lease of GPUs among its calls, for people and scripts
  spend/page               A page of what calls cost: whole in itself
  spend/reconciled         Differences between the book and what sellers, or other prices, say
  spend/reprice            What an attempt would be booked at with the prices of another day
  spend/statusline         One line for a shell prompt
  spend/summary            What calls came to, per provider and model
  spend/summary_data       A summary for scripts: one JSON object, or CSV
  spend/summary_lines      A summary for people: a table, what the total leaves out
  spend/what_if            A period's traffic on every other path, and on GPUs of one's own

weights/
  weights/abreast          Several jobs at once, of which the first failure ends all
  weights/adopt            Contents taken over from elsewhere on this machine
  weights/again            After a failure: wait and go on, ask elsewhere, or give up
  weights/answers          What an answer to a request for a file means: where its bytes begin
  weights/bulk             Contents that another engine brings whole
  weights/digest           Whether bytes are the ones that were announced
  weights/fetch            The workers of a pull: each takes files, then shares of files
  weights/fit              Does it fit: bytes per GPU against memory, and the vendor's list
  weights/gate             Whether there is room for everything, before the first byte is asked for
  weights/hub              The Hub's API: what a revision is
  weights/journal          The journal of a repository: which segments are written
  weights/listing          A repository at one commit, as the Hub lists it
  weights/manifest         What a pulled repository is
  weights/meant            Which repository a name means: `ORG/NAME` as it is
  weights/pace             Manners on a shared line: a cap on the rate, and hours of the day
  weights/plan             What a pull would do, and whether it can
  weights/program          Weights that another program brings: the same plan and report
  weights/progress         How far a pull has come: for a bar, for a line a program reads
  weights/pull             A pull from beginning to end: survey, check, reserve, fetch, publish
  weights/reports          Plans, pulls and checks as a program or a person reads them
  weights/segments         A file as segments: what is there, what is missing
  weights/status           What another process may know of a pull: whether it runs
  weights/stream           One stretch of one file, from a connection to the disk
  weights/survey           What of a repository is here already, by looking at names
  weights/terms            What a pull is given: the outside, and how it is to be done
  weights/verify           Whether files on a disk are what a manifest, or a listing, says
  weights/work             One file under way: its bytes, and the digest that follows them in order

io/ THE WORLD: one resource and one third-party package per module; fills the ports.
  io/alive                 Which process made a promise, and whether it still lives
  io/answers               Answers kept by what was asked: one SQLite file
  io/batch_arrived         Lines on their way to the writer
  io/batch_child           A keeper in a process of its own
  io/batch_files           The files a job grows: one that is only added to
  io/batch_index           Which rows of a job are over: 24 bytes a row in one file
  io/batch_job             A job on the disk: its files, who works on it
  io/batch_join            Outputs of shares joined into one
  io/batch_keeper          The files of a job, brought forward a group at a time: output, errors
  io/batch_lines           The lines of an output file, whole ones only
  io/batch_results         Where rows end up, for an event loop
  io/batch_under_way       Which attempts are on record, and which of them were sent
  io/bodies                Large bodies over plain sockets, straight into a buffer: for files
  io/clock                 The machine's clock and chance
  io/command_runtime       Servers that another program starts and lists
  io/exchange              How far an exchange has come, how long it may still take
  io/fetching              Pinned weights, fetched once from the first source that has them
  io/files                 Private files: written whole or not at all, one writer at a time
  io/genai_prices          The dated table of the genai-prices package, where it is installed
  io/gpus                  The GPUs of this machine, as the driver's own tool lists them
  io/hub_token             The token that huggingface_hub would use: of the environment
  io/inputs                What is piped in and what is attached: text, whole
  io/jinja                 Templates in Jinja2, where it is installed. They are the user's own
  io/keyfile               Two small private files: the keys of those without a keyring
  io/ledger                The book in SQLite: one append-only row per attempt
  io/ledger_budgets        Budgets in the book: checked and held in the transaction that reserves
  io/ledger_leases         Leases of GPUs in the book: begun, ended
  io/ledger_money          The ledger's second version: rollups, budgets, leases of GPUs
  io/ledger_more           What is done to the whole book: valuations beside it
  io/ledger_rows           Ledger values to SQL and back: each statement with its values
  io/ledger_schema         The ledger's tables, as numbered migrations: a statement here is added
  io/ledger_sums           Sums of the book by SQL: rollups where they are exact
  io/llama                 The embedded engine: llama.cpp's server in this process
  io/loop                  An event loop for very many calls at once, where one is installed
  io/oskeyring             The operating system's keyring, which may be locked, absent
  io/parquet               Parquet, where pyarrow is installed: rows in, a table out
  io/paths                 Where things are kept on this machine
  io/pinned                Pinned weights: what a file must be, and whether it is on this machine
  io/price_file            Prices that were refreshed or set by hand
  io/process               Programs of others, run without a shell
  io/profile_check         What is wrong with a profile file, said so that its writer can mend it
  io/profile_files         Profile files to layered mappings: read, check, cover, extend
  io/profiles              Every provider and model card this user has
  io/programs              Programs of others: where they lie, where they start
  io/ray_pool              Shares of a job in actors of a Ray cluster
  io/rows_in               Rows out of files and pipes, one at a time: JSONL, CSV, TSV
  io/rows_piped            Records out of a pipe, read by a thread
  io/schema                JSON Schema: what `--schema` was given
  io/secrets               Keys: found in the environment, the keyring
  io/servers               Servers that must be started before they can be asked
  io/settings              Settings from the command line, the environment
  io/store                 SQLite files that are private
  io/threads               Blocking work beside the event loop
  io/transport             HTTP over one pooled client: deadlines, redirects, proxies
  io/volley                HTTP for very many calls at once: connections kept warm
  io/volley_lane           The connections to one address, each with llhttp's parser
  io/weight_carry          Weights carried from machine to machine: a folder
  io/weight_find           Weights that are on this machine already, whoever brought them
  io/weight_folder         Files by their names, for a check or an export: of a plain folder
  io/weight_part           Large files under way: their room taken at once, written at any place
  io/weight_state          What a pull remembers between runs: its journal, its status
  io/weight_store          Weights on this machine's disks: in the shared cache
  io/xet                   The Hub's chunk store through its own client, hf_xet 1.8; an extra
  io/yaml                  YAML without surprises: words stay words, numbers are exact

engine/ The only loop around calls; async, through ports only.
  engine/book              What an attempt becomes in the ledger: its tokens
  engine/call              One attempt: a request down, events up to one sink, exactly one end
  engine/discover          Which model a server has, where the server decides what it is called
  engine/pricing           What sellers list today, as price rows
  engine/run               The one door: attempts in order until one answers
  engine/settle            What an abandoned reply really cost, asked of its seller afterwards
  engine/structured        Answers that must fit a schema: ask, check

wire/ PURE: bytes to values and back, one module per dialect.
  wire/activity            Sums by day, as a seller keeps them
  wire/batches             A provider's own batches: how they are handed over
  wire/bulk                JSON in bulk: a million lines in, a million lines out. orjson
  wire/catalog             Listings of models, in the shapes that servers answer GET /models with
  wire/chat                The chat-completions dialect: how to ask. How to read is in `chat_reply`
  wire/chat_reply          Chat-completions payloads to events
  wire/complaint           What a server says when it refuses
  wire/dialect             The two questions a dialect answers, how to ask and how to read
  wire/functioncalls       Function calls of the responses dialect
  wire/headers             What the headers of a reply say about waiting, about the request
  wire/http                Status, headers and body of a refusal, or an error inside a good reply
  wire/jsontext            JSON from a wire: exact numbers
  wire/kinds               Codes to kinds of failure
  wire/meter               Token counts and money, from where the provider's profile says they are
  wire/plain               A whole chat completion of the usual kind, read at once
  wire/reply               The body of a good reply to events
  wire/responses           The responses dialect: how to ask. How to read is in `responses_reply`
  wire/responses_reply     Payloads of the responses dialect to events
  wire/settle              The final cost of one reply, asked for after it
  wire/sources             Citations: the sources of an answer
  wire/sse                 Bytes to server-sent events, with no I/O and no opinion about the payload
  wire/surrogates          Halves of characters, put together again
  wire/think               `<think>` in the text of an answer
  wire/toolcalls           Pieces of tool calls in chat completions, brought to one index per call

core/ PURE, standard library only: the values that flow and the decisions about them.
  core/budget              Caps on spending, of a run or over a period: reserve before the call
  core/calls               Calls as the book shows them: one attempt with its settlement applied
  core/card                What a model is, wherever it is served: one card, many offers
  core/events              What a reply is made of: any number of parts, then exactly one end
  core/faults              What can go wrong, as values, and the exit code of each
  core/layout              Where files lie: the shared cache as huggingface_hub writes it
  core/leases              GPUs of one's own by the hour: what a lease costs
  core/moments             Points in time as the book keeps them and as others read them
  core/money               Prices with dates, costs in whole pico-dollars
  core/outcome             Whether a reply that ended well is an answer at all
  core/pacing              How fast a server may be asked, learned from what it says
  core/plan                From what the user typed to targets in order: provider, model id, card
  core/policy              Retry, move on, or stop: one pure decision over what has happened so far
  core/ports               The shapes of the outside world. io/ fills them
  core/prices              Price rows as lines of a file, and doubts about new ones
  core/profile             Profile mappings to providers and model cards
  core/prompt              One message out of what was typed, piped and attached
  core/provider            What a provider is: one access path, as a value
  core/quantities          Amounts of bytes and time, for people
  core/records             Records of an input, how they ended, and the attempts in between as JSON
  core/redact              Keys and passwords, taken out of whatever is about to be shown or written
  core/repository          A repository of weights at one commit: its files
  core/request             What the user asked, free of any provider's spelling
  core/schema              A short list of fields as a JSON Schema: `name, age int, tags [string]
  core/settings            Every setting there is, and which of its sources wins
  core/text                Text from elsewhere, made harmless for a terminal
  core/usage               Token counts. Totals include their parts: cached inside input
  core/values              JSON as a type, and the few questions asked of a JSON tree
  core/weight_ports        The shapes of the outside that a pull needs. io/ fills them
"""
