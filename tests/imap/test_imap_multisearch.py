"""MULTISEARCH (RFC 7377): one search in several mailboxes."""

import pytest
from imap_world import play
from shared_world import SharedWorld

from mailnode.imap.messages.mailbox_filters import MailboxFilter
from mailnode.imap.messages.search_sources import MAX_NAMES, Sources, read_sources
from mailnode.imap.view.view import View
from mailnode.imap.wire.lexer import Lexer
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import FLAGGED, SEEN

HELLO, OTHER = b"Subject: hello\r\n\r\nbody\r\n", b"Subject: other\r\n\r\nbody\r\n"
BOXES = ("Work", "Work/2024", "Work/2024/May", "Workshop", "Z &")
MISSING = "BAD Missing arguments or misplaced characters"


def full_world(make_world):
    """Each mailbox has another message and then one that is looked for; Work and INBOX two."""

    def make():
        world = make_world()
        for name in BOXES:
            run_now(world.account.create(name))
        for name in ("INBOX", *BOXES):
            world.put(OTHER, name, flags=SEEN)
            world.put(HELLO, name)
        world.put(HELLO, "Work", flags=FLAGGED)
        world.put(HELLO, "INBOX", flags=FLAGGED)
        world.connect()
        return world

    return make


def test_one_answer_for_each_mailbox_in_which_something_is_found(make_world):
    play(
        full_world(make_world),
        """
        C: a ESEARCH IN (personal) SUBJECT hello
        S: * ESEARCH (TAG "a" MAILBOX INBOX UIDVALIDITY …) UID ALL 2:3
        S: * ESEARCH (TAG "a" MAILBOX Work UIDVALIDITY …) UID ALL 2:3
        S: * ESEARCH (TAG "a" MAILBOX Work/2024 UIDVALIDITY …) UID ALL 2
        S: * ESEARCH (TAG "a" MAILBOX Work/2024/May UIDVALIDITY …) UID ALL 2
        S: * ESEARCH (TAG "a" MAILBOX Workshop UIDVALIDITY …) UID ALL 2
        S: * ESEARCH (TAG "a" MAILBOX "Z &-" UIDVALIDITY …) UID ALL 2
        S: a OK ESEARCH completed
        C: b ESEARCH IN (inboxes) RETURN (COUNT MIN) FLAGGED
        S: * ESEARCH (TAG "b" MAILBOX INBOX UIDVALIDITY …) UID MIN 3 COUNT 1
        S: * ESEARCH (TAG "b" MAILBOX Work UIDVALIDITY …) UID MIN 3 COUNT 1
        S: b OK ESEARCH completed
        C: c ESEARCH IN (subtree Work) RETURN () CHARSET UTF-8 SUBJECT hello
        S: * ESEARCH (TAG "c" MAILBOX Work UIDVALIDITY …) UID ALL 2:3
        S: * ESEARCH (TAG "c" MAILBOX Work/2024 UIDVALIDITY …) UID ALL 2
        S: * ESEARCH (TAG "c" MAILBOX Work/2024/May UIDVALIDITY …) UID ALL 2
        S: c OK ESEARCH completed
        C: d ESEARCH IN (subtree-one Work) SUBJECT hello
        S: * ESEARCH (TAG "d" MAILBOX Work UIDVALIDITY …) UID ALL 2:3
        S: * ESEARCH (TAG "d" MAILBOX Work/2024 UIDVALIDITY …) UID ALL 2
        S: d OK ESEARCH completed
        C: e ESEARCH IN (mailboxes (Workshop "Z &-" Missing inbox) subtree Workshop) 2
        S: * ESEARCH (TAG "e" MAILBOX INBOX UIDVALIDITY …) UID ALL 2
        S: * ESEARCH (TAG "e" MAILBOX Workshop UIDVALIDITY …) UID ALL 2
        S: * ESEARCH (TAG "e" MAILBOX "Z &-" UIDVALIDITY …) UID ALL 2
        S: e OK ESEARCH completed
        C: f ESEARCH IN (personal) SUBJECT absent
        S: f OK ESEARCH completed
        C: g SUBSCRIBE Work/2024
        S: g OK SUBSCRIBE completed
        C: h ESEARCH IN (subscribed mailboxes Missing) RETURN (PARTIAL -1:-1) ALL
        S: * ESEARCH (TAG "h" MAILBOX INBOX UIDVALIDITY …) UID PARTIAL (-1:-1 3)
        S: * ESEARCH (TAG "h" MAILBOX Work/2024 UIDVALIDITY …) UID PARTIAL (-1:-1 2)
        S: h OK ESEARCH completed
        C: i ESEARCH IN (mailboxes Work) RETURN (ALL RELEVANCY) FUZZY SUBJECT helo
        S: * ESEARCH (TAG "i" MAILBOX Work UIDVALIDITY …) UID ALL 2:3 RELEVANCY (50 50)
        S: i OK ESEARCH completed
        C: j ESEARCH IN (mailboxes Workshop) RETURN (PARTIAL 5:9) ALL
        S: * ESEARCH (TAG "j" MAILBOX Workshop UIDVALIDITY …) UID PARTIAL (5:9 NIL)
        S: j OK ESEARCH completed
        C: k ESEARCH IN (personal) 3:900
        S: * ESEARCH (TAG "k" MAILBOX INBOX UIDVALIDITY …) UID ALL 3
        S: * ESEARCH (TAG "k" MAILBOX Work UIDVALIDITY …) UID ALL 3
        S: k OK ESEARCH completed
        C: l ESEARCH IN (mailboxes Work) RETURN (ALL) MODSEQ 1 FLAGGED
        S: * ESEARCH (TAG "l" MAILBOX Work UIDVALIDITY …) UID ALL 3 MODSEQ …
        S: l OK ESEARCH completed
        """,
    )


