"""Runs a hostile agent in boxes whose network is open or closed, and says which ways led it out."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ccterm.box.protocol import Frame
from tests.support import network_lab as lab

PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or ""
"""One that the agent's user may run; the tests' own may lie in somebody's home."""
LISTED = ["listed.example", "*.wide.example:80"]
RESOLVED_BADLY = ["private", "loopback", "metadata", "azure", "shared", "local6", "mapped", "both"]
"""Names on the list, at addresses that are not of the internet."""


def connect(authority: str, headers: str = "") -> str:
    """Return a request for a tunnel."""
    return f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n"


def get(url: str, headers: str = "") -> str:
    """Return a plain request."""
    return f"GET {url} HTTP/1.1\r\n{headers}\r\n"


REACHES: Mapping[str, str] = {
    **{f"a name at a bad address: {name}": connect(f"{name}.example:80") for name in RESOLVED_BADLY},
    "a plain request to a bad address": get("http://private.example/"),
    "an address": connect(f"{lab.PUBLIC}:80"),
    "an IPv6 address": connect(f"[{lab.PUBLIC_6}]:80"),
    "a private address": connect(f"{lab.PRIVATE}:80"),
    "this machine": connect("127.0.0.1:80"),
    "this machine by IPv6": connect("[::1]:80"),
    "this machine, mapped": connect("[::ffff:127.0.0.1]:80"),
    "the metadata service": get(f"http://{lab.METADATA}/latest/"),
    "localhost": connect("localhost:80"),
    "a host that is not listed": connect("elsewhere.example:80"),
    "another port of a listed host": connect(f"listed.example:{lab.ODD}"),
    "another port of a listed host, plain": get(f"http://listed.example:{lab.ODD}/"),
    "the host above a star": connect("wide.example:80"),
}
"""What an open box answers, and a closed one refuses."""
TRICKS: Mapping[str, str] = {
    "an address in hex": connect("0x7f000001:80"),
    "an address as one number": connect("2130706433:80"),
    "an address in octal": connect("0177.0.0.1:80"),
    "a short address": connect("127.1:80"),
    "an address with a zone": connect("[fe80::1%lo]:80"),
    "a listed name as a user": connect("listed.example@elsewhere.example:80"),
    "a user of a listed name": connect("elsewhere.example@listed.example:80"),
    "a user in an address": get("http://listed.example:80@elsewhere.example/"),
    "two ports": connect("listed.example:443:80"),
    "no port": connect("listed.example"),
    "port 0": connect("listed.example:0"),
    "a port that wraps around": connect("listed.example:65616"),
    "a signed port": connect("listed.example:+80"),
    "a listed name at the end": connect("evil-listed.example:80"),
    "a listed name at the beginning": connect("listed.example.elsewhere.example:80"),
    "a percent escape": connect("listed%2eexample:80"),
    "a name beyond ASCII": connect("l\u00efsted.example:80"),
    "an empty label": connect("listed..example:80"),
    "a byte of no meaning": connect("listed.example\x00.elsewhere.example:80"),
    "a space in the name": connect("elsewhere.example listed.example:80"),
    "a path to connect to": connect("listed.example:80/"),
    "another scheme": get("https://listed.example/"),
    "a file": get("file:///etc/passwd"),
    "a request to a server": get("/", "Host: listed.example\r\n"),
    "two lengths": get("http://listed.example/", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
    "two Content-Lengths": get("http://listed.example/", "Content-Length: 3\r\nContent-Length: 4\r\n") + "abcd",
    "a length that is no number": get("http://listed.example/", "Content-Length: 0x3\r\n") + "abc",
    "an unknown coding": get("http://listed.example/", "Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n",
    "a folded header": get("http://listed.example/", "A: b\r\n c: d\r\n"),
    "a header without a name": get("http://listed.example/", ": listed\r\n"),
    "a space before a colon": get("http://listed.example/", "Content-Length : 3\r\n"),
    "a line that ends early": get("http://listed.example/", "A: b\nTransfer-Encoding: chunked\r\n"),
    "a head without end": get("http://listed.example/", "A: " + "a" * 70000),
    "an old HTTP": "CONNECT listed.example:80\r\n\r\n",
}  # fmt: skip
"""What no box answers: two readers could take it for two things."""
FINE: Mapping[str, str] = {
    "a listed host": connect("listed.example:80"),
    "a listed host, plain": get("http://listed.example/"),
    "a listed host in other letters": connect("LISTED.Example.:443"),
    "a host below a star": connect("below.wide.example:80"),
}
"""What a closed box reaches: the control of all that it does not."""


def network(mode: str, **fields: object) -> dict[str, object]:
    """Return what a box is asked for, see `NetworkRequest`."""
    hosts = [*LISTED, *(f"{name}.example" for name in RESOLVED_BADLY), "rebinding.example"]
    return {"mode": mode, "hosts": hosts, "gateway": None, "ca": None, "services": {}, **fields}


def lab_box(sockets: list[str]) -> dict[str, Any]:
    """Return what the agent is told of a lab."""
    return {
        "outside": [lab.PUBLIC, lab.WEB],
        "outside6": [lab.PUBLIC_6, lab.WEB],
        "dns": lab.DNS,
        "name": "elsewhere.example",
        "private": ["private.example", lab.WEB],
        "abstract": lab.ABSTRACT,
        "sockets": sockets,
        "beside": ["private.example", lab.ECHO, lab.WEB],
        "listed": ["listed.example", lab.ECHO],
        "programs": [],
        "requests": {**REACHES, **TRICKS, **FINE},
    }


def agent_request(mode: str, command: list[str], **fields: object) -> dict[str, Any]:
    """Return the request of a supervisor whose agent is one program. Its user has no rights but its own."""
    return {
        "argv": command, "cwd": "tree", "env": {}, "home": "home", "prompt": "", "hold": False, "hold_seconds": 9.0, "wall_seconds": 300.0,
        "silence_seconds": 60.0, "mark": "m" + os.urandom(8).hex(), "control": None, "user": "nobody", "keep": [],
        "network": network(mode), **fields,
    }  # fmt: skip


def run_in_lab(lib: Path, box: Path, program: str, request: Mapping[str, Any], *, through: Sequence[str] = ()) -> list[Frame]:
    """Run a step program as root in a lab; return its frames. through: a command that runs the one that follows it."""
    _open(box)
    (box / "request.json").write_text(json.dumps(request))
    said = in_lab([*through, sys.executable, "-I", "-S", str(lib / "__main__.py"), program, "request.json"], box)
    frames: list[Frame] = [json.loads(line) for line in said.splitlines()]
    return frames


def in_lab(command: list[str], directory: Path) -> str:
    """Run a command in a lab; return what it printed."""
    command = [sys.executable, lab.__file__, *command]
    ended = subprocess.run(
        command, cwd=directory, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _open(box: Path) -> None:
    """Let the agent's user reach its box."""
    for name in ("tree", "home"):
        (box / name).mkdir(parents=True, exist_ok=True)
    for path in (box, *box.parents):
        if path.stat().st_mode & 0o5 != 0o5 and str(path) != "/":
            path.chmod(path.stat().st_mode | 0o5)


def tried(printed: list[str]) -> dict[str, tuple[bool, str]]:
    """Return what came of each way: whether it led out, and how it ended."""
    found = [json.loads(line) for line in printed]
    return {each["way"]: (each["out"], each["detail"]) for each in found}


def lines(frames: list[Frame]) -> list[str]:
    """Return what the agent printed."""
    return [frame["d"] for frame in frames if frame["k"] == "line"]
