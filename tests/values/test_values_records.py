"""Facts, replies, accounts and the events of the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.values.directory import STATUSES, Account
from mailnode.values.events import EVENTS, emit, one_line
from mailnode.values.facts import (
    KEPT_FIELDS,
    Part,
    SortKeys,
    decode_parts,
    decode_sort_keys,
    encode_parts,
    encode_sort_keys,
)
from mailnode.values.mailbox import COLUMNS, SPECIAL_USE
from mailnode.values.smtp_reply import Reply

NUMBERS = st.integers(0, 2**40)
TEXTS = st.text(max_size=20)


@given(st.lists(st.builds(Part, TEXTS, TEXTS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)))
def test_parts_round_trip(parts):
    encoded = encode_parts(tuple(parts))
    assert encoded.isascii()
    assert decode_parts(encoded) == tuple(parts)


@given(
    st.builds(
        SortKeys,
        st.none() | st.integers(-(2**62), 2**62),
        st.integers(-1500, 1500),
        *[TEXTS] * 2,
        st.booleans(),
        *[TEXTS] * 6,
        st.lists(TEXTS).map(tuple),
    )
)
def test_sort_keys_round_trip(keys):
    encoded = encode_sort_keys(keys)
    assert encoded.isascii()
    assert decode_sort_keys(encoded) == keys


def test_tables():
    assert all(name == name.lower() and name.isascii() for name in KEPT_FIELDS)
    assert {"parts", "sort", "envelope", "bodystructure", "blob"} <= set(COLUMNS)
    assert all(use == "\\" + name for name, use in SPECIAL_USE.items())


@pytest.mark.parametrize(
    ("status", "login"),
    [
        ("active", True),
        ("no-login", False),
        ("no-receive", True),
        ("suspended", False),
        ("deleting", False),
    ],
)
def test_what_a_status_allows(status, login):
    assert status in STATUSES
    assert Account(id="a", address="a@b", status=status).may_login is login
    assert not Account(id="a", address="a@b", status=status, role="shared").may_login


def test_replies():
    reply = Reply(550, "5.1.1", ("no such", "user"))
    assert str(reply) == "550 5.1.1 no such user"
    assert reply.is_permanent and not reply.is_positive
    assert Reply(354, "", ("go on",)).is_positive
    assert str(Reply(354, "", ("go on",))) == "354 go on"
    temporary = Reply(451, "4.3.0", ("later",))
    assert not temporary.is_positive and not temporary.is_permanent


class Log:
    def __init__(self):
        self.seen = []

    def info(self, format=None, **kwargs):
        self.seen.append(("info", format, kwargs))

    def warn(self, format=None, **kwargs):
        self.seen.append(("warn", format, kwargs))


def test_emit():
    log = Log()
    emit(log, "session.close", session="s", protocol="imap")
    emit(log, "session.error", warning=True, session="s")
    assert log.seen == [
        ("info", "{event}", {"event": "session.close", "fields": {"session": "s", "protocol": "imap"}}),
        ("warn", "{event}", {"event": "session.error", "fields": {"session": "s"}}),
    ]
    with pytest.raises(KeyError):
        emit(log, "no.such.event")
    with pytest.raises(ValueError, match="colour"):
        emit(log, "session.close", colour="red")


def test_event_table():
    for name, (what, fields) in EVENTS.items():
        assert name.count(".") == 1
        assert what
        assert len(set(fields)) == len(fields)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (42, "42"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "x"', '"say \\"x\\""'),
        ('"', '"\\""'),
        ("back\\slash here", '"back\\\\slash here"'),
        ("a\r\nevent=forged x=1", '"a\\r\\nevent=forged x=1"'),
        ("a\0b\x1b[31m", '"a\\x00b\\x1b[31m"'),
        ("\u2028", '"\\u2028"'),
        ("\ud800", '"\\ud800"'),
        ("é", '"é"'),
    ],
)
def test_one_line(value, text):
    assert one_line(value) == text


@given(st.text())
def test_one_line_is_one_field_of_one_line(value):
    text = one_line(value)
    assert text.isprintable()
    assert len(text.splitlines()) == 1
    if " " in text:
        assert text.startswith('"') and text.endswith('"')
        inner = text[1:-1].replace("\\\\", "").replace('\\"', "")
        assert '"' not in inner
