"""The key by which setup may change the zone, as name servers' own programs write it."""

from __future__ import annotations

import re
from pathlib import Path

from mailnode.setup.answers import Question, yes_or_no
from mailnode.setup.row import Surrounded
from mailnode.setup.zones import ServedZone
from mailnode.values.dns_update import TsigKey, UpdateServer

NO_KEY = "none"
MAX_KEY_FILE = 65_536  # octets

# key "name" { algorithm hmac-sha256; secret "..."; };   of BIND's tsig-keygen, and of Knot's keymgr -t in its comment
_BIND = re.compile(r'key\s+"?([\w.-]+)"?\s*\{\s*algorithm\s+"?([\w-]+)"?\s*;\s*secret\s+"?([A-Za-z0-9+/=]+)"?\s*;\s*\}')
# - id: name / algorithm: hmac-sha256 / secret: ...   of Knot's configuration
_KNOT = re.compile(r"id:\s*\"?([\w.-]+)\"?\s+algorithm:\s*\"?([\w-]+)\"?\s+secret:\s*\"?([A-Za-z0-9+/=]+)\"?")


def read_key(path: Path) -> TsigKey:
    """Return the key of a file. :raises ValueError: what is wrong with it."""
    try:
        text = path.read_text("ascii")[:MAX_KEY_FILE]
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path}: cannot be read") from None
    found = _BIND.search(text) or _KNOT.search(text)
    if found is None:
        raise ValueError(f"{path}: has no key in the form of BIND or Knot")
    name, algorithm, secret = found.groups()
    return TsigKey(name, secret, algorithm)


def _key_file(text: str) -> str:
    if not text.strip() or text.strip() == NO_KEY:
        return NO_KEY
    path = Path(text.strip())
    if not path.is_absolute():
        raise ValueError(f"{text}: should be the full path of a file")
    read_key(path)
    return str(path)


KEY_FILE = Question(
    "dns_key_file", "The file with a TSIG key that may change your zone; none: you publish by hand", _key_file
)
SERVER = Question("dns_server", "The name server that takes changes of your zone, its name or address")
REPLACE = Question("replace_records", "Replace records of your zone that differ (yes or no)", yes_or_no)
QUESTIONS = (KEY_FILE, SERVER, REPLACE)


def key_of(around: Surrounded, *, ask: bool = False) -> TsigKey | None:
    """Return the key; None: there is none, or nobody was asked yet. :raises ValueError: the file has none any more."""
    answer = around.answers.of(KEY_FILE, NO_KEY, optional=True) if ask else around.answers.known(KEY_FILE)
    return None if answer in (None, NO_KEY) else read_key(Path(answer))


def is_settled(around: Surrounded) -> bool:
    """Whether it is known if there is a key."""
    return around.answers.known(KEY_FILE) is not None or not around.answers.can_ask


def key_server(around: Surrounded, zone: ServedZone, key: TsigKey) -> UpdateServer:
    """Return who takes changes of a zone: who was named, or its first server."""
    return UpdateServer(around.answers.of(SERVER, zone.servers[0], sure=True), key)


def replaces(around: Surrounded) -> bool:
    """Whether records that differ are replaced."""
    return around.answers.of(REPLACE, "no", sure=True) == "yes"
