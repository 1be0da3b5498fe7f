"""A task as the user wrote it, in any frontend: what was not given is None and is filled in from the settings.

Which values fit is said here; how each field is named and explained to people, in `FIELDS`.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict, Unpack

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ccterm.errors import UsageError
from ccterm.models import Allowances, ExecutionMode
from ccterm.problems import usage_error
from ccterm.remotes import check_branch, looks_like_url, parse_remote
from ccterm.remotes.branch_names import EACH, TYPED
from ccterm.settings.egress import EgressChoice
from ccterm.settings.units import Base, Command, Count, Dollars, Duration, TokenCount, Turns, whole_text
from ccterm.task_fields import FIELD_OF, FIELDS, TaskField
from ccterm.values import LoginPlace, Value, raising_usage_errors

if TYPE_CHECKING:  # a draft is made without them
    from ccterm.settings import Settings

__all__ = [
    "FIELDS",
    "BatchFile",
    "Draft",
    "DraftDefaults",
    "DraftFields",
    "TaskField",
    "absolute",
    "anchored",
    "applied",
    "at_terminal",
    "current_directory",
    "draft",
    "draft_with",
    "starting_directory",
]

MESSAGE_LENGTH = 1_000_000
"""Most characters of a task, and of a message to an agent."""


def task_text(text: str) -> str:
    """Return a task, or a message to an agent, which are given in one piece. Raises ValueError."""
    if not text.strip():
        raise ValueError("is empty; say what the agent should do")
    if len(text) > MESSAGE_LENGTH:
        raise ValueError(f"is longer than {MESSAGE_LENGTH:,} characters; put the long part into a file of the repository")
    return whole_text(text)


def require_message(text: str, *, may_be_empty: bool = False) -> None:
    """Raise UsageError for what cannot be said to an agent, in one piece: nothing of it is sent then."""
    try:
        if text.strip() or not may_be_empty:
            task_text(text)
    except ValueError as error:
        what, _, fix = str(error).partition("; ")
        raise UsageError(f"the message {what}", fix) from error


def _repo(text: str) -> str:
    try:
        if looks_like_url(text):
            parse_remote(text)
    except UsageError as error:
        raise ValueError(f"is refused: {error}") from error
    return whole_text(text)


def _branch(name: str) -> str:
    name = name.replace(TYPED, EACH)
    try:
        check_branch(name.replace(EACH, "words"))
    except UsageError as error:
        raise ValueError(f"is refused: {error}") from error
    return name


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _also_named(name: str) -> FieldInfo:
    """Return what lets a field be given by its other names too; an error then speaks of the name that was used."""
    field: FieldInfo = Field(validation_alias=AliasChoices(name, *FIELDS[name].also))
    return field


Text = Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(whole_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_several)]


class Draft(Value):
    """What a user asks for, as far as it was given. Serialised by the fields' own names."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    task: Annotated[str, AfterValidator(task_text), _also_named("task")]
    repo: Annotated[str, Field(min_length=1), AfterValidator(_repo)] | None = None
    branch: Annotated[str, AfterValidator(_branch)] | None = None
    base: Base | None = None
    execution_mode: Annotated[ExecutionMode | None, _also_named("execution_mode")] = None
    agent: Text | None = None
    model: Text | None = None
    agent_args: Texts | None = None
    message: Text | None = None
    timeout: Duration | None = None
    silence: Duration | None = None
    budget: Dollars | None = None
    max_turns: Turns | None = None
    max_tokens: TokenCount | None = None
    setup: Command | None = None
    verify: Command | None = None
    hold: bool | None = None
    permissions: Literal["ask", "deny"] | None = None
    skip_permissions: bool | None = None
    login: LoginPlace | None = None
    egress: EgressChoice | None = None
    allow_default_branch: bool | None = None
    apply: Annotated[bool | None, _also_named("apply")] = None
    allow_deletions: Count | None = None
    allow_lines: Count | None = None
    allow_files: Count | None = None
    allow_path: Texts | None = None

    @raising_usage_errors
    def __init__(self, **fields: Unpack["DraftFields"]) -> None:
        """Take the fields that are given. Raises UsageError for a value that does not fit."""
        BaseModel.__init__(self, **fields)

    @property
    def allow(self) -> Allowances:
        """How far this task may go beyond the rules."""
        return Allowances(deletions=self.allow_deletions, lines=self.allow_lines, files=self.allow_files, paths=self.allow_path or ())


