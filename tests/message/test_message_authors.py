"""Who answers for a message: what is clear, what is refused, and that other readers see the same."""

from __future__ import annotations

import time
from email import policy
from email.parser import BytesHeaderParser
from email.utils import getaddresses

import pytest

from mailnode.message.authors import MAX_AUTHORS, MAX_FIELD, UnclearAuthor, answering
from mailnode.message.headers import repair

CLEAR = [
    (b"alice@us.test", ["alice@us.test"]),
    (b"<alice@us.test>", ["alice@us.test"]),
    (b" \t <alice@us.test> \t", ["alice@us.test"]),
    (b"Alice <alice@us.test>", ["alice@us.test"]),
    (b"Alice<alice@us.test>", ["alice@us.test"]),
    (b"Alice B. Carroll <alice@us.test>", ["alice@us.test"]),
    (b'"Doe, Alice" <alice@us.test>', ["alice@us.test"]),
    (b'"ceo@bank.test" <alice@us.test>', ["alice@us.test"]),
    (b'"<ceo@bank.test>" <alice@us.test>', ["alice@us.test"]),
    (b'"say \\"ceo@bank.test\\"," <alice@us.test>', ["alice@us.test"]),
    (b'"" <alice@us.test>', ["alice@us.test"]),
    (b'Alice "the" Doe <alice@us.test>', ["alice@us.test"]),
    (b"alice@us.test (Alice Doe)", ["alice@us.test"]),
    (b"(ceo@bank.test) alice@us.test", ["alice@us.test"]),
    (b"(a (nested, <ceo@bank.test>) comment) alice@us.test", ["alice@us.test"]),
    (b"alice@us.test (an \\) escaped one)", ["alice@us.test"]),
    (b"Alice (x) <alice@us.test> (y)", ["alice@us.test"]),
    (b"=?utf-8?q?Alice_Doe?= <alice@us.test>", ["alice@us.test"]),
    (b"=?utf-8?b?QWxpY2U=?= =?utf-8?b?RG9l?= <alice@us.test>", ["alice@us.test"]),
    (b"=?utf-8?q?ceo=40bank=2Etest?= <alice@us.test>", ["alice@us.test"]),
    (b"=?utf-8?q?Doe,_Alice?= <alice@us.test>", ["alice@us.test"]),
    (b"=?utf-8?q?Doe:_Alice;?= <alice@us.test>", ["alice@us.test"]),
    (b"=?utf-8?q?Doe_(Sales)?= <alice@us.test>", ["alice@us.test"]),
    (b"Al\xc3\xafce <alice@us.test>", ["alice@us.test"]),
    (b"O'Neil & Sons <alice@us.test>", ["alice@us.test"]),
    (b"Alice\r\n\t<alice@us.test>", ["alice@us.test"]),
    (b"a@us.test, b@us.test", ["a@us.test", "b@us.test"]),
    (b"A <a@us.test>,\r\n B <b@us.test>", ["a@us.test", "b@us.test"]),
    (b"a@us.test,, b@us.test,", ["a@us.test", "b@us.test"]),
    (b"a.b.c@us.test", ["a.b.c@us.test"]),
    (b"alice+tag@us.test", ["alice+tag@us.test"]),
    (b"alice@[192.0.2.1]", ["alice@[192.0.2.1]"]),
]

# Clear in themselves, though the standard library reads or writes some of them in its own way.
CLEAR_TO_US = [
    (b"alice.@us.test", ["alice.@us.test"]),
    (b"a..b@us.test", ["a..b@us.test"]),
    (b'"a b"@us.test', ["a b@us.test"]),
    (b'"a@b"@us.test', ["a@b@us.test"]),
    (b'"alice"@us.test', ["alice@us.test"]),
    (b"al\xc3\xafce@us.test", ["al\u00efce@us.test"]),
]

