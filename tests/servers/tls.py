"""TLS for servers on the loopback, with certificates as a private authority makes them."""

import shutil
import socketserver
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1, its key, and the certificate of the authority that signed it, as PEM files."""

    path: Path
    key: Path
    authority: Path


def make_certificate(directory: Path, alternative: str = "IP:127.0.0.1") -> Certificate:
    """Make an authority and let it sign a certificate. alternative: whom it is for, as openssl writes it.

    Neither says what its key is for or whose it is, as many that were made by hand: git takes that, Python from 3.13 on does not by itself.
    """
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    key, request, made, names = (directory / name for name in ("key.pem", "request.pem", "certificate.pem", "names"))
    authority, secret = directory / "authority.pem", directory / "authority-key.pem"
    names.write_text(f"subjectAltName={alternative}\n")
    new = ["req", "-newkey", "rsa:2048", "-nodes"]
    _openssl(*new, "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", secret, "-out", authority)
    _openssl(*new, "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request)
    by: list[str | Path] = ["-CA", authority, "-CAkey", secret, "-CAserial", directory / "serial", "-CAcreateserial"]
    _openssl("x509", "-req", "-days", "2", "-in", request, "-extfile", names, *by, "-out", made)
    return Certificate(made, key, authority)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def speak_tls(server: socketserver.TCPServer, certificate: Certificate) -> None:
    """Put a server that does not serve yet behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
