"""Whoever issues tokens, asked over https, with its certificate checked; or what it signs with, read from a file."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus, urlencode, urlsplit

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.errors import IssuerUnavailable
from mailnode.interfaces.runtime import IThreads
from mailnode.interfaces.tokens import ITokenIssuer
from mailnode.net.https_request import WebClient, WebFailed, WebRequest
from mailnode.values.events import emit

SECONDS = 10.0  # for one answer
LARGEST = 262_144  # octets of one

_log = Logger()


@dataclass(frozen=True, slots=True)
class IssuerPlaces:
    """Where an issuer is asked: ``keys`` https URL, ``keys_file`` in its place, ``introspection`` https URL; "" and None where it
    is not. ``client`` and ``secret``: who we are to it."""

    keys: str = ""
    keys_file: Path | None = None
    introspection: str = ""
    client: str = ""
    secret: str = ""


@implementer(ITokenIssuer)
class TokenIssuer:
    """One of them."""

    def __init__(self, web: WebClient, threads: IThreads, places: IssuerPlaces) -> None:
        self._web = web
        self._threads = threads
        self._places = places

    async def keys(self) -> Mapping[str, object]:
        """See :class:`ITokenIssuer`."""
        path = self._places.keys_file
        if path is None:
            return await self._ask(self._places.keys, b"GET", {}, b"")
        try:
            return _object(await self._threads.run("store", read_keys, path))
        except (OSError, ValueError) as error:
            raise self._unavailable(f"{path}: {error}") from None

    async def introspect(self, token: str) -> Mapping[str, object]:
        """See :class:`ITokenIssuer`."""
        # RFC 6749 2.3.1: both parts are encoded as in a form before they are put together.
        known_as = f"{quote_plus(self._places.client)}:{quote_plus(self._places.secret)}".encode()
        headers = {
            b"Authorization": b"Basic " + b64encode(known_as),
            b"Content-Type": b"application/x-www-form-urlencoded",
        }
        form = urlencode({"token": token, "token_type_hint": "access_token"}).encode("ascii")  # RFC 7662 2.1
        return await self._ask(self._places.introspection, b"POST", headers, form)

    async def _ask(
        self, url: str, method: bytes, headers: Mapping[bytes, bytes], content: bytes
    ) -> Mapping[str, object]:
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        wanted = {b"Accept": b"application/json", **headers}
        request = WebRequest(parts.hostname or "", path, parts.port or 443, method, wanted, content, LARGEST)
        try:
            answer = await self._web.ask(request, SECONDS)
        except WebFailed as failed:
            raise self._unavailable(failed.text) from None
        if answer.code != 200:
            raise self._unavailable(f"{parts.hostname} answered with {answer.code}")
        try:
            return _object(answer.content)
        except ValueError:
            raise self._unavailable(f"{parts.hostname} answered with something else than a JSON object") from None

    def _unavailable(self, reason: str) -> IssuerUnavailable:
        emit(_log, "tokens.unavailable", warning=True, reason=reason)
        return IssuerUnavailable(reason)


def read_keys(path: Path) -> bytes:
    """Return what a file with keys holds. Blocks. :raises OSError: :raises ValueError: it is too large."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"larger than {LARGEST} octets")
    return data


def _object(content: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found
