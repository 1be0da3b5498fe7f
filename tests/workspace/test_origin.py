"""What a repository named by the user stands for: URL, working copy, bare repository; and nothing in its configuration is run."""

import os
import shutil
from pathlib import Path

import pytest

from ccterm.errors import PreflightError, RemoteError
from ccterm.workspace.origin import find_origin, is_safe_for_user
from tests.box.programs import wrap_git
from tests.conftest import MakeRemote
from tests.support.git import commit_files, git, make_bare, write_files


@pytest.fixture
def tree(tmp_path: Path, make_remote: MakeRemote) -> Path:
    """Clone a remote to tmp_path/tree."""
    remote = make_remote()
    git(tmp_path, "clone", "--quiet", str(remote), "tree")
    return tmp_path / "tree"


def said(repo: str, cwd: Path) -> str:
    with pytest.raises(RemoteError) as caught:
        find_origin(repo, os.environ, cwd)
    assert caught.value.fix
    return str(caught.value)


def test_a_url_is_itself(tmp_path: Path) -> None:
    origin = find_origin("git@github.com:o/r.git", os.environ, tmp_path)
    assert (origin.repo, origin.root, origin.sentence) == ("git@github.com:o/r.git", None, "")


def test_a_working_copy_stands_for_its_origin(tree: Path, tmp_path: Path) -> None:
    origin = find_origin(str(tree), os.environ, tmp_path)
    assert (origin.repo, origin.root, origin.remote.path, origin.unpushed) == (str(tree), tree, str(tmp_path / "remote.git"), 0)
    assert origin.sentence == f"{tree} stands for its origin {tmp_path / 'remote.git'}"


@pytest.mark.parametrize("repo", [".", "sub", "./sub/", "../tree", "sub/.."])
def test_any_directory_inside_a_working_copy_will_do(tree: Path, repo: str) -> None:
    (tree / "sub").mkdir()
    assert find_origin(repo, os.environ, tree).root == tree


def test_a_home_directory_may_be_written_as_a_tilde(isolation: Path, tmp_path: Path) -> None:
    git(isolation, "init", "--quiet", "--bare", "mine.git")
    assert find_origin("~/mine.git", os.environ, tmp_path).repo == str(isolation / "mine.git")


def test_commits_that_origin_lacks_are_counted(tree: Path) -> None:
    commit_files(tree, {"a": "1"})
    assert "; 1 unpushed commit not included" in find_origin(".", os.environ, tree).sentence
    commit_files(tree, {"b": "1"})
    assert "; 2 unpushed commits not included" in find_origin(".", os.environ, tree).sentence


def test_a_commit_pushed_to_any_branch_counts_as_pushed(tree: Path) -> None:
    commit_files(tree, {"a": "1"})
    git(tree, "push", "--quiet", "origin", "HEAD:other")
    assert find_origin(".", os.environ, tree).unpushed == 0


def test_a_linked_worktree_is_a_working_copy(tree: Path, tmp_path: Path) -> None:
    git(tree, "worktree", "add", "--quiet", "-b", "x", str(tmp_path / "linked"))
    origin = find_origin(str(tmp_path / "linked"), os.environ, tmp_path)
    assert (origin.root, origin.remote.path) == (tmp_path / "linked", str(tmp_path / "remote.git"))


@pytest.mark.parametrize("url", ["https://github.com/o/r.git", "git@github.com:o/r.git", "ssh://git@github.com/o/r"])
def test_the_origin_is_read_as_it_was_written(tree: Path, url: str) -> None:
    git(tree, "remote", "set-url", "origin", url)
    origin = find_origin(".", os.environ, tree)
    assert (origin.remote.url, origin.remote.url_key) == (url, "github.com/o/r")


@pytest.mark.parametrize(
    ("base", "beginning", "text", "url"),
    [
        ("git@github.com:", "https://github.com/", "https://github.com/o/r.git", "git@github.com:o/r.git"),
        ("https://github.com/", "gh:", "gh:o/r", "https://github.com/o/r"),
        ("https://git.corp/", "work://", "work://o/r", "https://git.corp/o/r"),
        ("https://x-access-token:t0ken@github.com/", "https://github.com/", "https://github.com/o/r", "https://github.com/o/r"),
        ("https://mirror.corp/", "https://gitlab.com/", "https://github.com/o/r", "https://github.com/o/r"),
    ],
)
def test_a_rewrite_of_the_users_git_is_followed(
    isolation: Path, tree: Path, tmp_path: Path, base: str, beginning: str, text: str, url: str
) -> None:
    write_files(isolation, {".gitconfig": f'[url "{base}"]\n\tinsteadOf = {beginning}\n'})
    git(tree, "remote", "set-url", "origin", text)
    for repo in (text, "."):
        origin = find_origin(repo, os.environ, tree)
        assert origin.remote.url == url
        assert ("insteadOf" in origin.sentence) is (url != text)
        assert "t0ken" not in repr(origin)


