"""What scripts make of mail that comes to accounts."""

import pytest
from script_world import CONTENT, NOW, ScriptWorld
from zope.interface.verify import verifyObject

from mailnode.delivery.bounce import Bouncer
from mailnode.delivery.plans import MANY_COPIES, copies
from mailnode.delivery.script_runner import SMALL_MESSAGE
from mailnode.errors import Busy, StoreUnavailable
from mailnode.interfaces.sieve import IFiltering, IServerScripts
from mailnode.net.no_reactor import run_now
from mailnode.values.address import parse_address
from mailnode.values.attempt import Fate
from mailnode.values.directory import Alias, Resolved
from mailnode.values.envelope import ALL_NOTICES, MAYBE_FORGED, MailOptions, Origin, RcptOptions, Recipient
from mailnode.values.flags import FLAGGED
from mailnode.values.plan import JUNK, Judgement, RecipientPlan
from mailnode.values.queue import NewEnvelope, QueuedEnvelope, QueuedRecipient
from mailnode.values.scripts import ScriptQuota, ServerScriptSet, StoredScript

ANN, BEA = "ann@here.example", "bea@here.example"


@pytest.fixture
def world(tmp_path):
    return ScriptWorld(tmp_path, "ann", "bea")


def server_script(source, name="s"):
    return StoredScript(name, source.encode(), str(hash(source)))


def test_it_keeps_its_contracts(world):
    assert verifyObject(IFiltering, world.filtering)
    assert verifyObject(IServerScripts, world.server)


# copies here


def test_without_a_script_nothing_is_read_and_all_is_as_it_was(world):
    envelope = world.envelope(ANN, BEA)

    async def read(offset, length):
        raise AssertionError("the message is read")

    routes = {one.address: run_now(world.router.resolve(one.address, relay=False)) for one in envelope.recipients}
    judgement = run_now(world.judge.judge(envelope, routes, RecipientPlan(), {}))
    filtered = run_now(world.filtering.filtered(envelope, judgement, 10, read))
    assert filtered.judgement is judgement
    assert filtered.is_plain


def test_a_script_files_its_accounts_copy_and_no_other(world):
    world.script("ann", 'require ["fileinto", "imap4flags"]; fileinto :flags ["\\\\Flagged", "work"] "Archive";')
    filtered = world.send(ANN, BEA)
    assert filtered.is_plain, "it needs no detour over the queue"
    assert world.counts("ann") == {"Archive": 1}
    assert world.mailboxes("ann")["Archive"][0].flags == ("\\Flagged", "work")
    assert world.counts("bea") == {"INBOX": 1}


def test_one_message_is_filed_into_several_mailboxes_as_copies_are(world):
    world.script("ann", 'require ["fileinto", "mailbox"]; keep; fileinto "Archive"; fileinto :create "New/Below";')
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 1, "Archive": 1, "New/Below": 1}
    account = world.mail.account("ann")
    ids = {info.name: info.id for info in run_now(account.mailboxes())}
    rows = [run_now(account.open(ids[name]).rows([1], ["message_id", "size"])) for name in ("INBOX", "Archive")]
    assert rows[0] == rows[1], "it is one message"
    assert run_now(account.usage()).count_used == 3
    assert run_now(world.mail.verify()) == []


def test_places_that_are_one_mailbox_get_one_copy(world):
    world.script(
        "ann", 'require ["fileinto", "imap4flags"]; fileinto "Nowhere"; fileinto :flags "\\\\Seen" "Nowhere2"; keep;'
    )
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 1}, "a mailbox that is not there is INBOX"
    assert world.mailboxes("ann")["INBOX"][0].flags == ("\\Seen",)


