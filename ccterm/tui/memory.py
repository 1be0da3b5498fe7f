"""What the terminal remembers between sessions: the last form, the draft, recent prompts and repositories, comments that are not sent yet, when it
was closed. Private to the user."""

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from ccterm.errors import StateError
from ccterm.models import RunId
from ccterm.state_dir import private_directory, write_private
from ccterm.tui.opening import FILE
from ccterm.tui.patch.comments import Comments
from ccterm.values import Value

PROMPTS, REPOS, COMMENTED = 50, 20, 100
_OF_ONE_TASK = ("prompt", "branch", "allow_default_branch")
"""Fields of a form that say nothing about the next one."""
_log = logging.getLogger(__name__)


class Memories(Value):
    """The content of the file. form: what was launched last, field -> text. draft: what was typed and not launched. prompts, repos: the newest first.
    comments: run -> what to send to it. theme: what was picked. light: whether the terminal's background was."""

    form: Mapping[str, str] = {}
    draft: Mapping[str, str] = {}
    prompts: tuple[str, ...] = ()
    repos: tuple[str, ...] = ()
    comments: Mapping[str, Comments] = {}
    theme: str | None = None
    light: bool = False
    left: datetime | None = None


class Memory:
    """Keeps memories in a directory. A file that cannot be read or written is only forgotten: no run depends on it."""

    def __init__(self, directory: Path | None) -> None:
        """Remember in `directory`; None = only in this process."""
        self._path = directory / FILE if directory else None
        self.now = self._read()

    def _read(self) -> Memories:
        if self._path is None:
            return Memories.model_construct()
        try:
            return Memories.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return Memories.model_construct()

    def launched(self, form: Mapping[str, str]) -> None:
        """Remember a form that was launched."""
        prompt, repo = form.get("prompt", ""), form.get("repo", "")
        kept = {name: text for name, text in form.items() if name not in _OF_ONE_TASK}
        self._change(form=kept, draft={}, prompts=_front(prompt, self.now.prompts)[:PROMPTS], repos=_front(repo, self.now.repos)[:REPOS])

    def keep(self, draft: Mapping[str, str]) -> None:
        """Remember a form that was left without being launched; one without a prompt is nothing to remember."""
        kept = dict(draft) if draft.get("prompt", "").strip() else {}
        if kept != self.now.draft:
            self._change(draft=kept)

    def comments(self, run: RunId) -> Comments:
        """Return the comments on a run's diff that are not sent yet."""
        return self.now.comments.get(run, ())

    def comment(self, run: RunId, comments: Comments) -> None:
        """Remember the comments on a run's diff, in place of those before."""
        others = {other: kept for other, kept in self.now.comments.items() if other != run}
        kept = [*others.items(), *([(run, comments)] if comments else [])][-COMMENTED:]
        self._change(comments=dict(kept))

    def pick(self, theme: str | None) -> None:
        """Remember the theme that was picked; None = it follows the terminal."""
        self._change(theme=theme)

    def see(self, *, light: bool) -> None:
        """Remember whether the terminal's background is light."""
        if light != self.now.light:
            self._change(light=light)

    def leave(self, at: datetime) -> None:
        """Remember when the terminal was closed."""
        self._change(left=at)

    def _change(self, **fields: object) -> None:
        self.now = self.now.model_copy(update=fields)
        if self._path is None:
            return
        try:
            private_directory(self._path.parent)
            write_private(self._path, self.now.model_dump_json().encode())
        except (StateError, OSError) as error:
            _log.warning("cannot remember the form: %s", error)


def _front(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    return (text, *(other for other in known if other != text)) if text else known
