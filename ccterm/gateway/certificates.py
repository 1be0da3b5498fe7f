"""The certificate authority that boxes trust for the API's name alone, and the certificate that the gateway shows them."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ccterm.gateway.orders import API_HOST

CA_LIFE = timedelta(days=365)
LEAF_LIFE = timedelta(days=30)
_SKEW = timedelta(days=1)
"""A virtual machine's clock may be behind ours."""


class Leaf(NamedTuple):
    """The gateway's own certificate and its key, both PEM."""

    certificate: str
    key: str


class CertificateAuthority:
    """Signs certificates for one host and, by its name constraint, for nothing else. Its key is in memory only."""

    def __init__(self, host: str = API_HOST) -> None:
        self._host = host
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ccterm gateway")])
        constraint = x509.NameConstraints(permitted_subtrees=[x509.DNSName(host)], excluded_subtrees=None)
        self._certificate = (
            _begun(self._name, self._name, self._key, CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(constraint, critical=True)
            .sign(self._key, SHA256())
        )

    @property
    def pem(self) -> str:
        """What a box is to trust."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def leaf(self) -> Leaf:
        """Make a certificate for the host, with a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._host)]), self._name, key, LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(self._host)]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Leaf(certificate.public_bytes(Encoding.PEM).decode(), private.decode())


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
