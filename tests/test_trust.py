"""A working copy's own settings, and the user's trust in their commands: by path and by content."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ccterm.errors import SettingsError, StateError
from ccterm.git.agent_files import config_digest
from ccterm.settings import PROJECT_FILE, Trust, load_project, trust_path

SETUP = 'setup = "npm ci"\nverify = "npm test"\nbase = "develop"\nmodel = "opus"\ninclude = [".env.example"]\n'


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path / "state")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "tree"
    directory.mkdir()
    (directory / PROJECT_FILE).write_text(SETUP)
    return directory


def test_a_working_copy_may_set_its_few_keys(tree: Path, trust: Trust) -> None:
    project = load_project(tree, trust).settings
    assert (project.setup, project.verify, project.base, project.model, project.include) == (
        "npm ci",
        "npm test",
        "develop",
        "opus",
        (".env.example",),
    )


def test_without_a_file_there_is_nothing_to_trust(tmp_path: Path, trust: Trust) -> None:
    project = load_project(tmp_path, trust)
    project.require_trust()
    assert project.settings.setup is None


def test_commands_are_refused_until_the_user_trusts_them(tree: Path, trust: Trust) -> None:
    with pytest.raises(SettingsError, match=f"setup and verify .* ccterm trust {tree}"):
        load_project(tree, trust).require_trust()
    trust_path(tree, trust)
    project = load_project(tree, trust)
    project.require_trust()
    assert project.trusted


def test_a_change_of_one_byte_needs_new_trust(tree: Path, trust: Trust) -> None:
    trust_path(tree, trust)
    (tree / PROJECT_FILE).write_text(SETUP + "\n")
    assert not load_project(tree, trust).trusted


def test_going_back_to_trusted_content_needs_no_new_trust(tree: Path, trust: Trust) -> None:
    trust_path(tree, trust)
    (tree / PROJECT_FILE).write_text("setup = 'other'")
    assert not load_project(tree, trust).trusted
    (tree / PROJECT_FILE).write_text(SETUP)
    assert load_project(tree, trust).trusted


def test_trust_in_one_working_copy_is_not_trust_in_another(tree: Path, trust: Trust, tmp_path: Path) -> None:
    trust_path(tree, trust)
    other = tmp_path / "other"
    other.mkdir()
    (other / PROJECT_FILE).write_text(SETUP)
    assert not load_project(other, trust).trusted


def test_a_link_to_the_working_copy_is_the_same_working_copy(tree: Path, trust: Trust, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    trust_path(tmp_path / "link", trust)
    assert load_project(tree, trust).trusted


def test_keys_without_commands_need_no_trust(tree: Path, trust: Trust) -> None:
    (tree / PROJECT_FILE).write_text('base = "main"')
    project = load_project(tree, trust)
    project.require_trust()
    assert project.settings.base == "main"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('max_concurrent = 9', 'line 1: unknown key "max_concurrent"'),
        ('\n[secrets.X]\nfrom = "cmd:id"', 'line 2: unknown key "secrets"'),
        ('setupp = "x"', "did you mean setup?"),
        ('include = ["../../.ssh/id_ed25519"]', "below its directory"),
        ('base = "-x"', "the base"),
        ('setup = ""', '"setup" is empty'),
    ],
)  # fmt: skip
def test_a_working_copy_may_set_nothing_else(tree: Path, trust: Trust, text: str, words: str) -> None:
    (tree / PROJECT_FILE).write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_project(tree, trust)
    assert words in str(caught.value)


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path, trust: Trust) -> None:
    (tmp_path / "elsewhere").write_text(SETUP)
    (tmp_path / PROJECT_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_project(tmp_path, trust)


def test_a_pipe_in_place_of_the_file_does_not_hang(tmp_path: Path, trust: Trust) -> None:
    os.mkfifo(tmp_path / PROJECT_FILE)
    with pytest.raises(SettingsError, match="not a regular file"):
        load_project(tmp_path, trust)


def test_there_must_be_something_to_trust(tmp_path: Path, trust: Trust) -> None:
    with pytest.raises(SettingsError, match="nothing to trust"):
        trust_path(tmp_path, trust)
    with pytest.raises(SettingsError, match="does not exist"):
        trust_path(tmp_path / "none.yaml", trust)


def test_everything_that_a_working_copy_may_say_is_trusted_at_once_and_named(tree: Path, trust: Trust) -> None:
    (tree / ".worktreeinclude").write_text(".env\n")
    (tree / ".claude").mkdir()
    (tree / ".claude" / "settings.json").write_text("{}")
    assert [path.name for path in trust_path(tree, trust).paths] == [PROJECT_FILE, ".worktreeinclude", ".claude"]
    project = load_project(tree, trust)
    assert project.include == (".env.example", ".env")
    assert project.agent_settings == config_digest(str(tree))


def test_what_cannot_be_trusted_is_named_and_the_rest_is_trusted(tree: Path, trust: Trust) -> None:
    (tree / ".claude").symlink_to("elsewhere")
    trusted = trust_path(tree, trust)
    assert [path.name for path in trusted.paths] == [PROJECT_FILE]
    assert trusted.reasons == ("the agent settings cannot be trusted: .claude is a link or no regular file, and trust goes by content",)


def test_a_file_is_trusted_by_itself_wherever_it_is(tmp_path: Path, trust: Trust) -> None:
    path = tmp_path / "tasks.yaml"
    path.write_bytes(b"x" * (3 << 20))
    assert trust_path(path, trust).paths == (path,)
    assert trust.holds(path, path.read_bytes())
    assert not trust.holds(path, b"x")


def test_patterns_are_read_as_git_reads_them(tree: Path, trust: Trust) -> None:
    (tree / ".worktreeinclude").write_bytes(b"# no\r\n\n.env  \nback\\  \n!x\r\n\xff\n/a/*.key\n")
    trust_path(tree, trust)
    assert load_project(tree, trust).include[1:] == (".env", "back\\ ", "!x", "\ufffd", "/a/*.key")


def test_too_many_patterns_are_refused_in_a_sentence(tree: Path, trust: Trust) -> None:
    (tree / ".worktreeinclude").write_text("a\n" * 1_001)
    with pytest.raises(SettingsError, match="more than 1,000 patterns"):
        load_project(tree, trust)


def test_the_record_of_trust_is_private(tree: Path, trust: Trust, tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        trust_path(tree, trust)
    finally:
        os.umask(previous)
    for path in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").lstat().st_mode) == 0o700


def test_a_damaged_record_trusts_nobody(tree: Path, trust: Trust, tmp_path: Path) -> None:
    trust_path(tree, trust)
    (tmp_path / "state" / "trust.json").write_text("{")
    with pytest.raises(StateError, match="damaged"):
        load_project(tree, trust)


def test_two_trusts_at_once_are_both_kept(tmp_path: Path, trust: Trust) -> None:
    trees = [tmp_path / f"tree{number}" for number in range(16)]
    for tree in trees:
        tree.mkdir()
        (tree / PROJECT_FILE).write_text(SETUP)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tree: trust_path(tree, trust), trees))
    assert all(load_project(tree, trust).trusted for tree in trees)
