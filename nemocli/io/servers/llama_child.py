"""The embedded engine, run in a process of its own: `python -I FILE FOLDER`.

This file stands alone: it is started as a program and imports the engine from FOLDER and nothing of
nemocli. One line of JSON on stdin says what to serve (`file`, `name`, `context`, `key`,
`threads`); one on stdout says where, `{"address": …}`, or why not, `{"error": …}`. It serves until
stdin ends, which it does with whoever started it, however that one ends.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def serve(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - a class of the engine
    """The running server. Raises RuntimeError when the engine refuses the file."""
    import xllamacpp

    wanted = xllamacpp.CommonParams()
    wanted.model.path = asked["file"]
    wanted.model_alias = {asked["name"]}
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = 0
    wanted.api_keys = [asked["key"]]
    wanted.n_ctx = asked["context"]
    wanted.n_parallel = 1
    wanted.cpuparams.n_threads = asked["threads"]
    wanted.use_jinja = True
    wanted.endpoint_metrics = True
    wanted.verbosity = -1
    wanted.warmup = False
    wanted.ui = False
    return xllamacpp.Server(wanted)


def main() -> None:
    """Serve until stdin ends. The engine is not taken apart: its destructor can wait for itself
    without end (xllamacpp 2026.10), and there is nothing in it that is not the system's."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # what the engine says beside its answers is for nobody
    sys.path.append(sys.argv[1])
    try:
        server = serve(json.loads(sys.stdin.buffer.readline()))
        said = {"address": server.listening_address}
    except Exception as error:  # noqa: BLE001 - it is told to who asked
        said = {"error": str(error)}
    out.write(json.dumps(said) + "\n")
    out.flush()
    while "address" in said and sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
