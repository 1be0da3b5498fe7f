"""Runs on a working copy that somebody works in."""

from pathlib import Path

from ccterm.draft import Draft
from ccterm.models import ExecutionMode, Run
from ccterm.service.protocol import Service
from tests.support.core import script
from tests.support.git import git, make_repository

FILES = {"README.md": "hello\n", "src/a.py": "a = 1\n", ".gitignore": "ignored/\n.env\n"}
WORK = script(
    {"append": "README.md", "text": "agent\n"},
    {"write": "lib/new.py", "text": "new\n"},
    {"delete": "src/a.py"},
    {"say": "Done."},
)


def copy_in_use(path: Path) -> Path:
    """Make a working copy with an edit, a staged file, an untracked and an ignored one."""
    tree = make_repository(path, FILES)
    (tree / "README.md").write_text("hello\nmine\n")
    (tree / "staged.txt").write_text("staged\n")
    git(tree, "add", "staged.txt")
    (tree / "untracked.txt").write_text("untracked\n")
    (tree / "ignored").mkdir()
    (tree / "ignored/big").write_text("ignored\n")
    return tree


def for_copy(copy: Path, task: str = WORK, **fields: object) -> Draft:
    return Draft.model_validate({"prompt": task, "repo": str(copy), "agent": "scripted", "mode": ExecutionMode.LOCAL, **fields})


async def ended(service: Service, draft: Draft) -> Run:
    [run] = await service.submit([draft])
    return await service.wait(run.id)
