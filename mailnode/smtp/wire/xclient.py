"""XCLIENT (Postfix XCLIENT_README): for whom a relay speaks.

Address and name of that client are all that anything depends on. What else is said of it has to be what it may be, and is left
at that: a login at another server in particular is none here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mailnode.smtp.wire.events import Xclient
from mailnode.smtp.wire.grammar import CommandError, hello_name, parse_parameters, read_xtext
from mailnode.values.networks import ip_address

_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")  # in any case
_PORT = re.compile(r"[0-9]{1,5}\Z")


def _address(text: str) -> str:
    literal = text[5:] if text[:5].upper() == "IPV6:" else text
    address = ip_address(literal)
    if address is None or "%" in literal:
        raise ValueError("no address")
    return str(address)


def _port(text: str) -> str:
    if not _PORT.match(text) or int(text) > 65535:
        raise ValueError("no port")
    return text


def _protocol(text: str) -> str:
    if text.upper() not in ("SMTP", "ESMTP"):
        raise ValueError("no protocol of a client")
    return text


def _text(text: str) -> str:
    return text


# attribute -> what reads its decoded value
ATTRIBUTES: dict[str, Callable[[str], str]] = {
    "NAME": _text,
    "ADDR": _address,
    "PORT": _port,
    "PROTO": _protocol,
    "HELO": hello_name,
    "LOGIN": _text,
    "DESTADDR": _address,
    "DESTPORT": _port,
}


def read_xclient(argument: str) -> Xclient:
    """Read XCLIENT's attributes; what is not named stays as it was. :raises CommandError:"""
    said: dict[str, str] = {}
    for name, value in parse_parameters(argument).items():
        read = ATTRIBUTES.get(name)
        if read is None:
            raise CommandError(501, "5.5.4", "Bad XCLIENT attribute")
        if value is not None and value.upper() in _UNKNOWN:
            said[name] = ""
            continue
        decoded = read_xtext(value)
        try:
            said[name] = read(decoded)
        except ValueError:
            raise CommandError(501, "5.5.4", f"Bad XCLIENT {name}") from None
    if not said:
        raise CommandError(501, "5.5.4", "XCLIENT needs attributes")
    return Xclient(said.get("ADDR"), said.get("HELO"))
