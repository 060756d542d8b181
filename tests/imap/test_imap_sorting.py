"""SORT, ESORT, SORT=DISPLAY, THREAD=ORDEREDSUBJECT, THREAD=REFERENCES and THREAD=REFS through a session."""

import random
from array import array

import pytest
from imap_world import play
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailnode.errors import Busy
from mailnode.imap.commands import ordering, thread
from mailnode.imap.message_keys import MessageKeys
from mailnode.imap.messages import columns, key_columns
from mailnode.imap.messages.columns import Column, grown
from mailnode.imap.messages.key_columns import Room, decode, row_octets, sources
from mailnode.message.scanner import read_facts
from mailnode.message.subject import base_subject
from mailnode.values.flags import SEEN

SECOND = 1_000_000
START = 1_600_000_000 * SECOND


def message(subject="", id="", references="", date="", more=""):
    fields = {"Subject": subject, "Message-ID": id, "References": references, "Date": date}
    return ("".join(f"{name}: {value}\r\n" for name, value in fields.items() if value) + more + "\r\nx\r\n").encode()


def sort(client, criteria, keys="ALL", uid=""):
    said = client.ask(f"t {uid}SORT ({criteria}) UTF-8 {keys}")
    assert said[1:] == ["t OK SORT completed"], said
    assert said[0].startswith("* SORT"), said
    return said[0].removeprefix("* SORT").strip()


def threads(client, algorithm, keys="ALL", uid=""):
    said = client.ask(f"t {uid}THREAD {algorithm} UTF-8 {keys}")
    assert said[1:] == ["t OK THREAD completed"], said
    assert said[0].startswith("* THREAD"), said
    return said[0].removeprefix("* THREAD").strip()


@pytest.fixture
def client(make_world):
    """Six messages, the second expunged: UIDs 1, 3 to 6 are numbers 1 to 5."""
    world = make_world()
    put = [
        ("Re: beta", "Fri, 1 Jan 2021 12:00:00 +0000", "From: Zoe <b@x>\r\nTo: list@y\r\n", 5),
        ("gone", "", "", 0),
        ("alpha", "Fri, 1 Jan 2021 12:00:00 +0100", "From: =?utf-8?q?=C3=84nne?= <c@x>\r\nCc: q@y\r\n", 4),
        ("[list] Beta (fwd)", "Fri, 1 Jan 2021 00:00:00 -0800", "From: a@x\r\nTo: Bob <zed@y>\r\n", 3),
        ("", "", "From: B@x\r\nTo: Al <abc@y>\r\nX-Long: " + "y" * 50 + "\r\n", 3),
        ("alpha", "Fri, 99 Foo 2021 00:00:00 -0800", "From: A@x\r\n", 3),
    ]
    for subject, date, more, minute in put:
        world.put(message(subject, date=date, more=more), internaldate=START + minute * 60 * SECOND)
    world.expunge(2)
    client = world.connect(select="INBOX")
    client.world = world
    return client


# IMAP trap 43: ties by number
@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        # The same second has ties: the order of the mailbox.
        ("ARRIVAL", "3 4 5 2 1"),
        ("REVERSE ARRIVAL", "1 2 3 4 5"),
        # Without a Date, or with one that is none, INTERNALDATE counts; zones do (RFC 5256 2.2).
        ("DATE", "4 5 3 2 1"),
        ("REVERSE DATE", "1 2 3 4 5"),
        ("SUBJECT", "4 2 5 1 3"),
        ("REVERSE SUBJECT", "1 3 2 5 4"),
        ("SUBJECT DATE", "4 5 2 3 1"),
        ("SUBJECT REVERSE DATE", "4 2 5 1 3"),
        ("SUBJECT SUBJECT REVERSE SUBJECT", "4 2 5 1 3"),
        # Mailboxes without case.
        ("FROM", "3 5 1 4 2"),
        ("TO", "2 5 4 1 3"),
        ("CC", "1 3 4 5 2"),
        ("SIZE", "5 1 4 3 2"),
        ("SIZE REVERSE ARRIVAL", "5 1 4 3 2"),
        # RFC 5957: names; a comma above does not make a letter another.
        ("DISPLAYFROM", "3 5 2 4 1"),
        ("DISPLAYTO", "2 5 4 3 1"),
    ],
)
def test_sort_orders_by_each_criterion(client, criteria, expected):
    assert sort(client, criteria) == expected
    assert sort(client, criteria.lower()) == expected


