"""Citations: the sources of an answer, in the spellings that search-grounded servers use."""

from __future__ import annotations

from collections.abc import Iterator

from nemocli.core.events import Citation
from nemocli.core.values import Json, JsonObject
from nemocli.wire.jsontext import mapping, string


class Sources:
    """Yields every source once. Entries with titles are asked for first, so that none is lost to a
    bare URL of the same page."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def citations(self, items: Json) -> Iterator[Citation]:
        """A list of URLs, of `{url, title}`, or of annotations."""
        for item in items if isinstance(items, list) else ():
            if isinstance(item, str):
                yield from self._source(item, None)
            elif isinstance(item, dict):
                yield from self.annotation(item)

    def annotation(self, item: JsonObject) -> Iterator[Citation]:
        """`{type: url_citation, url_citation: {url, title}}` (chat) or `{url, title}`."""
        data = mapping(item.get("url_citation")) or item
        if (url := string(data.get("url"))) is not None:
            yield from self._source(url, string(data.get("title")))

    def _source(self, url: str, title: str | None) -> Iterator[Citation]:
        if url and url not in self._seen:
            self._seen.add(url)
            yield Citation(url, title)
