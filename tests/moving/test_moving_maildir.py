"""Mail of a Maildir moves in."""

import os

import pytest
from account_support import ARRIVED, run

SEEN = frozenset({"\\Seen"})


def text(subject, body="hello\r\n"):
    return f"From: bob@side.test\r\nMessage-ID: <{subject}@side.test>\r\nSubject: {subject}\r\n\r\n{body}".encode()


def put(folder, name, content, part="cur", at=ARRIVED):
    for one in ("cur", "new", "tmp"):
        (folder / one).mkdir(parents=True, exist_ok=True)
    file = folder / part / name
    file.write_bytes(content)
    os.utime(file, (at, at))


@pytest.fixture
def old(tmp_path):
    return tmp_path / "Maildir"


def folder(report, name):
    (found,) = (one for one in report["folders"] if one["folder"] == name)
    return found


def test_folders_flags_keywords_and_dates_come_over_and_a_second_run_brings_nothing(alice, old):
    put(old, "1676171045.M1.host:2,FRS", text("one"))
    put(old, "1676171046.M2.host", text("two"), part="new", at=ARRIVED + 1)
    put(old / ".Work.2024", "1.M3.host:2,Sab", text("three"))
    (old / ".Work.2024/dovecot-keywords").write_text("0 $Forwarded\n1 NonJunk\n")
    put(old / ".Gr&APwA3w-e", "1.M4.host:2,DT", text("four"))
    (old / "subscriptions").write_bytes(b"V\t2\n\nWork\t2024\n")
    report = alice.bring("maildir", str(old))
    assert (report["complete"], report["brought"], report["failed"]) == (True, 4, 0)
    assert alice.contents() == [
        (text("one"), SEEN | {"\\Flagged", "\\Answered"}, ARRIVED),
        (text("two"), frozenset(), ARRIVED + 1),
    ]
    assert alice.contents("Work/2024") == [(text("three"), SEEN | {"$Forwarded", "NonJunk"}, ARRIVED)]
    assert alice.contents("Grüße") == [(text("four"), frozenset({"\\Draft", "\\Deleted"}), ARRIVED)]
    assert "Work/2024" in alice.work(lambda mail: mail.subscriptions())
    assert "Grüße" not in alice.work(lambda mail: mail.subscriptions())
    again = alice.bring("maildir", str(old))
    assert (again["brought"], again["present"], again["flags_added"]) == (0, 4, 0)
    put(old, "1676171047.M5.host:2,", text("five"))
    assert alice.bring("maildir", str(old))["brought"] == 1


def test_directories_within_directories_are_folders(alice, old):
    put(old, "1.a:2,", text("one"))
    put(old / "Work" / "2024", "1.b:2,S", text("two"))
    (old / "Work" / "linked").symlink_to(old)
    (old / "Work" / "notes").symlink_to(old / "cur/1.a:2,")
    told = alice.bring("maildir", str(old))
    assert [one["mailbox"] for one in told["folders"]] == ["INBOX", "Work/2024"]
    assert [(one["folder"], "a link" in one["why"]) for one in told["skipped"]] == [("Work/linked", True)]
    assert "Work/linked" not in alice.names()
    assert alice.contents("Work/2024")[0][0] == text("two")


def test_flags_are_those_that_either_side_gave(alice, old):
    put(old, "1.a:2,F", text("one"))
    alice.bring("maildir", str(old))

    async def flag(mail):
        box = mail.open((await mail.named("INBOX")).id)
        await box.store_flags([1], "set", 2, ["mine"])

    alice.work(flag)
    (old / "cur/1.a:2,F").rename(old / "cur/1.a:2,FS")
    told = folder(alice.bring("maildir", str(old)), "INBOX")
    assert (told["flags_added"], told["flags_here_only"], told["present"]) == (1, 1, 1)
    assert alice.contents()[0][1] == {"\\Seen", "\\Flagged", "\\Answered", "mine"}


def test_what_two_files_say_alike_comes_once(alice, old):
    put(old, "1.a:2,S", text("one"))
    put(old, "2.b:2,F", text("one"))
    report = alice.bring("maildir", str(old))
    assert (report["brought"], report["present"]) == (1, 1)
    assert alice.contents()[0][1] == {"\\Seen", "\\Flagged"}
    assert alice.bring("maildir", str(old))["brought"] == 0


def test_odd_content_is_taken_as_append_takes_it(alice, old):
    put(old, "1.a:2,", b"Subject: lf\n\nbare\nlines")
    put(old, "2.b:2,", b"Subject: nul\r\n\r\na\0b \xff\r\n")
    put(old, "3.c:2,", b"no header at all\r\n")
    put(old, "4.d:2,", b"Subject: gr\xfc\xdfe\r\n\r\n")
    put(old, "5.e:2,", b"")
    told = folder(alice.bring("maildir", str(old), code=1), "INBOX")
    assert (told["brought"], told["failed"], told["failures"]) == (4, 1, ["message 5: it is empty"])
    assert [content for content, _, _ in alice.contents()] == [
        b"Subject: lf\r\n\r\nbare\r\nlines\r\n",
        b"Subject: nul\r\n\r\na\0b \xff\r\n",
        b"no header at all\r\n",
        b"Subject: gr\xfc\xdfe\r\n\r\n",
    ]
    assert alice.bring("maildir", str(old), code=1)["brought"] == 0
    assert "all right" in run(alice.data, "store", "verify", "--contents")


