"""A command that prints everything secret that it can find, in twelve forms, and what must then be found nowhere."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

_PROGRAM = r"""
import base64, html, json, os, re, sys
from urllib.parse import quote, quote_plus, unquote
seen, pid = {}, os.getpid()
while pid > 1:
    try:
        seen |= dict(part.split("=", 1) for part in open(f"/proc/{pid}/environ", errors="surrogateescape").read().split("\0") if "=" in part)
        pid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
    except OSError:
        break
    if not re.search("claude|bash|sh|python", open(f"/proc/{pid}/comm").read()):
        break
found = [seen[name] for name in sys.argv[1:] if name in seen]
found += [unquote(value.split("@")[0].split(":")[-1]) for name, value in seen.items() if name == "HTTPS_PROXY" and "@" in value]
for number, value in enumerate(found):
    octets, middle = value.encode(), len(value) // 2
    said = [value, json.dumps(value), json.dumps(json.dumps({"v": value})), quote(value), quote_plus(value), html.escape(value)]
    said += [base64.b64encode(pad + octets).decode() for pad in (b"", b"u:")] + [base64.urlsafe_b64encode(b"user:" + octets).decode()]
    said += [octets.hex(), octets.hex().upper(), value[:middle] + "\x1b[1m" + value[middle:], value[:middle] + "\u200b" + value[middle:]]
    print("\n".join(f"secret {number} form {form}: {text} ." for form, text in enumerate(said)))
"""
FORMS = 13


def print_all(*names: str) -> str:
    """Return a shell command that prints these variables of itself and of the programs above it, and the password of the proxy, to stdout and stderr."""
    code = base64.b64encode(_PROGRAM.encode()).decode()
    run = f"python3 -c \"import base64; exec(base64.b64decode('{code}'))\" {' '.join(names)}"
    return f"{run}; {run} >&2"


def traces(secret: str, *, begins: int | None = None) -> tuple[bytes, ...]:
    """Return the forms of a secret, without the parts that neighbouring bytes change. begins: as many characters of a token betray it."""
    octets, raw = secret.encode(), secret[:begins]
    texts = [json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3], quote(secret), quote_plus(secret), html.escape(secret)]
    codes = [base64.b64encode(b"u:"[:pad] + octets)[4:-4] for pad in range(3)]
    return (
        *(text.encode() for text in dict.fromkeys([raw, *texts])),
        *codes,
        *(code.translate(bytes.maketrans(b"+/", b"-_")) for code in codes),
        *_hex(octets),
    )


def _hex(octets: bytes) -> tuple[bytes, bytes]:
    return octets.hex().encode(), octets.hex().upper().encode()
