"""What well-known mail programs send in their everyday work, as scripts with the exact replies they have to get.

The shapes are those of their command builders: item order, quoting and pipelining as they do it. A change that breaks one
of these breaks a program people use.
"""

from functools import partial

import pytest
from imap_world import play

from mailnode.imap.hiding import Hiding

MESSAGE = (
    b"From: Ann <ann@a.test>\r\nTo: bob@a.test\r\nSubject: Lunch\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\n"
    b"Message-ID: <1@a.test>\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nAt noon?\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<p>At noon?</p>\r\n--b--\r\n"
)
STRUCTURE = (
    '(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 8 0 NIL NIL NIL NIL)'
    '("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 15 0 NIL NIL NIL NIL) "alternative"'
    ' ("boundary" "b") NIL NIL NIL)'
)
SIZE = len(MESSAGE)
TEXT = MESSAGE.decode().partition("\r\n\r\n")[2]


def with_messages(make_world):
    world = make_world()
    for _ in range(2):
        world.put(MESSAGE)
    world.connect(login=False)
    return world


@pytest.fixture
def replay(make_world):
    """Play a script without regard for how deep its lines stand in the test."""
    return partial(play, partial(with_messages, make_world))


SELECTED = """
        S: * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)
        S: * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] Flags kept
        S: * 2 EXISTS
        S: * 2 RECENT
        S: * OK [UNSEEN 1] First unseen message
        S: * OK [UIDVALIDITY …] UIDs valid
        S: * OK [UIDNEXT 3] Predicted next UID
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * OK [MAILBOXID (Facc-…)] Mailbox id
"""


def lines(text: str) -> str:
    """Octets that come back, as lines of a script."""
    return "".join(f"S: {line}\n" for line in text.split("\r\n"))


def literal(label: str, content: str, behind: str = ")") -> str:
    return lines(f"{label} {{{len(content)}}}\r\n{content}{behind}")


def header(*names: str) -> str:
    """The fields of the message with these names, and the blank line."""
    wanted = [line for line in MESSAGE.decode().split("\r\n\r\n")[0].split("\r\n") if line.split(":")[0] in names]
    return "".join(line + "\r\n" for line in wanted) + "\r\n"


