"""Whom TLS from this machine believes: the authorities that git and the Claude CLI believe here, too."""

import contextlib
import ssl
from collections.abc import Mapping

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
"""What the user's environment says of authorities."""


def trust_like_claude(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return whom to believe on the way to the Claude API. Blocks for some 25 ms. Raises OSError when certificates cannot be read.

    SSL_CERT_FILE and SSL_CERT_DIR count in place of the usual authorities, which are those of this system and of certifi.
    NODE_EXTRA_CA_CERTS counts besides; where it cannot be read, it is passed over.
    """
    file, directory, extra = (environ.get(name) or None for name in CERTIFICATE_VARIABLES)
    context = _without_further_wishes(ssl.create_default_context(cafile=file, capath=directory))
    if not file and not directory:
        import certifi  # deferred: only here; some Pythons know no authorities of their system

        context.load_verify_locations(certifi.where())
    if extra:
        with contextlib.suppress(OSError):  # as node does, which warns
            context.load_verify_locations(extra)
    return context


def trust_in(certificates: str) -> ssl.SSLContext:
    """Believe these authorities alone, given as PEM text. Raises SSLError."""
    return _without_further_wishes(ssl.create_default_context(cadata=certificates))


def _without_further_wishes(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context take every certificate that git and node take.

    From Python 3.13 on it wants extensions, such as the key usage of an authority, that those of companies often lack.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
