"""The Hub's chunk store through its own client, hf_xet 1.8; an extra, for lines it is faster on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nemocli.core.faults import Fault, FaultKind, NemoError, config_error
from nemocli.core.text import one_line
from nemocli.weights.repository import Blob

PACKAGE = "hf_xet"


def check_xet() -> None:
    """Raises NemoError when the client is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise config_error(
            "--engine xet needs the hf_xet package", "`pip install 'nemocli[xet]'` brings it"
        )


class Xet:
    """Fills `core.weight_ports.Bulk`. `access` is the address that hands out the store's tokens;
    `headers` (the Hub's token among them) go there and nowhere else."""

    def __init__(self, access: str, headers: Mapping[str, str], user_agent: str) -> None:
        self._access = access
        self._headers = dict(headers)
        self._user_agent = user_agent
        self._session: Any = None

    def takes(self, blob: Blob) -> bool:
        """Whether the store has it."""
        return blob.xet is not None

    def bring(self, wanted: Sequence[tuple[Blob, str]], moved: Callable[[int], None]) -> None:
        """Write each to its path. The client verifies nothing of its own (a flipped bit in a stored
        chunk arrives without a word, measured with 1.8.0), so the caller must."""
        import hf_xet

        self._session = hf_xet.XetSession()
        try:
            with self._session.new_file_download_group(
                token_refresh_url=self._access,
                token_refresh_headers=self._headers,
                custom_headers={"User-Agent": self._user_agent},
                progress_callback=lambda group, _: moved(group.total_bytes_completed),
            ) as group:
                for blob, path in wanted:
                    group.start_download_file(hf_xet.XetFileInfo(blob.xet, blob.size), path)
        except hf_xet.XetAuthenticationError as error:
            raise _failed(FaultKind.AUTH, error) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise _failed(FaultKind.NETWORK, error) from error

    def abort(self) -> None:
        """End a `bring` that runs in another thread."""
        with suppress(AttributeError, RuntimeError):
            self._session.sigint_abort()


def _failed(kind: FaultKind, error: Exception) -> NemoError:
    return NemoError(Fault(kind, f"hf_xet: {one_line(str(error), 160)}"))
