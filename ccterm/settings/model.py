"""The user's settings as values. They name where secrets are and never contain one, so they may be shown, hashed and recorded."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ccterm.errors import UsageError
from ccterm.models import CheckoutOptions, ExecutionMode, ImageChoice, Limits
from ccterm.remotes import parse_remote
from ccterm.settings.problems import quoted
from ccterm.settings.units import (
    Base,
    Command,
    Count,
    Dollars,
    Duration,
    EnvName,
    InsidePath,
    Megabytes,
    PassedName,
    PlacedPath,
    PlainValue,
    SecretSource,
    SecretStep,
    Turns,
    Words,
    listed,
)
from ccterm.values import Value

SETUP_INPUTS = (
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "pyproject.toml", "requirements*.txt",
    "requirements*.lock", "uv.lock", "poetry.lock", "Pipfile", "Pipfile.lock", "setup.py", "setup.cfg", "Cargo.toml", "Cargo.lock",
    "go.mod", "go.sum", "Gemfile", "Gemfile.lock", "composer.json", "composer.lock", "pom.xml", "build.gradle*", "mix.exs",
    "mix.lock",
)  # fmt: skip
"""Lock files and manifests: setup runs again before verify when the commit touches one."""


def _repo_key(name: str) -> str:
    """Return the key of the remote that a [repo] table is named after."""
    try:
        return parse_remote(name if "://" in name or name.startswith("/") or "@" in name else f"https://{name}").url_key
    except UsageError as error:
        raise ValueError('is not the name of a repository; write it as [repo."github.com/OWNER/NAME"]') from error


def _host_key(name: str) -> str:
    """Return the key of the host that a [host] table is named after."""
    host = name.removeprefix("https://").removesuffix("/")
    try:
        if "/" not in host:
            return parse_remote(f"https://{host}/any").host_key
    except UsageError:
        pass  # reported below
    raise ValueError('is not the name of a host; write it as [host."HOST"] or [host."HOST:PORT"]')


def _web_address(url: str) -> str:
    """Return an address, if its host and port can be read."""
    try:
        usable = bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("names no usable host and port; write it as https://HOST or http://HOST:PORT")
    return url


def _engine_host(name: str) -> str:
    """Return an engine's address, if it has the form of one."""
    if not re.fullmatch(r"[a-z0-9+-]+://\S+", name):
        raise ValueError(
            f"holds {quoted(name)}, which is not the address of an engine; write it as unix:///PATH, tcp://HOST:PORT or another form that Dagger knows"
        )
    return name


def _refuse_duplicates(tables: object, key: Callable[[str], str]) -> None:
    seen: set[str] = set()
    for name in tables if isinstance(tables, dict) else ():
        try:
            found = key(str(name))
        except ValueError:
            continue  # reported with its position when the keys themselves are validated
        if found in seen:
            raise ValueError(f"names {found} twice; keep one of the two tables")
        seen.add(found)


