"""HTTP to a certification authority: bounded in octets and time, and not given up after one nonce that was not taken.

It blocks: everything here runs in threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from math import inf
from ssl import SSLSocket
from typing import TYPE_CHECKING

import requests
from acme import messages
from acme.client import ClientNetwork
from josepy.interfaces import JSONDeSerializable
from josepy.jwa import ES256
from josepy.jwk import JWK
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from mailnode.interfaces.runtime import IClock

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_BODY = 262_144  # octets of an answer; a chain of certificates has some 10,000
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
ANSWER_SECONDS = 60.0  # for a whole answer
NONCES = 6  # tries, of two nonces each
PIECE = 16_384  # octets


class AnswerTooLarge(requests.exceptions.RequestException):
    """More octets than any answer of an authority has."""


class BoundedAdapter(HTTPAdapter):
    """Takes no more of an answer, and no longer, than it may."""

    def __init__(self, steady: IClock) -> None:
        """:param steady: its seconds never step."""
        self._steady = steady
        self._until = inf  # when the answer that comes has to be there
        self.retry_after: str | None = None  # what the last answer said, which a problem does not
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool: object) -> None:
        """Have the head of an answer end in time, too: the library bounds each octet's wait alone."""
        context = create_urllib3_context()
        is_late = self._is_late

        class TimedSocket(SSLSocket):
            def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
                if is_late():
                    raise TimeoutError
                return super().recv_into(buffer, nbytes, flags)

        context.sslsocket_class = TimedSocket
        super().init_poolmanager(connections, maxsize, block, ssl_context=context, **pool)

    def _is_late(self) -> bool:
        return self._steady.seconds() > self._until

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request; return its answer with all its octets. :raises requests.exceptions.RequestException:"""
        self._until = self._steady.seconds() + ANSWER_SECONDS
        response = super().send(request, True, (CONNECT_SECONDS, SILENCE_SECONDS), verify, cert, proxies)  # type: ignore[arg-type]
        self.retry_after = response.headers.get("Retry-After")
        body = bytearray()
        try:
            while piece := response.raw.read1(PIECE, decode_content=False):
                body += piece
                if len(body) > MAX_BODY:
                    raise AnswerTooLarge
                if self._is_late():
                    raise requests.exceptions.ReadTimeout
        except requests.exceptions.RequestException:
            response.close()
            raise
        except Exception as error:  # of urllib3 and the standard library, each in its own ways
            response.close()
            raise requests.exceptions.ConnectionError(type(error).__name__) from error
        response.raw.release_conn()
        response.raw = BytesIO(bytes(body))
        return response


class AuthorityNetwork(ClientNetwork):
    """Signs requests with an account's key."""

    def __init__(self, key: JWK, authorities: str, agent: str, steady: IClock) -> None:
        """:param authorities: PEM file of who vouches for the authority's own certificate; "": whom browsers trust."""
        super().__init__(key, alg=ES256, user_agent=agent)
        if authorities:
            self.verify_ssl = authorities  # type: ignore[assignment]
        self._adapter = BoundedAdapter(steady)
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, self._adapter)
        self.session.headers["Accept-Encoding"] = "identity"
        self.session.max_redirects = 0
        self.session.trust_env = not authorities  # a file of the environment would take its place

    @property
    def retry_after(self) -> str | None:
        """What the last answer said of when to ask again."""
        return self._adapter.retry_after

    def post(self, url: str, obj: JSONDeSerializable | None, *, new_nonce_url: str) -> requests.Response:
        """Send a signed request, anew where its nonce was not taken.

        :raises acme.messages.Error: :raises requests.exceptions.RequestException: :raises acme.errors.Error:"""
        for _ in range(NONCES - 1):
            try:
                return super().post(url, obj, new_nonce_url=new_nonce_url)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(url, obj, new_nonce_url=new_nonce_url)