def test_thunderbird(replay):
    """As release 153 does, seen in tests/end_to_end/test_e2e_thunderbird.py, but for COMPRESS and GETACL."""
    asked = "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type"
    fields = header(*asked.split())
    asked += " Reply-To Received"
    replay(
        """
        C: 1 authenticate PLAIN
        S: +…
        C: AGFsaWNlAHNlY3JldA==
        S: 1 OK [CAPABILITY …] AUTHENTICATE completed
        C: 2 namespace
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S: 2 OK NAMESPACE completed
        C: 3 ID ("name" "Thunderbird" "version" "153.8.0")
        S: * ID ("name" "mailnode" "version" "1")
        S: 3 OK ID completed
        C: 4 ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: 4 OK ENABLE completed
        C: 5 list (subscribed) "" "*" return (special-use)
        S: * LIST (\\Subscribed \\HasNoChildren) "/" INBOX
        S: …
        S: 5 OK LIST completed
        C: 6 list (subscribed) "" "Other Users/*" return (special-use)
        S: 6 OK LIST completed
        C: 6 list (subscribed) "" "Shared Folders/*" return (special-use)
        S: 6 OK LIST completed
        C: 7 list "" "INBOX"
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: 7 OK LIST completed
        C: 8 select "INBOX"
        """
        + SELECTED
        + f"""
        S: 8 OK [READ-WRITE] SELECT completed
        C: 9 myrights "INBOX"
        S: * MYRIGHTS INBOX lrswipkxteacd
        S: 9 OK MYRIGHTS completed
        C: 11 getquotaroot "INBOX"
        S: * QUOTAROOT INBOX
        S: 11 OK GETQUOTAROOT completed
        C: 12 UID fetch 1:* (FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\\Recent))
        S: * 2 FETCH (UID 2 FLAGS (\\Recent))
        S: 12 OK FETCH completed
        C: 13 UID fetch 1 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({asked})])
        """
        + literal(f"* 1 FETCH (UID 1 RFC822.SIZE {SIZE} FLAGS (\\Recent) BODY[HEADER.FIELDS ({asked})]", fields)
        + """
        S: 13 OK FETCH completed
        C: 14 UID fetch 1 (UID RFC822.SIZE BODY.PEEK[])
        """
        + literal(f"* 1 FETCH (UID 1 RFC822.SIZE {SIZE} BODY[]", MESSAGE.decode())
        + """
        S: 14 OK FETCH completed
        C: 15 UID fetch 1 (UID BODY.PEEK[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)] BODY.PEEK[TEXT]<0.2048>)
        """
        + literal(
            "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)]", header("Content-Type"), ""
        ).rstrip("\n")
        + lines(f" BODY[TEXT]<0> {{{len(TEXT)}}}\r\n{TEXT})")[3:]
        + """
        S: 15 OK FETCH completed
        C: 16 uid store 1 +Flags (\\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))
        S: 16 OK STORE completed
        C: 17 uid store 2 +FLAGS ($label1)
        S: * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $label1)
        S: …
        S: * 2 FETCH (UID 2 FLAGS ($label1 \\Recent))
        S: 17 OK STORE completed
        C: 18 IDLE
        S: + idling
        ! world.put(b"Subject: new" + bytes((13, 10, 13, 10)))
        S: * 3 EXISTS
        S: * 3 RECENT
        C: DONE
        S: 18 OK IDLE terminated
        C: 19 noop
        S: 19 OK NOOP completed
        C: 20 UID fetch 3:* (FLAGS)
        S: * 3 FETCH (UID 3 FLAGS (\\Recent))
        S: 20 OK FETCH completed
        C: 21 uid move 1 "Trash"
        S: * OK [COPYUID … 1 1] Moved
        S: * 1 EXPUNGE
        S: 21 OK MOVE completed
        C: 22 UID fetch 4:* (FLAGS)
        S: * 2 FETCH (UID 3 FLAGS (\\Recent))
        S: 22 OK FETCH completed
        C: 23 create "Größe"
        S: 23 OK …
        C: 24 subscribe "Größe"
        S: 24 OK SUBSCRIBE completed
        C: 25 list "" "Größe"
        S: * LIST (\\HasNoChildren) "/" …
        S: 25 OK LIST completed
        C: 26 UID fetch 1:* (FLAGS) (CHANGEDSINCE 0)
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * 1 FETCH (UID 2 FLAGS ($label1 \\Recent) MODSEQ (…))
        S: * 2 FETCH (UID 3 FLAGS (\\Recent) MODSEQ (…))
        S: 26 OK FETCH completed
        C: 27 logout
        S: * BYE Logging out
        S: 27 OK LOGOUT completed
        """
    )


def test_apple_mail(replay):
    asked = "date subject from to cc message-id in-reply-to references x-priority"
    fields = header("Date", "Subject", "From", "To", "Message-ID")
    replay(
        """
        C: 1.0 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
        S: 1.0 OK [CAPABILITY …] AUTHENTICATE completed
        C: 2.0 ID ("name" "iPhone Mail" "version" "23B85" "os" "iOS" "os-version" "26.1 (23B85)")
        S: * ID ("name" "mailnode" "version" "1")
        S: 2.0 OK ID completed
        C: 3.0 LIST "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN))
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY … UNSEEN 2)
        S: …
        S: 3.0 OK LIST completed
        C: 4.0 SELECT INBOX (CONDSTORE)
        """
        + SELECTED
        + f"""
        S: 4.0 OK [READ-WRITE] SELECT completed
        C: 5.0 UID SEARCH RETURN (ALL) 1:* NOT DELETED
        C: 6.0 UID FETCH 1:2 (FLAGS UID)
        S: * ESEARCH (TAG "5.0") UID ALL 1:2
        S: 5.0 OK SEARCH completed
        S: * 1 FETCH (FLAGS (\\Recent) UID 1 MODSEQ (…))
        S: * 2 FETCH (FLAGS (\\Recent) UID 2 MODSEQ (…))
        S: 6.0 OK FETCH completed
        C: 7.0 UID FETCH 1 (INTERNALDATE UID RFC822.SIZE FLAGS MODSEQ BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS ({asked})])
        """
        + literal(
            f'* 1 FETCH (INTERNALDATE "14-Nov-2023 22:13:20 +0000" UID 1 RFC822.SIZE {SIZE} FLAGS (\\Recent) MODSEQ (…)'
            f" BODYSTRUCTURE {STRUCTURE} BODY[HEADER.FIELDS ({asked})]",
            fields,
        )
        + """
        S: 7.0 OK FETCH completed
        C: 8.0 UID FETCH 1 BODY.PEEK[]<0.393216>
        """
        + literal("* 1 FETCH (UID 1 BODY[]<0>", MESSAGE.decode())
        + """
        S: 8.0 OK FETCH completed
        C: 9.0 UID STORE 1 +FLAGS.SILENT (\\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (…))
        S: 9.0 OK STORE completed
        C: 10.0 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)
        S: * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (…))
        S: * 2 FETCH (UID 2 FLAGS (\\Recent) MODSEQ (…))
        S: 10.0 OK FETCH completed
        C: 11.0 IDLE
        S: + idling
        ! world.put(b"Subject: new" + bytes((13, 10, 13, 10)))
        S: * 3 EXISTS
        S: * 3 RECENT
        C: DONE
        S: 11.0 OK IDLE terminated
        """
    )


