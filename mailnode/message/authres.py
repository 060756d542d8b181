"""Results of authentication as a header field has them (RFC 8601)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailnode.values.authentication import AuthenticationResult

MAX_VALUE = 255  # characters of a value that are shown
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~@-]+")  # RFC 2045 5.1, and what a domain or an address may have
_NOT_SHOWN = re.compile(r"[^ !#-\[\]-~]")  # of a quoted string: quotes, backslashes, controls and what is not ASCII


def payload(server: str, results: Sequence[AuthenticationResult]) -> str:
    """Return what stands behind the name of the field, or behind the instance of ARC, in lines (RFC 8601 2.2).

    :param server: the host name of who found it out.
    """
    return ";\r\n ".join([server, *map(_result, results)]) if results else f"{server}; none"


def _result(result: AuthenticationResult) -> str:
    words = [f"{result.method}={result.result}"]
    if result.reason:
        words.append(f"reason={_value(result.reason)}")
    words += [f"{name}={_value(value)}" for name, value in result.properties]
    return " ".join(words)


def _value(text: str) -> str:
    text = _NOT_SHOWN.sub("?", text[:MAX_VALUE])
    return text if _TOKEN.fullmatch(text) else f'"{text}"'