def test_mailboxes_are_found_by_use_and_by_id(world):
    account = world.mail.account("ann")
    made = run_now(account.create("Elsewhere"))
    world.script(
        "ann",
        'require ["fileinto", "special-use", "mailboxid", "mailbox"];'
        ' fileinto :specialuse "\\\\Archive" "Nowhere";'
        f' fileinto :mailboxid "Fann-{made.id}" "Nowhere"; fileinto :specialuse "\\\\flagged" :create "Vital";'
        ' fileinto :specialuse "\\\\Novel" :create "New";',
    )
    world.send(ANN)
    assert world.counts("ann") == {"Archive": 1, "Elsewhere": 1, "Vital": 1, "New": 1}
    uses = {info.name: info.special_use for info in run_now(account.mailboxes())}
    assert (uses["Vital"], uses["New"]) == ("\\Flagged", ""), "what nobody knows is no use (RFC 8579 4)"


def test_of_several_with_a_use_that_is_taken_which_is_named(world):
    """RFC 8579 4."""
    run_now(world.mail.account("ann").create("More", "\\Archive"))
    world.script("ann", 'require ["fileinto", "special-use"]; fileinto :specialuse "\\\\Archive" "More";')
    world.send(ANN)
    world.script("ann", 'require ["fileinto", "special-use"]; fileinto :specialuse "\\\\Archive" "Nowhere";')
    world.send(ANN)
    assert world.counts("ann") == {"Archive": 1, "More": 1}


def test_a_discarded_message_is_nowhere(world):
    world.script("ann", "discard;")
    filtered = world.send(ANN)
    assert not filtered.needs_message
    assert world.counts("ann") == {}
    assert run_now(world.queue.envelopes()) == []


def test_a_keep_goes_where_policies_want_it(world):
    world.script("ann", 'require "imap4flags"; keep :flags "\\\\Seen";')
    world.send(ANN, common=RecipientPlan(special_use=JUNK, flags=FLAGGED))
    assert world.mailboxes("ann")["Junk"][0].flags == ("\\Seen", "\\Flagged")


def test_an_edited_message_is_another_one_for_that_account_alone(world):
    world.script("ann", 'require ["editheader", "fileinto"]; fileinto "Archive"; addheader "X-New" "1"; keep;')
    world.send(ANN, BEA)
    boxes = world.mailboxes("ann")
    assert b"X-New" not in boxes["Archive"][0].content
    content = boxes["INBOX"][0].content
    assert content.startswith(
        b"Return-Path: <bob@there.example>\r\nDelivered-To: ann@here.example\r\nX-New: 1\r\nFrom:"
    )
    assert content.endswith(b"\r\n\r\nbody\r\n")
    assert b"X-New" not in world.mailboxes("bea")["INBOX"][0].content


EDITS = 'require ["editheader", "fileinto", "copy"]; addheader "X-New" "1"; '


def test_what_many_make_of_a_message_alike_is_in_memory_and_on_disk_once(world):
    for name in ("ann", "bea"):
        world.script(name, EDITS + 'fileinto "Archive"; redirect :copy "x@far.example";')
    run_now(world.directory.set_alias(Alias("all@here.example", (ANN, BEA))))
    filtered = world.send("all@here.example")
    assert len({id(one.content) for one in filtered.mail}) == 1
    assert len({one.blob.blob_id for one in run_now(world.queue.envelopes())}) == 1
    for name in ("ann", "bea"):
        assert b"X-New: 1\r\n" in world.mailboxes(name)["Archive"][0].content


def test_what_a_message_becomes_takes_no_more_memory_than_that(world, monkeypatch, events):
    monkeypatch.setattr("mailnode.delivery.filtering.MAX_CHANGED", 2 * len(CONTENT) + 100)
    world.script("ann", EDITS + "keep;")
    world.script("bea", EDITS.replace("1", "2") + 'fileinto "Archive"; addheader "X-New" "3"; keep;')
    world.send(ANN, BEA)
    assert b"X-New" in world.mailboxes("ann")["INBOX"][0].content
    boxes = world.mailboxes("bea")
    assert [b"X-New" in boxes[name][0].content for name in ("INBOX", "Archive")] == [False, False]
    assert [fields["action"] for name, fields in events if name == "sieve.not_done"] == ["change of the message"]


