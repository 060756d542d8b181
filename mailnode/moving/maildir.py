"""What stands in a Maildir beside the messages: names of files and folders, flags, keywords, UIDs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
LETTERS = {flag: letter for letter, flag in FLAGS.items()}
MAX_KEYWORDS = 26  # that have letters, from a to z
INFO = ":2,"
KEYWORDS_FILE = "dovecot-keywords"
UIDS_FILE = "dovecot-uidlist"
SUBSCRIPTIONS = ("subscriptions", "courierimapsubscribed")
_ARRIVED = re.compile(r"([0-9]{9,11})\.")


def base_of(name: str) -> str:
    """Return the part of a file's name that stays the same."""
    return name.partition(":")[0]


def flags_of(name: str, keywords: Sequence[str]) -> tuple[str, ...]:
    """Return names of the flags that a file's name tells. :param keywords: by letter, from ``a`` on; "" where there is none."""
    _, found, letters = name.rpartition(INFO)
    if not found:
        return ()
    flags = [FLAGS[letter] for letter in letters if letter in FLAGS]
    numbers = [ord(letter) - ord("a") for letter in letters if "a" <= letter <= "z"]
    named = [keywords[number] for number in numbers if number < len(keywords)]
    return (*flags, *filter(None, named))


def arrival_of(name: str, modified: float) -> int:
    """Return when a message arrived, in UTC seconds: when its file was written, which IMAP servers set; where that cannot be, what
    its name begins with."""
    if modified > 0:
        return int(modified)
    found = _ARRIVED.match(name)
    return int(found[1]) if found else 0


def read_keywords(lines: Sequence[bytes]) -> list[str]:
    """Return keywords by letter, of lines ``0 NonJunk``."""
    found: dict[int, str] = {}
    for line in lines:
        number, _, name = line.partition(b" ")
        if number.isdigit() and len(number) <= 2 and int(number) < MAX_KEYWORDS:
            found[int(number)] = name.decode("utf-8", "replace")
    return [found.get(number, "") for number in range(max(found, default=-1) + 1)]


def read_uidls(lines: Sequence[bytes]) -> dict[str, str]:
    """Return POP3 unique-ids by the part of a file's name that stays, of ``dovecot-uidlist`` version 3: those that it tells, or
    what Dovecot makes of UID and UIDVALIDITY where nothing else is configured (``%08Xu%08Xv``)."""
    if not lines or not lines[0].startswith(b"3 "):
        return {}
    head = {word[:1]: word[1:] for word in lines[0].split()[1:]}
    told = head.get(b"V", b"")
    validity = int(told) if told.isdigit() and len(told) <= 10 else 0
    found: dict[str, str] = {}
    for line in lines[1:]:
        about, separated, name = line.partition(b" :")
        uid, *extensions = about.split(b" ")
        if not separated or not uid.isdigit() or len(uid) > 10:
            continue
        uidl = next((one[1:] for one in extensions if one.startswith(b"P")), b"%08X%08X" % (int(uid), validity))
        found[base_of(name.decode("utf-8", "surrogateescape"))] = uidl.decode("utf-8", "replace")
    return found


def read_subscriptions(lines: Sequence[bytes]) -> frozenset[str]:
    """Return the subscribed names as the file has them, levels joined with ``/``: of Dovecot's two forms, and Courier's."""
    if lines and lines[0].startswith(b"V\t"):
        return frozenset("/".join(_text(level) for level in line.split(b"\t")) for line in lines[2:] if line)
    names = [_text(line).removeprefix("INBOX.") for line in lines if line]
    return frozenset(name.replace(".", "/") for name in names)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def letters_of(flags: Sequence[str], keywords: Mapping[str, int]) -> str:
    """Return the letters of flags, in their order. :param keywords: numbers of keywords, by name."""
    letters = [LETTERS[flag] for flag in flags if flag in LETTERS]
    letters += [chr(ord("a") + keywords[flag]) for flag in flags if flag in keywords]
    return "".join(sorted(letters))
