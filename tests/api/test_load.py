"""Many at once: clients, runs and followers; and requests that a program makes up from the OpenAPI document."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ccterm.models import RunId, State, new_id, now
from ccterm.store import Store
from tests.api.events import all_of
from tests.api.process import serving
from tests.api.served import BATCH, RUN, SCRIPTED, Served
from tests.api.test_events import chatty, recorded_at_end
from tests.support.core import EDIT, ccterm, script

Document = dict[str, Any]


@pytest.mark.slow
async def test_a_thousand_runs_are_listed_whole_and_page_by_page(api: Served) -> None:
    ended = (await api.service.find((await api.run())["id"])).model_copy(update={"number": None})
    store = Store.open(api.state.db)
    store.submit([ended.model_copy(update={"id": RunId(new_id()), "created": now()}) for _ in range(999)])
    store.close()
    whole = (await api.get("/api/v1/runs", limit="1000")).json()
    assert [run["number"] for run in whole["runs"]] == list(range(1000, 0, -1))
    assert whole["next"] is None
    pages, following = [], "/api/v1/runs?limit=100&state=succeeded"
    while following:
        page = (await api.get(following)).json()
        pages.append([run["number"] for run in page["runs"]])
        following = page["next"]
    assert pages == [list(range(high, high - 100, -1)) for high in range(1000, 0, -100)]


@pytest.mark.slow
async def test_a_hundred_clients_get_what_they_asked_for(api: Served) -> None:
    async def client(number: int) -> None:
        async with httpx.AsyncClient(base_url=api.client.base_url, headers=api.headers, timeout=120) as own:
            body = {**SCRIPTED, "task": script({"say": "Done."}), "branch": f"client/{number}"}
            while (answer := await own.post(RUN, json=body, headers={"Idempotency-Key": f"client-{number}"})).status_code == 429:  # noqa: ASYNC110
                await asyncio.sleep(float(answer.headers["retry-after"]))
            run = answer.json()
            assert run["task"]["branch"] == f"client/{number}"
            events = await all_of(own, f"/api/v1/runs/{run['id']}/events") if number < 60 else []
            assert all(event.data["run"] == run["id"] for event in events)
            ended = await api.service.wait(RunId(run["id"]))
            assert ended.state is State.SUCCEEDED, ended.summary

    await asyncio.gather(*(client(number) for number in range(100)))
    assert len((await api.get("/api/v1/runs", limit="1000")).json()["runs"]) == 100


@pytest.mark.slow
async def test_fifty_followers_of_a_chatty_run_get_all_of_it(api: Served, tmp_path: Path) -> None:
    go = tmp_path / "go"
    run = await api.run(task=chatty(go, 1000), wait=0)
    followers = [asyncio.ensure_future(all_of(api.client, f"/api/v1/runs/{run['id']}/events")) for _ in range(50)]
    go.touch()
    everything = await recorded_at_end(api, run["id"])
    for follower in followers:
        assert [int(event.id) for event in await follower] == everything


def whole(document: Document) -> Document:
    """Return the document as it is: most of what is made up from it is refused."""
    return document


def narrow(document: Document) -> Document:
    """Return the document with what this machine can carry out, and with the names of runs that there are."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = {"enum": ["1", "2", "last"]} if parameter["name"] == "run" else parameter["schema"]
        if path in (RUN, BATCH):
            content = operations["post"]["requestBody"]["content"]["application/json"]
            content["examples"] = {}
            properties = content["schema"]["properties"]
            for task in (content["schema"], properties["tasks"]["items"] if path == BATCH else content["schema"]):
                task["required"] = [*{*task["required"], *SCRIPTED}]
                task["properties"] |= {name: {"enum": [value]} for name, value in SCRIPTED.items()}
                for name in ("repo", "base", "timeout", "silence", "message", "model", "hold"):
                    task["properties"].pop(name, None)
                if "branch" in task["properties"]:
                    task["properties"]["branch"] = {"type": "string", "pattern": "^b/[a-z]{1,8}$"}
    return document


@pytest.mark.slow
@pytest.mark.parametrize("made_of", [whole, narrow])
def test_made_up_requests_meet_no_defect(
    made_of: Callable[[Document], Document], remote: Path, tmp_path: Path, rounds: Callable[[int], int]
) -> None:
    """Schemathesis makes them up: the examples, the edges of each schema, random ones, and orders about the runs that were started."""
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(made_of(json.loads(ccterm("serve", "--openapi").stdout))))
    with serving(tmp_path / "state", [remote], "--allow-local") as server:
        for branch in ("x", "y"):
            body = json.dumps({**SCRIPTED, "task": EDIT, "branch": branch})
            server.curl("-X", "POST", f"{server.origin}{RUN}?wait=60", "-H", "Content-Type: application/json", "-d", body)
        command = [
            str(Path(sys.executable).parent / "st"), "run", str(document), "--url", server.origin, "-H", f"Authorization: Bearer {server.token}",
            "--checks", "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance",
            "--exclude-path-regex", "events", "--max-examples", str(rounds(20)), "--request-timeout", "60", "--warnings", "off",
            "--no-color", "--max-time", "200",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False)
        ccterm("cancel", "--all", "--now", env={"CCTERM_STATE_DIR": str(server.state.path)})
        assert done.returncode == 0, done.stdout[-5000:]