def test_a_large_message_is_changed_where_it_holds_nobody_up(world):
    world.script("ann", EDITS + "keep;")
    for content, where in ((CONTENT, set()), (CONTENT + b"x" * SMALL_MESSAGE, {"edited", "_sha256", "join"})):
        world.threads.ran.clear()
        world.send(ANN, content=content, trace=b"X-Trace: 1\r\n")
        assert {"edited", "_sha256", "join"} & set(world.threads.ran) == where


def test_what_policies_put_on_top_is_seen_and_stays_once(world):
    world.script("ann", 'require ["editheader"]; if header "X-Spam" "yes" { addheader "X-Seen" "1"; }')
    world.send(ANN, trace=b"X-Spam: yes\r\n")
    [found] = world.mailboxes("ann")["INBOX"]
    assert found.content.count(b"X-Spam: yes\r\n") == 1
    assert b"X-Seen: 1\r\n" in found.content


def test_a_copy_waits_where_the_account_is_full(world):
    world.add("tiny", quota=1)
    world.script("tiny", 'require "fileinto"; fileinto "Archive"; keep;')
    world.send("tiny@here.example", content=CONTENT)
    assert world.counts("tiny") == {"INBOX": 1, "Archive": 1}, "one message may pass the quota, with all its copies"
    run_now(world.directory.set_alias(Alias("all@here.example", ("tiny@here.example", BEA))))
    world.script("tiny", 'require "editheader"; addheader "X-New" "1";')
    filtered = world.filtered(world.envelope("all@here.example"))
    [changed] = filtered.mail
    [copy] = copies(changed.envelope, changed.judgement).local
    assert copy.wait_for_room, "a copy that is another message waits as well"


# what scripts are told


def test_facts(world):
    script = """
    require ["environment", "envelope", "fileinto", "spamtest", "relational", "comparator-i;ascii-numeric", "envelope-dsn",
             "vnd.dovecot.environment", "subaddress"];
    if not allof(environment "location" "MTA", environment "host" "mx.here.example", environment "domain" "here.example",
        environment "remote-ip" "192.0.2.7", environment "phase" "during", environment "name" "mailnode",
        environment "version" "1", environment "vnd.dovecot.username" "ann@here.example") { discard; stop; }
    if not allof(envelope :detail "to" "box", envelope "from" "bob@there.example", envelope "notify" "DELAY")
        { discard; stop; }
    if not spamtest :value "eq" :comparator "i;ascii-numeric" "3" { discard; }
    """
    world.script("ann", script)
    options = RcptOptions(frozenset({"FAILURE", "DELAY"}))
    world.send(Recipient(parse_address("ann+box@here.example"), options), score=2.5)
    assert world.counts("ann") == {"INBOX": 1}


def test_questions_are_answered_by_the_store(world):
    account = world.mail.account("ann")
    box = next(info.id for info in run_now(account.mailboxes()) if info.name == "Archive")
    run_now(account.annotate(box, [("", "/shared/comment", b"yes")]))
    source = b'require "fileinto"; fileinto "Archive";'
    run_now(world.scripts.put("ann", "other", source, ScriptQuota()))
    world.script(
        "ann",
        'require ["mailbox", "special-use", "mboxmetadata", "include", "mailboxid"];'
        f' if allof(mailboxexists "Archive", not mailboxexists "Nope", specialuse_exists "\\\\Junk", mailboxidexists "Fann-{box}",'
        ' not mailboxidexists "Fbea-1", metadata "Archive" "/shared/comment" "yes") { include "other"; }',
    )
    world.send(ANN)
    assert world.counts("ann") == {"Archive": 1}


def test_a_duplicate_is_found_when_it_comes_again(world):
    world.script("ann", 'require ["duplicate", "fileinto"]; if duplicate { fileinto "Trash"; }')
    world.send(ANN)
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 1, "Trash": 1}
    world.send(BEA)
    world.clock.advance(8 * 86_400)
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 2, "Trash": 1}


# around the account's