UNCLEAR = [
    (b"ceo@bank.test <alice@us.test>", b"must stand in quotes"),
    (b"Alice ceo@bank.test <alice@us.test>", b"must stand in quotes"),
    (b"ceo@bank.test alice@us.test", b"not an address"),
    (b"<ceo@bank.test> <alice@us.test>", b"angle brackets"),
    (b"<ceo@bank.test> alice@us.test", b"angle brackets"),
    (b"alice@us.test <", b"angle brackets"),
    (b"Alice <alice@us.test", b"angle brackets"),
    (b"Alice alice@us.test>", b"angle brackets"),
    (b"<<alice@us.test>>", b"angle brackets"),
    (b"Alice <alice@us.test> Doe", b"angle brackets"),
    (b"Doe, Alice <alice@us.test>", b"a display name with a comma must stand in quotes"),
    (b"Alice (unclosed <alice@us.test>", b"a comment that is not closed"),
    (b"alice@us.test (", b"a comment that is not closed"),
    (b"alice@us.test (\\", b"a comment that is not closed"),
    (b"alice@us.test )", b"without quotes"),
    (b'"Alice <alice@us.test>', b"quotes that are not closed"),
    (b'"Alice\\" <alice@us.test>', b"quotes that are not closed"),
    (b'"', b"quotes that are not closed"),
    (b"group: alice@us.test;", b"a group"),
    (b"group:;", b"a group"),
    (b"Re: me <alice@us.test>", b"a group"),
    (b"alice@us.test; bob@us.test", b"a group"),
    (b"<@bank.test:alice@us.test>", b"a group"),
    (b"<@bank.test,@x.test:alice@us.test>", b"angle brackets"),
    (b"alice@bank.test@us.test", b"not an address"),
    (b"alice @us.test", b"white space or a comment within"),
    (b"alice@ us.test", b"white space or a comment within"),
    (b"alice(ceo)@us.test", b"white space or a comment within"),
    (b"alice@us.test(x).bank.test", b"not an address"),
    (b"alice@us .test", b"not an address"),
    (b"al ice@us.test", b"not an address"),
    (b"<al ice@us.test>", b"not an address"),
    (b'"al"ice@us.test', b"not an address"),
    (b"alice", b"no address"),
    (b"Alice Doe", b"no address"),
    (b"<>", b"not an address"),
    (b"<alice>", b"not an address"),
    (b"@us.test", b"not an address"),
    (b"alice@", b"not an address"),
    (b"", b"no address"),
    (b",", b"no address"),
    (b" (nobody) ", b"no address"),
    (b"=?utf-8?q?ceo@bank.test?= <alice@us.test>", b"an encoded word"),
    (b"=?utf-8?q?<ceo@bank.test>?= <alice@us.test>", b"an encoded word"),
    (b"=?utf-8?q?x(?= <alice@us.test>", b"an encoded word"),
    (b'=?utf-8?q?x"?= <alice@us.test>', b"an encoded word"),
    (b"Alice [x] <alice@us.test>", b"must stand in quotes"),
    (b"Alice \\<ceo@bank.test\\> <alice@us.test>", b"without quotes"),
    (b"alice@us.test\x00", b"a control character"),
    (b"alice\r@us.test", b"a control character"),
    (b"alice\n@us.test", b"a control character"),
    (b"alice\x7f@us.test", b"a control character"),
    (b"al\xefce@us.test", b"not UTF-8"),
    (b"a@us.test," * (MAX_AUTHORS + 1), b"too many addresses"),
    (b"x" * MAX_FIELD + b" <alice@us.test>", b"too long"),
]


def read(header: bytes) -> list[tuple[str, list[str]]]:
    return [
        (field.field, [f"{a.local}@{a.domain}" for a in field.addresses])
        for field in answering(repair(header + b"\r\n"))
    ]


@pytest.mark.parametrize(("value", "addresses"), CLEAR + CLEAR_TO_US)
def test_a_clear_author(value: bytes, addresses: list[str]) -> None:
    assert read(b"Subject: x\r\nFrom: " + value + b"\r\n") == [("From", addresses)]


