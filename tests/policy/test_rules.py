"""One table of rules: what destroys much or configures tools is refused in testing mode, reported in pipeline mode; each rule has its flag."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccterm.causes import Cause, advice, next_action
from ccterm.models import Allowances, Mode
from ccterm.policy.protected import allowed, is_key_file, is_protected
from ccterm.policy.rules import RULES, PolicyFacts, PolicyLimits, allowing, deciding, deliverable, judge
from ccterm.values import Changes, Finding, Numbers, Verdict
from ccterm.workspace.work import PathChange, Work
from tests.box.gitbox import GitBox
from tests.support import git as support

FILES = {f"d{n % 10}/f{n}.txt": "".join(f"file {n} line {line}\n" for line in range(41)) for n in range(200)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository of 200 files with 8,200 lines."""
    return support.make_repository(tmp_path_factory.mktemp("policy") / "source", FILES)


def some(tree: Path, count: int) -> list[Path]:
    return sorted(tree.glob("d*/*.txt"))[:count]


def delete(tree: Path, count: int = 100) -> None:
    for path in some(tree, count):
        path.unlink()


def truncate(tree: Path) -> None:
    for path in some(tree, 200):
        path.write_text("")


def stub(tree: Path) -> None:
    for path in some(tree, 200):
        path.write_text("moved\n")


def rename(tree: Path) -> None:
    (tree / "other").mkdir()
    for path in some(tree, 100):
        path.rename(tree / "other" / path.name)


def link(tree: Path) -> None:
    for path in some(tree, 100):
        path.unlink()
        path.symlink_to("../d9/f199.txt")


def delete_and_commit(tree: Path) -> None:
    delete(tree, 200)
    support.commit_files(tree, {}, "All gone")


def rename_and_change(tree: Path) -> None:
    rename(tree)
    for path in (tree / "other").iterdir():
        path.write_text(path.read_text() + "one more line\n")


def shuffle(tree: Path) -> None:
    """Replace the content of files: no file is gone, but all their lines are."""
    for path in some(tree, 30):
        path.write_text("wholly other words\n" * 41)


def facts(box: GitBox) -> PolicyFacts:
    report = box.commit()
    assert report["ok"], report
    refusals = [(told["rule"], told["path"], told["detail"]) for told in report["refusals"]]
    return PolicyFacts(Work.read(box.out, report["commit"], Changes()).listed, refusals, tracked_lines=report["tracked_lines"])


def rules(verdict: Verdict, severity: str = "refuse") -> list[str]:
    return [finding.rule for finding in verdict.findings if finding.severity == severity]


@pytest.mark.parametrize(
    ("destroy", "clauses", "numbers"),
    [
        pytest.param(delete, ["deletions", "lines"], {"deleted": 100, "removed": 4100}, id="delete 100"),
        pytest.param(truncate, ["deletions", "lines"], {"gutted": 200, "removed": 8200}, id="truncate 200"),
        pytest.param(stub, ["deletions", "lines"], {"gutted": 200, "removed": 8200}, id="stub 200"),
        pytest.param(rename, [], {"deleted": 0, "renamed": 100, "removed": 0}, id="rename 100"),
        pytest.param(
            rename_and_change, [], {"deleted": 0, "renamed": 100, "removed": 0}, id="rename 100 and change a little", marks=pytest.mark.slow
        ),
        pytest.param(link, ["deletions", "lines"], {"retyped": 100, "removed": 4100}, id="100 to symlinks"),
        pytest.param(delete_and_commit, ["deletions", "lines"], {"deleted": 200, "removed": 8200}, id="delete 200 and commit"),
        pytest.param(shuffle, [], {"gutted": 0, "removed": 1230}, id="rewrite 30", marks=pytest.mark.slow),
    ],
)
def test_the_policy_counts_what_is_destroyed(
    source: Path, tmp_path: Path, destroy: Callable[[Path], None], clauses: list[str], numbers: dict[str, int]
) -> None:
    box = GitBox(tmp_path / "box", source).start()
    destroy(box.tree)
    found = facts(box)
    verdict = judge(found, Mode.TESTING, PolicyLimits())
    assert rules(verdict) == clauses
    told = verdict.numbers.model_dump()
    assert {name: told[name] for name in numbers} == numbers
    pushed = judge(found, Mode.PIPELINE, PolicyLimits())
    assert pushed.ok
    assert rules(pushed, "warn") == clauses
    assert rules(judge(found, Mode.PIPELINE, PolicyLimits(strict=True))) == clauses


def changed(path: str, *, old: str | None = "100644", new: str | None = "100644", **numbers: int) -> PathChange:
    return PathChange(path, old, new, **numbers)  # type: ignore[arg-type]  # the numbers have their names


