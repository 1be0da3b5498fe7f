"""A [secrets] value reaches the steps that its table names and nothing else: no other step, record, output or remote."""

import base64
import json
import urllib.parse
from pathlib import Path

import pytest

from ccterm import AgentService
from ccterm.causes import Cause
from ccterm.errors import StepError
from ccterm.models import Run, State
from tests.conftest import Command, MakeRemote
from tests.e2e.arranged import carried_out, configure, found_below
from tests.support.core import documents, draft, local, script
from tests.support.git import branches, files_at, git, tip

VALUE = 'p@ss/w"rd+0123456789&Zx'
SOURCE = "REGISTRY_LOGIN"
"""A name that does not look like a secret's."""
PRINT_ALL_FORMS = r"""cat > "$TMPDIR/forms.py" <<'END'
import base64, html, json, os, urllib.parse
value = os.environ["REGISTRY"]
octets = value.encode()
said = [value, base64.b64encode(octets).decode(), base64.b64encode(b"user:" + octets).decode(), base64.urlsafe_b64encode(octets).decode()]
said += [json.dumps(value), json.dumps(json.dumps(value)), urllib.parse.quote(value), urllib.parse.quote_plus(value), octets.hex(), html.escape(value)]
print("\n".join(f"form {n}: {form}." for n, form in enumerate(said)))
END
python3 "$TMPDIR/forms.py"; python3 "$TMPDIR/forms.py" >&2"""


def _needles() -> tuple[bytes, ...]:
    octets = VALUE.encode()
    texts = [json.dumps(VALUE)[1:-1], json.dumps(json.dumps(VALUE))[3:-3], urllib.parse.quote(VALUE), urllib.parse.quote_plus(VALUE)]
    codes = [base64.b64encode(octets)[:28], base64.b64encode(b"user:" + octets)[8:32], octets.hex().encode()]
    return (octets, *(text.encode() for text in texts), *codes)


NEEDLES = _needles()
"""The forms of the value that PRINT_ALL_FORMS prints, without the parts that neighbouring bytes change."""


@pytest.fixture
def remote(make_remote: MakeRemote) -> Path:
    return make_remote({"README.md": "hello\n"})


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCTERM_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv(SOURCE, VALUE)
    return tmp_path / "state"


def settings(steps: str = "") -> str:
    return f'[secrets.REGISTRY]\nfrom = "env:{SOURCE}"\n' + (f"steps = [{steps}]\n" if steps else "")


HAS = f'test "$(printf %s "$REGISTRY" | wc -c)" = {len(VALUE)}'
HAS_NOT = f"! env | grep -q -e ^REGISTRY= -e ^{SOURCE}="


async def alone(state_dir: Path, remote: Path, task: str, **fields: str) -> Run:
    async with AgentService.open(state_dir) as service:
        return await carried_out(service, draft(remote, task=task, **fields))


@pytest.mark.parametrize(
    "steps", ["", *(pytest.param(steps, marks=pytest.mark.slow) for steps in ('"setup"', '"verify"', '"agent"')), '"setup", "verify"']
)
async def test_only_the_named_steps_have_it(steps: str, state_dir: Path, remote: Path, isolation: Path) -> None:
    configure(isolation, settings(steps))
    named = steps or '"setup"'
    has = {step: HAS if f'"{step}"' in named else HAS_NOT for step in ("setup", "agent", "verify")}
    task = script({"bash": f"if {has['agent']}; then echo as told > agent.txt; fi"}, {"say": "Looked."})
    run = await alone(state_dir, remote, task, setup=has["setup"], verify=has["verify"])
    assert run.state is State.SUCCEEDED, run.summary
    assert files_at(remote, "agent/x")["agent.txt"] == b"as told\n"


@pytest.mark.parametrize("step", ["setup", pytest.param("verify", marks=pytest.mark.slow)])
def test_a_command_that_prints_it_is_masked_everywhere(command: Command, step: str, state_dir: Path, remote: Path, isolation: Path) -> None:
    configure(isolation, settings(f'"{step}"'))
    done = command(*local(remote, "x"), f"--{step}", PRINT_ALL_FORMS, "--json")
    assert documents(done.stdout)[0]["state"] == "succeeded", done.stdout
    told = done.stdout + done.stderr + command("logs", "last").stdout + command("show", "last", "--json").stdout
    assert all(f"form {number}: " in told for number in range(10))
    assert [needle for needle in NEEDLES if needle in told.encode()] == []
    assert found_below(state_dir, NEEDLES) == []


