"""The agent that follows a script: the demo, the screenshots and most tests run it through the same parser and verdict as the real one."""

from collections.abc import Mapping

from pydantic import JsonValue

from ccterm.agents import verdict
from ccterm.agents.base import Command, Launch, Outcome
from ccterm.agents.stream import StreamParser
from ccterm.box.protocol import Keep
from ccterm.models import ExecutionMode


class ScriptedAgent:
    """Plays the script that its prompt holds (ccterm/box/scripted)."""

    name = "scripted"

    def command(self, launch: Launch) -> Command:
        """Return the launch line; the program is one of ours, so it is always there."""
        skip = launch.skip_permissions or launch.execution_mode is ExecutionMode.DAGGER
        flags = ["--session-id", launch.session_id, "--include-partial-messages"]
        flags += ["--model", launch.model] if launch.model else []
        flags += ["--dangerously-skip-permissions"] if skip else ["--permission-mode", "acceptEdits"]
        keep = Keep(glob=f".claude/projects/*/{launch.session_id}.jsonl", to="session")
        return Command(argv=("@box", "scripted", *flags, *launch.agent_args), env={}, secrets={}, private_home=True, keep=(keep,))

    def parser(self) -> StreamParser:
        """Return a fresh parser."""
        return StreamParser()

    def judge(self, parser: StreamParser, report: Mapping[str, JsonValue] | None) -> Outcome:
        """Return what became of a run."""
        return verdict.judge(parser, report)
