"""The lexer and the arguments of every command: what is read, and what is refused."""

import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailnode.imap.commands.copy import Copy
from mailnode.imap.commands.create import Create
from mailnode.imap.commands.delete import Delete
from mailnode.imap.commands.enable import Enable
from mailnode.imap.commands.expunge import Expunge
from mailnode.imap.commands.fetch import Fetch
from mailnode.imap.commands.id import Id
from mailnode.imap.commands.list import List
from mailnode.imap.commands.login import Login
from mailnode.imap.commands.lsub import Lsub
from mailnode.imap.commands.move import Move
from mailnode.imap.commands.qresync import Resync
from mailnode.imap.commands.rename import Rename
from mailnode.imap.commands.select import Examine, Select
from mailnode.imap.commands.status import Status
from mailnode.imap.commands.store import Store
from mailnode.imap.commands.subscribe import Subscribe, Unsubscribe
from mailnode.imap.commands.table import TABLE, row_of
from mailnode.imap.messages.fetch_items import Attribute, BodySection, Section
from mailnode.imap.messages.search_keys import (
    MAX_DEPTH,
    MAX_KEYS,
    All,
    And,
    HasFlag,
    HasKeyword,
    InBody,
    InHeader,
    InSet,
    InternalDay,
    InText,
    IsRecent,
    Larger,
    ModSeq,
    Not,
    Or,
    SentDay,
    Smaller,
    Within,
)
from mailnode.imap.messages.search_returns import PartialRange, Returns
from mailnode.imap.wire.command import Command, ImapState
from mailnode.imap.wire.lexer import (
    MAX_NUMBER,
    MAX_NUMBER64,
    CommandFault,
    Flags,
    InternalDate,
    Lexer,
    decimal,
    decode_base64,
)
from mailnode.imap.wire.text import MAX_QUOTED, astring, literal, nstring, string
from mailnode.values.flags import ANSWERED, DELETED, FLAGGED, SEEN
from mailnode.values.sets import STAR, SeqSet, UidSet


def read(line):
    """Return the command that a line (without its tag) stands for."""
    name = next(n for n in sorted(TABLE, key=len, reverse=True) if line.upper().startswith(n))
    lexer = Lexer(line, len(name))
    command = TABLE[name].parse(b"t", lexer)
    lexer.end()
    assert row_of(command) is TABLE[name]
    return command


def refused(line):
    """Return the refusal of a line as (status, code)."""
    with pytest.raises(CommandFault) as caught:
        read(line)
    assert caught.value.text
    assert caught.value.text.isascii()
    return caught.value.status, caught.value.code


BAD = (b"BAD", b"")
CANNOT = (b"NO", b"CANNOT")
LIMIT = (b"NO", b"LIMIT")


# --- strings


# IMAP trap 1: quoted strings of every kind, and NIL as letters
@pytest.mark.parametrize(
    ("wire", "value"),
    [
        (b"abc", b"abc"),
        (b"a]b", b"a]b"),
        (b"a[b", b"a[b"),
        (b'""', b""),
        (b'"a b"', b"a b"),
        (b'"\\"\\\\"', b'"\\'),
        (b'"\t\x01"', b"\t\x01"),
        (b"NIL", b"NIL"),
        (b"{0}\r\n", b""),
        (b"{0+}\r\n", b""),
        (b'{4+}\r\n"\\\r\n', b'"\\\r\n'),
        (b"{2}\r\n\xc3\xa4", b"\xc3\xa4"),
        (b'"\xc3\xa4\\"\x80\xff"', b'\xc3\xa4"\x80\xff'),
    ],
)
def test_astring(wire, value):
    lexer = Lexer(wire)
    assert lexer.astring() == value
    assert lexer.at_end


# IMAP trap 1: line ends, NUL and escapes that are none
@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b" ",
        b'"abc',
        b'"a\\bc"',
        b'"a\\',
        b'"a\rb"',
        b'"a\nb"',
        b'"a\x00b"',
        b'"\xe4\nb"',
        b"(",
        b"\\x",
        b"%",
        b"*",
        b"\x7f",
        b"\xe4",
        b"{3}\r\nab",
        b"{3}ab",
        b"{3}\nabc",
        b"{-1}\r\n",
        b"{1_0}\r\n" + b"x" * 10,
        b"{99999999999}\r\n",
        b"{1}\r\n\x00",
    ],
)
def test_not_an_astring(wire):
    with pytest.raises(CommandFault):
        Lexer(wire).astring()


# IMAP trap 1: NIL where nothing may be meant
def test_nstring_tells_nil_from_the_empty_string():
    assert Lexer(b"nil").nstring() is None
    assert Lexer(b'""').nstring() == b""
    assert Lexer(b'"NIL"').nstring() == b"NIL"
    with pytest.raises(CommandFault):
        Lexer(b"NILL").nstring()


@given(st.binary(max_size=60).map(lambda data: data.replace(b"\0", b"")))
def test_what_is_rendered_is_read_again(data):
    for wire in (string(data), literal(data), astring(data)):
        lexer = Lexer(wire + b" x")
        assert lexer.astring() == data
        lexer.space()
    assert Lexer(nstring(data)).nstring() == data