def test_k9(replay):
    asked = "date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe sender"
    fields = header("Date", "Subject", "From", "Content-Type", "To", "Message-ID")
    replay(
        """
        C: 1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ …SASL-IR AUTH=PLAIN
        S: 1 OK CAPABILITY completed
        C: 2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
        S: 2 OK [CAPABILITY …] AUTHENTICATE completed
        C: 3 NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S: 3 OK NAMESPACE completed
        C: 4 SELECT "INBOX"
        """
        + SELECTED
        + f"""
        S: 4 OK [READ-WRITE] SELECT completed
        C: 5 UID SEARCH 1:* SINCE 1-Nov-2023 NOT DELETED
        S: * SEARCH 1 2
        S: 5 OK SEARCH completed
        C: 6 UID FETCH 1,2 (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\\Recent))
        S: * 2 FETCH (UID 2 FLAGS (\\Recent))
        S: 6 OK FETCH completed
        C: 7 UID FETCH 2 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({asked})])
        """
        + literal(
            f'* 2 FETCH (UID 2 INTERNALDATE "14-Nov-2023 22:13:20 +0000" RFC822.SIZE {SIZE}'
            f" BODY[HEADER.FIELDS ({asked})]",
            fields,
        )
        + f"""
        S: 7 OK FETCH completed
        C: 8 UID FETCH 2 (UID BODYSTRUCTURE)
        S: * 2 FETCH (UID 2 BODYSTRUCTURE {STRUCTURE})
        S: 8 OK FETCH completed
        C: 9 UID FETCH 2 (UID BODY.PEEK[1])
        """
        + literal("* 2 FETCH (UID 2 BODY[1]", "At noon?")
        + """
        S: 9 OK FETCH completed
        C: 10 UID STORE 2 +FLAGS.SILENT (\\Seen)
        S: 10 OK STORE completed
        C: 11 UID COPY 2 "Trash"
        S: 11 OK [COPYUID … 2 1] COPY completed
        C: 12 UID STORE 2 +FLAGS.SILENT (\\Deleted)
        S: 12 OK STORE completed
        C: 13 UID EXPUNGE 2
        S: * 2 EXPUNGE
        S: 13 OK EXPUNGE completed
        C: 14 UID SEARCH HEADER MESSAGE-ID <1@a.test>
        S: * SEARCH 1
        S: 14 OK SEARCH completed
        """
    )