def test_scripts_of_the_server_and_the_domain_stand_around_the_accounts(world):
    def tag(name):
        return server_script(f'require "editheader"; addheader :last "X-Ran" "{name}";', name)

    world.server.use(
        ServerScriptSet(
            ((tag("before"),), (tag("after"),)), {"here.example": ((tag("domain before"),), (tag("domain after"),))}
        )
    )
    world.script("ann", tag("own").source.decode())
    world.send(ANN)
    ran = [line for line in world.mailboxes("ann")["INBOX"][0].content.split(b"\r\n") if line.startswith(b"X-Ran")]
    assert ran == [b"X-Ran: " + name for name in (b"before", b"domain before", b"own", b"domain after", b"after")]
    world.send(BEA)
    ran = [line for line in world.mailboxes("bea")["INBOX"][0].content.split(b"\r\n") if line.startswith(b"X-Ran")]
    assert len(ran) == 4


def test_any_script_includes_those_of_the_server(world):
    world.server.use(ServerScriptSet(included={"file": server_script('require "fileinto"; fileinto "Archive";')}))
    world.script("ann", 'require "include"; include :global "file";')
    world.send(ANN)
    assert world.counts("ann") == {"Archive": 1}


# failures


def test_a_script_that_fails_keeps_the_message_and_its_owner_is_told_once(world, events):
    world.script("ann", 'require ["fileinto", "ihave"]; fileinto "Archive"; error "oh no";')
    world.send(ANN)
    world.send(ANN)
    found = world.mailboxes("ann")
    assert {name: len(some) for name, some in found.items()} == {"INBOX": 3}
    notices = [one.content for one in found["INBOX"] if b"Your mail filter failed" in one.content]
    assert len(notices) == 1
    assert b"oh no" in notices[0] and b"line 1" in notices[0]
    failed = [fields for name, fields in events if name == "sieve.failed"]
    assert [one["line"] for one in failed] == [1, 1]
    world.script("ann", 'require "ihave"; error "another";')
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 5}, "of another version the owner is told anew"


def test_a_script_that_cannot_be_compiled_any_more_keeps_the_message(world):
    world.script("ann", "nonsense;")
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 2}


def test_unknown_trouble_is_as_if_there_were_no_script(world, monkeypatch):
    world.script("ann", "discard;")
    world.script("bea", "discard;")

    async def broken(about, outcome, may_refuse):
        if about.account_id == "ann":
            raise RuntimeError
        return await carried_out(about, outcome, may_refuse)

    carried_out = world.filtering._actions.carried_out
    monkeypatch.setattr(world.filtering._actions, "carried_out", broken)
    world.send(ANN, BEA)
    assert (world.counts("ann"), world.counts("bea")) == ({"INBOX": 1}, {})


@pytest.mark.parametrize("trouble", [StoreUnavailable, Busy])
def test_a_store_that_is_away_is_told_of(world, monkeypatch, trouble):
    world.script("ann", "discard;")

    async def away(*args):
        raise trouble

    monkeypatch.setattr(world.filtering._sieve, "run", away)
    with pytest.raises(trouble):
        world.send(ANN)


def test_lines_for_the_log_and_what_was_done(world, events):
    world.script("ann", 'require ["vnd.dovecot.debug", "fileinto"]; debug_log "hi\nthere"; fileinto "Archive"; keep;')
    world.send(ANN)
    told = {name: fields for name, fields in events if name.startswith("sieve.")}
    assert told["sieve.logged"]["text"] == "hi there"
    assert told["sieve.ran"]["actions"] == "fileinto, keep"
    assert told["sieve.ran"]["account"] == "ann"


# sending on


def test_a_redirect_bears_an_address_of_ours_and_whose_script_it_was(world):
    world.script("ann", 'require "copy"; redirect :copy "x@far.example"; redirect :copy "y@far.example";')
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 1}
    first, second = world.outgoing()
    assert (first.to, second.to) == ("x@far.example", "y@far.example")
    assert first.sender.startswith("SRS0=") and first.sender.endswith("@here.example")
    top = b"Delivered-To: ann@here.example\r\nX-Sieve-Redirected-From: ann@here.example\r\n"
    assert first.content == top + CONTENT


def test_a_message_that_is_only_sent_on_stands_in_no_mailbox(world):
    world.script("ann", 'redirect "x@far.example";')
    world.send(ANN)
    assert world.counts("ann") == {}
    assert [one.to for one in world.outgoing()] == ["x@far.example"]


