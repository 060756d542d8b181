"""What is sent to a server that takes ASCII alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from delivery_fakes import Processes, Threads

from mailnode.delivery.eight_bit import PIECE, EightBit
from mailnode.errors import Busy
from mailnode.interfaces.outbound import OutboundMessage
from mailnode.net.no_reactor import run_now
from mailnode.values.envelope import PLAIN_RCPT, MailOptions

TEXT = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n".encode()
SAID = (
    b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n"
)


def message(content: bytes) -> OutboundMessage:
    async def read(offset: int, length: int) -> bytes:
        return content[offset : min(offset + length, len(content) if offset >= 5 else 5)]  # a prefix is read by itself

    options = MailOptions(size=len(content), body="8BITMIME", ret="FULL")
    return OutboundMessage("a@here.example", (("b@there.example", PLAIN_RCPT),), read, options)


def whole(sent: OutboundMessage | None) -> bytes:
    assert sent is not None
    content = b""
    while piece := run_now(sent.read(len(content), sent.size)):
        content += piece
    assert len(content) == sent.size
    return content


def instead(content: bytes, scratch: Path, own: bool, strict: bool = False, on_top: int = 0) -> OutboundMessage | None:
    eight_bit = EightBit(Threads(), Processes(), scratch=str(scratch), strict=strict)
    sent: OutboundMessage | None = run_now(eight_bit.instead(message(content), own, on_top))
    assert list(scratch.iterdir()) == []
    return sent


def test_mail_of_our_users_is_said_in_ascii(tmp_path: Path) -> None:
    sent = instead(TEXT, tmp_path, own=True)
    assert sent is not None and sent.options == MailOptions(size=len(SAID), body="7BIT", ret="FULL")
    assert whole(sent) == SAID
    assert run_now(sent.read(8, 3)) == SAID[8:11]


def test_a_large_one_passes_in_pieces(tmp_path: Path) -> None:
    content = TEXT + "Zeile für Zeile\r\n".encode() * (2 * PIECE // 17)
    sent = instead(content, tmp_path, own=True)
    assert whole(sent) == SAID + b"Zeile f=C3=BCr Zeile\r\n" * (2 * PIECE // 17)


@pytest.mark.parametrize("own", [True, False])
def test_what_cannot_or_may_not_be_changed_goes_as_it_is(tmp_path: Path, own: bool) -> None:
    content = "Subject: ü\r\n\r\nü\r\n".encode() if own else TEXT
    sent = instead(content, tmp_path, own)
    assert sent is not None and sent.options == MailOptions(size=len(content), body="7BIT", ret="FULL")
    assert whole(sent) == content


@pytest.mark.parametrize("field", [b"DKIM-Signature: v=1\r\n", b"X: y\r\narc-message-signature: i=1\r\n", b""])
def test_signed_mail_of_others_goes_back_where_that_is_wanted(tmp_path: Path, field: bytes) -> None:
    sent = instead(field + TEXT, tmp_path, own=False, strict=True)
    assert (sent is None) == bool(field)
    assert whole(instead(field + TEXT, tmp_path, own=True, strict=True)).isascii()


def test_a_seal_of_ours_alone_is_no_reason_to_give_it_back(tmp_path: Path) -> None:
    seal, signature = b"ARC-Message-Signature: i=1\r\n", b"DKIM-Signature: v=1\r\n"
    assert whole(instead(seal + TEXT, tmp_path, own=False, strict=True, on_top=len(seal))) == seal + TEXT
    assert instead(seal + signature + TEXT, tmp_path, own=False, strict=True, on_top=len(seal)) is None


def test_a_field_of_that_name_in_the_body_is_no_signature(tmp_path: Path) -> None:
    assert instead(TEXT + b"DKIM-Signature: v=1\r\n", tmp_path, own=False, strict=True) is not None


def test_nothing_is_left_when_no_process_is_free(tmp_path: Path) -> None:
    class NoneFree(Processes):
        async def run(self, function: object, *args: object) -> object:  # type: ignore[override]
            raise Busy("too many calls wait")

    with pytest.raises(Busy):
        run_now(EightBit(Threads(), NoneFree(), scratch=str(tmp_path)).instead(message(TEXT), True, 0))
    assert list(tmp_path.iterdir()) == []


class Signer:
    """Signs for some domains with what it was given."""

    def __init__(self, *domains: str) -> None:
        self.domains = domains

    async def begin(self, domains: list[str]) -> Signature | None:
        return Signature(domains[0]) if domains[0] in self.domains else None


class Signature:
    def __init__(self, domain: str) -> None:
        self.domain, self.body = domain, b""

    def update(self, data: bytes) -> None:
        self.body += data

    async def fields(self, envelope_id: str, header: bytes) -> bytes:
        return b"DKIM-Signature: v=1; d=%s; b=%d.%d\r\n" % (self.domain.encode(), len(header), len(self.body))


OLD = b"DKIM-Signature: v=1; a=rsa-sha256;\r\n d = Here.example; bd=x; b=old\r\n"
OTHERS = b"DKIM-Signature: v=1; d=there.example; b=kept\r\n"


def resigned(content: bytes, scratch: Path, *domains: str) -> OutboundMessage:
    signer: Any = Signer(*domains)
    sent = run_now(
        EightBit(Threads(), Processes(), scratch=str(scratch), signer=signer).instead(message(content), True, 0)
    )
    assert isinstance(sent, OutboundMessage)
    return sent


# SMTP trap 48: after the last change
def test_what_is_changed_is_signed_anew(tmp_path: Path) -> None:
    header = OTHERS + SAID[: -len(b"Gr=C3=BC=C3=9Fe\r\n")]
    wanted = b"DKIM-Signature: v=1; d=here.example; b=%d.17\r\n" % len(header) + OTHERS + SAID
    sent = resigned(OLD + OTHERS + OLD + TEXT, tmp_path, "here.example")
    assert whole(sent) == wanted
    cut = wanted.index(b"Gr=C3")
    assert run_now(sent.read(cut, 5)) == b"Gr=C3"


def test_without_a_key_the_old_signature_stays(tmp_path: Path) -> None:
    assert whole(resigned(OLD + TEXT, tmp_path)) == OLD + SAID
    assert whole(resigned(TEXT, tmp_path, "here.example")) == SAID


def test_what_goes_as_it_is_keeps_its_signature(tmp_path: Path) -> None:
    content = OLD + "Subject: ü\r\n\r\nü\r\n".encode()
    assert whole(resigned(content, tmp_path, "here.example")) == content
