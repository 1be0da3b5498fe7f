"""The user's settings as values. They name where secrets are and never contain one, so they may be shown, hashed and recorded."""

import hashlib
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AliasChoices, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ccterm.models import ExecutionMode
from ccterm.settings.addresses import (
    engine_host,
    host_key,
    path_beside,
    read_list,
    refuse_duplicates,
    repo_key,
    submodule_list,
    web_address,
)
from ccterm.settings.egress import EgressChoice
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
    TokenCount,
    Turns,
    Words,
    listed,
    shaped,
)
from ccterm.values import CheckoutOptions, ImageChoice, Limits, LoginPlace, Value

SETUP_INPUTS = (
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "pyproject.toml", "requirements*.txt",
    "requirements*.lock", "uv.lock", "poetry.lock", "Pipfile", "Pipfile.lock", "setup.py", "setup.cfg", "Cargo.toml", "Cargo.lock",
    "go.mod", "go.sum", "Gemfile", "Gemfile.lock", "composer.json", "composer.lock", "pom.xml", "build.gradle*", "mix.exs",
    "mix.lock",
)  # fmt: skip
"""Lock files and manifests: setup runs again before verify when the commit touches one."""

ActionName = Annotated[str, shaped("[a-z0-9-]{1,60}", "is not the name of an action; the terminal's palette (ctrl+p) lists them")]
Author = Annotated[str, shaped(r"(?=.{,200}$)[^<>\x00-\x1f]+ <[^<>\s]+>", 'is not an author; write it as "Name <address>"')]
KeyNames = Annotated[str, shaped(r"\S{1,60}", 'is not a key; write it as "ctrl+n", several with commas and no spaces')]
ObjectFilter = Annotated[
    str, shaped(r"blob:none|blob:limit=\d+[kmg]?|tree:0", 'is not a filter that is known; write "blob:none", "blob:limit=1m" or "tree:0"')
]
ServiceName = Annotated[str, shaped("[a-z][a-z0-9-]{0,62}", "is not a name that a host can have; use small letters, digits and -")]
_WEB = shaped(r"https?://[^\s@?#]+", 'is not the address of an API; write it as "https://HOST", with no user, ? or #')


