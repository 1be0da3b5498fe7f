"""What a step sees of the user's environment: names on a list and no others, since nobody can tell by its name what holds a secret."""

import os
import re
from collections.abc import Collection, Mapping, Sequence

from ccterm.box import PARENT_WATCH
from ccterm.executors.base import Step
from ccterm.executors.local.box import Box
from ccterm.git.types import MARK

_NETWORK = (
    "(HTTP|HTTPS|ALL|NO|FTP)_PROXY (http|https|all|no|ftp)_proxy SSL_CERT_(FILE|DIR) CURL_CA_BUNDLE NIX_SSL_CERT_FILE REQUESTS_CA_BUNDLE "
    "NODE_EXTRA_CA_CERTS AWS_CA_BUNDLE CARGO_HTTP_CAINFO PIP_CERT"
)
_TERMINAL = "PATH LANG LANGUAGE LC_[A-Z]+ TZ TERM COLORTERM TERMINFO NO_COLOR"
_USER = "HOME USER LOGNAME SHELL TMPDIR XDG_(CONFIG|DATA|CACHE|STATE)_HOME XDG_(CONFIG|DATA)_DIRS CLAUDE_CONFIG_DIR"
_MODELS = "ANTHROPIC_(MODEL|SMALL_FAST_MODEL|DEFAULT_(OPUS|SONNET|HAIKU)_MODEL) MAX_THINKING_TOKENS"
TOOLCHAINS = (
    "JAVA_HOME JDK_HOME JRE_HOME GRADLE_HOME GRADLE_USER_HOME MAVEN_HOME M2_HOME ANT_HOME SDKMAN_DIR ANDROID_HOME ANDROID_SDK_ROOT ANDROID_NDK_HOME "
    "KOTLIN_HOME SCALA_HOME GOROOT GOPATH GOBIN GOCACHE GOMODCACHE CARGO_HOME CARGO_TARGET_DIR RUSTUP_HOME RUSTUP_TOOLCHAIN NVM_DIR NVM_BIN NVM_INC "
    "FNM_DIR FNM_MULTISHELL_PATH VOLTA_HOME NODENV_ROOT PNPM_HOME BUN_INSTALL DENO_INSTALL DENO_DIR COREPACK_HOME NODE_PATH PYENV_ROOT "
    "PYENV_VERSION VIRTUAL_ENV CONDA_PREFIX CONDA_EXE CONDA_DEFAULT_ENV MAMBA_ROOT_PREFIX UV_CACHE_DIR UV_PYTHON_INSTALL_DIR POETRY_HOME "
    "PIPX_HOME PYTHONPATH PYTHONHOME RBENV_ROOT RBENV_VERSION RVM_DIR GEM_HOME GEM_PATH BUNDLE_PATH PERL5LIB PERLBREW_ROOT COMPOSER_HOME "
    "DOTNET_ROOT NUGET_PACKAGES ASDF_DIR ASDF_DATA_DIR MISE_DATA_DIR OPAM_SWITCH_PREFIX GHCUP_INSTALL_BASE_PREFIX STACK_ROOT MIX_HOME HEX_HOME "
    "FLUTTER_ROOT PUB_CACHE SWIFTLY_HOME_DIR DEVELOPER_DIR SDKROOT MACOSX_DEPLOYMENT_TARGET VCPKG_ROOT EMSDK QTDIR CUDA_HOME CUDA_PATH ROCM_PATH "
    "HOMEBREW_(PREFIX|CELLAR|REPOSITORY) NIX_PATH NIX_PROFILES NIX_STORE GUIX_PROFILE CC CXX CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH "
    "LD_LIBRARY_PATH DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH PKG_CONFIG_PATH CMAKE_PREFIX_PATH MANPATH INFOPATH"
)
"""Where tools and their parts are. Directories and versions: none of these holds a secret."""
_SILENT = (
    "_ __.* SHLVL PWD OLDPWD PS[0-9] HIST.* LS_?COLORS LESS.* PAGER MORE EDITOR VISUAL MAIL HOSTNAME HOST HOSTTYPE OSTYPE MACHTYPE DISPLAY "
    "WAYLAND.* WINDOWID XDG_.* XAUTHORITY DBUS_.* DESKTOP_.* GNOME_.* GTK.* QT_.* KDE_.* SESSION_MANAGER SSH_.* GPG_.* TERM_.* TMUX.* STY VTE_.* "
    "CLICOLOR.* COLORFGBG ITERM.* KITTY_.* WEZTERM_.* ALACRITTY_.* VSCODE_.* WT_.* WSL.* INVOCATION_ID JOURNAL_STREAM SYSTEMD_.* MANAGERPID "
    "MEMORY_PRESSURE_.* XPC_.* Apple_.* SECURITYSESSIONID COMMAND_MODE LaunchInstanceID LINES COLUMNS DEBUGINFOD_URLS BASH_.* ZSH.* FPATH "
    "CLAUDE.* CCTERM_.* GIT_.* ANTHROPIC_BASE_URL"
)
"""Of the session, the terminal and ccterm itself: no command of a project misses them."""


def _names(*tables: str) -> re.Pattern[str]:
    return re.compile("|".join(word for table in tables for word in table.split()))


_TOOL = _names("PATH LANG LC_[A-Z]+ TZ", _NETWORK)
"""What ccterm's own tools get: enough to start programs, to print text, and to reach the network."""
COMMAND = _names(_TERMINAL, _USER, _NETWORK, _MODELS, TOOLCHAINS)
"""What the agent, setup and verify get; the settings can add to it."""
_UNMISSED = _names(_SILENT, _TERMINAL, _USER, _NETWORK, _MODELS, TOOLCHAINS)


def environment(step: Step, user: Mapping[str, str], box: Box, mark: str) -> dict[str, str]:
    """Return the environment of a step program, its secrets included."""
    wanted = _TOOL if step.image == "tool" else COMMAND
    env = {name: value for name, value in user.items() if wanted.fullmatch(name)}
    env.setdefault("PATH", os.defpath)
    return (
        env
        | {"TMPDIR": str(box.tmp), "GIT_CEILING_DIRECTORIES": str(box.root.parent), MARK: mark, PARENT_WATCH: "stdin"}
        | {name: value.get_secret_value() for name, value in step.secrets.items()}
    )


def left_out(user: Collection[str], given: Collection[str], commands: Sequence[str]) -> Sequence[str]:
    """Return the variables that a command may have wanted and does not get, those first that the commands name.

    given: the names that it gets by other ways.
    """
    words = {word for command in commands for word in re.findall(r"\w+", command)}
    missed = [name for name in user if name.isidentifier() and name not in given and not _UNMISSED.fullmatch(name)]
    return sorted(missed, key=lambda name: (name not in words, name))
