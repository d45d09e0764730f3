"""What was said over HTTP, as debug lines without secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from nemocli.core.ports import Call
from nemocli.core.redact import Redactor

MOST_SHOWN = 2_000
"""Characters of one chunk in a debug line."""

Debug = Callable[[str], None]


class HttpLog:
    """One call's lines: `>` what was asked, `<` what came."""

    def __init__(self, write: Debug, secrets: tuple[str, ...]) -> None:
        self._write = write
        self._redactor = Redactor(secrets)

    def request(self, method: str, url: str, call: Call) -> None:
        """What is asked."""
        self._write(f"> {method} {self._redactor.url(url)}")
        for name, value in self._redactor.headers(call.headers).items():
            self._write(f"> {name}: {value}")
        if call.body:
            self._write(f"> {self._redactor.body(call.body)}")

    def reply(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of what came."""
        self._write(f"< {status}")
        for name, value in self._redactor.headers(dict(headers)).items():
            self._write(f"< {name}: {value}")

    def chunk(self, chunk: bytes) -> None:
        """A piece of its body."""
        shown = self._redactor.body(chunk)
        rest = len(shown) - MOST_SHOWN
        self._write(f"< {shown[:MOST_SHOWN]}" + (f"... ({rest} more)" if rest > 0 else ""))

    async def listening(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same chunks, each told of as it passes."""
        async for chunk in chunks:
            self.chunk(chunk)
            yield chunk
