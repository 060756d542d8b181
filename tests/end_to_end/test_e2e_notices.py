"""Notices as senders get them: of addresses that are not ASCII (RFC 6533), and of 8-bit mail that others signed."""

import contextlib
import json
import smtplib
import ssl
from email import message_from_bytes, policy

import pytest
from scripted_peer import Scripted
from servers import PASSWORD, Dns, MailNode, free_port
from test_e2e_relay import messages, wait_for

NODE, OLD, NEW = "127.0.0.19", "127.0.0.20", "127.0.0.26"
UTF8 = {"EHLO": "250-scripted.test\r\n250-8BITMIME\r\n250 SMTPUTF8"}
WITHOUT = {"EHLO": "250 scripted.test"}


@contextlib.contextmanager
def town(folder, extra=""):
    """A mailnode; ``old.test``, whose server takes ASCII alone; ``new.test``, which takes all but knows nobody."""
    port = free_port(OLD)
    dns = Dns(folder / "dns", [f"host-record=old.test,{OLD}", f"host-record=new.test,{NEW}"])
    old, new = Scripted(OLD, port, WITHOUT), Scripted(NEW, port, {**UTF8, "RCPT": "550 5.1.1 nobody"})
    queue = f"[queue]\nport = {port}\nretry = [3600.0]\n{extra}"
    node = MailNode(folder / "node", address=NODE, dns=dns, extra=queue)
    try:
        node.start()
        node.add_account("alice@a.test")
        yield node, old
    finally:
        for part in (node, dns, old, new):
            part.stop()


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with town(tmp_path_factory.mktemp("notices")) as (node, _):
        node.ctl("account", "add-address", "alice@a.test", "größe@a.test")
        yield node


def notice(node, sender, recipient, subject):
    """Send a message to somebody who does not get it; return the fields about the recipient, and what came, parsed."""
    text = f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode()
    trust = ssl.create_default_context(cafile=node.ca)
    with smtplib.SMTP_SSL(node.address, node.ports["submissions"], context=trust, timeout=30) as client:
        client.login("alice@a.test", PASSWORD)
        client.command_encoding = "utf-8"
        assert client.docmd("MAIL", f"FROM:<{sender}> SMTPUTF8 BODY=8BITMIME ENVID=a+2Bb RET=HDRS")[0] == 250
        original = recipient.replace("ü", "\\x{FC}")
        assert client.docmd("RCPT", f"TO:<{recipient}> NOTIFY=FAILURE ORCPT=utf-8;{original}")[0] == 250
        assert client.data(text)[0] == 250
    failed = node.wait_event("queue.failed", recipient=recipient)
    bounced = node.wait_event("queue.bounced", envelope=failed["envelope"])
    node.wait_event("message.delivered", envelope=bounced["bounce"])
    domain = recipient.partition("@")[2].encode()
    (octets,) = [one for one in messages(node, "alice@a.test", "") if b"n@" + domain in one]
    _, status, returned = message_from_bytes(octets, policy=policy.SMTPUTF8).get_payload()
    return octets, status, returned


def test_a_sender_in_ascii_is_told_of_others_in_ascii(here):
    octets, status, returned = notice(here, "alice@a.test", "grün@old.test", "to an old server")
    assert status.get_content_type() == "message/delivery-status"
    assert b"\r\nOriginal-Envelope-Id: a+b\r\n" in octets
    assert b"\r\nOriginal-Recipient: utf-8; gr\\x{FC}n@old.test\r\n" in octets
    assert b"\r\nFinal-Recipient: utf-8; gr\\x{FC}n@old.test\r\n" in octets
    assert b"\r\nStatus: 5.6.7\r\n" in octets
    assert returned.get_content_type() == "message/global-headers"
    assert octets.partition(b"\r\nMIME-Version")[2].isascii()


def test_a_list_is_told_of_failures_but_not_at_the_address_it_is_posted_to(here):
    """And whatever becomes of it is told as a word."""
    trust, failed = ssl.create_default_context(cafile=here.ca), []
    with smtplib.SMTP_SSL(here.address, here.ports["submissions"], context=trust, timeout=30) as client:
        client.login("alice@a.test", PASSWORD)
        for number, to in enumerate(("alice@a.test", "members@lists.test")):
            text = f"From: alice@a.test\r\nTo: {to}\r\nList-Id: <members.lists.test>\r\nSubject: to a list\r\n\r\nx\r\n"
            client.sendmail("alice@a.test", [f"gone{number}@new.test"], text)
            failed.append(here.wait_event("queue.failed", recipient=f"gone{number}@new.test"))
    told = here.wait_event("queue.bounced", envelope=failed[1]["envelope"])
    assert told["kind"] == "failed"
    assert failed[0]["envelope"] not in {event["envelope"] for event in here.events("queue.bounced")}
    assert [one["reason"] for one in failed] == ["refused", "refused"]
    shown = json.loads(here.ctl("queue", "list", "--state", "failed", "--reason", "refused", "--json").stdout)
    assert {one["envelope"] for one in failed} <= {one["id"] for one in shown}


def test_a_sender_who_is_not_in_ascii_is_told_in_utf8(here):
    octets, status, returned = notice(here, "größe@a.test", "grün@new.test", "to a new server")
    assert status.get_content_type() == "message/global-delivery-status"
    assert "\r\nTo: <größe@a.test>\r\n".encode() in octets
    assert "\r\nOriginal-Recipient: utf-8; grün@new.test\r\n".encode() in octets
    assert "\r\nFinal-Recipient: utf-8; grün@new.test\r\n".encode() in octets
    assert returned.get_content_type() == "message/global-headers"


@pytest.mark.parametrize("strict", [False, True])
def test_8_bit_mail_that_others_signed_goes_as_it_is_or_back_where_that_is_wanted(tmp_path, strict):
    signed = "DKIM-Signature: v=1; d=side.test; h=from; bh=x; b=y\r\nFrom: b@side.test\r\n\r\nGrüße\r\n".encode()
    with town(tmp_path, f"strict_8bit = {str(strict).lower()}\n") as (node, old):
        node.ctl("alias", "add", "on@a.test", "u@old.test")
        with smtplib.SMTP(node.address, node.ports["smtp"], timeout=30) as client:
            client.sendmail("b@side.test", ["on@a.test"], signed, mail_options=["BODY=8BITMIME"])
        if strict:
            assert node.wait_event("queue.failed", recipient="u@old.test")["status"] == "5.6.3"
            assert old.taken == []
        else:
            node.wait_event("queue.sent", recipient="u@old.test")
            wait_for(lambda: old.taken, "the message")
            assert old.taken[0][1].endswith(signed)
