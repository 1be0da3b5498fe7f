"""What pyproject.toml and the documents say about the project agrees with the code."""

import re
import tomllib
from pathlib import Path

import ccterm

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]


def test_the_address_of_the_project_is_the_same_everywhere() -> None:
    assert PROJECT.get("urls", {}).get("Homepage", "") == ccterm.PROJECT_URL


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_links_of_the_documents_lead_somewhere() -> None:
    for page in (*DOCUMENTS, *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_pythons_that_are_promised_are_those_that_are_tried() -> None:
    promised = {found[1] for each in PROJECT["classifiers"] if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each))}
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert promised == set(re.findall(r'python: "(3\.\d+)"', workflow))
    assert min(promised, key=lambda version: int(version[2:])) == PROJECT["requires-python"].removeprefix(">=")