# IMAP trap 36: CR, LF, NUL and 8-bit octets in literals
@pytest.mark.parametrize(
    ("data", "wire"),
    [
        (b"", b'""'),
        (b"abc", b'"abc"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"a\rb", b"{3}\r\na\rb"),
        (b"a\nb", b"{3}\r\na\nb"),
        (b"\xe4", b"{1}\r\n\xe4"),
        (b"a\0b", b"{3}\r\na\x80b"),
        (b"x" * MAX_QUOTED, b'"' + b"x" * MAX_QUOTED + b'"'),
        (b"x" * (MAX_QUOTED + 1), b"{1001}\r\n" + b"x" * (MAX_QUOTED + 1)),
    ],
)
def test_string(data, wire):
    assert string(data) == wire


@pytest.mark.parametrize(
    ("data", "wire"),
    [(b"INBOX", b"INBOX"), (b"a b", b'"a b"'), (b"", b'""'), (b"nil", b'"nil"'), (b"a]", b'"a]"'), (b"a*", b'"a*"')],
)
def test_astring_is_an_atom_where_it_can(data, wire):
    assert astring(data) == wire


def test_nstring_of_nothing():
    assert nstring(None) == b"NIL"


# --- numbers and sets


# IMAP trap 50: underscores, signs, digits of other scripts, five thousand of them
@pytest.mark.parametrize(
    "digits",
    [b"", b"1_0", b"+1", b"-1", b" 1", b"1 ", b"0x1", "\N{ARABIC-INDIC DIGIT ONE}".encode(), b"\xb2", b"1" * 5000],
)
def test_not_a_decimal(digits):
    with pytest.raises(CommandFault):
        decimal(digits, MAX_NUMBER64)


# IMAP trap 50: 2^32 and 2^63
def test_the_limits_of_numbers():
    assert decimal(b"4294967295", MAX_NUMBER) == 2**32 - 1
    assert decimal(b"9223372036854775807", MAX_NUMBER64) == 2**63 - 1
    for digits, largest in ((b"4294967296", MAX_NUMBER), (b"9223372036854775808", MAX_NUMBER64)):
        with pytest.raises(CommandFault):
            decimal(digits, largest)
    assert read(b"SEARCH LARGER 9223372036854775807").key == Larger(2**63 - 1)  # RFC 9051 9: number64
    assert refused(b"SEARCH LARGER 9223372036854775808") == BAD
    assert refused(b"SEARCH LARGER " + b"1" * 5000) == BAD


@pytest.mark.parametrize(
    ("wire", "ranges"),
    [
        (b"1", ((1, 1),)),
        (b"*", ((STAR, STAR),)),
        (b"1:*", ((1, STAR),)),
        (b"*:4,5:7", ((STAR, 4), (5, 7))),
        (b"4:2", ((4, 2),)),
        (b"*:*", ((STAR, STAR),)),
        (b"4294967295", ((4294967295, 4294967295),)),
    ],
)
def test_message_sets(wire, ranges):
    assert Lexer(wire).sequence_set(SeqSet) == SeqSet(ranges)
    assert Lexer(wire).sequence_set(UidSet) == UidSet(ranges)


@pytest.mark.parametrize(
    "wire",
    [
        b"0",
        b"01",
        b"1:",
        b":1",
        b"1::2",
        b"1:2:3",
        b",1",
        b"1,",
        b"1,,2",
        b"4294967296",
        b"1" * 5000,
        b"a",
        b"**",
        b"1:0",
        b"",
        b"$,1",
        b"$$",
        b"1$",
        b"1:$",
        b"1,$,2",
        b",$",
        b"$:*",
    ],
)
def test_bad_message_sets(wire):
    assert refused(b"FETCH " + wire + b" UID") == BAD


def test_what_was_saved_may_end_a_set():
    for kind in (SeqSet, UidSet):
        assert Lexer(b"$").sequence_set(kind) == kind((), True)
        assert Lexer(b"4:2,*,$").sequence_set(kind) == kind(((4, 2), (STAR, STAR)), True)
    assert read(b"FETCH $ UID").messages == SeqSet((), True)
    assert read(b"UID FETCH $ UID").messages == UidSet((), True)
    assert read(b"UID SEARCH $ UID 1,$").key == And((InSet(SeqSet((), True)), InSet(UidSet(((1, 1),), True))))


# IMAP trap 50: a whole range ten thousand times
def test_ten_thousand_whole_ranges_are_not_expanded():
    text = b",".join([b"1:4294967295"] * 5000)
    began = time.process_time()
    command = read(b"UID FETCH " + text + b" UID")
    assert command.messages.concrete(10) == ((1, 4294967295),)
    assert time.process_time() - began < 0.5


ranges = st.tuples(st.integers(0, MAX_NUMBER), st.integers(0, MAX_NUMBER))


@given(st.lists(ranges, min_size=1, max_size=20).map(tuple))
def test_sets_round_trip(written):
    def number(n):
        return b"%d" % n if n else b"*"

    text = b",".join(number(a) if a == b else number(a) + b":" + number(b) for a, b in written)
    assert Lexer(text).sequence_set(SeqSet).ranges == written


# --- dates


# IMAP trap 52: dates that are none
@pytest.mark.parametrize("wire", [b"1-Feb-2024", b"01-feb-2024", b'"1-FEB-2024"'])
def test_dates(wire):
    assert read(b"SEARCH ON " + wire).key == InternalDay("on", date(2024, 2, 1))


@pytest.mark.parametrize(
    "wire",
    [
        b"1-Feb-0000",
        b"1-Feb-99999",
        b"1-Feb-24",
        b"0-Feb-2024",
        b"30-Feb-2024",
        b"29-Feb-2023",
        b"001-Feb-2024",
        b"1-Foo-2024",
        b"1 Feb 2024",
        b"2024-02-01",
        b'"1-Feb-2024',
        b'" 1-Feb-2024"',
        b"+1-Feb-2024",
    ],
)
def test_no_such_dates(wire):
    assert refused(b"SEARCH SINCE " + wire) == BAD


# IMAP trap 52: INTERNALDATE at the edges
@pytest.mark.parametrize(
    ("wire", "seconds", "offset"),
    [
        (b'" 1-Jan-1970 00:00:00 +0000"', 0, 0),
        (b'"01-Jan-1970 00:00:00 +0000"', 0, 0),
        (b'"31-Dec-1969 23:00:00 -0100"', 0, -60),
        (b'" 1-Feb-2024 03:04:05 +0530"', 1706736845, 330),
        (b'"30-Jun-2012 23:59:60 +0000"', 1341100799, 0),
        (b'" 1-Jan-0001 00:00:00 +2359"', -62135683140, 1439),
        (b'"31-Dec-9999 23:59:59 -2359"', 253402387139, -1439),
    ],
)
def test_date_times(wire, seconds, offset):
    assert Lexer(wire).date_time() == InternalDate(seconds * 1_000_000, offset)


# IMAP trap 52: leap seconds, zones and years out of range
@pytest.mark.parametrize(
    "wire",
    [
        b'"1-Jan-2024 00:00:00 +0000"',
        b'" 1-Jan-0000 00:00:00 +0000"',
        b'" 1-Jan-99999 00:00:00 +0000"',
        b'" 1-Jan-2024 24:00:00 +0000"',
        b'" 1-Jan-2024 00:60:00 +0000"',
        b'" 1-Jan-2024 00:00:61 +0000"',
        b'" 1-Jan-2024 00:00:00 +9999"',
        b'" 1-Jan-2024 00:00:00 +0060"',
        b'" 1-Jan-2024 00:00:00 +2400"',
        b'" 1-Jan-2024 00:00:00 UTC"',
        b'" 1-Jan-2024 00:00:00"',
        b'"31-Apr-2024 00:00:00 +0000"',
        b" 1-Jan-2024 00:00:00 +0000",
    ],
)
def test_no_such_date_times(wire):
    with pytest.raises(CommandFault):
        Lexer(wire).date_time()


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)).map(lambda d: d.replace(microsecond=0)),
    st.integers(-1439, 1439),
)
def test_date_times_round_trip(local, offset):
    months = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    wire = b'"%2d-%b-%04d %02d:%02d:%02d %b%02d%02d"' % (
        local.day, months[local.month - 1], local.year, local.hour, local.minute, local.second,
        b"-" if offset < 0 else b"+", abs(offset) // 60, abs(offset) % 60,
    )  # fmt: skip
    moment = local.replace(tzinfo=timezone(timedelta(minutes=offset)))
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert Lexer(wire).date_time() == InternalDate(expected, offset)


