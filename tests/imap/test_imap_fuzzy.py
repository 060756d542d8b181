"""SEARCH=FUZZY (RFC 6203): what is nearly what is looked for, and how nearly."""

import pytest
from imap_world import play

from mailnode.imap.commands import matching
from mailnode.imap.messages.relevancy import score
from mailnode.imap.messages.search_keys import MAX_WORDS, All, And, InHeader, NearlyInHeader, NearlyInText, Not, Or
from mailnode.imap.messages.search_returns import PartialRange, Returns

MESSAGES = [
    b"Subject: Hello world\r\nFrom: Ren\xc3\xa9e <renee@example.org>\r\n\r\nthe quick brown fox\r\n",
    b"Subject: Helo\r\nX-Other: projects\r\n\r\nnothing of interest\r\n",
    b"Subject: nothing\r\n\r\nhello, quick and broom, fux\r\n",
    b"Subject: Othello\r\n\r\nfin\r\n",
]


@pytest.fixture
def client(make_world):
    world = make_world()
    for raw in MESSAGES:
        world.put(raw)
    client = world.connect(select="INBOX")
    client.world = world
    return client


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("FUZZY SUBJECT hello", "1 2 4"),
        ("SUBJECT hello", "1 4"),  # not fuzzy
        ('FUZZY SUBJECT "world hello"', "1"),  # both, in any order
        ('FUZZY SUBJECT "world hello other"', "1"),  # more than half
        ('FUZZY SUBJECT "hello other"', ""),
        ("FUZZY FROM renee", "1"),
        ("FUZZY FROM rene", "1"),
        ("FUZZY TEXT helo", "1 2 3"),
        ("FUZZY BODY helo", "3"),
        ('FUZZY BODY "brown fox"', "1"),
        ('FUZZY TEXT "helo brown"', "1"),  # in different places
        ("FUZZY HEADER X-Other project", "2"),
        ("FUZZY (SUBJECT hello UNSEEN)", "1 2 4"),
        ("FUZZY (SUBJECT hello SEEN)", ""),
        ("NOT FUZZY SUBJECT hello", "3"),
        ("FUZZY NOT SUBJECT hello", "3"),
        ("FUZZY OR SUBJECT helo BODY quick", "1 2 3"),
        ("FUZZY 2:3", "2 3"),
        ("FUZZY SUBJECT helo SUBJECT helo", "2"),  # one of them
        ('FUZZY SUBJECT "--"', ""),  # as it stands
        ('FUZZY HEADER X-Other ""', "2"),
        ("FUZZY FUZZY SUBJECT helo", "1 2"),
        ("FUZZY SUBJECT helo FUZZY BODY quick", "1"),
    ],
)
def test_what_is_nearly_what_is_looked_for(client, keys, expected):
    assert client.ask(f"t SEARCH {keys}") == [f"* SEARCH {expected}".rstrip(), "t OK SEARCH completed"]


# IMAP trap 58: it finds more, never less
def test_whatever_is_found_as_it_stands_is_found_nearly(client):
    for text in ("hello", "nothing of", "o, q", "ick", "brown fox", "e@e", "i"):
        exact = client.ask(f'a SEARCH TEXT "{text}"')[0].split()[2:]
        assert exact and set(exact) <= set(client.ask(f'a SEARCH FUZZY TEXT "{text}"')[0].split()[2:]), text