def test_twenty_deletions_pass_and_one_more_does_not() -> None:
    gone = [changed(f"{n}", new=None) for n in range(21)]
    assert judge(PolicyFacts(gone[:20]), Mode.TESTING, PolicyLimits()).ok
    verdict = judge(PolicyFacts(gone), Mode.TESTING, PolicyLimits())
    assert verdict.findings[0].text == "21 files destroyed (21 deleted), more than 20; --allow-deletions 21 allows it"
    assert judge(PolicyFacts(gone), Mode.TESTING, PolicyLimits(allow=Allowances(deletions=21))).ok


def test_a_flag_raises_only_its_own_limit() -> None:
    much = [changed(f"{n}", new=None, removed=100) for n in range(30)]
    assert rules(judge(PolicyFacts(much), Mode.TESTING, PolicyLimits(allow=Allowances(deletions=30)))) == ["lines"]
    assert rules(judge(PolicyFacts(much), Mode.TESTING, PolicyLimits(allow=Allowances(lines=3000)))) == ["deletions"]
    assert judge(PolicyFacts(much), Mode.TESTING, PolicyLimits(allow=Allowances(deletions=30, lines=3000))).ok


def test_a_quarter_of_a_large_repository_may_go() -> None:
    much = [changed(f"{n}", removed=600) for n in range(10)]
    assert judge(PolicyFacts(much, tracked_lines=24_000), Mode.TESTING, PolicyLimits()).ok
    assert rules(judge(PolicyFacts(much, tracked_lines=23_999), Mode.TESTING, PolicyLimits())) == ["lines"]


def test_more_than_a_thousand_files_need_permission() -> None:
    many = [changed(f"{n}") for n in range(1001)]
    assert rules(judge(PolicyFacts(many), Mode.TESTING, PolicyLimits())) == ["files"]
    assert judge(PolicyFacts(many), Mode.TESTING, PolicyLimits(allow=Allowances(files=1001))).ok


def test_only_so_many_renames_do_not_count_as_deletions() -> None:
    moved = [PathChange(f"{n}", "100644", None, renamed_to=f"to/{n}") for n in range(230)]
    verdict = judge(PolicyFacts(moved), Mode.TESTING, PolicyLimits())
    assert (verdict.numbers.renamed, verdict.numbers.deleted) == (200, 30)
    assert rules(verdict) == ["deletions"]


@pytest.mark.parametrize("mode", Mode)
def test_what_harms_by_its_presence_is_refused_in_both_modes(mode: Mode) -> None:
    found = PolicyFacts([changed("id_rsa", old=None)], [("symlink", "x", "points out")], ["TOKEN"], ["shaped.py"])
    assert rules(judge(found, mode, PolicyLimits())) == ["secret", "symlink", "shape", "key_file"]


def test_no_flag_allows_a_registered_secret() -> None:
    assert not judge(PolicyFacts(secrets=["TOKEN"]), Mode.TESTING, PolicyLimits(allow=Allowances(paths=("*",)))).ok


def test_key_files_and_shapes_can_be_allowed_by_path() -> None:
    found = PolicyFacts([changed("tests/tls/server.pem", old=None)], shaped=["tests/tls/server.pem"])
    assert judge(found, Mode.TESTING, PolicyLimits(allow=Allowances(paths=("tests/tls/**",)))).ok


def test_an_existing_key_file_may_change() -> None:
    assert judge(PolicyFacts([changed(".env")]), Mode.TESTING, PolicyLimits()).ok


def test_what_was_left_out_of_the_commit_does_not_block_a_later_delivery() -> None:
    found = PolicyFacts([changed("CLAUDE.md")], [("special", "pipe", "is neither a regular file nor a symbolic link")])
    assert rules(judge(found, Mode.TESTING, PolicyLimits())) == ["special", "protected"]
    assert rules(deliverable(judge(found, Mode.TESTING, PolicyLimits()))) == ["protected"]


PATHS = st.lists(
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=12).map(
        lambda text: f"CLAUDE.md/{text}" if text[0] == "/" else text
    ),
    min_size=1,
    max_size=8,
    unique=True,
)


@given(PATHS)
@example(["-rf"])
@example(["a'b c[1]*?.txt"])
@example(["x\udcff"])
@example(["a\nb", "a\x1b[31m"])
@example([f"deep/er/{n}" for n in range(9)])
@example([f"[d]/{n}" for n in range(9)])
def test_the_flags_that_a_refusal_names_allow_all_of_its_paths(paths: list[str]) -> None:
    words = shlex.split(allowing(paths))
    assert all(word.isprintable() and not word.startswith("-") for word in words[1::2])
    assert all(allowed(path, words[1::2]) for path in paths)


@pytest.mark.parametrize(
    ("findings", "decides"),
    [
        ([("warn", "windows"), ("refuse", "nested")], "nested"),
        ([("refuse", "nested"), ("refuse", "protected")], "protected"),
        ([("refuse", "secret"), ("refuse", "nested"), ("refuse", "shape")], "secret"),
    ],
)
def test_the_reason_is_the_rule_that_decides_what_to_do(findings: list[tuple[str, str]], decides: str) -> None:
    found = [Finding.model_validate({"severity": severity, "rule": rule, "text": "x"}) for severity, rule in findings]
    assert deciding(Verdict(ok=False, findings=tuple(found), numbers=Numbers())) == decides