def test_the_longest_rewrite_counts(isolation: Path, tmp_path: Path) -> None:
    rewrites = {"https://a.corp/": "https://github.com/", "https://b.corp/": "https://github.com/o/"}
    write_files(isolation, {".gitconfig": "".join(f'[url "{base}"]\n\tinsteadOf = {start}\n' for base, start in rewrites.items())})
    assert find_origin("https://github.com/o/r", os.environ, tmp_path).remote.url == "https://b.corp/r"
    assert find_origin("https://github.com/p/r", os.environ, tmp_path).remote.url == "https://a.corp/p/r"


def test_a_pushurl_that_names_another_repository_is_said_not_to_be_used(tree: Path) -> None:
    git(tree, "remote", "set-url", "origin", "https://github.com/o/r.git")
    git(tree, "config", "remote.origin.pushurl", "git@github.com:o/r")
    assert "pushurl and" not in find_origin(".", os.environ, tree).sentence
    git(tree, "config", "remote.origin.pushurl", "git@github.com:me/r")
    assert "pushurl and pushInsteadOf are not used" in find_origin(".", os.environ, tree).sentence


@pytest.mark.parametrize(("base", "said"), [("git@github.com:", False), ("https://mirror.corp/", True)])
def test_a_rewrite_for_pushes_alone_is_said_not_to_be_used_where_it_leads_elsewhere(
    isolation: Path, tree: Path, base: str, *, said: bool
) -> None:
    write_files(isolation, {".gitconfig": f'[url "{base}"]\n\tpushInsteadOf = https://github.com/\n'})
    git(tree, "remote", "set-url", "origin", "https://github.com/o/r.git")
    for repo in (".", "https://github.com/o/r.git"):
        origin = find_origin(repo, os.environ, tree)
        assert (origin.remote.url, "pushInsteadOf" in origin.sentence) == ("https://github.com/o/r.git", said)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh")
@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("git@work:o/r.git", "git@github.com:o/r.git"),
        ("work:o/r", "git@github.com:o/r"),
        ("ssh://git@work/o/r", "ssh://git@github.com/o/r"),
        ("git@forge:o/r", "ssh://git@forge.corp:2222/o/r"),
        ("me@forge:r", "ssh://me@forge.corp:2222/~/r"),
        ("git@gitlab.com:o/r", "git@gitlab.com:o/r"),
    ],
)
def test_an_alias_of_the_users_ssh_is_followed(isolation: Path, tree: Path, text: str, url: str) -> None:
    hosts = "Host work\n  HostName github.com\n  User git\n  IdentityFile ~/.ssh/work\nHost forge\n  HostName Forge.corp\n  Port 2222\n"
    write_files(isolation, {".ssh/config": hosts})
    git(tree, "remote", "set-url", "origin", text)
    for repo in (text, "."):
        origin = find_origin(repo, os.environ, tree)
        assert (origin.remote.url, "by your ssh configuration" in origin.sentence) == (url, url != text)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh")
def test_a_jump_host_is_said_not_to_be_used(isolation: Path, tmp_path: Path) -> None:
    write_files(isolation, {".ssh/config": "Host forge.corp\n  ProxyJump bastion.corp\n"})
    assert "its jump host is not used" in find_origin("git@forge.corp:o/r", os.environ, tmp_path).sentence


def test_a_relative_origin_is_resolved_from_the_top(tree: Path, tmp_path: Path) -> None:
    git(tree, "remote", "set-url", "origin", "../remote.git")
    (tree / "sub").mkdir()
    assert find_origin("sub", os.environ, tree).remote.path == str(tmp_path / "remote.git")


def test_a_bare_repository_is_itself(make_remote: MakeRemote, tmp_path: Path) -> None:
    remote = make_remote(name="bare.git")
    for repo in (str(remote), "bare.git", f"file://{remote}"):
        origin = find_origin(repo, os.environ, tmp_path)
        assert (origin.remote.path, origin.root, origin.sentence) == (str(remote), None, "")


def test_a_directory_of_worktrees_stands_for_the_origin_of_its_bare_repository(make_remote: MakeRemote, tmp_path: Path) -> None:
    remote, project = make_remote(), tmp_path / "project"
    git(tmp_path, "clone", "--quiet", "--bare", str(remote), "project/.bare")
    (project / ".git").write_text("gitdir: ./.bare\n")
    git(project, "worktree", "add", "--quiet", "-b", "feature", "feature")
    for place in (project, project / "feature"):
        assert find_origin(str(place), os.environ, tmp_path).remote.path == str(remote)
    assert find_origin(str(project / ".bare"), os.environ, tmp_path).remote.path == str(project / ".bare")


def test_a_bare_repository_is_itself_even_if_the_user_forbids_discovering_them(
    isolation: Path, make_remote: MakeRemote, tmp_path: Path
) -> None:
    (isolation / ".gitconfig").write_text("[safe]\n\tbareRepository = explicit\n")
    assert find_origin(str(make_remote()), os.environ, tmp_path).root is None


