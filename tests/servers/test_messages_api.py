import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import JsonValue, TypeAdapter

from tests.servers.loopback import Gate
from tests.servers.messages_api import MessagesServer
from tests.servers.model_script import (
    CUT_SHORT,
    REFUSAL,
    Cut,
    Part,
    Silence,
    StreamError,
    bash,
    edit,
    overloaded,
    rate_limited,
    say,
    unauthorized,
    usage_limit,
    use,
    write,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.claude
ALSO_SHOWN_BY_RUNS = pytest.mark.slow
"""Covered in the fast tier by whole runs (tests/e2e), where the stand-in must behave the same."""

_LINE = TypeAdapter(dict[str, JsonValue])
QUIET = {
    "LANG": "C.UTF-8",
    "CLAUDE_CODE_OAUTH_TOKEN": "test-oauth-token",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_STARTUP_FAILURE_RESULTS": "1",
    "IS_SANDBOX": "1",
}


@dataclass(frozen=True)
class Ended:
    """The output and the exit code of the CLI."""

    code: int
    lines: tuple[dict[str, JsonValue], ...]

    def of(self, kind: str, subtype: str | None = None) -> list[dict[str, JsonValue]]:
        return [line for line in self.lines if line["type"] == kind and subtype in (None, line.get("subtype"))]

    @property
    def result(self) -> dict[str, JsonValue]:
        return self.of("result")[-1]


class Claude:
    """Starts the CLI in a directory of its own with ccterm's launch line."""

    def __init__(self, program: Path, api: MessagesServer, tree: Path) -> None:
        self.tree = tree
        self._command = [str(program), "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        self._command += ["--include-partial-messages", "--dangerously-skip-permissions", "--model", "sonnet", "--strict-mcp-config"]
        self._env = QUIET | {"HOME": str(tree.parent), "PATH": "/usr/bin:/bin", "ANTHROPIC_BASE_URL": api.origin}

    def start(self, *args: str, **env: str) -> subprocess.Popen[bytes]:
        command = [*self._command, "--session-id", str(uuid.uuid4()), *args]
        return subprocess.Popen(command, cwd=self.tree, env=self._env | env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, process: subprocess.Popen[bytes], text: str) -> None:
        assert process.stdin
        message = {"type": "user", "message": {"role": "user", "content": text}}
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()

    def interrupt(self, process: subprocess.Popen[bytes]) -> None:
        """Ask it to abort its turn; after SIGINT, a busy CLI may exit without a result."""
        assert process.stdin
        request = {"type": "control_request", "request_id": "r", "request": {"subtype": "interrupt"}}
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()

    def finish(self, process: subprocess.Popen[bytes]) -> Ended:
        out, _ = process.communicate(timeout=90)
        return Ended(process.returncode, tuple(_LINE.validate_json(line) for line in out.split(b"\n")[:-1]))

    def __call__(self, *args: str, **env: str) -> Ended:
        with self.start(*args, **env) as process:
            self.say(process, "A task")
            return self.finish(process)


@pytest.fixture
def api() -> Iterator[MessagesServer]:
    with MessagesServer() as server:
        yield server


@pytest.fixture
def claude(api: MessagesServer, claude_bin: Path, tmp_path: Path) -> Claude:
    (tmp_path / "tree").mkdir()
    return Claude(claude_bin, api, tmp_path / "tree")


@ALSO_SHOWN_BY_RUNS
def test_words_come_through(api: MessagesServer, claude: Claude) -> None:
    api.script("A task", say("Héllo from the script."))
    ended = claude()
    assert (ended.code, ended.result["is_error"], ended.result["result"]) == (0, False, "Héllo from the script.")


def test_sends_the_login_and_its_session(api: MessagesServer, claude: Claude) -> None:
    ended = claude()
    (call,) = api.calls
    assert call.headers["authorization"] == "Bearer test-oauth-token"
    assert call.session == ended.result["session_id"]


@ALSO_SHOWN_BY_RUNS
def test_tools_change_the_tree(api: MessagesServer, claude: Claude) -> None:
    api.script(
        "A task", use(write("a/new.txt", "one\n")), use(edit("a/new.txt", "one", "two")), use(bash("cp a/new.txt b.txt")), say("All done.")
    )
    ended = claude()
    assert ended.result["result"] == "All done."
    assert (claude.tree / "b.txt").read_text() == "two\n"


@ALSO_SHOWN_BY_RUNS
def test_bad_login(api: MessagesServer, claude: Claude) -> None:
    api.script("A task", unauthorized())
    ended = claude()
    assert (ended.code, ended.result["is_error"], ended.result["api_error_status"]) == (1, True, 401)
    assert ended.of("assistant")[-1]["error"] == "authentication_failed"


@ALSO_SHOWN_BY_RUNS
def test_overloaded_three_times_then_well(api: MessagesServer, claude: Claude) -> None:
    api.script("A task", overloaded(times=3), say("At last."))
    ended = claude()
    assert [line["error_status"] for line in ended.of("system", "api_retry")] == [529, 529, 529]
    assert ended.result["result"] == "At last."


@ALSO_SHOWN_BY_RUNS
@pytest.mark.parametrize("window", ["five_hour", "seven_day"])
def test_usage_limit_names_its_reset(api: MessagesServer, claude: Claude, window: str) -> None:
    reset = int(time.time()) + 3600
    api.script("A task", usage_limit(reset, window="five_hour" if window == "five_hour" else "seven_day"))
    ended = claude()
    assert ended.result["api_error"] == "usage_limit_reached"
    info = _LINE.validate_python(ended.of("rate_limit_event")[0]["rate_limit_info"])
    assert (info["status"], info["resetsAt"], info["rateLimitType"]) == ("rejected", reset, window)


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        pytest.param(Cut("before"), None, id="cut before"),
        pytest.param(Cut("within"), None, id="cut within", marks=ALSO_SHOWN_BY_RUNS),
        pytest.param(StreamError(), 529, id="error event"),
        pytest.param(rate_limited(), 429, id="429", marks=ALSO_SHOWN_BY_RUNS),
    ],
)
def test_lasting_failures(api: MessagesServer, claude: Claude, failure: Part, status: int | None) -> None:
    api.script("A task", failure)
    ended = claude(CLAUDE_CODE_MAX_RETRIES="1")
    assert (ended.code, ended.result["is_error"], ended.result["api_error_status"]) == (1, True, status)