def test_the_selected_mailbox_is_what_its_session_knows_of_it(make_world):
    play(
        full_world(make_world),
        """
        C: a ESEARCH SUBJECT hello
        S: a BAD No mailbox is selected
        C: b ESEARCH IN (selected subtree Work) SUBJECT hello
        S: b BAD No mailbox is selected
        C: c EXAMINE Work
        S: …
        S: c OK [READ-ONLY] EXAMINE completed
        C: d ESEARCH SUBJECT hello
        S: * ESEARCH (TAG "d" MAILBOX Work UIDVALIDITY …) UID ALL 2:3
        S: d OK ESEARCH completed
        C: e ESEARCH IN (selected mailboxes (Work Workshop)) RETURN (COUNT) SUBJECT hello
        S: * ESEARCH (TAG "e" MAILBOX Work UIDVALIDITY …) UID COUNT 2
        S: * ESEARCH (TAG "e" MAILBOX Workshop UIDVALIDITY …) UID COUNT 1
        S: e OK ESEARCH completed
        C: f ESEARCH RETURN (SAVE) SUBJECT hello
        S: f OK ESEARCH completed
        C: g ESEARCH IN (selected) $
        S: * ESEARCH (TAG "g" MAILBOX Work UIDVALIDITY …) UID ALL 2:3
        S: g OK ESEARCH completed
        C: h ESEARCH IN (mailboxes Workshop) $
        S: h OK ESEARCH completed
        C: i ESEARCH IN (selected mailboxes Work) RETURN (SAVE) ALL
        S: i BAD SAVE is for the selected mailbox alone
        C: j ESEARCH IN (personal) RETURN (SAVE COUNT) ALL
        S: j BAD SAVE is for the selected mailbox alone
        C: k SEARCH $
        S: * SEARCH 2 3
        S: k OK SEARCH completed
        C: l ESEARCH IN (selected) RETURN (SAVE COUNT) SUBJECT absent
        S: l OK ESEARCH completed
        C: m SEARCH $
        S: * SEARCH
        S: m OK SEARCH completed
        C: n ESEARCH RETURN (SAVE) ALL
        S: n OK ESEARCH completed
        C: o ESEARCH RETURN (SAVE) CHARSET X-OTHER ALL
        S: o NO [BADCHARSET (UTF-8 US-ASCII ISO-8859-15 ISO-8859-1)] Unknown charset
        C: p SEARCH $
        S: * SEARCH
        S: p OK SEARCH completed
        ! world.expunge(2, mailbox="Work")
        C: q ESEARCH SUBJECT hello
        S: * ESEARCH (TAG "q" MAILBOX Work UIDVALIDITY …) UID ALL 2:3
        S: * 2 EXPUNGE
        S: q OK ESEARCH completed
        C: r RENAME Work Job
        S: r OK RENAME completed
        C: s ESEARCH SUBJECT hello
        S: * ESEARCH (TAG "s" MAILBOX Job UIDVALIDITY …) UID ALL 3
        S: s OK ESEARCH completed
        """,
    )


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("", MISSING),
        (" IN () ALL", "BAD Expected an atom"),
        (" IN (selected-delayed) ALL", "BAD Unknown mailbox filter"),
        (" IN (mailboxes) ALL", MISSING),
        (" IN (mailboxes ()) ALL", "BAD …"),
        (" IN (subtree Work", "BAD …"),
        (' IN (personal (x "y")) ALL', "BAD …"),  # scope options, of which there are none
        (" RETURN (ALL) IN (personal) ALL", "BAD …"),
        (" IN (personal) RETURN (PARTIAL 1:2 ALL) ALL", "BAD PARTIAL stands alone, without ALL"),
        (" IN (personal) RETURN (RELEVANCY) ALL", "BAD RELEVANCY is that of FUZZY keys"),
        (" IN (personal) CHARSET X ALL", "NO [BADCHARSET (…)] Unknown charset"),
        (f" IN (mailboxes ({' '.join(map(str, range(MAX_NAMES + 1)))})) ALL", "NO [LIMIT] Too many mailboxes"),
    ],
)
def test_what_is_no_esearch(make_world, arguments, answer):
    client = make_world().connect(select="INBOX")
    [said] = client.ask(f"t ESEARCH{arguments}")
    begins, _, ends = f"t {answer}".partition("…")
    assert said.startswith(begins) and said.endswith(ends), said


