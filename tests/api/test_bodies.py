"""Bodies that are wrong: a sentence says what, and nothing happens."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.api.raw import order, send
from tests.api.served import BATCH, RUN, SCRIPTED, Served, served
from tests.support.core import EDIT

GOOD = {**SCRIPTED, "task": EDIT, "branch": "agent/x"}
WRONG_VALUES: dict[str, list[object]] = {
    "task": [None, 1, True, [], {}, "", " \n", "a\0b", "\ud800", "x" * 1_000_001],
    "branch": [1, [], {}, "", "-x", "a..b", "a b", "x.lock", "@{1}", "a\0b", "refs/heads/" + "x" * 300],
    "repo": [1, [], {}, "", "ext::sh -c id", "https://user:pw@github.com/o/r", "a\0b"],
    "base": [1, [], {}, "", "-x", "a b"],
    "execution_mode": [1, "docker", "LOCAL", [], True],
    "agent": [1, [], "", "bash"],
    "model": [1, [], "", "a\0b"],
    "message": [1, [], ""],
    "timeout": [-1, 0, "soon", [], {}, "1e400", 10**30],
    "silence": [-1, "never", []],
    "budget": [-1, 0, "much", [], 10**400],
    "max_turns": [-1, 0, 1.5, "many", [], 10**30],
    "max_tokens": [-1, 0, 1.5, "many", [], 10**30],
    "hold": [2, "perhaps", [], {}],
    "apply": [True, False],  # there is a branch
}
ONLY_HERE = {
    "skip_permissions": True, "agent_args": ["--x"], "setup": "id", "verify": "id", "allow_default_branch": True,
    "allow_deletions": 5, "allow_lines": 5, "allow_files": 5, "allow_path": ["*"],
}  # fmt: skip
UNKNOWN = (
    "image",
    "dockerfile",
    "services",
    "secrets",
    "env",
    "settings",
    "allow",
    "limits",
    "mode",
    "prompt",
    "yes",
    "id",
    "state",
    "__class__",
    "",
    "a\0b",
)

NO_TASKS = (
    (b"", 422), (b"null", 422), (b"[]", 422), (b'"text"', 422), (b"1", 422), (b"{", 400), (b"{} {}", 400), (b"\xff\xfe{}", 400), (b"{'a': 1}", 400),
    (b'{"task": "a", "task": "b"}', 400), (b'{"task": NaN}', 400), (b'{"budget": 1e999, "task": "a"}', 422), (b"[" * 500_000, 400),
    (b'{"task": ' + b'{"a":' * 30 + b"1" + b"}" * 31, 400), (b"[" + b"[]," * 200_000 + b"1]", 400), (b'{"task": "\\u0000"}', 422),
    (b'{"budget": ' + b"9" * 5000 + b', "task": "a"}', 400), (b"\0" * 1000, 400),
)  # fmt: skip
NO_BATCHES: tuple[dict[str, object], ...] = (
    {}, {"tasks": []}, {"tasks": {}}, {"tasks": "x"}, {"tasks": [1]}, {"tasks": [[]]}, {"tasks": [{}]}, {"tasks": [{"task": "a", "branch": 1}]},
    {"tasks": [{"task": "a"}], "max_concurrent": 0}, {"tasks": [{"task": "a"}], "max_concurrent": "4"}, {"tasks": [{"task": "a"}], "max_concurrent": True},
    {"tasks": [{"task": "a"}], "task": "b"}, {"tasks": [{"task": "a"}], "branch": "b"}, {"tasks": [{"task": "a", "skip_permissions": False}]},
)  # fmt: skip
QUERIES = (
    "limit=0",
    "limit=1001",
    "limit=x",
    "before=0",
    "before=-1",
    "state=asleep",
    "since=yesterday",
    "since=2026-01-01T00:00:00",
    "since=9999999999999999",
    f"batch={'x' * 65}",
)


@pytest.fixture
async def strict(tmp_path: Path, remote: Path, working_copy: Path) -> AsyncIterator[Served]:
    """A server on which no run may have started by the end of the test."""
    async with served(tmp_path, remote, working_copy) as api:
        yield api
        assert await api.service.runs() == []


def require_sentence(answer: httpx.Response, *statuses: int) -> str:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert len(found["detail"]) > 10
    assert "Traceback" not in answer.text
    return str(found["detail"])


async def test_wrong_values_are_refused_by_name(strict: Served) -> None:
    for name, values in WRONG_VALUES.items():
        for value in values:
            content = json.dumps({**GOOD, name: value}).encode(errors="surrogatepass")
            answer = await strict.client.post(RUN, content=content, headers={"Content-Type": "application/json"})
            detail = require_sentence(answer, 403, 413, 422)
            assert name in detail or name in ("task", "repo", "agent", "execution_mode", "budget", "apply", "base"), (name, value, detail)


async def test_what_only_the_command_line_may_set_is_refused(strict: Served) -> None:
    for name, value in ONLY_HERE.items():
        detail = require_sentence(await strict.post(RUN, {**GOOD, name: value}), 403)
        assert detail == f'"{name}" cannot be set by a program'
        require_sentence(await strict.post(BATCH, {**SCRIPTED, "tasks": [{"task": EDIT}], name: value}), 403)


async def test_unknown_fields_are_refused(strict: Served) -> None:
    for name in UNKNOWN:
        assert "unknown field" in require_sentence(await strict.post(RUN, {**GOOD, name: 1}), 422)
    misspelt = (await strict.post(RUN, {**GOOD, "brnach": "x"})).json()
    assert (misspelt["detail"], misspelt["action"]) == ('unknown field "brnach"', "did you mean branch?")


async def test_what_is_no_task_in_json_is_refused(strict: Served) -> None:
    for body, status in NO_TASKS:
        answer = await strict.client.post(RUN, content=body, headers={"Content-Type": "application/json"})
        require_sentence(answer, status)
    answer = await strict.client.post(RUN, content=b'{"task": "a"\n"repo": 1}', headers={"Content-Type": "application/json"})
    assert answer.json()["detail"] == 'the body is not JSON: line 2, column 1: a comma or the closing bracket is expected, not "repo"'


async def test_a_gigabyte_is_refused_before_it_comes(strict: Served) -> None:
    answer = await send(strict, order(strict, body=b"{", length=1 << 30))
    assert (answer.status, answer.problem["detail"]) == (413, "the body has more than 1,048,576 bytes")


async def test_a_wrong_batch_starts_none_of_its_tasks(strict: Served) -> None:
    for body in NO_BATCHES:
        tasks = body.get("tasks")
        with_a_good_one = {"tasks": [GOOD, *tasks]} if isinstance(tasks, list) and tasks else {}
        require_sentence(await strict.post(BATCH, {**SCRIPTED, **body, **with_a_good_one}), 403, 422)


async def test_a_refusal_in_a_batch_says_which_task(strict: Served) -> None:
    answer = await strict.post(BATCH, {**SCRIPTED, "tasks": [{"task": EDIT, "branch": "x"}, {"task": EDIT, "branch": "a..b"}]})
    assert require_sentence(answer, 422).startswith('tasks[1]: "branch" is refused')


async def test_wrong_parameters_are_named(strict: Served) -> None:
    for query in QUERIES:
        answer = await strict.client.get(f"/api/v1/runs?{query}")
        assert f'"{query.partition("=")[0]}"' in require_sentence(answer, 422)


async def test_a_parameter_that_there_is_not_is_refused(strict: Served) -> None:
    answer = await strict.client.get("/api/v1/runs?sate=failed")
    assert require_sentence(answer, 422) == '/api/v1/runs has no parameter "sate"'
    assert answer.json()["action"] == "did you mean state?"
    require_sentence(await strict.client.post(f"{RUN}?waits=60", json=GOOD), 422)
    assert (await strict.client.get("/api/v1/runs/1?x=1")).json()["action"] == "leave it out"
    assert (await strict.client.get("/healthz?now=1")).json() == {"ok": True}


async def test_a_wrong_key_or_place_is_named(strict: Served) -> None:
    answer = await strict.client.post(RUN, json=GOOD, headers={"Idempotency-Key": "x" * 300})
    assert "Idempotency-Key" in require_sentence(answer, 422)
    for place in ("x", "1;2", "1;2:x", "1" * 400):
        require_sentence(await strict.client.get("/api/v1/events", headers={"Last-Event-ID": place}), 400)


async def test_paths_that_are_not_served_are_refused(strict: Served, tmp_path: Path) -> None:
    link = tmp_path / "copy" / "link"
    link.symlink_to("/")
    for path in (
        "/",
        "/etc",
        str(tmp_path),
        f"{tmp_path}/copy/..",
        f"{tmp_path}/copyx",
        str(link),
        "~",
        ".",
        "copy",
        f"file://{tmp_path}/other.git",
    ):
        require_sentence(await strict.post(RUN, {**GOOD, "repo": path}), 403, 422)


async def test_local_mode_is_for_servers_that_allow_it(tmp_path: Path, remote: Path) -> None:
    async with served(tmp_path, remote, allow_local=False) as api:
        for fields in ({"execution_mode": "local"}, {"agent": "scripted"}, SCRIPTED):
            answer = await api.post(RUN, {"task": EDIT, "branch": "x", **fields})
            assert answer.json()["action"].endswith("ccterm serve --allow-local"), answer.text
            assert answer.status_code == 403
        assert await api.service.runs() == []
