"""Names are compared as the most tolerant file system would: what a tool obeys is found however it is spelled, and honest names are left alone."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.git.names import folded, unseen
from ccterm.models import Allowances, Mode
from ccterm.policy.protected import allowed, is_key_file, is_protected
from ccterm.policy.rules import PolicyFacts, PolicyLimits, judge
from ccterm.workspace.work import PathChange

OBEYED = """
    .gitea/workflows/x.yml .forgejo/workflows/x.yml .woodpecker/x.yml .drone.yaml .cirrus.yml appveyor.yml .semaphore/semaphore.yml
    .devcontainer.json .cursor/mcp.json .cursor/rules/a.mdc .cursorrules GEMINI.md .gemini/settings.json .codex/config.toml opencode.json
    .github/copilot-instructions.md .zed/tasks.json x.code-workspace lefthook-local.yml lefthook.toml mise.local.toml .mise/config.toml
    .config/mise.toml .tool-versions .exrc .nvim.lua .vimrc .gdbinit .irbrc .bash_aliases .yarn/releases/yarn.cjs .bundle/config .gitattributes
    .aider.conf.yml .kiro/settings/mcp.json .roo/mcp.json .config/git/config .ssh/config .hg/hgrc .github/workflows/ci.yml a/b/.vscode/settings.json
    src/claude.md .husky .HUSKY/pre-push .azure-pipelines/a.yml .bazelrc .mvn/extensions.xml sitecustomize.py .envrc .gitlab-ci.yml
""".split()  # noqa: SIM905  (words are easier to read)
HONEST = """
    .github/CODEOWNERS claude.mdx docs/husky/x .gitignore .editorconfig package.json Makefile src/lefthooker.py docs/agents/x.md .config/app.toml
    README~1.md docs/mise.md .docker/Dockerfile src/mcp.py notes.txt .env.example a/workflows/ci.yml x/.github/ISSUE_TEMPLATE/bug.md ~ a~b .eslintrc
""".split()  # noqa: SIM905  (words are easier to read)
EQUIVALENTS = {"s": "Sſ", "k": "K\u212a", "e": "E", "o": "O", "a": "A"}
INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u200e", "\u202e", "\u2060", "\u00ad", "\ufeff", "\ufe0f", "\U000e0061"]


@pytest.mark.parametrize("path", OBEYED)
def test_what_tools_obey_is_protected(path: str) -> None:
    assert is_protected(path)


@pytest.mark.parametrize("path", HONEST)
def test_what_no_tool_obeys_is_not(path: str) -> None:
    assert not is_protected(path)


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """A protected path in other letters: case, compatible forms, invisible characters, what Windows drops at the end of a name."""
    parts = []
    for part in draw(st.sampled_from(OBEYED)).split("/"):
        letters = [draw(st.sampled_from(letter + letter.upper() + EQUIVALENTS.get(letter.lower(), ""))) for letter in part]
        if draw(st.booleans()):
            letters.insert(draw(st.integers(0, len(letters))), draw(st.sampled_from(INVISIBLE)))
        parts.append("".join(letters) + draw(st.sampled_from(["", "", ".", " ", ". ", "::$DATA"])))
    return draw(st.sampled_from(["", "a/", "a/b.c/"])) + draw(st.sampled_from(["/", "\\"])).join(parts)


@given(disguised())
def test_no_disguise_makes_a_protected_path_another(path: str) -> None:
    assert is_protected(path)


@pytest.mark.parametrize("path", ["CLAUDE~1.MD", "VSCODE~1/tasks.json", ".vscode/x", "GITHUB~1/WORKFL~1/ci.yml", "BASHRC~2", "VS3F2A~1/a"])
def test_the_short_names_of_windows_are_protected(path: str) -> None:
    assert is_protected(path)


@pytest.mark.parametrize(
    ("path", "mode", "ok"),
    [(".github", "120000", False), ("a/.CONFIG", "120000", False), (".github", "100644", True), ("a/config", "120000", True)],
)
def test_a_link_in_place_of_a_directory_with_protected_files_is_protected(path: str, mode: str, ok: bool) -> None:
    assert judge(PolicyFacts([PathChange(path, None, mode)]), Mode.TESTING, PolicyLimits()).ok is ok


@pytest.mark.parametrize("path", ["ID_RSA", "\u200b.env", "id_r\u017fa", "x.PEM.", "a/.EnV.local", ".env::$DATA"])
def test_key_files_are_known_in_any_spelling(path: str) -> None:
    assert is_key_file(path)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_folding_is_final_and_forgets_case_form_and_invisible_characters(name: str) -> None:
    once = folded(name.encode())
    assert folded(once) == once
    assert folded(unicodedata.normalize("NFD", name).encode()) == once
    assert folded(name[:1].encode() + "\u200b".encode() + name[1:].encode()) == once


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("README\u200b.md", True),
        ("a\u202efdp.exe", True),
        ("so\u00adft", True),
        ("x\u200dy", True),
        ("a\ufe0f", True),
        ("\U0001f469\u200d\U0001f4bb.png", False),  # an emoji of two, joined
        ("❤\ufe0f.png", False),
        ("می\u200cخواهم.txt", False),  # Persian needs it between these letters
        ("naïve.txt", False),
    ],
)
def test_characters_that_nobody_sees(name: str, expected: bool) -> None:
    assert unseen(name) is expected
    verdict = judge(PolicyFacts([PathChange(f"docs/{name}", None, "100644")]), Mode.TESTING, PolicyLimits())
    assert verdict.ok is not expected
    assert judge(PolicyFacts([PathChange(name, None, "100644")]), Mode.PIPELINE, PolicyLimits()).ok
    assert judge(PolicyFacts([PathChange(name, None, "100644")]), Mode.TESTING, PolicyLimits(allow=Allowances(paths=("*",)))).ok


def test_an_invisible_character_is_shown() -> None:
    [finding] = judge(PolicyFacts([PathChange("README\u200b.md", None, "100644")]), Mode.TESTING, PolicyLimits()).findings
    assert finding.text.startswith(r"a name with invisible characters: README\u200b.md;")
    assert finding.paths == (r"README\u200b.md",)


@given(st.lists(st.sampled_from(["*", "**/", "*a", "?", "[!b]*", "a", "/"]), max_size=60).map("".join))
def test_no_glob_takes_for_ever_to_match(glob: str) -> None:
    begin = time.process_time()
    allowed("a/" * 60 + "a" * 2000, [f"{glob}b", f"*{glob}*c"])
    assert time.process_time() - begin < 2
