"""Seals and their verification, held against dkimpy, which has not made them."""

import hashlib
import time
from base64 import b64encode
from functools import cache
from itertools import permutations

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mailnode.message import signatures as reading
from mailnode.message import verifying
from mailnode.message.arc import MAX_SETS, RESULTS, SEAL, SIGNATURE, read_chain, seal
from mailnode.message.authres import MAX_SAID, payload, said_by
from mailnode.message.digests import Digests
from mailnode.message.dkim import load, signatures
from mailnode.message.dkim_keys import make_pair
from mailnode.message.headers import fields, header_end, repair
from mailnode.message.verifying import DkimSignatures, SealedChain
from mailnode.values.authentication import AuthenticationResult, BodyDigest

NOW = time.time()
PAIRS = {domain: make_pair(domain, "active", NOW) for domain in ("a.example", "b.example", "c.example")}
RECORDS = {name: text.encode() for pair in PAIRS.values() for name, text in (key.record for key in pair)}
KEYS = {domain: load(pair) for domain, pair in PAIRS.items()}
HEAD = b"From: Alice <alice@a.example>\r\nTo: bob@b.example\r\nSubject: hello  you\r\nDate: now\r\n\r\n"
BODY = b"A line \t with spaces  \r\n\r\nand more\r\n\r\n\r\n"


def digests(body):
    made = Digests()
    made.update(body)
    return made.finish()


def of_dns(name, timeout=5):
    return RECORDS.get(name.decode().rstrip("."), b"")


def key_names(header):
    return DkimSignatures(header).records + SealedChain(header).records


def verify(header, body, keys):
    """Return the results of all signatures, and that of the chain."""
    dkim, chain = DkimSignatures(header), SealedChain(header)
    return (*dkim.verify(body, keys, NOW), chain.verify(body, keys, NOW).result)


def verified(header, body=BODY, records=RECORDS):
    found = {name: [records[name]] if records.get(name) else [] for name in key_names(header)}
    return verify(header, digests(body), found)


def sealed(header, domain, body=BODY):
    *_, arc = results = verified(header, body)
    digest = digests(body)[b"relaxed"].digest
    return seal(header, digest, KEYS[domain][0], payload(f"mx.{domain}", results), arc.result, NOW) + header


@cache
def signed():
    return signatures(HEAD, digests(BODY)[b"relaxed"].digest, KEYS["a.example"], NOW) + HEAD


@cache
def chained(count):
    """Return a signed message that so many have sealed."""
    header = signed()
    for index in range(count):
        header = b"Received: by %d\r\n" % index + sealed(header, ("b.example", "c.example", "a.example")[index % 3])
    return header


