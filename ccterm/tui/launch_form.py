"""The launch form without its screen: its fields, and the way from their text to drafts or to what is wrong with each; pure.

The draft model alone decides what is valid.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError
from textual.content import Content

from ccterm.boundaries import boundary
from ccterm.draft import FIELDS, Draft, TaskField
from ccterm.errors import CctermError
from ccterm.models import BranchState, ExecutionMode, Mode, Task
from ccterm.problems import problem
from ccterm.remotes import looks_like_url
from ccterm.remotes.branch_names import EACH, SUGGESTED

SEPARATOR = re.compile(r"^[ \t]*---[ \t]*$", re.MULTILINE)
_ESCAPED = re.compile(r"^([ \t]*)\\(\\*---[ \t]*)$", re.MULTILINE)
AT_ONCE = "max_concurrent"
DELIVERY = "delivery"
PUSH, APPLY = "push", "apply"
MAX_AT_ONCE = 256
YES = "yes"

EXTRA_FIELDS = {
    DELIVERY: TaskField("Where the work goes", label="Delivery"),
    AT_ONCE: TaskField("How many of them run at once", label="At once"),
}
"""The fields that are no part of a task."""
MAIN: tuple[str, ...] = ("repo", DELIVERY, "branch", "allow_default_branch", "execution_mode", "model")
"""The fields below the prompt; what they are called and show is said by `draft.FIELDS`."""
MORE: tuple[tuple[str, ...], ...] = (
    ("base",),
    ("agent",),
    ("timeout", "budget"),
    ("max_turns", "max_tokens"),
    (AT_ONCE,),
    ("egress",),
    ("login",),
    ("skip_permissions",),
    ("setup",),
    ("verify",),
)
"""The fields that are seldom needed, as they are laid out."""
MORE_NAMES = "start, agent, limits, at once, network, login, setup, verify"
CHOICES: Mapping[str, Mapping[str, str]] = {
    DELIVERY: {PUSH: "push a branch", APPLY: "into the working copy"},
    "execution_mode": {"dagger": "container", "local": "this machine, no isolation"},
    "agent": {"claude": "claude", "scripted": "scripted"},
    "model": {"": "default", "opus": "opus", "sonnet": "sonnet", "haiku": "haiku"},
    "login": {"": "default", "gateway": "gateway, outside of the box", "secret": "in the box"},
    "skip_permissions": {"": "no", YES: "yes, no questions asked"},
    "allow_default_branch": {"": "refuse", YES: "allow pushing to it"},
}
"""Field -> its values, and how each is named. A model may also be typed."""
_ADVICE = (
    (r"give --branch", "choose “push a branch” as Delivery"),
    (r"leave out --base", "leave “From” empty"),
    (r"give --base", "fill in “From”"),
    (r"give --egress open or record", "write “open” or “record” as Network"),
    (r"give --egress open", "write “open” as Network"),
    (r"--login gateway", "choose “gateway” as Login"),
    (r"use --mode dagger", "choose “container” as Where"),
    (r"use --mode local", "choose “this machine” as Where"),
    (r"as --repo", "as Repository"),
    *((rf"{re.escape(flag)}\b", f"“{known.label}”") for known in FIELDS.values() if known.label for flag in known.flags),
)
"""What the command line's advice is called in the form."""


@dataclass(frozen=True)
class FormResult:
    """What a form amounts to. problems: field -> what is wrong. at_once: how many may run at once; None = as configured.

    complete: the tasks as far as the form itself tells, whose branches can be asked about.
    """

    complete: Sequence[Draft] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    at_once: int | None = None

    @property
    def drafts(self) -> Sequence[Draft]:
        """The tasks; none while anything is wrong."""
        return () if self.problems else self.complete


def examine(form: Mapping[str, str], states: Sequence[BranchState | None] = ()) -> FormResult:
    """Return the drafts that a form describes, or what is wrong with it; empty fields are left to the settings.

    states: what is known of the drafts' branches, if it is known.
    """
    prompts = split_prompts(form.get("prompt", ""))
    pushes = form.get(DELIVERY, PUSH) == PUSH
    unused = {"prompt", "branch", DELIVERY, *unneeded(form, states)}
    filled = {name: text.strip() for name, text in form.items() if text.strip() and name not in unused}
    at_once = filled.pop(AT_ONCE, "")
    branches: Sequence[str | None] = branches_of(form.get("branch", "").strip(), len(prompts)) if pushes else [None] * len(prompts)
    problems = dict(_problems(filled)) | ({} if _is_count(at_once) else {AT_ONCE: f"is not a number from 1 to {MAX_AT_ONCE}"})
    if not pushes and looks_like_url(filled.get("repo", "")):
        problems[DELIVERY] = "a URL has no working copy; push a branch, or name a directory as Repository"
    if not prompts:
        problems["prompt"] = "describe what should be done"
    elif wrong := next((text for prompt in prompts if (text := _wrong("prompt", prompt))), ""):
        problems["prompt"] = wrong
    if wrong := next((text for branch in branches if branch and (text := _wrong("branch", branch))), ""):
        problems["branch"] = wrong
    if problems:
        return FormResult(problems=problems)
    drafts = [
        Draft.model_validate({**filled, "prompt": prompt, "branch": branch}) for prompt, branch in zip(prompts, branches, strict=True)
    ]
    return FormResult(drafts, dict(_branch_problems(filled, states)), int(at_once) if at_once else None)


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


