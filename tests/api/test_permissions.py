"""Going on with runs that the command line started."""

from pathlib import Path

import pytest

from ccterm.api.permissions import Permissions
from ccterm.api.problems import HttpProblem
from ccterm.models import Run, RunId, Task, now
from ccterm.settings import Settings
from ccterm.values import Egress
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


CLOSED = Settings.model_validate({"repo": {"example.invalid/o/r": {"egress": ["npm"]}}})


@pytest.mark.parametrize(
    ("settings", "asked", "allowed"),
    [
        (Settings(), {"egress": "open"}, True),
        (Settings(), {"egress": ["npm"], "login": "gateway"}, True),
        (Settings(), {"login": "secret"}, False),
        (Settings(login="secret"), {"login": "secret"}, True),
        (Settings(login="gateway"), {"login": "secret"}, False),
        (CLOSED, {"egress": ["registry.npmjs.org:443"]}, True),
        (CLOSED, {"egress": ["npm", "pypi"]}, False),
        (CLOSED, {"egress": "open"}, False),
        (CLOSED, {"egress": "record"}, False),
        (CLOSED, {"login": "secret"}, False),
        (CLOSED, {"repo": "https://example.invalid/o/other", "egress": "open"}, True),
    ],
)
def test_a_program_asks_for_no_more_network_than_the_settings_choose(
    settings: Settings, asked: dict[str, object], *, allowed: bool
) -> None:
    permissions = Permissions(["https://example.invalid/o/r"], lambda: settings, allow_local=False)
    task = {"task": "x", "branch": "b", **asked}
    if allowed:
        assert permissions.draft(task).task == "x"
        return
    with pytest.raises(HttpProblem, match=f'"{[*asked][-1]}" (lets|puts)'):
        permissions.draft(task)


def test_a_program_goes_on_with_no_run_that_a_person_gave_more_network() -> None:
    permissions = Permissions(["https://example.invalid/o/r"], lambda: CLOSED, allow_local=False)
    task = Task(prompt="x", repo="https://example.invalid/o/r", branch="b", login="gateway")
    closed = Egress(mode="list", hosts=("registry.npmjs.org:443", "api.anthropic.com:443"))
    permissions.require(Run(id=RunId("r"), task=task.model_copy(update={"egress": closed}), created=now()))
    with pytest.raises(HttpProblem, match="was given more than a program may give"):
        permissions.require(Run(id=RunId("r"), task=task, created=now()))