def outcome(header, body=BODY):
    return [(result.method, result.result) for result in verified(header, body)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_a_chain_holds_for_both(count):
    header = chained(count)
    status = "pass" if count else "none"
    assert outcome(header) == [("dkim", "pass"), ("dkim", "pass"), ("arc", status)]
    assert dkim.arc_verify(header + BODY, dnsfunc=of_dns)[0] == status.encode()
    assert read_chain(header).last == count


def test_what_stands_in_the_fields():
    text = chained(2)
    first, second = text.index(b"ARC-Seal: i=2; a=rsa-sha256; cv=pass; d=c.example; s="), text.index(b"ARC-Seal: i=1;")
    assert first < text.index(b"ARC-Message-Signature: i=2; a=rsa-sha256; c=relaxed/relaxed;") < second
    assert b"ARC-Authentication-Results: i=1; mx.b.example;\r\n dkim=pass header.d=a.example header.s=" in text
    assert b"\r\n arc=none\r\n" in text and b"\r\n arc=pass header.oldest-pass=0\r\n" in text
    assert b"To:To:DKIM-Signature:DKIM-Signature;" in text.replace(b"\r\n ", b"")
    names = [
        name for field in fields(text) if field.is_named(b"ARC-Message-Signature") for name in field.value.split(b"h=")
    ]
    assert not any(b"arc-" in name.lower() or b"received" in name.lower() for name in names)
    assert max(map(len, text.split(b"\r\n"))) < 120


# SMTP trap 7: what is slipped in where the empty line is missing breaks a signature of DKIM
@pytest.mark.parametrize(
    "added", [b"", b"Subject: evil\r\n", b"no field\r\nSubject: evil\r\n", b" folded\r\n", b"\r\nmore\r\n"]
)
def test_what_is_read_of_a_header_without_an_end_is_what_was_signed(added):
    whole = signed().removesuffix(b"\r\n") + added + BODY
    block = repair(whole[: header_end(whole)])  # as it is taken in
    cut = header_end(block)
    body = block[cut:] + whole[header_end(whole) :]
    assert (("dkim", "pass") in outcome(block[:cut], body)) == (added == b"")
    assert outcome(signed())[0] == ("dkim", "pass")


@pytest.mark.parametrize("before", [b"", b"\r\n\t", b"\t", b"  "])
def test_white_space_before_an_instance_breaks_nothing(before):
    header = chained(2).replace(b"ARC-Message-Signature: i", b"ARC-Message-Signature:" + before + b"i")
    assert outcome(header)[-1] == ("arc", "pass")


def changed(header, kind, which, at):
    """Return a header in which one field is gone, there twice, another, or where the next one is."""
    found = [field.raw for field in fields(header)]
    index = which % len(found)
    if kind == "gone":
        del found[index]
    elif kind == "twice":
        found.insert(index, found[index])
    elif kind == "moved":
        found.insert((index + 1) % len(found), found.pop(index))
    else:
        colon = found[index].index(b":")
        places = [place for place, octet in enumerate(found[index]) if place > colon and chr(octet).isalnum()]
        spot = places[at % len(places)]
        octet = b"x" if found[index][spot : spot + 1] != b"x" else b"y"
        found[index] = found[index][:spot] + octet + found[index][spot + 1 :]
    return b"".join(found) + b"\r\n"


@settings(max_examples=150)
@given(
    st.integers(1, 3),
    st.sampled_from(["gone", "twice", "moved", "another"]),
    st.integers(0, 30),
    st.integers(0, 2000),
)
def test_a_damaged_chain_is_good_for_neither_or_for_both(count, kind, which, at):
    header = changed(chained(count), kind, which, at)
    status = dkim.arc_verify(header + BODY, dnsfunc=of_dns)[0]
    assert (verified(header)[-1].result == "pass") == (status == b"pass")


@settings(max_examples=150)
@given(st.sampled_from(["gone", "twice", "moved", "another"]), st.integers(0, 30), st.integers(0, 2000), st.booleans())
def test_a_damaged_signature_is_good_for_neither_or_for_both(kind, which, at, simple):
    """dkimpy rejects what it does not like by an exception."""
    form = b"simple" if simple else b"relaxed"
    header = changed(by_dkimpy(canonicalize=(form, form)), kind, which, at)
    try:
        theirs = dkim.DKIM(header + BODY).verify(dnsfunc=of_dns)
    except dkim.DKIMException:
        theirs = False
    assert (verified(header)[0].result == "pass") == theirs


def test_another_body_breaks_all():
    assert outcome(chained(2), BODY + b"more\r\n") == [("dkim", "fail"), ("dkim", "fail"), ("arc", "fail")]


class Asked(dict):
    """Records, and which of them were looked at."""

    def __init__(self, records):
        super().__init__(records)
        self.names = []

    def get(self, name, otherwise=None):
        self.names.append(name)
        return super().get(name, otherwise)


@pytest.mark.parametrize(("body", "seal_changed"), [(b"other\r\n", False), (BODY, True)])
def test_of_a_broken_chain_no_more_is_verified_than_shows_it(body, seal_changed):
    chain = chained(5)
    if seal_changed:
        at = chain.index(b"ARC-Seal")
        at = chain.index(b" b=", at) + 10
        chain = chain[:at] + bytes([chain[at] ^ 1]) + chain[at + 1 :]
    asked = Asked({name: [record] for name, record in RECORDS.items()})
    *own, arc = verify(chain, digests(body), asked)
    assert arc.result == "fail"
    assert len(asked.names) <= len(own) + 2  # those of the newest set


def test_a_later_change_shows_how_far_back_it_holds():
    changed_on_the_way = chained(1).replace(b"Subject: hello", b"Subject: [list] hello")
    header = seal(changed_on_the_way, digests(BODY)[b"relaxed"].digest, KEYS["c.example"][0], "mx; none", "pass", NOW)
    results = verified(header + changed_on_the_way)
    assert [result.result for result in results] == ["fail", "fail", "pass"]
    assert results[-1].properties == (("header.oldest-pass", "2"),)
    assert dkim.arc_verify(header + changed_on_the_way + BODY, dnsfunc=of_dns)[0] == b"pass"


def test_a_broken_chain_is_sealed_as_if_it_began_here():
    header = sealed(chained(2), "a.example", BODY + b"more\r\n")
    chain = read_chain(header)
    assert chain.last == 3 and chain.ended and chain.fault
    assert verified(header, BODY + b"more\r\n")[-1].result == "fail"
    own = b"".join(field.raw for field in chain.sets[3]) + signed()
    verifier = dkim.ARC(own + BODY + b"more\r\n")
    found = verifier.verify_instance(verifier.sorted_arc_headers()[1], 3, dnsfunc=of_dns)
    assert found["as-valid"] and found["ams-valid"] and found["cv"] == b"fail"


SET = b"ARC-Seal: i=%d; cv=%s; b=\r\nARC-Message-Signature: i=%d; b=\r\nARC-Authentication-Results: i=%d; x; none\r\n"


def a_set(number, status=None):
    return SET % (number, status or (b"none" if number == 1 else b"pass"), number, number)


@pytest.mark.parametrize(
    "header, fault, ended",
    [
        (b"", "", False),
        (a_set(1), "", False),
        (b"".join(map(a_set, range(MAX_SETS, 0, -1))), "", False),
        (b"".join(map(a_set, range(MAX_SETS + 1, 0, -1))), "too long", False),
        (a_set(999), "too long", False),
        (a_set(1)[20:], "a set that is not whole", False),
        (a_set(1) * 2, "a set that is not whole", False),
        (a_set(3) + a_set(1), "a gap", False),
        (a_set(0), "a gap", False),
        (a_set(1, b"pass"), "a seal without a good chain below it", False),
        (a_set(2, b"none") + a_set(1), "a seal without a good chain below it", False),
        (a_set(2, b"fail") + a_set(1), "a seal without a good chain below it", True),
        (a_set(2) + a_set(1, b"fail"), "a seal without a good chain below it", False),
        (b"ARC-Seal: cv=none\r\n" + a_set(1), "a field without instance", False),
        (b"ARC-Seal: i=1234; cv=none\r\n" + a_set(1), "a field without instance", False),
    ],
)
def test_the_structure_of_a_chain(header, fault, ended):
    chain = read_chain(header + b"From: x\r\n\r\n")
    assert (chain.fault, chain.ended) == (fault, ended)
    if fault:
        assert verified(header + b"From: x\r\n\r\n")[-1] == AuthenticationResult("arc", "fail", reason=fault)


# What dkimpy signs, and what it would take


def by_dkimpy(body=BODY, head=HEAD, key=None, **options):
    private = PAIRS["a.example"][0].private.encode() if key is None else key
    selector = PAIRS["a.example"][0].selector.encode()
    return dkim.DKIM(head + body).sign(selector, b"a.example", private, **options) + head


@pytest.mark.parametrize("form", [b"relaxed", b"simple"])
@pytest.mark.parametrize("body", [BODY, b"", b"\r\n\r\n", b"no end", b"\r\nx \r\n"])
def test_every_form_of_canonicalization(form, body):
    for header_form in (b"relaxed", b"simple"):
        header = by_dkimpy(body, canonicalize=(header_form, form))
        assert outcome(header, body)[0] == ("dkim", "pass")
        assert outcome(header, b"x" + body)[0] == ("dkim", "fail")


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_body_in_pieces(cut):
    whole, pieces = digests(BODY), Digests()
    for at in range(0, len(BODY), cut):
        pieces.update(BODY[at : at + cut])
    found = pieces.finish()
    simple = BODY.rstrip(b"\r\n") + b"\r\n"
    assert found == whole and found[b"simple"] == BodyDigest(hashlib.sha256(simple).digest(), len(simple))


def test_a_body_may_not_grow_behind_what_is_signed():
    header = by_dkimpy(length=True)
    assert outcome(header)[0] == ("dkim", "pass")
    (signature, _) = verified(header, BODY.rstrip() + b"\r\nBuy!\r\n")
    assert (signature.result, signature.reason) == ("policy", "not all is signed")


def rsa_record(public):
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + b64encode(der)


def with_record(record, header=None):
    name = PAIRS["a.example"][0].record[0]
    (result, *_) = verified(signed() if header is None else header, records={**RECORDS, name: record})
    return result.result, result.reason


@pytest.mark.parametrize(
    "record, result",
    [
        (b"", ("permerror", "no key")),
        (b"v=DKIM1; p=", ("permerror", "key was revoked")),
        (b"v=DKIM1; p=AAAA", ("permerror", "no key")),
        (b"p=\xff\xfe", ("permerror", "no key")),
        (b"nonsense", ("permerror", "no key")),
        (b"{a1}", ("permerror", "key of another kind")),
        (b"{b0}", ("fail", "signature does not match")),
        (b"{a0}; h=sha1", ("permerror", "key is for another algorithm")),
        (b"{a0}; h=sha1:sha256", ("pass", "")),
        (b"{a0}; s=email; n=a note; t=s", ("pass", "")),
        (b"{a0}; s=tlsrpt:*", ("pass", "")),
        (b"{a0}; s=tlsrpt", ("permerror", "key is not for mail")),
        (b"{a0}; t=y:s", ("pass", "the key is being tried out")),
        (b"{b0}; t=y", ("neutral", "signature does not match")),
        (b"n=x; {a0}", ("permerror", "no key")),
        (b"{a0}; k=rsa", ("permerror", "no key")),
        (b"{a0}" + b" " * 2048, ("permerror", "key is too large")),
    ],
)
def test_what_a_record_may_be(record, result):
    for pair in PAIRS.values():
        for index, key in enumerate(pair):
            record = record.replace(b"{%s%d}" % (key.domain[:1].encode(), index), key.record[1].encode())
    assert with_record(record) == result


def test_a_key_is_not_known_just_now():
    header = chained(1)
    results = verify(header, digests(BODY), dict.fromkeys(key_names(header)))
    assert [result.result for result in results] == ["temperror", "temperror", "fail"]


def test_any_of_several_records_will_do():
    header = signatures(HEAD, digests(BODY)[b"relaxed"].digest, KEYS["a.example"][:1], NOW) + HEAD
    (name,), good, other = key_names(header), *(PAIRS[d][0].record[1].encode() for d in ("a.example", "b.example"))
    for records in ([good, other], [other, good], [b"v=spf1 -all", good], [good, b"v=DKIM1; p="]):
        (result, _) = verify(header, digests(BODY), {name: records})
        assert result.result == "pass"
    found = {
        verify(header, digests(BODY), {name: list(records)})[0].result
        for records in permutations([other, b"v=DKIM1; p="])
    }
    assert len(found) == 1


def test_keys_that_are_weak_or_take_long_are_not_used():
    weak = generate_private_key(65537, 1024)
    pem = weak.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert with_record(rsa_record(weak.public_key()), by_dkimpy(key=pem)) == ("pass", "")
    for exponent, modulus in ((65537, (1 << 4097) - 1), ((1 << 2047) + 1, (1 << 2048) - 1)):
        record = rsa_record(RSAPublicNumbers(exponent, modulus).public_key())
        assert with_record(record) == ("policy", "key is too large")
    short = weak.public_key().public_numbers().n >> 300
    assert with_record(rsa_record(RSAPublicNumbers(65537, short | 1).public_key()))[0] == "policy"


@pytest.mark.parametrize(
    "change, result",
    [
        ((b"a=rsa-sha256", b"a=rsa-sha1"), ("policy", "weak algorithm")),
        ((b"h=From:From:", b"h="), ("permerror", "From is not signed")),
        ((b"h=From", b"h=" + b"X:" * 200 + b"From"), ("policy", "too many fields")),
        ((b"h=From", b"x=" + b"y" * reading.MAX_FIELD + b"; h=From"), ("policy", "too large")),
        ((b"c=relaxed/relaxed", b"c=relaxed/other"), ("neutral", "cannot be read")),
        ((b"v=1;", b"v=2;"), ("neutral", "cannot be read")),
        ((b"v=1;", b"v;"), ("neutral", "cannot be read")),
        ((b"v=1;", b""), ("neutral", "cannot be read")),
        ((b"v=1;", b"v=1; q=http;"), ("neutral", "cannot be read")),
        ((b"v=1;", b"v=1; q=http:dns/txt;"), ("fail", "signature does not match")),
        ((b"v=1;", b"v=1; l=3;"), ("policy", "not all is signed")),
        ((b"v=1;", b"v=1; l=x;"), ("policy", "not all is signed")),
        ((b"v=1;", b"v=1; x=1;"), ("neutral", "cannot be read")),
        ((b"t=", b"x=2; t=1; T="), ("policy", "expired")),
        ((b"t=", b"t=9"), ("policy", "from the future")),
        ((b"t=", b"t=x"), ("neutral", "cannot be read")),
        ((b"bh=", b"bh=*"), ("neutral", "cannot be read")),
        ((b"\r\n b=", b"\r\n b=*"), ("neutral", "cannot be read")),
        ((b"a=rsa-sha256", b"a=dsa-sha256"), ("neutral", "cannot be read")),
        ((b"a=rsa-sha256", b"a=ed25519-sha256"), ("permerror", "key of another kind")),
        ((b"d=a.example", b"d=a.example; d=a.example"), ("neutral", "cannot be read")),
        ((b"d=a.example", b"d=\xff"), ("neutral", "not a domain")),
        ((b"d=a.example", b"d=example"), ("neutral", "not a domain")),
        ((b"d=a.example", b"d=a..example"), ("neutral", "not a domain")),
        ((b"d=a.example", b"d=[192.0.2.1]"), ("neutral", "not a domain")),
        ((b"d=a.example", b"d=none.example"), ("permerror", "no key")),
        ((b"s=", b"s=../"), ("neutral", "not a selector")),
        ((b"v=1;", b"v=1; i=x@b.example;"), ("permerror", "identity of another domain")),
        ((b"v=1;", b"v=1; i=x@xa.example;"), ("permerror", "identity of another domain")),
        ((b"v=1;", b"v=1; i=a.example;"), ("neutral", "not an identity")),
        ((b"v=1;", b"v=1; i=x@sub.A.example;"), ("fail", "signature does not match")),
        ((b"DKIM-Signature:", b"DKIM-Signature :"), ("pass", "")),
        ((b"From: Alice", b"From: Eve <eve@a.example>\r\nFrom: Alice"), ("fail", "signature does not match")),
    ],
)
def test_signatures_that_are_not_gone_into(change, result):
    header = signatures(HEAD, digests(BODY)[b"relaxed"].digest, KEYS["a.example"][:1], NOW) + HEAD
    (found, _) = verified(header.replace(*change, 1))
    assert (found.result, found.reason) == result


def test_a_second_author_is_not_signed_where_one_is():
    header = by_dkimpy(include_headers=[b"from", b"to"])
    assert outcome(header)[0] == ("dkim", "pass")
    (found, _) = verified(b"From: Eve <eve@a.example>\r\n" + header)
    assert (found.result, found.reason) == ("fail", "a From field was added")


def test_a_key_may_be_for_the_domain_itself_alone():
    header = by_dkimpy(identity=b"x@sub.a.example")
    record = PAIRS["a.example"][0].record[1].encode()
    assert with_record(record, header) == ("pass", "")
    assert with_record(record + b"; t=s", header) == ("permerror", "identity of a subdomain")
    assert ("header.i", "x@sub.a.example") in verified(header)[0].properties


def test_no_more_signatures_than_the_topmost_few():
    header = signed()
    many = b"".join(field.raw for field in fields(header) if field.is_named(b"DKIM-Signature")) * 10 + HEAD
    assert len(verified(many)) == verifying.MAX_SIGNATURES + 1
    assert verified(HEAD)[0] == AuthenticationResult("dkim", "none")


def test_names_of_records_are_asked_for_once():
    first, second = (key.record[0] for key in PAIRS["a.example"])
    assert key_names(signed() * 2) == (first, second)
    rsa = [PAIRS[d][0].record[0] for d in ("b.example", "a.example", "c.example")]
    assert key_names(chained(4)) == (first, second, *rsa), "those of the last one who sealed first"
    assert key_names(b"DKIM-Signature: v=1; s=x\r\nDKIM-Signature: nonsense\r\n\r\n") == ()


@pytest.mark.parametrize("text", [b" " * 50_000, b"\r\n " * 15_000, b"b=" + b"\r\n " * 15_000])
def test_white_space_costs_no_time(text):
    header = signed().replace(b"h=From", text + b"h=From").replace(b"Subject: ", b"Subject: " + text)
    began = time.process_time()
    assert {result for _, result in outcome(header, b" " * 65_000 + b"x\r\n")[:2]} == {"policy"}
    assert outcome(HEAD, b" " * 65_000 + b"x\r\n")[-1] == ("arc", "none")
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "value, shown",
    [
        ("a.example", "a.example"),
        ("2001:db8::1", '"2001:db8::1"'),
        ("two words", '"two words"'),
        ('a"\\b\r\nX: y\x00ü', '"a??b??X: y??"'),
        ("", '""'),
        ("x" * 300, "x" * 255),
    ],
)
def test_values_are_shown_so_that_nothing_can_be_added(value, shown):
    result = AuthenticationResult("spf", "pass", (("smtp.mailfrom", value),), "it is so")
    assert payload("mx.a.example", [result]) == f'mx.a.example;\r\n spf=pass reason="it is so" smtp.mailfrom={shown}'
    assert payload("mx.a.example", []) == "mx.a.example; none"


