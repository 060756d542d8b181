"""Whom a client's certificate is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientNames:
    """``emails``: its rfc822Names, ``common_names``: of its subject; each once, lower-case."""

    emails: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()


NO_NAMES = ClientNames()