def test_words_of_a_long_message_may_be_far_apart(client):
    filler = b"0123456789abcdef\r\n" * 20_000  # over PIECE
    parts = b"--b\r\n\r\nthe elefant\r\n" + filler + b"\r\n--b\r\n\r\nin a zo, with girafes\r\n--b--\r\n"
    client.world.put(b"Subject: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts)
    client.ask("n NOOP")
    assert client.ask('t SEARCH RETURN (ALL RELEVANCY) FUZZY BODY "elephant giraffes in"')[0] == (
        '* ESEARCH (TAG "t") ALL 5 RELEVANCY (58)'  # 25, 50 and 100: ph and ff are two letters and one away
    )
    assert client.ask('t SEARCH FUZZY BODY "elephant tigers"') == ["* SEARCH", "t OK SEARCH completed"]


SCORES = """
C: a SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT hello
S: * ESEARCH (TAG "a") ALL 1:2,4 RELEVANCY (100 50 75)
S: a OK SEARCH completed
C: b UID SEARCH RETURN (RELEVANCY) FUZZY SUBJECT hello
S: * ESEARCH (TAG "b") UID RELEVANCY (100 50 75)
S: b OK SEARCH completed
C: c SEARCH RETURN (PARTIAL 2:3 RELEVANCY) FUZZY SUBJECT hello
S: * ESEARCH (TAG "c") PARTIAL (2:3 2,4) RELEVANCY (50 75)
S: c OK SEARCH completed
C: d SEARCH RETURN (MIN RELEVANCY COUNT) FUZZY SUBJECT hello
S: * ESEARCH (TAG "d") MIN 1 RELEVANCY (100 50 75) COUNT 3
S: d OK SEARCH completed
C: e SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT absent
S: * ESEARCH (TAG "e") RELEVANCY ()
S: e OK SEARCH completed
C: f SORT (RELEVANCY) UTF-8 FUZZY SUBJECT hello
S: * SORT 1 4 2
S: f OK SORT completed
C: g SORT (REVERSE RELEVANCY) UTF-8 FUZZY SUBJECT hello
S: * SORT 2 4 1
S: g OK SORT completed
C: h SORT RETURN (RELEVANCY ALL) (SUBJECT RELEVANCY) UTF-8 FUZZY TEXT helo
S: * ESEARCH (TAG "h") ALL 1:3 RELEVANCY (50 100 50)
S: h OK SORT completed
C: i UID SORT RETURN (PARTIAL 1:2 RELEVANCY) (RELEVANCY) UTF-8 FUZZY SUBJECT hello
S: * ESEARCH (TAG "i") UID PARTIAL (1:2 1,4) RELEVANCY (100 75)
S: i OK SORT completed
C: j SEARCH RETURN (RELEVANCY ALL) SUBJECT hello
S: j BAD RELEVANCY is that of FUZZY keys
C: k SORT (RELEVANCY) UTF-8 SUBJECT hello
S: k BAD RELEVANCY is that of FUZZY keys
C: l SORT RETURN (RELEVANCY) (SUBJECT) UTF-8 ALL
S: l BAD RELEVANCY is that of FUZZY keys
C: m SEARCH RETURN (RELEVANCY ALL) FUZZY SEEN
S: * ESEARCH (TAG "m") RELEVANCY ()
S: m OK SEARCH completed
C: n SEARCH RETURN (RELEVANCY ALL) FUZZY UNSEEN
S: * ESEARCH (TAG "n") ALL 1:4 RELEVANCY (100 100 100 100)
S: n OK SEARCH completed
C: o SEARCH FUZZY
S: o BAD Missing arguments or misplaced characters
C: p THREAD ORDEREDSUBJECT UTF-8 FUZZY SUBJECT hello
S: * THREAD …
S: p OK THREAD completed
C: q UID SEARCH RETURN (SAVE RELEVANCY) FUZZY SUBJECT hello
S: * ESEARCH (TAG "q") UID RELEVANCY (100 50 75)
S: q OK SEARCH completed
C: r SEARCH $
S: * SEARCH 1 2 4
S: r OK SEARCH completed
"""


def test_scores_are_told_and_sorted_by(make_world):
    def with_messages():
        world = make_world()
        for raw in MESSAGES:
            world.put(raw)
        world.connect(select="INBOX")
        return world

    play(with_messages, SCORES)


def test_it_is_offered_and_can_be_hidden(client):
    assert "SEARCH=FUZZY" in client.ask("c CAPABILITY")[0].split()
    client.session.hidden |= {"SEARCH=FUZZY"}
    assert "SEARCH=FUZZY" not in client.ask("c CAPABILITY")[0].split()


# IMAP trap 58: bounded work
def test_words_are_bounded(client):
    words = " ".join(f"word{number}" for number in range(MAX_WORDS))
    assert client.ask(f'a SEARCH FUZZY TEXT "{words}"')[-1] == "a OK SEARCH completed"
    assert client.ask(f'b SEARCH FUZZY TEXT "{words} more"') == ["b NO [LIMIT] Too many words behind FUZZY"]
    assert client.ask(f'c SEARCH TEXT "{words} more"')[-1] == "c OK SEARCH completed"


def test_a_kept_header_is_looked_into_without_the_message(client, monkeypatch):
    async def opened(*args):
        raise AssertionError("a message was opened")

    monkeypatch.setattr(matching, "read_small", opened)
    assert client.ask("t SEARCH RETURN (ALL RELEVANCY) FUZZY SUBJECT hello")[0].endswith("RELEVANCY (100 50 75)")


def test_messages_that_cannot_be_read_have_the_least_score(client):
    [uid] = [client.world.put(b"Subject: helo again\r\n\r\nhello\r\n")]
    client.ask("n NOOP")
    client.world.expunge(uid)
    client.world.sweep()
    assert client.ask("t SEARCH RETURN (ALL RELEVANCY) OR FUZZY SUBJECT hello 5")[0].endswith(
        "ALL 1:2,4:5 RELEVANCY (100 50 75 1)"
    )


# --- scores

ONE, TWO = NearlyInHeader("subject", ("a", "b"), 2), NearlyInText(("c",), 1, True)


@pytest.mark.parametrize(
    ("key", "nearness", "wanted"),
    [
        (ONE, ((100, 50),), 75),
        (ONE, ((0, 0),), 1),
        (And((ONE, TWO)), ((100, 100), (50,)), 75),
        (Or(ONE, TWO), ((100, 0), (75,)), 75),
        (And((ONE, Not(TWO))), ((100, 100), (0,)), 100),
        (Not(TWO), ((25,),), 100),
        (And((All(), InHeader("subject", "x"))), (), 100),
    ],
)
def test_the_score_of_a_key(key, nearness, wanted):
    assert score(key, nearness) == wanted


def test_what_a_result_names_with_scores():
    assert Returns(frozenset(), True, None, True).named(3) == range(3)
    assert Returns(frozenset({"MIN"}), True, None, True).enough is None
    assert Returns(frozenset(), False, PartialRange(1, 2), True).enough == (2, False)
