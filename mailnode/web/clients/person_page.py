"""The settings as a page for a person. It is whole without scripts, and asks for nothing from anywhere else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import segno
from twisted.web.iweb import IRequest
from twisted.web.template import Element, Tag, XMLString, flattenString, renderer, tags

from mailnode.web.clients.mobileconfig import can_be_told
from mailnode.web.clients.settings import SERVICE_NAMES, ClientSettings, OfferedService

_STYLE = files("mailnode.web.clients").joinpath("person_page.css").read_text("utf-8")
_TEMPLATE = XMLString(files("mailnode.web.clients").joinpath("person_page.html").read_text("utf-8"))
_STYLE_DIGEST = b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS = (
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; img-src data:; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'".encode(),
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
CONTENT_TYPE = b"text/html; charset=utf-8"
QR_SCALE = 5  # pixels of a module


def picture(url: str) -> str:
    """Return a QR code (ISO/IEC 18004) of a URL, as a URL of the picture itself. Takes some milliseconds."""
    return segno.make(url, error="m", micro=False).svg_data_uri(scale=QR_SCALE, light="white")


@dataclass(frozen=True, slots=True)
class SettingsShown:
    """What is on the page. ``settings``: None: nothing is known yet but that somebody asks. ``address``: that it is for, ""
    where none was told. ``code``: what :func:`picture` made. ``unknown``: an address was told that is none of ours."""

    settings: ClientSettings | None
    address: str = ""
    code: str = ""
    unknown: bool = False


async def person_page(shown: SettingsShown) -> bytes:
    """Return the page."""
    return b"<!DOCTYPE html>\n" + await flattenString(None, _PersonPage(shown))


class _PersonPage(Element):
    """Fills the template."""

    def __init__(self, shown: SettingsShown) -> None:
        super().__init__(_TEMPLATE)
        self._shown = shown

    @renderer
    def style(self, request: IRequest | None, tag: Tag) -> Tag:
        return tags.style(_STYLE)

    @renderer
    def unknown(self, request: IRequest | None, tag: Tag) -> Tag | str:
        return tag if self._shown.unknown else ""

    @renderer
    def question(self, request: IRequest | None, tag: Tag) -> Tag:
        return tag.fillSlots(address=self._shown.address)

    @renderer
    def settings(self, request: IRequest | None, tag: Tag) -> Tag | str:
        return tag if self._shown.settings is not None else ""

    @renderer
    def apple(self, request: IRequest | None, tag: Tag) -> Tag | str:
        settings = self._shown.settings
        if settings is None or not self._shown.address or not can_be_told(settings):
            return ""
        return tag.fillSlots(address=self._shown.address)

    @renderer
    def code(self, request: IRequest | None, tag: Tag) -> Tag | str:
        return tag.fillSlots(picture=self._shown.code) if self._shown.code else ""

    @renderer
    def login(self, request: IRequest | None, tag: Tag) -> Tag | str:
        return tag.fillSlots(address=self._shown.address) if self._shown.address else ""

    @renderer
    def service(self, request: IRequest | None, tag: Tag) -> Iterator[Tag]:
        settings = self._shown.settings
        for one in (*settings.incoming(), *settings.outgoing()) if settings is not None else ():
            yield tag.clone().fillSlots(
                what=_what(one),
                host=one.host,
                port=str(one.port),
                encryption="SSL/TLS" if one.implicit else "STARTTLS",
            )


def _what(service: OfferedService) -> str:
    job = "Sending mail" if service.protocol == "submission" else "Reading mail"
    return f"{job}: {SERVICE_NAMES[service.protocol]}"
