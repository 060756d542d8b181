"""OAUTHBEARER and XOAUTH2: what their messages say, and everything malformed refused."""

import pytest

from mailnode.auth.bearer import MAX_TOKEN, CheckToken, OAuthBearer, XOAuth2
from mailnode.auth.sasl import Challenge
from mailnode.errors import AuthenticationFailed


def test_oauthbearer_example():  # RFC 7628 4.1
    message = (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    )
    assert OAuthBearer().step(None) == Challenge(b"")
    token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    assert OAuthBearer().step(message) == CheckToken("user@example.com", token)


@pytest.mark.parametrize(
    ("message", "wanted", "token"),
    [
        (b"n,,\x01auth=bEARER abc\x01\x01", "", "abc"),
        (b"y,a=a=2Cb=3D@a.test,\x01auth=Bearer  a.b-c_d~e+f/g==\x01\x01", "a,b=@a.test", "a.b-c_d~e+f/g=="),
        (b"n,a=user@a.test,\x01host=x\x01port=143\x01auth=\x01\x01", "user@a.test", ""),  # RFC 7628 4.3
        (b"n,,\x01more=of=it\x01auth=Bearer abc\x01\x01", "", "abc"),
        (b"n,,\x01\x01", "", ""),
    ],
)
def test_oauthbearer(message, wanted, token):
    assert OAuthBearer().step(message) == CheckToken(wanted, token)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01",
        b"n,,",
        b"n,,\x01auth=Bearer abc",
        b"n,,\x01auth=Bearer abc\x01",
        b"p=tls-exporter,,\x01auth=Bearer abc\x01\x01",
        b"n,a=,\x01auth=Bearer abc\x01\x01",
        b"n,a=\xff,\x01auth=Bearer abc\x01\x01",
        b"n,a=x=y,\x01auth=Bearer abc\x01\x01",
        b"n,,\x01auth=Basic abc\x01\x01",
        b"n,,\x01auth=Bearer a b\x01\x01",
        b"n,,\x01auth=Bearer a\x00b\x01\x01",
        b"n,,\x01auth=Bearer abc\x01auth=Bearer abd\x01\x01",
        b"n,,\x01auth\x01\x01",
        b"n,,\x01auth=Bearer " + b"a" * (MAX_TOKEN + 1) + b"\x01\x01",
    ],
)
def test_oauthbearer_malformed(message):
    with pytest.raises(AuthenticationFailed):
        OAuthBearer().step(message)


def test_xoauth2():
    assert XOAuth2().step(None) == Challenge(b"")
    assert XOAuth2().step(b"user=a@a.test\x01auth=Bearer abc\x01\x01") == CheckToken("a@a.test", "abc")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01\x01",
        b"user=\x01auth=Bearer abc\x01\x01",
        b"auth=Bearer abc\x01\x01",
        b"user=\xff\x01auth=Bearer abc\x01\x01",
        b"user=a@a.test\x01auth=Bearer abc\x01",
        b"user=a@a.test\x01user=b@a.test\x01auth=Bearer abc\x01\x01",
    ],
)
def test_xoauth2_malformed(message):
    with pytest.raises(AuthenticationFailed):
        XOAuth2().step(message)


@pytest.mark.parametrize("response", [b"\x01", b"", b"n,,\x01auth=Bearer abc\x01\x01"])
def test_any_response_ends_an_exchange_that_failed(response):  # RFC 7628 3.2.3
    bearer = OAuthBearer()
    bearer.step(b"n,,\x01auth=Bearer abc\x01\x01")
    assert bearer.refused(b"{}") == Challenge(b"{}")
    with pytest.raises(AuthenticationFailed):
        bearer.step(response)