def test_folders_whose_names_cannot_be_here_get_others_and_that_is_told(alice, old):
    put(old, "1.a:2,", text("one"))
    for index, name in enumerate((".inbox.sub", ".a&b", ".br&oken.x", f".{'y' * 250}", ".tab\tbed", ".Sent Items")):
        put(old / name, f"{index}.x:2,", text(f"of {index}"))
    report = alice.bring("maildir", str(old))
    told = {one["folder"]: (one["mailbox"], one["why"]) for one in report["folders"]}
    assert told["inbox/sub"] == ("INBOX/sub", "")
    assert told["a&b"] == ("a&b", "its modified UTF-7 is broken")
    assert told["br&oken/x"][1] == "its modified UTF-7 is broken"
    assert told["tab\tbed"][0] == "tab_bed" and "it has control characters" in told["tab\tbed"][1]
    assert told["Sent Items"] == ("Sent", "it is what Sent is here")
    assert report["brought"] == 7


def test_uidls_of_dovecot_come_with_the_messages(alice, old):
    for name in ("1.a", "2.b", "3.c"):
        put(old, f"{name}:2,", text(name))
    (old / "dovecot-uidlist").write_text("3 V1700000000 N4 Gabc\n1 :1.a\n2 PmyOld.id :2.b:2,S\n")
    alice.bring("maildir", str(old), ("--uidl",))
    assert alice.uidls()[:2] == ["000000016553F100", "myOld.id"]
    assert "." in alice.uidls()[2]


def test_only_some_folders_under_names_that_were_asked_for(alice, old):
    for name in (".a", ".b", ".c"):
        put(old / name, "1.x:2,", text(name))
    options = ("--without", "b", "--map", "c=Archive/c")
    assert alice.bring("maildir", str(old), options)["brought"] == 2
    assert {"a", "Archive/c"} <= set(alice.names()) and "b" not in alice.names()
    assert [one["folder"] for one in alice.bring("maildir", str(old), ("--folder", "b"))["folders"]] == ["b"]


def test_what_is_no_file_is_left_alone(alice, old, tmp_path):
    put(old, "1.a:2,", text("one"))
    os.mkfifo(old / "cur/2.fifo")
    (old / "cur/3.link").symlink_to("/etc/passwd")
    assert alice.bring("maildir", str(old))["brought"] == 1


def test_mail_that_a_link_leads_to_is_somebody_else_s(alice, old, tmp_path):
    bobs = tmp_path / "bob"
    put(bobs, "1.b:2,", text("bob"))
    put(old, "1.a:2,", text("one"))
    (old / "new").rmdir()
    (old / "new").symlink_to(bobs / "cur")
    (old / ".Work").mkdir()
    (old / ".Work/cur").symlink_to(bobs / "cur")
    (old / ".Bob").symlink_to(bobs)
    told = alice.bring("maildir", str(old))
    assert told["brought"] == 1 and [one["folder"] for one in told["skipped"]] == ["Bob"]
    assert not {"Work", "Bob"} & set(alice.names())


def test_names_of_files_that_are_not_utf8_are_in_the_report(alice, tmp_path):
    odd = tmp_path / os.fsdecode(b"Mail\xff")
    put(odd, "1.a:2,", text("one"))
    report = alice.bring("maildir", str(odd))
    assert (report["brought"], report["source"]) == (1, f"maildir {odd}")


def test_a_list_of_uids_that_is_nonsense_is_no_hindrance(alice, old):
    put(old, "1.a", text("one"))
    (old / "dovecot-uidlist").write_bytes(b"3 V" + b"9" * 5000 + b" N2\n1 :1.a\n")
    assert alice.bring("maildir", str(old), "--uidl")["brought"] == 1


def test_the_quota_ends_it_and_the_next_run_goes_on(alice, old):
    for number in range(3):
        put(old / f".f{number}", "1.a:2,", text(f"m{number}"))
    run(alice.data, "account", "quota", alice.address, "--messages", "2")
    report = alice.bring("maildir", str(old), code=1)
    assert (report["complete"], report["brought"]) == (False, 2)
    assert "quota" in report["stopped"]
    run(alice.data, "account", "quota", alice.address, "--messages", "0")
    report = alice.bring("maildir", str(old))
    assert (report["brought"], report["present"]) == (1, 2)


def test_a_file_without_a_time_has_that_of_its_name(alice, old):
    put(old, "1676171045.b:2,", text("two"), at=0)
    assert alice.bring("maildir", str(old))["brought"] == 1
    assert [arrived for _, _, arrived in alice.contents()] == [ARRIVED]


def test_mailboxes_for_which_there_is_no_room_end_it_in_words(alice, old):
    for name in ("a", "b", "c"):
        put(old / f".{name}", "1.x:2,", text(name))
    run(alice.data, "account", "quota", alice.address, "--mailboxes", str(len(alice.names()) + 1))
    report = alice.bring("maildir", str(old), code=1)
    assert report["brought"] == 1 and report["stopped"].startswith("b: ")


def test_a_directory_without_mail_is_told(alice, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no Maildir" in alice.bring("maildir", str(tmp_path / "empty"), code=1)["stopped"]
    said = run(alice.data, "import", "maildir", str(tmp_path / "empty"), alice.address, code=1)
    assert "run the same command again" in said
