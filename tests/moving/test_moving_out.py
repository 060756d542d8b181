"""Mail moves out, and in again: nothing is lost that the form has a place for."""

import json
import mailbox
import os
import shutil
import tarfile

import pytest
from account_support import ALICE, ARRIVED, MovingAccount, run

from mailnode.moving.whole_files import WholeFile

CONTENTS = [
    b"Message-ID: <1@side.test>\r\nSubject: one\r\n\r\nFrom here\r\n>From there\r\n>>From afar\r\n",
    b"Subject: gr\xfc\xdfe\r\n\r\n\0 and a bare \r in it\r\n\r\n",
    b"no header at all\r\n",
    b"\r\nFrom a body alone\r\n",
    b"Subject: empty\r\n\r\n",
    b"Subject: lf at the end of a piece\r\n\r\n" + b"x" * 262_110 + b"\r\nFrom y\r\n",
]
FLAGS = [("\\Seen",), ("\\Flagged", "work"), (), (), ("\\Draft", "\\Deleted", "$Forwarded"), ("\\Answered",)]
NAMES = ["INBOX", "Work/20.24", "Grüße", "% & .odd"]


@pytest.fixture
def full(alice):
    """The account with mail in several mailboxes."""
    from mailnode.message.scanner import read_facts
    from mailnode.values.flags import SYSTEM_FLAGS
    from mailnode.values.mailbox import NewMessage

    async def fill(mail):
        for name in NAMES:
            info = await mail.create(name) if name != "INBOX" else await mail.named(name)
            new = []
            for number, (content, flags) in enumerate(zip(CONTENTS, FLAGS, strict=True)):
                bits = sum(SYSTEM_FLAGS.get(flag, 0) for flag in flags)
                words = tuple(flag for flag in flags if flag not in SYSTEM_FLAGS)
                blob = await mail.blobs().put(content)
                at = (ARRIVED + number) * 1_000_000
                new.append(NewMessage(blob, read_facts(content), at, flags=bits, keywords=words))
            await mail.open(info.id).append(new)
        await mail.subscribe("Work/20.24", True)

    alice.work(fill)
    return alice


@pytest.fixture
def other(fresh, tmp_path):
    """The same account, empty, in another directory."""
    return MovingAccount(shutil.copytree(fresh.data, tmp_path / "other"))


def export(account, form, target, code=0):
    return json.loads(run(account.data, "export", form, ALICE, str(target), "--json", code=code))


@pytest.mark.parametrize("form", ["maildir", "mbox", "tar", "tar.gz"])
def test_what_went_out_comes_in_the_same(full, other, tmp_path, form):
    out = tmp_path / f"out.{form}"
    form = form.removesuffix(".gz")
    told = export(full, form, out)
    assert (told["written"], told["damaged"]) == (4 * len(CONTENTS), 0)
    report = other.bring(form, str(out))
    assert (report["brought"], report["failed"]) == (told["written"], 0)
    for name in NAMES:
        there, here = full.contents(name), other.contents(name)
        if form == "mbox":  # what has no header has no place for flags; those have none
            assert {content for content, _, _ in here} == set(CONTENTS)
        assert sorted(here) == sorted(there)
    assert full.bring(form, str(out))["brought"] == 0
    if form == "maildir":
        assert "Work/20.24" in other.work(lambda mail: mail.subscriptions())


@pytest.mark.parametrize("form", ["maildir", "mbox", "tar"])
def test_mail_that_was_delivered_is_known_when_it_comes_back(alice, other, tmp_path, form):
    from mailnode.message.scanner import read_facts
    from mailnode.values.mailbox import NewMessage

    tops = [b"Return-Path: <a@side.test>\r\n", b"Return-Path: <b@side.test>\r\n", b""]

    async def deliver(mail):
        blob, facts = await mail.blobs().put(CONTENTS[0]), read_facts(CONTENTS[0])
        inbox = mail.open((await mail.named("INBOX")).id)
        await inbox.append([NewMessage(blob, facts, ARRIVED * 1_000_000, prefix=top) for top in tops])

    alice.work(deliver)
    export(alice, form, tmp_path / "out")
    assert other.bring(form, str(tmp_path / "out"))["brought"] == len(tops)
    again = alice.bring(form, str(tmp_path / "out"))
    assert (again["brought"], again["present"]) == (0, len(tops))
    # What stands on top is a part of it: one of these that is gone comes back, though others differ in nothing else.
    alice.work(lambda mail: _without(mail, 2))
    assert alice.bring(form, str(tmp_path / "out"))["brought"] == 1
    assert sorted(content for content, _, _ in alice.contents()) == sorted(top + CONTENTS[0] for top in tops)