# --- flags


def test_flags_in_any_case_and_once():
    flags = read(b"STORE 1 FLAGS (\\SEEN \\seen \\Deleted $Junk $junk Work)").flags
    assert flags == Flags(SEEN | DELETED, ("$Junk", "Work"))
    assert read(b"STORE 1 FLAGS \\Seen Work").flags == Flags(SEEN, ("Work",))
    assert read(b"STORE 1 FLAGS ()").flags == Flags()


@pytest.mark.parametrize("flag", [b"\\Recent", b"\\Bogus", b"\\*", b"\\", b'"x"', b"a]", b"{1+}\r\nx", b"\xe4", b""])
def test_flags_that_cannot_be_stored(flag):
    assert refused(b"STORE 1 FLAGS (" + flag + b" x)") == BAD


def test_a_keyword_too_long():
    assert read(b"STORE 1 FLAGS (" + b"x" * 100 + b")").flags.keywords == ("x" * 100,)
    assert refused(b"STORE 1 FLAGS (" + b"x" * 101 + b")") == LIMIT


@pytest.mark.parametrize(
    ("line", "mode", "silent", "since"),
    [
        (b"STORE 1 FLAGS (\\Seen)", "set", False, None),
        (b"STORE 1 +flags (\\Seen)", "add", False, None),
        (b"STORE 1 -FLAGS.SILENT (\\Seen)", "remove", True, None),
        (b"STORE 1 (UNCHANGEDSINCE 0) FLAGS (\\Seen)", "set", False, 0),
        (b"STORE 1 (unchangedsince 9223372036854775807) +FLAGS.silent (\\Seen)", "add", True, 2**63 - 1),
    ],
)
def test_store(line, mode, silent, since):
    assert read(line) == Store(b"t", SeqSet(((1, 1),)), mode, Flags(SEEN), silent, since)
    assert read(b"UID " + line) == Store(b"t", UidSet(((1, 1),)), mode, Flags(SEEN), silent, since)


@pytest.mark.parametrize(
    "arguments",
    [
        b"1 FLAGS",
        b"1 FLAGS ",
        b"1 *FLAGS (\\Seen)",
        b"1 FLAGS.LOUD (\\Seen)",
        b"1 FLAGS.SILENT.SILENT (\\Seen)",
        b"1  FLAGS (\\Seen)",
        b"1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (\\Seen)",
        b"1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS (\\Seen)",
        b"1 (CHANGEDSINCE 1) FLAGS (\\Seen)",
        b"1 FLAGS (\\Seen) x",
        b"1 FLAGS (\\Seen  \\Deleted)",
    ],
)
def test_bad_store(arguments):
    assert refused(b"STORE " + arguments) == BAD


# --- FETCH


@pytest.mark.parametrize(
    ("items", "names"),
    [
        (b"FAST", ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]),
        (b"all", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"]),
        (b"Full", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]),
        (b"UID", ["UID"]),
        (b"(uid UID Flags uid)", ["UID", "FLAGS"]),
        (b"(BODYSTRUCTURE MODSEQ BODY)", ["BODYSTRUCTURE", "MODSEQ", "BODY"]),
    ],
)
def test_fetch_items(items, names):
    assert [item.name for item in read(b"FETCH 1 " + items).items] == names


