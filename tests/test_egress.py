"""What users write about the network of a box, and what of it boxes are told."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccterm.draft import Draft
from ccterm.errors import UsageError
from ccterm.events import HostAsked
from ccterm.models import ExecutionMode, Run, RunId, State, Task, now
from ccterm.record import MOST_REFUSED, Recorder, fold, replay
from ccterm.settings.egress import ALWAYS, PRESETS, covered, egress_choice, folded, host_pattern, login_place, resolved, within
from ccterm.store import Store
from ccterm.transcript import Transcript
from ccterm.values import Egress, RefusedHost
from tests.support.waiting import until

LABELS = st.from_regex(re.compile(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", re.ASCII), fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "example"]))
PORTS = st.none() | st.integers(1, 65535)
PATTERNS = st.builds(
    lambda star, host, port: f"{'*.' if star and '.' in host else ''}{host}{f':{port}' if port else ''}", st.booleans(), DOMAINS, PORTS
)


def lists(*hosts: str) -> Egress:
    return Egress(mode="list", hosts=hosts)


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("PyPI.org", "pypi.org"),
        ("pypi.org.", "pypi.org"),
        ("example.com:0443", "example.com:443"),
        ("*.Example.com:8443", "*.example.com:8443"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
        ("my_bucket.s3.example", "my_bucket.s3.example"),
        ("ｅｘａｍｐｌｅ．com", "example.com"),
    ],
)
def test_a_pattern_has_one_form(written: str, pattern: str) -> None:
    assert host_pattern(written) == pattern


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("https://pypi.org/simple", "a URL or a path; name the host alone"),
        ("pypi.org/simple", "a URL or a path"),
        ("pypi.org:0", "port is not a number from 1 to 65535"),
        ("pypi.org:65536", "port is not a number"),
        ("pypi.org:٤٤٣", "port is not a number"),
        ("pypi.org:", "port is not a number"),
        ("10.0.0.1", "an address; name the host"),
        ("8.8.8.8:53", "an address"),
        ("127.1", "an address"),
        ("0x7f.0x1", "an address"),
        ("1.2.3.４", "an address"),
        ("::1", "an address"),
        ("[::1]", "an address"),
        ("[::1]:443", "not the name of a host"),
        ("localhost", "of this machine or of a private network"),
        ("*.localhost", "of this machine or of a private network"),
        ("metadata.google.internal", "of this machine or of a private network"),
        ("*", "not the name of a host"),
        ("*.com", "nearly every host"),
        ("api.*.com", "not the name of a host"),
        ("a b.com", "not the name of a host"),
        ("user@example.com", "not the name of a host"),
        ("-a.example.com", "not the name of a host"),
        (".".join(["a" * 60] * 5), "not the name of a host"),
        ("", "not the name of a host"),
        ("nmp", "neither a preset nor the whole name of a host; presets are github, npm"),
    ],
)
def test_what_names_no_host_is_refused_in_a_sentence(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        host_pattern(written)


@given(PATTERNS)
def test_a_pattern_stands_for_itself(pattern: str) -> None:
    assert host_pattern(host_pattern(pattern.upper())) == host_pattern(pattern)
    assert covered(host_pattern(pattern), [host_pattern(pattern)])


@given(st.text(max_size=40) | PATTERNS)
def test_any_text_is_a_pattern_or_is_refused(text: str) -> None:
    try:
        found = host_pattern(text)
    except ValueError:
        return
    assert re.fullmatch(r"(\*\.)?([a-z0-9_-]+\.)+[a-z0-9_-]+(:[0-9]+)?", found)


@pytest.mark.parametrize(
    ("written", "choice"),
    [
        ("open", "open"),
        (["record"], "record"),
        ("RECORD", "record"),
        ("npm, Example.com", ("npm", "example.com")),
        (["npm,pypi", "npm"], ("npm", "pypi")),
        ([], ()),
        (("a.example",), ("a.example",)),
    ],
)
def test_a_choice_has_one_form(written: object, choice: object) -> None:
    assert egress_choice(written) == choice
    assert egress_choice(choice) == choice


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "is empty"),
        (["npm", ""], "is empty"),
        (["open", "npm"], '"open" beside others'),
        ({"npm": True}, "is not valid"),
        ([1], "is not valid"),
        ([f"a{number}.example" for number in range(501)], "more than 500 hosts"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(written: object, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        egress_choice(written)


def test_every_host_of_a_preset_is_a_pattern_in_its_one_form() -> None:
    hosts = [host for hosts in PRESETS.values() for host in hosts]
    assert [host_pattern(host) for host in hosts] == hosts


def test_a_list_is_sent_to_boxes_without_presets_and_always_with_the_api() -> None:
    assert resolved(("npm", "a.example")) == lists(*PRESETS["npm"], "a.example", *PRESETS[ALWAYS])
    assert resolved(()).hosts == PRESETS[ALWAYS]
    assert (resolved(None), resolved("record")) == (Egress(), Egress(mode="record"))


def test_an_egress_is_said_in_words() -> None:
    assert [each.text for each in (Egress(), Egress(mode="record"), lists("a.example"), lists("a.example", "b.example"))] == [
        "open",
        "recorded",
        "1 host",
        "2 hosts",
    ]


@pytest.mark.parametrize(
    ("pattern", "by", "is_covered"),
    [
        ("a.example:443", "a.example", True),
        ("a.example:80", "a.example", True),
        ("a.example:8443", "a.example", False),
        ("a.example", "a.example:443", False),
        ("b.a.example:443", "*.a.example", True),
        ("c.b.a.example", "*.a.example", True),
        ("a.example", "*.a.example", False),
        ("ba.example", "*.a.example", False),
        ("*.b.a.example", "*.a.example", True),
        ("*.a.example", "*.a.example", True),
        ("*.a.example", "a.example", False),
    ],
)
def test_what_a_pattern_covers(pattern: str, by: str, *, is_covered: bool) -> None:
    assert covered(pattern, [by]) is is_covered


@pytest.mark.parametrize(
    ("asked", "allowed", "is_within"),
    [
        (Egress(), Egress(), True),
        (Egress(), Egress(mode="record"), False),
        (Egress(), lists("a.example"), False),
        (Egress(mode="record"), Egress(), True),
        (Egress(mode="record"), lists("a.example"), False),
        (lists("a.example"), Egress(), True),
        (lists("a.example"), Egress(mode="record"), True),
        (lists("a.example:443"), lists("a.example"), True),
        (lists("a.example", "b.example"), lists("a.example"), False),
    ],
)
def test_which_network_is_within_which(asked: Egress, allowed: Egress, *, is_within: bool) -> None:
    assert within(asked, allowed) is is_within


def test_recorded_hosts_fold_to_presets_and_lose_what_is_there_anyway() -> None:
    reached = ["api.anthropic.com:443", "registry.npmjs.org:443", "b.example:443", "b.example:80", "a.example:8443"]
    assert folded(reached) == ("npm", "a.example:8443", "b.example")


@given(st.lists(st.sampled_from([host for hosts in PRESETS.values() for host in hosts if "*" not in host]) | PATTERNS, max_size=12))
def test_a_folded_list_covers_all_that_was_reached(hosts: list[str]) -> None:
    reached = [host_pattern(host) for host in hosts]
    choice = egress_choice(list(folded(reached)))
    assert isinstance(choice, tuple)
    assert all(covered(host, resolved(choice).hosts) for host in reached)


def test_a_draft_says_what_is_wrong_with_its_egress() -> None:
    with pytest.raises(UsageError, match='egress holds "nmp", which is neither a preset'):
        Draft(task="x", egress="nmp")
    assert Draft.model_validate_json(Draft(task="x", egress=["npm,a.example"]).model_dump_json()).egress == ("npm", "a.example")


def run() -> Run:
    task = Task(prompt="x", repo="/r", execution_mode=ExecutionMode.DAGGER)
    return Run(id=RunId("01FAKE00000000000000000000"), task=task, created=now(), state=State.RUNNING)


def refused(host: str, count: int, more: int) -> HostAsked:
    return HostAsked(host=host, port=443, allowed=False, count=count, more=more, why="not on the list")


def test_a_document_adds_up_how_often_each_host_was_refused_in_all_steps() -> None:
    told = [refused("a.example", 1, 1), refused("b.example", 1, 1), refused("a.example", 4, 3), refused("a.example", 2, 2)]
    told.append(HostAsked(host="c.example", port=443, allowed=True, count=1, more=1))
    found = replay(run(), told)
    assert [(each.host, each.count) for each in found.refused_hosts] == [("a.example:443", 6), ("b.example:443", 1)]
    assert replay(found, told) == found


def test_a_document_holds_only_so_many_refused_hosts() -> None:
    known = run()
    for number in range(MOST_REFUSED + 5):
        known = fold(known, refused(f"a{number}.example", 1, 1))
    known = fold(known, refused("a1.example", 2, 1))
    assert len(known.refused_hosts) == MOST_REFUSED
    assert known.refused_hosts[1] == RefusedHost(host="a1.example:443", count=2, why="not on the list")


async def test_what_was_refused_is_in_the_store_while_the_run_goes_on(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "db")
    recorder = Recorder(run(), Transcript(tmp_path / "run", run().id), store, spent_after=0.01)
    await recorder.save()
    recorder.emit([refused("a.example", 1, 1)])
    await until(lambda: bool(store.get(run().id).refused_hosts))
    await recorder.finish(State.CANCELLED)
    store.close()


def test_a_document_of_an_older_version_had_an_open_network_and_its_login_in_the_box() -> None:
    document = run().document()
    task = {name: value for name, value in run().task.model_dump(mode="json").items() if name not in ("egress", "login")}
    older = Run.model_validate({name: value for name, value in document.items() if name != "refused_hosts"} | {"task": task})
    assert (older.task.egress.text, older.task.login, older.refused_hosts) == ("open", "secret", ())


@pytest.mark.parametrize(
    ("place", "outside"),
    [
        (login_place(None, Egress(), ExecutionMode.LOCAL), False),
        (login_place(None, Egress(), ExecutionMode.LOCAL, needed=True), True),
        (login_place(None, Egress(), ExecutionMode.DAGGER), True),
        (login_place(None, Egress(mode="list", hosts=("example.com",))), True),
        (login_place("secret", Egress(), ExecutionMode.DAGGER), False),
        (login_place("gateway", Egress(), ExecutionMode.LOCAL), True),
    ],
)
def test_the_login_is_outside_of_containers_and_where_tokens_count_unless_the_user_says_otherwise(place: str, *, outside: bool) -> None:
    assert (place == "gateway") is outside