def test_a_file_url_of_a_working_copy_means_that_repository(tree: Path, tmp_path: Path) -> None:
    origin = find_origin(f"file://{tree}", os.environ, tmp_path)
    assert (origin.remote.path, origin.root) == (str(tree), None)


def test_a_link_and_its_target_have_the_same_key(make_remote: MakeRemote, tmp_path: Path) -> None:
    remote = make_remote(name="bare.git")
    (tmp_path / "link").symlink_to(remote)
    assert find_origin("link", os.environ, tmp_path).remote.url_key == str(remote)


def test_an_existing_directory_with_a_colon_is_a_path(make_remote: MakeRemote, tmp_path: Path) -> None:
    make_remote(name="host:repo")
    assert find_origin("host:repo", os.environ, tmp_path).remote.kind == "path"


def test_a_working_copy_without_origin_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert "has no remote named origin; git remote add" in said(".", tmp_path)


def test_an_origin_with_a_token_in_it_is_refused_without_repeating_it(tree: Path) -> None:
    git(tree, "remote", "set-url", "origin", "https://user:tokentoken@github.com/o/r")
    words = said(".", tree)
    assert "the origin of" in words
    assert "tokentoken" not in words


def test_an_origin_that_runs_a_command_is_refused(tree: Path) -> None:
    git(tree, "remote", "set-url", "origin", "ext::sh -c touch% pwned")
    assert "remote helper" in said(".", tree)
    assert not (tree / "pwned").exists()


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        ("missing", "is not a directory; name a working copy, or a URL"),
        ("owner/name", "is not a directory; name one, or a URL such as https://github.com/owner/name"),
        ("/dev/null", "is not a directory"),
        (".", "is not a git repository"),
        ("x" * 300, "is not a directory"),
        ("https://h/" + "x" * 3000, "longer than"),
        ("file:///missing", "is not a directory"),
        ("", "is empty"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("\x1b[2J", "control"),
        ("http://github.com/o/r", "not encrypted"),
    ],
    ids=range(12),
)
def test_what_cannot_be_used_is_explained_in_one_sentence(tmp_path: Path, repo: str, words: str) -> None:
    assert words in said(repo, tmp_path)


def test_git_must_be_installed(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="git is not installed"):
        find_origin(".", {"PATH": str(tmp_path)}, tmp_path)


def test_nothing_that_the_repository_configures_is_run(tree: Path, tmp_path: Path) -> None:
    trap = f"touch {tmp_path / 'ran'}; true"
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "diff.external",
        "credential.helper",
        "core.alternateRefsCommand",
    ):
        git(tree, "config", key, trap)
    git(tree, "config", "alias.config", f"!{trap}")
    git(tree, "config", "alias.rev-parse", f"!{trap}")
    git(tree, "config", "filter.x.clean", trap)
    write_files(tree, {".gitattributes": "* filter=x\n", "README.md": "changed\n"})
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        path = tree / ".git" / "hooks" / hook
        path.write_text(f"#!/bin/sh\n{trap}\n")
        path.chmod(0o755)
        git(tree, "config", f"hook.{hook}-too.command", trap)  # from git 2.54 on
        git(tree, "config", f"hook.{hook}-too.event", hook)
    assert find_origin(".", os.environ, tree).root == tree
    assert not (tmp_path / "ran").exists()


def test_git_variables_of_the_caller_have_no_effect(tree: Path, tmp_path: Path, make_remote: MakeRemote) -> None:
    other = make_remote(name="other.git")
    env = {
        **os.environ,
        "GIT_DIR": str(other),
        "GIT_WORK_TREE": str(tmp_path),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "remote.origin.url",
        "GIT_CONFIG_VALUE_0": "https://evil.example/o/r",
    }
    assert find_origin(".", env, tree).remote.path == str(tmp_path / "remote.git")


@pytest.mark.parametrize("words", ["detected dubious ownership in repository at '/x'", "unsafe repository ('/x' is owned by someone else)"])
def test_gits_refusal_of_another_users_repository_is_known_in_the_words_of_every_version(tmp_path: Path, words: str) -> None:
    path = wrap_git(tmp_path / "bin", f'echo "fatal: {words}" >&2; exit 128')
    (tmp_path / "theirs").mkdir()
    with pytest.raises(RemoteError, match="belongs to another user"):
        find_origin("theirs", {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_another_users_working_copy_is_not_read(tree: Path, tmp_path: Path) -> None:
    git(tree, "config", "core.fsmonitor", f"touch {tmp_path}/ran; false")
    for path in (tree, tree / ".git"):
        os.chown(path, 65534, 65534)
    assert "belongs to another user" in said(".", tree)
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_another_users_repository_is_safe_if_the_users_own_configuration_says_so(tmp_path: Path) -> None:
    repository = make_bare(tmp_path / "r.git")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    config = tmp_path / ".gitconfig"
    config.write_text("[safe]\n\tdirectory = *\n")
    assert not is_safe_for_user(repository, env)  # it is the user's own
    os.chown(repository, 65534, 65534)
    assert is_safe_for_user(repository, env)
    config.write_text("")
    assert not is_safe_for_user(repository, env)
