"""Which runs a filter shows: words anywhere in a run, and state:, repo: and batch: for one of its fields."""

from collections.abc import Callable, Iterable, Mapping

from ccterm.render import sign
from ccterm.tui.run_view import RunView, Standing

HELP = "words that a run must contain, or state:failed repo:shop batch:12"


def matches(view: RunView, words: Iterable[str]) -> bool:
    """Whether a run contains all words: in its branch, prompt, remote, state, cause, model or agent; or, after a field's name, in that.

    The prompts of the runs that it goes on with count as its own.
    """
    return all(_has(view, word.casefold()) for word in words)


def _has(view: RunView, word: str) -> bool:
    field, colon, text = word.partition(":")
    if colon and field in _FIELDS:
        return _FIELDS[field](view, text)
    return word in _text(view)


def _text(view: RunView) -> str:
    run = view.run
    prompts = (each.task.prompt for each in view.thread)
    parts = (run.task.target, *prompts, _repo(view), run.cause, run.task.model, run.task.agent, *_states(view))
    return " ".join(part for part in parts if part).casefold()


def _repo(view: RunView) -> str:
    return view.run.task.remote or view.run.task.repo


def _states(view: RunView) -> list[str]:
    """Return all words that fit a run's state."""
    run = view.run
    more = {
        "waiting": view.standing is Standing.WAITING,
        "held": run.held is not None,
        "refused": sign(run) == "!",
        "pushed": run.pushed is not None,
        "done": view.standing is Standing.DONE,
    }
    return [str(run.state), *(word for word, fits in more.items() if fits)]


_FIELDS: Mapping[str, Callable[[RunView, str], bool]] = {
    "state": lambda view, text: any(state.startswith(text) for state in _states(view)),
    "repo": lambda view, text: text in _repo(view).casefold(),
    "network": lambda view, text: text in view.run.task.egress.text or any(text in host for host in view.run.task.egress.hosts),
    "batch": lambda view, text: view.batch.removeprefix("#") == text.removeprefix("#"),
}
"""Field -> whether a run's text there fits."""
