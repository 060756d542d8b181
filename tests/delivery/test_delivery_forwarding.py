"""Mail that an address here leads elsewhere: its reverse-path, and where bounces of it go."""

import pytest
from delivery_fakes import Directory, MailStore
from twisted.internet.task import Clock

from mailnode.delivery.acceptance import queued_envelope
from mailnode.delivery.circles import MAX_VISITS, visited
from mailnode.delivery.forwarding import KEY_SECONDS, Forwarding
from mailnode.delivery.judge import Judge
from mailnode.delivery.plans import Copies, RemoteCopy, copies, decode_plan, prefix_of, queued_recipients
from mailnode.delivery.router import Router
from mailnode.delivery.routing import NextHop, Route, RoutingTable, Way
from mailnode.errors import Refused
from mailnode.net.no_reactor import run_now
from mailnode.values.address import Address, parse_address
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.directory import Resolved
from mailnode.values.envelope import ALL_NOTICES, MAYBE_FORGED, Envelope, Origin, RcptOptions, Recipient
from mailnode.values.plan import AS_IT_IS, Judgement, RecipientPlan
from mailnode.values.queue import GIVEN_UP_DESTINATION, LOCAL_DESTINATION

NOW = 1_800_000_000.0
ALICE = parse_address("alice@far.example")
SALES, BOB, CAROL = (parse_address(f"{name}@here.example") for name in ("sales", "bob", "carol"))
AWAY = "friend@away.example"


class KeyedDirectory(Directory):
    """With keys, kept as the store keeps them."""

    def __init__(self):
        super().__init__(bob="bob")
        self.keys = ()
        self.routes["sales@here.example"] = Resolved(True, (("id-bob", "bob@here.example"),), (AWAY,))

    async def forwarding_keys(self):
        return self.keys

    async def add_forwarding_key(self, key, unless_within, keep):
        if not self.keys or key.created - self.keys[0].created >= unless_within:
            self.keys = (key, *self.keys)[:keep]
        return self.keys


class World:
    def __init__(self):
        self.clock, self.directory = Clock(), KeyedDirectory()
        self.clock.advance(NOW)
        self.forwarding = Forwarding(self.directory, self.clock, "mx.here.example")
        self.router = Router(self.directory, MailStore(), own_names=["mx.here.example"], forwarding=self.forwarding)

    def judge(self, envelope, common=AS_IT_IS, header=b""):
        routes = {
            one.address: run_now(self.router.resolve(one.address, True, null_sender=envelope.reverse_path is None))
            for one in envelope.recipients
        }
        return run_now(Judge(self.router, self.forwarding).judge(envelope, routes, common, {}, header))

    def send(self, sender, *recipients, common=AS_IT_IS):
        """Judge a message; return what is queued for other servers, as (address, reverse-path, destination)."""
        return [
            (one.address, one.sender(str(sender or "")), one.destination)
            for one in self.queue(sender, *recipients, common=common)
            if not one.account_id
        ]

    def queue(self, sender, *recipients, common=AS_IT_IS, header=b"", account_id="", notices=ALL_NOTICES):
        """Judge a message; return its rows of the queue."""
        origin = Origin("s", "SMTP", account_id=account_id)
        envelope = Envelope("e1", sender, tuple(map(Recipient, recipients)), origin, NOW, notices=notices)
        judgement = self.judge(envelope, common, header)
        table = RoutingTable([Route(["*"], Way(NextHop("own.example", 25, "none")), ["here.example"])])
        blob = StagedBlob(BlobRef("b", 1, "inline", "plain", b""), b"")
        return queued_envelope(envelope, copies(envelope, judgement), blob, lambda *_: NOW, table).recipients


@pytest.fixture
def world():
    return World()


def test_a_foreign_sender_is_rewritten_and_the_bounce_goes_back(world):
    ((address, sender, destination),) = world.send(ALICE, SALES)
    assert address == AWAY and sender.startswith("SRS0=") and sender.endswith("=far.example=alice@here.example")
    assert destination == "own.example:25", "routes go by the reverse-path that is on the wire"
    assert world.send(None, parse_address(sender)) == [("alice@far.example", "", "far.example")]


