"""Going on with runs that the command line started."""

from pathlib import Path

import pytest

from ccterm.models import RunId
from tests.api.served import served
from tests.conftest import MakeRemote
from tests.support.core import draft, script

ORDERS = ("retry", "continue", "steer", "push", "apply", "undo", "hold", "release")
FAILING = script({"write": "new.txt", "text": "new\n"}, {"fail": 1})


@pytest.mark.first_is_fast
@pytest.mark.parametrize(
    ("allow_local", "fields", "kind"),
    [
        (False, {}, "local-mode"),
        (True, {"skip_permissions": True}, "not-over-http"),
        (True, {"allow_path": ("*",)}, "not-over-http"),
        (True, {"allow_default_branch": True}, "not-over-http"),
        (True, {"agent_args": ("--verbose",)}, "not-over-http"),
        (True, {"elsewhere": True}, "repo-not-served"),
    ],
    ids=["local mode", "skipped permissions", "an allowance", "the default branch", "arguments", "another repository"],
)
async def test_what_http_may_not_start_it_may_not_go_on_with(
    allow_local: bool, fields: dict[str, object], kind: str, tmp_path: Path, remote: Path, make_remote: MakeRemote
) -> None:
    elsewhere = fields.pop("elsewhere", False)
    repo = make_remote(name="elsewhere.git") if elsewhere else remote
    async with served(tmp_path, remote, allow_local=allow_local) as api:
        [run] = await api.service.submit([draft(repo, "x", FAILING, **fields)])
        await api.service.wait(run.id)
        for order in ORDERS:
            answer = await api.post(f"/api/v1/runs/{run.id}/{order}", {"text": "more"} if order in ("continue", "steer") else {})
            assert (answer.status_code, answer.json()["type"]) == (403, f"urn:ccterm:problem:{kind}"), (order, answer.text)
        assert len(await api.service.runs()) == 1
        assert (await api.get(f"/api/v1/runs/{run.id}")).json()["state"] == "failed"


@pytest.mark.slow
async def test_any_run_is_cancelled(tmp_path: Path, remote: Path) -> None:
    async with served(tmp_path, remote, allow_local=False) as api:
        [run] = await api.service.submit([draft(remote, "x", script({"hang": True}), skip_permissions=True)])
        assert (await api.post(f"/api/v1/runs/{run.id}/cancel", {"now": True})).status_code == 200
        assert (await api.service.wait(RunId(run.id))).state == "cancelled"
