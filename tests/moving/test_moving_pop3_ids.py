"""POP3 unique-ids of a server that mail is taken from."""

import socket
import threading

import pytest

from mailnode.moving.imap_client import ImapLogin
from mailnode.moving.imap_link import ImapPlace
from mailnode.moving.model import SourceFailed, SourceMessage
from mailnode.moving.pop3_ids import Pop3Ids

BOX = {1: (100, b"aaa", b"one@side.test"), 2: (200, b"bbb", b"two@side.test")}


@pytest.fixture
def pop3():
    """Start a server with what it says to commands that are not answered by BOX; return its place."""
    threads = []

    def start(says=None):
        listening = socket.create_server(("127.0.0.1", 0))

        def serve():
            with listening, listening.accept()[0] as client, client.makefile("rb") as lines:
                client.sendall(b"+OK ready\r\n")
                for line in lines:
                    verb, *words = line.split()
                    client.sendall((says or {}).get(verb, answer(verb, words)))
                    if verb == b"QUIT":
                        return

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return ImapPlace("127.0.0.1", listening.getsockname()[1], "none", None, 5)

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def answer(verb, words):
    if verb == b"LIST":
        return b"+OK\r\n" + b"".join(b"%d %d\r\n" % (number, size) for number, (size, _, _) in BOX.items()) + b".\r\n"
    if verb == b"UIDL":
        return b"+OK\r\n" + b"".join(b"%d %s\r\n" % (number, uidl) for number, (_, uidl, _) in BOX.items()) + b".\r\n"
    if verb == b"TOP":
        return b"+OK\r\nMessage-ID: <%s>\r\n\r\n.\r\n" % BOX[int(words[0])][2]
    return b"+OK\r\n"


def message(uid, size, message_id):
    return SourceMessage(uid, size, (), 0, message_id=message_id)


def test_in_their_order_where_all_sizes_agree(pop3):
    ids = Pop3Ids(pop3(), ImapLogin("bob", "sesame"))
    ids.match([(7, 100), (9, 200)])
    ids.close()
    assert [ids.of(message(uid, 0, "")) for uid in (7, 9, 11)] == ["aaa", "bbb", ""]


def test_by_message_id_and_size_where_they_do_not(pop3):
    ids = Pop3Ids(pop3(), ImapLogin("bob", "sesame"))
    ids.match([(5, 300), (7, 200), (9, 100)])
    ids.close()
    assert ids.of(message(9, 100, "one@side.test")) == "aaa"
    assert ids.of(message(7, 200, "two@side.test")) == "bbb"
    assert ids.of(message(5, 300, "three@side.test")) == "" and ids.of(message(7, 201, "two@side.test")) == ""


def test_a_server_that_refuses_or_says_what_is_none(pop3):
    with pytest.raises(SourceFailed, match="wrong"):
        Pop3Ids(pop3({b"PASS": b"-ERR wrong\r\n", b"QUIT": b"+OK\r\n"}), ImapLogin("bob", "sesame"))
    with pytest.raises(SourceFailed):
        Pop3Ids(pop3({b"UIDL": b"+OK " + b"x" * 5000 + b"\r\n"}), ImapLogin("bob", "sesame"))
