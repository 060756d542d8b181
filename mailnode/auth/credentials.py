"""Credentials as the protocols' logins hand them to the portal."""

from __future__ import annotations

import hmac

from twisted.cred.credentials import IUsernamePassword
from zope.interface import implementer

from mailnode.interfaces.sessions import ICredentialContext, IScramExchange, ISessionMind


@implementer(IUsernamePassword, ICredentialContext)
class PasswordCredentials:
    """A login name and a clear password, with where they came from. Also what Twisted's own checkers take."""

    def __init__(self, username: bytes, password: bytes, mind: ISessionMind) -> None:
        self.username = username
        self.password = password
        self.protocol = mind.protocol
        self.peer = mind.peer
        self.session = mind.session

    def checkPassword(self, password: bytes) -> bool:
        """Compare with a clear password, as checkers of other plug-ins do."""
        return hmac.compare_digest(self.password, password)


@implementer(IScramExchange)
class ScramProof:
    """A SCRAM exchange whose proof was right."""

    def __init__(self, account_id: str, generation: int) -> None:
        self.account_id = account_id
        self.generation = generation