def test_outlook(replay):
    replay(
        """
        C: abcd CAPABILITY
        S: * CAPABILITY IMAP4rev1 …
        S: abcd OK CAPABILITY completed
        C: zx9q LOGIN "alice" "secret"
        S: zx9q OK [CAPABILITY …] LOGIN completed
        C: 11ur LIST "" ""
        S: * LIST (\\Noselect) "/" ""
        S: 11ur OK LIST completed
        C: q0d8 LSUB "" "*"
        S: * LSUB () "/" INBOX
        S: …
        S: q0d8 OK LSUB completed
        C: vb41 STATUS "INBOX" (UIDNEXT UNSEEN MESSAGES)
        S: * STATUS INBOX (UIDNEXT 3 UNSEEN 2 MESSAGES 2)
        S: vb41 OK STATUS completed
        C: 7k2f SELECT "INBOX"
        """
        + SELECTED
        + """
        S: 7k2f OK [READ-WRITE] SELECT completed
        C: e5n1 FETCH 1:* (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\\Recent))
        S: * 2 FETCH (UID 2 FLAGS (\\Recent))
        S: e5n1 OK FETCH completed
        C: m3p7 UID FETCH 1 (UID FLAGS RFC822.SIZE BODY.PEEK[] INTERNALDATE)
        """
        + lines(
            f'* 1 FETCH (UID 1 FLAGS (\\Recent) RFC822.SIZE {SIZE} INTERNALDATE "14-Nov-2023 22:13:20 +0000"'
            f" BODY[] {{{SIZE}}}\r\n{MESSAGE.decode()})"
        )
        + """
        S: m3p7 OK FETCH completed
        C: t8w2 UID STORE 1 +FLAGS (\\Deleted \\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\\Seen \\Deleted \\Recent))
        S: t8w2 OK STORE completed
        C: y6c0 EXPUNGE
        S: * 1 EXPUNGE
        S: y6c0 OK EXPUNGE completed
        C: h1j5 NOOP
        S: h1j5 OK NOOP completed
        """
    )


# IMAP trap 27: as a telephone asks for it
def test_apple_mail_with_large_mailboxes(replay):
    """What a telephone does where PARTIAL, UIDONLY and UIDBATCHES are offered: no number that is not a UID, either way."""
    asked = "date subject from to cc message-id in-reply-to references x-priority"
    fields = header("Date", "Subject", "From", "To", "Message-ID")
    replay(
        """
        C: 1 LOGIN alice secret
        S: 1 OK [CAPABILITY …] LOGIN completed
        C: 2 ID ("name" "iPhone Mail" "version" "23B85" "os" "iOS" "os-version" "26.1 (23B85)" "event" "back-fill")
        S: * ID ("name" "mailnode" "version" "1")
        S: 2 OK ID completed
        C: 3 ENABLE UIDONLY CONDSTORE QRESYNC
        S: * ENABLED UIDONLY CONDSTORE QRESYNC
        S: 3 OK ENABLE completed
        C: 4 SELECT INBOX (CONDSTORE)
        """
        + SELECTED.replace("        S: * OK [UNSEEN 1] First unseen message\n", "")
        + f"""
        S: …
        S: 4 OK [READ-WRITE] SELECT completed
        C: 5 UIDBATCHES 2000 1:50
        C: 6 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED
        C: 7 UID SEARCH RETURN (COUNT ALL) UID 1:2 UNSEEN
        S: * UIDBATCHES (TAG "5") 2:1
        S: 5 OK UIDBATCHES completed
        S: * ESEARCH (TAG "6") UID PARTIAL (-1:-100 1:2)
        S: 6 OK SEARCH completed
        S: * ESEARCH (TAG "7") UID ALL 1:2 COUNT 2
        S: 7 OK SEARCH completed
        C: 8 UID FETCH 2:1 (FLAGS UID MODSEQ)
        S: * 1 UIDFETCH (FLAGS (\\Recent) UID 1 MODSEQ (…))
        S: * 2 UIDFETCH (FLAGS (\\Recent) UID 2 MODSEQ (…))
        S: 8 OK FETCH completed
        C: 9 UID FETCH 1:* (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({asked})]) (PARTIAL -1:-1)
        """
        + literal(
            f'* 2 UIDFETCH (INTERNALDATE "14-Nov-2023 22:13:20 +0000" UID 2 RFC822.SIZE {SIZE} FLAGS (\\Recent)'
            f" BODY[HEADER.FIELDS ({asked})]",
            fields,
            " MODSEQ (…))",
        )
        + """
        S: 9 OK FETCH completed
        C: 10 UID STORE 1 +FLAGS.SILENT (\\Seen)
        S: * 1 UIDFETCH (MODSEQ (…))
        S: 10 OK [HIGHESTMODSEQ …] STORE completed
        C: 11 UID MOVE 1 "Trash"
        S: * OK [COPYUID … 1 1] Moved
        S: * VANISHED 1
        S: 11 OK [HIGHESTMODSEQ …] MOVE completed
        C: 12 IDLE
        S: + idling
        ! world.put(b"Subject: new" + bytes((13, 10, 13, 10)))
        S: * 2 EXISTS
        S: * 2 RECENT
        ! world.flag(2, "add", 4)
        S: * 2 UIDFETCH (FLAGS (\\Flagged \\Recent) MODSEQ (…))
        ! world.expunge(2)
        S: * VANISHED 2
        C: DONE
        S: 12 OK [HIGHESTMODSEQ …] IDLE terminated
        C: 13 FETCH 1 (FLAGS)
        S: 13 BAD [UIDREQUIRED] Message numbers are not allowed once UIDONLY is enabled
        C: 14 UID FETCH 1:3 (FLAGS) (CHANGEDSINCE 1 VANISHED)
        S: * VANISHED (EARLIER) 1:2
        S: * 3 UIDFETCH (FLAGS (\\Recent) MODSEQ (…))
        S: 14 OK FETCH completed
        """
    )


