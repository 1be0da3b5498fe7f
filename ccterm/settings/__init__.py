"""The user's settings: one model over a TOML file, the environment and flags; and a working copy's own."""

from ccterm.settings.load import load_settings
from ccterm.settings.model import (
    SETUP_INPUTS,
    HostSettings,
    LimitSettings,
    PolicySettings,
    RepoSettings,
    SecretSettings,
    ServiceSettings,
    Settings,
    TuiSettings,
)
from ccterm.settings.project import Project, ProjectSettings, load_project
from ccterm.settings.trust import PROJECT_FILE, Trust, Trusted, digest_of, trust_path

__all__ = [
    "PROJECT_FILE",
    "SETUP_INPUTS",
    "HostSettings",
    "LimitSettings",
    "PolicySettings",
    "Project",
    "ProjectSettings",
    "RepoSettings",
    "SecretSettings",
    "ServiceSettings",
    "Settings",
    "Trust",
    "Trusted",
    "TuiSettings",
    "digest_of",
    "load_project",
    "load_settings",
    "trust_path",
]
