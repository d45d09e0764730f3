"""Shell completion, answered without the program: from the generated tree and a small cache.

`nemocli __complete -- WORD...` gets the words after the program's name, the one under the cursor
last, and prints a candidate a line, `VALUE<tab>WHAT IT IS`. Nothing printed means: complete files.
Only what costs a few milliseconds is imported, and nothing ever fails aloud.
"""

from __future__ import annotations

import json
import os

Tree = dict[str, "Tree | str | list[str] | bool | None"]


def complete(args: list[str]) -> None:
    """Print the candidates for the last word."""
    words = args[1:] if args[:1] == ["--"] else args
    try:
        tree = _read(_tree_file())
        names = {**tree.get("names", {})}
        names |= {k: v for k, v in _read(_cache_file()).items() if isinstance(v, dict)}
        lines = "".join(map(_line, candidates(words or [""], tree, names)))
        os.write(1, lines.encode("utf-8", "replace"))  # nothing is left to fail at exit
    except (OSError, ValueError):
        return  # a key that does nothing is better than one that prints an error


def _line(row: tuple[str, str]) -> str:
    """A candidate; a name that a line cannot carry or a terminal would obey is left out."""
    value, about = row
    if not value.isprintable():
        return ""
    about = "".join(c for c in about if c.isprintable())
    return f"{value}\t{about}\n" if about else f"{value}\n"


def candidates(words: list[str], tree: dict, cache: dict) -> list[tuple[str, str]]:  # type: ignore[type-arg]
    """What may stand in the place of the last word, with what each is."""
    *before, last = words
    node, pending, dashes = _walk(before, tree)
    if pending is not None:
        return _values(pending, last, before, cache)
    name, equals, part = last.partition("=")
    options = _options(node, tree)
    if equals and name in options:
        found = _values(options[name], part, before, cache)
        return [(f"{name}={value}", about) for value, about in found]
    if last.startswith("-") and not dashes:
        return [(n, o["help"]) for n, o in options.items() if n.startswith(last)]
    commands = node.get("commands") or {}
    rows = [(n, c["help"]) for n, c in commands.items() if n.startswith(last)]
    if rows or commands:
        return rows
    return _values(node, last, before, cache)


def _walk(words: list[str], tree: dict) -> tuple[dict, dict | None, bool]:  # type: ignore[type-arg]
    """The command the words lead to, the option that waits for its value, and whether `--` came."""
    node = tree
    pending = None
    for word in words:
        if pending is not None:
            pending = None
        elif word == "--":
            return node, None, True
        elif word.startswith("-"):
            option = _options(node, tree).get(word)
            if option is not None and option.get("value"):
                pending = option
        elif word in (node.get("commands") or {}):
            node = node["commands"][word]
        elif node.get("commands"):
            return {}, None, False  # no such command: what it would take is not known
    return node, pending, False


def _options(node: dict, tree: dict) -> dict:  # type: ignore[type-arg]
    return {**tree.get("options", {}), **node.get("options", {})}


def _values(wanted: dict, part: str, before: list[str], cache: dict) -> list[tuple[str, str]]:  # type: ignore[type-arg]
    """The values of an option or argument: its own list, or a kind of name kept in the cache."""
    rows: list[tuple[str, str]] = [(v, "") for v in wanted.get("choices") or ()]
    known = cache.get(wanted.get("names"))
    if wanted.get("names") == "models":
        known = _served(before, cache) or known
    if isinstance(known, dict):
        rows += [(str(n), str(about)) for n, about in known.items()]
    return [(value, about) for value, about in rows if value.startswith(part)]


def _served(before: list[str], cache: dict) -> dict | None:  # type: ignore[type-arg]
    """The models of the providers named before; None where no provider or none of its models is."""
    flags = ("-p", "--provider")
    names = [word for at, word in enumerate(before) if at and before[at - 1] in flags]
    names += [w.removeprefix("--provider=") for w in before if w.startswith("--provider=")]
    served = cache.get("models_at")
    rows = [served.get(name) for name in names] if isinstance(served, dict) else []
    known = [row for row in rows if isinstance(row, dict)]
    if not known or len(known) < len(rows):
        return None
    return {name: about for row in known for name, about in row.items()}


def _tree_file() -> str:
    package = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs 8 ms
    inside = os.path.join(package, "completions", "tree.json")  # noqa: PTH118
    if os.path.exists(inside):  # noqa: PTH110
        return inside
    return os.path.join(os.path.dirname(package), "completions", "tree.json")  # noqa: PTH118, PTH120


def _cache_file() -> str:
    """As `io.paths` has it on Linux and under NEMOCLI_HOME; elsewhere there is simply no cache."""
    home = os.environ.get("NEMOCLI_HOME")
    if home:
        return os.path.join(os.path.expanduser(home), "cache", "completion.json")  # noqa: PTH111, PTH118
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    return os.path.join(cache, "nemocli", "completion.json")  # noqa: PTH118


def _read(file: str) -> dict:  # type: ignore[type-arg]
    try:
        with open(file, encoding="utf-8") as source:  # noqa: PTH123
            data = json.load(source)
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
