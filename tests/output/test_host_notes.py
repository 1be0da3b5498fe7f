"""Of what a box tells about hosts come few events, whose numbers add up, and no text that could do harm."""

from hypothesis import given
from hypothesis import strategies as st

from ccterm.events import HostAsked, Notice
from ccterm.output.host_notes import MOST_HOSTS
from tests.output.pipelines import SECRET, Watched, texts

SMALL = st.integers(min_value=1, max_value=3)


def tell(watched: Watched, host: str, number: object = None, *, allowed: bool = False, why: str = "not on the list") -> None:
    """Feed a note as box proxies write it."""
    watched.frame("note", what="egress", d=host, taken=allowed, detail=why, **({} if number is None else {"number": number}))


def asked(watched: Watched) -> list[HostAsked]:
    return [event for event in watched.events if isinstance(event, HostAsked)]


def test_a_host_is_told_of_when_it_is_new_and_as_its_count_doubles_and_at_the_end() -> None:
    watched = Watched()
    for number in range(1, 12):
        tell(watched, "pypi.org:443", number)
    watched.frame("end")
    assert [(event.count, event.more) for event in asked(watched)] == [(1, 1), (2, 1), (4, 2), (8, 4), (11, 3)]
    first = asked(watched)[0]
    assert (first.host, first.port, first.allowed, first.why) == ("pypi.org", 443, False, "not on the list")


def test_the_same_host_may_be_let_through_and_refused() -> None:
    watched = Watched()
    tell(watched, "a.example:443", allowed=True, why="")
    tell(watched, "a.example:22")
    tell(watched, "a.example:443", why="another name in TLS")
    assert [(event.port, event.allowed, event.why) for event in asked(watched)] == [
        (443, True, ""),
        (22, False, "not on the list"),
        (443, False, "another name in TLS"),
    ]


def test_a_host_that_is_named_after_a_secret_is_masked() -> None:
    watched = Watched(SECRET)
    tell(watched, f"{SECRET}.example:443", why=f"{SECRET} \x1b[31m\n is not on the list")
    watched.frame("end")
    assert len(asked(watched)) == 1
    assert SECRET not in watched.stored
    assert "\x1b" not in asked(watched)[0].why


def test_a_reason_does_not_repeat_the_host() -> None:
    watched = Watched()
    tell(watched, "a.example:443", why="a.example:443 is not among the hosts of this run")
    tell(watched, "b.example:443", why="b.example is at 10.0.0.1, and a closed box reaches addresses of the internet alone")
    assert [event.why for event in asked(watched)] == [
        "not among the hosts of this run",
        "at 10.0.0.1, and a closed box reaches addresses of the internet alone",
    ]


def test_that_there_are_too_many_hosts_is_told() -> None:
    watched = Watched()
    tell(watched, "", why="more than 500 hosts were asked for; no others are listed")
    assert texts(watched.events, Notice) == ["more than 500 hosts were asked for; no others are listed"]


def test_what_is_no_note_of_a_host_says_nothing() -> None:
    watched = Watched()
    for host in ("example", ":443", "a.example:https", "a.example:٤٤٣", "a" * 300 + ":443"):
        tell(watched, host)
    assert not asked(watched)
    tell(watched, "a.example:99999", -5)
    tell(watched, "a.example:99999", 10**30)
    assert [(event.port, event.count) for event in asked(watched)] == [(65535, 1), (65535, 10**9)]


def test_only_so_many_hosts_are_told_of() -> None:
    watched = Watched()
    for number in range(MOST_HOSTS + 5):
        tell(watched, f"a{number}.example:443")
    assert len(asked(watched)) == MOST_HOSTS


@given(st.lists(SMALL, max_size=60))
def test_what_events_tell_adds_up(steps: list[int]) -> None:
    watched, number = Watched(), 0
    for step in steps:
        number += step
        tell(watched, "a.example:443", number)
    watched.frame("end")
    told = asked(watched)
    assert sum(event.more for event in told) == number
    assert [event.count for event in told] == sorted({event.count for event in told})
    assert len(told) <= 2 + number.bit_length()