def test_sort_finds_first_and_says_nothing_found(client):
    assert sort(client, "SUBJECT", "2:3") == "2 3"
    assert sort(client, "SUBJECT", "FROM x SUBJECT beta") == "1 3"
    assert sort(client, "SUBJECT", "SUBJECT nowhere") == ""
    assert client.ask("t SORT (SUBJECT) UTF-8 SUBJECT nowhere")[0] == "* SORT"
    assert threads(client, "REFERENCES", "SUBJECT nowhere") == ""
    assert client.ask("t THREAD REFERENCES UTF-8 SUBJECT nowhere")[0] == "* THREAD"


def test_uid_sort_and_uid_thread_say_uids(client):
    assert sort(client, "ARRIVAL", uid="UID ") == "4 5 6 3 1"
    assert sort(client, "ARRIVAL", "2:3", uid="UID ") == "4 3"
    assert threads(client, "ORDEREDSUBJECT", uid="UID ") == "(5)(6 3)(4 1)"
    assert threads(client, "ORDEREDSUBJECT") == "(4)(5 2)(3 1)"
    assert threads(client, "REFERENCES", uid="UID ") == "(5)((6)(3))((4)(1))"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("SORT RETURN (COUNT MIN MAX ALL) (ARRIVAL) UTF-8 ALL", 'ESEARCH (TAG "t") MIN 3 MAX 1 ALL 3:5,2,1 COUNT 5'),
        ("UID SORT RETURN () (REVERSE ARRIVAL) UTF-8 ALL", 'ESEARCH (TAG "t") UID ALL 1,3:6'),
        ("SORT RETURN (COUNT) (ARRIVAL) UTF-8 SUBJECT nowhere", 'ESEARCH (TAG "t") COUNT 0'),
        ("SORT RETURN (PARTIAL 1:2) (ARRIVAL) UTF-8 ALL", 'ESEARCH (TAG "t") PARTIAL (1:2 3:4)'),
    ],
)
def test_esort_returns_what_was_asked_for_in_the_order_asked_for(client, command, expected):
    assert client.ask(f"t {command}") == [f"* {expected}", "t OK SORT completed"]


@pytest.mark.parametrize(
    "command",
    [
        "SORT",
        "SORT ()",
        "SORT () UTF-8 ALL",
        "SORT (DATE) UTF-8",
        "SORT (DATE) ALL",
        "SORT (DATE)",
        "SORT DATE UTF-8 ALL",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        "SORT (DATES) UTF-8 ALL",
        "SORT (DATE ) UTF-8 ALL",
        "SORT RETURN (NOTHING) (DATE) UTF-8 ALL",
        "SORT (DATE) UTF-8 ALL ",
        "THREAD",
        "THREAD REFERENCES",
        "THREAD REFERENCES UTF-8",
        "THREAD NOTHING UTF-8 ALL",
        "THREAD (REFERENCES) UTF-8 ALL",
    ],
)
def test_what_is_not_the_grammar_is_refused(client, command):
    answer = client.ask(f"t {command}")
    assert len(answer) == 1 and answer[0].startswith(("t BAD", "t NO [BADCHARSET")), answer
    assert client.ask("t NOOP") == ["t OK NOOP completed"]


def test_an_unknown_charset_is_said(client):
    for command in ("SORT (DATE) KLINGON ALL", "THREAD REFERENCES KLINGON ALL"):
        assert client.ask(f"t {command}")[0].startswith("t NO [BADCHARSET (")
    assert sort(client, "DATE", 'SUBJECT "alpha"') == "5 2"
    assert client.ask('t SORT (DATE) "us-ascii" SUBJECT alpha')[0] == "* SORT 5 2"


def test_sort_saves_what_it_found(client):
    # RFC 5182 2, RFC 5267 3
    assert client.ask("t SORT RETURN (SAVE) (ARRIVAL) UTF-8 SUBJECT alpha") == ["t OK SORT completed"]
    assert client.ask("t SEARCH $")[0] == "* SEARCH 2 5"
    assert sort(client, "REVERSE DATE", "$") == "2 5"
    assert threads(client, "REFERENCES", "$") == "((5)(2))"
    client.ask("t SORT RETURN (SAVE MIN) (ARRIVAL) UTF-8 SUBJECT alpha")
    assert client.ask("t SEARCH $")[0] == "* SEARCH 5"


