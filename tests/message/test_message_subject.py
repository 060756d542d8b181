"""Base subjects (RFC 5256 2.1) and sort keys."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.scanner import scan
from mailnode.message.sortkeys import message_ids
from mailnode.message.subject import base_subject
from mailnode.values.facts import SortKeys, decode_sort_keys, encode_sort_keys


@pytest.mark.parametrize(
    ("subject", "base", "reply"),
    [
        ("hello", "hello", False),
        ("", "", False),
        ("  hello \t world  ", "hello world", False),
        ("Re: hello", "hello", True),
        ("RE:hello", "hello", True),
        ("re : hello", "hello", True),
        ("Re[2]: hello", "hello", True),
        ("Re [2] : hello", "hello", True),
        ("Fw: hello", "hello", True),
        ("Fwd: hello", "hello", True),
        ("fwd: Re: FW: hello", "hello", True),
        ("[list] hello", "hello", False),
        ("[list] Re: hello", "hello", True),
        ("Re: [list] hello", "hello", True),
        ("[a] [b] Re: [c] Fwd: hello", "hello", True),
        ("[a][b] hello", "hello", False),
        ("[list]", "[list]", False),
        ("[a] [b]", "[b]", False),
        ("Re: [list]", "[list]", True),
        ("Re:", "", True),
        ("hello (fwd)", "hello", True),
        ("hello (FWD) (fwd)  ", "hello", True),
        ("(fwd)", "", True),
        ("[Fwd: hello]", "hello", True),
        ("[fwd: Re: hello (fwd)]", "hello", True),
        ("[Fwd: [Fwd: [list] hello]]", "hello", True),
        ("[Fwd: hello] more", "more", False),
        ("[Fwd:]", "", True),
        ("[fwd:", "[fwd:", False),
        ("Reply: hello", "Reply: hello", False),
        ("Regarding", "Regarding", False),
        ("Re hello", "Re hello", False),
        ("hello Re: world", "hello Re: world", False),
        ("[unclosed Re: x", "[unclosed Re: x", False),
        ("[a[b] x", "[a[b] x", False),
        ("Re\r\n : folded", "folded", True),
    ],
)
def test_base_subject(subject, base, reply):
    assert base_subject(subject) == (base, reply)


@given(
    st.lists(st.sampled_from(["re", ":", " ", "[", "]", "fwd", "(fwd)", "[fwd:", "x", "\t", "["]), max_size=30).map(
        "".join
    )
)
def test_the_base_of_a_base_is_itself_and_reading_follows_the_rfc_step_by_step(subject):
    assert base_subject(subject)[0] == by_the_book(subject)


def by_the_book(subject):
    """RFC 5256 2.1 with slices and regular expressions, step for step."""
    import re

    blob = re.compile(r"\[[^\[\]]*\][ \t]*")
    refwd = re.compile(r"(?:\[[^\[\]]*\][ \t]*)*(?:re|fwd?)[ \t]*(?:\[[^\[\]]*\][ \t]*)?:", re.IGNORECASE)
    text = re.sub(r"[ \t\r\n]+", " ", subject)
    while True:
        while True:  # 2
            if text.endswith(" "):
                text = text[:-1]
            elif text.lower().endswith("(fwd)"):
                text = text[:-5]
            else:
                break
        while True:  # 3 to 5
            if text.startswith(" "):
                text = text[1:]
            elif (found := refwd.match(text)) or ((found := blob.match(text)) and text[found.end() :]):
                text = text[found.end() :]
            else:
                break
        if text.lower().startswith("[fwd:") and text.endswith("]"):  # 6
            text = text[5:-1]
            continue
        return text


@pytest.mark.parametrize("piece", ["[a]", "[a] ", "re:", "[", "(fwd)", "[fwd:", " ", "re[", "re [a] "])
def test_linear(piece):
    def seconds(count):
        best = 1e9
        for text in (piece * count, piece * count + "]" * count):
            for _ in range(2):
                start = time.thread_time()
                base_subject(text)
                best = min(best, time.thread_time() - start)
        return best

    assert seconds(64_000) < 16 * 5 * max(seconds(4_000), 0.0005)


def keys(text):
    return scan(text.replace("\n", "\r\n").encode() + b"\r\n").sort


def test_all_keys():
    found = keys(
        "Date: Fri, 21 Nov 1997 09:55:06 -0600\nSubject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
        'From: "=?utf-8?q?J=C3=B6rg?=" <Joerg@a.test>, x@y\nTo: to@b.test\nCc: Group: first@c.test, second@c.test;\n'
        "Message-ID: <me@a.test>\nReferences: <1@a> junk <2@a>\n <3@a>\nIn-Reply-To: <9@a>\n"
    )
    assert found == SortKeys(
        date=880127706_000000,
        date_offset=-360,
        subject="Re: Grüße",
        subject_base="Grüße",
        is_reply=True,
        from_display="Jörg",
        to_display="to@b.test",
        from_mailbox="Joerg",
        to_mailbox="to",
        cc_mailbox="first",
        message_id="me@a.test",
        references=("1@a", "2@a", "3@a"),
    )
    assert decode_sort_keys(encode_sort_keys(found)) == found


def test_missing_fields():
    assert keys("X: y\n") == SortKeys()


def test_in_reply_to_stands_in_for_references():
    assert keys("In-Reply-To: Your message of <1@a> and <2@a>\n").references == ("1@a",)
    assert keys("References: none\nIn-Reply-To: <1@a>\n").references == ("1@a",)


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b"<a@b>", ["a@b"]),
        (b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com>', ["01KF8JCEOCBS0045PS@xxx.yyy.com"]),
        (b"<a@b><c@d>", ["a@b", "c@d"]),
        (b"<a\r\n b@c>", ["ab@c"]),
        (b"<>< >", []),
        (b"a@b", []),
        (b"<<a@b>>", ["a@b"]),
        (b"<" + b"x" * 251 + b">", []),
        (b"<\xff\0>", ["ÿ\ufffd"]),
    ],
)
def test_message_ids(value, ids):
    assert message_ids(value) == ids


def test_keys_are_bounded():
    ids = " ".join(f"<{number}@x>" for number in range(1000))
    found = keys(f"References: {ids}\nSubject: {'x' * 100_000}\nFrom: {'y' * 10_000} <{'z' * 10_000}@d>\n")
    assert len(found.references) == 100
    assert (found.references[0], found.references[1], found.references[-1]) == ("0@x", "901@x", "999@x")
    assert len(found.subject) == 8192
    assert len(found.from_display) == len(found.from_mailbox) == 255
