"""Commands on a real store: directly, as the owner of the data directory, while no server runs."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailnode.admin.control_client import SOCKET
from mailnode.admin.dispatch import run
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.admin.queue_steering import queue_reroute
from mailnode.config.demo import demo_config
from mailnode.config.routes import Route
from mailnode.ctl.docs import render
from mailnode.ctl.main import main
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.envelope import MailOptions
from mailnode.values.queue import NewEnvelope, Outcome, QueuedEnvelope, QueuedRecipient, Settlement


class Tool:
    """The ``mailnode`` command on one data directory."""

    def __init__(self, data):
        self.data = data
        data.mkdir(mode=0o700)

    def __call__(self, *arguments, stdin=None, code=0):
        result = CliRunner().invoke(main, ["--data", str(self.data), *arguments], input=stdin)
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        if code:
            assert result.stderr.startswith(("mailnode: ", "Usage: ", "Error: ")) and not result.stdout
        else:
            assert not result.stderr
        return result.stdout if not code else result.stderr

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path / "data")


@pytest.fixture
def alice(tool):
    tool("account", "add", "alice@mailnode.test", "--password-stdin", stdin="first of these\n")
    return "alice@mailnode.test"


def test_domains(tool):
    assert tool("domain", "add", "Straße.example") == ""
    assert tool("domain", "add", "other.example", "--alias-of", "straße.example") == ""
    listed = tool.json("domain", "list")
    assert {domain["name"] for domain in listed if not domain["fixed"]} == {"other.example", "Straße.example"}
    assert tool.json("domain", "show", "xn--strae-oqa.example")["name"] == "Straße.example"
    assert "exists already" in tool("domain", "add", "straße.example", code=5)
    assert "no such domain" in tool("domain", "add", "x.example", "--alias-of", "nowhere.example", code=3)
    assert "the configuration file names it" in tool("domain", "remove", "mailnode.test", "--yes", code=5)
    assert "is in use" in tool("domain", "remove", "straße.example", "--yes", code=5)
    tool("domain", "remove", "other.example", "--yes")
    tool("domain", "remove", "straße.example", "--yes")
    assert "no such domain" in tool("domain", "remove", "straße.example", "--yes", code=3)
    assert "not an address or domain" in tool("domain", "add", "x..y", code=2)
    tool("domain", "change", "mailnode.test", "--catch-all", "x@other.example", "--separator", "-")
    changed = tool.json("domain", "show", "mailnode.test")
    assert (changed["catch_all"], changed["separator"]) == ("x@other.example", "-")
    tool("domain", "change", "mailnode.test", "--catch-all", "")
    for separator in ("a", "7", "@", " ", "+a", "\u00e4", '"', "\n"):
        assert "a separator is a sign" in tool("domain", "change", "mailnode.test", "--separator", separator, code=2)
    tool("domain", "change", "mailnode.test", "--separator", "--")
    tool("domain", "change", "mailnode.test", "--separator", "")
    assert "IP address" in tool("domain", "add", "192.0.2.1", code=2)
    for name in ("localhost", "LocalHost", "mail.localhost"):
        assert "what every machine calls itself" in tool("domain", "add", name, code=2)
    assert tool.json("domain", "show", "mailnode.test")["catch_all"] == ""


def test_what_an_alias_domain_could_not_keep_is_refused(tool, alice):
    tool("domain", "add", "other.example", "--alias-of", "mailnode.test")
    for option, value in (("--catch-all", alice), ("--separator", "-")):
        told = tool("domain", "change", "other.example", option, value, code=5)
        assert "other.example: is an alias of mailnode.test" in told
    assert tool.json("domain", "show", "other.example")["catch_all"] == ""
    tool("domain", "change", "other.example", "--catch-all", "")


def test_a_quota_of_nothing_is_none_for_people_and_0_for_scripts(tool, alice):
    for command in (("show", alice), ("quota", alice, "--bytes", "0")):
        lines = [line.split() for line in tool("account", *command).splitlines()]
        assert ["bytes", "limit", "none"] in lines and ["messages", "limit", "none"] in lines
        found = tool.json("account", *command)
        assert (found["bytes_limit"], found["messages_limit"]) == (0, 0)
    given = tool("account", "quota", alice, "--bytes", "1000").splitlines()
    assert ["bytes", "limit", "1000"] in [line.split() for line in given]


def test_an_alias_is_not_called_an_account_nobody_knows(tool, alice):
    tool("alias", "add", "info@mailnode.test", alice, "bob@elsewhere.test")
    for command in (("account", "show", "Info@mailnode.test"), ("mailbox", "list", "Info@mailnode.test")):
        assert f"Info@mailnode.test: no account, but an alias of {alice}, bob@elsewhere.test" in tool(*command, code=3)


def test_accounts(tool, alice):
    shown = tool.json("account", "show", "ALICE@mailnode.test")
    assert shown["address"] == alice and shown["addresses"] == [alice] and shown["status"] == "active"
    assert {credential["kind"] for credential in shown["credentials"]} == {"argon2id", "scram-sha-256"}
    assert "secret" not in json.dumps(shown)
    assert shown["created"].endswith("Z")
    assert "exists already" in tool("account", "add", "alice@mailnode.test", "--password-stdin", stdin="x\n", code=5)
    assert "no such domain" in tool("account", "add", "a@nowhere.test", "--password-stdin", stdin="x\n", code=3)
    assert "has no detail" in tool("account", "add", "a+b@mailnode.test", "--password-stdin", stdin="x\n", code=2)
    assert "no password" in tool("account", "add", "b@mailnode.test", "--password-stdin", stdin="", code=2)
    assert "no password" in tool("account", "add", "b@mailnode.test", "--password-stdin", stdin="x" * 5000, code=2)
    assert "--password-stdin" in tool("account", "add", "b@mailnode.test", code=2)
    tool("account", "show", "alice+x@mailnode.test", code=3)
    assert [entry["address"] for entry in tool.json("account", "list", "--domain", "mailnode.test")] == [alice]
    assert "no such domain" in tool("account", "list", "--domain", "nowhere.test", code=3)


def test_grants(tool, alice):
    tool("account", "add", "bob@mailnode.test", "--password-stdin", stdin="first of these\n")
    tool("alias", "add", "team@mailnode.test", alice, "bob@mailnode.test")
    assert tool("grant", "add", alice, "Team@mailnode.test") == ""
    tool("grant", "add", alice, "bob@mailnode.test")
    tool("grant", "add", "bob@mailnode.test", "@mailnode.test")
    assert tool.json("grant", "list") == [
        {"address": "@mailnode.test", "account": "bob@mailnode.test"},
        {"address": "bob@mailnode.test", "account": alice},
        {"address": "Team@mailnode.test", "account": alice},
    ]
    assert tool.json("account", "show", alice)["may_send_as"] == ["bob@mailnode.test", "Team@mailnode.test"]
    assert "bob@mailnode.test" in tool("grant", "list", "--account", alice)
    tool("grant", "revoke", alice, "team@mailnode.test")
    assert [entry["address"] for entry in tool.json("grant", "list", "--account", alice)] == ["bob@mailnode.test"]
    assert "not granted to alice@mailnode.test" in tool("grant", "revoke", alice, "team@mailnode.test", code=3)
    assert "no such address or alias" in tool("grant", "add", alice, "nobody@mailnode.test", code=3)
    assert "no such domain" in tool("grant", "add", alice, "@nowhere.test", code=3)
    assert "no such account" in tool("grant", "add", "nobody@mailnode.test", alice, code=3)


def test_who_the_postmaster_is(tool, alice):
    tool("domain", "add", "empty.example")
    assert tool.json("domain", "show", "empty.example")["postmaster"] == [alice]
    tool("account", "add", "boss@mailnode.test", "--role", "admin", "--password-stdin", stdin="first of these\n")
    assert tool.json("domain", "show", "mailnode.test")["postmaster"] == ["boss@mailnode.test"]
    tool("alias", "add", "postmaster@empty.example", "x@elsewhere.example", alice)
    assert tool.json("domain", "show", "empty.example")["postmaster"] == [alice, "x@elsewhere.example"]


def test_a_failed_account_leaves_no_mailboxes(tool):
    tool("account", "add", "a@nowhere.test", "--password-stdin", stdin="x\n", code=3)
    with administration(demo_config(tool.data)) as admin:
        engine = admin.mail._partitions[0]._engine
        count = run_now(
            engine.read("mail-00", lambda tx: tx.execute("SELECT count(*) FROM account WHERE removed_at IS NULL"))
        )
    assert count == [(0,)]


def test_a_mistake_is_told_of_what_is_wrong_not_of_what_was_named_first(tool, alice):
    tool("account", "add", "bob@mailnode.test", "--password-stdin", stdin="first of these\n")
    for arguments, code, words in (
        (("account", "add-address", "bob@mailnode.test", alice), 5, f"{alice}: exists already"),
        (("account", "add-address", alice, "a@nowhere.test"), 3, "a@nowhere.test: no such domain (nowhere.test)"),
        (("domain", "add", "x.example", "--alias-of", "nowhere.test"), 3, "nowhere.test: no such domain"),
        (("domain", "add", "x.example", "--alias-of", "no where"), 2, "no where: not an address or domain (a space"),
        (("domain", "change", "mailnode.test", "--catch-all", "bob"), 2, "bob: not an address or domain (there is no"),
        (("domain", "change", "mailnode.test"), 2, "mailnode.test: nothing to change: give --catch-all or --separator"),
        (("grant", "add", alice, "@"), 2, "@: not an address or domain (no domain"),
        (("grant", "add", alice, "@nowhere.test"), 3, "@nowhere.test: no such domain"),
        (("grant", "revoke", alice, "@"), 2, "@: not an address or domain (no domain"),
        (("mailbox", "create", alice, "INBOX"), 5, "INBOX: there is a mailbox of that name"),
        (("mailbox", "create", alice, "a//b"), 2, "a//b: not a mailbox name (empty level"),
        (("mailbox", "show", alice, "a//b"), 2, "a//b: not a mailbox name (empty level"),
        (("alias", "add", "x@mailnode.test", "a@[10.0.0.1]"), 2, "x@mailnode.test: a@[10.0.0.1]: mail is not sent to"),
    ):
        assert tool(*arguments, code=code).startswith(f"mailnode: {words}"), arguments


def test_the_life_of_an_account(tool, alice):
    tool("account", "password", alice, "--password-stdin", stdin="second of these\r\n")
    for option, status in (("--no-login", "no-login"), ("--no-receive", "no-receive"), (None, "suspended")):
        tool("account", "disable", alice, *([option] if option else []))
        assert tool.json("account", "show", alice)["status"] == status
    tool("account", "disable", alice, "--no-login", "--no-receive")
    assert tool.json("account", "show", alice)["status"] == "suspended"
    tool("account", "enable", alice)
    tool("account", "role", alice, "admin")
    shown = tool.json("account", "show", alice)
    assert (shown["status"], shown["role"]) == ("active", "admin")
    tool("account", "add-address", alice, "a.lice@mailnode.test")
    assert tool.json("account", "show", "a.lice@mailnode.test")["addresses"] == [alice, "a.lice@mailnode.test"]
    assert "is in use" in tool("account", "remove-address", alice, "--yes", code=5)
    tool("account", "remove-address", "a.lice@mailnode.test", "--yes")
    tool("account", "show", "a.lice@mailnode.test", code=3)
    tool("account", "hide-capability", alice, "uidonly")
    assert tool.json("account", "hide-capability", alice, "Idle")["hidden_capabilities"] == ["IDLE", "UIDONLY"]
    assert "IMAP4REV1 cannot be hidden" in tool("account", "hide-capability", alice, "IMAP4rev1", code=2)
    assert "not the name of a capability" in tool("account", "show-capability", alice, "a b", code=2)
    assert tool.json("account", "show-capability", alice, "UIDONLY")["hidden_capabilities"] == ["IDLE"]
    assert tool.json("account", "show-capability", alice, "UIDONLY")["hidden_capabilities"] == ["IDLE"]
    quota = tool.json("account", "quota", alice, "--bytes", "1000")
    assert (quota["bytes_limit"], quota["messages_limit"]) == (1000, 0)
    assert tool.json("account", "quota", alice, "--messages", "7")["bytes_limit"] == 1000
    assert tool.json("account", "quota", alice, "--bytes", "2G")["bytes_limit"] == 2 * 1024**3
    assert "with a unit: 512K, 50MB, 1G; not '2 things'" in tool(
        "account", "quota", alice, "--bytes", "2 things", code=2
    )
    tool("account", "quota", alice, "--bytes", "-1", code=2)
    tool("account", "remove", alice, "--yes")
    tool("account", "remove", alice, "--yes", code=3)


def test_a_removal_that_was_cut_short_goes_on(tool, alice):
    with administration(demo_config(tool.data)) as admin:
        account = run_now(admin.directory.accounts())[0]
        run_now(admin.directory.set_status(account.id, "deleting"))
    assert "is being removed" in tool("account", "enable", alice, code=5)
    tool("account", "remove", alice, "--yes")
    assert tool.json("account", "list") == []
    tool("account", "add", alice, "--password-stdin", stdin="first of these\n")


def test_aliases(tool, alice):
    tool("alias", "add", "info@mailnode.test", alice, "far@example.org")
    assert tool.json("alias", "show", "INFO@mailnode.test") == {
        "address": "info@mailnode.test",
        "targets": [alice, "far@example.org"],
        "detail": "cut",
        "owner": "",
    }
    assert "exists already" in tool("alias", "add", "info@mailnode.test", alice, code=5)
    tool("alias", "add", "info@mailnode.test", alice, "--replace", "--detail", "keep")
    assert tool.json("alias", "list")[0]["targets"] == [alice]
    assert "info@mailnode.test" in tool("alias", "list")
    assert "not an address" in tool("alias", "add", "x@mailnode.test", "nobody", code=2)
    tool("alias", "add", "x@mailnode.test", code=2)
    tool("alias", "remove", "info@mailnode.test", "--yes")
    assert "no such alias" in tool("alias", "remove", "info@mailnode.test", "--yes", code=3)
    assert "no such alias" in tool("alias", "show", "info@mailnode.test", code=3)


def test_mailboxes(tool, alice):
    names = [mailbox["name"] for mailbox in tool.json("mailbox", "list", alice)]
    assert names[0] == "INBOX" and set(names[1:]) == {"Archive", "Drafts", "Junk", "Sent", "Trash"}
    tool("mailbox", "create", alice, "Work/Ä")
    shown = tool.json("mailbox", "show", alice, "Work/Ä")
    assert (shown["name"], shown["messages"], shown["uidnext"]) == ("Work/Ä", 0, 1)
    tool("mailbox", "create", alice, "Work/Ä", code=5)
    tool("mailbox", "create", alice, "a\x01b", code=2)
    tool("mailbox", "show", alice, "None", code=3)
    tool("mailbox", "list", "nobody@mailnode.test", code=3)


def test_shared_accounts(tool, alice):
    team = "team@mailnode.test"
    tool("shared", "add", team, "--quota-messages", "5")
    assert [one["address"] for one in tool.json("shared", "list")] == [team]
    assert {one["address"]: one["role"] for one in tool.json("account", "list")} == {alice: "user", team: "shared"}
    shown = tool.json("account", "show", team)
    assert (shown["messages_limit"], shown["credentials"]) == (5, [])
    assert "exists already" in tool("shared", "add", team, code=5)
    assert "exists already" in tool("shared", "add", alice, code=5)
    assert "no such domain" in tool("shared", "add", "team@elsewhere.test", code=3)
    tool("shared", "add", "other@mailnode.test", "--quota-messages", "-1", code=2)
    for command in (("password", team, "--password-stdin"), ("role", team, "user")):
        assert "is shared, nobody logs in to it" in tool("account", *command, stdin="quite a good one\n", code=5)
    tool("mailbox", "acl", "set", team, "INBOX", alice, "lrs")
    tool("account", "quota", team, "--messages", "7")
    tool("grant", "add", alice, team)
    tool("account", "remove", team, "--yes")
    assert tool("shared", "list") == ""


def test_rights_on_a_mailbox(tool, alice):
    tool("account", "add", "bob@mailnode.test", "--password-stdin", stdin="a quite good one\n")
    assert tool.json("mailbox", "acl", "list", alice, "INBOX") == []
    assert tool.json("mailbox", "acl", "set", alice, "INBOX", "Bob@mailnode.test", "drl") == [
        {"who": "bob@mailnode.test", "rights": "lrte"}
    ]
    tool("mailbox", "acl", "set", "--", alice, "INBOX", "-anyone", "s")
    assert tool("mailbox", "acl", "set", alice, "INBOX", "anyone", "lrs") == (
        "who                rights\n-anyone            s\nanyone             lrs\nbob@mailnode.test  lrte\n"
    )
    assert tool("mailbox", "acl", "list", alice, "Trash") == ""
    assert tool("mailbox", "acl", "revoke", alice, "INBOX", "bob@mailnode.test").count("bob") == 0
    assert [one["who"] for one in tool.json("mailbox", "acl", "list", alice, "INBOX")] == ["-anyone", "anyone"]
    for arguments, code, words in (
        (("set", alice, "INBOX", "anyone", "lz"), 2, "letters of"),
        (("set", alice, "INBOX", "anyone", ""), 2, "letters of"),
        (("set", alice, "INBOX", "nobody@mailnode.test", "l"), 3, "nobody@mailnode.test: no such account"),
        (("set", alice, "INBOX", alice, "l"), 5, "owns the mailbox"),
        (("set", alice, "None", "anyone", "l"), 3, "None: no such mailbox"),
        (("set", alice, "a//b", "anyone", "l"), 2, "a//b: not a mailbox name"),
        (("list", "nobody@mailnode.test", "INBOX"), 3, "no such account"),
        (("revoke", alice, "INBOX", "bob@mailnode.test"), 3, "has no rights to INBOX"),
    ):
        assert words in tool("mailbox", "acl", *arguments, code=code)


def enqueue(tool, envelope_id, reply="451 4.3.0 come \x1b[31mlater", message=b"Subject: x\r\n\r\nx\r\n"):
    config = demo_config(tool.data)
    with administration(config) as admin:
        stores = admin.queue
        blob = run_now(stores._blobs.put(message))
        assert isinstance(blob, StagedBlob) and isinstance(blob.ref, BlobRef)
        recipient = QueuedRecipient(0, "far@example.org", "example.org", next_try=2e9, last_reply=reply)
        options = MailOptions(tls="required")
        envelope = QueuedEnvelope(
            envelope_id, "alice@mailnode.test", blob.ref, 1.8e9, 1.9e9, options, recipients=(recipient,)
        )
        run_now(stores.enqueue(NewEnvelope(envelope, blob)))


def test_the_queue(tool):
    assert tool.json("queue", "list") == [] and tool("queue", "list") == ""
    enqueue(tool, "01aaaaaaaaaaaaaaaaaa")
    (entry,) = tool.json("queue", "list")
    assert entry["id"] == "01aaaaaaaaaaaaaaaaaa" and entry["size"] == 17
    assert entry["recipients"][0]["address"] == "far@example.org"
    assert entry["recipients"][0]["reason"] == "new"
    text = tool("queue", "show", entry["id"])
    assert "come \\x1b[31mlater" in text and "\x1b" not in text + tool("queue", "list")
    assert entry["wanted_tls"] == "required" and re.search("^wanted tls +required$", text, re.MULTILINE)
    tool("queue", "hold", entry["id"])
    assert tool.json("queue", "show", entry["id"])["held"]
    assert tool.json("queue", "show", entry["id"])["recipients"][0]["reason"] == "held"
    tool("queue", "release", entry["id"])
    assert not tool.json("queue", "show", entry["id"])["held"]
    assert tool("queue", "retry", entry["id"]) == "recipients: 1\n"
    assert tool.json("queue", "retry", "--destination", "EXAMPLE.org")["recipients"] <= 1
    tool("queue", "retry", "--all")
    tool("queue", "retry", code=2)
    tool("queue", "retry", entry["id"], "--all", code=2)
    tool("queue", "drop", entry["id"], "--yes")
    for command in (("show",), ("hold",), ("release",), ("retry",), ("drop", "--yes")):
        assert "no such envelope" in tool("queue", command[0], entry["id"], *command[1:], code=3)


def test_the_queue_is_listed_by_what_is_asked_for(tool):
    enqueue(tool, "01aaaaaaaaaaaaaaaaa1")
    enqueue(tool, "01aaaaaaaaaaaaaaaaa2", reply="452 4.2.2 full")
    both = ["01aaaaaaaaaaaaaaaaa1", "01aaaaaaaaaaaaaaaaa2"]

    def listed(*options):
        return [entry["id"] for entry in tool.json("queue", "list", *options)]

    assert listed("--domain", "Example.ORG", "--sender", "alice@mailnode.test", "--state", "waiting") == both
    assert listed("--limit", "1") == both[:1] and listed("--after", both[0]) == both[1:]
    assert listed("--reply", "FULL") == both[1:]
    assert listed("--reason", "new") == both and listed("--reason", "refused") == []
    assert "no reason; there are new, held," in tool("queue", "list", "--reason", "because", code=2)
    assert listed("--domain", "mx.example:25") == listed("--sender", "<>") == listed("--state", "held") == []
    assert listed("--older-than", "520w") == []
    assert "7d" in tool("queue", "list", "--older-than", "soon", code=2)


def test_a_summary_tells_how_much_waits_for_whom_and_why(tool):
    assert tool("queue", "summary") == "recipients: 0, the oldest came -\n"
    enqueue(tool, "01aaaaaaaaaaaaaaaaa1")
    summary = tool.json("queue", "summary")
    assert (summary["recipients"], summary["oldest"]) == (1, "2027-01-15T08:00:00Z")
    assert [(one["name"], one["recipients"], sum(one["ages"])) for one in summary["destinations"]] == [
        ("example.org", 1, 1)
    ]
    assert [one["name"] for one in summary["reasons"]] == ["new"]
    lines = tool("queue", "summary").splitlines()
    assert lines[2].split()[:2] == ["destination", "all"] and lines[3].split()[:2] == ["example.org", "1"]


def test_a_destination_and_the_queue_are_paused_and_resumed(tool, monkeypatch):
    assert "example.org" in tool("queue", "pause", "Example.ORG")
    assert [one["destination"] for one in tool.json("queue", "pause")] == ["", "example.org"]
    assert "the whole queue" in tool("queue", "resume", "example.org")
    assert "is not paused" in tool("queue", "resume", "example.org", code=3)
    assert tool.json("queue", "resume") == []
    assert [one["destination"] for one in tool.json("queue", "pause", "mx.example:25")] == ["mx.example:25"]
    monkeypatch.setattr("mailnode.admin.queue.MAX_PAUSED", 1)
    assert "too much is paused" in tool("queue", "pause", "c.example", code=5)
    assert len(tool.json("queue", "pause")) == 2
    tool("queue", "pause", "not a domain", code=2)


def test_what_is_asked_for_is_held_and_released(tool, monkeypatch):
    monkeypatch.setattr("mailnode.admin.queue.TOGETHER", 2)
    for number in range(5):
        enqueue(tool, f"01aaaaaaaaaaaaaaaaa{number}", reply="452 full" if number else "451 later")

    def held():
        return [entry["id"][-1] for entry in tool.json("queue", "list", "--state", "held")]

    assert tool("queue", "hold", "--reply", "FULL", "--domain", "example.org") == "envelopes: 4\n"
    assert held() == list("1234")
    assert tool.json("queue", "release", "--sender", "bob@mailnode.test")["envelopes"] == 0
    assert tool("queue", "release", "01aaaaaaaaaaaaaaaaa1") == ""
    assert tool("queue", "release", "--domain", "example.org") == "envelopes: 3\n"
    assert held() == []
    tool("queue", "hold", code=2)
    tool("queue", "release", "01aaaaaaaaaaaaaaaaa1", "--domain", "example.org", code=2)


def test_a_message_that_waits_is_shown(tool, monkeypatch):
    enqueue(tool, "01aaaaaaaaaaaaaaaaaa", message=b"Subject: x\r\n\ty\x1b[31m\r\n\r\nx\r\n")
    assert tool("queue", "message", "01aaaaaaaaaaaaaaaaaa") == "Subject: x\n        y\\x1b[31m\n\nx\n"
    monkeypatch.setattr("mailnode.admin.queue.MAX_SHOWN", 12)
    assert tool.json("queue", "message", "01aaaaaaaaaaaaaaaaaa")["whole"] is False
    assert "more of it" in tool("queue", "message", "01aaaaaaaaaaaaaaaaaa")
    assert "no such envelope" in tool("queue", "message", "02", code=3)


def test_mail_is_steered_by_envelope_recipient_and_filter(tool):
    for number in range(3):
        enqueue(tool, f"01aaaaaaaaaaaaaaaaa{number}", reply="452 full" if number else "451 later")

    def seen(field):
        return [entry["recipients"][0][field] for entry in tool.json("queue", "list")]

    assert tool("queue", "retry", "--reply", "full") == "recipients: 2\n"
    assert tool("queue", "reroute", "--reply", "full", "--to", "Relay.example:2525") == "recipients: 2\n"
    assert seen("destination") == ["example.org", "[relay.example]:2525", "[relay.example]:2525"]
    assert tool("queue", "reroute", "01aaaaaaaaaaaaaaaaa1", "--recipient", "Far@Example.org") == "recipients: 1\n"
    assert seen("destination") == ["example.org", "example.org", "[relay.example]:2525"]
    assert "no recipient" in tool("queue", "reroute", "01aaaaaaaaaaaaaaaaa1", "--recipient", "x@example.org", code=3)
    assert "neither a host" in tool("queue", "reroute", "01aaaaaaaaaaaaaaaaa1", "--to", "a:b:c", code=2)
    tool("queue", "hold", "01aaaaaaaaaaaaaaaaa1")
    assert tool.json("queue", "expire", "--domain", "example.org") == {"recipients": 3, "trying": 0, "held": 1}
    assert seen("given_up") == ["last try"] * 3
    assert tool("queue", "drop", "01aaaaaaaaaaaaaaaaa0", "--bounce", "--yes") == "recipients: 1\n"
    assert seen("given_up") == ["bounced", "last try", "last try"]
    assert tool("queue", "drop", "--reply", "full", "--yes") == "recipients: 2\n"
    assert seen("destination") == ["!"]
    assert tool("queue", "drop", "01aaaaaaaaaaaaaaaaa0", "--yes") == "recipients: 1\n"
    for verb in ("expire", "reroute", "drop"):
        assert "give an envelope" in tool("queue", verb, *(["--yes"] if verb == "drop" else []), code=2)
    assert "give that too" in tool("queue", "expire", "--recipient", "x@example.org", "--domain", "x.example", code=2)
    assert seen("address") == []


def test_what_was_sent_is_listed_and_shown(tool):
    name = "01aaaaaaaaaaaaaaaaaa"
    enqueue(tool, name)
    with administration(demo_config(tool.data)) as admin:
        [claim] = run_now(admin.queue.claim("example.org", 3e9, 60.0, 10))
        end = Outcome(name, 0, "delivered", reply="250 taken", host="mx.example", tried_at=1.85e9)
        assert run_now(admin.queue.settle(Settlement(claim.token, (end,))))
    assert tool.json("queue", "list") == tool.json("queue", "list", "--state", "failed") == []
    [entry] = tool.json("queue", "list", "--state", "sent", "--domain", "example.org")
    assert (entry["id"], entry["expires"], entry["recipients"][0]["ended"][:4]) == (name, "", "2028")
    assert "ended" in tool("queue", "list", "--state", "sent")
    assert tool.json("queue", "show", name)["history"][0]["reply"] == "250 taken"
    assert "its content" in tool("queue", "message", name, code=3)
    assert "Invalid value" in tool("queue", "hold", "--state", "sent", code=2)


def test_a_long_queue_is_listed_in_pages(tool, monkeypatch):
    for number in range(7):
        enqueue(tool, f"01aaaaaaaaaaaaaaaaa{number}")
    monkeypatch.setattr("mailnode.admin.queue.PAGE", 3)
    assert [entry["id"][-1] for entry in tool.json("queue", "list")] == list("0123456")
    monkeypatch.setattr("mailnode.admin.queue.MAX_LISTED", 5)
    assert len(tool.json("queue", "list")) == 5


def test_without_a_server(tool, tmp_path):
    assert "no server is running" in tool("reload", code=4)
    assert "no server is running" in tool("status", code=4)
    assert "no demonstration" in tool("demo", code=3)
    result = CliRunner().invoke(main, ["--data", str(tmp_path / "none"), "domain", "list"])
    assert result.exit_code == 4 and "no such directory" in result.stderr
    assert not (tmp_path / "none").exists()


def test_a_locked_directory(tool, monkeypatch):
    monkeypatch.setattr("mailnode.ctl.parts.LOCKED", 0.0)
    with administration(demo_config(tool.data)):
        assert "another server is running on this data directory, or starts or stops" in tool("domain", "list", code=4)
    tool("domain", "list")


def test_a_command_waits_for_whoever_has_the_directory(tool, monkeypatch):
    with contextlib.ExitStack() as held:
        held.enter_context(administration(demo_config(tool.data)))
        monkeypatch.setattr("mailnode.ctl.parts.time.sleep", lambda seconds: held.close())
        assert "mailnode.test" in tool("domain", "list")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a directory away")
def test_only_the_owner_may_work_on_the_store(tool):
    os.chown(tool.data, 65534, -1)
    assert "belongs to nobody" in tool("domain", "list", code=4)
    assert not list(tool.data.glob("*.db"))


def test_configuration_mistakes_are_said(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("[server]\n")
    for command in (["check"], ["domain", "list"]):
        result = CliRunner().invoke(main, ["--config", str(path), *command])
        assert result.exit_code == 1 and "mailnode: server.data: is required" in result.stderr
        assert not result.stdout


def test_a_file_that_cannot_be_read_does_not_stand_before_a_running_server(tmp_path):
    """Where it is found is all a command needs of the file, and that may be said beside it."""
    path = tmp_path / "x.toml"
    path.write_text("[server\n")
    result = CliRunner().invoke(main, ["--config", str(path), "status"])
    assert result.exit_code == 1 and f"{path}: not TOML" in result.stderr
    assert "a running server is found by its data directory too: mailnode --data DIR ..." in result.stderr
    for options in (["--data", str(tmp_path)], ["--config", str(path), "--data", str(tmp_path)]):
        with listening(tmp_path, {"running": True}):
            assert CliRunner().invoke(main, [*options, "status", "--json"]).stdout == '{\n  "running": true\n}\n'


@contextmanager
def listening(data, result):
    """A server that gives one answer over its control socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(data / SOCKET))
        server.listen()

        def answer():
            with server.accept()[0] as client:
                client.recv(65536)
                client.sendall(json.dumps({"result": result}).encode() + b"\n")

        answering = threading.Thread(target=answer)
        answering.start()
        yield
        answering.join()
    (data / SOCKET).unlink()


