"""Settings: file, environment and flags in one model."""

import os
from pathlib import Path

import pytest

from ccterm.errors import SettingsError
from ccterm.models import ExecutionMode
from ccterm.settings import SETUP_INPUTS, Settings, load_settings
from ccterm.settings.model import EngineSettings

WHOLE = """
mode = "local"
max_concurrent = 8
model = "opus"
author = "Robot <robot@example.com>"
engines = ["tcp://one:1234", {host = "ssh://two", capacity = 8}]
base_image = "debian:bookworm-slim"

[limits]
timeout = "1h30m"
silence = 5
budget = 2.5
max_turns = 40

[repo."github.com/O/R"]
setup = "npm ci"
verify = "npm test"
base = "develop"
depth = 50
submodules = true
timeout = "20m"

[host."gitlab.corp:8443"]
kind = "gitlab"
token = "cmd:op read 'op://private/gitlab token'"
ca = "corp.pem"

[env]
CI = "1"
PORT = 8080

[secrets.NPM_TOKEN]
from = "env:MY_NPM_TOKEN"

[secrets.API_KEY]
from = "keyring:api"
steps = ["setup", "agent"]

[services.db]
image = "postgres:16"
port = 5432
env = { POSTGRES_PASSWORD = "postgres" }

[policy]
strict = true
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def load(path: Path, text: str, env: dict[str, str] | None = None) -> Settings:
    path.write_text(text)
    return load_settings(path, env or {})


def test_without_a_file_all_is_as_if_it_had_been_checked() -> None:
    assert load_settings(None, {}).model_dump() == Settings.model_validate({"tui": {}, "limits": {}, "policy": {}}).model_dump()


def test_without_a_file_the_defaults_apply() -> None:
    settings = load_settings(None, {})
    assert (settings.execution_mode, settings.max_concurrent, settings.agent) == (ExecutionMode.DAGGER, 4, "claude")
    assert settings.home == ("CLAUDE.md", "skills", "agents", "commands")
    assert (settings.policy.max_file_mb, settings.policy.max_total_mb) == (50, 200)


def test_the_users_own_file_is_read_when_none_is_named(isolation: Path) -> None:
    path = isolation / "config" / "ccterm" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("max_concurrent = 9")
    assert load_settings(None, {}).max_concurrent == 9


def test_a_complete_file_is_read(written: Path) -> None:
    settings = load(written, WHOLE)
    assert settings.limits.limits().wall_seconds == 5400
    assert settings.limits.limits().silence_seconds == 300
    assert settings.secrets["NPM_TOKEN"].steps == ("setup",)
    assert settings.secrets["API_KEY"].steps == ("setup", "agent")
    assert settings.env == {"CI": "1", "PORT": "8080"}
    assert settings.services["db"].port == 5432


def test_paths_in_the_file_are_relative_to_it(written: Path) -> None:
    assert load(written, WHOLE).host["gitlab.corp:8443"].ca == written.parent / "corp.pem"


def test_a_path_may_start_with_the_home_directory(written: Path, isolation: Path) -> None:
    assert load(written, 'mcp = "~/mcp.json"').mcp == isolation / "mcp.json"


def test_a_repository_gets_its_own_table_over_the_general_settings(written: Path) -> None:
    repo = load(written, WHOLE).for_repo("github.com/o/r")
    assert (repo.setup, repo.base, repo.model, repo.image) == ("npm ci", "develop", "opus", "debian:bookworm-slim")
    assert (repo.limits().wall_seconds, repo.limits().silence_seconds, repo.limits().max_turns) == (1200, 300, 40)
    assert ((options := repo.checkout("github.com/o/r")).depth, options.submodules) == (50, True)


def test_submodules_may_name_the_repositories_that_are_fetched_with_the_users_access(written: Path) -> None:
    text = '[repo."github.com/o/r"]\nsubmodules = ["https://github.com/Acme/Lib.git", "github.com/acme/*", "gitlab.com/acme/other"]'
    options = load(written, text).for_repo("github.com/o/r").checkout("github.com/o/r")
    assert (options.submodules, options.submodule_paths) == (True, ("acme/lib", "acme/*"))


def test_repositories_that_agents_may_read_keep_their_spelling(written: Path) -> None:
    text = '[repo."github.com/o/r"]\ngit_read = ["https://github.com/Acme/Lib.git", "git@github.com:Acme/Lib", "gitlab.corp:8443/a/b/c"]'
    assert load(written, text).for_repo("github.com/o/r").git_read == ("github.com/Acme/Lib", "gitlab.corp:8443/a/b/c")
    assert load(written, text).for_repo("github.com/o/other").git_read == ()


def test_so_may_those_of_a_repository_on_this_machine(written: Path) -> None:
    options = (
        load(written, '[repo."/srv/r.git"]\nsubmodules = ["/srv/Lib.git", "/srv/libs/*"]').for_repo("/srv/r.git").checkout("/srv/r.git")
    )
    assert options.submodule_paths == ("srv/Lib", "srv/libs/*")


def test_a_repository_without_a_table_gets_the_general_settings(written: Path) -> None:
    repo = load(written, WHOLE).for_repo("github.com/o/other")
    assert (repo.setup, repo.model, repo.setup_inputs) == (None, "opus", SETUP_INPUTS)


def test_a_dockerfile_of_a_repository_wins_over_the_general_image(written: Path) -> None:
    repo = load(written, 'base_image = "x"\n[repo."h/r"]\ndockerfile = "Dockerfile"').for_repo("h/r")
    assert (repo.image, repo.dockerfile) == (None, written.parent / "Dockerfile")


@pytest.mark.parametrize("name", ["github.com/O/R.git", "https://github.com/o/r", "git@github.com:o/r.git", "github.com/o/r/"])
def test_a_repository_may_be_named_as_people_name_it(written: Path, name: str) -> None:
    assert list(load(written, f'[repo."{name}"]\ndepth = 1').repo) == ["github.com/o/r"]


def test_the_environment_wins_over_the_file_and_flags_over_both(written: Path) -> None:
    written.write_text("max_concurrent = 2\nmodel = 'a'")
    env = {"CCTERM_MAX_CONCURRENT": "3", "CCTERM_MODE": "local", "CCTERM_MODEL": "ignored"}
    settings = load_settings(written, env, {"max_concurrent": 5, "model": None})
    assert (settings.max_concurrent, settings.execution_mode, settings.model) == (5, ExecutionMode.LOCAL, "a")


@pytest.mark.parametrize(
    ("name", "value", "field", "wanted"),
    [
        ("CCTERM_STATE_DIR", "/x", "state_dir", Path("/x")),
        ("CCTERM_ENGINE", "tcp://a:1, tcp://b:2", "engines", (EngineSettings(host="tcp://a:1"), EngineSettings(host="tcp://b:2"))),
        ("CCTERM_DAGGER_CLI", "/x/dagger", "dagger_cli", Path("/x/dagger")),
        ("CCTERM_BASE_IMAGE", "/x/image.tar", "base_image", "/x/image.tar"),
        ("CCTERM_CLAUDE_BIN", "/x/claude", "claude_bin", "/x/claude"),
        ("CCTERM_SKIP_PERMISSIONS", "1", "skip_permissions", True),
        ("CCTERM_SKIP_PERMISSIONS", "0", "skip_permissions", False),
        ("CCTERM_SKIP_PERMISSIONS", "", "skip_permissions", False),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:8080", "base_url", "http://127.0.0.1:8080"),
    ],
)
def test_scripts_may_rely_on_a_variable(name: str, value: str, field: str, wanted: object) -> None:
    assert getattr(load_settings(None, {name: value}), field) == wanted


def test_a_named_file_must_exist(written: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(written, {})


def test_a_file_that_others_can_change_is_refused(written: Path) -> None:
    written.write_text("")
    written.chmod(0o666)
    with pytest.raises(SettingsError, match="chmod o-w"):
        load_settings(written, {})


def test_a_pipe_or_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(SettingsError, match="not a regular file"):
            load_settings(tmp_path / name, {})


def test_a_byte_order_mark_and_windows_lines_are_fine(written: Path) -> None:
    written.write_bytes(b"\xef\xbb\xbfmax_concurrent = 7\r\nmodel = 'x'\r\n")
    assert load_settings(written, {}).max_concurrent == 7


def test_the_hash_changes_with_any_setting(written: Path) -> None:
    hashes = {load(written, text).settings_hash for text in ("", "max_concurrent = 5", "[limits]\nmax_turns = 3", "[env]\nA = '1'")}
    assert len(hashes) == 4
    assert load(written, "").settings_hash == Settings().settings_hash