# IMAP trap 59: each mailbox is asked of few filters, however often they are said
def test_of_each_kind_of_filter_there_is_one():
    lexer = Lexer(
        b"IN (" + b"personal inboxes subscribed subtree A mailboxes (B C) subtree (A D) " * 99 + b"selected) "
    )
    assert read_sources(lexer) == Sources(
        True,
        (
            MailboxFilter("PERSONAL"),
            MailboxFilter("SUBSCRIBED"),
            MailboxFilter("SUBTREE", frozenset("AD")),
            MailboxFilter("MAILBOXES", frozenset("BC")),
        ),
    )


def test_there_are_no_numbers_with_uidonly(make_world):
    play(
        full_world(make_world),
        """
        C: a ENABLE UIDONLY
        S: * ENABLED UIDONLY
        S: a OK ENABLE completed
        C: b ESEARCH IN (mailboxes Work) UID 2
        S: * ESEARCH (TAG "b" MAILBOX Work UIDVALIDITY …) UID ALL 2
        S: b OK ESEARCH completed
        C: c ESEARCH IN (mailboxes Work) 2
        S: c BAD [UIDREQUIRED] Message numbers are not allowed once UIDONLY is enabled
        """,
    )


def test_it_goes_with_its_capability(make_world):
    client = make_world().connect(select="INBOX")
    assert "MULTISEARCH" in client.ask("c CAPABILITY")[0].split()
    client.session.hidden |= {"MULTISEARCH"}
    assert client.ask("t ESEARCH ALL") == ["t BAD Unknown command or arguments"]


def test_names_are_in_utf8_once_that_is_enabled(make_world):
    world = make_world()
    run_now(world.account.create("Stra\u00dfe"))
    world.put(mailbox="Stra\u00dfe")
    client = world.connect()
    assert 'MAILBOX "Stra&AN8-e"' in client.ask("a ESEARCH IN (personal) ALL")[0].replace("Stra&AN8-e", '"Stra&AN8-e"')
    client.ask("b ENABLE UTF8=ACCEPT")
    client.send('c ESEARCH IN (mailboxes "Stra\u00dfe") ALL\r\n'.encode())
    assert 'MAILBOX "Stra\u00dfe" UIDVALIDITY'.encode() in client.received()
    assert client.ask("d ESEARCH IN (personal) CHARSET UTF-8 ALL") == ["d BAD All strings are UTF-8 now"]


# IMAP trap 59: one that goes meanwhile is passed over
def test_a_mailbox_that_goes_meanwhile_is_passed_over(make_world, monkeypatch):
    world = full_world(make_world)()
    gone, opened = world.box("Work/2024/May").id, type(world.account).open

    def gone_then(account, mailbox_id):
        if mailbox_id == gone:
            run_now(account.delete(gone))
        return opened(account, mailbox_id)

    monkeypatch.setattr(type(world.account), "open", gone_then)
    said = world.clients[""].ask("t ESEARCH IN (mailboxes (Work/2024/May Workshop)) SUBJECT hello")
    assert "MAILBOX Workshop" in said[0]
    assert said[1:] == ["t OK ESEARCH completed"]


