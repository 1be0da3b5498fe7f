"""No way out of a closed box but the list: a hostile agent tries them all, in a lab where each would lead somewhere."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccterm.box.protocol import Frame
from tests.box.closed_boxes import FINE, PYTHON, REACHES, TRICKS, agent_request, in_lab, lab_box, lines, network, run_in_lab, tried
from tests.support import network_lab as lab
from tests.support import ways_out

pytestmark = pytest.mark.skipif(bool(lab.why_not() or not PYTHON), reason=lab.why_not() or "no python3 for all users")
SERVICES = {"private.example": lab.ECHO}
OPEN_TO_ALL = {*FINE, "a_service_at_its_port"}
NOT_SHOWN = {"kernel_modules", "calls_of_32_bits", "another_interface", "a_setuid_program"}
"""What cannot be shown to work outside of a closed box here: it would change the machine, the kernel lacks it, or no agent can. See the same on an engine."""
Try = Callable[[str], list[Frame]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("closed")


@pytest.fixture(scope="module")
def attempts(place: Path, lib: Path) -> Iterator[Try]:
    """Return a function that lets the agent try everything in a box of a mode."""
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(str(place / "host.sock"))
        host.listen(8)

        def run(mode: str) -> list[Frame]:
            (place / "host.sock").chmod(0o600 if mode == "list" else 0o666)
            command = [PYTHON, "-I", "-c", ways_out.PROGRAM, json.dumps(lab_box([str(place / "host.sock")]))]
            return run_in_lab(lib, place / mode, "supervise", agent_request(mode, command, network=network(mode, services=SERVICES)))

        yield run


@pytest.fixture(scope="module")
def closed(attempts: Try) -> list[Frame]:
    return attempts("list")


def test_nothing_but_the_list_is_reached(closed: list[Frame]) -> None:
    found = tried(lines(closed))
    assert {name: detail for name, (out, detail) in found.items() if out} == dict.fromkeys(OPEN_TO_ALL, "out")
    assert len(found) - len(OPEN_TO_ALL) >= 100
    assert found["calls_of_32_bits"][1] == "signal 31"  # SIGSYS, for this process alone


def test_refusals_are_told_once_for_each_host_with_a_count(closed: list[Frame]) -> None:
    notes = [frame for frame in closed if frame.get("what") == "egress"]
    told = {(note["d"], note["taken"]): note for note in notes}
    assert told["elsewhere.example:80", False]["detail"] == "not on the list"
    assert told["private.example:80", False]["detail"] == "the port of this service is 443"
    assert told["mapped.example:80", False]["detail"] == "at ::ffff:10.1.2.3, which is not an address of the internet"
    assert told["listed.example:443", False]["detail"] in (
        "the TLS connection asks for elsewhere.example",
        "the TLS connection cannot be understood",
    )
    assert told[f"listed.example:{lab.ODD}", False]["number"] == 2
    assert told["listed.example:80", True]["number"] == 2
    assert [note["number"] for note in notes if note["d"] == "elsewhere.example:80"] == [1]


@pytest.mark.slow
def test_the_same_ways_lead_out_of_an_open_box_or_with_the_rights_of_root(attempts: Try, place: Path) -> None:
    agent = tried(lines(attempts("open")))
    root = tried(in_lab([PYTHON, "-I", "-c", ways_out.PROGRAM, json.dumps(lab_box([]))], place).splitlines())
    shown = {name for found in (agent, root) for name, (out, _) in found.items() if out}
    assert {*ways_out.WAYS, *REACHES} - shown - NOT_SHOWN == {"the host above a star"}  # which has no address
    assert shown & {*TRICKS} == set()
