"""Results of authentication as a header field has them (RFC 8601)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailnode.message.headers import fields
from mailnode.values.authentication import AuthenticationResult

MAX_SAID = 900  # octets of a field that is repeated: it stands in one line
MAX_VALUE = 255  # characters of a value that are shown
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~@-]+")  # RFC 2045 5.1, and what a domain or an address may have
_SPACE = re.compile(r"[ \t]")
_NOT_SHOWN = re.compile(r"[^ !#-\[\]-~]")  # of a quoted string: quotes, backslashes, controls and what is not ASCII


def payload(server: str, results: Sequence[AuthenticationResult], said: Sequence[str] = ()) -> str:
    """Return what stands behind the name of the field, or behind the instance of ARC, in lines (RFC 8601 2.2).

    :param server: the host name of who found it out. :param said: what :func:`said_by` returns.
    """
    return ";\r\n ".join([server, *said, *map(_result, results)]) if said or results else f"{server}; none"


def said_by(server: str, header: bytes) -> list[str]:
    """Return the results in Authentication-Results fields of a server, as they stand there; what is too long, or not ASCII, is
    left out. None of them may be forged. :param server: its host name."""
    found = []
    for field in fields(header):
        if field.is_named(b"Authentication-Results") and field.value.isascii() and len(field.value) <= MAX_SAID:
            named, _, results = field.value.decode("ascii").partition(";")
            results = results.strip(" ;")
            # Split at what divides words in a field alone: who takes out what is forged knows no other white space.
            if _SPACE.split(named.strip(" \t"))[0] == server and results and results != "none":
                found.append(results)
    return found


def _result(result: AuthenticationResult) -> str:
    words = [f"{result.method}={result.result}"]
    if result.reason:
        words.append(f"reason={_value(result.reason)}")
    words += [f"{name}={_value(value)}" for name, value in result.properties]
    return " ".join(words)


def _value(text: str) -> str:
    text = _NOT_SHOWN.sub("?", text[:MAX_VALUE])
    return text if _TOKEN.fullmatch(text) else f'"{text}"'
