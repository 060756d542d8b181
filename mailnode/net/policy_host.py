"""Fetching MTA-STS policies over https (RFC 8461 3.3): from one host, with its certificate checked, bounded in time and size."""

from __future__ import annotations

from zope.interface import implementer

from mailnode.interfaces.outbound import IPolicyHost, IResolver, PolicyNotFetched
from mailnode.interfaces.reactor import IServerReactor
from mailnode.net.client_tls import ClientTls
from mailnode.net.https_request import WebClient, WebFailed, WebRequest

SECONDS = 60.0  # for one policy (RFC 8461 3.3)
LARGEST = 65_536  # octets of a policy (RFC 8461 3.3)
FETCH_ERROR = "sts-policy-fetch-error"  # RFC 8460 4.3


@implementer(IPolicyHost)
class PolicyHost:
    """Fetches from ``mta-sts`` of each domain."""

    def __init__(
        self,
        reactor: IServerReactor,
        resolver: IResolver,
        tls: ClientTls,
        *,
        port: int = 443,
        seconds: float = SECONDS,
    ) -> None:
        """:param port: another one is for tests. :param seconds: for one policy."""
        self._web = WebClient(reactor, resolver, tls)
        self._port = port
        self._seconds = seconds

    async def fetch(self, domain: str) -> bytes:
        """Return the text of a domain's policy, as it came. :raises PolicyNotFetched:"""
        request = WebRequest(f"mta-sts.{domain}", "/.well-known/mta-sts.txt", self._port, largest=LARGEST)
        try:
            answer = await self._web.ask(request, self._seconds)
        except WebFailed as failed:
            raise PolicyNotFetched("sts-webpki-invalid" if failed.tls else FETCH_ERROR, failed.text) from None
        if answer.code != 200:  # a redirect is not followed (RFC 8461 3.3)
            raise PolicyNotFetched(FETCH_ERROR, f"the policy host answered with {answer.code}")
        if [one.partition(b";")[0].strip().lower() for one in answer.types] != [b"text/plain"]:
            raise PolicyNotFetched(FETCH_ERROR, "the policy is not text/plain")
        return answer.content
