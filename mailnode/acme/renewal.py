"""Certificates that renew themselves: looks at each, again and again, and does what is due.

All that is begun is written down before, so that a crash at any step is gone on from: keys before they are certified, orders
before they are proved. What fails leaves the certificate in use, and is told in words; it is tried again after a wait that
doubles, or the one that the authority asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import uniform

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.acme.files import AcmeFiles, PendingOrder, RenewalState, Suggestion
from mailnode.acme.keys import Leaf, key_digest, read_leaf
from mailnode.acme.ordering import Ordering
from mailnode.acme.rollover import Rollover
from mailnode.acme.schedule import ASK_AGAIN, ASK_LATEST, FIRST_RETRY, LONGEST_WAIT, is_due, renew_at, retry_after
from mailnode.errors import Busy, CertificateFailed
from mailnode.interfaces.acme import IRenewal
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.turns import Places
from mailnode.values.acme import AcmeSettings, CertificateStanding, RenewalStanding
from mailnode.values.events import emit, moment

PINS = 1800.0  # seconds between looks at TLSA records

_log = Logger()


@dataclass
class _KnownCertificate:
    """What is known of one certificate and its keys. ``pem``: key and chain; b"" while there is none."""

    leaf: Leaf | None
    pem: bytes
    next_key: bytes
    obstacle: str = ""  # what keeps the next key from being used

    @property
    def used(self) -> str:
        return self.leaf.key_digest if self.leaf is not None else ""


@implementer(IRenewal)
class CertificateRenewal:
    """The certificates of one server."""

    def __init__(
        self,
        settings: AcmeSettings,
        files: AcmeFiles,
        rollover: Rollover,
        order_at: Callable[[str], Ordering],
        threads: IThreads,
        clock: IClock,
        installed: Callable[[], None],
    ) -> None:
        """:param order_at: what orders at a directory, by its URL. :param installed: called when there is a new certificate."""
        self._settings = settings
        self._files = files
        self._rollover = rollover
        self._order_at = order_at
        self._threads = threads
        self._clock = clock
        self._installed = installed
        self._known: dict[str, _KnownCertificate] = {}
        self._state = RenewalState()
        self._under_way = ""
        self._looked_at_pins = 0.0
        self._one_at_a_time = Places()
        self._stopped = False
        self._failed_kind = ""  # of the last failure

    # What it is asked

    async def begin(self) -> None:
        """Read what there is, and make the keys that come next: their records may be wanted before the first certificate.

        :raises CertificateFailed: :raises mailnode.errors.Busy:"""
        self._state = await self._threads.run("disk", self._files.state)
        for kind in self._settings.kinds:
            await self._read(kind)

    def stop(self) -> None:
        """Begin nothing any more."""
        self._stopped = True

    def standing(self) -> RenewalStanding:
        """See :class:`IRenewal`."""
        return RenewalStanding(
            self._settings.directory,
            tuple(self._standing(kind) for kind in self._settings.kinds),
            self._state.trouble,
            self._state.failures,
            self._state.next_try,
            self._under_way,
        )

    def next_digests(self) -> tuple[str, ...]:
        """Return the digests of the keys that come next, for TLSA records."""
        return tuple(key_digest(held.next_key) for held in self._known.values())

    async def renew(self, force: bool) -> RenewalStanding:
        """See :class:`IRenewal`."""
        async with self._one_at_a_time:
            await self._ready()
            await self._renew(self._clock.seconds(), force)
        if self._state.trouble:
            raise CertificateFailed(self._state.trouble)
        return self.standing()

    async def look(self, now: float) -> None:
        """Do what is due. :param now: UTC seconds. :raises CertificateFailed: nothing can be written down."""
        async with self._one_at_a_time:
            await self._ready()
            await self._look_at_pins(now)
            await self._ask_when(now)
            if is_due(self._state.next_try, now, LONGEST_WAIT + 1):
                await self._renew(now, force=False)

    async def _ready(self) -> None:
        if len(self._known) < len(self._settings.kinds):
            await self.begin()

    # What is due

    async def _read(self, kind: str) -> None:
        pem = await self._threads.run("disk", self._files.certificate, kind)
        try:
            leaf = read_leaf(pem) if pem else None
        except ValueError:
            _log.warn("the certificate in {kind}.pem cannot be read; another one is ordered", kind=kind)
            leaf = None
        used = leaf.key_digest if leaf is not None else ""
        next_key = await self._threads.run("disk", self._files.next_key, kind, used)
        before = self._known.get(kind)
        obstacle = before.obstacle if before is not None and before.next_key == next_key else ""
        self._known[kind] = _KnownCertificate(leaf, pem, next_key, obstacle)

    def _renew_at(self, kind: str) -> float:
        """Return when the certificate of a kind is due; 0: now."""
        leaf = self._known[kind].leaf
        if leaf is None or leaf.self_signed or not leaf.names.issuperset(self._settings.names):
            return 0.0
        suggestion = self._suggestion(kind)
        return renew_at(leaf.not_before, leaf.not_after, suggestion.at if suggestion is not None else 0.0)

    def _suggestion(self, kind: str) -> Suggestion | None:
        found, leaf = self._state.suggestions.get(kind), self._known[kind].leaf
        return found if found is not None and leaf is not None and found.certificate == leaf.id else None

    def _standing(self, kind: str) -> CertificateStanding:
        held = self._known.get(kind)
        if held is None:
            return CertificateStanding(kind, (), 0.0, 0.0, "nobody has looked yet", "")
        suggestion, leaf = self._suggestion(kind), held.leaf
        why = "two thirds of its lifetime"
        if leaf is None or not self._renew_at(kind):
            why = "there is none for these names yet"
        elif suggestion is not None and suggestion.at:
            why = f"renewal information of the authority {suggestion.explanation}".rstrip()
        return CertificateStanding(
            kind,
            tuple(sorted(leaf.names)) if leaf is not None else (),
            leaf.not_after if leaf is not None else 0.0,
            self._renew_at(kind),
            why,
            key_digest(held.next_key),
            held.obstacle,
        )

    async def _look_at_pins(self, now: float) -> None:
        if not is_due(self._looked_at_pins + PINS, now, PINS):
            return
        self._looked_at_pins = now
        used = {held.used for held in self._known.values() if held.used}
        following = {kind: key_digest(held.next_key) for kind, held in self._known.items()}
        if await self._rollover.look(self._state, used, following, now):
            await self._keep()
        for kind, held in self._known.items():
            held.obstacle = await self._rollover.obstacle(self._state, kind, held.used, now)

    async def _ask_when(self, now: float) -> None:
        """Ask the authority when the certificates should be renewed, as often as it wants to be asked (RFC 9773 4.3)."""
        for kind, held in self._known.items():
            leaf, known = held.leaf, self._suggestion(kind)
            if leaf is None or not leaf.id or leaf.not_after <= now or not self._renew_at(kind):
                continue
            if known is None or is_due(known.ask_again, now, ASK_LATEST):
                self._state.suggestions[kind] = await self._suggested(leaf, known, now)
                await self._keep()

    async def _suggested(self, leaf: Leaf, known: Suggestion | None, now: float) -> Suggestion:
        kept = known or Suggestion(leaf.id, 0.0, 0.0, 0.0, 0.0)
        kept.ask_again = now + ASK_AGAIN
        try:
            authority = await self._order_at(self._settings.directory).authority()
            if not authority.suggests:
                return kept
            window = await self._threads.run("http", authority.renewal_window, leaf.id)
        except (CertificateFailed, Busy) as error:
            _log.info("the authority does not say when to renew: {reason}", reason=str(error) or "busy")
            return kept
        same = (window.start, window.end) == (kept.start, kept.end) and kept.at
        at = kept.at if same else window.choose(uniform)
        if known is None:  # an authority that wants each new one renewed at once is not followed every minute
            at = max(at, now + FIRST_RETRY)
        return Suggestion(leaf.id, at, window.start, window.end, now + window.ask_again, window.explanation)

    # What is done

    async def _renew(self, now: float, force: bool) -> None:
        """Renew each certificate that is due. What goes wrong becomes the trouble that is told."""
        due = [kind for kind in self._settings.kinds if force or self._renew_at(kind) <= now]
        due.sort(key=lambda kind: kind == self._failed_kind)  # one that keeps failing holds no other back
        for kind in due:
            if self._stopped:
                return
            self._under_way = f"a certificate for {', '.join(self._settings.names)} ({kind}) is ordered"
            try:
                await self._rehearse(kind)
                await self._renew_one(kind, now)
                self._check_rest(kind, now)
            except (CertificateFailed, Busy) as error:
                await self._failed(kind, error)
                return
            finally:
                self._under_way = ""
        if due and (self._state.failures or self._state.trouble):
            self._state.failures, self._state.trouble, self._state.next_try = 0, "", 0.0
            await self._keep()

    def _check_rest(self, kind: str, now: float) -> None:
        """:raises CertificateFailed: a new certificate is due at once: the next would be ordered a minute later, and so on."""
        if self._renew_at(kind) <= now:
            raise CertificateFailed(
                "the new certificate is in use, but is to be renewed at once: its time is nearly over, or the clock of this machine"
                " is wrong"
            )

    async def _rehearse(self, kind: str) -> None:
        """Order at the staging directory first, unless that went well before with the same names, shown in the same way."""
        settings = self._settings
        wanted = f"{settings.staging} {settings.directory} {settings.challenge} {','.join(settings.names)}"
        if not settings.staging or self._state.rehearsed == wanted:
            return
        try:
            ordering = self._order_at(settings.staging)
            order = await ordering.place(settings.names, "")
            await ordering.complete(order, settings.names, self._known[kind].next_key)
        except CertificateFailed as error:
            raise CertificateFailed(f"at the staging directory: {error}", error.wait) from None
        self._state.rehearsed = wanted
        await self._keep()

    async def _renew_one(self, kind: str, now: float) -> None:
        held = self._known[kind]
        held.obstacle = await self._rollover.obstacle(self._state, kind, held.used, now)
        key = held.next_key if not held.obstacle else _key_of(held.pem)
        ordering = self._order_at(self._settings.directory)
        chain = await self._gone_on(ordering, kind, key) or await self._ordered(ordering, kind, key)
        await self._threads.run("disk", self._files.install, kind, key, chain)
        if held.used and held.used != key_digest(key):
            self._state.retired[held.used] = now
        self._state.pending.pop(kind, None)
        await self._keep()
        await self._read(kind)
        self._looked_at_pins = 0.0  # the next key is another one now
        self._installed()
        leaf = self._known[kind].leaf
        emit(
            _log,
            "certificate.issued",
            names=",".join(self._settings.names),
            kind=kind,
            not_after=moment(leaf.not_after if leaf is not None else 0.0),
        )

    async def _gone_on(self, ordering: Ordering, kind: str, key: bytes) -> bytes:
        """Return the chain of the order that was begun before, if it is for the same; b"" where nothing comes of it: its proofs
        may have been looked for while nobody was there to show them."""
        pending = self._state.pending.get(kind)
        if pending is None or (pending.directory, pending.key) != (self._settings.directory, key_digest(key)):
            return b""
        try:
            order = await ordering.look(pending.url)
            return await ordering.complete(order, self._settings.names, key)
        except CertificateFailed as error:
            _log.info("an order that was begun is not gone on with: {reason}", reason=str(error))
            return b""

    async def _ordered(self, ordering: Ordering, kind: str, key: bytes) -> bytes:
        """Return the chain of another order, which is written down before anything is proved."""
        leaf = self._known[kind].leaf
        order = await ordering.place(self._settings.names, leaf.id if leaf is not None else "")
        self._state.pending[kind] = PendingOrder(self._settings.directory, order.url, key_digest(key))
        await self._keep()
        return await ordering.complete(order, self._settings.names, key)

    async def _failed(self, kind: str, error: CertificateFailed | Busy) -> None:
        state, leaf = self._state, self._known[kind].leaf
        self._failed_kind = kind
        state.failures += 1
        state.trouble = str(error) or "this machine is too busy"
        asked = error.wait if isinstance(error, CertificateFailed) else 0.0
        lifetime = leaf.lifetime if leaf is not None and not leaf.self_signed else 0.0
        state.next_try = self._clock.seconds() + retry_after(state.failures, lifetime, asked, uniform)
        if state.failures > 1:
            state.rehearsed = ""  # what is wrong is found at the staging directory, which takes more tries
        emit(
            _log,
            "certificate.failed",
            warning=True,
            names=",".join(self._settings.names),
            kind=kind,
            reason=state.trouble,
            expires=moment(leaf.not_after) if leaf is not None else "",
            next_try=moment(state.next_try),
        )
        await self._keep()

    async def _keep(self) -> None:
        await self._threads.run("disk", self._files.keep_state, self._state)


def _key_of(pem: bytes) -> bytes:
    """Return the key of a file that begins with it."""
    end = b"-----END PRIVATE KEY-----\n"
    return pem[: pem.index(end) + len(end)]