def test_a_bounce_to_a_sender_that_nobody_vouches_for_is_refused(world):
    rows = world.queue(ALICE, SALES, notices=MAYBE_FORGED)
    sender = next(one.sender("") for one in rows if not one.account_id)
    assert sender.endswith("=far.example=alice@here.example")
    with pytest.raises(Refused, match="nobody vouched for"):
        world.send(None, parse_address(sender))


def test_what_stays_as_it_came(world):
    assert world.send(BOB, SALES)[0][1] == "bob@here.example"
    assert world.send(parse_address("root@mx.here.example"), SALES)[0][1] == "root@mx.here.example"
    assert world.send(None, SALES)[0][1] == ""
    assert world.send(ALICE, parse_address(AWAY))[0][1] == "alice@far.example", "relayed, not forwarded"
    assert world.send(ALICE, BOB) == []
    assert world.directory.keys == (), "no key before one is needed"


def test_a_list_has_its_owner_for_a_sender_whoever_writes_to_it(world):
    options = RcptOptions(frozenset({"SUCCESS"}))
    world.directory.routes["list@here.example"] = Resolved(True, remote=(AWAY,), owner="owner@here.example")
    friends = parse_address("list@here.example")
    for sender in (ALICE, BOB):
        assert world.send(sender, friends) == [(AWAY, "owner@here.example", "own.example:25")]
    assert world.send(None, friends)[0][1] == "", "a bounce stays one"
    judgement = Judgement((friends,), {friends: world.directory.routes["list@here.example"]})
    envelope = Envelope("e1", ALICE, (Recipient(friends, options),), Origin("s", "SMTP"), NOW)
    assert copies(envelope, judgement).remote[0].options == RcptOptions()


def test_what_stands_on_top_for_all_of_a_list_is_there_once():
    """A hundred thousand of them had it in memory, each for itself."""
    friends = parse_address("list@here.example")
    members = tuple(f"{name}@away.example" for name in ("ann", "eve", "joe"))
    routes = {friends: Resolved(True, remote=(*members, str(friends)), owner="owner@here.example")}
    envelope = Envelope("e1", ALICE, (Recipient(friends),), Origin("s", "SMTP"), NOW, trace=b"Received: x\r\n")
    *led, itself = copies(envelope, Judgement((friends,), routes, seals={friends: b"ARC-Seal: x\r\n"})).remote
    assert {one.prefix for one in led} == {b"Delivered-To: list@here.example\r\nARC-Seal: x\r\nReceived: x\r\n"}
    assert len({id(one.prefix) for one in led}) == 1
    assert itself.prefix == envelope.trace


def test_the_table_is_asked_once_for_a_domain():
    class Asked(RoutingTable):
        def destination(self, domain, sender="", account=""):
            asked.append((domain, sender, account))
            return super().destination(domain, sender, account)

    asked = []
    made = [RemoteCopy(f"{name}@{there}.example", RcptOptions()) for name in "abc" for there in ("far", "away")]
    made.append(RemoteCopy("d@far.example", RcptOptions(), sender="owner@here.example"))
    rows = queued_recipients(Copies((), tuple(made)), NOW, Asked(), "alice@far.example", "ann@here.example")
    assert [row.destination for row in rows] == ["far.example", "away.example"] * 3 + ["far.example"]
    expected = [("far.example", ""), ("away.example", ""), ("far.example", "owner@here.example")]
    assert asked == [(domain, sender or "alice@far.example", "ann@here.example") for domain, sender in expected]


def test_a_redirect_is_forwarding_too(world):
    ((_, sender, _),) = world.send(ALICE, BOB, common=RecipientPlan(redirects=(parse_address(AWAY),)))
    assert sender.endswith("=far.example=alice@here.example")