@pytest.mark.parametrize(
    "field, said",
    [
        (
            b"mx.a.example; spf=pass smtp.mailfrom=a@x;\r\n\tdmarc=pass (p=none; d=x)",
            ["spf=pass smtp.mailfrom=a@x; dmarc=pass (p=none; d=x)"],
        ),
        (b"mx.a.example 1; spf=fail;", ["spf=fail"]),
        (b"mx.a.example\x1c1; spf=pass", []),
        (b"\x1fmx.a.example; spf=pass", []),
        (b"mx.a.example; none", []),
        (b"mx.a.example", []),
        (b"", []),
        (b"other.example; spf=pass", []),
        (b"mx.a.example; spf=pass smtp.mailfrom=\xc3\xbc@x", []),
        (b"mx.a.example; spf=pass smtp.mailfrom=" + b"x" * MAX_SAID, []),
    ],
)
def test_what_a_policy_said_is_repeated(field, said):
    assert said_by("mx.a.example", b"authentication-results: " + field + b"\r\nFrom: x\r\n\r\n") == said


NAMES = [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results", b"DKIM-Signature", b"From", b"X"]
PIECES = [
    b"i=1",
    b"i=2",
    b"cv=none",
    b"cv=pass",
    b"a=rsa-sha256",
    b"a=ed25519-sha256",
    b"d=a.example",
    b"d=",
    b"s=s",
    b"b=AAAA",
]
PIECES += [
    b"bh=AAAA",
    b"bh=",
    b"h=from",
    b"h=",
    b"l=1",
    b"l=",
    b"t=x",
    b"x=1",
    b"v=1",
    b"c=simple",
    b"c=/",
    b"=",
    b"\xff",
    b"\r\n\t",
    b"",
]
WORDS = {"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"}


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(PIECES) | st.binary(max_size=6)))), st.binary()
)
def test_whatever_the_fields_are_there_is_a_result_and_a_seal(found, record):
    header = repair(b"".join(name + b": " + b"; ".join(values) + b"\r\n" for name, values in found) + b"\r\n")
    header = header[: header_end(header)]
    results = verify(header, digests(BODY), dict.fromkeys(key_names(header), record))
    assert {result.result for result in results} <= WORDS and [result.method for result in results][-1] == "arc"
    made = seal(header, b"x" * 32, KEYS["a.example"][0], payload("mx.a.example", results), results[-1].result, NOW)
    assert [field.name.lower() for field in fields(made + b"\r\n")] == [SEAL, SIGNATURE, RESULTS] and made.isascii()
