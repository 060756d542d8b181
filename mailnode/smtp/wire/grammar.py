"""The grammar of SMTP: paths, parameters, xtext, numbers and replies, read from bytes and written to bytes.

Every function is linear in its input. What cannot be read raises :class:`CommandError` with the reply it deserves.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache

from mailnode.errors import BadAddress
from mailnode.values.address import MAX_PATH, Address, check_local, domain_key
from mailnode.values.smtp_reply import Reply

MAX_ENVID = 100  # characters of xtext, RFC 3461 4.4
MAX_ORCPT = 500  # characters of addr-type and xtext, RFC 3461 4.2
MAX_REPLY_LINE = 512  # octets with CRLF of a reply line we write, RFC 5321 4.5.3.1.5

# RFC 5321 4.1.2, with the UTF8-non-ascii of RFC 6531 3.3:
#   Path           = "<" [ A-d-l ":" ] Mailbox ">"
#   A-d-l          = At-domain *( "," At-domain )
#   At-domain      = "@" Domain
#   Mailbox        = Local-part "@" ( Domain / address-literal )
#   Local-part     = Dot-string / Quoted-string
#   Quoted-string  = DQUOTE *QcontentSMTP DQUOTE
#   QcontentSMTP   = qtextSMTP / quoted-pairSMTP
# Two things more are taken, because they are sent: dots at odd places of a local part, and a path without its brackets.
# Domains are only cut out here; ``values.address.domain_key`` judges them. No alternative of a repeated group can begin
# like its neighbour, and what follows a repetition can never be what it repeats: going back finds nothing, at each step
# at once, so the match is linear.
_DOMAIN = r"(?:\[[^\[\]<>\s\x00-\x1f]*\]|[^\[\]<>@,:;()\\\"\s\x00-\x1f\x7f]+)"
_MAILBOX = (
    r"(?P<mailbox>(?:(?P<dots>[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.\u0080-\U0010ffff]+)"
    r'|"(?P<quoted>(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*)")'
    rf"(?:@(?P<domain>{_DOMAIN}))?)"
)
_PATH = re.compile(rf"<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?{_MAILBOX}>")
_BARE_PATH = re.compile(rf"{_MAILBOX}(?= |\Z)")
_QUOTED_PAIR = re.compile(r"\\(.)")

# esmtp-param = esmtp-keyword ["=" esmtp-value]   RFC 5321 4.1.2
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")
_VALUE = re.compile(r"[\x21-\x3c\x3e-\x7e\u0080-\U0010ffff]+\Z")

# xtext = *( xchar / hexchar )   RFC 3461 4; "=" as it is and lower-case digits are sent too, and mean one thing only
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x7e]|\+[0-9A-Fa-f]{2})*\Z")
_HEXCHAR = re.compile(r"\+([0-9A-Fa-f]{2})")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")  # EmbeddedUnicodeChar, RFC 6533 3
_ADDR_TYPE = re.compile(r"[A-Za-z0-9-]{1,32}\Z")

# HELO and EHLO names come into Received and logs: printable ASCII without what could end a comment or begin a field.
MAX_HELLO = 255  # characters of a name that are kept
_HELLO_LITERAL = re.compile(r"\[[A-Za-z0-9.:\-]{1,80}\]\Z")
_NOT_HELLO = re.compile(r"[^!#-'*+\-./0-9:=?A-Z^_`a-z{|}~]")

_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |\Z)")  # RFC 2034 4
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class CommandError(Exception):
    """A command that cannot be taken as it stands. ``reply`` says why."""

    def __init__(self, code: int, status: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, status, (text,))


class BadReply(Exception):
    """What came is not an SMTP reply."""


def decimal(raw: str | bytes, digits: int = 20) -> int:
    """Read a decimal number of at most ``digits`` digits. :raises ValueError: anything else."""
    text = raw.decode("ascii", "replace") if isinstance(raw, bytes) else raw
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        raise ValueError("not a number")
    return int(text)


@dataclass(frozen=True, slots=True)
class ParsedPath:
    """One path and what followed it. ``address`` None is the null path ``<>``."""

    address: Address | None
    parameters: str


def parse_path(argument: str, status: str) -> ParsedPath:
    """Read a path at the start of ``argument``, in brackets or not; a source route is checked and dropped (RFC 5321 C).

    :param status: the RFC 3463 code of a bad address here: 5.1.7 for MAIL, 5.1.3 for RCPT.
    :raises CommandError: 501 or 553.
    """
    if argument.startswith("<>"):
        return ParsedPath(None, _after(argument, 2))
    found = (_PATH if argument.startswith("<") else _BARE_PATH).match(argument)
    if found is None:
        raise CommandError(501, status, "Bad address syntax")
    if len(found["mailbox"].encode("utf-8", "surrogatepass")) > MAX_PATH:
        raise CommandError(501, status, "Path too long")
    local, quoted, domain = found.group("dots", "quoted", "domain")
    if local is None:
        local = _QUOTED_PAIR.sub(r"\1", quoted)
    if domain is None and local.lower() != "postmaster":
        raise CommandError(501, status, "Address needs a domain")
    try:
        check_local(local)
        if domain is not None:
            domain_key(domain)
    except BadAddress:
        raise CommandError(553, status, "Bad address") from None
    return ParsedPath(Address(local, domain or "", quoted is not None), _after(argument, found.end()))


def _after(argument: str, position: int) -> str:
    rest = argument[position:]
    if rest and not rest.startswith(" "):
        raise CommandError(501, "5.5.4", "Space expected after the path")
    return rest


def parse_parameters(text: str, lenient: Container[str] = ()) -> dict[str, str | None]:
    """Read ``*(SP esmtp-param)``; keywords in capitals. :raises CommandError: 501 for bad syntax or one given twice.

    Of a ``lenient`` parameter the first counts, with any value: whoever reads it judges what it says.
    """
    parameters: dict[str, str | None] = {}
    for word in text.split(" "):
        if not word:
            continue
        keyword, equals, value = word.partition("=")
        keyword = keyword.upper()
        if keyword in lenient:
            parameters.setdefault(keyword, value)
            continue
        if not _KEYWORD.match(keyword) or (equals and not _VALUE.match(value)):
            raise CommandError(501, "5.5.4", "Bad parameter syntax")
        if keyword in parameters:
            raise CommandError(501, "5.5.4", "Parameter given twice")
        parameters[keyword] = value if equals else None
    return parameters


def decode_xtext(text: str) -> str:
    """Undo xtext (RFC 3461 4); only printable ASCII may come out. :raises ValueError: anything else."""
    if not text.isascii() or not _XTEXT.match(text):
        raise ValueError("not xtext")
    decoded = _HEXCHAR.sub(lambda found: chr(int(found.group(1), 16)), text)
    if not (decoded.isascii() and decoded.isprintable()):
        raise ValueError("not printable")
    return decoded


def read_xtext(value: str | None) -> str:
    """Undo the xtext of a parameter. :raises CommandError: 501."""
    try:
        return decode_xtext(value or "")
    except ValueError:
        raise CommandError(501, "5.5.4", "Bad xtext") from None


def encode_xtext(text: str) -> str:
    """Return printable ASCII as xtext. :raises ValueError: other characters."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("not printable ASCII")
    return "".join(c if c not in "+= " else f"+{ord(c):02X}" for c in text)