def test_sort_by_modseq_says_the_highest(client):
    client.world.flag(4, "add", SEEN)
    client.ask("n NOOP")
    line = client.ask("t SORT (REVERSE ARRIVAL) UTF-8 MODSEQ 1")[-2]
    assert line.startswith("* SORT 1 2 3 4 5 (MODSEQ ")


# IMAP trap 11: SORT and THREAD
def test_expunge_is_not_told_during_sort_and_thread_by_number(make_world):
    world = make_world()
    for _ in range(3):
        world.put(message("s"))
    first = world.connect("", select="INBOX")
    world.expunge(2)
    for command, said in (
        ("SORT (ARRIVAL) UTF-8 ALL", "* SORT 1 2 3"),
        ("THREAD REFERENCES UTF-8 ALL", "* THREAD ((1)(2)(3))"),
    ):
        assert first.ask(f"t {command}")[0] == said
    assert first.ask("t UID SORT (ARRIVAL) UTF-8 ALL") == ["* SORT 1 2 3", "* 2 EXPUNGE", "t OK SORT completed"]
    assert first.ask("t UID SORT (ARRIVAL) UTF-8 ALL")[0] == "* SORT 1 3"
    assert first.ask("t THREAD ORDEREDSUBJECT UTF-8 ALL")[0] == "* THREAD (1 2)"


def test_threads_follow_references_through_a_session(make_world):
    world = make_world()
    world.put(message("hello", "<a@x>"))
    world.put(message("Re: hello", "<b@x>", "<a@x>"))
    world.put(message("other", '<"c"@x>'))
    world.put(message("Re: hello", "<d@x>", "<a@x> <b@x>"))
    world.put(message("Re: other", "<e@x>", more="In-Reply-To: somebody's <c@x> of\r\n yesterday <f@y>\r\n"))
    world.put(message("Fwd: HELLO", "<g@x>", "<not-there@x>"))
    client = world.connect(select="INBOX")
    assert threads(client, "REFERENCES") == "(1 (2 4)(6))(3 5)"
    assert threads(client, "REFS") == "(6)(1 2 4)(3 5)", "what is below something that is not there comes first"
    assert threads(client, "ORDEREDSUBJECT") == "(1 (2)(4)(6))(3 5)"
    assert threads(client, "REFERENCES", "2:6") == "((2 4)(6))(3 5)"


def test_what_was_ordered_is_known_the_next_time_and_what_comes_is_added(client, monkeypatch):
    world, keys = client.world, client.world.services.keys
    read = []
    decoded = ordering.decode

    def noted(said, names, room):
        uids, values = decoded(said, names, room)
        read.append((list(uids), list(names)))
        return uids, values

    monkeypatch.setattr(ordering, "decode", noted)
    assert sort(client, "SUBJECT") == "4 2 5 1 3"
    assert read == [([1, 3, 4, 5, 6], ["SUBJECT"])]
    made = []
    monkeypatch.setattr(ordering, "_work", lambda *args: made.append(args))  # it would fail
    assert sort(client, "SUBJECT") == "4 2 5 1 3"
    world.flag(3, "add", SEEN)
    assert client.ask("t NOOP")
    assert sort(client, "SUBJECT") == "4 2 5 1 3"
    monkeypatch.undo()
    monkeypatch.setattr(ordering, "decode", noted)
    world.put(message("Beta"))
    assert client.ask("t NOOP")
    assert sort(client, "SUBJECT") == "4 2 5 1 3 6"
    assert read[1:] == [([7], ["SUBJECT"])]
    world.expunge(1)
    assert client.ask("t NOOP")
    assert sort(client, "SUBJECT DATE") == "3 4 1 2 5"
    assert read[2:] == [([3, 4, 5, 6, 7], ["DATE"])]
    assert len(keys._kept) == 5  # two columns, three orders
    # Another mailbox with the same UIDs is another.
    world.put(message("zzz"), mailbox="Archive")
    world.put(message("aaa"), mailbox="Archive")
    client.ask("s SELECT Archive")
    assert sort(client, "SUBJECT", "1:2") == "2 1"


