"""What mail programs set themselves up by: each form says the same of the listeners, of everybody of a domain,
and of nobody else."""

import json
import plistlib
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from mailnode.errors import Busy
from mailnode.net.no_reactor import CallingThread
from mailnode.values.published import Published
from mailnode.web.clients import pages
from mailnode.web.clients.autodiscover import MAX_DEPTH, MAX_REQUEST, MAX_VALUE, SERVED, BadRequest, asked_address
from mailnode.web.clients.pages import MAX_PASSWORD, ClientPages
from mailnode.web.site import SiteContent, web_factory

ALL = {"submissions": 465, "submission": 587, "imaps": 993, "imap": 143, "pop3s": 995, "pop3": 110, "sieve": 4190}
SENT = {"submissions": 10465, "imap": 10143}
AUTOCONFIG = "/mail/config-v1.1.xml"
WELL_KNOWN = "/.well-known/autoconfig/mail/config-v1.1.xml"
POX = "/autodiscover/autodiscover.xml"
PROFILE = "/mail/profile.mobileconfig"
FORM = "application/x-www-form-urlencoded"


class Site:
    """The pages, asked in memory."""

    def __init__(self, services=ALL, threads=None):
        self.signed = []
        published = Published("mail.a.test", services=services)
        clients = ClientPages(lambda: published, self.is_local, self.sign, threads or CallingThread())
        self.factory = web_factory(SiteContent(None, None, None, clients), ("clients",), MemoryReactorClock())

    async def is_local(self, domain):
        return domain in ("a.test", "b.test", "xn--bcher-kva.test")

    def sign(self, content):
        self.signed.append(content)
        return b"signed:" + content

    def ask(self, path, host="autoconfig.a.test", body=None, kind="text/xml", peer="192.0.2.1", method=None):
        method = method or ("GET" if body is None else "POST")
        head = f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n"
        if body is not None:
            body = body.encode() if isinstance(body, str) else body
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        protocol = self.factory.buildProtocol(None)
        transport = StringTransport(peerAddress=IPv4Address("TCP", peer, 1))
        transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(head.encode() + b"\r\n" + (body or b""))
        protocol.connectionLost(Failure(ConnectionDone()))
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), body

    def xml(self, *arguments, **named):
        status, head, body = self.ask(*arguments, **named)
        assert status == 200 and "Content-Type: text/xml; charset=utf-8" in head
        return ElementTree.fromstring(body)


@pytest.fixture
def site():
    return Site()


