"""docs/protocols.rst lists what the server offers, the files that do it, and every RFC that the code cites."""

import re
from pathlib import Path

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailnode.auth.sasl import MECHANISMS
from mailnode.imap.capabilities import capabilities
from mailnode.imap.commands.table import TABLE
from mailnode.pop3.protocol import Pop3Factory
from mailnode.smtp.wire.events import Helo
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/protocols.rst").read_text()
CITED = re.compile(r"\bRFC (\d{4,5})\b")


def rows(title):
    section = re.search(rf"^{re.escape(title)}\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^   \* - (.+)\n     - (.+)\n     - (.+)$", section, re.MULTILINE)[1:]


def names(title):
    listed = [row[0] for row in rows(title)]
    assert len(listed) == len(set(listed))
    return set(listed)


def test_smtp_keywords():
    offered = set()
    for secure in (False, True):
        connection = ServerConnection(Profile(starttls=True, auth=True, xclient=True), secure=secure)
        connection.mechanisms = tuple(MECHANISMS)
        connection.known = True
        connection.receive_data(b"EHLO client.test\r\n")
        assert isinstance(connection.next_event(), Helo)
        offered |= {line.split()[0] for line in connection.hello_reply("mail.test").lines[1:]}
    assert names("SMTP, submission and LMTP") == offered


def test_imap_capabilities():
    offered = {
        re.sub("^AUTH=.*", "AUTH=", name)
        for disabled in (False, True)
        for name in capabilities(
            authenticated=False, mechanisms=tuple(MECHANISMS), start_tls=True, login_disabled=disabled
        )
    }
    assert names("IMAP") == offered


def test_an_imap_capability_names_the_file_that_declares_it():
    files = {name: done for name, _, done in rows("IMAP")}
    for row in TABLE.values():
        for name in row.capabilities:
            assert f"``{row.run.__module__.replace('.', '/')}.py``" in files[name], name


class AnyLogins:
    def mechanisms(self, protocol, secure):
        return tuple(MECHANISMS) if secure else ()


def test_pop3_capabilities():
    offered = set()
    for secure in (False, True):
        factory = Pop3Factory(
            AnyLogins(),
            Clock(),
            tls="implicit" if secure else "starttls",
            start_tls=lambda transport: None,
            hostname="mail.test",
        )
        pump, transport = factory.buildProtocol(None), StringTransport()
        pump.makeConnection(transport)
        if secure:
            pump.handshakeCompleted()
        transport.clear()
        pump.dataReceived(b"CAPA\r\n")
        lines = transport.value().decode().split("\r\n")
        assert lines[0].startswith("+OK") and lines[-2:] == [".", ""]
        offered |= {line.split()[0] for line in lines[1:-2]}
    assert names("POP3") == offered


def test_mechanisms():
    assert names("Mechanisms") == set(MECHANISMS)


def test_the_files_named_cite_the_rfc():
    for title in ("SMTP, submission and LMTP", "IMAP", "POP3", "Mechanisms"):
        for name, specified, files in rows(title):
            for file in re.findall(r"``(mailnode/.+?)``", files):
                text = (ROOT / file).read_text()
                number = CITED.match(specified)
                assert (number[1] in CITED.findall(text)) if number else name in text, f"{name}: {file}"


def sources():
    return sorted((ROOT / "mailnode").rglob("*.py"))


def test_rfcs_are_cited_in_one_form():
    """``RFC 9051 6.4.5``: one space each, no list of numbers behind one "RFC", no "section"."""
    for path in sources():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for match in re.finditer(r"\b(rfc[ -]?)\d{4,5}(?: (?:\d+|[A-Z])(?:\.\d+)*\b)?", line, re.IGNORECASE):
                where = f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
                assert match[1] == "RFC ", where
                assert not re.match(r"(?:, | and )\d{4}\b| ?(?:sec|§|chap|appendix)", line[match.end() :]), where


def test_every_rfc_is_listed_with_the_rooms_that_cite_it():
    cited = {}
    for path in sources():
        room = path.relative_to(ROOT / "mailnode").parts[0].removesuffix(".py")
        for number in CITED.findall(path.read_text()):
            cited.setdefault(int(number), set()).add(room)
    expected = [(f"RFC {number}", ", ".join(sorted(rooms))) for number, rooms in sorted(cited.items())]
    listed = [(row[0], row[2]) for row in rows("Every RFC the code cites")]
    assert set(expected) - set(listed) == set(), "write these rows into docs/protocols.rst"
    assert listed == expected