def _branch_problems(filled: Mapping[str, str], states: Sequence[BranchState | None]) -> Iterator[tuple[str, str]]:
    """Yield what the remote has against a form."""
    for state in states:
        if state is None:
            continue
        if state.problem:
            yield state.concerns, in_form_words(state.problem)
        elif state.is_default and not filled.get("allow_default_branch"):
            yield "branch", f"{state.branch} is the default branch; choose another name, or allow it below"
        elif state.tip and filled.get("base"):
            yield "base", f"{state.branch} exists and is continued from its tip; leave this empty, or choose another branch"


def unneeded(form: Mapping[str, str], states: Sequence[BranchState | None] = ()) -> Collection[str]:
    """Return the fields that mean nothing with what the others hold; they are not shown."""
    found = set[str]()
    if form.get(DELIVERY, PUSH) != PUSH:
        found |= {"branch", "base", "allow_default_branch"}
    elif not any(state and state.is_default for state in states):
        found.add("allow_default_branch")
    if form.get("execution_mode", form.get("mode")) == "dagger":
        found.add("skip_permissions")
    return found


def held(form: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """Return what the folded fields hold beyond their defaults, in words."""
    names = [name for row in MORE for name in row if form.get(name, "").strip() and form[name] != defaults.get(name, "")]
    return " · ".join(
        f"{label_of(name)} {CHOICES.get(name, {}).get(form[name], form[name])}" for name in names if name not in unneeded(form)
    )


def label_of(name: str) -> str:
    """Return what a field is called in the form."""
    return (EXTRA_FIELDS.get(name) or FIELDS[name]).label


def in_form_words(text: str) -> str:
    """Return a message that names flags of the command line, with the fields of the form instead."""
    for flag, words in _ADVICE:
        text = re.sub(flag, words, text)
    return text


def error_text(error: CctermError) -> Content:
    """Return what is wrong and how to fix it, in those words."""
    message, fix = in_form_words(error.message), in_form_words(error.fix)
    return Content.assemble((message, "$text-error"), f"\n{fix}" if fix else "")


def plan_text(tasks: Sequence[Task], at_once: int) -> Content:
    """Return what will happen with these tasks in a bold sentence, and below it their boundary and what is to be said of them."""
    notes = list(dict.fromkeys(note for task in tasks for note in task.notes))
    return Content.assemble((summarise(tasks, at_once), "bold"), f"\n{boundary(tasks[0])}", *(f"\n{note}" for note in notes))


def split_prompts(text: str) -> list[str]:
    """Return the tasks of a text: the parts between lines of three dashes. A backslash before the dashes makes them a line of the task."""
    return [_ESCAPED.sub(r"\1\2", part).strip() for part in SEPARATOR.split(text) if part.strip()]


def branches_of(name: str, count: int) -> list[str]:
    """Return a branch for each of so many tasks: the name itself, or numbered; without a name, or with three dots in it, after the task."""
    name = name.replace("...", EACH) or SUGGESTED
    return [name] * count if EACH in name or count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def summarise(tasks: Sequence[Task], at_once: int) -> str:
    """Return a sentence that says what will happen when these tasks are launched."""
    first = tasks[0]
    count = "1 run" if len(tasks) == 1 else f"{len(tasks)} runs"
    boxes = "in containers" if len(tasks) > 1 else "in a container"
    where = "on this machine" if first.execution_mode is ExecutionMode.LOCAL else boxes
    several = f", {min(at_once, len(tasks))} at once" if len(tasks) > 1 else ""
    if first.mode is Mode.TESTING:
        return f"{count} {where}{several}: works on a snapshot of {first.repo}; nothing changes there until you apply the result."
    shown = [task.branch or "" for task in tasks[:2]]
    more = f" and {len(tasks) - 2} more" if len(tasks) > 2 else ""
    return f"{count} {where}{several}; pushes {', '.join(shown)}{more} to {first.remote}. Your working copy is not touched."