async def _without(mail, uid):
    await mail.open((await mail.named("INBOX")).id).expunge([uid], False)


def test_a_second_export_to_a_maildir_adds_what_is_new_and_flags(full, tmp_path):
    export(full, "maildir", tmp_path / "out")

    async def flag(mail):
        await mail.open((await mail.named("INBOX")).id).store_flags([3], "add", 4, ["later"])

    full.work(flag)
    names = sorted(path.name for path in (tmp_path / "out/cur").iterdir())
    told = export(full, "maildir", tmp_path / "out")
    assert (told["written"], told["messages"]) == (0, 4 * len(CONTENTS))
    now = sorted(path.name for path in (tmp_path / "out/cur").iterdir())
    assert len(now) == len(names) and [name for name in now if name not in names] == [
        next(name for name in now if ".U3V" in name)
    ]
    assert now[2].endswith(":2,Fc")


def test_others_read_what_went_out(full, tmp_path):
    export(full, "mbox", tmp_path / "mbox")
    box = mailbox.mbox(tmp_path / "mbox/INBOX.mbox")
    assert len(box) == len(CONTENTS)
    assert (box[0]["Subject"], box[0].get_flags()) == ("one", "RO")
    export(full, "maildir", tmp_path / "maildir")
    found = mailbox.Maildir(tmp_path / "maildir", create=False)
    assert len(found) == len(CONTENTS) and len(found.list_folders()) == len(full.names()) - 1
    assert {message.get_flags() for message in found} >= {"S", "R", ""}


@pytest.mark.parametrize("name", ["out.tar", "out.tar.gz"])
def test_a_tar_has_a_file_a_message(full, tmp_path, name):
    told = export(full, "tar", tmp_path / name)
    with tarfile.open(tmp_path / name) as tar:
        members = tar.getmembers()
        assert len(members) == told["written"] == 4 * len(CONTENTS)
        inbox = [one for one in members if one.name.startswith("INBOX/")]
        assert [tar.extractfile(one).read() for one in inbox] == CONTENTS
        assert [one.mtime for one in inbox] == [ARRIVED + number for number in range(len(CONTENTS))]
        assert inbox[1].pax_headers["MAILNODE.flags"] == "\\Flagged work"
        assert {one.name.partition("/")[0] for one in members} == {"INBOX", "Work", "Grüße", "%25 & .odd"}


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_half_made(full, tmp_path):
    (tmp_path / "file").write_text("x")
    for form in ("maildir", "mbox"):
        run(full.data, "export", form, ALICE, str(tmp_path / "file/below"), code=1)
    (tmp_path / "out").mkdir()
    run(full.data, "export", "tar", ALICE, str(tmp_path / "out/none/x.tar"), code=1)
    run(full.data, "export", "tar", "nobody@mailnode.test", str(tmp_path / "out/x.tar"), code=3)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("form", "link"), [("maildir", "cur"), ("maildir", ".Work.20&AC4-24"), ("mbox", "Work.sbd")])
def test_a_link_where_mail_is_to_be_written_is_not_followed(full, tmp_path, form, link):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / link).symlink_to(elsewhere)
    run(full.data, "export", form, ALICE, str(out), code=1)
    assert not list(elsewhere.iterdir())


def test_what_is_given_up_on_a_full_disk_leaves_nothing(tmp_path):
    whole = WholeFile(tmp_path / "alice.tar")
    whole.file.write(b"that has no room")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, whole.file.fileno())
    os.close(full)
    whole.give_up()
    assert not list(tmp_path.iterdir())