@pytest.mark.parametrize(
    ("item", "section", "label", "peek", "partial"),
    [
        (b"BODY[]", Section(), b"BODY[]", False, None),
        (b"BODY.PEEK[]", Section(), b"BODY[]", True, None),
        (b"body[text]<0.10>", Section(text="TEXT"), b"BODY[TEXT]", False, (0, 10)),
        (b"BODY[1]", Section((1,)), b"BODY[1]", False, None),
        (b"BODY[1.2.3]", Section((1, 2, 3)), b"BODY[1.2.3]", False, None),
        (b"BODY[1.mime]", Section((1,), "MIME"), b"BODY[1.MIME]", False, None),
        (b"BODY[2.HEADER]", Section((2,), "HEADER"), b"BODY[2.HEADER]", False, None),
        (
            b'BODY.PEEK[HEADER.FIELDS (From "To" {2+}\r\nCc {5+}\r\nX Y:Z)]<5.4294967295>',
            Section((), "HEADER.FIELDS", (b"From", b"To", b"Cc", b"X Y:Z")),
            b'BODY[HEADER.FIELDS (From To Cc "X Y:Z")]',
            True,
            (5, 4294967295),
        ),
        (
            b"BODY[4.1.header.fields.not (X)]",
            Section((4, 1), "HEADER.FIELDS.NOT", (b"X",)),
            b"BODY[4.1.HEADER.FIELDS.NOT (X)]",
            False,
            None,
        ),
        (b"RFC822", Section(), b"RFC822", False, None),
        (b"rfc822.text", Section(text="TEXT"), b"RFC822.TEXT", False, None),
        (b"RFC822.HEADER", Section(text="HEADER"), b"RFC822.HEADER", True, None),
    ],
)
def test_fetch_sections(item, section, label, peek, partial):
    assert read(b"FETCH 1 " + item).items == (BodySection(section, label, peek, partial),)
    assert read(b"FETCH 1 (UID " + item + b" FLAGS)").items[1] == BodySection(section, label, peek, partial)


# IMAP trap 37: macros in lists, unknown items
@pytest.mark.parametrize(
    "items",
    [
        b"",
        b"()",
        b"(ALL)",
        b"(UID FULL)",
        b"FAST UID",
        b"UID FLAGS",
        b"BOGUS",
        b"(UID BOGUS)",
        b"BODY.PEEK",
        b"BODY[",
        b"BODY[]x",
        b"BODY[MIME]",
        b"BODY[0]",
        b"BODY[01]",
        b"BODY[1.]",
        b"BODY[.TEXT]",
        b"BODY[1..2]",
        b"BODY[1TEXT]",
        b"BODY[1.BOGUS]",
        b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]",
        b"BODY[HEADER.FIELDS(From)]",
        b"BODY[HEADER (From)]",
        b"BODY[HEADER.FIELDS (From )]",
        b"BODY[HEADER.FIELDS ({4+}\r\na\r\nb)]",
        b"BODY[4294967296]",
        b"BODY[]<0.0>",
        b"BODY[]<0>",
        b"BODY[]<-1.1>",
        b"BODY[]<0.9223372036854775808>",
        b"BODY[]<9223372036854775808.1>",
        b"BODY[]<0.1",
        b"BODYSTRUCTURE[]",
        b"RFC822[]",
        b"RFC822.SIZE<0.1>",
        b"(UID  FLAGS)",
        b"( UID)",
        b"UID ",
        b"UID (CHANGEDSINCE 9223372036854775808)",
        b"UID (CHANGEDSINCE)",
        b"UID (VANISHED)",
        b"UID (CHANGEDSINCE 1) x",
        b"BODY[" + b"1." * 200 + b"1]",
    ],
)
def test_bad_fetch(items):
    assert refused(b"FETCH 1 " + items) == BAD
    assert refused(b"UID FETCH 1 " + items) == BAD


@pytest.mark.parametrize("modseq", [0, 1, 2**63 - 1])
def test_changedsince(modseq):
    command = read(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % modseq)
    assert command == Fetch(b"t", UidSet(((1, STAR),)), (Attribute("FLAGS"),), modseq)
    assert command.uid
    assert not read(b"FETCH 1 FLAGS").uid


# --- SEARCH


