"""The commands about the settings."""

from ccterm.cli.commands.flags import Json, leave


def show(json: Json = False) -> None:
    """Print the settings as they count here and now, and where each comes from."""
    from ccterm.cli.config import show_settings  # deferred, as in all commands: --help does without

    leave(show_settings(as_json=json))


def path(json: Json = False) -> None:
    """Print where the settings file and the state directory are."""
    from ccterm.cli.config import print_paths

    leave(print_paths(as_json=json))


def check(json: Json = False) -> None:
    """Say all that is wrong with the settings file, the .ccterm.toml of the working copy here, and variables that begin with CCTERM_."""
    from ccterm.cli.config import check_settings

    leave(check_settings(as_json=json))