@pytest.mark.parametrize(("value", "addresses"), CLEAR)
def test_the_standard_library_reads_the_same_author(value: bytes, addresses: list[str]) -> None:
    if b",," not in value and b"=?utf-8?q?Doe" not in value:  # one gives up on these as a whole, and names nobody else
        parsed = BytesHeaderParser(policy=policy.default).parsebytes(b"From: " + value + b"\r\n\r\n")
        assert [address.addr_spec for address in parsed["From"].addresses] == addresses
    text = value.replace(b"\r\n", b"").decode("utf-8", "surrogateescape")
    others = {address for _, address in getaddresses([text]) if "@" in address}
    assert others <= set(addresses)


@pytest.mark.parametrize(("value", "why"), UNCLEAR)
def test_an_author_that_is_not_clear(value: bytes, why: bytes) -> None:
    with pytest.raises(UnclearAuthor, match=f"From field: .*{why.decode()}"):
        read(b"From: " + value + b"\r\n")


def test_no_author_at_all() -> None:
    assert read(b"Subject: x\r\n") == []


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"From: a@us.test\r\nFrom: a@us.test\r\n", "two From fields"),
        (b"From: a@us.test\r\nfrom: ceo@bank.test\r\n", "two From fields"),
        (b"From : a@us.test\r\n", "a space before the colon"),
        (b"From: a@us.test\r\nFrom : ceo@bank.test\r\n", "two From fields"),
        (b"From: a@us.test\r\nSender: a@us.test\r\nSender: b@us.test\r\n", "two Sender fields"),
        (b"From: a@us.test\r\nSender: a@us.test, b@us.test\r\n", "more than one address"),
        (b"From: a@us.test\r\nSender:\r\n", "Sender field: no address"),
        (b"Resent-To: x@y.test\r\nFrom: a@us.test\r\n", "no Resent-From"),
        (b"Resent-From: a (\r\nFrom: a@us.test\r\n", "Resent-From field: a comment"),
    ],
)
def test_fields_that_are_there_twice_or_not_at_all(header: bytes, why: str) -> None:
    with pytest.raises(UnclearAuthor, match=why):
        read(header)


def test_a_sender_beside_the_author() -> None:
    header = b"From: a@us.test\r\nSender: Secretary <b@us.test>\r\n"
    assert read(header) == [("From", ["a@us.test"]), ("Sender", ["b@us.test"])]


def test_a_message_that_is_sent_on_is_answered_for_by_who_sends_it_on() -> None:
    header = (
        b"Received: x\r\n"
        b"Resent-From: Alice <a@us.test>\r\nResent-Sender: b@us.test\r\nResent-Date: now\r\nResent-To: c@d.test\r\n"
        b"From: ceo@bank.test <whoever>\r\nSender: z@bank.test\r\nSender: y@bank.test\r\n"
    )
    assert read(header) == [("Resent-From", ["a@us.test"]), ("Resent-Sender", ["b@us.test"])]


@pytest.mark.parametrize("between", [b"", b"Received: y\r\n"])
def test_only_the_last_resending_counts(between: bytes) -> None:
    last = b"Resent-From: a@us.test\r\nResent-Date: now\r\nResent-To: c@d.test\r\n"
    earlier = b"Resent-From: other@bank.test\r\nResent-Sender: x@bank.test\r\n"
    assert read(last + between + earlier + b"From: ceo@bank.test\r\n")[0] == ("Resent-From", ["a@us.test"])
    assert read(earlier + between + last + b"From: ceo@bank.test\r\n")[0] == ("Resent-From", ["other@bank.test"])


@pytest.mark.parametrize("piece", [b"(", b'"', b"<", b"=?u?q?", b"=?", b"a ", b"[", b"\\", b"@", b",", b"(\\", b"a,"])
def test_time_is_linear(piece: bytes) -> None:
    header = b"From: " + piece * ((MAX_FIELD - 100) // len(piece)) + b"\r\n"
    taken = []
    for _ in range(3):  # the collector of a long run may come into one of them
        begun = time.process_time()
        with pytest.raises(UnclearAuthor):
            read(header)
        taken.append(time.process_time() - begun)
    assert min(taken) < 0.5