@pytest.mark.parametrize(
    ("keys", "tree"),
    [
        (b"ALL", All()),
        (b"1:3,5", InSet(SeqSet(((1, 3), (5, 5))))),
        (b"*", InSet(SeqSet(((0, 0),)))),
        (b"UID 1:*", InSet(UidSet(((1, 0),)))),
        (b"unseen", HasFlag(SEEN, False)),
        (b"ANSWERED", HasFlag(ANSWERED)),
        (b"NEW", And((IsRecent(), HasFlag(SEEN, False)))),
        (b"OLD", IsRecent(False)),
        (b"KEYWORD $Junk", HasKeyword("$Junk")),
        (b"UNKEYWORD $Junk", HasKeyword("$Junk", False)),
        (b"SENTSINCE 1-Feb-2024", SentDay("since", date(2024, 2, 1))),
        (b"BEFORE 1-Feb-2024", InternalDay("before", date(2024, 2, 1))),
        (b"SMALLER 10", Smaller(10)),
        (b'FROM "a b"', InHeader("from", "a b")),
        (b"CC x", InHeader("cc", "x")),
        (b'HEADER Message-ID ""', InHeader("message-id", "")),
        (b"BODY {3+}\r\na\r\n", InBody("a\r\n")),
        (b"TEXT NIL", InText("NIL")),
        (b"SUBJECT {2+}\r\n\xc3\xa4", InHeader("subject", "ä")),
        (b"CHARSET utf-8 SUBJECT {2+}\r\n\xc3\xa4", InHeader("subject", "ä")),
        (b'CHARSET "ISO-8859-1" SUBJECT {1+}\r\n\xe4', InHeader("subject", "ä")),
        (b'SUBJECT "\xc3\xa4"', InHeader("subject", "ä")),
        (b'CHARSET "ISO-8859-1" SUBJECT "\xe4"', InHeader("subject", "ä")),
        (b"CHARSET US-ASCII SUBJECT a", InHeader("subject", "a")),
        (b"NOT SEEN", Not(HasFlag(SEEN))),
        (b"OR SEEN FLAGGED", Or(HasFlag(SEEN), HasFlag(FLAGGED))),
        (
            b"OR NOT SEEN (FLAGGED 1)",
            Or(Not(HasFlag(SEEN)), And((HasFlag(FLAGGED), InSet(SeqSet(((1, 1),)))))),
        ),
        (b"((SEEN))", HasFlag(SEEN)),
        (b"SEEN FLAGGED", And((HasFlag(SEEN), HasFlag(FLAGGED)))),
        (b"MODSEQ 0", ModSeq(0)),
        (b'MODSEQ "/flags/\\\\Draft" all 620162338', ModSeq(620162338)),
    ],
)
def test_search_keys(keys, tree):
    assert read(b"SEARCH " + keys).key == tree
    command = read(b"UID SEARCH " + keys)
    assert (command.key, command.uid, command.returns) == (tree, True, None)
    assert command.modseq == (b"MODSEQ" in keys)


@pytest.mark.parametrize(
    ("options", "returns"),
    [
        (b"()", Returns(frozenset({"ALL"}))),
        (b"(ALL)", Returns(frozenset({"ALL"}))),
        (b"(min MAX count)", Returns(frozenset({"MIN", "MAX", "COUNT"}))),
        (b"(MIN MIN)", Returns(frozenset({"MIN"}))),
        (b"(SAVE)", Returns(frozenset(), True)),
        (b"(save min)", Returns(frozenset({"MIN"}), True)),
        (b"(partial 5:1)", Returns(frozenset(), partial=PartialRange(5, 1))),
        (b"(COUNT PARTIAL -1:-100)", Returns(frozenset({"COUNT"}), partial=PartialRange(-1, -100))),
    ],
)
def test_search_return(options, returns):
    assert read(b"SEARCH RETURN " + options + b" CHARSET UTF-8 ALL").returns == returns


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"BOGUS",
        b"NOT",
        b"OR SEEN",
        b"()",
        b"(SEEN",
        b"SEEN)",
        b"SEEN  FLAGGED",
        b"SEEN ",
        b"KEYWORD \\Seen",
        b'KEYWORD "x"',
        b"FROM",
        b"HEADER x",
        b"HEADER {1+}\r\n\xe4 x",
        b"LARGER -1",
        b"OLDER 0",
        b"YOUNGER -1",
        b"OLDER 1_0",
        b"YOUNGER 4294967296",
        b"YOUNGER",
        b"LARGER 1_0",
        b"MODSEQ 9223372036854775808",
        b'MODSEQ "/bogus" all 1',
        b'MODSEQ "/flags/x" some 1',
        b"UID",
        b"UID 0",
        b"$x",
        b"UID",
        b"UID $1",
        b"RETURN (SAVE BOGUS) ALL",
        b"RETURN (BOGUS) ALL",
        b"RETURN (PARTIAL) ALL",
        b"RETURN (PARTIAL 1) ALL",
        b"RETURN (PARTIAL 0:1) ALL",
        b"RETURN (PARTIAL 1:*) ALL",
        b"RETURN (PARTIAL 1:-1) ALL",
        b"RETURN (PARTIAL -1:1) ALL",
        b"RETURN (PARTIAL 1:4294967296) ALL",
        b"RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL",
        b"RETURN (PARTIAL 1:2 ALL) ALL",
        b"RETURN (PARTIAL 1:2,3:4) ALL",
        b"RETURN ALL",
        b"RETURN ()",
        b"CHARSET UTF-8",
        b"ALL CHARSET UTF-8",
    ],
)
def test_bad_search(keys):
    assert refused(b"SEARCH " + keys) == BAD


@pytest.mark.parametrize(
    "charset", [b"X-UNKNOWN", b"idna", b"zlib", b"rot13", b"unicode_escape", b"utf8", b"{1+}\r\n\xe4"]
)
def test_unknown_charsets(charset):
    status, code = refused(b"SEARCH CHARSET " + charset + b" ALL")
    assert status == b"NO"
    assert code.startswith(b"BADCHARSET (UTF-8")


def test_text_that_is_not_in_its_charset():
    assert refused(b"SEARCH CHARSET UTF-8 SUBJECT {1+}\r\n\xe4")[0] == b"NO"
    assert refused(b'SEARCH CHARSET UTF-8 SUBJECT "\xe4"')[0] == b"NO"
    assert refused(b"SEARCH CHARSET US-ASCII SUBJECT {2+}\r\n\xc3\xa4")[0] == b"NO"


# IMAP trap 51: ten thousand parentheses, NOT and OR
@pytest.mark.parametrize("step", [b"NOT ", b"(", b"OR ALL "])
def test_deep_searches_are_refused(step):
    tail = b")" * (MAX_DEPTH - 1) if step == b"(" else b""
    assert read(b"SEARCH " + step * (MAX_DEPTH - 1) + b"ALL" + tail)
    for depth in (MAX_DEPTH, 10_000):
        assert refused(b"SEARCH " + step * depth + b"ALL" + b")" * (depth if step == b"(" else 0)) == LIMIT


