"""METADATA (RFC 5464) and LIST-METADATA (RFC 9590)."""

import pytest
from imap_world import play

from mailnode.imap.commands.metadata import MAX_ASKED, MAX_VALUE
from mailnode.net.no_reactor import run_now
from mailnode.store.units.metadata import MAX_ENTRIES


@pytest.fixture
def talk(make_world):
    """Play a script with somebody who is logged in."""

    def run(script):
        def make():
            world = make_world()
            world.connect()
            return world

        return play(make, script)

    return run


def test_what_is_set_is_got(talk):
    talk(
        r"""
        C: a SETMETADATA INBOX (/private/comment "my own" /shared/Comment {4+}
        C: "x
        C: )
        S: a OK SETMETADATA completed
        C: b GETMETADATA INBOX (/private/comment /SHARED/comment /private/other)
        S: * METADATA INBOX (/private/comment "my own" /SHARED/comment {4}
        S: "x
        S: )
        S: b OK GETMETADATA completed
        C: c GETMETADATA INBOX /private/none
        S: c OK GETMETADATA completed
        C: d SETMETADATA INBOX (/private/comment NIL)
        S: d OK SETMETADATA completed
        C: e GETMETADATA INBOX (/private/comment)
        S: e OK GETMETADATA completed
        C: f GETMETADATA nowhere /private/comment
        S: f NO [NONEXISTENT] No such mailbox
        C: g SETMETADATA nowhere (/private/comment x)
        S: g BAD …
        C: h SETMETADATA nowhere (/private/comment "x")
        S: h NO [NONEXISTENT] No such mailbox
        """
    )


def test_what_is_noted_about_the_server_is_the_accounts_own(talk):
    talk(
        """
        C: a SETMETADATA "" (/private/vendor/x/y "1")
        S: a OK SETMETADATA completed
        C: b GETMETADATA "" /private/vendor/x/y
        S: * METADATA "" (/private/vendor/x/y "1")
        S: b OK GETMETADATA completed
        C: c SETMETADATA "" (/private/comment "2" /shared/comment "3")
        S: c NO [NOPERM] Not yours to change
        C: d GETMETADATA "" (/private/comment /shared/comment)
        S: d OK GETMETADATA completed
        C: e GETMETADATA INBOX /private/vendor/x/y
        S: e OK GETMETADATA completed
        """
    )


def test_depth_and_largest_size_before_or_behind_the_mailbox(talk):
    talk(
        """
        C: a SETMETADATA INBOX (/private/f "0" /private/f/a "12" /private/f/a/b "3" /private/fa "4")
        S: a OK SETMETADATA completed
        C: b GETMETADATA (DEPTH 1) INBOX (/private/f)
        S: * METADATA INBOX (/private/f "0" /private/f/a "12")
        S: b OK GETMETADATA completed
        C: c GETMETADATA INBOX (DEPTH infinity) /private/f
        S: * METADATA INBOX (/private/f "0" /private/f/a "12" /private/f/a/b "3")
        S: c OK GETMETADATA completed
        C: d GETMETADATA (DEPTH infinity MAXSIZE 1) INBOX /private/f
        S: * METADATA INBOX (/private/f "0" /private/f/a/b "3")
        S: d OK [METADATA LONGENTRIES 2] GETMETADATA completed
        C: e GETMETADATA (maxsize 0) INBOX /private/f
        S: e OK [METADATA LONGENTRIES 1] GETMETADATA completed
        C: f GETMETADATA (DEPTH 2) INBOX /private/f
        S: f BAD …
        C: g GETMETADATA (SIZE 2) INBOX /private/f
        S: g BAD …
        """
    )


@pytest.mark.parametrize(
    "name",
    [
        "comment",
        "/other/comment",
        "/private",
        "/private/",
        "/private//x",
        "/private/x/",
        '"/private/*"',
        '"/private/%"',
    ],
)
def test_names_that_no_entry_has(make_world, name):
    client = make_world().connect()
    assert client.ask(f"a GETMETADATA INBOX {name}")[0].startswith("a BAD")
    assert client.ask(f'b SETMETADATA INBOX ({name} "x")')[0].startswith("b BAD")


