"""Settings in the form that Thunderbird asks for, and with it K-9, Evolution, KMail and others: config-v1.1.xml."""

from __future__ import annotations

from xml.etree import ElementTree as Tree

from mailnode.web.clients.settings import ClientSettings, OfferedService

ADDRESS = "%EMAILADDRESS%"  # the program puts the address there itself: the answer is the same for all of a domain


def autoconfig(settings: ClientSettings, page: str) -> bytes:
    """Return the document. :param page: the URL of the settings as a person reads them."""
    root = Tree.Element("clientConfig", version="1.1")
    provider = Tree.SubElement(root, "emailProvider", id=settings.domain)
    for name in ("domain", "displayName", "displayShortName"):
        Tree.SubElement(provider, name).text = settings.domain
    for service in settings.incoming():
        _server(provider, "incomingServer", service.protocol, service)
    for service in settings.outgoing():
        _server(provider, "outgoingServer", "smtp", service)
    documentation = Tree.SubElement(provider, "documentation", url=page)
    Tree.SubElement(documentation, "descr", lang="en").text = "The settings of mail programs"
    written: bytes = Tree.tostring(root, "utf-8", xml_declaration=True)
    return written


def _server(provider: Tree.Element, element: str, kind: str, service: OfferedService) -> None:
    server = Tree.SubElement(provider, element, type=kind)
    texts = {
        "hostname": service.host,
        "port": str(service.port),
        "socketType": "SSL" if service.implicit else "STARTTLS",
        "authentication": "password-cleartext",  # within TLS; SCRAM has no word here
        "username": ADDRESS,
    }
    for name, text in texts.items():
        Tree.SubElement(server, name).text = text