def test_an_unexpected_failure_is_one_line(tool, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("mailnode.ctl.direct.run_directly", broken)
    assert tool("domain", "list", code=1) == "mailnode: RuntimeError: out of luck\n"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nonesuch", {}),
        ("domain.add", {}),
        ("domain.add", {"name": "x.example", "admin": 1}),
        ("domain.list", {"x": 1}),
        ("domain.show", {"name": 1}),
        ("domain.show", {"name": None}),
        ("account.check", {"address": "alice@mailnode.test", "new": "yes"}),
        ("account.role", {"address": "alice@mailnode.test", "role": "king"}),
        ("account.quota", {"address": "alice@mailnode.test", "quota_bytes": True}),
        ("alias.add", {"address": "a@mailnode.test", "targets": "alice@mailnode.test"}),
        ("alias.add", {"address": "a@mailnode.test", "targets": ["alice@mailnode.test", 1]}),
    ],
)
def test_unknown_commands_and_arguments_are_refused(tool, name, arguments):
    with administration(demo_config(tool.data)) as admin, pytest.raises(OperationFailed) as failed:
        run_now(run(admin, name, arguments))
    assert failed.value.reason is Reason.WRONG_VALUE


def test_the_page_of_commands_is_current():
    page = (Path(__file__).parents[2] / "docs/commands.rst").read_text()
    assert page == render(), "run: python -m mailnode.ctl.docs > docs/commands.rst"
    for group in ("domain", "account", "alias", "queue", "mailbox", "check", "reload", "demo"):
        assert f"\n{group}\n---" in page


