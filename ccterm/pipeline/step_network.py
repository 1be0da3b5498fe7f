"""How the programs of a step reach the network: directly, or through the box proxy, which its request then describes."""

from collections.abc import Sequence

from pydantic import JsonValue

from ccterm.executors.base import ServiceContainer
from ccterm.gateway.client import RunPass
from ccterm.values import Egress

GATEWAY_SOCKET = "gateway.sock"
"""In the box: the way to the gateway, for the box proxy alone."""


def network_request(egress: Egress, services: Sequence[ServiceContainer], run_pass: RunPass | None = None) -> dict[str, JsonValue]:
    """Return the field `network` of a step's request; nothing where its programs need no box proxy. run_pass: of the run's agent."""
    if egress.mode == "open" and run_pass is None:
        return {}
    network: dict[str, JsonValue] = {
        "mode": egress.mode,
        "hosts": list(egress.hosts),
        "gateway": GATEWAY_SOCKET if run_pass else None,
        "ca": run_pass.ca if run_pass else None,
        "services": {service.alias: service.port for service in services},
    }
    return {"network": network}


def is_closed(egress: Egress) -> bool:
    """Whether a step's programs reach the hosts of the list alone."""
    return egress.mode == "list"
