"""Filter scripts of accounts (RFC 5228) as they are kept and told of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from mailnode.errors import BadScriptName
from mailnode.values.composed import compose

VERSIONS = 10  # of a script that stay, the one in force among them
MAX_NAME = 512  # octets of a name, RFC 5804 1.6 asks for 128 characters


class ScriptInfo(NamedTuple):
    """A script of an account. ``version`` grows by one with each change of its content; ``changed``: UTC seconds of the last."""

    name: str
    size: int  # octets
    active: bool
    version: int
    changed: float


class ScriptVersion(NamedTuple):
    """One version of a script that is kept. ``stored``: UTC seconds."""

    version: int
    size: int
    stored: float


class StoredScript(NamedTuple):
    """A script with its source. ``digest``: the SHA-256 of the source, in hexadecimal digits."""

    name: str
    source: bytes
    digest: str


ScriptsAround: TypeAlias = "tuple[tuple[StoredScript, ...], tuple[StoredScript, ...]]"  # those before and those after


@dataclass(frozen=True, slots=True)
class ServerScriptSet:
    """The scripts of the server: around those of all accounts, and of a domain's (by key); ``included``: what any may include, by
    name."""

    everywhere: ScriptsAround = ((), ())
    domains: Mapping[str, ScriptsAround] = field(default_factory=dict)
    included: Mapping[str, StoredScript] = field(default_factory=dict)


class BackedUpScript(NamedTuple):
    """A script of an account in a backup. ``source``: of its newest version; None: the backup does not have it as it was."""

    name: str
    source: bytes | None
    active: bool


@dataclass(frozen=True, slots=True)
class ScriptQuota:
    """What an account may keep: ``size`` in octets of one script, ``total`` of all of them (older versions not counted)."""

    scripts: int = 32
    size: int = 1024 * 1024
    total: int = 4 * 1024 * 1024


# RFC 5804 1.6: no controls, and neither LINE nor PARAGRAPH SEPARATOR. A lone surrogate is no character.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def script_name(text: str) -> str:
    """Return a name as scripts are kept by: composed (NFC). :raises BadScriptName:"""
    if not text:
        raise BadScriptName("it is empty")
    if _FORBIDDEN.search(text):
        raise BadScriptName("it has control characters or line separators")
    name = compose(text)
    if len(name.encode("utf-8")) > MAX_NAME:
        raise BadScriptName(f"it has more than {MAX_NAME} octets")
    return name