def test_the_null_sender_stays_null(world):
    world.script("ann", 'redirect "x@far.example";')
    world.send(ANN, sender="")
    assert world.outgoing()[0].sender == ""


def test_an_edited_message_is_sent_on_as_it_was_edited(world):
    world.script(
        "ann", 'require "editheader"; deleteheader "Subject"; addheader "Subject" "new"; redirect "x@far.example";'
    )
    world.send(ANN, trace=b"X-Top: 1\r\n")
    [sent] = world.outgoing()
    assert b"Subject: new\r\n" in sent.content and b"Subject: hello" not in sent.content
    assert sent.content.count(b"X-Top: 1\r\n") == 1


def test_what_a_script_made_eight_bit_is_sent_as_that(world):
    world.script(
        "ann", 'require ["replace", "mime"]; replace :subject "x" "gr\u00fc\u00dfe"; redirect "x@far.example";'
    )
    world.send(ANN)
    [envelope] = run_now(world.queue.envelopes())
    content = run_now(world.queue.read(envelope.blob))
    assert envelope.options.body == ("7BIT" if content.isascii() else "8BITMIME")
    assert not content.isascii()


def test_what_a_held_message_has_sent_is_held_too(world):
    world.script("ann", VACATION)
    world.send(ANN, held=True)
    assert [one.held for one in run_now(world.queue.envelopes())] == [True, True]
    assert world.counts("ann") == {}


def test_notices_that_a_redirect_asks_for(world):
    world.script("ann", 'require "redirect-dsn"; redirect :notify "SUCCESS,FAILURE" :ret "HDRS" "x@far.example";')
    world.send(ANN)
    [sent] = world.outgoing()
    assert (sent.options.notify, sent.ret) == ({"SUCCESS", "FAILURE"}, "HDRS")


@pytest.mark.parametrize("asked", [':notify "FAILURE"', ':ret "FULL"', ":bytimerelative 60"])
def test_notices_that_a_redirect_asks_for_come_to_the_owner_of_the_script(world, asked):
    """RFC 6009 6.1 and 7.1; nothing of what the sender asked for goes with it (RFC 3461 5.2.7.1)."""
    world.script("ann", f'require ["redirect-dsn", "redirect-deliverby"]; redirect {asked} "x@far.example";')
    to = Recipient(parse_address(ANN), RcptOptions(frozenset({"SUCCESS"}), "rfc822;first@there.example"))
    world.send(to, options=MailOptions(ret="HDRS", envid="E1"), notices=MAYBE_FORGED)
    [sent] = world.outgoing()
    assert (sent.sender, sent.options.orcpt, sent.ret) == (ANN, f"rfc822;{ANN}", "FULL" if "ret" in asked else "")
    assert sent.options.notify == ({"FAILURE"} if "notify" in asked else set())
    [envelope] = run_now(world.queue.envelopes())
    assert (envelope.options.envid, envelope.notices) == ("", ALL_NOTICES)


def test_a_notice_of_a_mail_server_that_is_sent_on_is_answered_by_nobody(world):
    world.script("ann", 'require "redirect-dsn"; redirect :notify "NEVER" "x@far.example";')
    world.send(ANN, sender="")
    [sent] = world.outgoing()
    assert (sent.sender, sent.options.notify) == ("", {"NEVER"})


def test_a_redirect_to_an_account_here_comes_to_its_scripts(world):
    world.script("ann", f'redirect "{BEA}";')
    world.script(
        "bea", 'require "fileinto"; if header :contains "X-Sieve-Redirected-From" "ann" { fileinto "Archive"; }'
    )
    world.send(ANN)
    assert (world.counts("ann"), world.counts("bea")) == ({}, {"Archive": 1})


def test_a_redirect_to_oneself_is_a_keep(world, events):
    world.script("ann", f'redirect "{ANN}";')
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 1}
    assert world.outgoing() == []