def test_long_searches_are_refused():
    assert refused(b"SEARCH" + b" SEEN" * (MAX_KEYS + 1)) == LIMIT


words = st.text(alphabet='abäπ "\\]', max_size=6)
leaves = st.one_of(
    st.just(All()),
    st.builds(HasFlag, st.sampled_from([SEEN, DELETED, FLAGGED]), st.booleans()),
    st.builds(HasKeyword, st.sampled_from(["a", "$Junk"]), st.booleans()),
    st.builds(IsRecent, st.booleans()),
    st.builds(InternalDay, st.sampled_from(["before", "on", "since"]), st.dates()),
    st.builds(SentDay, st.sampled_from(["before", "on", "since"]), st.dates()),
    st.builds(InHeader, st.sampled_from(["from", "x-y", "a b"]), words),
    st.builds(InBody, words),
    st.builds(InText, words),
    st.builds(Within, st.booleans(), st.integers(1, MAX_NUMBER)),
    st.builds(Larger, st.integers(0, MAX_NUMBER)),
    st.builds(Smaller, st.integers(0, MAX_NUMBER)),
    st.builds(ModSeq, st.integers(0, MAX_NUMBER64)),
    st.builds(InSet, st.builds(SeqSet, st.lists(ranges, min_size=1, max_size=3).map(tuple))),
    st.builds(InSet, st.builds(UidSet, st.lists(ranges, min_size=1, max_size=3).map(tuple))),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, inner, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=12,
)


def written(key):
    """Render a search tree as a client would write it."""
    names = {SEEN: b"SEEN", DELETED: b"DELETED", FLAGGED: b"FLAGGED"}
    months = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

    def day(d):
        return b"%d-%b-%04d" % (d.day, months[d.month - 1], d.year)

    def number(n):
        return b"%d" % n if n else b"*"

    match key:
        case All():
            return b"ALL"
        case HasFlag(bit, on):
            return (b"" if on else b"UN") + names[bit]
        case HasKeyword(keyword, on):
            return (b"KEYWORD " if on else b"UNKEYWORD ") + keyword.encode()
        case IsRecent(on):
            return b"RECENT" if on else b"OLD"
        case InternalDay(relation, d):
            return relation.upper().encode() + b" " + day(d)
        case SentDay(relation, d):
            return b"SENT" + relation.upper().encode() + b" " + day(d)
        case InHeader(field, text):
            return b"HEADER " + astring(field.encode()) + b" " + string(text.encode())
        case InBody(text):
            return b"BODY " + string(text.encode())
        case InText(text):
            return b"TEXT " + string(text.encode())
        case Within(older, seconds):
            return (b"OLDER" if older else b"YOUNGER") + b" %d" % seconds
        case Larger(octets):
            return b"LARGER %d" % octets
        case Smaller(octets):
            return b"SMALLER %d" % octets
        case ModSeq(value):
            return b"MODSEQ %d" % value
        case InSet(messages):
            text = b",".join(number(a) + b":" + number(b) for a, b in messages.ranges)
            return (b"UID " if isinstance(messages, UidSet) else b"") + text
        case Not(inner):
            return b"NOT " + written(inner)
        case Or(left, right):
            return b"OR " + written(left) + b" " + written(right)
        case And(keys):
            return b"(" + b" ".join(map(written, keys)) + b")"
    raise AssertionError(key)


@given(trees)
def test_searches_round_trip(tree):
    assert read(b"SEARCH CHARSET UTF-8 " + written(tree)).key == tree


# --- mailboxes


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"INBOX", "INBOX"),
        (b"inbox", "INBOX"),
        (b'"iNbOx/a"', "INBOX/a"),
        (b"NIL", "NIL"),
        (b'"a/b c"', "a/b c"),
        (b"a/b/", "a/b"),
        (b"Inboxes", "Inboxes"),
        (b"&AOQ-", "ä"),
        (b"&AGEDCA-", None),
        (b"a&AwgAMQ-", None),
        (b"a&Awg-", "ä"),
        (b"a&-b", "a&b"),
        (b'"*%"', "*%"),
        (b"~a]b", "~a]b"),
    ],
)
def test_mailbox_names(wire, name):
    if name is None:
        assert refused(b"SELECT " + wire) == CANNOT
    else:
        assert read(b"SELECT " + wire) == Select(b"t", name)


@pytest.mark.parametrize(
    "wire",
    [
        b'""',
        b"a//b",
        b"/a",
        b"{1+}\r\n\xe4",
        b"{2+}\r\n\xc3\xa4",
        b'"\xc3\xa4"',
        b'"\xff"',
        b"&AAE-",
        b'"a\tb"',
        b"x" * 256,
        b"/".join([b"a"] * 33),
    ],
)
def test_names_no_mailbox_can_have(wire):
    for command in (b"SELECT", b"CREATE", b"STATUS", b"COPY 1"):
        assert refused(command + b" " + wire + (b" (UNSEEN)" if command == b"STATUS" else b"")) == CANNOT


