"""Whom TLS trusts here: one place for every client."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

from nemocli.core.faults import NemoError
from nemocli.io.http.exchange import config_fault


def trust_context(ca: str | None = None) -> ssl.SSLContext:
    """A context for clients: certificates and host names are checked.

    SSL_CERT_FILE or SSL_CERT_DIR where one is set, and nothing beside it; else the system's own
    store, on macOS and Windows by its own judgement. `ca`: a provider's own certificates too, a PEM
    file. Raises NemoError where any cannot be read.
    """
    context = _usual()
    if ca is not None:
        try:
            context.load_verify_locations(Path(ca).expanduser())
        except OSError as error:
            message = f"the certificates in {ca} cannot be loaded: {error.strerror or error}"
            hint = "look at `ca` in the provider's file; it is a PEM file"
            raise NemoError(config_fault(message, hint)) from error
    return context


def _usual() -> ssl.SSLContext:
    named, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if named or folder:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(named or None, None if named else folder)
            return context
        if sys.platform in ("darwin", "win32") or not _known():
            import truststore

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        return context
    except OSError as error:
        message = f"the certificates cannot be loaded: {error.strerror or error}"
        raise NemoError(config_fault(message, "look at SSL_CERT_FILE and SSL_CERT_DIR")) from error


def _known() -> bool:
    """Whether OpenSSL was built to look where this system keeps its certificates."""
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or paths.capath)