def test_a_recipient_without_a_domain_that_others_see_stands_under_the_host_name(world):
    address = run_now(world.forwarding.rewritten(ALICE, parse_address("postmaster@[192.0.2.1]")))
    assert address.domain == "mx.here.example"
    assert world.send(None, address) == [("alice@far.example", "", "far.example")]
    wide = run_now(world.forwarding.rewritten(ALICE, parse_address("x@bücher.example")))
    assert wide.domain == "xn--bcher-kva.example"


@pytest.mark.parametrize("relay", [True, False])
def test_only_bounces_are_taken_and_only_for_what_was_made_here(world, relay):
    sender = parse_address(world.send(ALICE, SALES)[0][1])
    assert run_now(world.router.resolve(sender, relay, null_sender=True)).remote == ("alice@far.example",)
    with pytest.raises(Refused) as refused:
        run_now(world.router.resolve(sender, relay))
    assert refused.value.status == "5.7.1"
    forged = parse_address(str(sender).replace("alice", "victim"))
    with pytest.raises(Refused, match="hash") as refused:
        run_now(world.router.resolve(forged, relay, null_sender=True))
    assert refused.value.status == "5.1.1"
    world.clock.advance(22 * 86_400)
    with pytest.raises(Refused, match="too old"):
        run_now(world.router.resolve(sender, relay, null_sender=True))


def test_a_bounce_of_mail_that_passed_here_twice_goes_all_the_way_back(world):
    first = parse_address(world.send(ALICE, SALES)[0][1])
    other = parse_address(f"SRS1=XXXX=here.example={first.local.removeprefix('SRS0')}@third.example")
    again = parse_address(world.send(other, SALES)[0][1])
    assert str(again).startswith("SRS1=") and str(again) != str(other)
    assert world.send(None, again) == [("alice@far.example", "", "far.example")]


def test_the_same_name_elsewhere_is_nobody_of_ours(world):
    sender = parse_address(world.send(ALICE, SALES)[0][1].replace("here.example", "there.example"))
    with pytest.raises(Refused, match="Relaying denied"):
        run_now(world.router.resolve(sender, False, null_sender=True))


def test_a_sender_who_has_become_ours_gets_the_bounce_here(world):
    sender = parse_address(world.send(ALICE, SALES)[0][1])
    world.directory.local_domains.add("far.example")
    world.directory.routes["alice@far.example"] = Resolved(True, (("id-alice", "alice@far.example"),))
    assert run_now(world.router.resolve(sender, False, null_sender=True)).local == (("id-alice", "alice@far.example"),)


def test_another_process_knows_what_one_has_made(world):
    sender = parse_address(world.send(ALICE, SALES)[0][1])
    other = Forwarding(world.directory, world.clock, "mx.here.example")
    assert run_now(other.restored(sender, True)) == ALICE
    assert run_now(other.rewritten(ALICE, SALES)) == sender and len(world.directory.keys) == 1


def test_keys_change_and_the_old_ones_are_still_known(world):
    sender = parse_address(world.send(ALICE, SALES)[0][1])
    world.clock.advance(KEY_SECONDS - 1)
    world.send(ALICE, SALES)
    assert len(world.directory.keys) == 1
    world.clock.advance(-20 * 86_400 + 1)
    late = parse_address(world.send(ALICE, SALES)[0][1])
    world.clock.advance(20 * 86_400)
    newer = parse_address(world.send(ALICE, SALES)[0][1])
    assert len(world.directory.keys) == 2 and newer != late
    for address in (late, newer):
        assert world.send(None, address)[0][0] == "alice@far.example"
    assert sender != late


VISIT = b"Delivered-To: sales@here.example\r\n"