def test_outlook_for_the_web(make_world):
    """Microsoft's servers say who they are, ENABLE whatever is there, and fetch by sequence numbers all the same: UIDONLY is
    hidden from them, or no mail is ever shown."""
    hiding = Hiding(clients={"microsoft office 365": frozenset({"UIDONLY"})})
    play(
        partial(with_messages, partial(make_world, hiding=hiding)),
        """
        C: A1 ID ("name" "Microsoft Office 365")
        S: * ID ("name" "mailnode" "version" "1")
        S: A1 OK ID completed
        C: A2 LOGIN "alice" "secret"
        S: A2 OK [CAPABILITY …] LOGIN completed
        C: A3 ENABLE UIDONLY
        S: * ENABLED
        S: A3 OK ENABLE completed
        C: A4 SELECT INBOX
        """
        + SELECTED
        + """
        S: …
        S: A4 OK [READ-WRITE] SELECT completed
        C: A5 FETCH 1:2 (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\\Recent))
        S: * 2 FETCH (UID 2 FLAGS (\\Recent))
        S: A5 OK FETCH completed
        """,
    )


def test_mbsync(replay):
    replay(
        """
        C: 1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ …
        S: 1 OK CAPABILITY completed
        C: 2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
        S: 2 OK [CAPABILITY …] AUTHENTICATE completed
        C: 3 NAMESPACE
        C: 4 LIST "" "*"
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S: 3 OK NAMESPACE completed
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: …
        S: 4 OK LIST completed
        C: 5 SELECT "INBOX"
        """
        + SELECTED
        + f"""
        S: …
        S: 5 OK [READ-WRITE] SELECT completed
        C: 6 UID FETCH 1:1000000000 (UID FLAGS RFC822.SIZE)
        S: * 1 FETCH (UID 1 FLAGS (\\Recent) RFC822.SIZE {SIZE})
        S: * 2 FETCH (UID 2 FLAGS (\\Recent) RFC822.SIZE {SIZE})
        S: 6 OK FETCH completed
        C: 7 UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])
        C: 8 UID FETCH 2 (UID FLAGS BODY.PEEK[])
        """
        + literal(
            '* 1 FETCH (UID 1 FLAGS (\\Recent) INTERNALDATE "14-Nov-2023 22:13:20 +0000" BODY[]', MESSAGE.decode()
        )
        + "S: 7 OK FETCH completed\n"
        + literal("* 2 FETCH (UID 2 FLAGS (\\Recent) BODY[]", MESSAGE.decode())
        + """
        S: 8 OK FETCH completed
        C: 9 UID STORE 1 +FLAGS.SILENT (\\Seen)
        C: 10 UID STORE 2 +FLAGS.SILENT (\\Deleted)
        S: 9 OK STORE completed
        S: 10 OK STORE completed
        C: 11 UID SEARCH HEADER X-TUID 0123456789ab
        S: * SEARCH
        S: 11 OK SEARCH completed
        C: 12 UID EXPUNGE 2
        S: * 2 EXPUNGE
        S: 12 OK EXPUNGE completed
        C: 13 CLOSE
        S: 13 OK CLOSE completed
        C: 14 LOGOUT
        S: * BYE Logging out
        S: 14 OK LOGOUT completed
        """
    )