def test_select_and_examine():
    assert read(b"EXAMINE x (CONDSTORE)") == Examine(b"t", "x", True)
    assert read(b"SELECT x (condstore)") == Select(b"t", "x", True)
    assert read(b"SELECT x (qresync (7 0) CONDSTORE)") == Select(b"t", "x", True, Resync(7, 0))
    assert read(b"EXAMINE x (QRESYNC (4294967295 9223372036854775807 41,43:211,540:214))") == Examine(
        b"t", "x", False, Resync(4294967295, 2**63 - 1, UidSet(((41, 41), (43, 211), (540, 214))))
    )
    assert read(b"SELECT x (QRESYNC (7 5 (1:3,9 2,5:6,11)))").resync == Resync(
        7, 5, None, ((1, 2, 1), (2, 5, 2), (9, 11, 1))
    )
    whole = read(b"SELECT x (QRESYNC (7 5 1:9 (1:4294967295 1:4294967295)))").resync
    assert (whole.known, whole.matches) == (UidSet(((1, 9),)), ((1, 1, 4294967295),))
    for inner in (
        b"",
        b"7",
        b"0 5",
        b"7 -1",
        b"7 9223372036854775808",
        b"4294967296 5",
        b"7 5 ",
        b"7 5 1:*",
        b"7 5 * (1 1)",
        b"7 5 1:9 2",
        b"7 5 (1)",
        b"7 5 (1 1) 3",
        b"7 5 (1:2 1)",
        b"7 5 (1 1:2)",
        b"7 5 (3:1 1:3)",
        b"7 5 (2,1 1,2)",
        b"7 5 (1,1 1,2)",
        b"7 5 (1:3,3 1:4)",
        b"7 5 (1:* 1:*)",
        b"7 5  (1 1)",
    ):
        assert refused(b"SELECT x (QRESYNC (" + inner + b"))") == BAD, inner
    for line in (b"SELECT x (QRESYNC (7 5) QRESYNC (7 5))", b"SELECT x (QRESYNC(7 5))", b"SELECT x (QRESYNC 7 5)"):
        assert refused(line) == BAD
    for line in (b"SELECT x ()", b"SELECT x (QRESYNC)", b"SELECT x (CONDSTORE) y", b"SELECT x y"):
        assert refused(line) == BAD


def test_create_with_a_use():
    assert read(b"CREATE x (USE (\\sent \\SENT \\Junk))") == Create(b"t", "x", ("\\Sent", "\\Junk"))
    assert read(b"CREATE x (USE ())") == Create(b"t", "x")
    assert refused(b"CREATE x (USE (\\Bogus))") == (b"NO", b"USEATTR")
    assert refused(b"CREATE x (FOO (\\Sent))") == BAD
    assert refused(b"CREATE x (USE \\Sent)") == BAD


def test_simple_mailbox_commands():
    assert read(b"DELETE x") == Delete(b"t", "x")
    assert read(b"RENAME x y") == Rename(b"t", "x", "y")
    assert read(b"SUBSCRIBE x") == Subscribe(b"t", "x")
    assert read(b"UNSUBSCRIBE x") == Unsubscribe(b"t", "x")
    assert read(b"COPY 1:2 x") == Copy(b"t", SeqSet(((1, 2),)), "x")
    assert read(b"UID MOVE 1 x") == Move(b"t", UidSet(((1, 1),)), "x")
    assert read(b"EXPUNGE") == Expunge(b"t")
    assert read(b"UID EXPUNGE 3") == Expunge(b"t", UidSet(((3, 3),)))
    assert refused(b"EXPUNGE 3") == BAD
    assert refused(b"RENAME x") == BAD


# IMAP trap 18: items that STATUS does not know
def test_status():
    assert read(b"STATUS x (unseen MESSAGES UNSEEN)") == Status(b"t", "x", ("UNSEEN", "MESSAGES"))
    assert read(b"STATUS x (HIGHESTMODSEQ UIDNEXT UIDVALIDITY RECENT)").items[0] == "HIGHESTMODSEQ"
    for arguments in (b"x", b"x ()", b"x UNSEEN", b"x (BOGUS)", b"x (UNSEEN) y"):
        assert refused(b"STATUS " + arguments) == BAD


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b'"" ""', List(b"t", "", ("",))),
        (b'"" *', List(b"t", "", ("*",))),
        (b'"" %', List(b"t", "", ("%",))),
        (b'a/ "b c%"', List(b"t", "a/", ("b c%",))),
        (b'"" {3+}\r\na*b', List(b"t", "", ("a*b",))),
        (b'"" &AOQ-*', List(b"t", "", ("ä*",))),
        (b'"" &bad', List(b"t", "", ())),
        (b"&bad *", List(b"t", "", ())),
        (b'() "" *', List(b"t", "", ("*",), extended=True)),
        (b'"" (INBOX "a b" %)', List(b"t", "", ("INBOX", "a b", "%"), extended=True)),
        (b'"" * RETURN ()', List(b"t", "", ("*",), extended=True)),
        (
            b'(remote SUBSCRIBED RecursiveMatch SPECIAL-USE) "" %',
            List(b"t", "", ("%",), frozenset({"REMOTE", "SUBSCRIBED", "RECURSIVEMATCH", "SPECIAL-USE"}), extended=True),
        ),
        (
            b'"" % RETURN (CHILDREN STATUS (MESSAGES UNSEEN) SUBSCRIBED SPECIAL-USE)',
            List(
                b"t",
                "",
                ("%",),
                frozenset(),
                frozenset({"CHILDREN", "STATUS", "SUBSCRIBED", "SPECIAL-USE"}),
                ("MESSAGES", "UNSEEN"),
                True,
            ),
        ),
    ],
)
def test_list(arguments, expected):
    assert read(b"LIST " + arguments) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b'""',
        b'"" () ',
        b'"" ()',
        b'(BOGUS) "" *',
        b'(RECURSIVEMATCH) "" *',
        b'(REMOTE RECURSIVEMATCH) "" *',
        b'(SPECIAL-USE RECURSIVEMATCH) "" *',
        b'"" * RETURN',
        b'"" * RETURN (BOGUS)',
        b'"" * RETURN (STATUS)',
        b'"" * RETURN (STATUS ())',
        b'"" * RETURN (STATUS (BOGUS))',
        b'"" * BOGUS ()',
        b'"" * x',
    ],
)
def test_bad_list(arguments):
    assert refused(b"LIST " + arguments) == BAD


