"""The commands as a user types them: their output, their exit codes, and what `--json` contains."""

import json
import subprocess
from pathlib import Path

import pytest

from ccterm.causes import Cause, ExitCode
from ccterm.cli.console import code_for
from ccterm.models import ExecutionMode, Mode, Run, RunId, State, Task, new_id, now
from tests.conftest import Command
from tests.support.core import ccterm, ccterm_here, documents, local, script
from tests.support.git import branches, files_at, git, tip


@pytest.fixture
def delivered(command: Command, state: Path, remote: Path) -> "subprocess.CompletedProcess[str]":
    """A run that pushed branch x."""
    return command(*local(remote, "x"))


def test_a_run_prints_its_outcome_in_one_line(delivered: "subprocess.CompletedProcess[str]", remote: Path) -> None:
    assert delivered.returncode == 0, delivered.stderr
    assert delivered.stdout.startswith("✓  x  pushed ")
    assert (tip(remote, "x") or "none")[:8] in delivered.stdout
    assert delivered.stderr == ""


def test_json_output_is_events_and_then_the_run_document(state: Path, remote: Path) -> None:
    done = ccterm(*local(remote, "x"), "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [lines[0]["kind"], lines[-2]["kind"], lines[-1]["kind"]] == ["queued", "finished", "run"]
    assert lines[-1]["pushed"] == {"remote": str(remote), "ref": "refs/heads/x", "sha": tip(remote, "x"), "verified": True}


def test_a_task_may_come_from_stdin_or_a_file(command: Command, state: Path, remote: Path, tmp_path: Path) -> None:
    task = script({"write": "n", "text": "n\n"})
    flags = local(remote, "x")[2:]
    assert command("run", "-", *flags, stdin=task).returncode == 0
    (tmp_path / "task.md").write_text(script({"write": "m", "text": "m\n"}))
    assert command("run", "-f", str(tmp_path / "task.md"), *flags).returncode == 0
    assert set(files_at(remote, "x")) == {"a.txt", "n", "m"}


def test_runs_show_logs_and_diff_show_it(command: Command, delivered: "subprocess.CompletedProcess[str]") -> None:
    [run] = json.loads(command("runs", "--json").stdout)
    assert run["number"] == 1
    assert "#1  x" in command("runs").stdout
    shown = command("show", run["id"][:25].lower()).stdout
    assert shown.startswith(f"run        #1  {run['id']}\n")
    assert "succeeded" in shown
    assert shown == command("show", "1").stdout == command("show", "x").stdout
    assert "push" in shown
    logs = command("logs", "last").stdout
    assert "Added new.txt." in logs
    assert "✓ push" in logs
    patch = command("diff", "last").stdout
    assert patch.startswith("diff --git a/new.txt b/new.txt")
    assert json.loads(command("diff", "last", "--json").stdout)["patch"] == patch


def test_the_shell_offers_runs_with_what_they_are(command: Command, state: Path, remote: Path) -> None:
    for branch in ("fix/a", "fix/b"):
        assert command(*local(remote, branch)).returncode == 0
    by_number = completed(state, "show", "")
    assert [offer.split("\t")[0] for offer in by_number] == ["2", "1"]
    assert by_number[0].startswith("2\tfix/b: pushed ")
    assert [offer.split("\t")[0] for offer in completed(state, "show", "fix/")] == ["fix/b", "fix/a"]


def test_the_shell_offers_nothing_where_nothing_is(tmp_path: Path) -> None:
    assert completed(tmp_path / "none", "show", "") in ([], [""])
    assert not (tmp_path / "none").exists()


def test_the_shell_offers_refs_of_the_working_copy_models_and_agents(state: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    for command in (("branch", "fix/a"), ("tag", "v1"), ("update-ref", "refs/remotes/origin/theirs", "main")):
        git(tmp_path, *command)
    run = ("run", "Fix")
    assert completed(state, *run, "--branch", "", cwd=tmp_path) == ["fix/a", "main", "theirs"]
    assert completed(state, *run, "--base", "v", cwd=tmp_path) == ["v1"]
    assert completed(state, *run, "--model", "so", cwd=tmp_path) == ["sonnet"]
    assert completed(state, *run, "--agent", "c", cwd=tmp_path) == ["claude\tClaude Code"]
    assert completed(state, *run, "--egress", "re", cwd=tmp_path) == ["record"]
    assert completed(state, *run, "--egress", "npm,py", cwd=tmp_path) == ["npm,pypi\tpypi.org:443, files.pythonhosted.org:443"]


def completed(state: Path, *typed: str, cwd: Path | None = None) -> list[str]:
    """Ask for completion as fish does, which is the one that gets the help texts in plain words."""
    asked = {
        "_CCTERM_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": " ".join(("ccterm", *typed)),
    }
    return ccterm(cwd=cwd, env={"CCTERM_STATE_DIR": str(state), **asked}).stdout.split("\n")[:-1]


def test_runs_can_be_filtered(command: Command, state: Path, remote: Path) -> None:
    command(*local(remote, "good"))
    command(*local(remote, "bad", script({"fail": "auth"})))
    failed = json.loads(command("runs", "--failed", "--json").stdout)
    assert [run["task"]["branch"] for run in failed] == ["bad"]
    assert len(json.loads(command("runs", "--since", "1h", "-n", "1", "--json").stdout)) == 1


def test_a_run_goes_on_and_is_shown_with_what_it_continues(command: Command, state: Path, remote: Path) -> None:
    command(*local(remote, "x"))
    done = command("continue", "last", script({"append": "new.txt", "text": "more\n"}, {"say": "ok"}), "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout.strip().splitlines()[-1])
    assert run["continues"] == run["attempts"][0]
    shown = command("show", "last").stdout
    assert "continues  #1\n" in shown
    assert "attempts   #1 #2\n" in shown
    other = command("continue", "last", script({"say": "never"}), "--branch", "main")
    assert (other.returncode, "is the default branch of the remote" in other.stderr) == (4, True)
    refused = command("continue", run["continues"], "again", "--branch", "..")
    assert (refused.returncode, "branch" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_all_runs_whose_login_was_refused_go_on_once(command: Command, state: Path, remote: Path) -> None:
    assert command(*local(remote, "x", script({"write": "half.txt", "text": "half\n"}, {"say": "half"}, {"fail": "auth"}))).returncode == 6
    assert command(*local(remote, "y", script({"fail": "server_error"}))).returncode == 1
    assert "ccterm retry --refused" in command("show", next(iter(_failed(command, "auth")))).stdout
    done = command("retry", "--refused", "--json")
    assert done.returncode == 0, done.stderr
    [run] = documents(done.stdout)
    assert (run["task"]["branch"], run["continues"]) == ("x", _failed(command, "auth")[0])  # type: ignore[index]  # a document
    assert files_at(remote, "x")["half.txt"] == b"half\n"
    again = command("retry", "--refused")
    assert (again.returncode, "of no run" in again.stderr) == (0, True)
    assert command("retry").returncode == command("retry", "last", "--refused").returncode == 2


def test_runs_of_one_refused_login_are_told_of_once(command: Command, state: Path, remote: Path, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    tasks = [{"prompt": script({"fail": kind}), "branch": name} for name, kind in (("x", "auth"), ("y", "server_error"), ("z", "auth"))]
    given = {"repo": str(remote), "mode": "local", "agent": "scripted"}
    file.write_text("".join(f"{json.dumps(given | task)}\n" for task in tasks))
    told = command("batch", str(file)).stderr
    assert told.count("Claude refused the login") == told.count("ccterm retry --refused") == 1
    assert "x, z: Claude refused the login" in told
    assert "y: " in told


def _failed(command: Command, cause: str) -> list[str]:
    return [run["id"] for run in json.loads(command("runs", "--failed", "--json").stdout) if run["cause"] == cause]


@pytest.mark.first_is_fast
@pytest.mark.parametrize(("fail", "code"), [("auth", 6), ("usage_limit", 6), ("max_turns", 6), ("server_error", 1)])
def test_the_exit_code_is_that_of_the_cause(fail: str, code: int, state: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ccterm_here(*local(remote, "x", script({"fail": fail})), cwd=remote, monkeypatch=monkeypatch)
    assert done.returncode == code
    assert "ccterm retry" in done.stderr


def test_a_run_that_was_denied_something_is_no_clean_success(state: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = script({"write": "new.txt", "text": "new\n"}, {"permit": "echo b > b.txt"}, {"say": "done"})
    done = ccterm_here(*local(remote, "x", task), cwd=remote, monkeypatch=monkeypatch)
    assert done.returncode == 7
    assert "verified, 1 denied" in done.stdout
    assert "the agent was not allowed to do this: Bash echo b > b.txt" in done.stderr
    assert "look at what it left undone; ccterm continue 1 TEXT goes on" in done.stderr
    assert files_at(remote, "x")["new.txt"] == b"new\n"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({}, ExitCode.DENIED),
        ({"state": State.FAILED, "cause": Cause.POLICY}, ExitCode.POLICY),
        ({"state": State.CANCELLED}, ExitCode.CANCELLED),
    ],
    ids=["succeeded", "refused", "cancelled"],
)
def test_what_was_denied_counts_less_than_a_failure(other: dict[str, object], code: ExitCode) -> None:
    task = Task(prompt="Do it", repo="/somewhere", mode=Mode.PIPELINE, execution_mode=ExecutionMode.LOCAL)
    denied = Run(id=RunId(new_id()), task=task, state=State.SUCCEEDED, created=now(), denied=("Bash rm",))
    assert code_for([denied, denied.model_copy(update={"denied": (), **other})], lambda _: None) == code


def test_a_batch_runs_side_by_side_and_shares_its_exit_code(state: Path, remote: Path, tmp_path: Path) -> None:
    tasks = [
        {"prompt": script({"write": "n", "text": "n\n"}), "branch": "one"},
        {"prompt": script({"fail": "auth"}), "branch": "two"},
        {"prompt": script({"fail": "usage_limit"}), "branch": "three"},
    ]
    common = {"repo": str(remote), "agent": "scripted", "mode": "local"}
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps({**common, **task}) + "\n" for task in tasks))
    done = ccterm("batch", str(path), "--json")
    assert done.returncode == 6
    assert [run["state"] for run in documents(done.stdout)] == ["succeeded", "failed", "failed"]
    assert set(branches(remote)) == {"main", "one"}


def test_fetch_brings_pushed_work_into_the_local_repository(
    command: Command, delivered: "subprocess.CompletedProcess[str]", remote: Path, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", "--branch", "main", "--single-branch", str(remote), "copy")
    done = command("fetch", "last", "--repo", str(tmp_path / "copy"), "--worktree", str(tmp_path / "look"))
    assert done.returncode == 0, done.stderr
    ref = done.stdout.strip()
    assert ref.startswith("refs/ccterm/")
    assert git(tmp_path / "copy", "rev-parse", ref) == tip(remote, "x")
    assert (tmp_path / "look" / "new.txt").read_text() == "new\n"
    assert git(tmp_path / "copy", "status", "--porcelain") == ""


def test_fetch_brings_kept_work_too(command: Command, state: Path, remote: Path, tmp_path: Path) -> None:
    command(*local(remote, "x", script({"write": "half.txt", "text": "half\n"}, {"fail": "auth"})))
    git(tmp_path, "clone", "--quiet", str(remote), "copy")
    ref = command("fetch", "last", cwd=tmp_path / "copy").stdout.strip()
    assert files_at(tmp_path / "copy", ref)["half.txt"] == b"half\n"


def test_fetch_outside_a_repository_is_one_clear_error(
    command: Command, delivered: "subprocess.CompletedProcess[str]", tmp_path: Path
) -> None:
    for repo, said in ((tmp_path, "git rev-parse failed in {}: not a git repository"), (tmp_path / "nowhere", "there is no directory {}")):
        done = command("fetch", "last", "--repo", str(repo))
        assert done.returncode == 2
        assert said.format(repo) in done.stderr
        assert "run it in a git repository, or give --repo" in done.stderr


def test_commands_of_a_working_copy_need_trust(command: Command, state: Path, remote: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(remote), "copy")
    copy = tmp_path / "copy"
    (copy / ".ccterm.toml").write_text('verify = "test -f new.txt"\n')
    refused = command(*local(copy, "x"))
    assert refused.returncode == 2
    assert "ccterm trust" in refused.stderr
    assert command("trust", str(copy)).returncode == 0
    assert command(*local(copy, "x")).returncode == 0
    (copy / ".ccterm.toml").write_text('verify = "true; id"\n')
    assert command(*local(copy, "x")).returncode == 2


@pytest.mark.slow
def test_a_batch_file_runs_its_commands_here_once_it_is_trusted_and_until_it_changes(state: Path, remote: Path, tmp_path: Path) -> None:
    file = tmp_path / "tasks.yaml"
    prompt = json.dumps(script({"say": "ok"}))
    task = f"prompt: {prompt}, repo: {remote}, branch: q, agent: scripted, mode: local, setup: touch {tmp_path}/there"
    file.write_text(f"- {{{task}}}\n")
    refused = ccterm("batch", str(file))
    assert (refused.returncode, (tmp_path / "there").exists()) == (2, False)
    assert f"{file} sets setup for runs on this machine" in refused.stderr
    assert f"ccterm trust {file}" in refused.stderr
    assert ccterm("trust", str(file)).returncode == 0
    assert ccterm("batch", str(file)).returncode == 0
    assert (tmp_path / "there").exists()
    file.write_text(f"- {{{task}; id}}\n")
    assert ccterm("batch", str(file)).returncode == 2


def test_what_is_wrong_with_a_task_is_said_before_what_this_machine_lacks(state: Path, remote: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(
        f"- {{task: x, branch: a, repo: {remote}}}\n- {{task: y, branch: b, repo: {remote}, egress: npm}}\n"
    )
    for wrong in (("run", "x", "--branch", "a", "--repo", str(remote), "--egress", "npm"), ("batch", str(tmp_path / "tasks.yaml"))):
        env = {"CCTERM_CLAUDE_BIN": str(tmp_path / "no-claude")}
        done = ccterm(*wrong, "--mode", "local", env=env)
        assert (done.returncode, "use --mode dagger, or give --egress open" in done.stderr) == (3, True), done.stderr


def test_the_demo_delivers_three_of_four_and_leaves_nothing(state: Path) -> None:
    done = ccterm("demo", timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("verified") == 3
    assert done.stdout.count("✗") == 1
    assert "ccterm retry" not in done.stdout + done.stderr
    assert json.loads(ccterm("runs", "--json").stdout) == []


def test_check_names_every_fix(state: Path, tmp_path: Path) -> None:
    done = ccterm("check", "--mode", "local", "--json", env={"CCTERM_CLAUDE_BIN": str(tmp_path / "no-claude")})
    results = {result["name"]: result for result in json.loads(done.stdout)}
    assert done.returncode == 3
    assert results["network"]["text"] == "network: open"
    assert results["claude"]["status"] == "fail"
    assert "npm install -g @anthropic-ai/claude-code@" in results["claude"]["fix"]
    assert results["git"]["status"] == "pass"