def test_a_command_through_the_socket_does_not_load_the_server():
    """Nor what reads a whole configuration. Scripts call many commands: each would take a second of a processor."""
    looked_for = "'mailnode.server', 'mailnode.config.schema', 'pydantic', 'twisted', 'OpenSSL'"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, mailnode.ctl.main; print([m for m in ({looked_for}) if m in sys.modules])",
        ],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert done.stdout == "[]\n"


def test_older_files_are_accepted_with_a_yes_only(tool, alice):
    before = {box["name"]: box["uidvalidity"] for box in tool.json("mailbox", "list", alice)}
    assert "use --yes" in tool("store", "accept-older", "all", code=2)
    assert {box["name"]: box["uidvalidity"] for box in tool.json("mailbox", "list", alice)} == before
    assert "no such file" in tool("store", "accept-older", "mail-9", "--yes", code=1)
    assert tool.json("store", "accept-older", "all", "--yes")["accounts"] == 1
    for box in tool.json("mailbox", "list", alice):
        assert box["uidvalidity"] > before[box["name"]]


def test_a_copy_with_a_sender_of_its_own_goes_by_the_routes_for_that(tool):
    config = demo_config(tool.data)
    route = Route(senders=["own.example"], host="via.example", port=25, tls="none")
    config = config.model_copy(update={"queue": config.queue.model_copy(update={"route": [route]})})
    with administration(config) as admin:
        blob = run_now(admin.queue._blobs.put(b"Subject: x\r\n\r\nx\r\n"))
        plans = ("", '{"sender":"SRS0=x@own.example"}')
        rows = tuple(
            QueuedRecipient(index, f"far{index}@example.org", "other.example", plan=plan, next_try=2e9)
            for index, plan in enumerate(plans)
        )
        envelope = QueuedEnvelope("e1", "alice@mailnode.test", blob.ref, 1.8e9, 1.9e9, recipients=rows)
        run_now(admin.queue.enqueue(NewEnvelope(envelope, blob)))
        run_now(queue_reroute(admin, "e1"))
        kept = run_now(admin.queue.envelope("e1")).recipients
    assert [one.destination for one in kept] == ["example.org", "via.example:25"]


def test_the_store_is_compared_with_itself(tool, alice):
    assert tool.json("store", "verify", "--repair") == {
        "ok": True,
        "accounts": 1,
        "files": 0,
        "messages": 0,
        "loose": 0,
        "faults": [],
        "mended": [],
        "set_aside": [],
    }
    assert tool("store", "verify").endswith("all right\n")
    with administration(demo_config(tool.data)) as admin:
        [account] = run_now(admin.directory.accounts())
        run_now(admin.mail.remove(account.id))
    result = CliRunner().invoke(main, ["--data", str(tool.data), "store", "verify"])
    assert result.exit_code == 1 and f"! {account.id}: an account without mailboxes" in result.stdout
