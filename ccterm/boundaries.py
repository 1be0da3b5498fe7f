"""What stands between a run and the world, in words: its box, which hosts its programs may reach, and where its Claude login is."""

from ccterm.models import ExecutionMode, Run, Task
from ccterm.values import RefusedHost


def boundary(task: Task) -> str:
    """Return both on one line: network: 7 hosts · login: gateway."""
    return f"network: {task.egress.text}" + (f" · login: {login(task)}" if login(task) else "")


def where(task: Task) -> str:
    """Return where the steps of a task run."""
    return "this machine, no isolation" if task.execution_mode is ExecutionMode.LOCAL else "container"


def network(task: Task) -> str:
    """Return which hosts a task may reach, by name: 2 hosts: pypi.org, files.pythonhosted.org."""
    return ": ".join(filter(None, (task.egress.text, ", ".join(map(host_text, task.egress.hosts)))))


def network_of(run: Run) -> str:
    """Return how much of the network a run may reach, and what it could not: 7 hosts; not reached: pypi.org (3 times)."""
    refused, allowed = refused_hosts(run), ", ".join(map(host_text, run.allowed_hosts))
    later = f"; allowed for further runs: {allowed}" if allowed else ""
    return run.task.egress.text + (f"; not reached: {refused}" if refused else "") + later


def login(task: Task) -> str:
    """Return where the Claude login of a task is; "" where its agent needs none, or uses the user's own on this machine."""
    if task.agent != "claude" or (task.execution_mode is ExecutionMode.LOCAL and task.login == "secret"):
        return ""
    return "gateway" if task.login == "gateway" else "in the box"


def refused_hosts(run: Run) -> str:
    """Return which hosts a run's programs could not reach, and how often they asked, or ""."""
    return ", ".join(map(refused_text, run.refused_hosts))


def refused_text(refused: RefusedHost) -> str:
    """Return a host that could not be reached, and how often it was asked for if that was more than once."""
    return host_text(refused.host) + (f" ({refused.count:,} times)" if refused.count > 1 else "")


def host_text(host: str) -> str:
    """Return HOST:PORT as people read it, without the port of https."""
    return host.removesuffix(":443")
