"""What is destroyed is counted in bytes as well as in lines: whatever the rest of a file holds, and however the loss is spread over files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.models import Mode
from ccterm.policy.rules import PolicyFacts, PolicyLimits, judge
from ccterm.workspace.work import PathChange


def verdict(changes: list[PathChange]) -> list[str]:
    return [finding.rule for finding in judge(PolicyFacts(changes), Mode.TESTING, PolicyLimits()).findings]


def shrunk(part: float, *, size: int = 4000) -> PathChange:
    """One long line that lost a part of its bytes."""
    return PathChange("f", "100644", "100644", added=1, removed=1, old_size=size, size=round(size * (1 - part)))


def binary(lines: int, *, old_size: int = 1000, size: int = 1000) -> PathChange:
    """A text that became binary."""
    return PathChange("f", "100644", "100644", old_size=old_size, size=size, old_lines=lines)


losses = st.one_of(
    st.floats(0.25, 1).map(shrunk),
    st.integers(0, 400).map(binary),
    st.just(PathChange("f", "100644", None, removed=1, old_size=300)),
    st.just(PathChange("f", "100644", "120000", removed=1, added=1, old_size=300)),
)


def loss(change: PathChange) -> float:
    """How much of a file is gone."""
    return max(1 - change.size / change.old_size, 0) if change.new_mode == "100644" and change.removed is not None else 1


@given(st.lists(losses, max_size=120))
def test_more_than_twenty_files_worth_is_refused_however_it_is_spread(changes: list[PathChange]) -> None:
    if sum(map(loss, changes)) >= 21.01:  # parts of a file are counted in whole files
        assert "deletions" in verdict(changes)


@given(st.lists(st.builds(PathChange, st.just("f"), st.just("100644"), st.just("100644"), added=st.just(1), removed=st.just(1),
                          old_size=st.integers(0, 10**6), size=st.just(10**6)), max_size=100))  # fmt: skip
def test_small_edits_are_no_destruction(changes: list[PathChange]) -> None:
    assert verdict(changes) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([binary(100, size=10**6)] * 21, ["deletions", "lines"], id="text that became binary, and larger"),
        pytest.param([binary(100)] * 5, [], id="a few of them"),
        pytest.param([binary(600)], ["lines"], id="one of many lines"),
        pytest.param([PathChange("f", "100644", "100644", old_size=10**6, size=2 * 10**5)] * 100, [], id="images that became smaller"),
        pytest.param([shrunk(0.89)] * 24, ["deletions"], id="a little under nine tenths, often"),
        pytest.param([shrunk(0.5)] * 40, [], id="half of forty"),
        pytest.param([shrunk(0.5)] * 42, ["deletions"], id="half of forty-two"),
        pytest.param([shrunk(0.2)] * 300, [], id="a fifth of many"),
        pytest.param([PathChange("f", "100644", None, old_lines=600)], ["lines"], id="a deleted text that attributes call binary"),
    ],
)
def test_what_counts_as_destroyed(changes: list[PathChange], expected: list[str]) -> None:
    assert verdict(changes) == expected
