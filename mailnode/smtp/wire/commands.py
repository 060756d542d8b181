"""The arguments of commands, read to events. What cannot be read raises ``CommandError`` with the reply it deserves."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mailnode.smtp.extensions.row import Parameter
from mailnode.smtp.extensions.table import LENIENT, mail_parameters, rcpt_parameters
from mailnode.smtp.wire.events import AuthStart, Mail, Rcpt
from mailnode.smtp.wire.grammar import CommandError, decimal, parse_parameters, parse_path
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import PLAIN_MAIL, PLAIN_RCPT, MailOptions, RcptOptions, Recipient

SHORT = 128  # characters of an argument that is remembered for a while
REMEMBERED = 512  # arguments of each command


class EnvelopeReader:
    """Reads MAIL and RCPT as one kind of service knows them."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._mail_parameters = {one.keyword: one for one in mail_parameters(profile)}
        self._rcpt_parameters = {one.keyword: one for one in rcpt_parameters(profile)}

    def read_mail(self, argument: str, extended: bool, secure: bool) -> Mail:
        """MAIL's ``FROM:`` path and parameters (RFC 5321 4.1.1.2). :param extended: EHLO was used: parameters are allowed.
        :param secure: TLS is up.

        :raises CommandError:"""
        read = _remembered_mail if len(argument) <= SHORT else EnvelopeReader._read_mail
        return read(self, argument, extended, secure)

    def read_rcpt(self, argument: str, extended: bool, smtputf8: bool) -> Rcpt:
        """RCPT's ``TO:`` path and parameters (RFC 5321 4.1.1.3). :param smtputf8: MAIL said SMTPUTF8.

        :raises CommandError:"""
        read = _remembered_rcpt if len(argument) <= SHORT else EnvelopeReader._read_rcpt
        return read(self, argument, extended, smtputf8)

    def _read_mail(self, argument: str, extended: bool, secure: bool) -> Mail:
        path = parse_path(_after(argument, "FROM:"), "5.1.7")
        if path.address is not None and not path.address.domain:
            raise CommandError(501, "5.1.7", "Address needs a domain")
        found = self._options(path.parameters, extended, self._mail_parameters, secure)
        options = MailOptions(**found) if found else PLAIN_MAIL
        if path.address is not None and not path.address.is_ascii and not options.smtputf8:
            raise CommandError(553, "5.6.7", "SMTPUTF8 is needed for this address")
        return Mail(path.address, options)

    def _read_rcpt(self, argument: str, extended: bool, smtputf8: bool) -> Rcpt:
        path = parse_path(_after(argument, "TO:"), "5.1.3")
        if path.address is None:
            raise CommandError(501, "5.1.3", "The null path cannot receive")
        found = self._options(path.parameters, extended, self._rcpt_parameters)
        if not path.address.is_ascii and not smtputf8:
            raise CommandError(553, "5.6.7", "SMTPUTF8 is needed for this address")
        return Rcpt(Recipient(path.address, RcptOptions(**found) if found else PLAIN_RCPT))

    def _options(
        self, text: str, extended: bool, known: Mapping[str, Parameter], secure: bool = False
    ) -> dict[str, Any]:
        """Return the fields of options that parameters set; their rows say which, and of what type."""
        given = parse_parameters(text, LENIENT)
        if given and not extended:
            raise CommandError(555, "5.5.4", "Parameters need EHLO")
        found: dict[str, Any] = {}
        for keyword, value in given.items():
            parameter = known.get(keyword)
            if parameter is not None:
                if parameter.secure and not secure:
                    raise CommandError(530, "5.7.10", f"{keyword} needs TLS")
                read = parameter.read(value, self._profile)
                if parameter.field:
                    found[parameter.field] = read
        if given.keys() - known.keys():
            raise CommandError(555, "5.5.4", "Unknown parameter")
        return found


# Lists and busy correspondents: the same senders and recipients come again and again.
_remembered_mail = lru_cache(maxsize=REMEMBERED)(EnvelopeReader._read_mail)
_remembered_rcpt = lru_cache(maxsize=REMEMBERED)(EnvelopeReader._read_rcpt)


@lru_cache(maxsize=64)
def envelope_reader(profile: Profile) -> EnvelopeReader:
    """Return the reader of a kind of service: all its connections share one."""
    return EnvelopeReader(profile)


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


def no_argument(argument: str) -> None:
    """Refuse an argument where none is allowed."""
    if argument:
        raise CommandError(501, "5.5.4", "No argument allowed")


def _after(argument: str, keyword: str) -> str:
    """Return what follows ``FROM:`` or ``TO:``. Spaces before the path are an old habit of many programs."""
    if argument[: len(keyword)].upper() != keyword:
        raise CommandError(501, "5.5.4", f"{keyword}<address> is needed")
    return argument[len(keyword) :].lstrip(" ")
