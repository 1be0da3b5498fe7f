"""The exported login: only an access token, private from the start, never written through a planted name, and the same from both doors:
`ccterm auth export`, and the shell script for machines without ccterm."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.credentials.export_doors import ROOT, SCRIPT, Door, by_ccterm, by_script
from tests.credentials.login_documents import ACCESS, MALFORMED, REFRESH, SCOPES, UNUSABLE, login, soon


@pytest.fixture(params=[by_ccterm, by_script], ids=["ccterm", "script"])
def export(request: pytest.FixtureRequest) -> Door:
    door: Door = request.param
    return door


def test_the_copy_holds_the_access_token_and_no_refresh_token(own: Path, copy: Path, env: dict[str, str], export: Door) -> None:
    said = export(env)
    assert said.startswith("a new token, ")
    assert REFRESH not in copy.read_text()
    oauth = json.loads(copy.read_text())["claudeAiOauth"]
    assert (set(oauth), oauth["accessToken"], oauth["scopes"]) == (
        {"accessToken", "scopes", "expiresAt", "subscriptionType"},
        ACCESS,
        SCOPES,
    )


@pytest.mark.parametrize(
    "document",
    [
        login(),
        login(expiresAt=soon(0.501)),
        login(subscriptionType=None),
        login(expiresAt=soon() // 1000),
        login(scopes=["user:inference"], rateLimitTier="x", mcp=[{}, None]),
    ],
    ids=["whole", "short", "no plan", "seconds", "more"],
)
def test_both_doors_write_the_same_bytes(own: Path, copy: Path, env: dict[str, str], document: bytes) -> None:
    own.write_bytes(document)
    first = by_ccterm(env)
    written = copy.read_bytes()
    copy.unlink()
    assert (by_script(env), copy.read_bytes()) == (first, written)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o177], ids=oct)
def test_the_copy_is_private_whatever_the_umask(own: Path, copy: Path, env: dict[str, str], export: Door, umask: int) -> None:
    before = os.umask(umask)
    try:
        export(env)
    finally:
        os.umask(before)
    assert (stat.S_IMODE(copy.stat().st_mode), stat.S_IMODE(copy.parent.stat().st_mode)) == (0o600, 0o700)


def test_nothing_of_claudes_own_is_written_and_nothing_is_left_beside(own: Path, copy: Path, env: dict[str, str], export: Door) -> None:
    before = own.read_bytes()
    export(env)
    assert own.read_bytes() == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_what_a_killed_export_left_goes_with_the_next(own: Path, copy: Path, env: dict[str, str], export: Door) -> None:
    copy.parent.mkdir(mode=0o700)
    left = copy.with_name(f"{copy.name}.abandoned")
    left.write_text(ACCESS)
    os.utime(left, (0, 0))
    copy.with_name("setup-token.json").write_text("another's")
    export(env)
    assert {path.name for path in copy.parent.iterdir()} == {copy.name, "setup-token.json"}


def test_a_second_export_says_whether_it_is_the_same_token(own: Path, copy: Path, env: dict[str, str], export: Door) -> None:
    export(env)
    assert export(env).startswith("the same token as before, ")
    own.write_bytes(login(accessToken="newer-token-1234"))
    assert export(env).startswith("a new token, ")
    assert "newer-token-1234" in copy.read_text()


FEW = ("not json", "cut", "nul byte", "not utf-8", "token is a number", "expiry is a float")


@pytest.mark.parametrize("name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in MALFORMED])
def test_a_malformed_login_is_refused_and_never_shown(own: Path, copy: Path, env: dict[str, str], name: str) -> None:
    own.write_bytes(MALFORMED[name])
    said = by_script(env)
    assert said == by_ccterm(env)
    assert said.startswith(f"refused: the Claude login in {own} is malformed; ")
    assert not copy.parent.exists()


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_login_is_refused_with_the_fix(own: Path, copy: Path, env: dict[str, str], name: str) -> None:
    data, words = UNUSABLE[name]
    own.write_bytes(data)
    said = by_script(env)
    assert said == by_ccterm(env)
    assert f"the Claude login in {own} {words}" in said
    assert ACCESS not in said
    assert not copy.parent.exists()


def nothing(own: Path) -> None:
    own.unlink()


def a_directory(own: Path) -> None:
    own.unlink()
    own.mkdir()


def a_pipe(own: Path) -> None:
    own.unlink()
    os.mkfifo(own)


@pytest.mark.parametrize("arrange", [nothing, a_directory, a_pipe])
def test_without_a_login_file_there_is_nothing_to_export(own: Path, env: dict[str, str], arrange: Callable[[Path], None]) -> None:
    arrange(own)
    said = by_script(env)
    assert said == by_ccterm(env)
    assert said.startswith("refused: ")


def test_a_login_without_an_end_is_not_exported(own: Path, env: dict[str, str]) -> None:
    own.write_bytes(login(expiresAt=None))
    assert by_script(env) == by_ccterm(env)
    assert "does not say when it expires" in by_ccterm(env)


def test_the_directory_of_the_login_may_be_moved(own: Path, copy: Path, env: dict[str, str], export: Door, tmp_path: Path) -> None:
    (tmp_path / ".credentials.json").write_bytes(login(accessToken="moved-token-1234"))
    export({**env, "CLAUDE_CONFIG_DIR": str(tmp_path)})
    assert "moved-token-1234" in copy.read_text()


def linked_directory(copy: Path, elsewhere: Path) -> None:
    copy.parent.symlink_to(elsewhere)


def dangling_directory(copy: Path, elsewhere: Path) -> None:
    copy.parent.symlink_to(elsewhere / "nowhere")


def file_for_directory(copy: Path, elsewhere: Path) -> None:
    copy.parent.write_text("mine")


def open_directory(copy: Path, elsewhere: Path) -> None:
    copy.parent.mkdir()
    copy.parent.chmod(0o777)


def group_directory(copy: Path, elsewhere: Path) -> None:
    copy.parent.mkdir()
    copy.parent.chmod(0o770)


def foreign_directory(copy: Path, elsewhere: Path) -> None:
    copy.parent.mkdir(mode=0o700)
    _give_away(copy.parent)


def linked_file(copy: Path, elsewhere: Path) -> None:
    copy.parent.mkdir(mode=0o700)
    (elsewhere / "mine").write_text("mine")
    copy.symlink_to(elsewhere / "mine")


def directory_for_file(copy: Path, elsewhere: Path) -> None:
    copy.mkdir(mode=0o700, parents=True)


def pipe_for_file(copy: Path, elsewhere: Path) -> None:
    copy.parent.mkdir(mode=0o700)
    os.mkfifo(copy)


def foreign_file(copy: Path, elsewhere: Path) -> None:
    copy.parent.mkdir(mode=0o700)
    copy.write_text("theirs")
    _give_away(copy)


def _give_away(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(path, 1234, 1234)


PLANTED = [
    linked_directory, dangling_directory, file_for_directory, open_directory, group_directory, foreign_directory, linked_file, directory_for_file,
    pipe_for_file, foreign_file,
]  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_layout_is_refused_and_left_alone(
    own: Path, copy: Path, env: dict[str, str], export: Door, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plant(copy, elsewhere)
    assert export(env).startswith("refused: ")
    assert [path.read_text() for path in elsewhere.iterdir()] in ([], ["mine"])
    assert not any(ACCESS in path.read_text() for path in copy.parent.rglob("*") if path.is_file())


def test_the_script_prints_the_path_alone(own: Path, copy: Path, env: dict[str, str]) -> None:
    done = subprocess.run([SCRIPT, "--print-path"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, f"{copy}\n")
    assert ACCESS not in done.stdout + done.stderr


def test_the_script_explains_itself_and_refuses_other_arguments(env: dict[str, str]) -> None:
    asked = subprocess.run([SCRIPT, "--help"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (asked.returncode, "--print-path" in asked.stdout, "#" in asked.stdout) == (0, True, False)
    wrong = subprocess.run([SCRIPT, "--force"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (wrong.returncode, "--force" in wrong.stderr) == (2, True)


def test_exports_side_by_side_leave_one_whole_file(own: Path, copy: Path, env: dict[str, str]) -> None:
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(by_ccterm(env))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 16
    assert not any(words.startswith("refused") for words in said)
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    assert json.loads(copy.read_text())["claudeAiOauth"]["accessToken"] == ACCESS


FOREVER = "import os\nfrom ccterm.credentials.export import export_login\nwhile True: export_login(os.environ, platform='linux'); os.write(1, b'.')"


def check_killed_export(own: Path, copy: Path, env: dict[str, str], reads: int) -> None:
    """Kill a process that exports all the time, while the login changes; the copy must be an old or a new one, and private."""
    with subprocess.Popen([sys.executable, "-c", FOREVER], env=env, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(1)
        own.write_bytes(login(accessToken="another-token-1234"))
        process.stdout.read(reads)
        process.send_signal(signal.SIGKILL)
    assert json.loads(copy.read_bytes())["claudeAiOauth"]["accessToken"] in (ACCESS, "another-token-1234")
    assert {stat.S_IMODE(path.stat().st_mode) for path in copy.parent.iterdir()} == {0o600}
    own.write_bytes(login())


def test_an_export_that_is_killed_leaves_an_old_or_a_new_file(own: Path, copy: Path, env: dict[str, str]) -> None:
    check_killed_export(own, copy, env, 1)


@pytest.mark.slow
def test_many_exports_that_are_killed_leave_old_or_new_files(
    own: Path, copy: Path, env: dict[str, str], rounds: Callable[[int], int]
) -> None:
    for count in range(rounds(100)):
        check_killed_export(own, copy, env, count % 7)


@pytest.mark.skipif(not any(Path(place, "shellcheck").exists() for place in os.get_exec_path()), reason="shellcheck is not installed")
def test_the_script_is_free_of_what_shellcheck_finds() -> None:
    done = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
