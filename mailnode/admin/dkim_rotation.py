"""Looks after the keys that sign mail, so that nobody needs to remember them: makes them, lets them sign when DNS has their
records, and says when a record is needed no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.logger import Logger

from mailnode.admin.administration import Administration
from mailnode.admin.dkim import activate, make_keys
from mailnode.checks import zone_rules
from mailnode.errors import AlreadyExists, DomainError, NoSuchDomain
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion
from mailnode.values.directory import Domain
from mailnode.values.dkim import DkimKey, DkimSettings
from mailnode.values.events import emit

SEEN_AT_LEAST = 3600.0  # seconds: resolvers also remember that a record was not there
SEEN_AT_MOST = 2 * 86_400.0  # seconds, whatever the record's time to live is
AT_START = 16  # domains that are given keys before the server serves; the others wait for the first look
FAILED = 10  # domains one after the other of which DNS says nothing, after which a look ends

_log = Logger()


class DkimRotation:
    """Looks at all domains, one after the other. :meth:`stop` ends a look that is under way."""

    def __init__(self, admin: Administration) -> None:
        self._admin = admin
        self._stopped = False

    def stop(self) -> None:
        """Begin with no further domain."""
        self._stopped = True

    async def begin(self) -> None:
        """Give keys to domains without any, to some of them when there are many. What cannot be done now, a look does."""
        try:
            await self._give_keys(AT_START)
        except DomainError as error:
            _log.warn("domains could not be given keys: {error}", error=str(error) or type(error).__name__)

    async def look(self, now: float) -> None:
        """Do with all keys what is due. :param now: UTC seconds. :raises DomainError: the store cannot be read or written."""
        if not self._settings.enabled:
            return
        await self._give_keys()
        failed = 0
        for domain in await self._admin.directory.domains():
            if self._stopped or failed == FAILED:
                return
            keys = await self._admin.directory.dkim_keys(domain.name)
            answers = await self._ask(keys)
            failed = failed + 1 if answers and all(answer.failed for answer in answers.values()) else 0
            if await self._admin.directory.dkim_keys(domain.name) != keys:
                continue  # an operator was faster than DNS; the next look sees what is so now
            await self._rotate(domain, keys, now)
            await self._follow_dns(domain.name, keys, answers, now)
            await self._retire(domain.name, keys, answers, now)

    @property
    def _settings(self) -> DkimSettings:
        return self._admin.dkim_settings()

    async def _give_keys(self, most: int | None = None) -> None:
        if not self._settings.enabled:
            return
        for domain in await self._admin.directory.domains():
            if self._stopped or most == 0:
                return
            if not await self._admin.directory.dkim_keys(domain.name):
                most = None if most is None else most - 1
                await self._make(domain, "active")

    async def _make(self, domain: Domain, state: str) -> None:
        try:
            made = await make_keys(self._admin, domain, state)
        except (AlreadyExists, NoSuchDomain):
            return  # another server of the same database made them, or an operator removed the domain
        emit(_log, "dkim.made", domain=domain.name, selectors=",".join(made), state=state)

    async def _rotate(self, domain: Domain, keys: Sequence[DkimKey], now: float) -> None:
        """Make the next keys when those that sign are old enough."""
        signing = [key.created for key in keys if key.state == "active"]
        due = self._settings.rotate_after and signing and now - min(signing) >= self._settings.rotate_after
        if due and not any(key.state == "next" for key in keys):
            await self._make(domain, "next")

    async def _ask(self, keys: Sequence[DkimKey]) -> Mapping[DkimKey, DnsAnswer]:
        """Ask DNS for the records that something depends on."""
        asked = {
            key: DnsQuestion(key.record[0], "TXT")
            for key in keys
            if key.state == "spent" or (key.state == "next" and self._settings.by_dns)
        }
        answers = await self._admin.dns.ask(set(asked.values())) if asked else {}
        return {key: answers[question] for key, question in asked.items()}

    async def _follow_dns(
        self, domain: str, keys: Sequence[DkimKey], answers: Mapping[DkimKey, DnsAnswer], now: float
    ) -> None:
        """Let keys sign whose records have been there for so long that nobody remembers another answer."""
        waiting = {key: answer for key, answer in answers.items() if key.state == "next" and not answer.failed}
        ready = [key for key, answer in waiting.items() if is_published(key, answer) and 0 < key.ready_at <= now]
        if ready:
            retired = await activate(self._admin, domain, keys, ready)
            selectors = ",".join(key.selector for key in ready)
            emit(_log, "dkim.activated", domain=domain, selectors=selectors, retired=",".join(retired))
        seen = {key: ready_at(key, answer, now) for key, answer in waiting.items() if key not in ready}
        noted = {key.selector: at for key, at in seen.items() if at != key.ready_at}
        if noted:
            await self._admin.directory.set_dkim_ready(domain, noted)

    async def _retire(
        self, domain: str, keys: Sequence[DkimKey], answers: Mapping[DkimKey, DnsAnswer], now: float
    ) -> None:
        """Say of which retired keys the records can go, and forget those whose records are gone."""
        directory = self._admin.directory
        for key in keys:
            if key.state == "retired" and not key.changed:
                await directory.set_dkim_states(domain, {key.selector: "retired"}, now)  # from when on is not known
            elif key.state == "retired" and now - key.changed >= self._settings.overlap:
                await directory.set_dkim_states(domain, {key.selector: "spent"}, now)
                emit(_log, "dkim.spent", domain=domain, selector=key.selector, record=key.record[0])
        gone = [key for key, answer in answers.items() if key.state == "spent" and not (answer.failed or answer.values)]
        if any(key.state == "active" for key in keys):  # the last one stays: a domain without keys is given new ones
            for key in gone:
                await directory.remove_dkim_key(domain, key.selector)
                emit(_log, "dkim.removed", domain=domain, selector=key.selector)


def is_published(key: DkimKey, answer: DnsAnswer) -> bool:
    """Whether others verify by an answer what a key signs."""
    name, text = key.record
    verdict, _ = zone_rules.dkim(zone_rules.Compared(name, [text], list(answer.values), ""))
    return verdict in ("right", "hint")


def ready_at(key: DkimKey, answer: DnsAnswer, now: float) -> float:
    """Return when a key may sign that waits for it, as DNS has its record now; 0.0: it has not."""
    if not is_published(key, answer):
        return 0.0
    return key.ready_at or now + min(max(float(answer.ttl), SEEN_AT_LEAST), SEEN_AT_MOST)
