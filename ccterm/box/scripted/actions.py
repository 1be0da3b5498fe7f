"""What the scripted agent can say, do to files and run; how it fails and misbehaves is in modules of their own."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from ccterm.box.scripted.failures import FAILURES, fail, retry
from ccterm.box.scripted.misbehaviour import Misbehaviour
from ccterm.box.scripted.permission import PermissionPrompt
from ccterm.box.scripted.stdin import StdinReader
from ccterm.box.scripted.stream import Stream

Action = Mapping[str, Any]
_SHOWN = 30_000
_IDENTITY = ("-c", "user.name=Scripted Agent", "-c", "user.email=scripted@localhost", "-c", "commit.gpgSign=false")


class Interrupted(Exception):
    """The turn was interrupted."""


class Ended(Exception):
    """The script ended the turn itself; code = exit code of the process if this is its last turn."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ScriptedActions:
    """Carries out actions in the working directory and prints what the real CLI would print."""

    def __init__(self, stream: Stream, stdin: StdinReader, *, asks: bool = False) -> None:
        """asks: whether somebody answers requests for permission."""
        self._stream, self._stdin = stream, stdin
        self._permission = PermissionPrompt(stream, stdin, asks=asks)
        self.last_text = ""
        self._verbs: dict[str, Callable[[Action], None]] = {
            "say": lambda action: self._speak(action["say"]),
            "ask": lambda action: self._speak(action["ask"]),
            "type": lambda action: self._speak(action["type"], seconds=float(action.get("seconds", 1.0)), deltas=True),
            "think": lambda action: stream.thinking(str(action["think"])),
            "write": lambda action: self._change(action, "write", str(action.get("text", ""))),
            "append": lambda action: self._change(action, "append", _content(action["append"]) + str(action.get("text", ""))),
            "edit": self._edit,
            "delete": lambda action: self._shell(["rm", "-rf", "--", action["delete"]]),
            "rename": lambda action: self._shell(["mv", "--", action["rename"], action["to"]]),
            "chmod": lambda action: self._shell(["chmod", str(action["mode"]), "--", action["chmod"]]),
            "symlink": lambda action: self._shell(["ln", "-s", "--", action["to"], action["symlink"]]),
            "mkfifo": lambda action: self._shell(["mkfifo", "--", action["mkfifo"]]),
            "read": self._read,
            "bash": lambda action: self._tool(str(action["bash"]), ["bash", "-c", str(action["bash"])]),
            "permit": self._permitted,
            "commit": self._commit,
            "turn": self._next_turn,
            "sleep": lambda action: stdin.sleep(float(action["sleep"])),
            "spend": self._spend,
            "limit": lambda action: stream.limit("allowed_warning", float(action["limit"]), 3600.0),
            "retry": lambda action: retry(stream, stdin, int(action["retry"]), float(action.get("wait", 0.05))),
            "env": self._env,
            "fail": self._fail,
            **Misbehaviour(stream, stdin).verbs,
        }

    def perform(self, action: Action) -> None:
        """Carry out one action. Raises Interrupted, and Ended when it ended the turn."""
        verb = next(iter(action))
        if verb not in self._verbs:
            fail(self._stream, "server_error", f"the script is wrong: there is no action {verb!r}")
            raise Ended(1)
        self._verbs[verb](action)
        if self._stdin.stopped:
            raise Interrupted

    def _next_turn(self, action: Action) -> None:
        self._stream.success(str(action["turn"]))
        self._stream.begin_turn("", "")

    def _speak(self, text: object, *, seconds: float = 0.0, deltas: bool = False) -> None:
        self.last_text = str(text)
        self._stream.text(self.last_text, seconds=seconds, deltas=deltas, sleep=self._stdin.sleep)

    def _edit(self, action: Action) -> None:
        old, new = str(action["old"]), str(action["new"])
        self._change(action, "edit", _content(action["edit"]).replace(old, new, 1))

    def _change(self, action: Action, verb: str, text: str) -> None:
        path = os.path.abspath(str(action[verb]))
        if verb == "edit":
            given: dict[str, object] = {"old_string": action["old"], "new_string": action["new"], "replace_all": False, "file_path": path}
        else:
            given = {"file_path": path, "content": text}
        call = self._stream.tool_use("Edit" if verb == "edit" else "Write", given)
        existed = os.path.exists(path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(text)
        except OSError as error:
            self._stream.tool_result(call, str(error), ok=False)
            return
        shown = f"The file {path} has been updated successfully." if existed else f"File created successfully at: {path}"
        self._stream.tool_result(call, shown, structured={"type": "update" if existed else "create", "filePath": path})

    def _read(self, action: Action) -> None:
        path = os.path.abspath(str(action["read"]))
        call = self._stream.tool_use("Read", {"file_path": path})
        if os.path.isfile(path):
            self._stream.tool_result(call, _content(path)[:_SHOWN], structured={"type": "text", "file": {"filePath": path}})
        else:
            self._stream.tool_result(call, "File does not exist.", ok=False)

    def _commit(self, action: Action) -> None:
        command = ["git", *_IDENTITY, "commit", "--quiet", "--all", "--allow-empty", "-m", str(action["commit"])]
        self._shell(["git", "add", "--all"])
        self._shell(command)

    def _shell(self, command: list[str]) -> None:
        self._tool(" ".join(command), command)

    def _permitted(self, action: Action) -> None:
        given = {"command": str(action["permit"]), "description": "Run a command"}
        call = self._stream.tool_use("Bash", given)
        refusal = self._permission.refusal(call, given)
        if refusal is not None:
            self._stream.tool_result(call, refusal, ok=False)
        else:
            self._finish_call(call, ["bash", "-c", given["command"]])

    def _tool(self, shown: str, command: list[str]) -> None:
        self._finish_call(self._stream.tool_use("Bash", {"command": shown, "description": "Run a command"}), command)

    def _finish_call(self, call: str, command: list[str]) -> None:
        code, output = self._run(command)
        if code:
            self._stream.tool_result(call, f"Exit code {code}\n{output}".rstrip("\n"), ok=False)
        else:
            structured = {"stdout": output, "stderr": "", "interrupted": False, "isImage": False}
            self._stream.tool_result(call, output, structured=structured)

    def _run(self, command: list[str]) -> tuple[int, str]:
        """Run a command in its own session, as the real CLI does, without waiting for what it leaves behind."""
        out = subprocess.PIPE
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, bufsize=0, start_new_session=True
        )
        output, ended = b"", False
        pipe = process.stdout.fileno() if process.stdout else -1
        while not self._stdin.stopped and not ended:
            done = process.poll() is not None
            self._stdin.listen(0 if done else 0.5, also=pipe)
            ready, _, _ = select.select([pipe], [], [], 0)
            chunk = os.read(pipe, 65536) if ready else b""
            output, ended = (output + chunk)[:_SHOWN], (bool(ready) or done) and not chunk
        if self._stdin.stopped:
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait(), output.decode("utf-8", "replace").rstrip("\n")

    def _spend(self, action: Action) -> None:
        self._stream.spending.answer(float(action["spend"]), int(action.get("input", 0)), int(action.get("output", 0)))

    def _env(self, action: Action) -> None:
        text = "".join(f"{name}={value}\n" for name, value in sorted(os.environ.items()))
        if isinstance(action["env"], str):
            self._change({"write": action["env"]}, "write", text)
        else:
            self._speak(text)

    def _fail(self, action: Action) -> None:
        kind = str(action["fail"])
        retry(self._stream, self._stdin, int(action.get("retries", 0)), float(action.get("wait", 0.05)))
        if self._stdin.stopped:
            raise Interrupted
        if kind == "dropped":
            raise SystemExit(1)
        if kind not in FAILURES:
            fail(self._stream, "server_error", f"the script is wrong: there is no failure {kind!r}")
        elif kind == "usage_limit":
            self._stream.limit("rejected", 1.0, float(action.get("resets_in", 3600.0)))
            fail(self._stream, kind, str(action.get("text", "")))
        else:
            fail(self._stream, kind, str(action.get("text", "")))
        raise Ended(1)


def _content(path: object) -> str:
    try:
        with open(str(path), encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError:
        return ""