async def test_an_agent_that_prints_it_is_masked_everywhere(state_dir: Path, remote: Path, isolation: Path) -> None:
    configure(isolation, settings('"agent"'))
    run = await alone(state_dir, remote, script({"bash": PRINT_ALL_FORMS}, {"env": True}, {"write": "n", "text": "n\n"}, {"say": "ok"}))
    assert (run.state, run.secret_seen) == (State.SUCCEEDED, True), run.summary
    assert "form 9: " in (state_dir / "runs" / run.id / "transcript.ndjson").read_text()
    assert list((state_dir / "runs" / run.id).glob("*.jsonl"))
    assert found_below(state_dir, NEEDLES) == []


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    "leak",
    [
        'printf %s "$REGISTRY" > leak.txt',
        'printf %s "$REGISTRY" | base64 -w0 > leak.txt',
        'printf "user:%s" "$REGISTRY" | base64 > leak.txt',
        "env > leak.txt",
        'echo x > leak.txt; git add -A; git -c user.name=a -c user.email=a@b commit -q -m "with $REGISTRY"',
    ],
    ids=["raw", "base64", "in longer base64", "environment", "commit message"],
)
async def test_a_commit_that_adds_it_is_not_delivered(leak: str, state_dir: Path, remote: Path, isolation: Path) -> None:
    configure(isolation, settings('"agent"'))
    async with AgentService.open(state_dir) as service:
        run = await carried_out(service, draft(remote, task=script({"bash": leak}, {"say": "Done."})))
        assert (run.state, run.cause, run.reason) == (State.FAILED, Cause.POLICY, "secret"), run.summary
        assert VALUE not in run.model_dump_json()
        assert run.salvage is not None
        with pytest.raises(StepError) as caught:
            await service.push(run.id)
    assert (caught.value.cause, caught.value.reason) == (Cause.POLICY, "secret")
    assert branches(remote).keys() == {"main"}


async def test_the_agents_summary_does_not_bring_it_into_a_commit_message(state_dir: Path, remote: Path, isolation: Path) -> None:
    configure(isolation, settings())
    run = await alone(state_dir, remote, script({"write": "n", "text": "n\n"}, {"say": f"The login is {VALUE}, as told."}))
    assert run.state is State.SUCCEEDED, run.summary
    message = git(remote, "log", "-1", "--format=%B", "agent/x")
    assert "The login is" in message
    assert VALUE not in message


async def test_a_missing_secret_starts_no_agent_and_names_its_table(state_dir: Path, remote: Path, isolation: Path) -> None:
    configure(isolation, '[secrets.REGISTRY]\nfrom = "env:NOBODY_SET_THIS"\n')
    run = await alone(state_dir, remote, script({"say": "here"}), setup="true")
    assert run.state is State.FAILED
    assert "[secrets.REGISTRY]" in run.summary
    assert run.steps == ()


@pytest.fixture
def copy(remote: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(remote), "copy")
    (tmp_path / "copy" / ".ccterm.toml").write_text(f'setup = "echo first > {tmp_path}/setup.txt"\n')
    return tmp_path / "copy"


def test_a_working_copys_commands_run_once_the_user_trusts_them(
    command: Command, state_dir: Path, remote: Path, copy: Path, tmp_path: Path
) -> None:
    refused = command(*local(copy, "x"))
    assert refused.returncode not in (0, 1)
    assert f"ccterm trust {copy}" in refused.stderr
    assert json.loads(command("runs", "--json").stdout) == []
    assert command("trust", str(copy)).returncode == 0
    assert command(*local(copy, "x")).returncode == 0
    assert (tmp_path / "setup.txt").read_text() == "first\n"
    assert command(*local(copy, "y")).returncode == 0  # asked once


def test_trust_depends_on_the_content(command: Command, state_dir: Path, remote: Path, copy: Path) -> None:
    assert command("trust", str(copy)).returncode == 0
    (copy / ".ccterm.toml").write_text('setup = "echo second > setup.txt"\n')
    refused = command(*local(copy, "x"))
    assert "has changed" in refused.stderr
    assert tip(remote, "x") is None


def test_settings_in_a_clone_are_ignored(command: Command, state_dir: Path, make_remote: MakeRemote, tmp_path: Path) -> None:
    remote = make_remote({".ccterm.toml": f'setup = "echo evil > {tmp_path}/setup.txt"\n'}, name="theirs.git")
    assert command(*local(remote, "x")).returncode == 0
    assert not (tmp_path / "setup.txt").exists()