def request(address, schema=SERVED):
    """Return what Outlook sends."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><Autodiscover'
        ' xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
        f"<EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
        "</Request></Autodiscover>"
    )


def servers(root, element):
    """Return (kind, host, port, encryption) of each server that autoconfig names."""
    texts = ("hostname", "port", "socketType")
    return [(one.get("type"), *(one.findtext(text) for text in texts)) for one in root.iter(element)]


# Thunderbird


def test_autoconfig_names_all_servers_the_better_ones_first(site):
    root = site.xml(AUTOCONFIG)
    host = "mail.a.test"
    assert servers(root, "incomingServer") == [
        ("imap", host, "993", "SSL"),
        ("imap", host, "143", "STARTTLS"),
        ("pop3", host, "995", "SSL"),
        ("pop3", host, "110", "STARTTLS"),
    ]
    assert servers(root, "outgoingServer") == [("smtp", host, "465", "SSL"), ("smtp", host, "587", "STARTTLS")]
    assert {one.text for one in root.iter("username")} == {"%EMAILADDRESS%"}
    assert {one.text for one in root.iter("authentication")} == {"password-cleartext"}
    assert [one.text for one in root.iter("domain")] == ["a.test"]
    assert root.find(".//documentation").get("url") == "https://autoconfig.a.test/"


def test_autoconfig_names_nothing_that_is_not_offered():
    root = Site(SENT).xml(AUTOCONFIG)
    assert servers(root, "incomingServer") == [("imap", "mail.a.test", "10143", "STARTTLS")]
    assert servers(root, "outgoingServer") == [("smtp", "mail.a.test", "10465", "SSL")]


def test_autoconfig_is_the_same_whoever_it_is_about(site):
    answers = {
        site.ask(f"{path}{told}", host)[2]
        for path in (AUTOCONFIG, WELL_KNOWN)
        for host in ("autoconfig.a.test", "AUTOCONFIG.a.test", "autoconfig.a.test:8443", "mail.a.test", "a.test")
        for told in ("?emailaddress=there@a.test", "?emailaddress=nobody%40A.test", "?EmailAddress=%22x%20y%22@a.test")
    }
    assert len({body.partition(b"<documentation")[0] for body in answers}) == 1


def test_autoconfig_of_the_address_s_domain_when_there_is_one(site):
    for host in ("autoconfig.a.test", "mail.a.test", "b.test"):
        root = site.xml(f"{AUTOCONFIG}?emailaddress=x@B.test", host)
        assert root.find("emailProvider").get("id") == "b.test"
    root = site.xml(f"{AUTOCONFIG}?emailaddress={quote('x@bücher.test')}")
    assert root.find("emailProvider").get("id") == "xn--bcher-kva.test"


@pytest.mark.parametrize("path", [AUTOCONFIG, WELL_KNOWN, PROFILE, "/autodiscover/autodiscover.json", "/"])
@pytest.mark.parametrize(
    "host",
    [
        "c.test",
        "autoconfig.c.test",
        "mta-sts.a.test",
        "x.a.test",
        "autoconfig.autodiscover.a.test",
        "",
        "[::1]",
        "\xff",
    ],
)
def test_nothing_is_told_under_a_name_that_is_not_ours(site, path, host):
    assert site.ask(f"{path}?emailaddress=x@a.test&email=x@a.test", host)[0] == 404


@pytest.mark.parametrize("path", [AUTOCONFIG, PROFILE, "/autodiscover/autodiscover.json"])
@pytest.mark.parametrize(
    "told", ["x@c.test", "x", "@a.test", "x@", "x@[192.0.2.1]", "x\r\n@a.test", "x" * 65 + "@a.test", "￾@a.test"]
)
def test_nothing_is_told_about_an_address_that_cannot_be_ours(site, path, told):
    query = urlencode({"emailaddress": told, "email": told})
    assert site.ask(f"{path}?{query}")[0] == 404


def test_the_host_of_the_server_alone_is_no_domain(site):
    assert site.ask(AUTOCONFIG, "mail.a.test")[0] == 404


# Outlook


def test_autodiscover_has_one_server_of_each_protocol(site):
    for path in (POX, "/Autodiscover/Autodiscover.xml", "/AUTODISCOVER/AUTODISCOVER.XML"):
        root = site.xml(path, "autodiscover.a.test", request("Anna@A.test"))
        texts = ("Type", "Server", "Port", "LoginName", "SSL", "Encryption", "SPA", "AuthRequired")
        found = [[one.findtext(f"{{{SERVED}}}{text}") for text in texts] for one in root.iter(f"{{{SERVED}}}Protocol")]
        assert found == [
            [kind, "mail.a.test", port, "Anna@A.test", "on", "SSL", "off", "on"]
            for kind, port in (("IMAP", "993"), ("POP3", "995"), ("SMTP", "465"))
        ]
    assert root.findtext(f"{{{SERVED}}}Response/{{{SERVED}}}Account/{{{SERVED}}}Action") == "settings"


def test_autodiscover_says_when_tls_begins_later():
    root = Site({"submission": 587, "imap": 143}).xml(POX, "a.test", request("x@a.test"))
    found = [
        [one.findtext(f"{{{SERVED}}}{text}") for text in ("Type", "SSL", "Encryption")]
        for one in root.iter(f"{{{SERVED}}}Protocol")
    ]
    assert found == [["IMAP", "off", "TLS"], ["SMTP", "off", "TLS"]]


def test_autodiscover_answers_about_anybody_of_a_domain_alike(site):
    here, nobody = (site.ask(POX, "a.test", request(f"{name}@a.test"))[2] for name in ("here", "nobody"))
    assert here.replace(b"here@", b"nobody@") == nobody


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (request("x@c.test"), "500"),
        (request("x"), "500"),
        (request(""), "500"),
        (
            request("x@a.test", "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"),
            "601",
        ),
        ("", "600"),
        ("<a", "600"),
        ("{}", "600"),
    ],
)
def test_autodiscover_refuses_in_a_document_too(site, body, code):
    root = site.xml(POX, "a.test", body)
    assert [one.text for one in root.iter() if one.tag.endswith("}ErrorCode")] == [code]


def test_autodiscover_asked_otherwise(site):
    assert site.ask(POX, "a.test")[0] == 405
    assert site.ask(POX, "c.test", request("x@a.test"))[0] == 404
    assert site.ask("/autodiscover/other.xml", "a.test")[0] == 404


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY b "x@a.test">]><a><EMailAddress>&b;</EMailAddress></a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY % b SYSTEM "http://a.test/">%b;]><a/>',
        "<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1),
        f"<EMailAddress>{'x' * (MAX_VALUE + 1)}</EMailAddress>",
        f"<a>{' ' * MAX_REQUEST}</a>",
        '<?xml version="1.0" encoding="utf-7"?><a/>',
        "<a>&#0;</a>",
        "<a>&b;</a>",
        b"<a>\xff</a>",
    ],
)
def test_what_a_program_sends_is_read_without_entities_and_within_bounds(document):
    with pytest.raises(BadRequest):
        asked_address(document.encode() if isinstance(document, str) else document)


def test_the_json_says_where_the_xml_is(site):
    for path in (
        "/autodiscover/autodiscover.json/v1.0/x@a.test?Protocol=AutodiscoverV1",
        "/Autodiscover/Autodiscover.json/v1.0/x%40a.test?protocol=autodiscoverv1",
        "/autodiscover/autodiscover.json?Email=x@a.test&Protocol=AutodiscoverV1",
    ):
        status, head, body = site.ask(path, "autodiscover.a.test:8443")
        assert status == 200 and "Content-Type: application/json" in head
        assert json.loads(body) == {"Protocol": "AutodiscoverV1", "Url": f"https://autodiscover.a.test:8443{POX}"}
    status, _, body = site.ask("/autodiscover/autodiscover.json/v1.0/x@a.test?Protocol=ActiveSync")
    assert (status, json.loads(body)["ErrorCode"]) == (400, "InvalidProtocol")
    for path in ("", "/v1.0", "/v1.0/x@c.test", "/v1.0/x@a.test/more"):
        assert site.ask(f"/autodiscover/autodiscover.json{path}?Protocol=AutodiscoverV1")[0] == 404


# Apple


def test_a_profile_has_the_settings_and_no_password(site):
    status, head, body = site.ask(f"{PROFILE}?emailaddress=anna@a.test&password=secret")
    assert status == 200 and "Content-Type: application/x-apple-aspen-config" in head
    assert 'filename="mail.mobileconfig"' in head
    assert body == b"signed:" + site.signed[0]
    profile = plistlib.loads(site.signed[0])
    (account,) = profile["PayloadContent"]
    assert account["PayloadType"] == "com.apple.mail.managed" and profile["PayloadType"] == "Configuration"
    assert (account["EmailAccountType"], account["EmailAddress"]) == ("EmailTypeIMAP", "anna@a.test")
    for side, port in (("Incoming", 993), ("Outgoing", 465)):
        told = [account[f"{side}MailServer{name}"] for name in ("HostName", "PortNumber", "UseSSL", "Username")]
        assert told == ["mail.a.test", port, True, "anna@a.test"]
    assert not {"IncomingPassword", "OutgoingPassword"} & account.keys()
    assert b"secret" not in site.signed[0]


def test_a_profile_of_the_same_address_replaces_the_one_before(site):
    for address in ("x@a.test", "X@a.test", "y@a.test"):
        site.ask(f"{PROFILE}?emailaddress={address}")
    one, same, other = (plistlib.loads(text) for text in site.signed)
    assert one["PayloadUUID"] == same["PayloadUUID"] != other["PayloadUUID"]
    assert one["PayloadUUID"] != one["PayloadContent"][0]["PayloadUUID"]


def test_a_profile_takes_a_password_from_a_form_that_came_in_private(site):
    form = urlencode({"emailaddress": "x@a.test", "password": "kennwört & <b>"})
    assert site.ask(PROFILE, body=form, kind=FORM)[0] == 403 and not site.signed
    assert site.ask(PROFILE, body=form, kind=FORM, peer="127.0.0.1")[0] == 200
    (account,) = plistlib.loads(site.signed[0])["PayloadContent"]
    assert account["IncomingPassword"] == account["OutgoingPassword"] == "kennwört & <b>"
    assert account["OutgoingPasswordSameAsIncomingPassword"] is True
    for password in ("x" * (MAX_PASSWORD + 1), "a\0b"):
        form = urlencode({"emailaddress": "x@a.test", "password": password})
        assert site.ask(PROFILE, body=form, kind=FORM, peer="127.0.0.1")[0] == 400


def test_there_is_no_profile_where_mail_cannot_be_both_read_and_sent():
    for services in ({"imaps": 993}, {"submissions": 465}):
        assert Site(services).ask(f"{PROFILE}?emailaddress=x@a.test")[0] == 404


class BusyThreads:
    """All are."""

    async def run(self, pool, function, *arguments):
        raise Busy


def test_a_busy_server_says_so():
    site = Site(threads=BusyThreads())
    assert site.ask(f"{PROFILE}?emailaddress=x@a.test")[0] == 503
    assert site.ask("/")[0] == 503


# A person


def test_the_page_has_all_that_is_needed_by_hand(site):
    status, head, body = site.ask("/?emailaddress=anna@a.test")
    text = body.decode()
    assert status == 200 and "Content-Type: text/html; charset=utf-8" in head
    assert text.startswith('<!DOCTYPE html>\n<html lang="en"')
    for words in (
        "mail.a.test",
        ">993<",
        ">143<",
        ">995<",
        ">465<",
        ">587<",
        "<b>anna@a.test</b>",
        "SSL/TLS",
        "STARTTLS",
    ):
        assert words in text
    assert text.count("<table>") == 6 and 'action="/mail/profile.mobileconfig"' in text
    assert "default-src 'none'" in head and "<script" not in text


def test_the_page_asks_who_one_is_where_it_cannot_know(site):
    without = site.ask("/", "mail.a.test")[2].decode()
    assert "<table>" not in without and 'name="emailaddress"' in without and "data:image" not in without
    domain = site.ask("/")[2].decode()
    assert "<table>" in domain and "mobileconfig" not in domain and "data:image/svg+xml" in domain
    wrong = site.ask("/?emailaddress=x@c.test")[2].decode()
    assert "No mail of that address is here" in wrong and "<table>" not in wrong


def test_what_is_told_is_shown_as_text(site):
    address = '"<b>\'&</b>"@a.test'
    text = site.ask(f"/?emailaddress={quote(address)}")[2].decode()
    assert "<b>'" not in text and "&lt;b&gt;" in text
    root = site.xml(POX, "a.test", request("&quot;&lt;b&gt;&amp;&quot;@a.test"))
    assert root.findtext(f".//{{{SERVED}}}LoginName") == '"<b>&"@a.test'


def test_the_page_is_the_same_of_everybody(site):
    here, nobody = (site.ask(f"/?emailaddress={name}@a.test")[2] for name in ("aaaa", "bbbb"))

    def common(page, name):
        before, _, after = page.replace(name, b"WHO").partition(b'src="data:')
        return before, after.partition(b'"')[2]

    assert common(here, b"aaaa") == common(nobody, b"bbbb")


def test_the_code_of_a_long_address_is_of_the_page_alone(site, monkeypatch):
    shown = []
    monkeypatch.setattr(pages, "picture", lambda url: shown.append(url) or "data:,")
    for local in ("a", "%C3%A9" * 30):
        assert site.ask(f"/?emailaddress={local}@a.test")[0] == 200
    assert shown == ["https://autoconfig.a.test/?emailaddress=a@a.test", "https://autoconfig.a.test/"]


def test_what_is_asked_without_the_page_is_not_there():
    site = web_factory(SiteContent(None, None, None, None), ("clients",), MemoryReactorClock())
    asked = Site()
    asked.factory = site
    assert asked.ask(AUTOCONFIG)[0] == 404
