"""The pages of clients: which there are, where, and about whom.

They tell what is the same for every address of a domain, and whether a domain is served here, which DNS tells anyway. Nothing here
depends on who has an account.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from mailnode.errors import BadAddress, Busy
from mailnode.interfaces.runtime import IThreads
from mailnode.values.address import Address, check_own, domain_key, parse_address
from mailnode.values.published import CLIENT_HOSTS, Published
from mailnode.web.clients import autodiscover, mobileconfig, person_page
from mailnode.web.clients.autoconfig import autoconfig
from mailnode.web.clients.autodiscover import BadRequest
from mailnode.web.clients.person_page import SettingsShown, picture
from mailnode.web.clients.settings import ClientSettings, settings_of
from mailnode.web.page import NOT_HERE, TEXT, Page, PageContent, PageRequest, Pages

XML = b"text/xml; charset=utf-8"
JSON = b"application/json"
MAX_PASSWORD = 200  # characters
MAX_CODE = 200  # characters of the URL in a QR code: the work grows with its square

_BUSY = PageContent(503, TEXT, b"busy; try again\n")
_NOT_PRIVATE = PageContent(403, TEXT, b"a password is taken over https alone\n")


@dataclass(frozen=True, slots=True)
class ClientPages:
    """All of them. ``published``: what this server offers now. ``is_local``: whether it has mail of a domain. ``sign``: signs a
    profile, in a thread; what it returns it may return as it was."""

    published: Callable[[], Published]
    is_local: Callable[[str], Awaitable[bool]]
    sign: Callable[[bytes], bytes]
    threads: IThreads

    def hang(self, root: Pages, well_known: Pages) -> None:
        """Put them where programs look for them."""
        known, mail, found = Pages(), Pages(), Pages()
        settings = Page(self.autoconfig)
        root.putChild(b"", Page(self.person))
        root.putChild(b"mail", mail)
        mail.putChild(b"config-v1.1.xml", settings)
        mail.putChild(b"profile.mobileconfig", Page(self.profile, (b"GET", b"HEAD", b"POST")))
        well_known.putChild(b"autoconfig", known)
        known.putChild(b"mail", mail)
        root.put_in_any_case(b"autodiscover", found)
        found.put_in_any_case(b"autodiscover.xml", Page(self.autodiscover, (b"POST",)))
        found.put_in_any_case(b"autodiscover.json", Page(self.autodiscover_json, below=True))

    async def autoconfig(self, asked: PageRequest) -> PageContent:
        """Return what Thunderbird asks for, of the domain of the address that is told, or of the host."""
        settings, _ = await self._settings(asked, asked.fields.get("emailaddress", ""))
        if settings is None:
            return NOT_HERE
        return PageContent(200, XML, autoconfig(settings, f"https://{quote(asked.authority, safe=':')}/"))

    async def autodiscover(self, asked: PageRequest) -> PageContent:
        """Return what Outlook asks for."""
        if not await self._is_ours(asked.host):
            return NOT_HERE
        try:
            told, schema = autodiscover.asked_address(asked.body)
        except BadRequest:
            return PageContent(200, XML, autodiscover.refusal(autodiscover.BAD_REQUEST))
        if schema and schema != autodiscover.SERVED:
            return PageContent(200, XML, autodiscover.refusal(autodiscover.OTHER_SCHEMA))
        settings, address = await self._settings(asked, told)
        if settings is None or address is None:
            return PageContent(200, XML, autodiscover.refusal(autodiscover.NOT_OURS))
        return PageContent(200, XML, autodiscover.answer(settings, str(address)))

    async def autodiscover_json(self, asked: PageRequest) -> PageContent:
        """Say where the other one is: below is /v1.0/ADDRESS, or the address stands in a field."""
        told = asked.below[1] if len(asked.below) == 2 else asked.fields.get("email", "")
        settings, address = await self._settings(asked, told)
        if settings is None or address is None or len(asked.below) not in (0, 2):
            return NOT_HERE
        status, body = autodiscover.json_answer(asked.fields.get("protocol", ""), asked.authority)
        return PageContent(status, JSON, body)

    async def profile(self, asked: PageRequest) -> PageContent:
        """Return the profile of an address; with the password that a form has told, which is looked at by nobody."""
        settings, address = await self._settings(asked, (asked.form or asked.fields).get("emailaddress", ""))
        if settings is None or address is None or not mobileconfig.can_be_told(settings):
            return NOT_HERE
        password = asked.form.get("password", "")
        if password and not asked.private:
            return _NOT_PRIVATE
        if len(password) > MAX_PASSWORD or not password.isprintable():
            return PageContent(400, TEXT, b"that is no password\n")
        written = mobileconfig.mobileconfig(settings, address, password)
        try:
            signed = await self.threads.run("cpu", self.sign, written)
        except Busy:
            return _BUSY
        disposition = b'attachment; filename="mail.mobileconfig"'
        return PageContent(200, mobileconfig.CONTENT_TYPE, signed, ((b"content-disposition", disposition),))

    async def person(self, asked: PageRequest) -> PageContent:
        """Return the page for a person."""
        told = asked.fields.get("emailaddress", "").strip()
        if not await self._is_ours(asked.host):
            return NOT_HERE
        settings, address = await self._settings(asked, told)
        if settings is None:
            shown = SettingsShown(None, unknown=bool(told))
        else:
            url = f"https://{quote(asked.authority, safe=':')}/"
            about = f"?emailaddress={quote(str(address), safe='@')}" if address is not None else ""
            url += about if len(url + about) <= MAX_CODE else ""
            try:
                code = await self.threads.run("cpu", picture, url)
            except Busy:
                return _BUSY
            shown = SettingsShown(settings, "" if address is None else str(address), code)
        return PageContent(200, person_page.CONTENT_TYPE, await person_page.person_page(shown), person_page.HEADERS)

    async def _settings(self, asked: PageRequest, told: str) -> tuple[ClientSettings | None, Address | None]:
        """Return the settings that a request is about, and the address that it tells. None: no such mail is here; the address:
        none is told."""
        if not await self._is_ours(asked.host):
            return None, None
        address = None
        domain = _without(asked.host)
        if told:
            address = _address(told)
            domain = "" if address is None else address.domain_key
        if not domain or not await self.is_local(domain):
            return None, None
        return settings_of(domain, self.published()), address

    async def _is_ours(self, host: str) -> bool:
        """Whether a name is one that these pages are shown under."""
        if host == self.published().hostname:
            return True
        domain = _without(host)
        return bool(domain) and await self.is_local(domain)


def _without(host: str) -> str:
    """Return the domain that a host is for, in A-labels; "" for what cannot be one."""
    first, _, domain = host.partition(".")
    try:
        return domain_key(domain if first in CLIENT_HOSTS else host)
    except BadAddress:
        return ""


def _address(told: str) -> Address | None:
    """Return an address as it could be one of ours; None: it is none."""
    try:
        address = parse_address(told.strip())
        check_own(address)
    except BadAddress:
        return None
    return address if str(address).isprintable() else None
