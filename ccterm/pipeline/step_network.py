"""How the programs of a step reach the network: directly, or through the box proxy, which its request then describes."""

from collections.abc import Sequence

from pydantic import JsonValue

from ccterm.box.protocol import GitReadRequest
from ccterm.executors.base import ServiceContainer
from ccterm.gateway.client import RunPass
from ccterm.models import Task
from ccterm.pipeline.gateway_access import GatewayAccess
from ccterm.values import Egress

GATEWAY_SOCKET = "gateway.sock"
"""In the box: the way to the gateway, for the box proxy alone."""


def network_request(
    egress: Egress, services: Sequence[ServiceContainer], run_pass: RunPass | None = None, git: GitReadRequest | None = None
) -> dict[str, JsonValue]:
    """Return the field `network` of a step's request; nothing where its programs need no box proxy.

    run_pass: of the run's agent. git: what it reads through the gateway.
    """
    if egress.mode == "open" and run_pass is None:
        return {}
    network: dict[str, JsonValue] = {
        "mode": egress.mode,
        "hosts": list(egress.hosts),
        "gateway": GATEWAY_SOCKET if run_pass else None,
        "ca": run_pass.ca if run_pass else None,
        "services": {service.alias: service.port for service in services},
        "git": {"repositories": [*git["repositories"]], "pass_name": git["pass_name"]} if git else None,
    }
    return {"network": network}


def git_reads(task: Task, gateway: GatewayAccess | None) -> GitReadRequest | None:
    """Return what git reads in the box of a task's agent. The pass is where the login would be."""
    if gateway is None or not task.git_read:
        return None
    return {"repositories": [*task.git_read], "pass_name": gateway.login.variable}


def is_closed(egress: Egress) -> bool:
    """Whether a step's programs reach the hosts of the list alone."""
    return egress.mode == "list"