def test_roundcube(replay):
    asked = "DATE FROM TO SUBJECT CONTENT-TYPE CC REPLY-TO LIST-POST DISPOSITION-NOTIFICATION-TO X-PRIORITY"
    fields = header("Date", "From", "To", "Subject", "Content-Type")
    replay(
        """
        C: A0001 ID ("name" "Roundcube" "version" "1.6.11" "php" "8.2" "os" "Linux" "command" "/")
        S: * ID ("name" "mailnode" "version" "1")
        S: A0001 OK ID completed
        C: A0002 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
        S: A0002 OK [CAPABILITY …] AUTHENTICATE completed
        C: A0003 NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S: A0003 OK NAMESPACE completed
        C: A0004 LIST (SUBSCRIBED) "" * RETURN (SPECIAL-USE)
        S: * LIST (\\Subscribed \\HasNoChildren) "/" INBOX
        S: …
        S: A0004 OK LIST completed
        C: A0005 ENABLE QRESYNC
        S: * ENABLED QRESYNC
        S: A0005 OK ENABLE completed
        C: A0006 SELECT INBOX (QRESYNC (1 1))
        """
        + SELECTED
        + f"""
        S: …
        S: A0006 OK [READ-WRITE] SELECT completed
        C: A0007 UID SEARCH RETURN (ALL COUNT MIN MAX) UNDELETED
        S: * ESEARCH (TAG "A0007") UID MIN 1 MAX 2 ALL 1:2 COUNT 2
        S: A0007 OK SEARCH completed
        C: A0008 UID FETCH 1 (UID RFC822.SIZE FLAGS INTERNALDATE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS ({asked})])
        """
        + literal(
            f"* 1 FETCH (UID 1 RFC822.SIZE {SIZE} FLAGS (\\Recent)"
            f' INTERNALDATE "14-Nov-2023 22:13:20 +0000" BODYSTRUCTURE {STRUCTURE}'
            f" BODY[HEADER.FIELDS ({asked})]",
            fields,
            " MODSEQ (…))",
        )
        + """
        S: A0008 OK FETCH completed
        C: A0009 UID FETCH 1 (BODY.PEEK[1])
        """
        + literal("* 1 FETCH (UID 1 BODY[1]", "At noon?")
        + """
        S: A0009 OK FETCH completed
        C: A0010 UID STORE 1 +FLAGS.SILENT (\\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (…))
        S: A0010 OK [HIGHESTMODSEQ …] STORE completed
        C: A0011 UID MOVE 2 Trash
        S: * OK [COPYUID … 2 1] Moved
        S: * VANISHED 2
        S: A0011 OK [HIGHESTMODSEQ …] MOVE completed
        C: A0012 UID FETCH 1:2 (FLAGS) (CHANGEDSINCE 1 VANISHED)
        S: * VANISHED (EARLIER) 2
        S: * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (…))
        S: A0012 OK FETCH completed
        C: A0013 GETQUOTAROOT INBOX
        S: * QUOTAROOT INBOX
        S: A0013 OK GETQUOTAROOT completed
        C: A0014 STATUS INBOX (UNSEEN)
        S: * STATUS INBOX (UNSEEN 0)
        S: A0014 OK STATUS completed
        C: A0015 LOGOUT
        S: * BYE Logging out
        S: A0015 OK LOGOUT completed
        """
    )