class BatchFile(Value):
    """The file that drafts were read from."""

    path: str
    digest: str
    """Of the content that was read, as `ccterm trust` records it."""


class DraftDefaults(TypedDict, total=False):
    """The fields of a draft that several tasks may share; None = not given. `ccterm help python` explains each."""

    repo: str | None
    branch: str | None
    base: str | None
    execution_mode: Literal["local", "dagger"] | ExecutionMode | None
    agent: str | None
    model: str | None
    agent_args: str | Sequence[str] | None
    message: str | None
    timeout: str | float | timedelta | None
    silence: str | float | timedelta | None
    budget: float | None
    max_turns: int | None
    max_tokens: int | None
    setup: str | None
    verify: str | None
    hold: bool | None
    permissions: Literal["ask", "deny"] | None
    skip_permissions: bool | None
    login: Literal["gateway", "secret"] | None
    egress: str | Sequence[str] | None
    allow_default_branch: bool | None
    apply: bool | None
    allow_deletions: int | None
    allow_lines: int | None
    allow_files: int | None
    allow_path: str | Sequence[str] | None


class DraftFields(DraftDefaults):
    """The fields of a draft as callers of the Python API give them."""

    task: str


def draft(values: Mapping[str, object], *, flags: bool = False) -> Draft:
    """Return the draft that flags or arguments describe; None counts as not given. flags: what a refusal calls them. Raises UsageError."""
    try:
        return Draft.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        found = usage_error(error, Draft)
        name, _, rest = found.message.partition(" ")
        if flags and name in FIELDS and FIELDS[name].flags:
            found = UsageError(f"{max(FIELDS[name].flags, key=len)} {rest}", found.fix)
        raise found from error


def draft_with(task: "Draft | DraftFields", defaults: DraftDefaults) -> Draft:
    """Return the draft of one task among several that share defaults: what the task says itself counts. Raises UsageError."""
    if not isinstance(task, Mapping | Draft):
        raise UsageError(f"a task is a Draft or a dict, not {type(task).__name__}", 'write {"task": "…"}')
    own = {name: value for name, value in task if value is not None} if isinstance(task, Draft) else _by_name(task)
    return draft({**_by_name(defaults), **own})


def _by_name(fields: Mapping[str, object]) -> dict[str, object]:
    return {FIELD_OF.get(name, name): value for name, value in fields.items() if value is not None}


def applied(draft: Draft) -> Draft:
    """Return a draft whose changes come into the working copy unless it says otherwise, or has a branch. Raises UsageError."""
    if draft.branch is None:
        return draft if draft.apply is not None else draft.model_copy(update={"apply": True})
    if draft.apply is not None:
        raise UsageError("apply is for tasks without a branch: the work of this one is pushed", "leave out apply, or branch")
    return draft


def at_terminal(draft: Draft, settings: "Settings") -> Draft:
    """Return the draft of a user at a terminal, who can be asked for permissions, unless the draft or the settings say otherwise."""
    return draft.model_copy(update={"permissions": draft.permissions or settings.permissions or "ask"})


def anchored(draft: Draft) -> Draft:
    """Return the draft with an absolute path as its repository, so that any process can use it. Raises UsageError."""
    return draft.model_copy(update={"repo": anchored_repo(draft.repo)})


def anchored_repo(repo: str | None) -> str:
    """Return a repository as any process understands it: a URL, or an absolute path; None = the current directory. Raises UsageError."""
    if repo is not None and looks_like_url(repo):
        return repo
    try:
        path = Path(repo or ".").expanduser()
    except RuntimeError as error:
        raise UsageError(f"{repo} names the home directory of a user that does not exist", "give the full path") from error
    return str(absolute(path))


def absolute(path: Path) -> Path:
    """Return a path from the current directory as one that any process can use. Raises UsageError."""
    return path if path.is_absolute() else current_directory() / path


def current_directory() -> Path:
    """Return the current directory. Raises UsageError when it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current directory no longer exists", "cd to one that does, or give full paths") from error


def starting_directory() -> Path:
    """Return the current directory, or the root when it was removed: a place to begin from where none has to be."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")
