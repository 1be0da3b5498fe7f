"""An address is taken apart as git does it."""

import pytest

from ccterm.git.address import Authority, GitAddress, is_loopback, resolve_relative, split_address, split_authority
from ccterm.git.git import GitError
from ccterm.git.remote import Remote


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("HTTPS://Host:443/o/r?q#f", GitAddress("url", "https", "Host:443", "/o/r", "?q#f")),
        ("ssh://git@host:22/o/r", GitAddress("url", "ssh", "git@host:22", "/o/r")),
        ("file:///srv/r", GitAddress("url", "file", "", "/srv/r")),
        ("git@host:o/r", GitAddress("scp", "ssh", "git@host", "o/r")),
        ("host:r", GitAddress("scp", "ssh", "host", "r")),
        ("git@[::1]:r", GitAddress("scp", "ssh", "git@[::1]", "r")),
        ("ext::sh -c id", GitAddress("helper", "ext", "", "sh -c id")),
        ("/srv/a:b", GitAddress("path", "", "", "/srv/a:b")),
        ("./a:b", GitAddress("path", "", "", "./a:b")),
        ("mirror", GitAddress("path", "", "", "mirror")),
    ],
)
def test_an_address_has_a_form_and_parts(text: str, parts: GitAddress) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("git@Host:2222", Authority("git", "host", 2222)),
        ("host:22", Authority(None, "host", None)),
        ("[::1]:80", Authority(None, "::1", 80)),
        ("", None),
        ("user:password@host", None),
        ("[::1", None),
        ("host:x", None),
    ],
)
def test_an_authority_is_user_host_and_port(text: str, authority: Authority | None) -> None:
    assert split_authority(text, "ssh") == authority


@pytest.mark.parametrize(("host", "near"), [("localhost", True), ("127.9.9.9", True), ("::1", True), ("127.1", False), ("10.0.0.1", False)])
def test_only_this_machine_is_loopback(host: str, near: bool) -> None:
    assert is_loopback(host) is near


@pytest.mark.parametrize(
    ("address", "parent", "resolved"),
    [
        ("https://other/r", "https://host/o/r", "https://other/r"),
        ("../lib", "https://host/o/r", "https://host/o/lib"),
        ("../../p/lib", "https://host/o/r/", "https://host/p/lib"),
        ("./lib", "https://host/o/r", "https://host/o/r/lib"),
        ("../lib", "git@host:o/r", "git@host:o/lib"),
        ("../lib", "git@host:r", "git@host:lib"),
        ("../../p/lib", "git@host:o/r", "git@host:p/lib"),
        ("../lib", "/srv/r", "/srv/lib"),
    ],
)
def test_a_relative_address_is_resolved_as_git_does_it(address: str, parent: str, resolved: str) -> None:
    assert resolve_relative(address, parent) == resolved


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c id", "git://host/r", "https://user@host/r", "http://10.0.0.1/r", "http://host.example/r", "https:///r", "https://host:99999/r",
        "-oProxyCommand=id:r", "u@-oProxyCommand=id:r", "ssh://-oProxyCommand=id/r", "[host:22]:r:x",
    ],
)  # fmt: skip
def test_a_box_refuses_what_git_must_not_be_given(address: str) -> None:
    with pytest.raises(GitError) as caught:
        Remote(address)
    assert caught.value.reason == "protocol"


@pytest.mark.parametrize(
    ("address", "sibling", "url"),
    [
        ("https://host/o/r", "https://host/o/lib", "https://host/o/lib"),
        ("https://host/o/r", "https://host:443/o/lib", "https://host:443/o/lib"),
        ("https://host:8443/o/r", "git@host:o/lib", "https://host:8443/o/lib"),
        ("https://host/o/r", "ssh://git@host:2222/o/lib", "https://host/o/lib"),
    ],
)
def test_a_sibling_is_on_the_same_host(address: str, sibling: str, url: str) -> None:
    assert Remote(address).sibling(sibling).url == url


@pytest.mark.parametrize("sibling", ["https://other/o/lib", "https://host:8443/o/lib", "git@other:o/lib", "/srv/lib"])
def test_no_other_host_gets_the_credential(sibling: str) -> None:
    with pytest.raises(GitError, match="not on the host"):
        Remote("https://host/o/r", header="Authorization: secret").sibling(sibling)
