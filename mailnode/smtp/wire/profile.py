"""What kind of service a connection gives."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.smtp.wire.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What kind of service a connection gives. A listener makes few, and they are looked up as themselves.

    ``strict_sync``: commands sent ahead of a reply they must wait for (after EHLO and DATA; RFC 2920 3.1) end the session.
    """

    lmtp: bool = False
    starttls: bool = False
    auth: bool = False  # AUTH is known
    plain_auth: bool = False  # and offered without TLS too
    require_tls: bool = False  # before MAIL
    require_auth: bool = False  # before MAIL
    xclient: bool = False  # this peer may use XCLIENT
    strict_sync: bool = False
    limits: Limits = DEFAULT_LIMITS
