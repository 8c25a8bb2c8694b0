"""An authority of our own, a broker's certificate and a client's, made by the openssl command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

KEY_PASSWORD = "correct-horse-of-the-key"


@dataclass(frozen=True)
class Certificates:
    """PEM files. ``stranger`` is an authority that signed nothing here."""

    authority: Path
    stranger: Path
    broker: Path
    broker_key: Path
    client: Path
    client_key: Path
    locked_key: Path
    """The client's key again, encrypted with KEY_PASSWORD."""


def make_certificates(folder: Path) -> Certificates:
    authority = _authority(folder, "authority")
    stranger = _authority(folder, "stranger")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    broker, broker_key = _signed(folder, "broker", authority, names)
    client, client_key = _signed(folder, "mutual", authority, "extendedKeyUsage=clientAuth")
    locked = folder / "locked.key"
    _openssl(
        "pkcs8", "-topk8", "-in", client_key, "-out", locked, "-passout", f"pass:{KEY_PASSWORD}"
    )
    return Certificates(authority, stranger, broker, broker_key, client, client_key, locked)


def _authority(folder: Path, name: str) -> Path:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate,
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    return certificate


def _signed(folder: Path, name: str, authority: Path, extension: str) -> tuple[Path, Path]:
    certificate, key, request = (folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"{extension}\nauthorityKeyIdentifier=keyid\n")
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    _openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
    _openssl(
        "x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority.with_suffix(".key"),
        "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", certificate,
    )  # fmt: skip
    return certificate, key


def _openssl(*arguments: object) -> None:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
