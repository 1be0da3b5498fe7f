"""What a step sees of the user's environment: ccterm's own tools get a short list, users' programs everything but secrets."""

import os
import re
from collections.abc import Mapping

from ccterm.box.protocol import PARENT_WATCH
from ccterm.executors.base import Step
from ccterm.executors.local.box import Box
from ccterm.git.types import MARK

_TOOL = re.compile(
    r"PATH|LANG|LC_[A-Z]+|TZ|(HTTP|HTTPS|ALL|NO)_PROXY|(http|https|all|no)_proxy|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|NIX_SSL_CERT_FILE"
)
"""What ccterm's own tools get: enough to start programs, to print text, and to reach the network."""
_WITHHELD = re.compile(r"(GIT|SSH|CLAUDE_CODE|CCTERM)_.*|CLAUDECODE|ANTHROPIC_(API_KEY|AUTH_TOKEN)|GPG_AGENT_INFO")
"""What users' programs do not get, although its name may look harmless: the state of a calling git, agent or ccterm, and logins."""
_SECRET_WORDS = re.compile("TOKENS?|SECRETS?|PASSWORDS?|PASSWD|PASSPHRASE|PASS|PW|PAT|KEYS?|APIKEY|CREDENTIALS?|CREDS")
"""Words of a name, such as the KEY in STRIPE_KEY."""
_SECRET_PARTS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "APIKEY", "PRIVATEKEY", "ACCESSKEY")
"""Parts of a name without its underscores, such as PGPASSWORD."""


def looks_secret(name: str) -> bool:
    """Return whether a variable's name suggests that its value is a secret."""
    upper = name.upper()
    return any(map(_SECRET_WORDS.fullmatch, re.split(r"[^A-Z]+", upper))) or any(part in upper.replace("_", "") for part in _SECRET_PARTS)


def environment(step: Step, user: Mapping[str, str], box: Box, mark: str) -> dict[str, str]:
    """Return the environment of a step program, its secrets included."""
    if step.image == "tool":
        env = {name: value for name, value in user.items() if _TOOL.fullmatch(name)}
    else:
        env = {name: value for name, value in user.items() if not _WITHHELD.fullmatch(name) and not looks_secret(name)}
    env.setdefault("PATH", os.defpath)
    return (
        env
        | {"TMPDIR": str(box.tmp), "GIT_CEILING_DIRECTORIES": str(box.root.parent), MARK: mark, PARENT_WATCH: "stdin"}
        | {name: value.get_secret_value() for name, value in step.secrets.items()}
    )
