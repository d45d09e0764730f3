"""A recording on the disk: one file that only grows, private, with known secrets taken out."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from nemocli.core.events import Event, Finished
from nemocli.core.faults import Fault, config_error
from nemocli.engine.run import Answer
from nemocli.io.files import file_error, private_folder
from nemocli.serve.recording import SCHEMA, RecordedExchange, Taken, exchanges, request_line
from nemocli.serve.repeats import Earlier

FILE = "exchanges.jsonl"
MARK = "***"
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which a file can only hold escaped."""
LEAST = 8
"""Characters of a secret that is looked for: shorter ones are ordinary words."""


class Recorder:
    """Writes a recording. What the disk does not take is told once, and ends the recording, not
    the calls. `names` are the exchanges of this time."""

    def __init__(self, folder: Path, secrets: tuple[str, ...], tell: Callable[[str], None]) -> None:
        """Go on with the recording in a folder, or begin one. Raises NemoError."""
        self.folder = folder
        self._secrets = sorted((s for s in set(secrets) if len(s) >= LEAST), key=len, reverse=True)
        self._tell = tell
        self._lock = threading.Lock()
        self.names: set[str] = set()
        private_folder(folder)
        file = folder / FILE
        try:
            handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            self._file: IO[bytes] | None = os.fdopen(handle, "ab", buffering=0)
            torn = file.stat().st_size and not _ends_whole(file)
        except OSError as error:
            raise file_error("cannot write", file, error) from error
        if torn:
            self._put(b"\n")
        self._earlier = Earlier()
        self._line({"type": "begin", "schema": SCHEMA})

    def begin(
        self,
        name: str,
        at: datetime,
        body: bytes,
        model: str,
        about: Mapping[str, Any],
    ) -> Replying:
        """A request was read; `about` says where it came from. What comes of it is told to what
        this returns, which writes the request when it is told to, or at the end."""
        self.names.add(name)
        more = {"at": at.isoformat(), **about, "model": model}
        return Replying(self, name, lambda: self._request(name, body, more))

    def _request(self, name: str, body: bytes, more: Mapping[str, Any]) -> None:
        self._line(request_line(name, self._clean_body(body), self._earlier, more))

    def _clean_body(self, body: bytes) -> str:
        text = body.decode("utf-8", "replace")
        if "\\" in text and ("\\u" in text or "\\/" in text):  # a secret may be spelt otherwise
            text = json.dumps(json.loads(text), ensure_ascii=False)
            text = _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
        return self.clean(text)

    def clean(self, text: str) -> str:
        """A text without the secrets that are known here."""
        for secret in self._secrets:
            text = text.replace(secret, MARK)
        return text

    def end(self, row: Mapping[str, Any]) -> None:
        """A reply is over."""
        self._line(row)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _line(self, row: Mapping[str, Any]) -> None:
        text = self.clean(json.dumps(row, ensure_ascii=False, default=str))
        self._put(text.encode("utf-8", "replace") + b"\n")

    def _put(self, data: bytes) -> None:
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(data)
            except OSError as error:
                self._tell(f"{self.folder / FILE}: {error.strerror}; the recording ends here")
                self._file.close()
                self._file = None


class Replying:
    """One reply while it comes."""

    def __init__(self, recorder: Recorder, name: str, request: Callable[[], None]) -> None:
        self._recorder = recorder
        self._name = name
        self._request: Callable[[], None] | None = request
        self._taken = Taken()

    def event(self, seconds: float, event: Event) -> None:
        """A piece of it."""
        self._taken.add(round(seconds * 1000), event)

    def write_request(self) -> None:
        """Write what was asked, unless that was done: best while the answer is waited for."""
        request, self._request = self._request, None
        if request is not None:
            request()

    def over(self, how: str, answer: Answer, fault: Fault | None, seconds: float) -> None:
        """It is over: how, and what is known of it."""
        self.write_request()
        last = answer.last
        metered = answer.fold.metered
        end = answer.fold.end
        self._recorder.end(
            {
                "type": "reply",
                "id": self._name,
                "how": how,
                "provider": answer.target.provider.name,
                "model": answer.fold.started.model or answer.target.model,
                "reply_id": answer.fold.started.reply_id,
                "attempts": [entry.attempt_id for entry in answer.entries],
                "seconds": round(seconds, 4),
                "ttft_s": last.ttft_s if last is not None else None,
                "events": self._taken.events,
                "finish": end.reason if isinstance(end, Finished) else None,
                "usage": asdict(metered.usage) if metered is not None else None,
                "cost_pico": last.cost.pico if last is not None else None,
                "fault": None if fault is None else _fault(fault),
            }
        )


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "code": fault.kind.value,
        "message": fault.message,
        "status": fault.status,
        "retry": fault.retryable,
    }


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as source:
        source.seek(-1, os.SEEK_END)
        return source.read(1) == b"\n"


def read_recording(folder: Path) -> list[RecordedExchange]:
    """The exchanges of a recording; a torn last line is none. Raises NemoError (config) naming
    file and line."""
    file = folder / FILE
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise config_error(f"no recording is in {folder}", "`--record` makes one") from None
    except OSError as error:
        raise file_error("cannot read", file, error) from error
    rows = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            if number >= len(lines) - 1 or lines[number].startswith(b'{"type": "begin"'):
                continue  # torn by a kill; the recording went on after it, or not
            raise config_error(f"{file}:{number}: {error}", "the recording is damaged") from None
        if isinstance(row, dict):
            rows.append(row)
    try:
        return exchanges(rows)
    except ValueError as error:
        raise config_error(f"{file}: {error}", "the recording is damaged") from error
