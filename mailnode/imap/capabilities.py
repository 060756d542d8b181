"""What CAPABILITY says, by state (RFC 3501 6.1.1 and 7.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.imap.commands.table import BEFORE_LOGIN_ONLY, EXTENSIONS


def capabilities(
    *, authenticated: bool, mechanisms: Sequence[str] = (), start_tls: bool = False, login_disabled: bool = False
) -> tuple[str, ...]:
    """Return the capability names of a connection.

    :param mechanisms: SASL names offered now; not shown once authenticated. :param start_tls: STARTTLS would be
        accepted. :param login_disabled: LOGIN would be refused (no TLS).
    """
    names = list(EXTENSIONS)
    if not authenticated:
        names.extend(BEFORE_LOGIN_ONLY)
        if start_tls:
            names.append("STARTTLS")
        if login_disabled:
            names.append("LOGINDISABLED")
        names.extend(f"AUTH={mechanism}" for mechanism in mechanisms)
    return tuple(names)
