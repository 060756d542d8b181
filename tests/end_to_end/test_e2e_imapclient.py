"""PyPI's IMAPClient, twice: what one does the other sees, asked or told, over implicit TLS."""

from __future__ import annotations

import imapclient
import pytest
from beside import Beside
from servers import wait_for

SEEN, FLAGGED = {"\\Seen"}, {"\\Flagged"}


@pytest.fixture
def pair(node, request):
    """Two sessions of an account of the test's own, which looks into an INBOX of three messages."""
    user = f"client-{request.node.name.replace('_', '-')}@a.test"
    node.add_account(user)
    with Beside(node, user) as phone, Beside(node, user) as laptop:
        phone.put("number 0", "number 1", "number 2")
        laptop.select_folder("INBOX")
        yield phone, laptop


def told(session, number, kind):
    """Return an answer of this kind about this message, once it has come by IDLE.

    What changes twice at once may be told once, and which of two sessions a message is recent in is for the server to say.
    """
    answers: list = []

    def come():
        answers.extend(session.idle_check(timeout=0.1))
        return next((answer for answer in answers if answer[:2] == (number, kind)), None)

    return wait_for(come, f"{number} {kind} by IDLE")


def test_one_is_told_what_the_other_does(pair):
    phone, laptop = pair
    laptop.idle()
    phone.add_flags(phone.uid("number 0"), ["\\Seen"])
    assert b"\\Seen" in told(laptop, 1, b"FETCH")[2][1]
    phone.put("arrived")
    told(laptop, 4, b"EXISTS")
    phone.delete_messages(phone.uid("number 1"))
    phone.expunge()
    told(laptop, 2, b"EXPUNGE")
    laptop.idle_done()
    # and the other way round
    phone.idle()
    laptop.move(laptop.search(["SUBJECT", "number 2"]), "Archive")
    told(phone, 2, b"EXPUNGE")
    laptop.add_flags(laptop.search(["SUBJECT", "arrived"]), ["\\Flagged"])
    assert b"\\Flagged" in told(phone, 2, b"FETCH")[2][1]
    phone.idle_done()
    for session in pair:
        assert session.mailbox() == {"number 0": SEEN, "arrived": FLAGGED}
        assert session.mailbox("Archive") == {"number 2": set()}


def test_both_change_in_between_and_agree(pair):
    phone, laptop = pair
    # Neither looks while the other changes: each works by the UIDs that it knows.
    known = dict(zip(["number 0", "number 1", "number 2"], laptop.search(), strict=True))
    phone.delete_messages(phone.uid("number 0"))
    phone.expunge()
    phone.put("by phone")
    assert laptop.append("INBOX", b"Subject: by laptop\r\n\r\nHello\r\n", ["\\Seen"]).startswith(b"[APPENDUID ")
    laptop.add_flags(list(known.values()), ["\\Flagged"])
    laptop.copy([known["number 0"], known["number 1"]], "Archive")
    laptop.move(known["number 2"], "Trash")
    left = {"number 1": FLAGGED, "by phone": set(), "by laptop": SEEN}
    for session in pair:
        assert session.mailbox() == left
        assert set(session.mailbox("Archive")) - {"number 0"} == {"number 1"}
        assert session.mailbox("Trash") == {"number 2": FLAGGED}


def test_mailboxes_orders_and_what_is_kept_about_them(pair, node):
    phone, laptop = pair
    assert phone.find_special_folder(b"\\Sent") == "Sent"
    phone.create_folder("Größe/Maß")
    phone.subscribe_folder("Größe/Maß")
    phone.put("above", mailbox="Größe/Maß", header="References: <none@side.test>\r\n")
    phone.rename_folder("Größe", "Größen")
    laptop.unselect_folder()
    assert {name for _, _, name in laptop.list_folders(pattern="Gr*")} == {"Größen", "Größen/Maß"}
    assert laptop.mailbox("Größen/Maß") == {"above": set()}
    assert laptop.folder_status("INBOX", ["MESSAGES", "UNSEEN"]) == {b"MESSAGES": 3, b"UNSEEN": 3}
    laptop.select_folder("INBOX", readonly=True)
    assert laptop.sort("REVERSE SUBJECT") == [3, 2, 1]
    assert laptop.thread("ORDEREDSUBJECT") == ((1,), (2,), (3,))
    with pytest.raises(imapclient.exceptions.IMAPClientError):
        laptop.add_flags([1], ["\\Seen"])
    assert laptop.getacl("INBOX")[0][0] == phone.user.encode()
    node.ctl("account", "quota", phone.user, "--bytes", "1024000")
    assert laptop.get_quota("INBOX")[0].limit == 1000
