"""Results of others in fields of theirs, as they are really written, and as nobody should write them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.authres import MAX_READ, MAX_RESULTS, payload, read_results
from mailnode.message.vouching import TRUSTED, trusted_sealer, vouched
from mailnode.values.authentication import AuthenticationResult as Result

GOOGLE = (
    b"mx.google.com; dkim=pass header.i=@a.example header.s=k1 header.b=AbCd12; spf=pass (google.com: domain of "
    b"x@a.example designates 192.0.2.1; as permitted sender) smtp.mailfrom=x@a.example; dmarc=pass (p=NONE sp=NONE dis=NONE) "
    b"header.from=a.example"
)
MICROSOFT = (
    b"mx.microsoft.com 1; spf=pass smtp.mailfrom=a.example; dmarc=pass action=none header.from=a.example; dkim=none; "
    b"arc=none"
)


def test_what_large_providers_write():
    dkim, spf, dmarc = read_results(GOOGLE)
    assert dkim == Result("dkim", "pass", (("header.i", "@a.example"), ("header.s", "k1"), ("header.b", "AbCd12")))
    assert spf == Result("spf", "pass", (("smtp.mailfrom", "x@a.example"),))
    assert dmarc == Result("dmarc", "pass", (("header.from", "a.example"),))
    assert [(one.method, one.result) for one in read_results(MICROSOFT)][1:] == [
        ("dmarc", "pass"),
        ("dkim", "none"),
        ("arc", "none"),
    ]
    assert read_results(MICROSOFT)[1] == dmarc


@pytest.mark.parametrize(
    "text, found",
    [
        (b"", []),
        (b"mx.example", []),
        (b"mx.example; none", []),
        (b"mx.example 1; none", []),
        (b"x; SPF=Pass", [Result("spf", "pass")]),
        (b"x; spf / 1 = pass smtp . mailfrom = a@b", [Result("spf", "pass", (("smtp.mailfrom", "a@b"),))]),
        (b"x; spf=pass(good)smtp.mailfrom=a@b", [Result("spf", "pass", (("smtp.mailfrom", "a@b"),))]),
        (b'x; dkim=fail reason="a;b \\" (c)" header.d=d', [Result("dkim", "fail", (("header.d", "d"),), 'a;b "  (c)')]),
        (b'x; spf=pass smtp.mailfrom="a b"@c', [Result("spf", "pass", (("smtp.mailfrom", "a b@c"),))]),
        (b"x; spf=pass smtp.mailfrom=\xc3\xa4@b", [Result("spf", "pass", (("smtp.mailfrom", "ä@b"),))]),
        (b"x; spf; dkim=pass; =fail;; dmarc", [Result("dkim", "pass")]),
        (b"x; dkim=pass header.d=a junk; spf=none", [Result("spf", "none")]),
        (b"x; dkim=pass (never ended; dmarc=pass header.from=a", [Result("dkim", "pass")]),
        (b'x; dkim=pass reason="never ended; dmarc=pass', [Result("dkim", "pass", (), "never ended; dmarc=pass")]),
        (b'"x; dmarc=pass"; spf=fail', [Result("spf", "fail")]),
    ],
)
def test_forms_of_a_field(text, found):
    assert list(read_results(text)) == found


@given(st.text('abc=;."\\() \t/@i1', max_size=60))
def test_nothing_makes_it_fail(text):
    for result in read_results(text.encode()):
        assert result.method


@pytest.mark.parametrize("piece", [b"(", b'"', b"a=b ", b"a", b" ", b";", b"a=\\", b"a.b=", b"((", b";a="])
def test_it_is_quick_and_bounded(piece):
    text = b"x;" + piece * (MAX_READ // len(piece) - 2)
    began = time.process_time()
    assert len(read_results(text)) <= MAX_RESULTS
    assert time.process_time() - began < 0.05
    assert read_results(text + b" " * MAX_READ) == ()


RESULTS = (
    Result("spf", "pass", (("smtp.mailfrom", "x@a.example"),)),
    Result("dkim", "pass", (("header.d", "a.example"), ("header.b", "Ab+/c=="))),
    Result("dmarc", "pass", (("header.from", "a.example"),), "all is well"),
)


def test_what_we_write_is_read():
    assert read_results(payload("mx.example", RESULTS).replace("\r\n", "").encode()) == RESULTS


def chain(*texts):
    fields = [
        f"ARC-Seal: i={i}; cv={'pass' if i > 1 else 'none'}; b=\r\nARC-Message-Signature: i={i}; b=\r\n"
        f"ARC-Authentication-Results: i={i}; {text}\r\n"
        for i, text in enumerate(texts, 1)
    ]
    return "".join(reversed(fields)).encode() + b"From: x@a.example\r\n\r\n"


HELD = (Result("arc", "pass", (("header.oldest-pass", "0"), (TRUSTED, "list.example"))),)


def test_what_trusted_sealers_say():
    header = chain(
        payload("mx.b.example", RESULTS), payload("mx.list.example", [Result("dkim", "fail"), Result("arc", "pass")])
    )
    assert vouched(header, HELD) == (*RESULTS, Result("dkim", "fail"))
    assert trusted_sealer(HELD) == "list.example"


@pytest.mark.parametrize(
    "found",
    [
        (),
        (Result("arc", "pass", (("header.oldest-pass", "0"),)),),
        (Result("arc", "fail", ((TRUSTED, "list.example"),)),),
        (Result("dmarc", "pass", ((TRUSTED, "list.example"),)),),
    ],
)
def test_nobody_else_is_believed(found):
    assert vouched(chain(payload("mx.b.example", RESULTS)), found) == ()
    assert trusted_sealer(found) == ""
