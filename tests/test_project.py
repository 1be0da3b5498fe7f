"""What pyproject.toml and the documents say about the project agrees with the code."""

import re
import tomllib
from pathlib import Path

import typer.main

import ccterm
from ccterm.cli.commands import app
from ccterm.executors.dagger import image_spec

ROOT = Path(__file__).parents[1]
PROJECT, TOOLS = (tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[table] for table in ("project", "tool"))
PYTHONS = {"3.11", "3.12", "3.13", "3.14"}
OLDEST = "3.11"
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]


def test_the_address_of_the_project_is_the_same_everywhere() -> None:
    assert PROJECT.get("urls", {}).get("Homepage", "") == ccterm.PROJECT_URL


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_links_of_the_documents_lead_somewhere() -> None:
    for page in (*DOCUMENTS, *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_documents_hold_no_html_by_accident() -> None:
    for page in (*DOCUMENTS, *(ROOT / "docs").glob("*.md")):
        prose = re.sub(r"^```.*?^```|^ {4}.*?$|<!--.*?-->|`[^`]*`", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert re.findall(r"<[A-Za-z/].*", prose) == [], page.name


def test_commands_in_documents_are_shown_as_such() -> None:
    names = set(typer.main.get_group(app).commands)
    for page in (*DOCUMENTS, *(ROOT / "docs").glob("*.md")):
        prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for line in re.findall(r"\n\n(ccterm .*)", prose):  # the beginning of a paragraph
            assert line.split()[1] not in {*names, "#"}, f"{page.name}: {line}"


def test_tests_that_documents_name_exist() -> None:
    tests = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py")}
    for page in (*DOCUMENTS[1:4], *(ROOT / "docs").glob("*.md")):
        for named, function in re.findall(r"`((?:\w+/)*test_\w+\.py|executors/contract\.py)(?:::(\w+))?`", page.read_text("utf-8")):
            found = [text for path, text in tests.items() if f"/{path}".endswith(f"/{named}")]
            assert any(f"def {function}(" in text for text in found) if function else found, f"{page.name}: {named}::{function}"


def test_each_claim_about_a_hostile_agent_has_its_tests() -> None:
    model, tests = written("docs/security.md").split("### The tests\n")
    claims = re.findall(r"^\| (\d+)\. ", model, re.MULTILINE)
    assert claims == [str(number) for number in range(1, len(claims) + 1)]
    assert re.findall(r"^(\d+)\. `\S+::test_\w+`", tests, re.MULTILINE) == claims


def test_the_pythons_that_are_promised_are_those_that_are_tried() -> None:
    assert {
        found[1] for each in PROJECT["classifiers"] if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each))
    } == PYTHONS
    assert set(re.findall(r'python: "(3\.\d+)"', written(".github/workflows/ci.yml"))) == PYTHONS
    assert set(re.findall(r"^ +(3\.\d+)$", written(".github/workflows/release.yml"), re.MULTILINE)) == PYTHONS
    assert set(re.findall(r"python(3\.\d+)", written("scripts/environment.sh"))) == PYTHONS
    assert [set(found.split()) for found in re.findall(r"for version in (.*);", written("scripts/try-install"))] == [PYTHONS]


def test_the_oldest_python_is_the_same_for_all_tools_and_for_boxes() -> None:
    assert PROJECT["requires-python"] == f">={OLDEST}"
    assert TOOLS["mypy"]["python_version"] == OLDEST
    assert TOOLS["ruff"]["target-version"] == f"py{OLDEST.replace('.', '')}"
    assert f"--python-version {OLDEST} " in written("scripts/lock")
    assert f"sys.version_info < ({OLDEST.replace('.', ', ')})" in written("scripts/environment.sh")
    assert f"needs Python {OLDEST} or newer" in written("scripts/environment.sh")
    assert f"Python ≥ {OLDEST}" in written("README.md")
    assert ".".join(map(str, image_spec.PYTHON)) == OLDEST
    assert f"python3 ({OLDEST} or newer)" in written("docs/settings.md")


def written(path: str) -> str:
    return (ROOT / path).read_text("utf-8")