def test_what_is_led_on_says_for_whom(world):
    local, away = world.queue(ALICE, SALES)
    assert prefix_of(away) == VISIT
    assert decode_plan(local)[0].prefix == b"Return-Path: <alice@far.example>\r\n" + VISIT
    (relayed,) = world.queue(ALICE, parse_address(AWAY))
    assert prefix_of(relayed) == b"", "relayed, not led on"
    _, redirected = world.queue(ALICE, BOB, common=RecipientPlan(redirects=(parse_address(AWAY),)))
    assert prefix_of(redirected) == b"Delivered-To: bob@here.example\r\n"
    _, bounce = world.queue(None, SALES)
    assert prefix_of(bounce) == VISIT


def test_the_name_on_it_is_in_ascii_or_missing(world):
    world.directory.local_domains |= {parse_address("x@bücher.example").domain_key}
    for recipient, name in (
        ("x@bücher.example", b"x@xn--bcher-kva.example"),
        ('"a b"@here.example', b'"a b"@here.example'),
        ("jürgen@here.example", b""),
        ("postmaster", b""),
    ):
        address = parse_address(recipient) if "@" in recipient else Address(recipient, "")
        world.directory.routes[address.key if address.domain else recipient] = Resolved(True, remote=(AWAY,))
        (row,) = world.queue(ALICE, address)
        assert prefix_of(row) == (b"Delivered-To: " + name + b"\r\n" if name else b"")
        assert not name or address.key in visited(prefix_of(row))


@pytest.mark.parametrize(
    "header",
    [
        VISIT + b"\r\n",
        b"Received: x\r\ndelivered-to:\r\n\tSALES@Here.Example\r\nSubject: x\r\n\r\n",
        b"Delivered-To: other@far.example\r\n" * 50 + VISIT,
    ],
)
@pytest.mark.parametrize("sender", [ALICE, None])
def test_what_was_here_before_goes_no_further_and_its_sender_is_told(world, header, sender):
    local, away = world.queue(sender, SALES, header=header)
    assert (local.account_id, local.destination) == ("id-bob", LOCAL_DESTINATION), "a mailbox here is no circle"
    assert (away.destination, away.last_status) == (GIVEN_UP_DESTINATION, "5.4.6")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Subject: x\r\n\r\n" + VISIT,
        b"X-Delivered-To: sales@here.example\r\n\r\n",
        b"Delivered-To: bob@here.example\r\nDelivered-To: mailing list sales@here.example\r\n",
        b"Delivered-To: \xff\r\nDelivered-To:\r\n\r\n",
        b"Delivered-To: other@far.example\r\n" * MAX_VISITS + VISIT,
    ],
)
def test_what_only_looks_like_it_goes_on(world, header):
    _, away = world.queue(ALICE, SALES, header=header)
    assert away.destination == "own.example:25"


def test_what_a_list_sends_to_a_member_that_has_it_already(world):
    """The mailbox gets it again, the member that lives elsewhere too: neither was led on from where it comes back to."""
    world.directory.routes["carol@here.example"] = Resolved(True, remote=("carol@else.example",))
    header = VISIT + b"List-Id: <x>\r\n\r\n"
    rows = world.queue(parse_address("list-bounces@far.example"), BOB, CAROL, header=header)
    assert [row.destination for row in rows] == [LOCAL_DESTINATION, "own.example:25"]


def test_who_logs_in_may_send_a_message_once_more(world):
    _, away = world.queue(BOB, SALES, header=VISIT, account_id="id-bob")
    assert away.destination == "own.example:25"


def test_a_message_that_goes_no_further_for_anybody_is_refused(world):
    world.directory.routes["carol@here.example"] = Resolved(True, remote=("carol@else.example",))
    header = b"Delivered-To: carol@here.example\r\n" + VISIT

    def judged(*recipients, common=AS_IT_IS):
        envelope = Envelope("e1", ALICE, tuple(map(Recipient, recipients)), Origin("s", "SMTP"), NOW)
        return world.judge(envelope, common, header)

    assert judged(CAROL).is_circle
    assert not judged(SALES).is_circle and not judged(CAROL, BOB).is_circle
    assert not judged(CAROL, parse_address("else@far.example")).is_circle
    assert not judged(BOB).is_circle
