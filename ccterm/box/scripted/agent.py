"""The agent that plays a script instead of asking a model, and prints the same stream-json as the real CLI: demo, screenshots and most tests.

The prompt is the script if it is JSON: a list of actions, or {"script": [actions]}. For any other prompt the agent adds its first line to
AGENT_NOTES.md. A message during the run is a script in the same way. With the argument --script FILE the first turn plays that file, and
the prompt may be what a person would write. An action is an object whose first key names it:

say TEXT                          say something
type TEXT, seconds S              say something piece by piece, over S seconds (1)
ask TEXT                          say something: a question that ends the run
think TEXT                        print a thinking block
write PATH, text T                write a file; the directories above it are made. Paths are relative to the working directory
append PATH, text T               add to the end of a file
edit PATH, old A, new B           replace the first A by B
delete PATH                       remove a file or a directory
rename PATH, to B                 move it
chmod PATH, mode "755"            change its mode
symlink PATH, to TARGET           make a symbolic link
mkfifo PATH                       make a named pipe
read PATH                         read a file aloud
bash COMMAND                      run a command with bash; an interrupt kills it
permit COMMAND                    the same, with the user's permission only
commit SUBJECT                    commit everything with git, as the agent
turn TEXT                         end the turn with this and begin another one, as the CLI does when a task in the background has ended
sleep S                           wait
spend USD, input N, output N      add to the bill
limit U                           report that U (0-1) of the usage window is used
retry N, wait S                   meet N overloaded answers, then go on
env PATH | true                   write the environment to a file, or say it
fail KIND, text T                 end the turn: auth, usage_limit (resets_in S), rate_limit, overloaded, server_error, connection, billing,
                                  model_not_found, max_tokens, refusal, max_turns, budget; retries N first; dropped (no result, exit 1)
no_result CODE                    end the process without a result
exit CODE                         end the process after a good result
cut true                          end in the middle of a line, exit 0
crash SIGNAL                      die by a signal
hang [SIGNALS]                    do nothing, forever, ignoring these signals
flood N, bytes B, raw true        print N messages of B bytes (80), or raw lines
long_line MB                      say so many megabytes in one line
garbage N                         print N lines that are not JSON, and N lines on stderr
fork holder | daemon              leave a process behind that holds stdout, or that has a session of its own
"""

import re
import sys
from collections import deque
from itertools import pairwise

from ccterm.box import fresh_uuid
from ccterm.box.scripted.actions import Action, Ended, Interrupted, ScriptedActions
from ccterm.box.scripted.failures import fail
from ccterm.box.scripted.stdin import Message, StdinReader
from ccterm.box.scripted.stream import Conversation, Stream
from ccterm.git.bounded_json import read_json

_MEANT = re.compile(r'\s*\{\s*"script"\s*:\s*\[')
"""The begin of a script, as no plain text begins."""


class WrongScript(ValueError):
    """A message begins as a script and is not JSON."""


class ScriptPlayer:
    """Plays one turn for each message from stdin, until stdin is closed."""

    def __init__(self, stream: Stream, opening: str = "", *, asks: bool = False) -> None:
        """opening: the script of the first turn; "" = what the first message says. asks: whether somebody answers requests for permission."""
        self._stream = stream
        self._opening = opening
        self._stdin = StdinReader(self._arrived, self._respond)
        self._actions = ScriptedActions(stream, self._stdin, asks=asks)
        self._code = 0

    def run(self) -> int:
        """Return the exit code."""
        while message := self._stdin.next_message():
            self._turn(message)
            if self._stdin.signalled:
                return 0
            self._stdin.interrupted = False
        return self._code

    def _turn(self, first: Message) -> None:
        taken = [first]
        self._stream.begin_turn(first.text, first.key)
        try:
            opening, self._opening = self._opening, ""
            self._play(deque(script(opening or first.text)), taken)
            self._code = 0
        except Interrupted:
            self._abort()
        except Ended as ended:
            self._code = ended.code
        except WrongScript as error:
            fail(self._stream, "server_error", f"the script is wrong: {error}")
            self._code = 1
        for message in taken:
            self._stream.lifecycle(message.key, "completed")

    def _play(self, actions: deque[Action], taken: list[Message]) -> None:
        while actions:
            self._actions.perform(actions.popleft())
            self._stdin.listen()
            if self._stdin.stopped:
                raise Interrupted
            while actions and self._stdin.messages:  # a message during a turn is taken up after the running action
                taken.append(self._stdin.messages.popleft())
                self._stream.lifecycle(taken[-1].key, "started")
                actions.extend(script(taken[-1].text))
        self._stream.success(self._actions.last_text)

    def _abort(self) -> None:
        self._stream.user([{"type": "text", "text": "[Request interrupted by user]"}])
        errors = ["[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=null"]
        self._stream.result(is_error=True, subtype="error_during_execution", terminal_reason="aborted_streaming", errors=errors)

    def _arrived(self, message: Message) -> None:
        self._stream.lifecycle(message.key, "queued")

    def _respond(self, request: str, subtype: str) -> None:
        answer: dict[str, object] = {"still_queued": []} if subtype == "interrupt" else {}
        self._stream.emit({"type": "control_response", "response": {"subtype": "success", "request_id": request, "response": answer}})


def script(text: str) -> list[Action]:
    """Return the actions that a message holds, or those for plain text. Raises WrongScript."""
    try:
        given = read_json(text) if text.lstrip()[:1] in ("[", "{") else None
    except ValueError as error:
        if _MEANT.match(text):
            raise WrongScript(str(error)) from error
        given = None
    actions = given.get("script") if isinstance(given, dict) else given
    if isinstance(actions, list) and all(isinstance(action, dict) and action for action in actions):
        return actions
    first = text.strip().split("\n")[0]
    return [
        {"say": f"I will take this down: {first}"},
        {"append": "AGENT_NOTES.md", "text": f"- {first}\n"},
        {"say": "Done: AGENT_NOTES.md holds the task."},
    ]


def main() -> None:
    """Play the script; the arguments are those of the real CLI that matter here."""
    arguments = sys.argv[2:]
    options = dict(pairwise(arguments))
    resumed = options.get("--resume", "")
    conversation = Conversation.find(resumed) if resumed else ""
    stream = Stream(
        session=resumed or options.get("--session-id") or fresh_uuid(),
        resumed=conversation,
        model=options.get("--model") or "scripted",
        permission="bypassPermissions"
        if "--dangerously-skip-permissions" in arguments
        else options.get("--permission-mode", "acceptEdits"),
        partial="--include-partial-messages" in arguments,
    )
    if resumed and not conversation:
        unknown = f"No conversation found with session ID: {resumed}"
        stream.result(is_error=True, subtype="error_during_execution", terminal_reason="error", errors=[unknown])
        sys.exit(unknown)
    asks = options.get("--permission-prompt-tool") == "stdio"
    sys.exit(ScriptPlayer(stream, _read(options.get("--script")), asks=asks).run())


def _read(path: str | None) -> str:
    if path is None:
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()
