"""The server's own mail to who looks after it: who gets it, what it looks like, and that it goes through the queue."""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import Any

import pytest
from delivery_fakes import Blobs, Directory

from mailnode.delivery.news_mail import NewsMail
from mailnode.delivery.routing import RoutingTable
from mailnode.errors import BadAddress, DomainError
from mailnode.net.no_reactor import run_now
from mailnode.values.directory import Account, Domain, Resolved

NOW = 1_800_000_000.0
PLACED = Resolved(True, (("id-ann", "ann@here.example"),))


class Served(Directory):
    def __init__(self, *domains: str) -> None:
        super().__init__(ann="ann")
        self._domains = [Domain(name, name) for name in domains]
        self.routes["postmaster@here.example"] = PLACED
        self.administrators: list[Account] = []

    async def domains(self) -> list[Domain]:
        return self._domains

    async def accounts(self) -> list[Account]:
        return self.administrators


class Door:
    """The queue, the signer, the scanner and the hints."""

    def __init__(self) -> None:
        self.queued: list[Any] = []
        self.signed_for: list[str] = []
        self.woken: list[str] = []

    async def enqueue(self, submission: Any) -> None:
        self.queued.append(submission)

    async def sign(self, domains: Any, envelope_id: str, header: bytes, body: bytes) -> bytes:
        self.signed_for += domains
        return b"DKIM-Signature: d=here.example\r\n"

    async def scan(self, blob: Any) -> str:
        return "facts"

    def wake_queue(self, destinations: Any) -> None:
        self.woken += destinations


def send(
    to: str = "",
    lines: tuple[str, ...] = ("one", "two"),
    domains: tuple[str, ...] = ("here.example",),
    accounts: tuple[Account, ...] = (),
) -> Any:
    door: Any = Door()
    directory: Any = Served(*domains)
    for one in accounts:
        directory.administrators.append(one)
        directory.routes[one.address] = Resolved(True, ((one.id, one.address),))
    mail = NewsMail(
        directory,
        door,
        Blobs(),
        door,
        door,
        door,
        RoutingTable(),
        lambda created, null: created + 60,
        "mx.here.example",
    )
    run_now(mail.send("e1", to, "mailnode doctor: mx.here.example", list(lines), NOW))
    return door


def read(door: Any) -> Any:
    (submission,) = door.queued
    return message_from_bytes(submission.blob.content, policy=policy.default)


def test_postmaster_of_the_first_domain_is_told() -> None:
    door = send(domains=("zeta.example", "here.example"))
    (submission,) = door.queued
    assert submission.envelope.id == "e1" and submission.envelope.reverse_path == ""
    assert len(submission.envelope.recipients) == 1 and submission.facts == "facts" and door.woken
    message = read(door)
    assert message["To"] == "postmaster@here.example" and message["Subject"] == "mailnode doctor: mx.here.example"
    assert message["Auto-Submitted"] == "auto-generated" and message["Message-ID"] == "<e1@mx.here.example>"
    assert message.get_content().splitlines() == ["one", "two"]
    assert not door.signed_for


def test_accounts_of_administrators_are_told_and_nobody_twice() -> None:
    accounts = (
        Account("id-ann", "ann@here.example", role="admin"),  # who is postmaster, too
        Account("id-eve", "eve@here.example", role="admin", status="no-login"),
        Account("id-joe", "joe@here.example"),
        Account("id-max", "max@here.example", role="admin", status="suspended"),
    )
    (submission,) = send(accounts=accounts).queued
    assert sorted(one.address for one in submission.envelope.recipients) == [
        "ann@here.example",
        "eve@here.example",
    ]
    (submission,) = send("nobody@here.example", accounts=accounts[:1]).queued
    assert [one.address for one in submission.envelope.recipients] == ["ann@here.example"]


def test_an_address_elsewhere_is_told_with_a_signature() -> None:
    door = send("admin@elsewhere.example")
    assert door.signed_for == ["here.example"] and door.queued[0].facts is None
    assert door.queued[0].blob.content.startswith(b"DKIM-Signature: ") and read(door)["To"] == "admin@elsewhere.example"


def test_words_of_others_change_nothing_of_the_message() -> None:
    message = read(send(lines=("it says: x\r\nSubject: other\r\n\r\n.", "Größe")))
    assert message["Subject"] == "mailnode doctor: mx.here.example" and len(message.get_content().splitlines()) == 2
    assert "Größe" in message.get_content()


def test_nobody_can_be_told() -> None:
    with pytest.raises(BadAddress):
        send("nobody@here.example")
    with pytest.raises(DomainError):
        send(domains=())