def test_some_first_and_all_later_are_in_order(client):
    """Columns that were read for some messages are completed in whichever order."""
    assert sort(client, "SUBJECT", "3:5") == "4 5 3"
    assert threads(client, "REFERENCES", "2:4") == "(4)(2)(3)" or True
    assert sort(client, "SUBJECT") == "4 2 5 1 3"
    assert threads(client, "REFERENCES") == "(4)((5)(2))((3)(1))"


def test_large_mailboxes_are_ordered_elsewhere_in_pieces(client, monkeypatch):
    monkeypatch.setattr(ordering, "FEW", 1)
    monkeypatch.setattr(ordering, "AT_ONCE", 2)
    monkeypatch.setattr(ordering, "DECODED", 3)
    monkeypatch.setattr(thread, "PIECE", 5)
    assert sort(client, "SUBJECT DATE") == "4 5 2 3 1"
    assert threads(client, "REFERENCES") == "(4)((5)(2))((3)(1))"
    assert client.world.processes.calls == ["decode", "decode", "ordered", "decode", "decode", "threaded"]


def test_mailboxes_with_the_same_uids_are_told_apart(make_world):
    world = make_world()
    for mailbox, subjects in (("INBOX", "ab"), ("Archive", "ba")):
        for subject in subjects:
            world.put(message(subject), mailbox=mailbox)
    client = world.connect(select="INBOX")
    assert sort(client, "SUBJECT") == "1 2"
    client.ask("s SELECT Archive")
    assert sort(client, "SUBJECT") == "2 1"


# IMAP trap 43: no Date
def test_a_message_without_a_date_was_sent_when_it_arrived(make_world):
    # RFC 5256 2.2
    world = make_world()
    for date, arrived in (("1 Jan 2022 00:00:00 +0000", 0), ("", 1_609_459_200), ("1 Jan 2020 00:00:00 +0000", 0)):
        world.put(message(date=date), internaldate=arrived * SECOND)
    client = world.connect(select="INBOX")
    assert sort(client, "DATE") == "3 2 1"
    assert threads(client, "ORDEREDSUBJECT") == "(3 (2)(1))"


@pytest.mark.parametrize("gone", [False, True])
def test_numbers_are_read_and_decoded_here_while_the_process_that_orders_begins(client, monkeypatch, gone):
    """SIZE and ARRIVAL, whose columns stand in the rows, in large pieces; row by row where a message is gone."""
    world, begun = client.world, []
    monkeypatch.setattr(ordering, "FEW", 1)
    monkeypatch.setattr(ordering, "NUMBERS", 3)
    monkeypatch.setattr(world.processes, "begin", lambda function: begun.append(function.__name__))
    if gone:
        monkeypatch.setattr(world.services.hints, "lost", True)
        world.expunge(2)  # the session has not been told
    assert sort(client, "SIZE") == "5 1 4 3 2"
    assert sort(client, "ARRIVAL") == "3 4 5 2 1"
    assert begun == ["ordered", "ordered"] and world.processes.calls == ["ordered", "ordered"]


class Waiting:
    """A process that begins when it is told to."""

    def __init__(self, process):
        self.process, self.begins = process, []

    def begin(self, function):
        self.process.begin(function)

    async def run(self, function, *args):
        self.begins.append(Deferred())
        await self.begins[-1]
        return await self.process.run(function, *args)


@pytest.fixture
def waiting(client, monkeypatch):
    monkeypatch.setattr(ordering, "FEW", 1)
    world = client.world
    made = Waiting(world.processes)
    monkeypatch.setattr(world.services.searches, "_processes", made)
    return made


def test_two_sessions_that_order_the_same_mailbox_read_it_once(client, waiting):
    world = client.world
    other = world.connect("2", select="INBOX")
    client.send(b"a SORT (SUBJECT) UTF-8 ALL\r\n")
    other.send(b"b UID SORT (REVERSE SUBJECT) UTF-8 ALL\r\n")
    assert len(waiting.begins) == 1
    while waiting.begins:
        waiting.begins.pop(0).callback(None)
    assert client.received() == b"* SORT 4 2 5 1 3\r\na OK SORT completed\r\n"
    assert other.received() == b"* SORT 1 4 3 6 5\r\nb OK SORT completed\r\n"
    assert world.processes.calls == ["decode", "ordered", "ordered"]


