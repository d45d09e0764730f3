"""YAML without surprises: words stay words, numbers are exact, every value knows its line.

Built from the parser's events, so nothing in a file can name a type to construct. Only `true` and
`false` are booleans, only `null`, `~` and nothing are null; dates, `off`, `1_000` and `0x10` are
text. The events of a plain scalar follow the YAML 1.1 grammar, their meaning the JSON schema of
YAML 1.2 (yaml.org/spec/1.2.2, chapter 10.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

from nemocli.core.faults import config_error
from nemocli.core.value_class import value_class
from nemocli.core.values import Json

if TYPE_CHECKING:
    import yaml

Path = tuple[str | int, ...]

MOST_CHARS = 4_000_000
"""A longer text was not written by hand."""
MOST_VALUES = 200_000
"""Values in one document with every alias written out: no file of aliases grows beyond it."""
MOST_DEPTH = 60
MOST_DIGITS = 40
"""Of a number, written out: beyond it, arithmetic would be an attack or a mistake."""

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,9})?")
_NULL = frozenset({"", "~", "null"})
_BOOL = {"true": True, "false": False}
_SURROGATE = re.compile("[\ud800-\udfff]")
_TAG = "tag:yaml.org,2002:"


@value_class(frozen=True, slots=True)
class Document:
    """The data, and the line (from 1) on which the value at each path begins; `()` is the whole."""

    data: Json
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest thing around it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str | bytes, file: str, *, native: bool = True) -> Document:
    """Parse one document. Raises NemoError (config) `FILE:LINE:COL: what`, and nothing else.

    Bytes are taken for UTF-8. `native` False leaves the C parser alone where there is one.
    """
    text = _decoded(text, file)
    if len(text) > MOST_CHARS:
        raise config_error(f"{file}:1:1: longer than {MOST_CHARS:,} characters")
    import yaml

    loader = getattr(yaml, "CLoader", yaml.Loader) if native else yaml.Loader
    builder = _Builder(file, yaml.parse(text, Loader=loader))
    try:
        return builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        what = error.problem or error.context or "not YAML"
        raise config_error(f"{file}:{line}:{column}: {what}") from error
    except yaml.YAMLError as error:
        line, column = _place(text, getattr(error, "position", 0))
        what = getattr(error, "reason", None) or "not YAML"
        raise config_error(f"{file}:{line}:{column}: {what}") from error
    except (ValueError, OverflowError) as error:
        # The Python parser lets these through for escapes that name no character.
        raise config_error(f"{file}:{builder.line}:1: {error}") from error


def to_yaml(document: Json) -> str:
    """A document as YAML text, keys in their order."""
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _decoded(text: str | bytes, file: str) -> str:
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line, column = _place(text[: error.start].decode("utf-8", "replace"), error.start)
            from nemocli.io.text import encoding_hint

            what = f"{file}:{line}:{column}: not UTF-8 text"
            raise config_error(what, encoding_hint(text)) from error
    if bad := _SURROGATE.search(text):
        line, column = _place(text, bad.start())
        raise config_error(f"{file}:{line}:{column}: not a character: U+{ord(bad[0]):04X}")
    return text


def _place(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


@dataclass(slots=True)
class _Builder:
    """Events to values, by hand: depth, size and repetition are bounded here."""

    file: str
    events: Iterator[yaml.Event]
    lines: dict[Path, int] = field(default_factory=dict)
    anchors: dict[str, tuple[Json, int] | None] = field(default_factory=dict)
    count: int = 0
    line: int = 1

    def document(self) -> Document:
        import yaml

        next(self.events)  # stream start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return Document(None, {})
        data = self._value(next(self.events), ())
        next(self.events)  # document end
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "a second document begins here; one is expected")
        return Document(data, self.lines)

    def _value(self, event: yaml.Event, path: Path) -> Json:
        import yaml

        self.line = _mark(event)[0]
        self.lines.setdefault(path, self.line)
        self._counted(event, 1)
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event, len(path))
        self._nested(event, len(path))
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[anchor] = None
        before = self.count
        value: Json
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(event, path)
        else:
            assert isinstance(event, yaml.MappingStartEvent)
            value = self._mapping(event, path)
        if anchor is not None:
            self.anchors[anchor] = value, self.count - before + 1
        return value

    def _repeated(self, event: yaml.AliasEvent, depth: int) -> Json:
        name = str(event.anchor)
        if name not in self.anchors:
            self._refuse(event, f"nothing above is called &{name}")
        known = self.anchors[name]
        if known is None:
            self._refuse(event, f"*{name} is inside itself")
        value, weight = known
        self._counted(event, weight)
        self._nested(event, depth + _depth(value))
        return value

    def _sequence(self, event: yaml.SequenceStartEvent, path: Path) -> Json:
        import yaml

        self._untagged(event, "seq")
        out: list[Json] = []
        while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
            out.append(self._value(item, (*path, len(out))))
        return out

    def _mapping(self, event: yaml.MappingStartEvent, path: Path) -> Json:
        import yaml

        self._untagged(event, "map")
        out: dict[str, Json] = {}
        while not isinstance(item := next(self.events), yaml.MappingEndEvent):
            if not isinstance(item, yaml.ScalarEvent):
                self._refuse(item, "a key must be a plain word")
            key = self._text(item)
            if key in out:
                first = self.lines[(*path, key)]
                self._refuse(item, f"{key!r} is said twice, first on line {first}")
            self.lines[(*path, key)] = _mark(item)[0]
            out[key] = self._value(next(self.events), (*path, key))
        return out

    def _scalar(self, event: yaml.ScalarEvent) -> Json:
        text = self._text(event)
        tag = event.tag
        if tag is None and not event.implicit[0]:
            return text  # quoted, or a block of text
        if tag in ("!", f"{_TAG}str"):
            return text
        if tag is not None:
            self._refuse(event, f"the tag {tag.replace(_TAG, '!!')} is not used here")
        return self._plain(event, text)

    def _plain(self, event: yaml.ScalarEvent, text: str) -> Json:
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text):
            if len(text) > MOST_DIGITS:
                self._refuse(event, f"a number of more than {MOST_DIGITS} digits")
            return int(text)
        if _FLOAT.fullmatch(text):
            return self._exact(event, text)
        return text

    def _exact(self, event: yaml.ScalarEvent, text: str) -> Decimal:
        number = Decimal(text)
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        if len(text) > MOST_DIGITS or abs(exponent) > MOST_DIGITS:
            self._refuse(event, f"a number of more than {MOST_DIGITS} digits")
        return number

    def _text(self, event: yaml.ScalarEvent) -> str:
        text: str = event.value
        if bad := _SURROGATE.search(text):
            self._refuse(event, f"not a character: U+{ord(bad[0]):04X}")
        return text

    def _untagged(self, event: yaml.CollectionStartEvent, kind: str) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            self._refuse(event, f"the tag {event.tag.replace(_TAG, '!!')} is not used here")

    def _nested(self, event: yaml.Event, depth: int) -> None:
        if depth >= MOST_DEPTH:
            self._refuse(event, f"more than {MOST_DEPTH} levels deep")

    def _counted(self, event: yaml.Event, weight: int) -> None:
        self.count += weight
        if self.count > MOST_VALUES:
            self._refuse(event, f"more than {MOST_VALUES:,} values, aliases written out")

    def _refuse(self, event: yaml.Event, what: str) -> NoReturn:
        line, column = _mark(event)
        raise config_error(f"{self.file}:{line}:{column}: {what}")


def _mark(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _depth(value: Json) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(v) for v in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(v) for v in value), default=0)
    return 0
