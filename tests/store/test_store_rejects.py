"""What was refused to accounts, in a mailbox whose messages go by themselves."""

from __future__ import annotations

import pytest

from mailnode.delivery import rejects as module
from mailnode.delivery.rejects import KEPT, MOST, PER_MINUTE, WAITING, Rejects
from mailnode.message.scanner import read_facts
from mailnode.values.address import parse_address
from mailnode.values.directory import Resolved
from mailnode.values.refused import RefusedMail

ANN, NOBODY, AWAY, BEA = (parse_address(one) for one in ("ann@us.test", "no@us.test", "x@far.test", "bea@us.test"))
HEADER = b"From: shop@far.test\r\nSubject: =?utf-8?q?cheap?= watches\r\nX-Long: a\r\n b\r\n\r\n"


class Directory:
    async def is_local(self, domain):
        return domain == "us.test"

    async def resolve(self, address):
        known = {ANN: (("ann", "ann@us.test"),), BEA: (("bea", "bea@us.test"),)}
        return Resolved(address in known, known.get(address, ()))


def refused(*recipients, header=HEADER, number=1):
    reply = "550 5.7.1 Message looks like junk and was not taken"
    return RefusedMail(
        f"e{number}", "shop@far.test", recipients, "192.0.2.1", "far.test", reply, "words: cheap", header
    )


class Post:
    def __init__(self, store, blobs, clock, loop):
        async def scan(blob):
            return read_facts(await blobs.read_staged(blob))

        self.store, self.clock, self.loop = store, clock, loop
        self.rejects = Rejects(Directory(), store, blobs, scan, clock, "mx.us.test")

    def note(self, *all_refused):
        for one in all_refused:
            self.rejects.note(one)
        self.clock.advance(0)
        self.loop.run(self.rest())

    async def rest(self):
        while self.rejects._at_work:
            await self.store.account("ann").modseq()

    def boxes(self, account="ann"):
        return {one.name: one for one in self.loop.run(self.store.account(account).mailboxes())}

    def texts(self, name="Rejects"):
        box = self.store.account("ann").open(self.boxes()[name].id)
        uids = self.loop.run(box.snapshot()).uids.tolist()
        return [self.loop.run(box.read(blob)).decode() for _, blob in self.loop.run(box.rows(uids, ("blob",)))]


@pytest.fixture
def post(store, blobs, clock, loop):
    return Post(store, blobs, clock, loop)


def test_its_owner_sees_what_was_refused_and_why(post, hints):
    post.note(refused(ANN))
    (text,) = post.texts()
    assert "Subject: Refused: cheap watches\r\n" in text
    for line in (
        "From:   shop@far.test",
        "For:    ann@us.test",
        "Client: far.test [192.0.2.1]",
        "Reply:  550 5.7.1 Message looks like junk and was not taken",
        "Why:    words: cheap",
        "In the log: e1",
        "| X-Long: a",
    ):
        assert f"{line}\r\n" in text
    info = post.boxes()["Rejects"]
    assert info.subscribed and info.special_use == ""
    assert hints.published
    box = post.store.account("ann").open(info.id)
    assert post.loop.run(box.snapshot()).flags.tolist() == [0]


def test_without_a_header_it_says_so(post):
    post.note(refused(ANN, header=b""))
    (text,) = post.texts()
    assert "Subject: Refused: mail from shop@far.test\r\n" in text
    assert "It was refused before it came" in text


def test_nobody_sees_what_was_refused_to_who_is_not_here(post):
    post.note(refused(NOBODY, AWAY))
    assert "Rejects" not in post.boxes()


def test_the_mailbox_is_known_whatever_it_is_called_and_one_of_that_name_is_left_alone(post):
    account = post.store.account("ann")
    own = post.loop.run(account.create("Rejects"))
    post.note(refused(ANN))
    assert len(post.texts("Rejects 2")) == 1
    post.loop.run(account.rename(post.boxes()["Rejects 2"].id, "Refused"))
    post.note(refused(ANN, number=2))
    assert len(post.texts("Refused")) == 2
    assert post.loop.run(account.open(own.id).snapshot()).uids.tolist() == []


def test_so_many_a_minute_and_so_many_at_all(post, monkeypatch):
    post.note(*[refused(ANN, number=number) for number in range(PER_MINUTE + 3)])
    assert len(post.texts()) == PER_MINUTE
    post.clock.advance(60)
    monkeypatch.setattr(module, "MOST", 6)
    post.note(*[refused(ANN, number=number) for number in range(10, 13)])
    texts = post.texts()
    assert len(texts) == 6 and "In the log: e12" in texts[-1]
    assert MOST == 100


def test_they_go_after_their_time(post):
    post.note(refused(ANN))
    post.clock.advance(86_400)
    post.note(refused(ANN, number=2))
    post.loop.run(post.store.sweep(post.clock.seconds() + KEPT - 3600))
    assert len(post.texts()) == 1
    post.loop.run(post.store.sweep(post.clock.seconds() + KEPT + 1))
    assert post.texts() == []


def test_what_is_in_the_way_ends_it(post):
    post.loop.run(post.store.set_quota("ann", 10, 0))
    post.note(refused(ANN, BEA), refused(ANN))
    assert "Rejects" not in post.boxes()
    post.loop.run(post.store.set_quota("ann", 0, 0))
    post.note(*[refused(NOBODY, number=number) for number in range(WAITING - 1)], refused(ANN), refused(ANN, number=2))
    assert len(post.texts()) == 1


def test_whatever_a_header_holds_is_text(post):
    post.note(refused(ANN, header=b"Subject: a\r\nX: " + b"\xff\x00\x1b[2J" * 9000 + b"\r\n\r\n"))
    (text,) = post.texts()
    assert "\x00" not in text and "\x1b" not in text
    assert len(text) < 100_000