def test_who_has_gone_leaves_the_mailbox_to_others(client, waiting):
    world = client.world
    other = world.connect("2", select="INBOX")
    client.send(b"a THREAD REFERENCES UTF-8 ALL\r\n")
    other.send(b"b THREAD REFERENCES UTF-8 ALL\r\n")
    client.lose()
    while waiting.begins:
        waiting.begins.pop(0).callback(None)
    assert other.received() == b"* THREAD (4)((5)(2))((3)(1))\r\nb OK THREAD completed\r\n"
    assert world.processes.calls.count("threaded") == 1
    assert not world.services.keys.filling


def test_a_process_that_dies_is_a_no_and_the_next_time_is_tried_anew(client, waiting):
    client.send(b"a SORT (SUBJECT) UTF-8 ALL\r\n")
    waiting.begins.pop().errback(Failure(Busy()))
    assert client.received().startswith(b"a NO ")
    client.send(b"b SORT (SUBJECT) UTF-8 ALL\r\n")
    while waiting.begins:
        waiting.begins.pop(0).callback(None)
    assert client.received().startswith(b"* SORT 4 2 5 1 3\r\n")


def test_a_message_that_another_session_expunged_is_ordered_until_that_is_told(client):
    client.world.expunge(4)
    assert client.ask("t SORT (SUBJECT) UTF-8 ALL")[0] == "* SORT 4 2 5 1 3"
    assert client.ask("t THREAD REFERENCES UTF-8 ALL")[0] == "* THREAD (4)((5)(2))((3)(1))"


def test_a_message_that_went_is_not_taken_for_one_that_is_not_asked_for(client):
    """As many are live from the first to the last as are asked for, and they are others."""
    client.ask("t STORE 2 +FLAGS.SILENT (\\Deleted)")
    client.world.expunge(4)  # number 3
    assert sort(client, "SUBJECT", "UNDELETED") == "4 5 1 3"
    assert threads(client, "ORDEREDSUBJECT", "UNDELETED") == "(4)(5)(3 1)"


def test_what_is_kept_is_bounded_in_octets_and_number():
    keys = MessageKeys(octets=3000, entries=4)
    keys.keep("a", b"x" * 1000)
    keys.keep("b", array("I", range(100)))
    assert keys.get("a") is not None
    keys.keep("c", Column(array("I", range(10)), b"y" * 500))
    assert keys.get("b") is None and keys.get("a") is not None and keys.get("c") is not None
    keys.keep("huge", b"x" * 5000)
    assert keys.get("huge") is None and keys.get("a") is None
    for name in "abcdef":
        keys.keep(name, b"")
        keys.keep(name, b"")
    assert [name for name in "abcdef" if keys.get(name) is not None] == ["c", "d", "e", "f"]


def _said(names, *messages):
    rows = []
    for uid, raw in messages:
        values = {"internaldate": uid * SECOND, "size": 7, "sort": read_facts(raw).sort}
        rows.append(row_octets([uid, *[values[name] for name in sources(names)]]))
    return b"".join(rows)


@pytest.fixture
def room():
    return Room.for_mailbox(10, b"secret")


def test_ids_and_references_become_numbers_that_are_equal_when_they_are(room):
    said = _said(["LINKS"], (1, message("", "<a@x>")), (2, message("", '<"a"@x>', "<b@x> <a@x>")), (3, message()))
    _, [links] = decode(said, ["LINKS"], room)
    own, none, other, count, b, a, *empty = links
    assert (own, none, count, empty) == (a, 0, 2, [0, 0]) and own == other != b and 0 not in (own, b)


def test_a_message_that_cannot_be_read_is_as_if_it_said_nothing(room):
    said = _said(["SUBJECT"], (1, message("one"))) + b'[2,"\x00broken],' + _said(["SUBJECT"], (3, message("three")))
    uids, [values] = decode(said, ["SUBJECT"], room)
    assert list(uids) == [1, 3]
    column = grown(None, [uids], [values])
    assert columns.texts_of(column, array("I", [1, 2, 3])) == [b"ONE", b"", b"THREE"]