@ALSO_SHOWN_BY_RUNS
def test_a_stream_that_is_cut_once_is_repeated(api: MessagesServer, claude: Claude) -> None:
    api.script("A task", Cut("within", times=1), say("Second try."))
    ended = claude()
    assert ended.result["result"] == "Second try."
    assert len(api.calls) == 2


@ALSO_SHOWN_BY_RUNS
def test_turn_limit(api: MessagesServer, claude: Claude) -> None:
    api.script("A task", *[use(bash("true"))] * 5)
    ended = claude("--max-turns", "2")
    assert (ended.code, ended.result["subtype"]) == (1, "error_max_turns")


@ALSO_SHOWN_BY_RUNS
@pytest.mark.parametrize(("part", "reason"), [(REFUSAL, "refusal"), (CUT_SHORT, "max_output_tokens")], ids=["refusal", "max_tokens"])
def test_answers_that_stop_short(api: MessagesServer, claude: Claude, part: Part, reason: str) -> None:
    api.script("A task", *[part] * 6)
    ended = claude()
    assert ended.code == 1
    assert reason in (ended.result["stop_reason"], ended.result.get("api_error"))


@ALSO_SHOWN_BY_RUNS
def test_a_word_that_comes_while_the_model_waits_is_taken(api: MessagesServer, claude: Claude) -> None:
    gate = Gate()
    api.script("A task", use(bash("true"), gate=gate), say("Heard you."))
    with claude.start() as process:
        claude.say(process, "A task")
        assert gate.reached()
        claude.say(process, "Also this")
        gate.open()
        ended = claude.finish(process)
    assert api.calls[1].says("Also this")
    assert not api.calls[0].says("Also this")
    assert ended.result["result"] == "Heard you."


@ALSO_SHOWN_BY_RUNS
def test_a_silent_stream_can_be_interrupted(api: MessagesServer, claude: Claude) -> None:
    gate = Gate()
    api.script("A task", Silence(gate))
    with claude.start() as process:
        claude.say(process, "A task")
        assert gate.reached()
        claude.interrupt(process)
        ended = claude.finish(process)
    assert ended.result["terminal_reason"] == "aborted_streaming"


@ALSO_SHOWN_BY_RUNS
def test_a_command_that_hangs_can_be_interrupted(api: MessagesServer, claude: Claude) -> None:
    api.script("A task", use(write("kept.txt", "kept\n")), use(bash("touch begun; tail -f /dev/null")))
    with claude.start() as process:
        claude.say(process, "A task")
        wait_until((claude.tree / "begun").exists)
        claude.interrupt(process)
        ended = claude.finish(process)
    assert ended.result["terminal_reason"] == "aborted_tools"
    assert (claude.tree / "kept.txt").exists()
