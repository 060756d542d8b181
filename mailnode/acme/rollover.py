"""TLSA records that pin the key (RFC 7671 8.1): the next key's record is in DNS for long enough before that key is used.

Where nothing pins a key, a certificate gets a new one each time. Where something does and the next key is not among it, or
nobody can tell, the certificate is renewed for the key it has.
"""

from __future__ import annotations

from collections.abc import Collection

from twisted.logger import Logger

from mailnode.acme.files import PinnedKey, RenewalState
from mailnode.errors import UpdateFailed
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion, IDnsLookup
from mailnode.interfaces.dns_update import IZoneUpdates
from mailnode.values.acme import AcmeSettings
from mailnode.values.dns_update import ZoneChange
from mailnode.values.published import DnsRecord

SEEN_AT_LEAST = 3600.0  # seconds for which DNS must have had the next key's record; longer with a longer time to live
RETIRED = 2.0  # times that, after which the record of a key that is used no more is removed
TTL = 3600  # seconds, of records that are published here
PINS = "3 1 1 "  # how data begins that pins the key of a certificate by SHA-256, RFC 6698 2.1
OTHER_PINS = (
    "3 1 0 ",
    "3 1 2 ",
)  # that pins a key as a whole, and by SHA-512: others go by the strongest alone, RFC 7671 9

_log = Logger()


class Rollover:
    """Looks at the records of one host."""

    def __init__(self, settings: AcmeSettings, dns: IDnsLookup, updates: IZoneUpdates) -> None:
        self._settings = settings
        self._name = f"_25._tcp.{settings.names[0]}"
        self._dns = dns
        self._updates = updates

    async def look(self, state: RenewalState, used: Collection[str], following: dict[str, str], now: float) -> bool:
        """Note what DNS says of the next keys, and publish their records where the zone may be changed.

        :param used: digests of the keys in use. :param following: digests of the next ones, by kind. :param now: UTC seconds.
        :returns: whether the state is another one now."""
        records = await self._ask()
        if records is None:
            return False
        pinned = _digests(records)
        before = {kind: (one.digest, one.since, one.ttl) for kind, one in state.pinned.items()}
        for kind, digest in following.items():
            known = state.pinned.get(kind)
            if known is None or known.digest != digest:
                known = state.pinned[kind] = PinnedKey(digest)
            known.since = (known.since or now) if digest in pinned else 0.0
            known.ttl = max(known.ttl, records.ttl)
        if pinned.intersection(used):
            await self._publish(state, pinned, following, records.ttl, now)
        return before != {kind: (one.digest, one.since, one.ttl) for kind, one in state.pinned.items()}

    async def obstacle(self, state: RenewalState, kind: str, used: str, now: float) -> str:
        """Return what keeps the next key of a kind from being used, in words; "" when nothing does. :param used: digest of the
        key in use, "" for none."""
        if not used:
            return ""
        records = await self._ask()
        if records is None:
            return "DNS does not tell which keys are pinned"
        if any(value.startswith(OTHER_PINS) for value in records.values):
            return f"a TLSA record of {self._name} pins a key in another form than 3 1 1"
        if used not in _digests(records):
            return ""
        return why_not_yet(state.pinned.get(kind), self._name, now)

    async def _ask(self) -> DnsAnswer | None:
        """Return the records; None: nobody can tell."""
        question = DnsQuestion(self._name, "TLSA")
        answer = (await self._dns.ask([question]))[question]
        return None if answer.failed else answer

    async def _publish(
        self, state: RenewalState, pinned: Collection[str], following: dict[str, str], ttl: float, now: float
    ) -> None:
        found = self._settings.zone_of(self._name)
        if found is None:
            return
        zone, server = found
        wait = RETIRED * max(SEEN_AT_LEAST, ttl)
        old = [one for one, since in state.retired.items() if one in pinned and now - since >= wait]
        add = tuple(self._record(digest) for digest in following.values() if digest not in pinned)
        remove = tuple(self._record(digest) for digest in old)
        if add or remove:
            try:
                await self._updates.update(server, ZoneChange(zone, add=add, remove=remove, ttl=TTL))
            except UpdateFailed as error:
                _log.warn("{name}: {reason}", name=self._name, reason=str(error))

    def _record(self, digest: str) -> DnsRecord:
        return DnsRecord(self._name, "TLSA", PINS + digest, "the key of this server's certificate")


def why_not_yet(known: PinnedKey | None, name: str, now: float) -> str:
    """Return why the next key waits, "" when it does not. :param now: UTC seconds."""
    if known is None or not known.since:
        return f"the TLSA records of {name} pin the key in use, and the next key's is not there yet"
    wait = max(SEEN_AT_LEAST, known.ttl)
    if now - known.since < wait:
        return f"the next key's TLSA record at {name} is not there for {int(wait)} seconds yet"
    return ""


def _digests(answer: DnsAnswer) -> set[str]:
    """Return the digests of keys that records pin."""
    return {value[len(PINS) :].replace(" ", "").lower() for value in answer.values if value.startswith(PINS)}