def test_nothing_promises_a_delivery_when_nothing_was_kept() -> None:
    causes = (Cause.TIMEOUT, Cause.STALLED, Cause.VERIFY, Cause.LOST)
    for cause, reason in ((Cause.POLICY, "nested"), *((cause, "") for cause in causes)):
        assert "ccterm push R" in next_action(cause, reason, run="R", deliver="push", kept=True)
        assert "push" not in next_action(cause, reason, run="R", deliver="push", kept=False)
    assert next_action(None, "", run="R", deliver="push", kept=False) == ""
    assert "ccterm push R delivers what was kept" in next_action(None, "", run="R", deliver="push", kept=True)


def test_ignored_paths_are_reported_but_not_refused() -> None:
    verdict = judge(PolicyFacts([changed("out/x", old=None)], ignored=["out/x"]), Mode.TESTING, PolicyLimits())
    assert (verdict.ok, rules(verdict, "warn")) == (True, ["ignored"])


def test_hostile_names_do_not_reach_the_terminal() -> None:
    verdict = judge(PolicyFacts([changed("CLAUDE.md\x1b]0;x\x07/CLAUDE.md")]), Mode.TESTING, PolicyLimits())
    assert "\x1b" not in verdict.findings[0].text + "".join(verdict.findings[0].paths)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".github/workflows/ci.yml", True),
        (".github/CODEOWNERS", False),
        ("a/b/.vscode/settings.json", True),
        ("src/claude.md", True),
        ("claude.mdx", False),
        ("docs/husky/x", False),
        (".husky", True),
        (".HUSKY/pre-push", True),
    ],
)
def test_protected_paths(path: str, expected: bool) -> None:
    assert is_protected(path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".env", True),
        (".env.example", False),
        ("a/.env.local", True),
        ("x.pem", True),
        ("id_ed25519", True),
        ("id_rsa.pub", False),
        ("envy", False),
    ],
)
def test_key_files(path: str, expected: bool) -> None:
    assert is_key_file(path) is expected


@pytest.mark.parametrize(
    ("glob", "expected"),
    [(".github/**", True), (".github", True), (".github/", True), ("ci.yml", True), ("*.yml", True), (".git", False), ("workflows", False)],
)
def test_a_path_is_allowed_by_name_by_directory_or_by_glob(glob: str, expected: bool) -> None:
    assert allowed(".github/workflows/ci.yml", [glob]) is expected


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    "path",
    [
        "nul",
        "NUL.txt",
        "aux.c",
        "con",
        "COM1.log",
        "lib/prn",
        "a:b",
        "dot.",
        "trail ",
        "back\\slash",
        "q?.txt",
        "lt<.txt",
        "LPT\u00b9",
        "aux /x",
    ],
)
def test_names_that_windows_does_not_take_are_reported(mode: Mode, path: str) -> None:
    verdict = judge(PolicyFacts([PathChange(path, None, "100644")]), mode, PolicyLimits(strict=True))
    assert (verdict.ok, [(finding.rule, finding.paths) for finding in verdict.findings]) == (True, [("windows", (path,))])


@pytest.mark.parametrize("path", ["null", "console.txt", "com10", "com", "nul_.txt", ".aux", "a.nul", "README.md", "ü 1/b c"])
def test_other_names_are_not(path: str) -> None:
    assert judge(PolicyFacts([PathChange(path, None, "100644")]), Mode.PIPELINE, PolicyLimits()).findings == ()


def test_names_that_were_there_before_are_not_reported_again() -> None:
    facts = PolicyFacts([PathChange("aux.c", "100644", "100644"), PathChange("nul", "100644", None)])
    assert judge(facts, Mode.PIPELINE, PolicyLimits()).findings == ()


def test_every_refusal_says_what_lets_the_work_through() -> None:
    for rule in RULES:
        action = advice(Cause.POLICY, rule.name).action
        left_out = deliverable(Verdict(ok=False, findings=(Finding(rule=rule.name, severity="refuse", text="x"),))).ok
        assert ("without what the verdict names" in action) is left_out
        assert ("the flag that the verdict names" in action) is not (left_out or rule.name in ("secret", "unscanned"))


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause not in (Cause.POLICY, Cause.PUSH, Cause.CONFLICT)])
def test_work_that_is_kept_has_its_way_out_and_nothing_promises_one_without(cause: Cause) -> None:
    assert "ccterm push R" in next_action(cause, "", run="R", deliver="push", kept=True)
    assert "push" not in next_action(cause, "", run="R", deliver="push", kept=False)
    assert "ccterm apply R" in next_action(cause, "", run="R", deliver="apply", kept=True)
