"""The rules for addresses of repositories, as tables."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccterm.errors import RemoteError
from ccterm.remotes import RemoteAddress, parse_remote, shown
from tests.support.tables import ident

SECRET = "tokenABCDEFGHIJKLMNOP"
SHA = "0123456789abcdef0123456789abcdef01234567"

GOOD_URLS = [
    ("https://github.com/o/r", "https", "github.com/o/r"),
    ("https://github.com/o/r.git", "https", "github.com/o/r"),
    ("https://github.com/o/r/", "https", "github.com/o/r"),
    ("https://github.com/o/r.git/", "https", "github.com/o/r"),
    ("https://GitHub.com/O/R", "https", "github.com/o/r"),
    ("HTTPS://github.com/o/r", "https", "github.com/o/r"),
    ("https://www.github.com/o/r", "https", "github.com/o/r"),
    ("https://github.com:443/o/r", "https", "github.com/o/r"),
    ("git@github.com:o/r.git", "ssh", "github.com/o/r"),
    ("git@github.com:o/r", "ssh", "github.com/o/r"),
    ("git@github.com:/o/r", "ssh", "github.com/o/r"),
    ("ssh://git@github.com/o/r.git", "ssh", "github.com/o/r"),
    ("ssh://git@github.com:22/o/r.git", "ssh", "github.com/o/r"),
    ("ssh://git@ssh.github.com:443/o/r.git", "ssh", "github.com/o/r"),
    ("ssh://git@altssh.gitlab.com:443/g/s/r.git", "ssh", "gitlab.com/g/s/r"),
    ("https://gitlab.com/group/sub/deeper/r", "https", "gitlab.com/group/sub/deeper/r"),
    ("https://gitlab.corp:8443/Group/R.git", "https", "gitlab.corp:8443/Group/R"),
    ("https://gitlab.corp/a/b/c/d/e/f/g", "https", "gitlab.corp/a/b/c/d/e/f/g"),
    ("https://host/r", "https", "host/r"),
    ("https://10.0.0.7/o/r", "https", "10.0.0.7/o/r"),
    ("https://[2001:db8::1]/o/r", "https", "[2001:db8::1]/o/r"),
    ("https://[2001:db8::1]:8443/o/r", "https", "[2001:db8::1]:8443/o/r"),
    ("https://dev.azure.com/org/My%20Project/_git/repo", "https", "dev.azure.com/org/My Project/_git/repo"),
    ("https://org@dev.azure.com/org/p/_git/r", "https", "dev.azure.com/org/p/_git/r"),
    ("git@ssh.dev.azure.com:v3/org/My%20Project/My%20Repo", "ssh", "dev.azure.com/org/My Project/_git/My Repo"),
    ("ssh://git@ssh.dev.azure.com/v3/org/p/r", "ssh", "dev.azure.com/org/p/_git/r"),
    ("org@vs-ssh.visualstudio.com:v3/org/p/r", "ssh", "dev.azure.com/org/p/_git/r"),
    ("https://jdoe@bitbucket.org/team/repo.git", "https", "bitbucket.org/team/repo"),
    ("https://me%40corp.example@git.corp:8443/o/r", "https", "git.corp:8443/o/r"),
    ("https://first.last@[2001:db8::1]/o/r", "https", "[2001:db8::1]/o/r"),
    ("ssh://git@git.corp/o/my%20repo", "ssh", "git.corp/o/my repo"),
    ("https://git.sr.ht/~user/repo", "https", "git.sr.ht/~user/repo"),
    ("https://git_host.corp/o/r", "https", "git_host.corp/o/r"),
    ("https://xn--bcher-kva.example/o/r", "https", "xn--bcher-kva.example/o/r"),
    ("https://host/o/r@1", "https", "host/o/r@1"),
    ("https://host/o/-r", "https", "host/o/-r"),
    ("http://localhost/o/r", "http", "localhost/o/r"),
    ("http://localhost:3000/o/r.git", "http", "localhost:3000/o/r"),
    ("http://127.0.0.1:8080/r", "http", "127.0.0.1:8080/r"),
    ("http://127.9.9.9/r", "http", "127.9.9.9/r"),
    ("http://[::1]:8080/r", "http", "[::1]:8080/r"),
    ("ssh://git@gitlab.corp:2222/o/r.git", "ssh", "gitlab.corp:2222/o/r"),
    ("ssh://gitlab.corp/o/r", "ssh", "gitlab.corp/o/r"),
    ("ssh://me@host/~/r", "ssh", "host/~/r"),
    ("me@host:r", "ssh", "host/r"),
    ("host:r.git", "ssh", "host/r"),
    ("me@host:~me/r", "ssh", "host/~me/r"),
    ("git@[::1]:o/r", "ssh", "[::1]/o/r"),
    ("ssh://git@[::1]:2222/o/r", "ssh", "[::1]:2222/o/r"),
    ("ssh://me@host/home/me/work/.git", "ssh", "host/home/me/work"),
    ("git@host:22/r", "ssh", "host/22/r"),
    ("/srv/r.git", "path", "/srv/r.git"),
    ("/srv/a b/r", "path", "/srv/a b/r"),
    ("/srv/x/../r.git/", "path", "/srv/r.git"),
    ("//srv/r", "path", "/srv/r"),
    ("/srv/ünï/r", "path", "/srv/ünï/r"),
    ("/srv/-r", "path", "/srv/-r"),
    ("/srv/what?#r", "path", "/srv/what?#r"),
    ("/srv/a:b", "path", "/srv/a:b"),
    ("file:///srv/r.git", "path", "/srv/r.git"),
    ("file://localhost/srv/r.git", "path", "/srv/r.git"),
    ("file:///srv/a%20b", "path", "/srv/a b"),
]

USERINFO = [
    f"https://ghp_{SECRET}@github.com/o/r",
    f"https://github_pat_{SECRET}@github.com/o/r",
    f"https://glpat-{SECRET}@gitlab.com/o/r",
    f"https://{SECRET}{SECRET}@dev.azure.com/o/p/_git/r",
    f"https://user:{SECRET}@github.com/o/r",
    f"https://x-access-token:{SECRET}@github.com/o/r.git",
    f"https://{SECRET}:x-oauth-basic@github.com/o/r",
    f"https://oauth2:{SECRET}@gitlab.corp:8443/o/r",
    f"https://:{SECRET}@host/o/r",
    f"https://{SECRET}:@host/o/r",
    f"https://user:{SECRET}%40x@host/o/r",
    f"https://user:{SECRET}%40host/o/r",
    f"https://user%3A{SECRET}@host/o/r",
    f"https://user:{SECRET[:6]}/{SECRET[6:]}@host/o/r",
    f"https://user:{SECRET}/o/r",
    f"https://a@b:{SECRET}@host/o/r",
    f"https://user:{SECRET}＠host/o/r",
    f"https://user:{SECRET}\\@host/o/r",
    f"https://user:{SECRET}?@host/o/r",
    f"https://user:{SECRET}#@host/o/r",
    f"https://user:a?{SECRET}@host/o/r",
    f"https://user:{SECRET}@[::1]/o/r",
    f"http://user:{SECRET}@127.0.0.1:80/r",
    f"HTTPS://user:{SECRET}@host/r",
    f"ssh://git:{SECRET}@host/o/r",
    f"ssh://git:{SECRET}@host:22/o/r",
    f"git:{SECRET}@host:o/r",
    f"https://github.com/o/r?access_token={SECRET}",
    f"https://github.com/o/r?a=b@c&access_token={SECRET}",
    f"https://github.com/o/r#{SECRET}",
    f"https://github.com/o/r?next=https://u:{SECRET}@evil.example/",
    f"https://github.com/o/r?next=https%3A%2F%2Fu%3A{SECRET}%40evil.example",
    f"https://u:{SECRET}@github.com/o/r?x=1",
    f"https://u:{SECRET}@github.com/o/r\nhttps://x",
    f"https://u:{SECRET}@github.com\t/o/r",
    f" https://u:{SECRET}@github.com/o/r",
    f"ftp://u:{SECRET}@host/r",
    f"git://u:{SECRET}@host/r",
    f"ext::curl https://u:{SECRET}@host",
    f"file://u:{SECRET}@host/r",
    f"file:///srv/r?token={SECRET}",
    f"https://u:{SECRET}@host",
    f"https://u:{SECRET}@ho st/o/r",
    f"--upload-pack=https://u:{SECRET}@host/r",
]

BAD_URLS = [
    "", " ", "\n", "-", "-x", "--upload-pack=id", "-oProxyCommand=id", "ssh://-oProxyCommand=id/o/r", "ssh://git@-oProxyCommand=id/r", "-oX@host:r",
    "git@-oProxyCommand=id:r", "git@host:-oX", "git@host:--upload-pack=id", "ssh://host:-1/r",
    "ext::sh -c id", "ext::id% o/r", "fd::17", "foo::https://github.com/o/r", "::x", "transport::address", "ext::ssh://host/r",
    "git://github.com/o/r", "ftp://host/r", "ftps://host/r", "rsync://host/r", "git+ssh://host/r", "ssh+git://host/r", "svn://host/r",
    "javascript://x/r", "data://x/r", "gopher://x/r", "http://github.com/o/r", "http://10.0.0.1/r", "http://0.0.0.0/r", "http://localhost.evil.example/r",
    "http://127.0.0.1.evil.example/r", "http://2130706433/r", "http://0x7f.1/r", "http://127.1/r", "http://[::ffff:8.8.8.8]/r", "http://loopback/r",
    "https://", "https:///o/r", "https://github.com", "https://github.com/", "https://github.com//", "https://github.com//o/r", "https://github.com/o//r",
    "https://github.com/./r", "https://github.com/o/..", "https://github.com/../r", "https://github.com/%2e%2e/r", "https://github.com/o%2f..%2fr",
    "https://github.com/o/r%00", "https://github.com/o/r%0a", "https://github.com/o/r%1b", "https://github.com/o/r%5c", "https://github.com/o/r%zz",
    "https://github.com/o/r%", "https://github.com/o/r?x", "https://github.com/o/r?", "https://github.com/o/r#", "https://github.com/o/r#L1",
    "https://github.com/o r", "https://github.com/o/r ", " https://github.com/o/r", "https://github.com/o/r\n", "https://git\nhub.com/o/r", "https://github.com/o/r\x00",
    "https://github.com/\to/r", "https://github.com/o/r\x1b[31m", "https://github.com/o/\u202er", "https://github.com/o/r\u200b", "https://github.com\\o\\r",
    "https://github.com/o\\r", "https:\\\\github.com\\o", "https:/github.com/o/r", "https:github.com/o/r\\x", "https://github..com/o/r", "https://.github.com/o/r",
    "https://github.com./o/r", "https://-github.com/o/r", "https://github-.com/o/r", "https://gıthub.com/o/r", "https://bücher.example/o/r", "https://github.com/ö/r",
    "https://git%68ub.com/o/r", "https://github.com:0/o/r", "https://github.com:65536/o/r", "https://github.com:99999/o/r", "https://github.com:/o/r",
    "https://github.com:abc/o/r", "https://github.com:4 43/o/r", "https://github.com:443:443/o/r", "https://github.com:٤٤٣/o/r", "https://[::1/o/r", "https://::1/o/r",
    "https://[zz]/o/r", "https://[127.0.0.1]/o/r", "https://[::1]x/o/r", "https://host/.git", "https://" + "a" * 64 + ".example/r", "https://" + "a." * 130 + "b/r",
    "https://host/" + "a" * 3000, "https://github.com/o/r'", "https://github.com/o/r|id", 'https://github.com/o/"r"', "https://github.com/o/<r>", "https://github.com/{o}/r",
    "git@github.com:", "git@github.com:/", "git@:o/r", ":o/r", "git@host:o//r", "git@host:../r", "git@host:o/../r", "git@host:o/r;id", "git@host:$(id)", "git@host:`id`",
    "git@host:o/r'", "git@host:o r", "git@host:o/r%27",
    "git@host:o/r%3bid", "git@host:o/%2e%2e/r", "git@host:o/r%", "git@host:o/r%0a", "git@host:o/r%25",
     "git@host:o/r\nx", "git@host:r?x", "git@host:r#x", "git@ho st:r", "g it@host:r", "a@b@host:r", "[git@host:2222]:o/r", "C:\\work\\r",
    "ssh://git@host", "ssh://git@host/", "ssh://git@host/o/%2e%2e/r", "ssh://git@host/o/r?x", "ssh://git@host/o/r#x", "ssh://git@host:99999/r", "ssh://@host/r", "ssh:///r",
    "file://host/srv/r", "file://", "file:///srv/r?x", "file:///srv/r#x", "file:///srv/%00", "file:///srv/%0a", "file://srv", "file:r\\",
    "o/r", "github.com/o/r", "r", ".", "..", "./r", "../r", "~", "~/r", "/srv/a\x00b", "/srv/a\nb", "/srv/\x1b[2J", "\u2028", "a\ud800b",
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "key"), GOOD_URLS, ids=ident)
def test_all_spellings_of_a_repository_have_one_key(text: str, kind: str, key: str) -> None:
    remote = parse_remote(text)
    assert (remote.kind, remote.url_key) == (kind, key)


@pytest.mark.parametrize(("text", "kind", "key"), GOOD_URLS, ids=ident)
def test_an_address_can_be_parsed_from_its_own_url(text: str, kind: str, key: str) -> None:
    remote = parse_remote(text)
    assert parse_remote(remote.url) == remote
    assert re.fullmatch(r"[A-Za-z0-9._][A-Za-z0-9._-]{16,99}", remote.cache_name)


@pytest.mark.parametrize("text", BAD_URLS, ids=ident)
def test_a_repository_that_could_mean_something_else_is_refused_with_a_fix(text: str) -> None:
    with pytest.raises(RemoteError) as caught:
        parse_remote(text)
    assert caught.value.fix
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", USERINFO, ids=range(len(USERINFO)))
def test_a_refused_url_is_not_repeated_with_its_secret(text: str) -> None:
    with pytest.raises(RemoteError) as caught:
        parse_remote(text)
    for piece in (SECRET, SECRET[:6], SECRET[6:]):
        assert piece not in f"{caught.value}{caught.value.args}"


def test_a_url_with_a_token_says_where_tokens_belong() -> None:
    with pytest.raises(RemoteError, match=r"GH_TOKEN .* \[host\]"):
        parse_remote(USERINFO[0])


def test_a_user_name_that_a_host_put_into_an_address_is_dropped() -> None:
    assert "jdoe" not in repr(parse_remote("https://jdoe@bitbucket.org/team/repo.git"))


def test_the_tables_are_long_enough() -> None:
    assert len(GOOD_URLS) + len(BAD_URLS) + len(USERINFO) >= 220


@pytest.mark.parametrize(
    ("text", "https"),
    [
        ("git@github.com:o/r.git", "https://github.com/o/r.git"),
        ("ssh://git@ssh.github.com:443/o/r.git", "https://github.com/o/r.git"),
        ("ssh://git@gitlab.corp:2222/g/r", "https://gitlab.corp/g/r"),
        ("git@[::1]:o/r", "https://[::1]/o/r"),
        ("git@ssh.dev.azure.com:v3/org/My%20Project/r", "https://dev.azure.com/org/My%20Project/_git/r"),
        ("https://host:8443/o/r", "https://host:8443/o/r"),
        ("/srv/r.git", "/srv/r.git"),
    ],
)
def test_an_ssh_address_has_an_https_form_and_others_stay(text: str, https: str) -> None:
    assert parse_remote(text).https().url == https


def test_the_https_form_may_name_a_port() -> None:
    assert parse_remote("git@gitlab.corp:g/r").https(8443).url == "https://gitlab.corp:8443/g/r"


def test_two_repositories_never_share_a_cache_name() -> None:
    assert parse_remote("https://host/a-b").cache_name != parse_remote("https://host/a/b").cache_name


def test_an_address_is_shown_with_host_and_path() -> None:
    assert parse_remote("git@host:2222/o/r").display == "git@host:2222/o/r"
    assert shown("https://host:8443/o/r") == '"https://host:8443/o/r"'


pieces = st.sampled_from(
    ["https://", "ssh://", "file://", "git@", "host", "github.com", ":", "/", "//", "@", "..", ".git", "%2e", "-", "o", "r", "?", "#", "::", "[::1]", "8080", "\\", "\n", "~", " "]
)  # fmt: skip


@given(st.text(max_size=60) | st.lists(pieces, max_size=9).map("".join))
@example("0:0::")
@example("a::b")
def test_any_text_is_a_safe_address_or_an_error(text: str) -> None:
    try:
        remote = parse_remote(text)
    except RemoteError:
        return
    assert_safe(remote)


def assert_safe(remote: RemoteAddress) -> None:
    assert remote.url.isprintable()
    assert not remote.url.startswith("-")
    assert not remote.host.startswith("-")
    assert not re.match(r"[A-Za-z0-9][A-Za-z0-9+.-]*::", remote.url)  # git takes this for a remote helper
    assert remote.kind in ("https", "http", "ssh", "path")
    assert "@" not in remote.url.split("/")[2] if remote.kind in ("http", "https") else True
    assert ".." not in remote.path.split("/")
