"""The launch form without its screen: its fields, and the way from their text to drafts or to what is wrong with each; pure.

The draft model alone decides what is valid.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from ccterm.draft import Draft, TaskField
from ccterm.models import ExecutionMode, Mode, Task
from ccterm.settings.problems import problem

SEPARATOR = re.compile(r"^[ \t]*---[ \t]*$", re.MULTILINE)
EACH = "…"
"""In a branch name: replaced by words of each task's prompt."""
AT_ONCE = "max_concurrent"
"""The one field that is not part of a task: it is about all of them."""
MAX_AT_ONCE = 256
_STOP = frozenset(
    ("a", "an", "and", "as", "at", "be", "by", "for", "from", "in", "into", "is", "it", "of", "on", "or", "the", "to", "with")
)
"""Words that are left out of a branch name."""


ROWS: tuple[tuple[str, ...], ...] = (
    ("repo",),
    ("branch",),
    ("base", "execution_mode"),
    ("agent", "model"),
    ("timeout", "budget", "max_turns"),
    (AT_ONCE, "skip_permissions"),
    ("setup",),
    ("verify",),
)
"""The fields below the prompt, as they are laid out; what they are called and show is said by `draft.FIELDS`."""
AT_ONCE_FIELD = TaskField("How many of them run at once", label="At once")


@dataclass(frozen=True)
class FormResult:
    """What a form amounts to. drafts: the tasks, none while anything is wrong. problems: field -> what is wrong. branches: one for each task.

    at_once: how many of them may run at once; None = as configured.
    """

    drafts: Sequence[Draft] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    branches: Sequence[str] = ()
    at_once: int | None = None


def examine(form: Mapping[str, str]) -> FormResult:
    """Return the drafts that a form describes, or what is wrong with it; empty fields are left to the settings."""
    prompts = split_prompts(form.get("prompt", ""))
    filled = {name: text.strip() for name, text in form.items() if text.strip() and name not in ("prompt", "branch")}
    at_once = filled.pop(AT_ONCE, "")
    problems = dict(_problems(filled)) | ({} if _is_count(at_once) else {AT_ONCE: f"is not a number from 1 to {MAX_AT_ONCE}"})
    branches = branches_of(form.get("branch", "").strip(), prompts)
    if not prompts:
        problems["prompt"] = "describe what should be done"
    elif wrong := next((text for prompt in prompts if (text := _wrong("prompt", prompt))), ""):
        problems["prompt"] = wrong
    if wrong := next((text for branch in branches if (text := _wrong("branch", branch))), ""):
        problems["branch"] = wrong
    targets: Sequence[str | None] = branches or [None] * len(prompts)  # without a branch a run works on the directory itself
    if problems:
        return FormResult(problems=problems, branches=branches)
    return FormResult(
        [Draft.model_validate({**filled, "prompt": prompt, "branch": branch}) for prompt, branch in zip(prompts, targets, strict=True)],
        {},
        branches,
        int(at_once) if at_once else None,
    )


def _is_count(text: str) -> bool:
    return not text or (text.isdecimal() and 1 <= int(text) <= MAX_AT_ONCE)


def _problems(filled: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in filled.items():
        if wrong := _wrong(name, text):
            yield name, wrong


def _wrong(name: str, text: str) -> str:
    """Return what the draft model has against one field, or ""."""
    try:
        Draft.model_validate({"prompt": "x", name: text})
    except ValidationError as error:
        found = problem(error, Draft)
        words = found.text.removeprefix(f'"{name}" ')
        return f"{words}; {found.fix}" if found.fix else words
    return ""


def split_prompts(text: str) -> list[str]:
    """Return the tasks of a text: the parts between lines of three dashes."""
    return [part.strip() for part in SEPARATOR.split(text) if part.strip()]


def branches_of(name: str, prompts: Sequence[str]) -> list[str]:
    """Return a branch for each prompt: the name itself, with its ellipsis replaced, or numbered; none without a name."""
    if not name or not prompts:
        return []
    if EACH in name:
        return _distinct([name.replace(EACH, slug(prompt)) for prompt in prompts])
    return [name] if len(prompts) == 1 else [f"{name}-{number}" for number in range(1, len(prompts) + 1)]


def suggest_branch(prompts: Sequence[str]) -> str:
    """Return the branch name that the form fills in until the user types one."""
    return "" if not prompts else f"agent/{slug(prompts[0])}" if len(prompts) == 1 else f"agent/{EACH}"


def slug(prompt: str) -> str:
    """Return the first significant words of a prompt as a part of a branch name."""
    words = re.findall(r"[a-z0-9]+", prompt.strip().split("\n", 1)[0].lower()) if prompt.strip() else []
    significant = [word for word in words if word not in _STOP] or words
    found = ""
    for word in significant[:5]:
        if len(found) + len(word) > 36:
            break
        found = f"{found}-{word}" if found else word
    return found or "task"


def _distinct(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        same = sum(other == name or re.fullmatch(re.escape(name) + r"-\d+", other) is not None for other in found)
        found.append(f"{name}-{same + 1}" if same else name)
    return found


def summarise(tasks: Sequence[Task], at_once: int) -> str:
    """Return a sentence that says what will happen when these tasks are launched."""
    first = tasks[0]
    count = "1 run" if len(tasks) == 1 else f"{len(tasks)} runs"
    where = (
        "on this machine, without isolation"
        if first.execution_mode is ExecutionMode.LOCAL
        else "in containers"
        if len(tasks) > 1
        else "in a container"
    )
    several = f", {min(at_once, len(tasks))} at once" if len(tasks) > 1 else ""
    if first.mode is Mode.TESTING:
        return f"{count} {where}{several}: works on a snapshot of {first.repo}; nothing changes there until you apply the result."
    shown = [task.branch or "" for task in tasks[:2]]
    more = f" and {len(tasks) - 2} more" if len(tasks) > 2 else ""
    return f"{count} {where}{several}; pushes {', '.join(shown)}{more} to {first.remote}. Your working copy is not touched."
