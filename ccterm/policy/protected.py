"""Paths that are more than text: what runs by itself, what configures tools, and what holds keys. Pure rules about names.

Names are compared as the most tolerant file system would: without regard to case, to Unicode form and to characters that cannot be
seen, without trailing dots and blanks, up to a colon, and by the short names that Windows makes of long ones.
"""

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase, translate

from ccterm.git.names import folded

_OBEYED = """
    .github/workflows .github/actions .gitea .forgejo .gitlab-ci*.yml .gitlab/ci .circleci .cirrus.* .buildkite .builds .build.yml .semaphore
    .travis.yml .travis.yaml .drone.* .woodpecker .woodpecker.* .teamcity .tekton .harness .gocd.* .zuul.* .packit.* .readthedocs.* .azure-pipelines*
    azure-pipelines*.yml azure-pipelines*.yaml bitbucket-pipelines.yml appveyor.yml .appveyor.yml jenkinsfile* buildspec*.yml cloudbuild*.y*ml
    wercker.yml codefresh.yml netlify.toml vercel.json

    .husky .huskyrc* .githooks .git-hooks .pre-commit-config.y*ml .pre-commit-hooks.y*ml prek.toml lefthook.* lefthook-local.* .lefthook* .overcommit.yml
    .simple-git-hooks.* simple-git-hooks.* .lintstagedrc* lint-staged.config.* captainhook.json grumphp.yml* .watchmanconfig
    .gitmodules .gitattributes .gitconfig .hg .svn .jj .sl .bzr _darcs .pijul

    .vscode .vs .idea .fleet .zed .nova .theia .helix .kakrc .devcontainer .devcontainer.json .gitpod.* .replit .idx *.code-workspace
    *.sublime-project .exrc _exrc .nvimrc .nvim.lua .vimrc _vimrc .gvimrc .lvimrc .vim .local.vimrc .dir-locals*.el .projectile
    .ycm_extra_conf.py .directory desktop.ini autorun.inf

    .claude .claude.json .claude-plugin claude.md claude.local.md agents.md agents.*.md agent.md .agents .agent gemini.md .gemini .codex .cursor
    .cursorrules .cursorignore .windsurf .windsurfrules .aider* .continue .continuerules .cline .clinerules .roo .roorules* .roomodes .kiro .kilocode
    .amazonq .augment .augment-guidelines .junie .opencode opencode.json* .crush .crush.json crush.json crush.md .qwen qwen.md .goosehints .goose
    .trae .factory .amp .copilot .openhands .openhands_instructions .devin .warp warp.md .rules .mcp.json mcp.json .github/copilot-instructions.md
    .github/instructions .github/prompts .github/chatmodes .github/agents .github/hooks .github/skills

    .envrc .mise mise/config.toml .mise.* mise.toml mise.*.toml .rtx.toml .tool-versions .asdfrc .bashrc .bash_* .profile .zshrc .zshenv .zprofile .zlogin
    .zlogout .kshrc .cshrc .tcshrc .login .logout .inputrc .tmux.conf .screenrc .xinitrc .xprofile .xsession .xsessionrc .pam_environment .ssh
    .gnupg .aws/config .aws/credentials .kube/config
    .docker/config.json .docker/cli-plugins .netrc .config/git .config/fish .config/zsh .config/mise* .config/nvim .config/direnv .config/systemd
    .config/autostart .config/environment.d .config/tmux .config/helix .config/pip .config/starship.toml .local/bin .local/share/systemd
    .local/share/applications

    .gdbinit .lldbinit .lldbinit-* .irbrc .pryrc .pdbrc .rprofile .renviron .ghci .iex.exs .psqlrc .sqliterc .my.cnf .octaverc .erlang .guile
    .perldb .radare2rc .curlrc .wgetrc sitecustomize.py usercustomize.py

    .npmrc .yarnrc .yarnrc.yml .yarn/releases .yarn/plugins .yarn/sdks .pnpmfile.* pnpmfile.js bunfig.toml .bunfig.toml pip.conf pip.ini .pypirc .pydistutils.cfg .condarc .cargo
    .bundle .gemrc .mvn .mavenrc gradle/wrapper .sbtopts .jvmopts .sdkmanrc .bazelrc .bazeliskrc .buckconfig nuget.config .nuget
    directory.build.*

    .ccterm.toml .worktreeinclude
""".split()  # noqa: SIM905  (a list of literals would be three times as long)
"""Names of files and of directories with all that is in them, anywhere in a repository; folded, with globs."""
_NAMES = frozenset(name for name in _OBEYED if "/" not in name and "*" not in name)
_GLOBS = re.compile("|".join(translate(name) for name in _OBEYED if "/" not in name and "*" in name))
_PAIRS = [(above, re.compile(translate(name))) for above, _, name in (path.partition("/") for path in _OBEYED if "/" in path)]
_ABOVE = frozenset(above for above, _ in _PAIRS)
_KEYS = re.compile(
    r"\.env(\.(?!example$|sample$|template$|dist$|defaults?$)[^/]*)?|.*\.(pem|p12|pfx|jks|keystore|kdbx|ppk)"
    r"|id_(rsa|dsa|ecdsa|ed25519)|\.credentials\.json|\.netrc|\.pgpass|\.htpasswd"
)
_SHORT = re.compile(r"([^~]{1,6})~[0-9]+(\.[^.]{0,3})?")
_HASHED = re.compile(r"(..)[0-9a-f]{4}~[0-9](\.[^.]{0,3})?")
_TRAILING = re.compile(r"[. ]+$")