def test_two_that_redirect_to_each_other_keep_one_copy(world):
    world.script("ann", f'redirect "{BEA}";')
    world.script("bea", f'redirect "{ANN}";')
    world.send(ANN)
    assert (world.counts("ann"), world.counts("bea")) == ({}, {"INBOX": 1})


def test_who_is_a_recipient_gets_no_second_copy_by_a_redirect(world):
    world.script("ann", f'require "copy"; redirect :copy "{BEA}";')
    world.send(ANN, BEA)
    assert (world.counts("ann"), world.counts("bea")) == ({"INBOX": 1}, {"INBOX": 1})


@pytest.mark.parametrize("field", [b"X-Sieve-Redirected-From", b"Delivered-To"])
def test_what_comes_back_is_kept(world, field):
    world.script("ann", 'redirect "x@far.example";')
    world.send(ANN, content=field + b": ann@here.example\r\n" + CONTENT)
    assert world.counts("ann") == {"INBOX": 1}
    assert world.outgoing() == []


def test_a_redirect_that_leads_nowhere_is_a_keep(world):
    world.script("ann", 'redirect "nobody@here.example"; redirect "x@far.example";')
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 1}
    assert [one.to for one in world.outgoing()] == ["x@far.example"]
    world.script("bea", 'require "extlists"; redirect :list "urn:nowhere";')
    world.send(BEA)
    assert world.counts("bea") == {"INBOX": 2}, "a list that is not there fails the script, of which its owner hears"


def test_a_thousand_redirects_are_too_many_and_the_message_is_kept(world):
    world.script("ann", "".join(f'redirect "u{number}@far.example";' for number in range(1000)))
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 2}, "the message, and word of the failure"
    assert world.outgoing() == []


def test_no_more_than_so_many_accounts_have_their_scripts_run(world, monkeypatch):
    monkeypatch.setattr("mailnode.delivery.filtering.MAX_ACCOUNTS", 1)
    world.script("ann", "discard;")
    world.script("bea", "discard;")
    world.send(ANN, BEA)
    assert (world.counts("ann"), world.counts("bea")) == ({}, {"INBOX": 1})


def test_the_accounts_that_a_long_list_leads_to_are_found_in_a_thread(world):
    world.script("ann", "discard;")
    envelope, address = world.envelope("all@here.example"), parse_address("all@here.example")

    async def read(offset, length):
        return CONTENT

    for others, where in ((MANY_COPIES - 1, 0), (MANY_COPIES, 1)):
        world.threads.ran.clear()
        listed = Resolved(True, (("ann", ANN),), tuple(f"u{number}@far.example" for number in range(others)))
        filtered = run_now(world.filtering.filtered(envelope, Judgement((address,), {address: listed}), 10, read))
        assert filtered.judgement.accounts == {"ann": ()}
        assert world.threads.ran.count("_by_account") == where


# refusing


def test_a_refusal_is_said_in_the_session_where_that_can_be(world):
    world.script("ann", 'require "reject"; reject "go away\nplease";')
    filtered = world.send(ANN)
    [(address, reply)] = filtered.refused.items()
    assert (str(address), reply.code, reply.lines) == (ANN, 550, ("go away", "please"))
    assert world.counts("ann") == {}
    assert run_now(world.queue.envelopes()) == []


def test_of_several_recipients_each_hears_for_itself_over_lmtp(world):
    world.script("ann", 'require "ereject"; ereject "no";')
    filtered = world.send(ANN, BEA, each=True)
    assert [str(one) for one in filtered.refused] == [ANN]


def test_somebody_hears_of_what_is_refused(world):
    for said in ('notify "mailto:x@far.example"; reject "no";', 'reject "no"; notify "mailto:x@far.example";'):
        world.script("ann", f'require ["enotify", "reject"]; {said}')
        filtered = world.filtered(world.envelope(ANN))
        assert len(filtered.refused) == len(filtered.mail) == 1


@pytest.mark.parametrize("before", ['fileinto :copy "Archive";', 'redirect :copy "x@far.example";'])
def test_what_somebody_has_is_not_refused_in_the_session(world, before):
    first = server_script(f'require ["fileinto", "copy"]; {before}')
    world.server.use(ServerScriptSet(everywhere=((first,), ())))
    world.script("ann", 'require "reject"; reject "no";')
    filtered = world.send(ANN, each=True)
    assert not filtered.refused
    assert len(world.outgoing()) + len(world.counts("ann")) == 2, "the copy, and word to the sender"


