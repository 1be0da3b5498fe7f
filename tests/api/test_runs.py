"""Starting runs over HTTP, and everything that can be asked of them afterwards."""

import asyncio
from pathlib import Path

import httpx
import pytest

from ccterm.events import Said
from ccterm.models import RunId, State
from tests.api.served import BATCH, RUN, SCRIPTED, Served, served
from tests.e2e.arranged import configure
from tests.support.core import EDIT, script
from tests.support.git import branches, files_at, make_repository, tip
from tests.support.waiting import until

HANGING = script({"write": "half.txt", "text": "half\n"}, {"say": "hanging"}, {"hang": True})


async def test_a_run_ends_in_a_pushed_branch(api: Served) -> None:
    run = await api.run("feature/x")
    assert (run["state"], run["number"]) == ("succeeded", 1)
    assert tip(api.remote, "feature/x") == run["commit"] == run["pushed"]["sha"]


@pytest.mark.slow
async def test_a_run_is_accepted_before_it_has_ended(api: Served) -> None:
    answer = await api.post(RUN, {**SCRIPTED, "task": HANGING, "branch": "x"})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/runs/{answer.json()['id']}"
    found = await api.get(answer.headers["location"])
    assert found.json()["id"] == answer.json()["id"]


@pytest.mark.slow
async def test_waiting_ends_when_the_time_is_over(api: Served) -> None:
    answer = await api.post(f"{RUN}?wait=0.2", {**SCRIPTED, "task": HANGING, "branch": "x"})
    assert answer.status_code == 202
    assert answer.json()["state"] in ("queued", "running")


async def test_without_a_branch_the_changes_come_into_the_working_copy(api: Served, working_copy: Path) -> None:
    run = await api.run(None, repo=str(working_copy))
    assert run["synced"] == {"files": 1, "linked": 0, "undone": False}
    assert (working_copy / "new.txt").read_text() == "new\n"


@pytest.mark.slow
async def test_a_rule_keeps_changes_out_of_the_working_copy(api: Served, working_copy: Path) -> None:
    run = await api.run(None, script({"write": ".github/workflows/x.yml", "text": "on: push\n"}, {"say": "Done."}), repo=str(working_copy))
    assert (run["state"], run["cause"]) == ("failed", "policy")
    assert not (working_copy / ".github").exists()


@pytest.mark.slow
async def test_changes_wait_when_the_body_says_so(api: Served, working_copy: Path) -> None:
    run = await api.run(None, repo=str(working_copy), apply=False)
    assert run["synced"] is None
    assert not (working_copy / "new.txt").exists()
    applied = await api.post(f"/api/v1/runs/{run['number']}/apply", {})
    assert applied.json()["synced"]["files"] == 1
    assert (working_copy / "new.txt").exists()
    undone = await api.post(f"/api/v1/runs/{run['id']}/undo")
    assert undone.json()["synced"]["undone"] is True
    assert not (working_copy / "new.txt").exists()


@pytest.mark.slow
async def test_a_batch_ends_in_a_branch_for_each_task(api: Served) -> None:
    tasks = [{"task": EDIT, "branch": f"feature/task-{n}"} for n in (1, 2, 3)]
    answer = await api.post(f"{BATCH}?wait=60", {**SCRIPTED, "tasks": tasks, "max_concurrent": 4})
    assert answer.status_code == 200, answer.text
    assert answer.json()["counts"] == {"total": 3, "queued": 0, "running": 0, "succeeded": 3, "failed": 0, "cancelled": 0}
    assert {"feature/task-1", "feature/task-2", "feature/task-3"} <= set(branches(api.remote))
    listed = (await api.get(answer.headers["location"])).json()["runs"]
    assert [run["task"]["branch"] for run in listed] == ["feature/task-3", "feature/task-2", "feature/task-1"]


async def test_runs_are_listed_page_by_page(api: Served) -> None:
    for n in range(5):
        await api.run(f"b/{n}", wait=0)
    seen, following = [], "/api/v1/runs?limit=2"
    while following:
        page = (await api.get(following)).json()
        seen += [run["number"] for run in page["runs"]]
        following = page["next"]
    assert seen == [5, 4, 3, 2, 1]
    assert [run["number"] for run in (await api.get("/api/v1/runs", branch="b/2")).json()["runs"]] == [3]


async def test_a_run_is_steered_held_released_and_cancelled(api: Served) -> None:
    run = await api.run(task=script({"say": "ready"}, {"write": "a.txt", "text": "b\n"}), hold=True, wait=0)
    at = f"/api/v1/runs/{run['id']}"
    await until(lambda: "waiting" in api.service.transcript(RunId(run["id"])).read_text())
    steered = await api.post(f"{at}/steer", {"text": script({"write": "more.txt", "text": "more\n"}, {"say": "more"})})
    assert steered.status_code == 200, steered.text
    assert await said(api, run["id"], "more")
    assert (await api.post(f"{at}/release")).status_code == 200
    ended = await api.service.wait(RunId(run["id"]))
    assert ended.state is State.SUCCEEDED
    assert files_at(api.remote, "agent/x")["more.txt"] == b"more\n"
    refused = await api.post(f"{at}/cancel")
    assert (refused.status_code, refused.json()["detail"]) == (409, "run #1 has ended already (succeeded)")


