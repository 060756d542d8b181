"""Mail of an mbox moves in."""

from account_support import ARRIVED, run

FIRST = b"""From bob@side.test Sun Feb 12 03:04:05 2023
From: bob@side.test
Message-ID: <1@side.test>
Status: RO
X-Status: AF
X-Keywords: work $Forwarded
X-UID: 17
Subject: one

>From the beginning
>>From twice
From here on nothing begins, for there is no date.

From nobody either
plain

From MAILER-DAEMON Sun Feb 12 03:04:06 2023
Subject: two
Date: Sun, 12 Feb 2023 01:00:00 +0200

body
"""


def write(path, content):
    path.write_bytes(content)
    return str(path)


def test_messages_with_flags_keywords_and_dates(alice, tmp_path):
    report = alice.bring("mbox", write(tmp_path / "box", FIRST))
    assert (report["complete"], report["brought"]) == (True, 2)
    one, two = alice.contents()
    assert one == (
        b"From: bob@side.test\r\nMessage-ID: <1@side.test>\r\nSubject: one\r\n\r\nFrom the beginning\r\n>From twice\r\n"
        b"From here on nothing begins, for there is no date.\r\n\r\nFrom nobody either\r\nplain\r\n",
        {"\\Seen", "\\Answered", "\\Flagged", "work", "$Forwarded"},
        ARRIVED,
    )
    assert two == (b"Subject: two\r\nDate: Sun, 12 Feb 2023 01:00:00 +0200\r\n\r\nbody\r\n", frozenset(), ARRIVED + 1)
    assert alice.bring("mbox", str(tmp_path / "box"))["present"] == 2
    (tmp_path / "box").write_bytes(FIRST + b"\nFrom x@y.test Sun Feb 12 03:04:07 2023\r\nSubject: three\r\n\r\n\r\n")
    assert alice.bring("mbox", str(tmp_path / "box"))["brought"] == 1
    assert alice.contents()[2][0] == b"Subject: three\r\n\r\n"


def test_a_directory_of_them_and_a_mailbox_by_name(alice, tmp_path):
    (tmp_path / "old/Work.sbd").mkdir(parents=True)
    for name in ("INBOX.mbox", "Work", "Work.sbd/20%2524", "notes.txt"):
        (tmp_path / "old" / name).write_bytes(FIRST if name != "notes.txt" else b"Dear diary\n")
    report = alice.bring("mbox", str(tmp_path / "old"))
    assert [one["mailbox"] for one in report["folders"]] == ["INBOX", "Work", "Work/20%24"]
    assert report["brought"] == 6
    alice.bring("mbox", str(tmp_path / "old/Work"), ("--mailbox", "Archive/old"))
    assert len(alice.contents("Archive/old")) == 2


def test_what_is_no_mbox_and_what_is_odd_in_one(alice, tmp_path):
    (skipped,) = alice.bring("mbox", write(tmp_path / "not", b"Dear diary\n"))["skipped"]
    assert "does not begin as an mbox does" in skipped["why"]
    assert alice.bring("mbox", write(tmp_path / "empty", b""))["brought"] == 0
    at = b"From y Sun Feb 12 03:04:07 2023\n"
    odd = b"From x\nno header, and \0 and \xff\n\n" + at + b"\nbody alone\n\n" + at
    told = alice.bring("mbox", write(tmp_path / "odd", odd), code=1)
    assert (told["brought"], told["failed"]) == (2, 1)
    assert [content for content, _, _ in alice.contents()] == [b"no header, and \0 and \xff\r\n", b"\r\nbody alone\r\n"]
    long = b"From x Sun Feb 12 03:04:07 2023\nSubject: long\n\n" + b"y" * 3_000_000 + b"\n>From z"
    alice.bring("mbox", write(tmp_path / "long", long))
    assert alice.contents()[2][0].endswith(b"y\r\nFrom z\r\n")


def test_the_words_for_people(alice, tmp_path):
    said = run(alice.data, "import", "mbox", write(tmp_path / "box", FIRST), alice.address)
    assert "2 messages came" in said and "INBOX" in said
