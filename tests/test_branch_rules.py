"""The rules for names of branches and for what they start from, as tables, checked against git itself."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccterm.errors import BranchError
from ccterm.remotes import check_base, check_branch
from tests.support.git import git_environment
from tests.support.tables import ident

SHA = "0123456789abcdef0123456789abcdef01234567"

GOOD_BRANCHES = [
    "main", "a", "0", "_", "A-b", "a.b", "a_b", "feature/login", "fix/1.2.3", "release/2024-01-01", "user/name/topic", "ccterm/add-license", "a/b/c/d/e/f",
    "v1", "1-2", "x--y", "a/-b", "a/_b", "refsx", "refs-x", "heads/main", "HEADS", "headless", "Main", "head-1", "deadbeef", "abc.lockx", "lock", "a/HEAD",
    "dependabot/npm_and_yarn/lodash-4.17.21", "UPPER/lower", "9.9", "a/9", "a-/b", "__", "FETCH_HEAD",
    "feature/#123-fix", "dependabot/npm_and_yarn/@types/node-20", "TICKET-1@fix", "@hotfix/one", "worktree-feat+skill", "a,b", "k=v", "#1", "a#1", "a@b",
    "ä", "täst", "u\u0308bung", "日本", "é", "а", "٣",
    "x" * 244, "a/" * 121 + "b", "ü" * 122, "0" * 39, "0" * 41, "g" * 40,
]  # fmt: skip

BAD_BRANCHES = [
    "", " ", "\t", "-", "-a", "--force", "--receive-pack=touch x", "-c", "--upload-pack=x", "-b",
    "+main", ":main", "main:other", "a:b", ":", "+a:b", "^main", "~1", "a~1", "a^", "a^{}", "@", "@{-1}", "a@{u}",
    "a..b", "..", "../x", "a/../b", "a/..", "...", ".", ".a", "a/.b", "a/.", "a.", "a/b.", "a./b",
    "/a", "a/", "/", "a//b", "//", "a.lock", "a.lock/b", "a/b.lock", "a.LOCK", ".lock",
    "HEAD", "head", "Head", "refs/heads/main", "refs/tags/v1", "refs/x", "refs/",
    "a b", "a\tb", "a\nb", "a\n", "\na", "a\rb", "a\x00b", "\x00", "a\x7f", "a\x1b[31m", "a\x9b", "a\u2028b", "a\u200bb", "a\u202eb",
    "a*b", "a?b", "a[b", "a]b", "a\\b", "a;id", "a|b", "a&b", "a&&id", "$(id)", "a$(id)", "`id`", "a`id`", "${IFS}", "a$b",
    "a<b", "a>b", "(a)", "a(b)", "{a}", "a{b", "a'b", 'a"b', "a!b", "a%b", "~", "\u0308a", "a\ud800", "a\u3164b", "a\ufe0f",
    "x" * 245, "ü" * 123, "x" * 10_000, "a/" * 122 + "b", SHA, SHA.upper(), SHA + "0" * 24, "/" * 50,
]  # fmt: skip

GOOD_BASES = [
    "@types/node",
    "übung",
    "a,b",
    "main",
    "v1.2.3",
    SHA,
    "0abc12",
    "feature/x",
    "a+b",
    "a#1",
    "release@1",
    "refs/tags/v1",
    "refs/heads/main",
]
BAD_BASES = [
    "",
    "-x",
    "--all",
    "a..b",
    "a@{1}",
    "@",
    "a b",
    "a:b",
    "a\n",
    "a~1",
    "a^",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "$(id)",
    "+main",
    "x" * 245,
]


def test_the_tables_are_long_enough() -> None:
    assert len(GOOD_BRANCHES) + len(BAD_BRANCHES) >= 140


@pytest.mark.parametrize("name", GOOD_BRANCHES, ids=ident)
def test_a_plain_branch_name_passes_unchanged(name: str) -> None:
    assert check_branch(name) == name


@pytest.mark.parametrize("name", BAD_BRANCHES, ids=ident)
def test_a_branch_name_with_a_second_meaning_is_refused_with_a_fix(name: str) -> None:
    with pytest.raises(BranchError) as caught:
        check_branch(name)
    assert caught.value.fix
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", GOOD_BASES)
def test_a_branch_tag_or_commit_serves_as_base(name: str) -> None:
    assert check_base(name) == name


@pytest.mark.parametrize("name", BAD_BASES, ids=ident)
def test_a_base_with_a_second_meaning_is_refused(name: str) -> None:
    with pytest.raises(BranchError, match="base"):
        check_base(name)


@given(st.text(max_size=120))
def test_any_text_is_a_branch_or_a_branch_error(name: str) -> None:
    try:
        checked = check_branch(name)
    except BranchError:
        return
    assert checked.isprintable()
    assert not set(checked) & set(" \t\n:^~*?[\\;|&$`<>(){}!\"'%")
    assert checked[0] not in "+-./"


@settings(max_examples=60)
@given(st.from_regex(r"[A-Za-z0-9_.@#+=,ü/-]{1,12}", fullmatch=True))
def test_git_accepts_every_name_that_passes(name: str) -> None:
    try:
        check_branch(name)
    except BranchError:
        return
    command = ["git", "check-ref-format", f"refs/heads/{name}"]
    assert subprocess.run(command, env=git_environment(), timeout=20, check=False).returncode == 0
