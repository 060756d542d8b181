"""What the server says it can do (RFC 5804 1.7)."""

from __future__ import annotations

from collections.abc import Iterable

from mailnode.managesieve.wire.responses import line, string
from mailnode.sieve.checker import offered
from mailnode.sieve.limits import ScriptLimits

NOTIFY_METHODS = ("mailto",)  # RFC 5436
LIST_SCHEMES = ("urn",)  # RFC 6134 2.8: there always is an address book
LANGUAGE = "en"


def capabilities(implementation: str, mechanisms: Iterable[str], *, start_tls: bool, owner: str = "") -> bytes:
    """Return the lines. :param mechanisms: of SASL, that can work for this client. :param start_tls: whether TLS may begin.
    :param owner: who has logged in; "": nobody."""
    said: list[tuple[str, str | None]] = [
        ("IMPLEMENTATION", implementation),
        ("VERSION", "1.0"),
        ("SASL", " ".join(mechanisms)),
        ("SIEVE", " ".join(offered())),
        ("NOTIFY", " ".join(NOTIFY_METHODS)),
        ("EXTLISTS", " ".join(LIST_SCHEMES)),
        ("MAXREDIRECTS", str(ScriptLimits().redirects)),
        ("LANGUAGE", LANGUAGE),
        ("UNAUTHENTICATE", None),
    ]
    if start_tls:
        said.append(("STARTTLS", None))
    if owner:
        said.append(("OWNER", owner))
    return b"".join(line(*(string(word.encode()) for word in pair if word is not None)) for pair in said)
