"""The scripted agent: the same stream as the real CLI, and all its ways to behave and misbehave."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from ccterm.agents.stream import StreamParser
from ccterm.agents.verdict import Outcome, judge
from ccterm.causes import Cause
from tests.agents.reading import report
from tests.captures.recorded import captures

Script = list[dict[str, JsonValue]]
EVERYTHING: Script = [
    {"say": "hello"},
    {"type": "typed", "seconds": 0},
    {"think": "deep thoughts about it"},
    {"write": "sub/a.txt", "text": "one\n"},
    {"edit": "sub/a.txt", "old": "one", "new": "two"},
    {"read": "sub/a.txt"},
    {"read": "nowhere"},
    {"bash": "echo out; echo err >&2"},
    {"bash": "exit 7"},
    {"retry": 1, "wait": 0},
    {"limit": 0.9},
    {"spend": 0.5, "input": 10},
    {"ask": "Good?"},
]


class Played:
    """What an agent printed, and how it ended."""

    def __init__(self, done: "subprocess.CompletedProcess[bytes]") -> None:
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr.decode()
        self.messages: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.split(b"\n") if line.endswith(b"}")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def outcome(self) -> Outcome:
        parser = StreamParser()
        for message in self.messages:
            parser.feed(message)
        assert parser.unknown == {}
        return judge(parser, report(self.code))


Play = Callable[..., Played]


@pytest.fixture
def play(lib: Path, box: Path) -> Play:
    def play(script: Script | str, *options: str, after: tuple[str, ...] = ()) -> Played:
        prompt = script if isinstance(script, str) else json.dumps({"script": script})
        messages = [{"type": "user", "message": {"role": "user", "content": prompt}}, *(json.loads(line) for line in after)]
        done = subprocess.run(
            [sys.executable, "-I", "-S", lib, "scripted", *options],
            cwd=box / "tree",
            env={"PATH": os.environ["PATH"], "HOME": str(box / "home")},
            input=b"".join(json.dumps(message).encode() + b"\n" for message in messages),
            capture_output=True,
            check=False,
            timeout=30,
        )
        return Played(done)

    return play


def keys(message: dict[str, Any], path: str = "") -> set[str]:
    """Return the paths of all keys of a message, down to the content of its blocks."""
    found = set()
    for name, value in message.items():
        found.add(f"{path}{name}")
        if isinstance(value, dict) and name in ("message", "rate_limit_info", "event", "response", "delta"):
            found |= keys(value, f"{path}{name}.")
    return found


def kind_of(message: dict[str, Any]) -> str:
    inner = message["event"]["type"] if message["type"] == "stream_event" else message.get("subtype", "")
    return f"{message['type']}/{inner if message['type'] != 'result' else ''}"


def test_no_message_has_a_field_that_the_real_cli_lacks(play: Play) -> None:
    real: dict[str, set[str]] = {}
    for capture in captures().values():
        for message in capture.objects:
            real.setdefault(kind_of(message), set()).update(keys(message))
    ours = play(EVERYTHING, "--include-partial-messages").messages + play([{"fail": "usage_limit"}]).messages
    assert {kind_of(message): keys(message) - real[kind_of(message)] for message in ours if keys(message) - real[kind_of(message)]} == {}


def test_the_parser_for_the_real_cli_reads_everything(play: Play) -> None:
    played = play(EVERYTHING, "--include-partial-messages")
    outcome = played.outcome()
    assert (outcome.cause, outcome.summary, outcome.asked) == (None, "Good?", True)


def test_deltas_come_only_on_request_and_say_the_same(play: Play) -> None:
    assert play([{"say": "quiet"}]).of("stream_event") == []
    events = [message["event"] for message in play([{"say": "x" * 50}], "--include-partial-messages").of("stream_event")]
    assert "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta") == "x" * 50
    assert play([{"type": "typed", "seconds": 0}]).of("stream_event")


def test_a_plain_prompt_leads_to_a_small_change(play: Play, box: Path) -> None:
    assert play("Add a LICENSE\nplease").outcome().cause is None
    assert (box / "tree" / "AGENT_NOTES.md").read_text() == "- Add a LICENSE\n"


@pytest.mark.parametrize("words", ["[1, 2", "{", "[[]]", '{"script": 7}', "7", "[{}]", '"x"'])
def test_json_that_is_not_a_script_is_a_plain_prompt(play: Play, box: Path, words: str) -> None:
    assert play(words).outcome().cause is None
    assert (box / "tree" / "AGENT_NOTES.md").read_text() == f"- {words}\n"


def test_files_are_changed_as_the_script_says(play: Play, box: Path) -> None:
    play(
        [
            {"write": "d/a", "text": "one one\n"},
            {"edit": "d/a", "old": "one", "new": "two"},
            {"append": "d/a", "text": "end\n"},
            {"rename": "d/a", "to": "d/b"},
            {"write": "gone"},
            {"delete": "gone"},
            {"symlink": "link", "to": "/nowhere"},
            {"chmod": "d/b", "mode": "755"},
            {"mkfifo": "fifo"},
        ]
    )
    tree = box / "tree"
    assert {path.name for path in tree.rglob("*")} == {"d", "b", "link", "fifo"}
    assert ((tree / "d/b").read_text(), stat.S_IMODE((tree / "d/b").stat().st_mode)) == ("two one\nend\n", 0o755)
    assert str((tree / "link").readlink()) == "/nowhere"


def test_a_commit_of_its_own(play: Play, box: Path) -> None:
    subprocess.run(["git", "init", "-q", box / "tree"], check=True)
    play([{"write": "a"}, {"commit": "My own subject"}])
    log = subprocess.run(["git", "-C", box / "tree", "log", "--format=%an: %s"], capture_output=True, text=True, check=True)
    assert log.stdout == "Scripted Agent: My own subject\n"


def test_a_command_that_fails_is_reported_and_does_not_end_the_run(play: Play) -> None:
    played = play([{"bash": "echo no; exit 3"}, {"say": "Went on."}])
    assert played.of("user")[0]["message"]["content"][0]["content"] == "Exit code 3\nno"
    assert played.outcome().summary == "Went on."


def test_money_is_counted_over_the_session(play: Play) -> None:
    again = '{"type":"user","message":{"role":"user","content":"[{\\"spend\\": 0.5}]"}}'
    costs = [result["total_cost_usd"] for result in play([{"spend": 1.0, "input": 5, "output": 7}], after=(again,)).of("result")]
    assert costs == [1.0, 1.5]


FAILURES = [
    ("auth", Cause.AUTH, "authentication_failed"),
    ("usage_limit", Cause.USAGE_LIMIT, "five_hour"),
    ("rate_limit", Cause.RATE_LIMITED, "rate_limit"),
    ("overloaded", Cause.RATE_LIMITED, "overloaded"),
    ("billing", Cause.BUDGET, "billing_error"),
    ("max_turns", Cause.BUDGET, "error_max_turns"),
    ("budget", Cause.BUDGET, "error_max_budget_usd"),
    ("server_error", Cause.AGENT, "server_error"),
    ("connection", Cause.AGENT, "connection_failed"),
    ("model_not_found", Cause.AGENT, "model_not_found"),
    ("max_tokens", Cause.AGENT, "max_output_tokens"),
    ("refusal", Cause.AGENT, "refusal"),
    ("dropped", Cause.AGENT, "no_result"),
    ("no such failure", Cause.AGENT, "server_error"),
]


@pytest.mark.parametrize(("kind", "cause", "reason"), FAILURES)
def test_it_fails_like_the_real_cli(play: Play, kind: str, cause: Cause, reason: str) -> None:
    played = play([{"say": "trying"}, {"fail": kind, "retries": 1, "wait": 0}, {"say": "never"}])
    outcome = played.outcome()
    assert (outcome.cause, outcome.reason, played.code) == (cause, reason, 1)
    assert len([message for message in played.of("system") if message["subtype"] == "api_retry"]) == 1


def test_a_script_that_is_not_json_is_a_failure_with_its_place(play: Play, box: Path) -> None:
    outcome = play('{"script": [{"say": "x"}\n {"say": "y"}]}').outcome()
    assert outcome.cause is Cause.AGENT
    assert "the script is wrong: line 2, column 2: a comma or the closing bracket is expected, not {" in str(outcome)
    assert not (box / "tree" / "AGENT_NOTES.md").exists()


def test_an_unknown_action_is_a_failure(play: Play) -> None:
    assert play([{"sya": "typo"}]).outcome().cause is Cause.AGENT


@pytest.mark.parametrize(
    ("action", "code"), [({"no_result": 3}, 3), ({"cut": True}, 0), ({"crash": "SIGSEGV"}, -11), ({"crash": "SIGKILL"}, -9)]
)
def test_it_ends_without_a_result(play: Play, action: dict[str, JsonValue], code: int) -> None:
    played = play([action])
    assert (played.code, played.of("result"), played.outcome().reason) == (code, [], "no_result")


def test_garbage_goes_to_both_streams(play: Play) -> None:
    played = play([{"garbage": 2}, {"say": "Done."}])
    assert [line for line in played.stdout.split(b"\n") if line.startswith(b"garbage")] == [b"garbage 0 {not json", b"garbage 1 {not json"]
    assert played.stderr == "complaint 0\ncomplaint 1\n"
    assert played.outcome().cause is None


def test_it_shows_its_environment(play: Play, box: Path) -> None:
    play([{"env": "env.txt"}])
    assert f"HOME={box / 'home'}\n" in (box / "tree" / "env.txt").read_text()


def test_the_conversation_is_kept_below_home(play: Play, box: Path) -> None:
    session = "0b9f1a3e-0000-4000-a000-000000000000"
    play("Remember me", "--session-id", session)
    [kept] = (box / "home").glob(f".claude/projects/*/{session}.jsonl")
    assert "Remember me" in kept.read_text()


def test_the_states_of_a_message_with_an_id_are_reported(play: Play) -> None:
    again = '{"type":"user","uuid":"u-1","message":{"role":"user","content":[{"type":"text","text":"[{\\"say\\": \\"two\\"}]"}]}}'
    played = play([{"say": "one"}], after=(again,))
    assert [message["state"] for message in played.of("command_lifecycle")] == ["queued", "started", "completed"]
    assert [result["result"] for result in played.of("result")] == ["one", "two"]


def test_an_interrupt_is_answered_and_the_next_message_played(play: Play) -> None:
    interrupt = '{"type":"control_request","request_id":"r1","request":{"subtype":"interrupt"}}'
    again = '{"type":"user","message":{"role":"user","content":"[{\\"say\\": \\"two\\"}]"}}'
    played = play([{"sleep": 60}], after=(interrupt, again))
    assert played.of("control_response")[0]["response"]["request_id"] == "r1"
    assert [result["subtype"] for result in played.of("result")] == ["error_during_execution", "success"]


def test_input_that_is_not_json_ends_it_like_the_real_cli(lib: Path, box: Path) -> None:
    done = subprocess.run([sys.executable, "-I", "-S", lib, "scripted"], cwd=box, input=b"not json\n", capture_output=True, check=False)
    assert (done.returncode, done.stdout, b"Error parsing streaming input line" in done.stderr) == (1, b"", True)


def test_without_a_message_it_says_nothing(lib: Path, box: Path) -> None:
    done = subprocess.run([sys.executable, "-I", "-S", lib, "scripted"], cwd=box, input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