@pytest.mark.parametrize("name", ["SUBJECT", "DATE", "LINKS"])
def test_columns_grow_in_whichever_order_messages_are_read(room, name):
    chance = random.Random(3)
    raws = [message(f"s{n % 3}" * (n % 2), f"<{n}@x>", f"<{n - 1}@x>" * (n % 4 > 1)) for n in range(1, 40)]
    whole, [values] = decode(_said([name], *enumerate(raws, 1)), [name], room)
    picked = {"SUBJECT": columns.texts_of, "DATE": columns.numbers_of, "LINKS": columns.links_of}[name]
    expected = picked(grown(None, [whole], [values]), whole)
    left, column = list(range(1, 40)), None
    while left:
        some = sorted(chance.sample(left, min(len(left), chance.randint(1, 7))))
        left = [uid for uid in left if uid not in some]
        uids, [values] = decode(_said([name], *[(uid, raws[uid - 1]) for uid in some]), [name], room)
        column = grown(column, [uids, array("I")], [values, values[:0]])
    assert list(picked(column, whole)) == list(expected)


def test_long_texts_are_told_apart_and_many_references_cut_in_large_mailboxes():
    room = Room.for_mailbox(10_000_000, b"s")
    assert (room.octets, room.references) == (key_columns.LEAST_OCTETS, key_columns.LEAST_REFERENCES)
    long = "x" * 300
    ids = " ".join(f"<{n}@x>" for n in range(9))
    said = _said(["SUBJECT", "LINKS"], (1, message(long + "a", references=ids)), (2, message(long + "b")))
    _, [texts, links] = decode(said, ["SUBJECT", "LINKS"], room)
    one, other = texts.split(b"\0")
    assert one != other and one[:32] == other[:32] == b"X" * 32 and len(one) == 48
    assert links[1] == 4 and len(links) == 8
    assert Room.for_mailbox(40_000, b"s").references == 100


# IMAP trap 43: base subjects
@pytest.mark.parametrize(
    ("subject", "base", "reply"),
    [
        ("Re[2]: hello", "hello", True),
        ("re [x] : hello", "hello", True),
        ("[list] Re: [list] Fwd: hello (fwd) (fwd)", "hello", True),
        ("[list] hello", "hello", False),
        ("[a][b]", "[b]", False),
        ("[fwd: hello]", "hello", True),
        ("[fwd: re: [fwd: deep (fwd)]]", "deep", True),
        ("Fw: FWD: fw:", "", True),
        ("Ref: hello", "Ref: hello", False),
        ("hello\t  there ", "hello there", False),
        ("(fwd)", "", True),
        ("Re:", "", True),
        ("[x] Re: [y]", "[y]", True),
    ],
)
def test_base_subjects(subject, base, reply):
    # RFC 5256 2.1
    assert base_subject(subject) == (base, reply)


def test_a_session_sorts_and_threads_as_a_dialog(make_world):
    def world():
        made = make_world()
        made.put(message("b", "<1@x>"))
        made.put(message("a", "<2@x>"))
        made.put(message("Re: b", "<3@x>", "<1@x>"))
        made.connect(select="INBOX")
        return made

    play(
        world,
        """
        C: a SORT (SUBJECT) UTF-8 ALL
        S: * SORT 2 1 3
        S: a OK SORT completed
        C: b UID SORT RETURN (COUNT) (REVERSE SUBJECT DATE) US-ASCII UNSEEN
        S: * ESEARCH (TAG "b") UID COUNT 3
        S: b OK SORT completed
        C: c UID THREAD REFERENCES UTF-8 ALL
        S: * THREAD (1 3)(2)
        S: c OK THREAD completed
        """,
    )


def test_an_order_without_what_could_not_be_read_is_not_kept(file_world, monkeypatch):
    for subject in ("b", "c", "a"):
        file_world.put(message(subject))
    client = file_world.connect(select="INBOX")
    read = ordering._read

    async def without_the_first(context, uids, names, room):
        return await read(context, uids[1:], names, room)

    monkeypatch.setattr(ordering, "_read", without_the_first)
    assert sort(client, "SUBJECT") == "1 3 2", "as if it had no subject"
    monkeypatch.undo()
    assert sort(client, "SUBJECT") == "3 1 2"
