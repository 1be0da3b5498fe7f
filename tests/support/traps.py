"""Traps: every way in which a git directory can name a program, each with one that records being run."""

from pathlib import Path

HOOKS = """
applypatch-msg commit-msg fsmonitor-watchman p4-pre-submit post-applypatch post-checkout post-commit post-index-change post-merge
post-receive post-rewrite pre-applypatch pre-auto-gc pre-commit pre-merge-commit pre-push pre-rebase pre-receive prepare-commit-msg
proc-receive push-to-checkout reference-transaction sendemail-validate update
"""

COMMANDS = {
    "core.fsmonitor": "{script}",
    "core.sshCommand": "{script}",
    "core.editor": "{script}",
    "core.pager": "{script}",
    "core.askPass": "{script}",
    "core.gitProxy": "{script}",
    "core.alternateRefsCommand": "{script}",
    "core.hooksPath": "{hooks}",
    "filter.evil.clean": "{script}",
    "filter.evil.smudge": "{script}",
    "filter.evil.process": "{script}",
    "filter.lfs.clean": "{script}",
    "filter.lfs.process": "{script}",
    "diff.external": "{script}",
    "diff.evil.command": "{script}",
    "diff.evil.textconv": "{script}",
    "merge.evil.driver": "{script}",
    "gpg.program": "{script}",
    "gpg.ssh.program": "{script}",
    "gpg.ssh.defaultKeyCommand": "{script}",
    "commit.gpgSign": "true",
    "push.gpgSign": "true",
    "credential.helper": "!{script}",
    "uploadpack.packObjectsHook": "{script}",
    "sequence.editor": "{script}",
    "trailer.x.command": "{script}",
    "submodule.sub.update": "!{script}",
    "protocol.ext.allow": "always",
}


class Trap:
    """A script that records being run."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.marker = directory / "ran"
        self.script = directory / "evil.sh"
        self.script.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.marker}\ncat\n')
        self.script.chmod(0o755)
        self.hooks = directory / "hooks"
        self.hooks.mkdir()
        for name in HOOKS.split():
            (self.hooks / name).symlink_to(self.script)

    @property
    def ran(self) -> bool:
        """Whether it was run."""
        return self.marker.exists()

    def configure(self, git_directory: Path) -> None:
        """Write every command into a configuration."""
        with (git_directory / "config").open("a") as file:
            for name, value in COMMANDS.items():
                place, _, key = name.rpartition(".")
                section, _, inner = place.partition(".")
                filled = value.format(script=self.script, hooks=self.hooks)
                file.write(f'[{section} "{inner}"]\n' if inner else f"[{section}]\n")
                file.write(f'\t{key} = "{filled}"\n')
