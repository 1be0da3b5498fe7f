"""Settings: file, environment and flags in one model; every error has file, line and the key that was meant; no secret is repeated."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.errors import SettingsError
from ccterm.models import ExecutionMode
from ccterm.settings import SETUP_INPUTS, Settings, load_settings
from ccterm.settings.model import EngineSettings
from ccterm.settings.units import duration, duration_text

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


def fault(path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, text)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


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


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"CCTERM_MODE": "docker"}, "CCTERM_MODE is not valid"),
        ({"CCTERM_MAX_CONCURRENT": "many"}, "CCTERM_MAX_CONCURRENT is not valid"),
        ({"CCTERM_MAX_CONCURRENT": "0"}, "CCTERM_MAX_CONCURRENT is not valid"),
        ({"CCTERM_SKIP_PERMISSIONS": "perhaps"}, "CCTERM_SKIP_PERMISSIONS is not valid"),
        ({"ANTHROPIC_BASE_URL": "https://user:word@host"}, "ANTHROPIC_BASE_URL is not valid"),
    ],
)
def test_an_invalid_variable_is_named(env: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(None, env)


NUMBERS = {
    "max_concurrent": "max_concurrent = {}",
    "limits.timeout": "[limits]\ntimeout = {}",
    "limits.budget": "[limits]\nbudget = {}",
    "limits.max_turns": "[limits]\nmax_turns = {}",
    "limits.max_tokens": "[limits]\nmax_tokens = {}",
    "policy.max_file_mb": "[policy]\nmax_file_mb = {}",
    "policy.max_deletions": "[policy]\nmax_deletions = {}",
    "repo.h/r.depth": '[repo."h/r"]\ndepth = {}',
    "repo.h/r.max_concurrent": '[repo."h/r"]\nmax_concurrent = {}',
    "services.db.port": '[services.db]\nimage = "x"\nport = {}',
    'capacity" in "engines': '[[engines]]\nhost = "tcp://x:1"\ncapacity = {}',
    "env.X": "[env]\nX = {}",
}


@pytest.mark.parametrize("given", ["foo", "unix:///x,foo"])
def test_the_address_that_was_written_is_the_one_in_the_message(written: Path, given: str) -> None:
    said = 'holds "foo", which is not the address of an engine'
    with pytest.raises(SettingsError, match=f"^CCTERM_ENGINE {said}"):
        load_settings(None, {"CCTERM_ENGINE": given})
    written.write_text('[[engines]]\nhost = "foo"\n')
    with pytest.raises(SettingsError, match=f'"host" in "engines" {said}'):
        load_settings(written, {})


@pytest.mark.parametrize("url", ["http://localhost:99999", "http://localhost:x", "http://localhost:0", "http://[::1", "https:///v1"])
def test_an_address_of_the_api_without_a_usable_host_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="ANTHROPIC_BASE_URL names no usable host and port"):
        load_settings(None, {"ANTHROPIC_BASE_URL": url})


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("number", ["9" * 40, "9" * 5000, "0x" + "f" * 5000, "-1" + "0" * 40])
def test_an_absurd_number_gets_a_sentence(written: Path, key: str, number: str) -> None:
    written.write_text(NUMBERS[key].format(number))
    with pytest.raises(SettingsError) as caught:
        load_settings(written, {})
    assert str(written) in str(caught.value)
    assert f'"{key}"' in str(caught.value) or "a number of thousands of digits" in str(caught.value)
    assert len(str(caught.value)) < 400


@given(
    number=st.one_of(
        st.integers().map(str), st.floats().map(repr), st.from_regex(r"-?[0-9]{1,60}(\.[0-9]{1,9})?(e[+-]?[0-9]{1,3})?", fullmatch=True)
    )
)
def test_whatever_a_number_is_it_fits_or_is_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, number: str) -> None:
    written = tmp_path_factory.getbasetemp() / "numbers.toml"
    for key, text in NUMBERS.items():
        written.write_text(text.format(number))
        assert "numbers.toml" in refusal(written) or len(load_settings(written, {}).settings_hash) == 12, key


def refusal(path: Path) -> str:
    """Return the sentence that refuses a file, or ""."""
    try:
        load_settings(path, {})
    except SettingsError as error:
        return str(error)
    return ""


def test_an_invalid_flag_is_named() -> None:
    with pytest.raises(SettingsError, match="--max-concurrent is not valid"):
        load_settings(None, {}, {"max_concurrent": -1})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nmax_concurent = 4", 'FILE, line 2: unknown key "max_concurent"; did you mean max_concurrent'),
        ("[limit]\ntimeout = 3", 'FILE, line 1: unknown key "limit"; did you mean limits'),
        ("[limits]\n\ntimeouts = 3", 'FILE, line 3: unknown key "limits.timeouts"; did you mean timeout'),
        ('[repo."h/r"]\nsetpu = "x"', 'FILE, line 2: unknown key "repo.h/r.setpu"; did you mean setup'),
        ('[host."h"]\ntokn = "env:X"', 'FILE, line 2: unknown key "host.h.tokn"; did you mean token'),
        ('[secrets.X]\nform = "env:X"', 'FILE, line 2: unknown key "secrets.X.form"; did you mean from'),
        ("[secrets.X]", 'FILE, line 1: "secrets.X.from" is missing'),
        ('[services.db]\nimag = "x"\nport = 1', 'FILE, line 2: unknown key "services.db.imag"; did you mean image'),
        ("zzz = 1", "known keys are agent, api_key, author"),
        ("max_concurrent = 0", 'FILE, line 1: "max_concurrent" is not valid; it should be greater than or equal to 1'),
        ('mode = "docker"', "it should be 'local' or 'dagger'"),
        ("[limits]\ntimeout = 'soon'", 'FILE, line 2: "limits.timeout" is not a duration'),
        ("[limits]\ntimeout = 0", "out of range"),
        ("[limits]\nbudget = inf", '"limits.budget" is not valid'),
        ("max_concurrent = ", "FILE, line 1, column"),
        ("a = 1\na = 2", "FILE, line 2"),
        ("x = [" + "[" * 5000, "FILE"),
        ('[repo."not a repo"]\ndepth = 1', "is not the name of a repository"),
        ('[repo."github.com/o/r"]\ndepth = 1\n[repo."github.com/O/R"]\ndepth = 2', "names github.com/o/r twice"),
        ('[repo."h/r"]\nbase = "--all"', "the base"),
        ('[repo."h/r"]\nimage = "a"\ndockerfile = "b"', "both image and dockerfile"),
        ('[host."h/x"]\nkind = "gitlab"', "is not the name of a host"),
        ('[host."h"]\nkind = "svn"', "it should be 'github', 'gitlab', 'gitea', 'bitbucket', 'azure' or 'generic'"),
        ("[env]\n'A-B' = '1'", "is not a valid name for an environment variable"),
        ("[env]\nHOME = '/x'", "the box sets itself"),
        ("[env]\nGIT_SSH_COMMAND = 'id'", "the box sets itself"),
        ("[env]\nLD_PRELOAD = 'id'", "the box sets itself"),
        ("[env]\nX = true", "put it in quotes"),
        ('[repo."h/r"]\nsubmodules = 3', "is not a list of repositories"),
        ('[repo."h/r"]\ngit_read = true', "is not a list of repositories"),
        ('[repo."h/r"]\ngit_read = ["h/*"]', "names something that is not a repository"),
        ('[repo."h/r"]\ngit_read = ["h"]', "names something that is not a repository"),
        ('[repo."h/r"]\ngit_read = ["/srv/r"]', "names something that is not a repository"),
        ('[repo."h/r"]\ngit_read = ["http://localhost/o/r"]', "names something that is not read over https"),
        ('[repo."h/r"]\nsubmodules = []', "is not a list of repositories"),
        ('[repo."h/r"]\nsubmodules = ["x"]', "names something that is not a repository"),
        ('pass_env = ["MY_TOKEN"]', '[secrets.MY_TOKEN] with from = "env:MY_TOKEN"'),
        ('pass_env = ["PYTHONPATH"]', "the box sets itself"),
        ('pass_env = ["A B"]', "is not a valid name"),
        ('[env]\nX = "a\\u0000b"', "NUL"),
        ('[env]\nX = "1"\n[secrets.X]\nfrom = "env:X"', "both in [env] and in [secrets]"),
        ('[secrets.X]\nfrom = "env:X"\nsteps = ["push"]', "it should be 'setup', 'agent' or 'verify'"),
        ('home = ["../.ssh"]', "below its directory"),
        ('home = ["/etc/passwd"]', "below its directory"),
        ("author = 'nobody'", '"author" is not valid'),
        ("author = \"x <a@b>\\nEvil: y\"", '"author" is not valid'),
    ],
)  # fmt: skip
def test_an_error_has_line_and_fix(written: Path, text: str, words: str) -> None:
    assert words in fault(written, text)


@pytest.mark.parametrize(
    "text",
    [
        '[host."h"]\ntoken = "ghp_0123456789abcdefSECRET"',
        '[host."h"]\ntoken = "env:a b SECRET"',
        '[secrets.X]\nfrom = "SECRET"',
        '[secrets.X]\nfrom = "cmd:"',
        '[secrets.X]\nfrom = "file:/SECRET"',
        '[env]\nX = "ghp_0123456789abcdefghijSECRET"',
        '[env]\nX = "sk-ant-oat01-SECRET"',
        '[services.d]\nimage = "x"\nport = 1\nenv = { A = "glpat-SECRET" }',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(written: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written, text)
    shown: BaseException | None = caught.value
    while shown:
        assert "SECRET" not in str(shown)
        shown = shown.__cause__


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


@pytest.mark.parametrize("data", [b"model = '\xff'", "model = 'x'".encode("utf-16"), b"a = '\x00'"])
def test_invalid_toml_is_one_clear_error(written: Path, data: bytes) -> None:
    written.write_bytes(data)
    with pytest.raises(SettingsError, match="line 1"):
        load_settings(written, {})


def test_a_byte_order_mark_and_windows_lines_are_fine(written: Path) -> None:
    written.write_bytes(b"\xef\xbb\xbfmax_concurrent = 7\r\nmodel = 'x'\r\n")
    assert load_settings(written, {}).max_concurrent == 7


def test_the_hash_changes_with_any_setting(written: Path) -> None:
    hashes = {load(written, text).settings_hash for text in ("", "max_concurrent = 5", "[limits]\nmax_turns = 3", "[env]\nA = '1'")}
    assert len(hashes) == 4
    assert load(written, "").settings_hash == Settings().settings_hash


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90s", 90), ("45m", 2700), ("45 min", 2700), ("2h", 7200), ("1h30m", 5400), ("1h 30m", 5400), ("0.5h", 1800), (60, 3600), ("60", 3600), (0.5, 30), ("7d", 604800),
     ("30S", 30)],
)  # fmt: skip
def test_durations_read_as_people_write_them(value: object, seconds: float) -> None:
    assert duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["0.3s", "0.000001s", "1s", "90s", "1.5s", "2m", "90m", "2h", "25h", "7d"])
def test_durations_are_written_as_short_as_they_are_read(text: str) -> None:
    assert duration_text(duration(text)) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "soon",
        "m",
        "1x",
        "-5m",
        "5m!",
        "1h-30m",
        "8d",
        0,
        -1,
        "0",
        1e300,
        float("nan"),
        True,
        None,
        [],
        "9" * 400,
        "9" * 30 + "h",
        "١٠m",
    ],
)
def test_anything_else_is_not_a_duration(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(value)


@given(st.dictionaries(st.text(max_size=20), st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2), max_size=4))
def test_any_overrides_are_settings_or_a_settings_error(values: dict[str, object]) -> None:
    try:
        settings = load_settings(Path(os.devnull).parent / "null-that-is-not", {}) if values.get("\0") else load_settings(None, {}, values)
    except SettingsError:
        return
    assert settings.max_concurrent >= 1
