"""Results of authentication as a header field has them (RFC 8601)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from mailnode.message.headers import fields
from mailnode.message.parameters import strip_comments
from mailnode.message.quoted import find_end, read_quoted
from mailnode.values.authentication import AuthenticationResult

MAX_SAID = 900  # octets of a field that is repeated: it stands in one line
MAX_VALUE = 255  # characters of a value that are shown
MAX_READ = 8 * 1024  # octets of a field of others that is read
MAX_RESULTS = 50  # of one field that are read, and properties of one result
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~@-]+")  # RFC 2045 5.1, and what a domain or an address may have
_SPACE = re.compile(r"[ \t]")
# RFC 8601 2.2, all white space being in one line: method and version, "reason", or the type of a property and its name.
_NAMED = re.compile(rb"[ \t]*([\w-]+)[ \t]*(?:/[ \t]*[0-9]+[ \t]*|\.[ \t]*([\w-]+)[ \t]*)?=[ \t]*")
_SEPARATOR = re.compile(rb'[;"]')
_BARE = re.compile(rb"[^ \t]*")
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


def read_results(value: bytes) -> tuple[AuthenticationResult, ...]:
    """Return what a field of others says, whoever they are; what cannot be read is left out. It takes time that grows with the
    field alone.

    :param value: the body of Authentication-Results in one line, or that of ARC-Authentication-Results behind its instance.
    """
    if len(value) > MAX_READ:
        return ()
    # A comment may stand without a space before it, which names of files taught strip_comments not to believe.
    _, *parts = _parts(strip_comments(value.replace(b"(", b" (")))
    return tuple(result for part in parts[:MAX_RESULTS] if (result := _read_result(part)) is not None)


def _parts(text: bytes) -> Iterator[bytes]:
    """Yield what stands between semicolons, of which quoted strings may have some too."""
    start = position = 0
    while (mark := _SEPARATOR.search(text, position)) is not None:
        position = mark.end()
        if mark[0] == b'"':
            position = find_end(text, position, b'"') + 1
        else:
            yield text[start : mark.start()]
            start = position
    yield text[start:]


def _read_result(text: bytes) -> AuthenticationResult | None:
    pairs: list[tuple[str, str]] = []
    position, text = 0, text.strip(b" \t")
    while position < len(text):
        named = _NAMED.match(text, position)
        if named is None or len(pairs) > MAX_RESULTS:
            return None
        name = named[1] + b"." + named[2] if named[2] else named[1]
        value, position = _read_value(text, named.end())
        pairs.append((name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace")))
    if not pairs:
        return None
    (method, result), *others = pairs
    reason = next((value for name, value in others if name == "reason"), "")
    return AuthenticationResult(method, result.lower(), tuple(pair for pair in others if "." in pair[0]), reason)


def _read_value(text: bytes, position: int) -> tuple[bytes, int]:
    quoted = b""
    if text.startswith(b'"', position):
        quoted, position = read_quoted(text, position + 1)
    bare = _BARE.match(text, position)
    return (quoted + bare[0], bare.end()) if bare is not None else (quoted, position)


@lru_cache(maxsize=256)  # those of an author and a client come again, but for signatures
def _result(result: AuthenticationResult) -> str:
    words = [f"{result.method}={result.result}"]
    if result.reason:
        words.append(f"reason={_value(result.reason)}")
    words += [f"{name}={_value(value)}" for name, value in result.properties]
    return " ".join(words)


def _value(text: str) -> str:
    text = _NOT_SHOWN.sub("?", text[:MAX_VALUE])
    return text if _TOKEN.fullmatch(text) else f'"{text}"'
