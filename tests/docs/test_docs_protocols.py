"""docs/protocols.rst and docs/imap.rst list what the server offers, the files that do it, the tests that hold it, and every RFC
that the code cites."""

import re
from pathlib import Path

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailnode.auth.mechanisms import MECHANISMS
from mailnode.imap.capabilities import capabilities
from mailnode.imap.commands.table import TABLE
from mailnode.pop3.protocol import Pop3Factory
from mailnode.smtp.wire.events import Helo
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/protocols.rst").read_text()
IMAP_PAGE = (ROOT / "docs/imap.rst").read_text()
CITED = re.compile(r"\bRFC (\d{4,5})\b")


def rows(title):
    section = re.search(rf"^{re.escape(title)}\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^   \* - (.+)\n     - (.+)\n     - (.+)$", section, re.MULTILINE)[1:]


def names(title):
    listed = [row[0] for row in rows(title)]
    assert len(listed) == len(set(listed))
    return set(listed)


def imap_rows():
    """(capability, specified in, done in, tried in)."""
    return re.findall(r"^   \* - (.+)\n     - (.+)\n     - (.+)\n     - (.+)$", IMAP_PAGE, re.MULTILINE)[1:]


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
        re.sub("^(AUTH|APPENDLIMIT|IMAPSIEVE|MESSAGELIMIT|SAVELIMIT)=.*", r"\1=", name)
        for disabled in (False, True)
        for name in capabilities(
            authenticated=False,
            mechanisms=tuple(MECHANISMS),
            start_tls=True,
            login_disabled=disabled,
            administrator=True,
            append_limit=1,
            message_limit=1,
            save_limit=1,
            script_server="sieve://mail.test",
        )
    }
    listed = [row[0] for row in imap_rows()]
    assert sorted(listed) == sorted(offered)


def test_an_imap_capability_names_the_file_that_declares_it():
    files = {name: done for name, _, done, _ in imap_rows()}
    for row in TABLE.values():
        for name in row.capabilities:
            assert f"``{row.run.__module__.replace('.', '/')}.py``" in files[name], name


def test_an_imap_capability_names_its_section_and_the_tests_that_hold_it():
    for name, specified, _, tried in imap_rows():
        section = re.fullmatch(r"RFC (\d+) \d+(?:\.\d+)*", specified)
        assert section, name
        files = re.findall(r"``(tests/.+?)``", tried)
        assert files, name
        for file in files:
            text = (ROOT / file).read_text()
            assert name.rstrip("=+") in text or section[1] in CITED.findall(text), f"{name}: {file}"


class AnyLogins:
    def mechanisms(self, mind, secure):
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
    listed = [row[:3] for row in imap_rows()]
    for title in ("SMTP, submission and LMTP", "POP3", "Mechanisms"):
        listed.extend(rows(title))
    for name, specified, files in listed:
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