async def said(api: Served, run: str, text: str) -> bool:
    async for event in api.service.follow(RunId(run)):
        if isinstance(event, Said) and event.text == text:
            return True
    return False


@pytest.mark.slow
async def test_cancelled_work_is_pushed_afterwards(api: Served) -> None:
    run = await api.run("x", HANGING, wait=0)
    assert await said(api, run["id"], "hanging")
    assert (await api.post(f"/api/v1/runs/{run['id']}/cancel")).status_code == 200
    await api.service.wait(RunId(run["id"]))
    pushed = await api.post("/api/v1/runs/last/push")
    assert pushed.status_code == 200, pushed.text
    assert files_at(api.remote, "x")["half.txt"] == b"half\n"


@pytest.mark.slow
async def test_a_run_is_retried_and_continued(api: Served) -> None:
    first = await api.run("x", script({"fail": 1}))
    assert first["state"] == "failed"
    again = await api.post("/api/v1/runs/1/retry")
    assert (again.status_code, again.json()["number"]) == (202, 2)
    await api.service.wait(RunId(again.json()["id"]))
    await api.run("y")
    more = await api.post("/api/v1/runs/y/continue", {"text": "x"})
    assert more.status_code == 404  # branches have slashes, so that none names a run here
    more = await api.post("/api/v1/runs/3/continue", {"text": script({"write": "more.txt", "text": "more\n"})})
    assert more.status_code == 202, more.text
    ended = await api.service.wait(RunId(more.json()["id"]))
    assert (ended.state, ended.continues) == (State.SUCCEEDED, (await api.service.find("3")).id)


async def test_changes_are_shown_as_numbers_and_as_a_patch(api: Served) -> None:
    await api.run()
    shown = (await api.get("/api/v1/runs/1/diff")).json()
    assert shown["changes"] == {"files": 1, "added": 1, "removed": 0, "deleted": 0}
    patch = await api.get("/api/v1/runs/1/patch")
    assert patch.headers["content-type"] == "text/plain; charset=utf-8"
    assert patch.text == shown["patch"]
    assert "+new" in patch.text


@pytest.mark.slow
async def test_a_run_without_changes_has_no_patch(api: Served) -> None:
    await api.run(task=script({"say": "Nothing to do."}))
    assert (await api.get("/api/v1/runs/1/patch")).status_code == 404


async def test_an_order_with_a_key_is_carried_out_once(api: Served) -> None:
    body = {**SCRIPTED, "task": EDIT, "branch": "x"}
    answers = await asyncio.gather(*(api.post(RUN, body, key="order-1") for _ in range(20)))
    assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
    assert len((await api.get("/api/v1/runs")).json()["runs"]) == 1


async def test_a_key_stands_for_one_order(api: Served) -> None:
    await api.post(RUN, {**SCRIPTED, "task": EDIT, "branch": "x"}, key="order-1")
    other = await api.post(RUN, {**SCRIPTED, "task": EDIT, "branch": "y"}, key="order-1")
    assert (other.status_code, other.json()["detail"]) == (422, "the key order-1 was used for another submission")


async def test_checks_are_answered(api: Served) -> None:
    found = (await api.get("/api/v1/checks?execution_mode=local")).json()
    assert {check["status"] for check in found} <= {"pass", "warn", "fail"}
    assert any(check["name"] == "git" for check in found)


async def test_checks_tell_the_network_of_the_repository_that_is_asked_about(api: Served, working_copy: Path, isolation: Path) -> None:
    other = make_repository(working_copy.parent / "other", {"a.txt": "a\n"})
    configure(isolation, f'[repo."{api.remote}"]\negress = ["npm"]\n[repo."{other}"]\negress = []\n')
    told = []
    for query in ("", f"&repo={working_copy}", f"&repo={api.remote}&branch=x"):
        found = {check["name"]: check for check in (await api.get(f"/api/v1/checks?execution_mode=dagger{query}")).json()}
        told.append((found["network"]["text"], "remote" in found))
    assert told == [("network: 3 hosts · login: gateway", False), *[("network: 3 hosts · login: gateway", True)] * 2]
    refused = await api.get(f"/api/v1/checks?execution_mode=dagger&repo={other}")
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:ccterm:problem:repo-not-served")


async def test_the_private_socket_needs_no_token(api: Served) -> None:
    assert await asked_over_socket(api) == {"ok": True}
    assert api.address.socket.stat().st_mode & 0o777 == 0o600


async def test_where_its_path_would_be_too_long_the_socket_is_elsewhere(remote: Path, tmp_path: Path) -> None:
    async with served(tmp_path / ("x" * 100), remote) as api:
        assert len(str(api.address.socket)) <= 100
        assert api.address.socket.parent.stat().st_mode & 0o777 == 0o700
        assert await asked_over_socket(api) == {"ok": True}
    assert not api.address.socket.parent.exists()


async def asked_over_socket(api: Served) -> object:
    transport = httpx.AsyncHTTPTransport(uds=str(api.address.socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.get("/healthz")).json()
