"""One question to the system's keyring, in a process of its own: a backend may hang for ever, and then only a process can be ended.

Run by its path, with `get`, `set` or `delete` as argument and {"service", "name", "value"} as JSON on stdin; answers {"state", "value"} as
JSON on stdout. States: ok, missing, absent (there is no keyring), locked, failed.
"""

import json
import sys

_NONE = ("keyring.backends.fail", "keyring.backends.null")


def answer(action: str, item: dict[str, str]) -> dict[str, str | None]:
    """Carry out the action and return the answer."""
    import keyring
    from keyring.errors import KeyringLocked, NoKeyringError, PasswordDeleteError

    if type(keyring.get_keyring()).__module__ in _NONE:
        return {"state": "absent"}
    try:
        return _done(action, item)
    except NoKeyringError:
        return {"state": "absent"}
    except KeyringLocked:
        return {"state": "locked"}
    except PasswordDeleteError:
        return {"state": "missing"}
    except Exception as error:  # noqa: BLE001 - backends raise what they like, and their words may hold the value
        return {"state": "failed", "value": type(error).__name__}


def _done(action: str, item: dict[str, str]) -> dict[str, str | None]:
    import keyring

    service, name = item["service"], item["name"]
    if action == "set":
        keyring.set_password(service, name, item["value"])
    elif action == "delete":
        keyring.delete_password(service, name)
    else:
        value = keyring.get_password(service, name)
        return {"state": "missing" if value is None else "ok", "value": value}
    return {"state": "ok"}


if __name__ == "__main__":
    try:
        found = answer(sys.argv[1], json.load(sys.stdin))
    except ImportError:
        found = {"state": "absent"}
    print(json.dumps(found))  # noqa: T201 - stdout is the answer
