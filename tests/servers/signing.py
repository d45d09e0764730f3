"""Addresses that hold for a time, as a CDN signs them."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Signer:
    """Signs paths. An address holds for `life_s` seconds of a clock that is `skew_s` wrong, and
    for `uses` requests (None: any number)."""

    life_s: float = 3600.0
    uses: int | None = None
    skew_s: float = 0.0
    _count: itertools.count[int] = field(default_factory=itertools.count)
    _used: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def query(self, path: str) -> str:
        """What to put after the path's question mark; never twice the same."""
        expires = int((self._now() + self.life_s) * 1000)
        with self._lock:
            nonce = f"{expires}.{next(self._count)}"
        return f"Expires={nonce}&Signature={_signature(path, nonce)}"

    def holds(self, path: str, query: Mapping[str, str]) -> bool:
        """Whether an address is ours and still good; counts as a use of it."""
        nonce = query.get("Expires", "0")
        if not hmac.compare_digest(query.get("Signature", ""), _signature(path, nonce)):
            return False
        if int(nonce.split(".")[0]) < self._now() * 1000:
            return False
        with self._lock:
            self._used[nonce] = self._used.get(nonce, 0) + 1
            return self.uses is None or self._used[nonce] <= self.uses

    def _now(self) -> float:
        return time.time() + self.skew_s


def _signature(path: str, nonce: str) -> str:
    return hmac.new(b"no secret", f"{path} {nonce}".encode(), hashlib.sha256).hexdigest()