class SettingsPart(Value):
    """Base of all parts of the settings; errors do not repeat the value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True)


_REPO_LIST = 'write it as ["HOST/OWNER/NAME"] or ["HOST/OWNER/*"], or true'


def _submodules(value: object) -> object:
    """Return true, false, or the keys of the repositories that a list names."""
    named = listed(value)
    if isinstance(value, bool):
        return value
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        raise ValueError(f"is not a list of repositories; {_REPO_LIST}")
    try:
        return tuple(_repo_key(name[:-1] + "any").removesuffix("any") + "*" if name.endswith("/*") else _repo_key(name) for name in named)
    except ValueError as error:
        raise ValueError(f"names something that is not a repository; {_REPO_LIST}") from error


def _path_beside(name: str, url_key: str) -> str:
    """Return the path of a named repository, or "" if it is on another host than the one with this key."""
    (host, _, path), of_remote = name.partition("/"), url_key.partition("/")[0]
    path = path.removesuffix(".git")
    return "" if host != of_remote else path.casefold() if host else path


class LimitSettings(SettingsPart):
    """[limits]: how much one run may use, unless its task or repository says otherwise."""

    timeout: Duration | None = None
    """Wall-clock time of the agent; a bare number is minutes."""
    silence: Duration | None = None
    """Longest time without output from the agent; a bare number is minutes."""
    budget: Dollars | None = None
    """Dollars at list prices."""
    max_turns: Turns | None = None

    def limits(self) -> Limits:
        """Return the limits of a run."""
        given = {
            "wall_seconds": self.timeout.total_seconds() if self.timeout else None,
            "silence_seconds": self.silence.total_seconds() if self.silence else None,
            "budget_usd": self.budget,
            "max_turns": self.max_turns,
        }
        return Limits.model_validate({name: value for name, value in given.items() if value is not None})


class RepoSettings(LimitSettings):
    """[repo."github.com/o/r"]: settings of one repository."""

    image: str | None = None
    dockerfile: PlacedPath | None = None
    setup: Command | None = None
    setup_inputs: Words = SETUP_INPUTS
    verify: Command | None = None
    base: Base | None = None
    model: str | None = None
    max_concurrent: Annotated[int, Field(ge=1, le=256)] | None = None
    """How many runs on this repository go at once."""
    depth: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    filter: Annotated[str, Field(pattern=r"^(blob:none|blob:limit=\d+[kmg]?|tree:0)$")] | None = None
    submodules: Annotated[bool | tuple[str, ...], BeforeValidator(_submodules)] = False
    """Whether submodules are fetched; a list names those repositories, or HOST/OWNER/*, for which the user's access is used."""
    lfs: bool = False
    claude_settings: bool = False
    """Whether the repository's own Claude settings (hooks, env, helpers, permissions, plugins, .mcp.json) act in containers."""

    @model_validator(mode="after")
    def _one_image(self) -> Self:
        if self.image and self.dockerfile:
            raise ValueError("has both image and dockerfile; keep one of them")
        return self

    def image_choice(self) -> ImageChoice:
        """Return the image for setup, agent and verify."""
        return ImageChoice(reference=self.image, dockerfile=str(self.dockerfile) if self.dockerfile else None)

    def checkout(self, url_key: str) -> CheckoutOptions:
        """Return how much of a repository is fetched."""
        named = self.submodules if isinstance(self.submodules, tuple) else ()
        paths = tuple(path for name in named if (path := _path_beside(name, url_key)))
        fetched = bool(self.submodules)
        return CheckoutOptions(depth=self.depth, filter=self.filter, submodules=fetched, submodule_paths=paths, lfs=self.lfs)


class HostSettings(SettingsPart):
    """[host."gitlab.corp:8443"]: a git host and where its token is."""

    kind: Literal["github", "gitlab", "gitea", "bitbucket", "azure", "generic"] | None = None
    """None = inferred from the host's name."""
    token: SecretSource | None = None
    user: Annotated[str, Field(pattern=r"^[^\s:\x00-\x1f]{1,100}$")] | None = None
    """User name for the token; None = what hosts of this kind expect."""
    ca: PlacedPath | None = None
    """File with the certificates of the host's authority, in PEM format."""


class SecretSettings(SettingsPart):
    """[secrets.NAME]: where a secret is, and the steps that get it as environment variable NAME."""

    source: SecretSource = Field(alias="from")
    steps: tuple[SecretStep, ...] = ("setup",)


class ServiceSettings(SettingsPart):
    """[services.NAME]: a fresh service container beside the steps, reached by its name."""

    image: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(gt=0, lt=65536)]
    env: dict[EnvName, PlainValue] = {}
    ready: Command | None = None
    """Command that succeeds once the service is ready; None = once its port is open."""


class PolicySettings(SettingsPart):
    """[policy]: what may be pushed."""

    strict: bool = False
    """Whether pipeline mode refuses what it otherwise only warns about."""
    max_file_mb: Megabytes = 50
    max_total_mb: Megabytes = 200
    max_deletions: Count = 20


class EngineSettings(SettingsPart):
    """[[engines]]: a Dagger engine, and how many runs it takes at once: engines fill up in proportion. A string is the host alone."""

    host: Annotated[str, AfterValidator(_engine_host)]
    capacity: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _host_alone(cls, value: object) -> object:
        return {"host": _engine_host(value)} if isinstance(value, str) else value


class TuiSettings(SettingsPart):
    """[tui]: the terminal's look and notifications."""

    theme: str | None = None
    """One of Textual's themes, such as textual-light; None = textual-dark, or the terminal's own 16 colours where it has no more."""
    notifications: bool = True
    """Whether runs that wait for input or fail are notified on the desktop."""
    title: bool = True
    """Whether the terminal's title shows the number of runs."""
    progress: bool | None = None
    """Whether the terminal shows progress (OSC 9;4); None = where support is known."""


class Settings(SettingsPart):
    """Everything that a user can set once for all runs."""

    execution_mode: Annotated[ExecutionMode, Field(validation_alias=AliasChoices("execution_mode", "mode"))] = ExecutionMode.DAGGER
    max_concurrent: Annotated[int, Field(ge=1, le=256)] = 4
    agent: Annotated[str, Field(min_length=1)] = "claude"
    model: str | None = None
    base_image: str | None = None
    """Reference or tarball; None = ccterm's own."""
    claude_version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] | None = None
    """None = the version that ccterm was tested with."""
    claude_bin: str = "claude"
    """The Claude CLI of local mode: a name on PATH, or a path."""
    author: Annotated[str, Field(pattern=r"^[^<>\x00-\x1f]+ <[^<>\s]+>$", max_length=200)] = "Claude Agent <agent@commandcenter.ai>"
    state_dir: PlacedPath | None = None
    skip_permissions: bool = False
    tui: TuiSettings = Field(default_factory=TuiSettings)
    engines: Annotated[tuple[EngineSettings, ...], BeforeValidator(listed)] = ()
    """Dagger engines; none = the one that the Dagger CLI finds."""
    dagger_cli: PlacedPath | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$"), AfterValidator(_web_address)] | None = None
    """Another address for the Claude API."""
    limits: LimitSettings = Field(default_factory=LimitSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    api_key: bool = False
    """Whether ANTHROPIC_API_KEY, which bills the API, is used where there is no other Claude login."""
    checkpoint: Duration = timedelta(minutes=2)
    """How often the work of an agent in a container is brought to safety while it goes on; a bare number is minutes."""
    home: tuple[InsidePath, ...] = ("CLAUDE.md", "skills", "agents", "commands")
    """Which parts of ~/.claude are copied into the agent's home."""
    mcp: PlacedPath | None = None
    """File with the agent's MCP servers; None = none."""
    repo: dict[Annotated[str, AfterValidator(_repo_key)], RepoSettings] = {}
    host: dict[Annotated[str, AfterValidator(_host_key)], HostSettings] = {}
    env: dict[EnvName, PlainValue] = {}
    """Plain values for setup, agent and verify."""
    pass_env: Annotated[tuple[PassedName, ...], BeforeValidator(listed)] = ()
    """Variables of the user's environment that setup, agent and verify get as they are, beside those that they always get."""
    secrets: dict[EnvName, SecretSettings] = {}
    services: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")], ServiceSettings] = {}

    @field_validator("repo", "host", mode="before")
    @classmethod
    def _no_table_twice(cls, tables: object, info: ValidationInfo) -> object:
        _refuse_duplicates(tables, _repo_key if info.field_name == "repo" else _host_key)
        return tables

    @model_validator(mode="after")
    def _no_name_twice(self) -> Self:
        if both := sorted(set(self.env) & set(self.secrets)):
            raise ValueError(f"has {both[0]} both in [env] and in [secrets]; keep one of them")
        return self

    def for_repo(self, url_key: str) -> RepoSettings:
        """Return the settings of a repository: its own table, completed from the general settings."""
        general = {"model": self.model, "image": self.base_image, **self.limits.model_dump()}
        own = self.repo.get(url_key, RepoSettings())
        if own.dockerfile:
            del general["image"]
        return own.model_copy(update={name: value for name, value in general.items() if getattr(own, name) is None})

    @property
    def settings_hash(self) -> str:
        """Twelve characters that change whenever a setting changes."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()[:12]
