"""Certificates for servers of this machine, made where they are needed."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any


def self_signed(
    folder: Path, address: str = "127.0.0.1", ends: timedelta = timedelta(days=1)
) -> tuple[Path, Path] | None:
    """PEM files (certificate, key) in the folder; None when nothing here can make them."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    try:
        made, secret = _made(address, ends)
    except ImportError:
        usual = address == "127.0.0.1" and ends > timedelta()
        return _by_binary(cert, key) if usual else None
    _write(cert, key, [made], secret)
    return cert, key


def chained(folder: Path) -> tuple[Path, Path, Path] | None:
    """PEM files: a chain for 127.0.0.1 that its own authority signed, its key, the authority."""
    cert, key, ca = folder / "chain.pem", folder / "chain-key.pem", folder / "ca.pem"
    try:
        root, root_key = _made("authority", timedelta(days=1))
        leaf, leaf_key = _made("127.0.0.1", timedelta(days=1), (root, root_key))
    except ImportError:
        return None
    _write(cert, key, [leaf, root], leaf_key)
    _write(ca, folder / "ca-key.pem", [root], root_key)
    return cert, key, ca


def _made(address: str, ends: timedelta, by: Any = None) -> tuple[Any, Any]:
    """A certificate and its key; signed `by` a certificate and key, else by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if by is None else by[0].subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if address[0].isdigit():
        names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))])
        made = made.add_extension(names, critical=False)
    return made.sign(secret if by is None else by[1], hashes.SHA256()), secret


def _write(cert: Path, key: Path, certificates: list[Any], secret: Any) -> None:
    from cryptography.hazmat.primitives import serialization

    pem = serialization.Encoding.PEM
    cert.write_bytes(b"".join(one.public_bytes(pem) for one in certificates))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(secret.private_bytes(pem, form, plain))


def _by_binary(cert: Path, key: Path) -> tuple[Path, Path] | None:
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    line = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    line += ["-nodes", "-days", "1", "-keyout", str(key), "-out", str(cert)]
    line += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(line, check=True, capture_output=True)
    return cert, key