# IMAP trap 59: it ends with its client
def test_it_ends_with_its_client(make_world, monkeypatch):
    world = full_world(make_world)()
    client = world.clients[""]
    looked = []
    init = View.__init__

    def note(view, snapshot):
        looked.append(snapshot.mailbox_id)
        client.session.over = True  # it has gone
        init(view, snapshot)

    monkeypatch.setattr(View, "__init__", note)
    client.send(b"t ESEARCH IN (personal) SUBJECT hello\r\n")
    assert len(looked) == 1


# --- rights


@pytest.fixture
def shared(tmp_path):
    def run(script):
        def make():
            world = SharedWorld(tmp_path)
            world.enter("", "alice")
            world.enter("2", "bob")
            for name, rights in (
                ("INBOX", "lr"),
                ("Read", "lrs"),
                ("Seen", "l"),
                ("Read/Below", "lr"),
                ("Hidden", "r"),
            ):
                if name != "INBOX":
                    run_now(world.account.create(name))
                world.put(HELLO, name)
                world.give(name, "bob@example.org", rights)
            run_now(world.account.create("Secret"))
            world.put(HELLO, "Secret")
            return world

        return play(make, script)

    return run


# IMAP trap 59: what may not be read is not there
def test_mailboxes_of_others_are_searched_as_far_as_they_may_be_read(shared):
    other = "Other Users/alice@example.org"
    shared(
        f"""
        C2: a ESEARCH IN (personal) ALL
        S2: a OK ESEARCH completed
        C2: b ESEARCH IN (subtree "Other Users") ALL
        S2: * ESEARCH (TAG "b" MAILBOX "{other}/INBOX" UIDVALIDITY …) UID ALL 1
        S2: * ESEARCH (TAG "b" MAILBOX "{other}/Read" UIDVALIDITY …) UID ALL 1
        S2: * ESEARCH (TAG "b" MAILBOX "{other}/Read/Below" UIDVALIDITY …) UID ALL 1
        S2: b OK ESEARCH completed
        C2: c ESEARCH IN (mailboxes ("{other}/Read" "{other}/Secret" "{other}/Seen" "Other Users/carol@example.org/INBOX")) ALL
        S2: * ESEARCH (TAG "c" MAILBOX "{other}/Read" UIDVALIDITY …) UID ALL 1
        S2: c OK ESEARCH completed
        C2: i ESEARCH IN (personal mailboxes "{other}/Read") ALL
        S2: * ESEARCH (TAG "i" MAILBOX "{other}/Read" UIDVALIDITY …) UID ALL 1
        S2: i OK ESEARCH completed
        C2: j ESEARCH IN (mailboxes "Other Users/ALICE@example.org/inbox" subtree-one "Other Users/Alice@Example.org/Read") ALL
        S2: * ESEARCH (TAG "j" MAILBOX "{other}/INBOX" UIDVALIDITY …) UID ALL 1
        S2: * ESEARCH (TAG "j" MAILBOX "{other}/Read" UIDVALIDITY …) UID ALL 1
        S2: * ESEARCH (TAG "j" MAILBOX "{other}/Read/Below" UIDVALIDITY …) UID ALL 1
        S2: j OK ESEARCH completed
        C2: d SUBSCRIBE "{other}/Read/Below"
        S2: d OK SUBSCRIBE completed
        C2: e ESEARCH IN (subscribed) ALL
        S2: * ESEARCH (TAG "e" MAILBOX "{other}/Read/Below" UIDVALIDITY …) UID ALL 1
        S2: e OK ESEARCH completed
        C2: f EXAMINE "{other}/Read"
        S2: …
        S2: f OK [READ-ONLY] EXAMINE completed
        C2: g ESEARCH RETURN (COUNT) ALL
        S2: * ESEARCH (TAG "g" MAILBOX "{other}/Read" UIDVALIDITY …) UID COUNT 1
        S2: g OK ESEARCH completed
        C2: h ESEARCH IN (mailboxes "{other}/INBOX") UNSEEN
        S2: * ESEARCH (TAG "h" MAILBOX "{other}/INBOX" UIDVALIDITY …) UID ALL 1
        S2: h OK ESEARCH completed
        """
    )
