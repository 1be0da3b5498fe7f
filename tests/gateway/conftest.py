"""A gateway whose way to the API leads, by the variables that users have, through a proxy to the loopback API."""

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ccterm.gateway.certificates import CertificateAuthority
from ccterm.gateway.client import Gateway
from tests.gateway.boxes import Boxes, Heard
from tests.servers.connect_proxy import ConnectProxy
from tests.servers.git_http import GitServer
from tests.servers.messages_api import Document, MessagesServer

GIT_HOST = "git.example.com"


@pytest.fixture
def git_ca(tmp_path: Path) -> Path:
    """The authority that signs the certificate of https://git.example.com, and beside it that certificate and its key."""
    return write_authority(tmp_path, GIT_HOST)


def write_authority(directory: Path, host: str) -> Path:
    """Write down an authority for a git host, and beside it a certificate of that host and its key."""
    authority = CertificateAuthority(host)
    leaf = authority.leaf()
    (directory / "git.pem").write_text(leaf.certificate + leaf.key)
    path = directory / "git_ca.pem"
    path.write_text(authority.pem)
    return path


def secure_git_server(ca: Path, root: Path, token: str) -> GitServer:
    """Return a server of the repositories below a directory that asks for a token, with the certificate beside an authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.parent / "git.pem")
    server = GitServer(root, token=token)
    server.secure(context)
    return server


@pytest.fixture
def api_ca(tmp_path: Path) -> Path:
    """The authority that signs the loopback API's certificate, and beside it that certificate and its key."""
    authority = CertificateAuthority()
    leaf = authority.leaf()
    (tmp_path / "api.pem").write_text(leaf.certificate + leaf.key)
    path = tmp_path / "api_ca.pem"
    path.write_text(authority.pem)
    return path


@pytest.fixture
def secure_api(api_ca: Path) -> Iterator[MessagesServer]:
    """The loopback API as api.anthropic.com: with TLS, and an organisation that restricts nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(api_ca.parent / "api.pem")
    server = MessagesServer()
    server.secure(context)
    server.documents["/api/claude_code/policy_limits"] = Document({"restrictions": {}})
    server.documents["/api/web/domain_info"] = Document({"domain": "example.com", "can_fetch": True})
    with server:
        yield server


@pytest.fixture
def proxy(secure_api: MessagesServer) -> Iterator[ConnectProxy]:
    """The user's own proxy."""
    with ConnectProxy(secure_api.port) as opened:
        yield opened


@pytest.fixture
async def boxes(tmp_path: Path, api_ca: Path, secure_api: MessagesServer, proxy: ConnectProxy) -> AsyncIterator[Boxes]:
    """Boxes that ask api.anthropic.com by its name: way B."""
    heard = Heard()
    environ = {"HTTPS_PROXY": proxy.origin, "SSL_CERT_FILE": str(api_ca)}
    async with Gateway(tmp_path / "gw", environ, heard) as gateway:
        yield Boxes(gateway, heard, secure_api, tmp_path / "no-cli", tmp_path)


@pytest.fixture
def claude_boxes(boxes: Boxes, claude_bin: Path) -> Boxes:
    """The same with the real CLI."""
    return boxes.with_cli(claude_bin)


@pytest.fixture
async def own_base(tmp_path: Path, claude_bin: Path) -> AsyncIterator[Boxes]:
    """Boxes of a user with a base URL of their own: way A."""
    heard = Heard()
    with MessagesServer() as api:
        async with Gateway(tmp_path / "gw", {}, heard) as gateway:
            yield Boxes(gateway, heard, api, claude_bin, tmp_path, base_url=api.origin)
