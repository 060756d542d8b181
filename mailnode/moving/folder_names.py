"""Which mailbox here a folder of a source becomes.

By its special use first, then by its name; a name that cannot be here becomes one that can, and that is told.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailnode.errors import BadMailboxName
from mailnode.moving.model import SourceFolder
from mailnode.values.mailbox_name import INBOX, MAX_DEPTH, MAX_OCTETS, SEPARATOR, mailbox_name

# Names that servers and mail programs give to folders of one use, where the source does not say it by itself.
_USUAL = {
    "\\Sent": ("sent", "sent items", "sent messages", "sent mail", "sent-mail"),
    "\\Drafts": ("drafts", "draft"),
    "\\Trash": ("trash", "deleted items", "deleted messages", "deleted"),
    "\\Junk": ("junk", "spam", "junk e-mail", "junk email", "bulk mail"),
    "\\Archive": ("archive", "archives"),
}
_USE_OF = {name: use for use, names in _USUAL.items() for name in names}
# Views of what stands in other folders too (RFC 6154 2, RFC 8457).
VIEWS = frozenset({"\\Flagged", "\\Important"})
ALL = "\\All"  # that too, but also of what stands nowhere else: it is what was archived
_DIGEST = 8  # hexadecimal digits that tell shortened names apart


@dataclass(frozen=True, slots=True)
class NamedFolder:
    """A folder with the name of the mailbox that it becomes."""

    folder: SourceFolder
    mailbox: str
    special_use: str = ""  # that the mailbox gets when it is made
    why: str = ""  # it does not have its name: in words


def name_folders(
    folders: Sequence[SourceFolder], uses_here: Mapping[str, str], told: Mapping[str, str]
) -> list[NamedFolder]:
    """Give each folder a mailbox of its own; INBOX, in whatever case, is ours.

    :param uses_here: names of mailboxes here by their special use. :param told: names that somebody wants, by those of folders
        with ``/`` between levels. :raises BadMailboxName: one of these cannot be.
    """
    uses = _uses(folders)
    taken: set[str] = set()
    named: list[NamedFolder] = []
    for folder in folders:
        wanted = told.get(SEPARATOR.join(folder.levels))
        use = uses.get(folder.key, "")
        if wanted is not None:
            named.append(NamedFolder(folder, mailbox_name(wanted)))
        elif use and use in uses_here:
            why = "" if uses_here[use] == SEPARATOR.join(folder.levels) else f"it is what {use[1:]} is here"
            named.append(NamedFolder(folder, uses_here[use], use, why))
        else:
            name, why = possible_name(folder.levels)
            named.append(NamedFolder(folder, name, use, "; ".join(filter(None, (folder.oddity, why)))))
        name = named[-1].mailbox
        if name != INBOX and wanted is None and name in taken:
            other = _another(name, taken)
            named[-1] = NamedFolder(folder, other, "", f"another folder is {name} already")
        taken.add(named[-1].mailbox)
    return named


def _uses(folders: Iterable[SourceFolder]) -> dict[str, str]:
    """Return special uses by key: what the source says, and usual names where it says nothing of that use."""
    told = {folder.key: "\\Archive" if folder.special_use == ALL else folder.special_use for folder in folders}
    known = {key: use for key, use in told.items() if use in _USUAL}
    said = set(known.values())
    for folder in folders:
        use = _USE_OF.get(folder.levels[0].lower(), "") if len(folder.levels) == 1 else ""
        if use and use not in said:
            known[folder.key] = use
            said.add(use)
    return known


def possible_name(levels: Sequence[str]) -> tuple[str, str]:
    """Return the name of a mailbox, and what was wrong with the one that was there; "" when nothing was."""
    faults: list[str] = []
    if any(SEPARATOR in level for level in levels):
        faults.append(f"{SEPARATOR} separates levels here")
    if any(_is_control(c) for level in levels for c in level):
        faults.append("it has control characters")
    clean = [_clean(level) for level in levels]
    if not all(clean):
        faults.append("it has an empty level")
        clean = [level for level in clean if level] or ["_"]
    if len(clean) > MAX_DEPTH:
        faults.append("it has too many levels")
        clean = [*clean[: MAX_DEPTH - 1], "_".join(clean[MAX_DEPTH - 1 :])]
    if clean[0].upper() == INBOX:
        clean[0] = INBOX
    name = SEPARATOR.join(clean)
    if len(unicodedata.normalize("NFC", name).encode("utf-8", "replace")) > MAX_OCTETS:
        faults.append("it is too long")
        name = _shortened(name)
    try:
        return mailbox_name(name), "; ".join(faults)
    except BadMailboxName:
        return f"Folder-{_mark(name)}", "; ".join([*faults, "it cannot be a name here"])


def _clean(level: str) -> str:
    kept = "".join("_" if _is_control(c) else c for c in level.replace(SEPARATOR, "_"))
    return unicodedata.normalize("NFC", kept)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _shortened(name: str) -> str:
    """Return a name of the octets a name may have: its beginning, and what tells it from others that begin so."""
    mark = f"~{_mark(name)}"
    octets = unicodedata.normalize("NFC", name).encode("utf-8", "replace")[: MAX_OCTETS - len(mark)]
    return octets.decode("utf-8", "ignore").rstrip(SEPARATOR) + mark


def _mark(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:_DIGEST]


def _another(name: str, taken: set[str]) -> str:
    number = 2
    while (other := possible_name([*name.split(SEPARATOR)[:-1], f"{name.split(SEPARATOR)[-1]} {number}"])[0]) in taken:
        number += 1
    return other
