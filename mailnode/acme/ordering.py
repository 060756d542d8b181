"""One order, from the account to the chain (RFC 8555 7.4): each request in a thread, each wait a timer of the reactor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.logger import Logger

from mailnode.acme.authority import (
    AccountUnknown,
    Authority,
    Authorization,
    OfferedChallenge,
    Order,
    ReplacedAlready,
)
from mailnode.acme.files import AcmeFiles
from mailnode.acme.keys import checked_chain, request
from mailnode.errors import CertificateFailed
from mailnode.interfaces.acme import IProofs
from mailnode.interfaces.pause import pause
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.values.acme import AcmeSettings

T = TypeVar("T")

FIRST_LOOK, LONGEST_LOOK = 0.5, 15.0  # seconds between looks at what the authority works on
PATIENCE = 600.0  # seconds for all proofs, and for the certificate then

_log = Logger()


class Ordering:
    """Orders at one directory."""

    def __init__(
        self,
        settings: AcmeSettings,
        directory: str,
        files: AcmeFiles,
        proofs: IProofs,
        threads: IThreads,
        clock: IClock,
        steady: IClock,
        agent: str,
    ) -> None:
        """:param directory: its URL. :param steady: its seconds never step. :param agent: what we are called."""
        self._settings = settings
        self._directory = directory
        self._files = files
        self._proofs = proofs
        self._threads = threads
        self._clock = clock
        self._steady = steady
        self._agent = agent
        self._authority: Authority | None = None

    async def authority(self) -> Authority:
        """Return the authority, with the account of ours. :raises CertificateFailed:"""
        if self._authority is None:
            key, url = await self._threads.run("disk", self._files.account_key, self._directory)
            authority = Authority(
                self._directory, key, self._settings.authorities, self._agent, self._clock, self._steady
            )
            await self._threads.run("http", authority.begin)
            await self._use_account(authority, key, url)
            self._authority = authority
        return self._authority

    async def place(self, names: Sequence[str], replaces: str) -> Order:
        """Order a certificate. :param replaces: id of the one that it takes the place of, "" for none.

        :raises CertificateFailed:"""
        try:
            return await self._place(names, replaces)
        except AccountUnknown:
            await self._register_anew()
        except ReplacedAlready:
            replaces = ""
        return await self._place(names, replaces)

    async def look(self, url: str) -> Order:
        """Return how an order stands that was placed before. :raises CertificateFailed:"""
        authority = await self.authority()
        return await self._threads.run("http", authority.look_at_order, url)

    async def complete(self, order: Order, names: Sequence[str], key: bytes) -> bytes:
        """Prove all names, and return the chain in PEM. :param key: in PEM. :raises CertificateFailed:"""
        authority = await self.authority()
        until = self._steady.seconds() + PATIENCE
        if order.status == "pending":
            await self._prove_all(authority, order, until)
            order = await self._settled(authority, order, ("pending",), until)
        if order.status == "ready":
            wanted = await self._threads.run("cpu", request, key, tuple(names))
            order = await self._threads.run("http", authority.finalize, order, wanted)
        order = await self._settled(authority, order, ("processing", "ready"), until + PATIENCE)
        if order.status != "valid" or not order.certificate:
            raise CertificateFailed(order.trouble or "the authority gave the order up, and does not say why")
        chain = await self._threads.run("http", authority.download, order)
        return await self._threads.run("cpu", checked_chain, chain, key, tuple(names), self._clock.seconds())

    async def _place(self, names: Sequence[str], replaces: str) -> Order:
        authority = await self.authority()
        return await self._threads.run("http", authority.order, tuple(names), self._settings.profile, replaces)

    async def _use_account(self, authority: Authority, key: bytes, url: str) -> None:
        if url:
            authority.use_account(url)
            return
        url = await self._threads.run("http", authority.register, self._settings.contact, self._settings.account)
        await self._threads.run("disk", self._files.keep_account, self._directory, key, url)

    async def _register_anew(self) -> None:
        """The authority has forgotten the account: the same key is registered again."""
        assert self._authority is not None
        key, _ = await self._threads.run("disk", self._files.account_key, self._directory)
        await self._use_account(self._authority, key, "")

    async def _prove_all(self, authority: Authority, order: Order, until: float) -> None:
        """Prove one name after the other, so that each failure says which. :raises CertificateFailed:"""
        for url in order.authorizations:
            authorization = await self._threads.run("http", authority.look_at_authorization, url)
            if authorization.status == "pending":
                await self._prove(authority, url, authorization, until)
            elif authorization.status != "valid":
                raise CertificateFailed(f"{authorization.name}: {authorization.trouble or 'its proof was refused'}")

    async def _prove(self, authority: Authority, url: str, authorization: Authorization, until: float) -> None:
        name, challenge = authorization.name, self._challenge(authorization)
        key_authorization = authority.authorization_for(challenge.token)
        await self._proofs.show(name, challenge.token, key_authorization)
        try:
            if challenge.status == "pending":
                await self._threads.run("http", authority.answer, challenge)

            async def look() -> tuple[Authorization, str, float]:
                found = await self._threads.run("http", authority.look_at_authorization, url)
                return found, found.status, found.wait

            found = await self._wait(look, ("pending",), until)
        finally:
            await self._proofs.hide(name, challenge.token, key_authorization)
        if found.status != "valid":
            raise CertificateFailed(f"{name}: {found.trouble or 'its proof was not accepted'}")

    def _challenge(self, authorization: Authorization) -> OfferedChallenge:
        if authorization.name not in {name.removeprefix("*.") for name in self._settings.names}:
            raise CertificateFailed("the authority asks for a proof of a name that was not ordered")
        for challenge in authorization.challenges:
            if challenge.kind == self._settings.challenge:
                return challenge
        offered = ", ".join(sorted({one.kind for one in authorization.challenges if one.kind.isascii()}))[:100]
        raise CertificateFailed(
            f"{authorization.name}: the authority does not take {self._settings.challenge}, but {offered or 'nothing'}"
        )

    async def _settled(self, authority: Authority, order: Order, passing: Sequence[str], until: float) -> Order:
        """Return an order when it stands in none of these states any more."""
        if order.status not in passing:
            return order

        async def look() -> tuple[Order, str, float]:
            found = await self._threads.run("http", authority.look_at_order, order.url)
            return found, found.status, found.wait

        return await self._wait(look, passing, until)

    async def _wait(
        self, look: Callable[[], Awaitable[tuple[T, str, float]]], passing: Sequence[str], until: float
    ) -> T:
        step = FIRST_LOOK
        while True:
            found, status, asked = await look()
            if status not in passing:
                return found
            if self._steady.seconds() >= until:
                raise CertificateFailed("the authority did not come to an end in time")
            await pause(self._steady, min(max(step, asked), LONGEST_LOOK))
            step = min(step * 1.5, LONGEST_LOOK)
