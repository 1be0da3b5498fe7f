"""Clouds that serve Claude models. The Claude CLI takes one by a switch in its environment; the variables that go with it are passed on as a set.

What the switch asks for either reaches the agent or refuses the run: without it the CLI would use another login, and bill another account.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from ccterm.credentials.login import Login
from ccterm.errors import PreflightError
from ccterm.models import ExecutionMode
from ccterm.remotes import is_loopback

_ON = ("1", "true", "yes", "on")
_MODELS = r"ANTHROPIC_(MODEL|SMALL_FAST_MODEL|DEFAULT_[A-Z]+_MODEL)"


class Provider(NamedTuple):
    """One cloud. plain, secret, here: patterns of variables, the last ones for those that name something on this machine.

    enough: sets of variables of which a container needs one, because it has no files of the user's.
    """

    title: str
    switch: str
    plain: str
    secret: str
    here: str
    enough: tuple[tuple[str, ...], ...]


_PROVIDERS = (
    Provider(
        "Amazon Bedrock",
        "CLAUDE_CODE_USE_BEDROCK",
        r"AWS_(DEFAULT_)?REGION ANTHROPIC_BEDROCK_(BASE_URL|REGION_PREFIX|SERVICE_TIER) ANTHROPIC_SMALL_FAST_MODEL_AWS_REGION CLAUDE_CODE_SKIP_BEDROCK_AUTH",
        r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|BEARER_TOKEN_BEDROCK)",
        r"AWS_(PROFILE|CONFIG_FILE|SHARED_CREDENTIALS_FILE|ROLE_ARN|WEB_IDENTITY_TOKEN_FILE|CONTAINER_CREDENTIALS_(RELATIVE|FULL)_URI)",
        (("AWS_BEARER_TOKEN_BEDROCK",), ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("CLAUDE_CODE_SKIP_BEDROCK_AUTH",)),
    ),
    Provider(
        "Google Vertex AI",
        "CLAUDE_CODE_USE_VERTEX",
        r"CLOUD_ML_REGION ANTHROPIC_VERTEX_(PROJECT_ID|BASE_URL) VERTEX_REGION_\w+ (GOOGLE_CLOUD|GCLOUD)_PROJECT CLAUDE_CODE_SKIP_VERTEX_AUTH",
        "",
        r"GOOGLE_APPLICATION_CREDENTIALS CLOUDSDK_(CONFIG|ACTIVE_CONFIG_NAME)",
        (("CLAUDE_CODE_SKIP_VERTEX_AUTH",),),
    ),
    Provider(
        "Microsoft Foundry",
        "CLAUDE_CODE_USE_FOUNDRY",
        r"ANTHROPIC_FOUNDRY_(RESOURCE|BASE_URL) AZURE_(TENANT_ID|CLIENT_ID|AUTHORITY_HOST) CLAUDE_CODE_SKIP_FOUNDRY_AUTH",
        r"ANTHROPIC_FOUNDRY_(API_KEY|AUTH_TOKEN) AZURE_(CLIENT_SECRET|CLIENT_CERTIFICATE_PASSWORD)",
        r"AZURE_(CONFIG_DIR|CLIENT_CERTIFICATE_PATH|FEDERATED_TOKEN_FILE)",
        (
            ("ANTHROPIC_FOUNDRY_API_KEY",),
            ("ANTHROPIC_FOUNDRY_AUTH_TOKEN",),
            ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
            ("CLAUDE_CODE_SKIP_FOUNDRY_AUTH",),
        ),
    ),
)
_OTHERS = re.compile(r"CLAUDE_CODE_USE_(ANTHROPIC_AWS|ANTHROPIC_GOOGLE_CLOUD|MANTLE|GATEWAY)")
"""Switches that the CLI has, too, and that are refused."""


def provider_switch(env: Mapping[str, str]) -> str:
    """Return the switch that is on in an environment, "" when none is. Raises PreflightError for one that is not passed on, and for two."""
    on = sorted(name for name, value in env.items() if value.strip().lower() in _ON and _is_switch(name))
    if len(on) > 1:
        raise PreflightError(f"{' and '.join(on)} are set, and an agent uses one provider", "unset all but one")
    if on and _OTHERS.fullmatch(on[0]):
        known = ", ".join(provider.title for provider in _PROVIDERS)
        raise PreflightError(f"{on[0]} is set, and ccterm cannot pass that provider on to an agent", f"unset it; {known} are passed on")
    return on[0] if on else ""


def switch_or_none(env: Mapping[str, str]) -> str:
    """Return the same; "" where it is refused, for those who start no agent."""
    try:
        return provider_switch(env)
    except PreflightError:
        return ""


def provider_variables(env: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the variables that go to an agent with the switch that is on; none without one, or where it is refused."""
    return names_with(switch_or_none(env), [name for name, value in env.items() if value])


def provider_login(env: Mapping[str, str], execution_mode: ExecutionMode) -> Login | None:
    """Return the login by the provider whose switch is on, or None. Raises PreflightError when an agent could not use it."""
    provider = _provider(provider_switch(env))
    if provider is None:
        return None
    plain, secret = _named(env, f"{provider.switch} {_MODELS} {provider.plain}"), _named(env, provider.secret)
    if execution_mode is ExecutionMode.LOCAL:
        plain |= _named(env, provider.here)
    else:
        _require_usable_in_containers(provider, {**plain, **secret})
    secrets = {name: SecretStr(value) for name, value in secret.items()}
    return Login(kind="provider", source=provider.switch, variables=plain, secret_variables=secrets)


def _require_usable_in_containers(provider: Provider, found: Mapping[str, str]) -> None:
    if near := next(
        (name for name, value in found.items() if name.endswith("_BASE_URL") and is_loopback(urlsplit(value).hostname or "")), ""
    ):
        raise PreflightError(f"{near} is an address on this machine, which an agent in a container cannot reach", "use --mode local")
    if not any(found.keys() >= {*names} for names in provider.enough):
        ways = ", or ".join(" and ".join(names) for names in provider.enough)
        raise PreflightError(
            f"{provider.switch} is set, and your environment has no credential for {provider.title} that a container could use",
            f"set {ways}; or use --mode local, or unset {provider.switch}",
        )


def names_with(switch: str, names: Iterable[str]) -> frozenset[str]:
    """Return which of these variables go with a switch."""
    provider = _provider(switch)
    patterns = f"{provider.switch} {provider.plain} {provider.secret} {provider.here}" if provider else ""
    return frozenset(_named(dict.fromkeys(names, "set"), patterns))


def secret_names(env: Mapping[str, str]) -> frozenset[str]:
    """Return the secrets among the variables that go to an agent with the switch that is on."""
    provider = _provider(switch_or_none(env))
    return frozenset(_named(env, provider.secret)) if provider else frozenset()


def _provider(switch: str) -> Provider | None:
    return next((provider for provider in _PROVIDERS if provider.switch == switch), None)


def _is_switch(name: str) -> bool:
    return any(name == provider.switch for provider in _PROVIDERS) or _OTHERS.fullmatch(name) is not None


def _named(env: Mapping[str, str], patterns: str) -> dict[str, str]:
    wanted = re.compile("|".join(patterns.split()) or r"(?!)")
    return {name: value for name, value in env.items() if value and wanted.fullmatch(name)}