def test_a_program_of_imap4rev2_alone(replay):
    """One that relies on RFC 9051 and on no extension: it names no charset, reads ESEARCH alone, and moves what it found."""
    structure = (
        '(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 8 0)'
        '("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 15 0) "alternative")'
    )
    replay(
        """
        C: 1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ …SASL-IR AUTH=PLAIN
        S: 1 OK CAPABILITY completed
        C: 2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
        S: 2 OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ …] AUTHENTICATE completed
        C: 3 ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: 3 OK ENABLE completed
        C: 4 NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S: 4 OK NAMESPACE completed
        C: 5 CREATE "Entwürfe & mehr"
        S: 5 OK [MAILBOXID (…)] CREATE completed
        C: 6 LIST () "" ("*") RETURN (CHILDREN STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE))
        S: * LIST (\\HasNoChildren) "/" INBOX
        """
        + f"S: * STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY … UNSEEN 2 DELETED 0 SIZE {2 * SIZE})"
        + """
        S: …
        S: * LIST (\\HasNoChildren) "/" "Entw\u00c3\u00bcrfe & mehr"
        S: * STATUS "Entw\u00c3\u00bcrfe & mehr" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY … UNSEEN 0 DELETED 0 SIZE 0)
        S: …
        S: 6 OK LIST completed
        C: 7 SELECT inbox
        S: * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)
        S: * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] Flags kept
        S: * 2 EXISTS
        S: * LIST (\\HasNoChildren) "/" INBOX ("OLDNAME" (inbox))
        S: * OK [UIDVALIDITY …] UIDs valid
        S: * OK [UIDNEXT 3] Predicted next UID
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * OK [MAILBOXID (Facc-…)] Mailbox id
        S: 7 OK [READ-WRITE] SELECT completed
        C: 8 UID FETCH 1:* (FLAGS RFC822.SIZE)
        """
        + lines(f"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE {SIZE})\r\n* 2 FETCH (UID 2 FLAGS () RFC822.SIZE {SIZE})")
        + """
        S: 8 OK FETCH completed
        C: 9 UID SEARCH RETURN (SAVE COUNT) UNSEEN TEXT "Noon?"
        S: * ESEARCH (TAG "9") UID COUNT 2
        S: 9 OK SEARCH completed
        C: 10 UID FETCH $ BODY
        """
        + lines(f"* 1 FETCH (UID 1 BODY {structure})\r\n* 2 FETCH (UID 2 BODY {structure})")
        + """
        S: 10 OK FETCH completed
        C: 11 FETCH 2 BINARY[2]
        S: * 2 FETCH (BINARY[2] {15}
        S: <p>At noon?</p> FLAGS (\\Seen))
        S: 11 OK FETCH completed
        C: 12 STORE 1 +FLAGS ($Forwarded)
        S: * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded)
        S: * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded \\*)] Flags kept
        S: * 1 FETCH (UID 1 FLAGS ($Forwarded))
        S: 12 OK STORE completed
        C: 13 IDLE
        S: + idling
        ! world.put()
        S: * 3 EXISTS
        ! world.flag(3, "add", 4)
        S: * 3 FETCH (UID 3 FLAGS (\\Flagged))
        C: DONE
        S: 13 OK IDLE terminated
        C: 14 MOVE 1:2 "Entwürfe & mehr"
        S: * OK [COPYUID … 1:2 1:2] Moved
        S: * 2 EXPUNGE
        S: * 1 EXPUNGE
        S: 14 OK MOVE completed
        C: 15 SEARCH UNSEEN
        S: * ESEARCH (TAG "15") ALL 1
        S: 15 OK SEARCH completed
        C: 16 SELECT "Entwürfe & mehr"
        S: * OK [CLOSED] Previous mailbox closed
        S: * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded)
        S: * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded \\*)] Flags kept
        S: * 2 EXISTS
        S: * LIST (\\HasNoChildren) "/" "Entw\u00c3\u00bcrfe & mehr"
        S: * OK [UIDVALIDITY …] UIDs valid
        S: * OK [UIDNEXT 3] Predicted next UID
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * OK [MAILBOXID (Facc-…)] Mailbox id
        S: 16 OK [READ-WRITE] SELECT completed
        C: 17 UNSELECT
        S: 17 OK UNSELECT completed
        C: 18 LOGOUT
        S: * BYE Logging out
        S: 18 OK LOGOUT completed
        """
    )
