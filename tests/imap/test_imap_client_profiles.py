"""What well-known mail programs send in their everyday work, as scripts with the exact replies they have to get.

The shapes are those of their command builders: item order, quoting and pipelining as they do it. A change that breaks one
of these breaks a program people use.
"""

from functools import partial

import pytest
from imap_world import play

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
    asked = "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type"
    fields = header(*asked.split())
    replay(
        """
        C: 1 ID ("name" "Thunderbird" "version" "140.0")
        S: * ID ("name" "mailnode" "version" "1")
        S: 1 OK ID completed
        C: 2 login "alice" "secret"
        S: 2 OK [CAPABILITY …] LOGIN completed
        C: 3 namespace
        S: * NAMESPACE (("" "/")) NIL NIL
        S: 3 OK NAMESPACE completed
        C: 4 list (subscribed) "" "*" return (special-use)
        S: * LIST (\\Subscribed \\HasNoChildren) "/" INBOX
        S: …
        S: 4 OK LIST completed
        C: 5 select "INBOX"
        """
        + SELECTED
        + f"""
        S: 5 OK [READ-WRITE] SELECT completed
        C: 6 UID fetch 1:* (FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\\Recent))
        S: * 2 FETCH (UID 2 FLAGS (\\Recent))
        S: 6 OK FETCH completed
        C: 7 UID fetch 1 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({asked})])
        """
        + literal(f"* 1 FETCH (UID 1 RFC822.SIZE {SIZE} FLAGS (\\Recent) BODY[HEADER.FIELDS ({asked})]", fields)
        + """
        S: 7 OK FETCH completed
        C: 8 UID fetch 1 (UID RFC822.SIZE BODY.PEEK[]<0.65536>)
        """
        + literal(f"* 1 FETCH (UID 1 RFC822.SIZE {SIZE} BODY[]<0>", MESSAGE.decode())
        + """
        S: 8 OK FETCH completed
        C: 9 uid store 1 +Flags (\\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))
        S: 9 OK STORE completed
        C: 10 IDLE
        S: + idling
        ! world.flag(2, "add", 4)
        S: * 2 FETCH (FLAGS (\\Flagged \\Recent))
        C: DONE
        S: 10 OK IDLE terminated
        C: 11 uid move 1 "Trash"
        S: * OK [COPYUID … 1 1] Moved
        S: * 1 EXPUNGE
        S: 11 OK MOVE completed
        C: 12 UID fetch 1:* (FLAGS) (CHANGEDSINCE 0)
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * 1 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (…))
        S: 12 OK FETCH completed
        C: 13 logout
        S: * BYE Logging out
        S: 13 OK LOGOUT completed
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
        S: * CAPABILITY IMAP4rev1 LITERAL+ …SASL-IR AUTH=PLAIN
        S: 1 OK CAPABILITY completed
        C: 2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
        S: 2 OK [CAPABILITY …] AUTHENTICATE completed
        C: 3 NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
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
