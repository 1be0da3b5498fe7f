"""`ccterm demo` without a terminal: four scripted agents at once on a throwaway repository; needs nothing but git."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ccterm import render
from ccterm.causes import ExitCode
from ccterm.cli.console import carry_out, interruptible, print_data, print_note, print_runs
from ccterm.cli.main import environment
from ccterm.cli.run_tasks import follow_all
from ccterm.draft import Draft
from ccterm.errors import PreflightError
from ccterm.executors.temporary import temporary
from ccterm.git.git import Git, GitError, init
from ccterm.models import ExecutionMode, Run, RunId, State

_SUBMODULE = '[submodule "vendor/theme"]\n\tpath = vendor/theme\n\turl = ../theme.git\n'
_FILES = {
    "README.md": "# Shop\n\nA small shop, made for a demonstration.\n",
    "shop/__init__.py": '"""A small shop."""\n',
    "shop/cart.py": "def total(prices: list[float]) -> float:\n    return sum(prices)\n",
    "shop/login.py": "def login(name: str, password: str) -> bool:\n    return bool(name and password)\n",
}
Action = Mapping[str, str | float]
_SCRIPTS: Mapping[str, Sequence[Action]] = {
    "docs/install": [
        {"say": "I'll add the missing install section to the README."},
        {"append": "README.md", "text": "\n## Install\n\n    pip install shop\n"},
        {"say": "The README now says how to install the shop."},
    ],
    "feature/rate-limit": [
        {"type": "I'll start with the login module, then give every other module the same treatment.", "seconds": 1.0},
        *[{"write": f"shop/limits/rule_{n:02}.py", "text": f'"""Rule {n}."""\n\nLIMIT = {n * 10}\n'} for n in range(1, 25)],
        {
            "edit": "shop/login.py",
            "old": "return bool(name and password)",
            "new": "return bool(name and password)  # limited by shop.limits",
        },
        {"bash": "ls shop/limits | wc -l"},
        {"say": "Login is rate limited now; 24 rules, each in a module of its own."},
    ],
    "chore/audit": [
        *[{"say": f"Looking at part {n} of 40: nothing suspicious here, going on with the next one."} for n in range(1, 41)],
        {"write": "AUDIT.md", "text": "# Audit\n\nForty parts were looked at; all of them are fine.\n"},
        {"say": "The audit is done; AUDIT.md has the result."},
    ],
    "fix/rounding": [
        {"say": "The total is computed with floats; I'll look for the place where it is rounded."},
        {"bash": "grep -n round shop/cart.py"},
        {"fail": "overloaded", "text": "this one fails on purpose"},
    ],
}
_AUTHOR = {"NAME": "ccterm demo", "EMAIL": "demo@localhost"}
_SUBJECTS = {
    "docs/install": "Say how to install the shop",
    "feature/rate-limit": "Limit the rate of logins",
    "chore/audit": "Add the result of the audit",
    "fix/rounding": "Round the total in one place",
}


def demo(*, as_json: bool) -> ExitCode:
    """Run the demo; exit 0 when three agents delivered and the fourth failed as it should."""
    with temporary("demo") as place, sample_repository(place, _FILES) as remote:
        ended = carry_out(_play(place / "state", remote, as_json=as_json))
        verified = {run.id: _on_remote(remote, run) for run in ended}
    if as_json:
        print_runs(ended)
    else:
        _tell(ended, verified)
    delivered = sum(run.state is State.SUCCEEDED and verified[run.id] for run in ended)
    return ExitCode.OK if delivered == len(ended) - 1 else ExitCode.FAILED


@contextmanager
def sample_repository(place: Path, files: Mapping[str, str]) -> Iterator[Path]:
    """Create a bare repository with these files, and with what real ones have: tags, a default branch that was renamed, a submodule."""
    remote, tree = place / "shop.git", place / "tree"
    for name, text in {**files, ".gitmodules": _SUBMODULE}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, "utf-8")
    author = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _AUTHOR.items()}
    try:
        init(str(remote), None, "main")
        git = Git(str(remote), work_tree=str(tree), env=author)
        git.run("add", "--all")
        git.run("commit", "--quiet", "-m", "A small shop")
        git.run("tag", "v0.9")
        git.run("update-index", "--add", "--cacheinfo", f"160000,{git.text('rev-parse', 'HEAD')},vendor/theme")
        git.run("commit", "--quiet", "-m", "Add the theme as a submodule")
        git.run("tag", "-a", "-m", "The first one", "v1.0")
        git.run("branch", "-m", "trunk")
    except FileNotFoundError as error:
        raise PreflightError("git is not installed", "install git, then try again") from error
    except GitError as error:
        raise PreflightError(f"git failed: {error.detail}", "ccterm check") from error
    yield remote


async def _play(state: Path, remote: Path, *, as_json: bool) -> list[Run]:
    """Carry the tasks out in a state directory of their own: the user's history is no place for a demonstration."""
    from ccterm.daemon import open_service  # deferred, as in all commands: --help does without

    drafts = [
        Draft(
            task=json.dumps({"script": script}),
            repo=str(remote),
            branch=branch,
            message=_SUBJECTS[branch],
            agent="scripted",
            execution_mode=ExecutionMode.LOCAL,
        )
        for branch, script in _SCRIPTS.items()
    ]
    if not as_json:
        print_note(f"four scripted agents on {remote}, each with a fresh clone; one of them fails on purpose")
    async with open_service(state, environment()) as service, interruptible(service):
        queued = await service.submit(drafts, max_concurrent=len(drafts))
        await follow_all(service, queued, as_json=as_json)
        return [await service.find(run.id) for run in queued]


def _on_remote(remote: Path, run: Run) -> bool:
    """Ask the remote itself what the branch points to."""
    if run.pushed is None:
        return False
    return Git(str(remote)).text("rev-parse", run.pushed.ref) == run.pushed.sha


def _tell(ended: Sequence[Run], verified: dict[RunId, bool]) -> None:
    rows = [
        [
            render.sign(run),
            run.task.target,
            run.pushed.sha[:10] if run.pushed else "",
            "verified" if verified[run.id] else render.outcome(run),
            render.change_numbers(run),
            render.seconds(run.seconds),
            f"${run.cost_usd:.2f}",
        ]
        for run in ended
    ]
    for line in render.table(rows, ["", "BRANCH", "COMMIT", "ON THE REMOTE", "CHANGES", "TIME", "COST"], frozenset({5, 6})):
        print_data(line)
    print_note("the repository and the records of these runs are removed; nothing is left of them")
