"""Credentials as the protocols' logins hand them to the portal."""

from __future__ import annotations

import hmac

from twisted.cred.credentials import IUsernamePassword
from zope.interface import implementer

from mailnode.interfaces.sessions import IAccountProof, ICredentialContext, ISessionMind
from mailnode.values.directory import Account


@implementer(IUsernamePassword, ICredentialContext)
class PasswordCredentials:
    """A login name and a clear password, with where they came from. Also what Twisted's own checkers take.

    ``login`` is the name with the domain it was completed by, ``username`` the one that was typed. ``checked`` is the
    account, as it was when its own password was found to fit; None when another checker said yes.
    """

    def __init__(self, username: bytes, login: bytes, password: bytes, mind: ISessionMind) -> None:
        self.username = username
        self.login = login
        self.password = password
        self.protocol = mind.protocol
        self.peer = mind.peer
        self.session = mind.session
        self.checked: Account | None = None

    def checkPassword(self, password: bytes) -> bool:
        """Compare with a clear password, as checkers of other plug-ins do."""
        return hmac.compare_digest(self.password, password)


@implementer(IAccountProof)
class AccountProof:
    """What showed which account it is without a clear password. :param checked: the account as it was then."""

    def __init__(self, checked: Account) -> None:
        self.checked: Account | None = checked
        self.account_id = checked.id