@pytest.mark.parametrize(
    ("command", "kind"), [("reject", b"disposition-notification"), ("ereject", b"delivery-status")]
)
def test_else_the_sender_is_told_by_mail(world, command, kind):
    world.script("ann", f'require "{command}"; {command} "no, thanks";')
    filtered = world.send(ANN, BEA)
    assert not filtered.refused
    assert (world.counts("ann"), world.counts("bea")) == ({}, {"INBOX": 1})
    [sent] = world.outgoing()
    assert (sent.to, sent.sender) == ("bob@there.example", "")
    assert kind in sent.content and b"no, thanks" in sent.content


def test_who_may_not_have_sent_it_is_not_told(world, events):
    world.script("ann", 'require "reject"; reject "no";')
    world.send(ANN, BEA, notices=MAYBE_FORGED)
    world.send(ANN, BEA, sender="")
    assert world.outgoing() == []
    assert [fields["action"] for name, fields in events if name == "sieve.not_done"] == ["reject", "reject"]


# notices


def test_a_notice_of_delivery_comes_to_scripts_too(world):
    bouncer = Bouncer(
        world.directory,
        world.queue,
        world.blobs,
        world.delivery,
        world.clock,
        hostname="mx.here.example",
        expires=lambda created, null: created + 10,
        filtering=world.filtering,
    )
    script = (
        'require ["fileinto", "copy", "vacation"]; vacation "away"; redirect :copy "x@far.example"; fileinto "Archive";'
    )
    world.script("ann", script)
    blob = run_now(world.blobs.put(CONTENT))
    failed = QueuedRecipient(0, "y@far.example", "far.example")
    returned = QueuedEnvelope("e1", ANN, blob.ref, NOW, NOW + 1, recipients=(failed,))
    run_now(world.queue.enqueue(NewEnvelope(returned, blob)))
    for notice in run_now(
        bouncer.compose(returned, [Fate(failed, "failed", "5.1.1", "no such user", "mx.far.example")])
    ):
        run_now(world.queue.enqueue(notice))
    run_now(world.queue.drop("e1"))
    world.deliver()
    assert world.counts("ann") == {"Archive": 1}
    assert [(one.to, one.sender) for one in world.outgoing()] == [("x@far.example", "")]
    world.script("ann", 'require "reject"; reject "no";')
    assert run_now(bouncer.compose(returned, [Fate(failed, "failed", "5.1.1", "no such user", "mx.far.example")])) == ()


# answering and telling


VACATION = 'require "vacation"; vacation :days 2 :subject "Away" "I am away.";'


def test_a_sender_is_answered_once_in_a_period(world):
    world.script("ann", VACATION)
    world.send(ANN)
    assert not world.filtered(world.envelope(ANN)).mail, "the second one needs no detour over the queue"
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 2}
    [answer] = world.outgoing()
    assert (answer.to, answer.sender) == ("bob@there.example", "")
    assert b"Subject: Away\r\n" in answer.content and b"Auto-Submitted: auto-replied (vacation)\r\n" in answer.content
    assert answer.options.notify == {"NEVER"}
    world.clock.advance(2 * 86_400)
    world.send(ANN)
    assert len(world.outgoing()) == 2


def test_of_two_messages_at_once_one_is_answered(world):
    world.script("ann", VACATION)
    first, second = (world.envelope(ANN) for _ in range(2))
    filtered = [(envelope, world.filtered(envelope)) for envelope in (first, second)]
    for envelope, found in filtered:
        assert found.mail
        blob = run_now(world.blobs.put(CONTENT))
        facts = run_now(world.delivery.scan(blob))
        run_now(world.delivery.accept_filtered(envelope, found, blob, facts))
    world.deliver()
    assert world.counts("ann") == {"INBOX": 2}
    assert len(world.outgoing()) == 1