def decode_envid(value: str | None) -> str:
    """Read ENVID's value (RFC 3461 4.4); "" for one that is too long or cannot be read."""
    try:
        return decode_xtext(value) if value and len(value) <= MAX_ENVID else ""
    except ValueError:
        return ""


def decode_orcpt(value: str | None) -> str:
    """Read ORCPT's value to ``addr-type;address`` (RFC 3461 4.2, RFC 6533 3); "" for one that cannot be read."""
    kind, _, address = (value or "").partition(";")
    if not address or not _ADDR_TYPE.match(kind) or len(value or "") > MAX_ORCPT:
        return ""
    try:
        if kind.lower() != "utf-8":
            return f"{kind};{decode_xtext(address)}"
        decoded = _EMBEDDED.sub(lambda found: chr(int(found.group(1), 16)), address)
        decoded.encode("utf-8")
        return f"{kind};{decoded}" if decoded.isprintable() else ""
    except (ValueError, OverflowError):
        return ""


def encode_orcpt(orcpt: str) -> str:
    """Return ``addr-type;address`` as ORCPT's value, ASCII in every case. :raises ValueError: unprintable."""
    kind, _, address = orcpt.partition(";")
    if not address.isprintable():
        raise ValueError("not printable")
    if kind.lower() != "utf-8" and address.isascii():
        return f"{kind};{encode_xtext(address)}"
    plain = "".join(c if "!" <= c <= "~" and c not in "\\+=" else f"\\x{{{ord(c):02X}}}" for c in address)
    return f"utf-8;{plain}"


def parse_notify(value: str | None) -> frozenset[str]:
    """Read NOTIFY's value (RFC 3461 4.1): the words that are known; none, the default, when it contradicts itself."""
    notify = frozenset((value or "").upper().split(",")) & {"NEVER", "SUCCESS", "FAILURE", "DELAY"}
    return frozenset() if "NEVER" in notify and len(notify) > 1 else notify


def hello_name(text: str) -> str:
    """Read the argument of HELO, EHLO or LHLO: what may not stand in a trace field becomes ``?``.

    Names of the machines people write on hold anything, and nothing depends on them. :raises CommandError: 501, no name.
    """
    if not text:
        raise CommandError(501, "5.5.4", "A domain or address literal is needed")
    return text if _HELLO_LITERAL.match(text) else _NOT_HELLO.sub("?", text[:MAX_HELLO])


def printable(text: str) -> str:
    """Return text without control characters or line separators: each becomes ``?``."""
    return _UNPRINTABLE.sub("?", text)


@lru_cache(maxsize=64)  # but for the end of a message, the same few are said again and again
def format_reply(reply: Reply) -> bytes:
    """Return a reply as lines of printable ASCII of at most 512 octets (RFC 5321 4.2)."""
    status = f"{reply.status} " if reply.status else ""
    room = MAX_REPLY_LINE - 2 - 4 - len(status)
    last = len(reply.lines) - 1
    lines = []
    for number, text in enumerate(reply.lines):
        if not (text.isascii() and text.isprintable()):
            text = printable(text).encode("ascii", "backslashreplace").decode("ascii")
        lines.append(f"{reply.code}{' ' if number == last else '-'}{status}{text[:room]}\r\n")
    return "".join(lines).encode("ascii")


def parse_reply(lines: list[bytes]) -> Reply:
    """Read the lines of one reply, without their CRLF; the last one decides. :raises BadReply:"""
    status = ""
    texts = []
    code = 0
    for line in lines:
        if len(line) < 3 or not line[:3].isdigit() or line[3:4] not in (b"", b" ", b"-"):
            raise BadReply("Not an SMTP reply")
        code = int(line[:3])
        text = printable(line[4:].decode("utf-8", "backslashreplace"))
        found = _STATUS.match(text)
        if found is not None and found.group(1) == chr(line[0]):
            status = found.group().rstrip()
            text = text[found.end() :]
        texts.append(text)
    if not 200 <= code < 600:
        raise BadReply("Not an SMTP reply")
    return Reply(code, status, tuple(texts))