def _short(name: str) -> tuple[str, str]:
    """Return what a name's short name on Windows begins with, and its extension."""
    stem, dot, extension = name.lstrip(".").replace(" ", "").rpartition(".")
    return (stem or extension).replace(".", "")[:6], f".{extension[:3]}" if dot and stem else ""


_SHORTENED = frozenset(_short(name.replace("*", "")) for path in _OBEYED for name in path.split("/"))
_SHORT_HEADS = frozenset((stem[:2], extension) for stem, extension in _SHORTENED)


def is_protected(path: str) -> bool:
    """Whether a tool runs or obeys what is at a path, or in a directory above it, without being asked."""
    above = ""
    for name in _components(path):
        if name in _NAMES or _GLOBS.fullmatch(name) or ("~" in name and _is_short_name(name)):
            return True
        if above in _ABOVE and any(above == first and second.fullmatch(name) for first, second in _PAIRS):
            return True
        above = name
    return False


def is_above_protected(path: str) -> bool:
    """Whether a link at a path would put its target's files where tools obey them: .github, .config and the like."""
    *_, name = ("", *_components(path))
    return name in _ABOVE


def is_key_file(path: str) -> bool:
    """Whether a file with that name usually holds keys or passwords."""
    *_, name = ("", *_components(path))
    return _KEYS.fullmatch(name) is not None


def allowed(path: str, globs: Collection[str]) -> bool:
    """Whether the user allowed a path: itself, a directory above it, or by a glob on the whole path or its last part."""
    last = path.rpartition("/")[2]
    return any(fnmatchcase(path, glob) or fnmatchcase(last, glob) or path.startswith(glob.rstrip("/") + "/") for glob in globs)


def _components(path: str) -> Iterator[str]:
    """Yield the parts of a path, folded. A backslash divides them too, as on Windows; "." and empty ones are left out."""
    whole = folded(path.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    for part in whole.replace("\\", "/").split("/"):
        if name := _TRAILING.sub("", part.partition(":")[0]):
            yield name


def _is_short_name(name: str) -> bool:
    """Whether a folded name is one that Windows may give to a protected path."""
    short, hashed = _SHORT.fullmatch(name), _HASHED.fullmatch(name)
    whole = short is not None and (short[1], short[2] or "") in _SHORTENED
    return whole or (hashed is not None and (hashed[1], hashed[2] or "") in _SHORT_HEADS)
