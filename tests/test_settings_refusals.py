"""What is wrong with settings: every error has file, line and the key that was meant; no secret is repeated."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.errors import SettingsError
from ccterm.settings import load_settings
from ccterm.settings.project import ProjectSettings
from ccterm.settings.toml_file import parse_all
from tests.test_settings import load


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def fault(path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, text)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"CCTERM_MODE": "docker"}, "CCTERM_MODE has an unknown value; give 'local' or 'dagger'"),
        ({"CCTERM_MAX_CONCURRENT": "many"}, "CCTERM_MAX_CONCURRENT is not a whole number"),
        ({"CCTERM_MAX_CONCURRENT": "0"}, "CCTERM_MAX_CONCURRENT is too small; give at least 1"),
        ({"CCTERM_SKIP_PERMISSIONS": "perhaps"}, "CCTERM_SKIP_PERMISSIONS is neither true nor false"),
        ({"ANTHROPIC_BASE_URL": "https://user:word@host"}, "ANTHROPIC_BASE_URL is not the address of an API"),
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
    with pytest.raises(SettingsError, match="--max-concurrent is too small"):
        load_settings(None, {}, {"max_concurrent": -1})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nmax_concurent = 4", 'FILE, line 2: unknown key "max_concurent"; did you mean max_concurrent?'),
        ("[limit]\ntimeout = 3", 'FILE, line 1: unknown key "limit"; did you mean limits?'),
        ("[limits]\n\ntimeouts = 3", 'FILE, line 3: unknown key "limits.timeouts"; did you mean timeout?'),
        ('[repo."h/r"]\nsetpu = "x"', 'FILE, line 2: unknown key "repo.h/r.setpu"; did you mean setup?'),
        ('[host."h"]\ntokn = "env:X"', 'FILE, line 2: unknown key "host.h.tokn"; did you mean token?'),
        ('[secrets.X]\nform = "env:X"', 'FILE, line 2: unknown key "secrets.X.form"; did you mean from?'),
        ("[secrets.X]", 'FILE, line 1: "secrets.X.from" is missing'),
        ('[services.db]\nimag = "x"\nport = 1', 'FILE, line 2: unknown key "services.db.imag"; did you mean image?'),
        ("zzz = 1", "known keys are agent, api_key, author"),
        ("max_concurrent = 0", 'FILE, line 1: "max_concurrent" is too small; give at least 1'),
        ('mode = "docker"', "give 'local' or 'dagger'"),
        ("[limits]\ntimeout = 'soon'", 'FILE, line 2: "limits.timeout" is not a duration'),
        ("[limits]\ntimeout = 0", "out of range"),
        ("[limits]\nbudget = inf", '"limits.budget" is not a finite number'),
        ("max_concurrent = ", "FILE, line 1, column"),
        ("a = 1\na = 2", "FILE, line 2"),
        ("x = [" + "[" * 5000, "FILE"),
        ('[repo."not a repo"]\ndepth = 1', "is not the name of a repository"),
        ('[repo."github.com/o/r"]\ndepth = 1\n[repo."github.com/O/R"]\ndepth = 2', "names github.com/o/r twice"),
        ('[repo."h/r"]\nbase = "--all"', "the base"),
        ('[repo."h/r"]\nimage = "a"\ndockerfile = "b"', "both image and dockerfile"),
        ('[host."h/x"]\nkind = "gitlab"', "is not the name of a host"),
        ('[host."h"]\nkind = "svn"', "give 'github', 'gitlab', 'gitea', 'bitbucket', 'azure' or 'generic'"),
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
        ('[secrets.X]\nfrom = "env:X"\nsteps = ["push"]', "give 'setup', 'agent' or 'verify'"),
        ('home = ["../.ssh"]', "below its directory"),
        ('home = ["/etc/passwd"]', "below its directory"),
        ("author = 'nobody'", '"author" is not an author; write it as "Name <address>"'),
        ("author = \"x <a@b>\\nEvil: y\"", '"author" is not an author; write it as "Name <address>"'),
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


@pytest.mark.parametrize("data", [b"model = '\xff'", "model = 'x'".encode("utf-16"), b"a = '\x00'"])
def test_invalid_toml_is_one_clear_error(written: Path, data: bytes) -> None:
    written.write_bytes(data)
    with pytest.raises(SettingsError, match="line 1"):
        load_settings(written, {})


@given(st.dictionaries(st.text(max_size=20), st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2), max_size=4))
def test_any_overrides_are_settings_or_a_settings_error(values: dict[str, object]) -> None:
    try:
        settings = load_settings(Path(os.devnull).parent / "null-that-is-not", {}) if values.get("\0") else load_settings(None, {}, values)
    except SettingsError:
        return
    assert settings.max_concurrent >= 1


def test_all_faults_of_a_file_are_named_with_their_lines_however_many() -> None:
    content = "".join(f"key{number} = 1\n" for number in range(4000)).encode()
    found = parse_all(Path("/copy/.ccterm.toml"), content, ProjectSettings)[1]
    # in a second or so; with each fault's line sought anew, it would take a quarter of an hour
    assert [error.message.partition(":")[0] for error in found] == [f"/copy/.ccterm.toml, line {number}" for number in range(1, 4001)]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a." * 99 + "a = 1", id="dotted"),
        pytest.param("x = {a = 1}\nx.b = " + "[" * 200 + "]" * 200, id="extended"),
        pytest.param("a = " + "[" * 250 + "]" * 250, id="lists"),
    ],
)
def test_what_is_nested_deeply_is_refused_in_a_sentence(value: str) -> None:
    assert parse_all(Path("/copy/.ccterm.toml"), f"{value}\n".encode(), ProjectSettings)[1]


@pytest.mark.parametrize("key", ["a." * 500_000 + "b = 1", "[" + "a . " * 200_000 + "b]", "x = {" + "'a'.\"b\"." * 100_000 + "c = 1}"])
def test_a_key_without_end_is_refused_before_it_is_read(key: str) -> None:
    [error] = parse_all(Path("/copy/.ccterm.toml"), f"x.y = 1\n{key}\n".encode(), ProjectSettings)[1]  # to read it would take hours
    assert str(error).startswith("/copy/.ccterm.toml, line 2: a key of more than a hundred parts; write tables")
