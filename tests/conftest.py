"""Fixtures for all tests. Above all, they isolate tests from the user's logins, configuration and ccterm state."""

import gc
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path

import hypothesis
import pytest

from ccterm.output.own_text import forget
from tests.support import git as support
from tests.support.core import ccterm_here

CLAUDE_VERSION = "2.1.330"
SLOW_TIMEOUT = 1500.0
_ROUNDS = float(os.environ.get("CCTERM_TEST_ROUNDS", "1"))
_CLAUDE_REQUIRED = os.environ.get("CCTERM_REQUIRE_CLAUDE") == "1"
"""Read before `isolation` takes them away: ccterm would warn of variables that it does not know."""

_LEAKS = re.compile(
    r"CCTERM_(?!CLAUDE_BIN$)|GIT_|GH_|GITHUB_|GITLAB_|ANTHROPIC_|CLAUDE|SSH_A|XDG_|DBUS_|PYTHON_KEYRING|EMAIL$|IS_SANDBOX$|(https?|all|no)_proxy$",
    re.IGNORECASE,
)

hypothesis.settings.register_profile("ccterm", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("ccterm")

_numbers = count()
MakeRemote = Callable[..., Path]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make further cases of a test slow where it says so, and give slow tests the time that they need."""
    begun = set()
    for item in items:
        if item.get_closest_marker("first_is_fast"):
            name = item.nodeid.partition("[")[0]
            if name in begun:
                item.add_marker(pytest.mark.slow)
            begun.add(name)
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


def pytest_collection_finish() -> None:
    """Exempt what is loaded by now from garbage collection, which would scan all of it again and again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def isolation(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test its own empty HOME, which is returned, an environment without logins, and a process that has read no secret."""
    for name in [name for name in os.environ if _LEAKS.match(name)]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "home" / str(next(_numbers))  # mktemp would list all existing homes
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for kind in ("CONFIG", "CACHE", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    forget()
    return home


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for images that all tests share, and the HOME of Dagger CLIs."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def rounds() -> Callable[[int], int]:
    """Scale the number of rounds of a slow battery by CCTERM_TEST_ROUNDS, to at least one."""
    return lambda count: max(1, round(count * _ROUNDS))


@pytest.fixture
def make_remote(tmp_path: Path) -> MakeRemote:
    """Make bare repositories below tmp_path with one commit on their default branch."""

    def make(files: Mapping[str, support.FileBody] | None = None, *, name: str = "remote.git", branch: str = "main") -> Path:
        return support.make_remote(tmp_path / name, files or {"README.md": "# Example\n"}, branch)

    return make


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in this process: command(*args, cwd=, stdin=)."""
    return partial(ccterm_here, monkeypatch=monkeypatch)


@pytest.fixture(scope="session")
def claude_bin() -> Path:
    """Return the real Claude CLI of the pinned version; skip without it, or fail where it is required."""
    named = os.environ.get("CCTERM_CLAUDE_BIN") or shutil.which("claude")
    reason = _unfit(named)
    if named and not reason:
        return Path(named)
    if _CLAUDE_REQUIRED:
        pytest.fail(f"the Claude CLI is required: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _claude_at_hand(request: pytest.FixtureRequest) -> None:
    """Skip or fail a test marked `claude` that did not ask for the CLI itself."""
    if request.node.get_closest_marker("claude"):
        request.getfixturevalue("claude_bin")


def _unfit(named: str | None) -> str:
    if not named:
        return f"no Claude CLI {CLAUDE_VERSION}: set CCTERM_CLAUDE_BIN"
    try:
        answer = subprocess.run([named, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except OSError as error:
        return f"{named} does not start: {error}"
    return "" if answer.split(" ")[0] == CLAUDE_VERSION else f"{named} is version {answer.strip()!r}, not {CLAUDE_VERSION}"