def test_octets_of_all_kinds_come_back(make_world):
    client = make_world().connect()
    client.send(b"a SETMETADATA INBOX (/private/x ~{4+}\r\n\0\xff\r\n)\r\n")
    assert client.received() == b"a OK SETMETADATA completed\r\n"
    client.send(b"b GETMETADATA INBOX /private/x\r\n")
    assert client.received().startswith(b"* METADATA INBOX (/private/x ~{4}\r\n\0\xff\r\n)\r\n")
    client.send(b"c SETMETADATA INBOX (/private/x {1+}\r\n\0)\r\n")
    assert client.received().startswith(b"c BAD")
    client.send(b"d GETMETADATA INBOX ~{1+}\r\nx\r\n")
    assert client.received().startswith(b"d BAD")


def test_limits(make_world):
    client = make_world().connect()
    large = "x" * (MAX_VALUE + 1)
    assert client.ask(f'a SETMETADATA INBOX (/private/ok "1" /private/large {{{len(large)}+}}\r\n{large})') == [
        f"a NO [METADATA MAXSIZE {MAX_VALUE}] A value is too long"
    ]
    assert client.ask("b GETMETADATA INBOX /private/ok") == ["b OK GETMETADATA completed"]
    full = " ".join(f'/private/{number} "x"' for number in range(MAX_ENTRIES))
    assert client.ask(f"c SETMETADATA INBOX ({full})") == ["c OK SETMETADATA completed"]
    assert client.ask('d SETMETADATA INBOX (/private/0 "y" /private/more "x")') == [
        "d NO [METADATA TOOMANY] No more entries can be added"
    ]
    assert client.ask("e GETMETADATA INBOX /private/0")[0] == '* METADATA INBOX (/private/0 "x")'
    assert client.ask('f SETMETADATA INBOX (/private/0 NIL /private/more "x")') == ["f OK SETMETADATA completed"]
    many = " ".join(f"/private/{number}" for number in range(MAX_ASKED + 1))
    assert client.ask(f"g GETMETADATA INBOX ({many})") == ["g NO [LIMIT] Too many entries"]


def test_entries_follow_their_mailbox_and_end_with_it(talk):
    talk(
        """
        C: a CREATE one
        S: a OK …
        C: b SETMETADATA one (/private/comment "x")
        S: b OK SETMETADATA completed
        C: c RENAME one two
        S: c OK RENAME completed
        C: d GETMETADATA two /private/comment
        S: * METADATA two (/private/comment "x")
        S: d OK GETMETADATA completed
        C: e DELETE two
        S: e OK DELETE completed
        C: f CREATE two
        S: f OK …
        C: g GETMETADATA two /private/comment
        S: g OK GETMETADATA completed
        C: h SETMETADATA INBOX (/private/comment "in")
        S: h OK SETMETADATA completed
        C: i RENAME INBOX old
        S: i OK RENAME completed
        C: j GETMETADATA INBOX /private/comment
        S: * METADATA INBOX (/private/comment "in")
        S: j OK GETMETADATA completed
        C: k GETMETADATA old /private/comment
        S: * METADATA old (/private/comment "in")
        S: k OK GETMETADATA completed
        """
    )


def test_list_returns_what_is_noted(talk):
    talk(
        r"""
        C: a SETMETADATA Sent (/shared/color "#b71c1c")
        S: a OK SETMETADATA completed
        C: b LIST "" (Sent Trash) RETURN (METADATA (/shared/color /private/x) STATUS (MESSAGES))
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * STATUS Sent (MESSAGES 0)
        S: * METADATA Sent (/shared/color "#b71c1c" /private/x NIL)
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: * STATUS Trash (MESSAGES 0)
        S: * METADATA Trash (/shared/color NIL /private/x NIL)
        S: b OK LIST completed
        C: c LIST "" Sent RETURN (METADATA ())
        S: c BAD …
        """
    )


def test_private_entries_are_kept_for_their_reader(file_world):
    client = file_world.connect()
    client.ask('a SETMETADATA INBOX (/private/comment "mine" /shared/comment "ours")')
    assert run_now(file_world.account.annotations([1], "somebody")) == {1: {"/shared/comment": b"ours"}}