@pytest.mark.parametrize("script", ['redirect :copy "x@far.example";', 'redirect "x@far.example";'])
def test_what_others_make_of_an_answer_goes_out_as_often_as_the_answer(world, script):
    world.script("ann", VACATION)
    world.script("bea", f'require "copy"; {script}')
    content = CONTENT.replace(b"bob@there", b"bea@here")
    envelopes = [world.envelope(ANN, sender=BEA) for _ in range(3)]
    for envelope, found in [(one, world.filtered(one, content)) for one in envelopes]:
        assert found.mail
        blob = run_now(world.blobs.put(content))
        run_now(world.delivery.accept_filtered(envelope, found, blob, run_now(world.delivery.scan(blob))))
    assert len(world.outgoing()) == 1
    assert not world.filtered(world.envelope(ANN, sender=BEA), content).mail


def test_an_account_that_has_a_message_in_two_ways_answers_it_once(world):
    world.script("ann", VACATION)
    world.script("bea", f'require "editheader"; addheader "X-New" "1"; redirect "{ANN}";')
    world.send(ANN, BEA)
    assert world.counts("ann") == {"INBOX": 2}
    assert len(world.outgoing()) == 1


@pytest.mark.parametrize(
    "more", [{"sender": ""}, {"notices": MAYBE_FORGED}, {"common": RecipientPlan(special_use=JUNK)}]
)
def test_who_is_not_to_be_answered_is_not(world, more):
    world.script("ann", VACATION)
    world.send(ANN, **more)
    assert world.outgoing() == []
    assert sum(world.counts("ann").values()) == 1


def test_an_answer_to_an_account_here_comes_to_its_mailbox_and_leaves_a_copy(world):
    world.script("ann", 'require ["vacation", "fcc", "mailbox"]; vacation :fcc "Answers" :create "away";')
    content = CONTENT.replace(b"bob@there", b"bea@here")
    world.send(ANN, sender=BEA, content=content, origin=Origin("s", "ESMTPSA", account_id="bea", account=BEA))
    assert world.counts("bea") == {"INBOX": 1}
    assert world.counts("ann") == {"INBOX": 1, "Answers": 1}


def test_two_that_are_away_answer_each_other_once(world):
    for name in ("ann", "bea"):
        world.script(name, VACATION)
    content = CONTENT.replace(b"bob@there", b"bea@here")
    world.send(ANN, sender=BEA, content=content)
    assert (world.counts("ann"), world.counts("bea")) == ({"INBOX": 1}, {"INBOX": 1})


def test_somebody_is_told_of_a_message(world):
    world.script("ann", 'require "enotify"; notify :message "mail!" "mailto:phone@far.example";')
    world.send(ANN)
    [told] = world.outgoing()
    assert (told.to, told.sender) == ("phone@far.example", ANN)
    assert b"Auto-Submitted: auto-notified" in told.content and b"Subject: mail!" in told.content


@pytest.mark.parametrize("to", [ANN, "ann+phone@here.example"])
def test_who_tells_themselves_has_that_and_a_copy(world, to):
    """RFC 8580 3."""
    world.script("ann", f'require ["enotify", "fcc"]; notify :fcc "Sent" :message "mail!" "mailto:{to}";')
    world.send(ANN)
    assert world.counts("ann") == {"INBOX": 2, "Sent": 1}


def test_everything_of_a_message_is_there_or_nothing(world, monkeypatch):
    world.script(
        "ann",
        'require ["vacation", "copy", "duplicate", "fileinto"]; if duplicate { stop; }'
        ' redirect :copy "x@far.example"; vacation "away"; keep;',
    )

    async def away(together):
        raise StoreUnavailable

    monkeypatch.setattr(world.queue, "enqueue_together", away)
    with pytest.raises(StoreUnavailable):
        world.send(ANN)
    monkeypatch.undo()
    assert (world.counts("ann"), world.outgoing()) == ({}, [])
    world.send(ANN)
    assert [one.to for one in world.outgoing()] == ["bob@there.example", "x@far.example"]
    assert world.counts("ann") == {"INBOX": 1}, "what failed was not remembered"
