"""Settings in the form that Outlook asks for: Autodiscover's "plain old XML", and the JSON that leads there."""

from __future__ import annotations

import json
from urllib.parse import quote
from xml.etree import ElementTree as Tree
from xml.parsers import expat

from mailnode.web.clients.settings import SERVICE_NAMES, ClientSettings, OfferedService

MAX_REQUEST = 16_384  # octets; programs send about 400
MAX_DEPTH = 8  # elements within each other
MAX_VALUE = 1_000  # characters of an element that is looked at
PATH = "/autodiscover/autodiscover.xml"

SERVED = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_ENVELOPE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"

NOT_OURS, BAD_REQUEST, OTHER_SCHEMA = 500, 600, 601  # codes of errors
_WORDS = {
    NOT_OURS: "No mail of this domain is here",
    BAD_REQUEST: "Invalid request",
    OTHER_SCHEMA: "Only the settings of IMAP, POP3 and SMTP are told here",
}


class BadRequest(Exception):
    """A request that cannot be read."""


def asked_address(document: bytes) -> tuple[str, str]:
    """Return the address that a request is about and the schema that its answer should have, "" where it names none.

    Nothing outside of the document is read, and it may define no entities.

    :raises BadRequest:
    """
    if len(document) > MAX_REQUEST:
        raise BadRequest
    reading = _RequestReading()
    try:
        reading.parser.Parse(document, True)
    except (expat.ExpatError, LookupError, ValueError):
        raise BadRequest from None
    values = reading.values
    return values.get("emailaddress", "").strip(), values.get("acceptableresponseschema", "").strip()


class _RequestReading:
    """Gathers the texts of elements by their names, in lower case and without namespace."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._declared
        self.parser.EntityDeclHandler = self._declared
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._path: list[str] = []

    def _declared(self, *told: object) -> None:
        raise BadRequest

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name.rpartition(" ")[2].lower())
        if len(self._path) > MAX_DEPTH:
            raise BadRequest

    def _end(self, name: str) -> None:
        self._path.pop()

    def _text(self, text: str) -> None:
        name = self._path[-1]
        if name in ("emailaddress", "acceptableresponseschema"):
            value = self.values.get(name, "") + text
            if len(value) > MAX_VALUE:
                raise BadRequest
            self.values[name] = value


def answer(settings: ClientSettings, address: str) -> bytes:
    """Return the answer with settings, for the one address that was asked about."""
    root, response = _response(SERVED)
    user = Tree.SubElement(response, "User")
    Tree.SubElement(user, "DisplayName").text = address
    account = Tree.SubElement(response, "Account")
    Tree.SubElement(account, "AccountType").text = "email"
    Tree.SubElement(account, "Action").text = "settings"
    for protocol in ("imap", "pop3", "submission"):
        service = settings.first(protocol)
        if service is not None:
            _protocol(account, service, address)
    return _written(root)


def refusal(code: int) -> bytes:
    """Return the answer that has none. :param code: one of those above."""
    root, response = _response(_ENVELOPE)
    error = Tree.SubElement(response, "Error")
    Tree.SubElement(error, "ErrorCode").text = str(code)
    Tree.SubElement(error, "Message").text = _WORDS[code]
    Tree.SubElement(error, "DebugData")
    return _written(root)


def json_answer(protocol: str, authority: str) -> tuple[int, bytes]:
    """Return HTTP status and answer to the question where a protocol of Autodiscover is spoken. :param authority: the host to
    go to, with its port."""
    if protocol.lower() == "autodiscoverv1":
        told = {"Protocol": "AutodiscoverV1", "Url": f"https://{quote(authority, safe=':')}{PATH}"}
        return 200, json.dumps(told).encode()
    refused = {
        "ErrorCode": "InvalidProtocol",
        "ErrorMessage": "The protocol is not offered here. Protocols that are: AutodiscoverV1",
    }
    return 400, json.dumps(refused).encode()


def _response(schema: str) -> tuple[Tree.Element, Tree.Element]:
    root = Tree.Element("Autodiscover", xmlns=_ENVELOPE)
    return root, Tree.SubElement(root, "Response", xmlns=schema)


def _protocol(account: Tree.Element, service: OfferedService, address: str) -> None:
    protocol = Tree.SubElement(account, "Protocol")
    texts = {
        "Type": SERVICE_NAMES[service.protocol],
        "Server": service.host,
        "Port": str(service.port),
        "DomainRequired": "off",
        "LoginName": address,
        "SPA": "off",
        "SSL": "on" if service.implicit else "off",
        "Encryption": "SSL" if service.implicit else "TLS",
        "AuthRequired": "on",
    }
    if service.protocol == "submission":
        texts |= {"UsePOPAuth": "off", "SMTPLast": "off"}
    for name, text in texts.items():
        Tree.SubElement(protocol, name).text = text


def _written(root: Tree.Element) -> bytes:
    written: bytes = Tree.tostring(root, "utf-8", xml_declaration=True)
    return written
