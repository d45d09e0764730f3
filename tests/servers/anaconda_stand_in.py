#!/usr/bin/env python3
"""Speaks the JSON of `anaconda ai` (anaconda-ai 0.7.0, cli.py) from a state file.

`STAND_IN_STATE` names a JSON file: models, servers, url, and `fail`, a command that fails. What was
asked is appended to `STATE.log`. As the program itself does (run against a server that answers as
the desktop app does, 2026-11-23), `launch --json` answers nothing, and a server is listed under the
name of its model's file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(args: list[str]) -> int:
    state_file = Path(os.environ["STAND_IN_STATE"])
    state = json.loads(state_file.read_text())
    with state_file.with_suffix(".log").open("a") as log:
        log.write(" ".join(args) + "\n")
    assert args[0] == "ai"
    what, rest = args[1], [a for a in args[2:] if not a.startswith("--")]
    if state.get("fail") == what:
        print("Traceback (most recent call last):\nMissingAuth: log in first", file=sys.stderr)
        return 1
    answer: object = {"status": "success"}
    if what == "models" and rest:
        answer = detail(next(m for m in state["models"] if m["model"] == rest[0]), state)
    elif what == "models":
        answer = state["models"]
    elif what == "download":
        given = [*args, ""]
        download(rest[0], given[given.index("--output") + 1] if "--output" in args else None, state)
        state_file.write_text(json.dumps(state))
    elif what == "servers" and not rest:
        answer = [{k: s[k] for k in ("server_id", "model", "status")} for s in state["servers"]]
    elif what == "servers":
        answer = next(shown(s, state) for s in state["servers"] if s["server_id"] == rest[0])
    elif what == "launch":
        file = rest[0].replace("/", "_") + ".gguf"
        server = {"server_id": "s-new", "model": file, "status": "running"}
        state["servers"].append(server)
        state_file.write_text(json.dumps(state))
        return 0
    print(json.dumps(answer, indent=2))
    return 0


def file_of(model: str, method: str) -> str:
    return f"{model}_{method}.gguf"


def detail(model: dict, state: dict) -> dict:
    """`models NAME` names files and sizes, which `models` does not."""
    rows = [
        {
            "filename": file_of(model["model"], row["method"]),
            "downloaded": row["downloaded"],
            "running": row["running"],
            "ram": 2 * state.get("size", 0),
            "size": state.get("size", 0),
        }
        for row in model["quantizations"]
    ]
    about = {"description": "", "parameters": 1, "trained_for": "text-generation"}
    return {"name": model["model"], **about, "quantizations": rows}


def download(wanted: str, output: str | None, state: dict) -> None:
    name, _, method = wanted.partition("/")
    model = next(m for m in state["models"] if m["model"] == name)
    row = next(r for r in model["quantizations"] if r["method"].lower() == method.lower())
    row["downloaded"] = True
    if output:
        Path(output).write_bytes(b"g" * state.get("got", state.get("size", 0)))


def shown(server: dict, state: dict) -> dict:
    keys = {k: server[k] for k in ("model", "status")}
    return {**keys, "openai_url": state["url"], "parameters": {}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
