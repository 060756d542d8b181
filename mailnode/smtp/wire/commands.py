"""The arguments of commands, read to events. What cannot be read raises ``CommandError`` with the reply it deserves."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from functools import lru_cache

from mailnode.smtp.wire.content import TOO_LARGE
from mailnode.smtp.wire.events import AuthStart, Mail, Rcpt, Xclient
from mailnode.smtp.wire.grammar import (
    CommandError,
    decimal,
    decode_envid,
    decode_orcpt,
    decode_xtext,
    parse_notify,
    parse_parameters,
    parse_path,
)
from mailnode.values.envelope import MailOptions, RcptOptions, Recipient

_XCLIENT_NAMES = frozenset({"NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN"})

Parameters = dict[str, str | None]

# Lists and busy correspondents: the same senders and recipients come again and again.
SHORT = 128  # characters of an argument that is remembered for a while


def read_mail(argument: str, *, extended: bool, max_size: int, auth: bool) -> Mail:
    """MAIL's ``FROM:`` path and parameters (RFC 5321 4.1.1.2, RFC 1870 3, RFC 6152 2, RFC 6531 3.4, RFC 3461 4).

    :param extended: EHLO was used: parameters are allowed. :param auth: AUTH= is known (RFC 4954 5).
    """
    read = _remembered_mail if len(argument) <= SHORT else _read_mail
    return read(argument, extended, max_size, auth)


def _read_mail(argument: str, extended: bool, max_size: int, auth: bool) -> Mail:
    path = parse_path(_after(argument, "FROM:"), "5.1.7")
    if path.address is not None and not path.address.domain:
        raise CommandError(501, "5.1.7", "Address needs a domain")
    given = _parameters(path.rest, extended)
    size = _size(given, max_size)
    body = _choice(given, "BODY", ("7BIT", "8BITMIME")) or "7BIT"
    smtputf8 = _flag(given, "SMTPUTF8")
    ret = (given.pop("RET", "") or "").upper()
    envid = decode_envid(given.pop("ENVID", ""))
    if auth and "AUTH" in given:
        # RFC 4954 5: an identity this server has no reason to trust; valid syntax is all that is asked.
        _xtext(given.pop("AUTH"))
    _no_others(given)
    if path.address is not None and not path.address.is_ascii and not smtputf8:
        raise CommandError(553, "5.6.7", "SMTPUTF8 is needed for this address")
    return Mail(path.address, MailOptions(size, body, smtputf8, ret if ret in ("FULL", "HDRS") else "", envid))


_remembered_mail = lru_cache(maxsize=512)(_read_mail)


def read_rcpt(argument: str, *, extended: bool, smtputf8: bool) -> Rcpt:
    """RCPT's ``TO:`` path and parameters (RFC 5321 4.1.1.3, RFC 3461 4). :param smtputf8: MAIL said SMTPUTF8."""
    return (_remembered_rcpt if len(argument) <= SHORT else _read_rcpt)(argument, extended, smtputf8)


def _read_rcpt(argument: str, extended: bool, smtputf8: bool) -> Rcpt:
    path = parse_path(_after(argument, "TO:"), "5.1.3")
    if path.address is None:
        raise CommandError(501, "5.1.3", "The null path cannot receive")
    given = _parameters(path.rest, extended)
    notify = parse_notify(given.pop("NOTIFY", ""))
    orcpt = decode_orcpt(given.pop("ORCPT", ""))
    _no_others(given)
    if not path.address.is_ascii and not smtputf8:
        raise CommandError(553, "5.6.7", "SMTPUTF8 is needed for this address")
    return Rcpt(Recipient(path.address, RcptOptions(notify, orcpt)))


_remembered_rcpt = lru_cache(maxsize=512)(_read_rcpt)


def read_bdat(argument: str) -> tuple[int, bool | None]:
    """BDAT's chunk size, and whether it is the last; None when what follows the size is not ``LAST`` (RFC 3030 2).

    :raises ValueError: no size can be read.
    """
    words = argument.upper().split()
    if not words:
        raise ValueError("no size")
    size = decimal(words[0])
    if len(words) == 1:
        return size, False
    return size, True if words[1:] == ["LAST"] else None


def read_auth(argument: str) -> AuthStart:
    """AUTH's mechanism and initial response; ``=`` is an empty one (RFC 4954 4)."""
    mechanism, _, initial = argument.partition(" ")
    if not mechanism:
        raise CommandError(501, "5.5.4", "AUTH needs a mechanism")
    if not initial:
        return AuthStart(mechanism.upper(), None)
    return AuthStart(mechanism.upper(), b"" if initial == "=" else read_base64(initial.encode("utf-8")))


def read_base64(text: bytes) -> bytes:
    """Read base64 strictly: no other characters, right padding."""
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise CommandError(501, "5.5.2", "Cannot decode base64") from None


def read_xclient(argument: str) -> Xclient:
    """XCLIENT's attributes (Postfix XCLIENT_README)."""
    attributes: dict[str, str | None] = {}
    for name, value in parse_parameters(argument).items():
        if name not in _XCLIENT_NAMES:
            raise CommandError(501, "5.5.4", "Bad XCLIENT attribute")
        attributes[name] = None if value in ("[UNAVAILABLE]", "[TEMPUNAVAIL]") else _xtext(value)
    if not attributes:
        raise CommandError(501, "5.5.4", "XCLIENT needs attributes")
    return Xclient(attributes)


def no_argument(argument: str) -> None:
    """Refuse an argument where none is allowed."""
    if argument:
        raise CommandError(501, "5.5.4", "No argument allowed")


def _after(argument: str, keyword: str) -> str:
    """Return what follows ``FROM:`` or ``TO:``. Spaces before the path are an old habit of many programs."""
    if argument[: len(keyword)].upper() != keyword:
        raise CommandError(501, "5.5.4", f"{keyword}<address> is needed")
    return argument[len(keyword) :].lstrip(" ")


def _parameters(text: str, extended: bool) -> Parameters:
    given = parse_parameters(text)
    if given and not extended:
        raise CommandError(555, "5.5.4", "Parameters need EHLO")
    return given


def _size(given: Parameters, max_size: int) -> int:
    if "SIZE" not in given:
        return 0
    try:
        size = decimal(given.pop("SIZE") or "")
    except ValueError:
        raise CommandError(501, "5.5.4", "Bad SIZE") from None
    if size > max_size:
        raise CommandError(TOO_LARGE.code, TOO_LARGE.status, TOO_LARGE.text)
    return size


def _choice(given: Parameters, name: str, allowed: tuple[str, ...]) -> str:
    if name not in given:
        return ""
    value = (given.pop(name) or "").upper()
    if value not in allowed:
        raise CommandError(501, "5.5.4", f"Bad {name}")
    return value


def _flag(given: Parameters, name: str) -> bool:
    if name not in given:
        return False
    if given.pop(name) is not None:
        raise CommandError(501, "5.5.4", f"{name} has no value")
    return True


def _xtext(value: str | None) -> str:
    try:
        return decode_xtext(value or "")
    except ValueError:
        raise CommandError(501, "5.5.4", "Bad xtext") from None


def _no_others(given: Parameters) -> None:
    if given:
        raise CommandError(555, "5.5.4", "Unknown parameter")