def test_too_many_patterns():
    assert refused(b'LIST "" (' + b" ".join([b"x"] * 65) + b")") == LIMIT


def test_lsub():
    assert read(b'LSUB "" "a*"') == Lsub(b"t", "", ("a*",))
    assert refused(b'LSUB "" (a b)') == BAD


# --- the rest


def test_id():
    assert read(b"ID NIL") == Id(b"t", None)
    assert read(b"ID ()") == Id(b"t", ())
    assert read(b'ID ("name" "x" "os" NIL)') == Id(b"t", ((b"name", b"x"), (b"os", None)))
    for arguments in (b"", b"x", b'("name")', b'("name" x)', b"(name x)", b'("%b" "x")' % (b"n" * 31)):
        assert refused(b"ID " + arguments) == BAD
    assert refused(b'ID ("n" "%b")' % (b"v" * 1025)) == BAD
    assert refused(b"ID (" + b" ".join([b'"n" "v"'] * 31) + b")") == BAD


def test_enable():
    assert read(b"ENABLE condstore X-FOO CONDSTORE") == Enable(b"t", ("CONDSTORE", "X-FOO"))
    assert refused(b"ENABLE") == BAD
    assert refused(b"ENABLE ") == BAD


@pytest.mark.parametrize(
    "line", [b"CAPABILITY", b"NOOP", b"LOGOUT", b"STARTTLS", b"NAMESPACE", b"IDLE", b"CHECK", b"CLOSE", b"UNSELECT"]
)
def test_commands_without_arguments(line):
    assert type(read(line)).verb == line.decode()
    assert refused(line + b" x") == BAD


def test_login():
    assert read(b'LOGIN alice@example.org "a b"') == Login(b"t", b"alice@example.org", b"a b")
    assert read(b'LOGIN NIL ""') == Login(b"t", b"NIL", b"")
    assert refused(b"LOGIN alice") == BAD
    assert refused(b"LOGIN alice a b") == BAD


def test_base64_is_exact():
    assert decode_base64(b"") == b""
    assert decode_base64(b"YQ==") == b"a"
    for text in (b"YQ=", b"YQ", b"YR==", b"Y Q==", b"YQ==YQ==", b"====", b"YWJj=", b"YWJj====", b"_-__"):
        assert decode_base64(text) is None, text


def test_what_may_be_told_during_a_command():
    """RFC 3501 7.4.1, RFC 5256 3: no EXPUNGE during FETCH, STORE, SEARCH, SORT and THREAD; the UID forms may, and ESEARCH, which
    tells UIDs alone."""
    silent = {name for name, row in TABLE.items() if not row.expunge}
    assert silent == {b"FETCH", b"STORE", b"SEARCH", b"SORT", b"THREAD"}
    assert all(TABLE[name].sequence_numbers for name in silent)
    assert not TABLE[b"UID FETCH"].sequence_numbers
    assert all(ImapState.LOGOUT not in row.states for row in TABLE.values())


GRAMMAR = [
    b" ", b"(", b")", b'"', b"\\", b"{1+}\r\nx", b"{3}\r\n", b"[", b"]", b"<0.1>", b"*", b"%", b"1", b":", b",", b"NIL",
    b"ALL", b"NOT", b"OR", b"BODY", b"HEADER.FIELDS", b"RETURN", b"STATUS", b"CHARSET", b"UTF-8", b"\xff", b"\x00",
    b"INBOX", b"FLAGS", b"MODSEQ", b"USE", b"1-Feb-2024", b"\\Seen", b"&AOQ-", b"4294967296", b"CHANGEDSINCE",
    b"REVERSE", b"SUBJECT", b"REFERENCES",
]  # fmt: skip


@settings(max_examples=500)
@given(st.sampled_from(sorted(TABLE)), st.lists(st.sampled_from(GRAMMAR) | st.binary(max_size=4), max_size=20))
def test_only_command_errors_come_out(name, pieces):
    lexer = Lexer(name + b"".join(pieces), len(name))
    try:
        command = TABLE[name].parse(b"t", lexer)
    except CommandFault:
        return
    assert isinstance(command, Command)
    hash(command)


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        (b"FETCH 1 BODY[HEADER.FIELDS (", b"a ", b"b)]"),
        (b"FETCH ", b"1,", b"1 UID"),
        (b"SEARCH ", b"SEEN ", b"ALL"),
        (b'SELECT "', b"\\\\", b'"'),
        (b"SELECT ", b"&", b"x"),
        (b"SELECT ", b"&AOQ-", b"&AOQ"),
        (b'LIST "" ', b"*%", b"x"),
        (b"STORE 1 FLAGS (", b"abc ", b"d)"),
        (b"SEARCH ", b"(", b""),
        (b"FETCH 1 BODY[", b"1.", b"x]"),
        (b"LOGIN ", b"{0}\r\n ", b"x"),
    ],
)
def test_parsing_is_linear(start, piece, end):
    def seconds(count):
        line = start + piece * count + end
        best = 9.0
        for _ in range(3):
            began = time.process_time()
            try:
                read(line)
            except CommandFault:
                pass
            best = min(best, time.process_time() - began)
        return best

    seconds(100)
    assert seconds(30_000) < 10 * 4 * max(seconds(3_000), 0.0005)
