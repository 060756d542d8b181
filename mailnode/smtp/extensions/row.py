"""What one extension declares (RFC 5321 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailnode.smtp.wire.grammar import CommandError
from mailnode.smtp.wire.offers import Offers
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import MailOptions, RcptOptions
from mailnode.values.smtp_reply import Reply


@dataclass(frozen=True, slots=True)
class Greeted:
    """What an answer to EHLO depends on. ``mechanisms``: of AUTH, none where no password may come. ``known``: see
    ``ServerConnection``."""

    profile: Profile
    secure: bool
    mechanisms: tuple[str, ...]
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of MAIL or RCPT. It is known at every service but for ``known``.

    ``read``: from its value, None without one, to what the options' ``field`` of that name holds; without a field the
    value is looked at and forgotten. It raises :class:`CommandError`. ``lenient``: what cannot be read is left out by
    ``read``, and of one given twice the first counts. ``secure``: it is taken under TLS alone.
    """

    keyword: str
    read: Callable[[str | None, Profile], object]
    field: str = ""
    lenient: bool = False
    known: Callable[[Profile], bool] = lambda profile: True
    secure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An extension, as server and as client.

    ``offered``: what EHLO says after the keyword, None where it does not say the keyword. ``lacking``: why a message cannot
    go to a server with these offers, None when it can. ``in_ascii``: what MAIL may say instead when the content turns out to
    be ASCII. ``as_it_is``: what it may say when other content goes there all the same. ``mail_words`` and
    ``rcpt_words``: the parameters that such a server is given, those it does not know left out.
    ``admitted``: what of a client's options is granted it, and the positive answer to MAIL that says so where less is; it is
    asked with the highest priority that is for this client. ``for_strangers``: what of a recipient's options is granted a
    client that is not known. ``received``: a clause for the Received field, in ASCII, or "".
    ``by_header``: what a message's header block makes of the options; it is asked with the names in it, in lower case.
    """

    keyword: str
    offered: Callable[[Greeted], str | None] = lambda greeted: ""
    mail: tuple[Parameter, ...] = ()
    rcpt: tuple[Parameter, ...] = ()
    lacking: Callable[[Offers, MailOptions], Reply | None] | None = None
    in_ascii: Callable[[MailOptions], MailOptions] | None = None
    as_it_is: Callable[[MailOptions], MailOptions] | None = None
    mail_words: Callable[[Offers, MailOptions], tuple[str, ...]] | None = None
    rcpt_words: Callable[[Offers, RcptOptions], tuple[str, ...]] | None = None
    admitted: Callable[[MailOptions, int], tuple[MailOptions, Reply | None]] | None = None
    for_strangers: Callable[[RcptOptions], RcptOptions] | None = None
    received: Callable[[MailOptions], str] | None = None
    by_header: Callable[[MailOptions, Sequence[bytes], bytes], MailOptions] | None = None


def bad(keyword: str) -> CommandError:
    """Return the refusal of a parameter's value."""
    return CommandError(501, "5.5.4", f"Bad {keyword}")