class SettingsPart(Value):
    """Base of all parts of the settings; errors do not repeat the value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True)


class LimitSettings(SettingsPart):
    """[limits]: how much one run may use, unless its task or repository says otherwise."""

    timeout: Duration | None = None
    """Wall-clock time of the agent; a bare number is minutes."""
    silence: Duration | None = None
    """Longest time without output from the agent; a bare number is minutes."""
    budget: Dollars | None = None
    """Dollars at list prices."""
    max_turns: Turns | None = None
    """Turns of the agent."""
    max_tokens: TokenCount | None = None
    """Tokens of the agent: read, written and from the cache. The gateway counts them, so the login must be there."""

    def limits(self) -> Limits:
        """Return the limits of a run."""
        given = {
            "wall_seconds": self.timeout.total_seconds() if self.timeout else None,
            "silence_seconds": self.silence.total_seconds() if self.silence else None,
            "budget_usd": self.budget,
            "max_turns": self.max_turns,
            "max_tokens": self.max_tokens,
        }
        return Limits.model_validate({name: value for name, value in given.items() if value is not None})


class RepoSettings(LimitSettings):
    """[repo."github.com/o/r"]: settings of one repository."""

    image: str | None = None
    """The image for setup, agent and verify: a reference, or the path of a tarball. It needs python3 (3.11 or newer), git and bash."""
    dockerfile: PlacedPath | None = None
    """Or the Dockerfile that it is built from; its directory is the build context."""
    setup: Command | None = None
    """Command that prepares the tree before the agent, such as `npm ci`."""
    setup_inputs: Words = SETUP_INPUTS
    """Patterns: setup runs again before verify when the commit touches one."""
    verify: Command | None = None
    """Command that must succeed on the new commit before it is pushed, such as `npm test`."""
    base: Base | None = None
    """Branch, tag or sha that new branches start from; None = the default branch."""
    model: str | None = None
    """Model for the agent."""
    max_concurrent: Annotated[int, Field(ge=1, le=256)] | None = None
    """How many runs on this repository go at once."""
    depth: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """How many commits of history are fetched; None = all."""
    filter: ObjectFilter | None = None
    """Which objects are left out of a fetch (git's `--filter`)."""
    submodules: Annotated[bool | tuple[str, ...], BeforeValidator(submodule_list)] = False
    """Whether submodules are fetched; a list names those repositories, or HOST/OWNER/*, for which the user's access is used."""
    git_read: Annotated[tuple[str, ...], BeforeValidator(read_list)] = ()
    """Other repositories that agents may read by git with your access, never push to, such as `["github.com/acme/lib"]`; the token stays outside of the box."""
    lfs: bool = False
    """Whether files of git-lfs are fetched; git-lfs must be installed."""
    egress: EgressChoice | None = None
    """Which hosts agents may reach here: `"open"`, `"record"`, or a list of hosts and presets; None = as in general."""
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
        paths = tuple(path for name in named if (path := path_beside(name, url_key)))
        fetched = bool(self.submodules)
        return CheckoutOptions(depth=self.depth, filter=self.filter, submodules=fetched, submodule_paths=paths, lfs=self.lfs)


class HostSettings(SettingsPart):
    """[host."gitlab.corp:8443"]: a git host and where its token is."""

    kind: Literal["github", "gitlab", "gitea", "bitbucket", "azure", "generic"] | None = None
    """None = inferred from the host's name."""
    token: SecretSource | None = None
    """Where its token is: env:NAME, keyring:NAME, or cmd:COMMAND."""
    user: Annotated[str, shaped(r"[^\s:\x00-\x1f]{1,100}", "is not a user name; leave out spaces and colons")] | None = None
    """User name for the token; None = what hosts of this kind expect."""
    ca: PlacedPath | None = None
    """File with the certificates of the host's authority, in PEM format."""


class SecretSettings(SettingsPart):
    """[secrets.NAME]: where a secret is, and the steps that get it as environment variable NAME."""

    source: SecretSource = Field(alias="from")
    """Where it is: env:NAME, keyring:NAME (of the service `ccterm`; keyring:SERVICE/NAME of another), or cmd:COMMAND, which has five seconds and no shell."""
    steps: tuple[SecretStep, ...] = ("setup",)
    """Who gets it: setup, agent, verify."""


class ServiceSettings(SettingsPart):
    """[services.NAME]: a fresh service container beside the steps, reached by its name."""

    image: Annotated[str, Field(min_length=1)]
    """Its image."""
    port: Annotated[int, Field(gt=0, lt=65536)]
    """The port that it listens on."""
    env: dict[EnvName, PlainValue] = {}
    """Plain values for it."""
    ready: Command | None = None
    """Command that succeeds once the service is ready; None = once its port is open."""


class PolicySettings(SettingsPart):
    """[policy]: what may be pushed."""

    strict: bool = False
    """Whether pipeline mode refuses what it otherwise only warns about."""
    max_file_mb: Megabytes = 50
    """The largest file that a commit may add."""
    max_total_mb: Megabytes = 200
    """How much it may add in all."""
    max_deletions: Count = 20
    """How many files it may delete or gut."""


class EngineSettings(SettingsPart):
    """[[engines]]: a Dagger engine, and how many runs it takes at once: engines fill up in proportion. A string is the host alone."""

    host: Annotated[str, AfterValidator(engine_host)]
    """unix:///PATH, tcp://HOST:PORT or another form that Dagger knows."""
    capacity: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many runs at once; None = no limit of its own."""

    @model_validator(mode="before")
    @classmethod
    def _host_alone(cls, value: object) -> object:
        return {"host": engine_host(value)} if isinstance(value, str) else value


class TuiSettings(SettingsPart):
    """[tui]: the terminal's look and notifications."""

    theme: str | None = None
    """One of Textual's themes, such as textual-light; None = what was picked with T, else light or dark as the terminal, in its own colours where it has only 16."""
    notifications: bool = True
    """Whether runs that wait for input or fail are notified on the desktop."""
    title: bool = True
    """Whether the terminal's title shows the number of runs."""
    progress: bool | None = None
    """Whether the terminal shows progress (OSC 9;4); None = where support is known."""


class Settings(SettingsPart):
    """Everything that a user can set once for all runs."""

    execution_mode: Annotated[ExecutionMode, Field(validation_alias=AliasChoices("execution_mode", "mode"))] = ExecutionMode.DAGGER
    """Where runs go: dagger (containers) or local (this machine, no isolation)."""
    max_concurrent: Annotated[int, Field(ge=1, le=256)] = 4
    """How many runs go at once. 40 need 384 file descriptors (`ulimit -n`); with fewer, runs wait for each other."""
    agent: Annotated[str, Field(min_length=1)] = "claude"
    """The agent."""
    model: str | None = None
    """Its model; None = the agent's default."""
    base_image: str | None = None
    """The image for containers: a reference or the path of a tarball; None = ccterm's own."""
    claude_version: Annotated[str, shaped(r"[0-9]+\.[0-9]+\.[0-9]+", 'is not a version; write it as "2.1.330"')] | None = None
    """The version of the Claude CLI in ccterm's own image; None = the one that ccterm was tested with."""
    claude_bin: str = "claude"
    """The Claude CLI of local mode: a name on PATH, or a path."""
    author: Author = "Claude Agent <agent@commandcenter.ai>"
    """Author of the commits: `Name <address>`."""
    state_dir: PlacedPath | None = None
    """Where runs, transcripts and kept work are; None = the usual place of the platform."""
    skip_permissions: bool = False
    """Local mode: let agents do everything that you may do."""
    permissions: Literal["ask", "deny"] | None = None
    """Local mode: what comes of a command that an agent may not run by itself; None = a user at a terminal is asked, elsewhere it is denied."""
    tui: TuiSettings = Field(default_factory=TuiSettings.model_construct)
    keys: dict[ActionName, KeyNames] = {}
    """[keys]: other keys for actions of the terminal, named as in its palette: `next-hunk = "ctrl+n"`. Several keys are written with commas."""
    engines: Annotated[tuple[EngineSettings, ...], BeforeValidator(listed)] = ()
    """Dagger engines; none = the one that the Dagger CLI finds."""
    dagger_cli: PlacedPath | None = None
    """The Dagger CLI; None = the one on PATH, else the one that the SDK downloads."""
    base_url: Annotated[str, _WEB, AfterValidator(web_address)] | None = None
    """Another address for the Claude API."""
    login: LoginPlace | None = None
    """Where the Claude login of a run is: gateway (outside of its box) or secret (in it); None = gateway in containers and with `max_tokens` or `git_read`, else secret."""
    egress: EgressChoice | None = None
    """Which hosts agents in containers may reach: `"open"`, `"record"` (open, each host is written down), or a list such as `["npm", "*.example.com"]`; None = open."""
    limits: LimitSettings = Field(default_factory=LimitSettings.model_construct)
    policy: PolicySettings = Field(default_factory=PolicySettings.model_construct)
    api_key: bool = False
    """Whether `ANTHROPIC_API_KEY`, which bills the API, is used where there is no other Claude login."""
    waiting_frees_slot: Duration = timedelta(minutes=1)
    """How long a run waits for its user before another one may have its slot; a bare number is minutes."""
    checkpoint: Duration = timedelta(minutes=2)
    """How often the work of an agent in a container is brought to safety while it goes on; a bare number is minutes."""
    home: tuple[InsidePath, ...] = ("CLAUDE.md", "skills", "agents", "commands")
    """Which parts of ~/.claude are copied into the agent's home."""
    mcp: PlacedPath | None = None
    """File with the agent's MCP servers; None = none."""
    repo: dict[Annotated[str, AfterValidator(repo_key)], RepoSettings] = {}
    host: dict[Annotated[str, AfterValidator(host_key)], HostSettings] = {}
    env: dict[EnvName, PlainValue] = {}
    """Plain values for setup, agent and verify."""
    pass_env: Annotated[tuple[PassedName, ...], BeforeValidator(listed)] = ()
    """Variables of the user's environment that setup, agent and verify get as they are, beside those that they always get."""
    secrets: dict[EnvName, SecretSettings] = {}
    services: dict[ServiceName, ServiceSettings] = {}

    @field_validator("repo", "host", mode="before")
    @classmethod
    def _no_table_twice(cls, tables: object, info: ValidationInfo) -> object:
        refuse_duplicates(tables, repo_key if info.field_name == "repo" else host_key)
        return tables

    @model_validator(mode="after")
    def _no_name_twice(self) -> Self:
        if both := sorted(set(self.env) & set(self.secrets)):
            raise ValueError(f"has {both[0]} both in [env] and in [secrets]; keep one of them")
        return self

    def for_repo(self, url_key: str) -> RepoSettings:
        """Return the settings of a repository: its own table, completed from the general settings."""
        general = {"model": self.model, "egress": self.egress, "image": self.base_image, **self.limits.model_dump()}
        own = self.repo.get(url_key, RepoSettings())
        if own.dockerfile:
            del general["image"]
        return own.model_copy(update={name: value for name, value in general.items() if getattr(own, name) is None})

    @property
    def settings_hash(self) -> str:
        """Twelve characters that change whenever a setting changes."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()[:12]
