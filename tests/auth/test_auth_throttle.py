"""Bounding guesses: how many are looked at, who is never held up by others, and what a flood leaves behind."""

import ipaddress

import pytest
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mailnode.auth import passwords, throttle
from mailnode.auth.checkers import DirectoryChecker, ProofChecker
from mailnode.auth.logins import Logins
from mailnode.auth.passwords import make_credentials
from mailnode.auth.realm import MailRealm, SessionCounts
from mailnode.auth.throttle import ACCOUNT, ADDRESS, DAY, FAILURE_DELAY, NETWORK, PAIR, PLACE, TRUSTED_DELAY, Throttle
from mailnode.errors import AuthenticationFailed, TooManyFailures
from mailnode.interfaces.sessions import ILogin, IMailUser, ISessionMind
from mailnode.store.engines.engine import EPHEMERAL
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.ephemeral import Ephemeral
from mailnode.values.address import parse_address

SECRET = b"k" * 32
NOW = 1_800_000_000.0


def now(coroutine):
    """The result of a coroutine that waits for nothing."""
    results = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


@pytest.fixture
def counters():
    return Ephemeral(None, Clock())


@pytest.fixture
def guard(counters):
    return Throttle(counters, SECRET, lambda: [ipaddress.ip_network("10.1.0.0/16")])


def looked_at(guard, tries, seconds=DAY, step=600.0, scram=False):
    """How many wrong guesses of an endless list are looked at in a time. ``tries``: yields (login, peer)."""
    count, moment = 0, NOW
    while moment < NOW + seconds:
        for number, (login, peer) in enumerate(tries(count)):
            guess = None if scram else f"guess {count} {moment} {number}".encode()
            if now(guard.admit(login, peer, guess, moment)) is not None:
                count += 1
        moment += step
    return count


@pytest.mark.parametrize(
    ("limit", "tries"),
    [
        (PAIR, lambda count: [("alice", "192.0.2.1")] * 12),
        (ADDRESS, lambda count: [(f"user{count + number}", "192.0.2.1") for number in range(35)]),
        (ADDRESS, lambda count: [(f"user{count + number}", f"2001:db8::{number + 1:x}") for number in range(35)]),
        (NETWORK, lambda count: [(f"user{count + number}", f"192.0.2.{number}") for number in range(110)]),
        (ACCOUNT, lambda count: [("alice", f"100.{(count + number) % 250}.{number}.1") for number in range(110)]),
    ],
    ids=["one name, one address", "address", "IPv6 /64", "network", "one name, everywhere"],
)
def test_guesses_of_a_day_are_bounded_by_the_figure_of_the_page(guard, limit, tries):
    """docs/limits.rst has ``a_day`` of each limit."""
    count = looked_at(guard, tries)
    assert 0.9 * limit.a_day <= count <= limit.a_day  # who tries every ten minutes misses a little of what there is


@pytest.mark.parametrize(
    ("limit", "tries"),
    [
        (PAIR, lambda count: [("alice", "192.0.2.1")] * 12),
        (PLACE, lambda count: [("alice", f"192.0.2.{(count + host) % 250}") for host in range(25)]),
    ],
    ids=["one address", "one network"],
)
def test_guesses_of_a_day_at_a_good_place_are_bounded_too(guard, limit, tries):
    now(guard.succeeded("alice", "192.0.2.1", NOW))
    for scram in (False, True):  # each has as many
        assert 0.9 * limit.a_day <= looked_at(guard, tries, scram=scram) <= limit.a_day


def wrong(guard, login, peer, count, moment=NOW):
    """Guess wrong so many times, never twice the same; return how many were looked at."""
    guesses = [f"guess {number} of {peer}".encode() for number in range(count)]
    return sum(now(guard.admit(login, peer, guess, moment)) is not None for guess in guesses)


# SMTP trap 29: who is at home somewhere
def test_nobody_is_locked_out_of_a_good_place_by_strangers(guard):
    now(guard.succeeded("alice", "192.0.2.1", NOW))
    for number in range(200):
        wrong(guard, "alice", f"203.0.{number}.9", 3)
    assert wrong(guard, "alice", "203.0.201.9", 1) == 0
    assert now(guard.admit("alice", "192.0.2.1", b"right", NOW)) is not None
    assert now(guard.admit("alice", "192.0.2.77", b"right", NOW + 2 * DAY)) is not None  # an address beside it
    now(guard.succeeded("alice", "192.0.2.1", NOW + 2 * DAY))
    assert wrong(guard, "alice", "203.0.201.9", 200, NOW + 3 * DAY) <= PAIR.tries
    for number in range(200):
        wrong(guard, "alice", f"203.0.{number}.9", 3, NOW + 16 * DAY - 60)
    assert now(guard.admit("alice", "192.0.2.1", b"right", NOW + 16 * DAY - 60)) is not None
    wrong(guard, "alice", "203.0.202.9", 3, NOW + 16 * DAY + 60)
    assert now(guard.admit("alice", "192.0.2.1", b"wrong", NOW + 16 * DAY + 60)) is None  # two weeks after the login


def test_an_office_s_mistakes_hold_up_nobody_who_is_at_home_there(guard):
    now(guard.succeeded("alice", "192.0.2.1", NOW))
    for number in range(60):
        wrong(guard, f"user{number}", "192.0.2.1", 3)
    assert wrong(guard, "newcomer", "192.0.2.1", 1) == 0
    assert now(guard.admit("alice", "192.0.2.1", b"right", NOW)) is not None


def test_mistakes_at_a_good_place_hold_up_no_newcomer_there(guard):
    for number in range(60):
        now(guard.succeeded(f"user{number}", "192.0.2.1", NOW))
        wrong(guard, f"user{number}", "192.0.2.1", 5)
    assert now(guard.admit("newcomer", "192.0.2.1", b"right", NOW)) is not None


def test_the_same_wrong_password_counts_once(guard):
    for _ in range(500):
        assert now(guard.admit("alice", "192.0.2.1", b"last year's", NOW)) is not None
    assert wrong(guard, "alice", "192.0.2.1", PAIR.tries + 5) == PAIR.tries - 1
    assert now(guard.admit("alice", "192.0.2.1", b"last year's", NOW)) is not None  # no news for anybody
    assert now(guard.admit("bob", "192.0.2.1", b"last year's", NOW)).counts  # of another account it is another guess


def test_neither_passwords_nor_their_digests_are_written():
    engine, clock = SqliteEngine(None, 1), Clock()
    clock.advance(NOW)
    now(engine.start())
    these = Ephemeral(engine, clock, interval=5.0)
    now(these.start())
    attempt = now(Throttle(these, SECRET).admit("alice", "192.0.2.1", b"a wrong password", NOW))
    now(these.stop())
    rows = now(engine.read(EPHEMERAL, lambda tx: tx.execute("SELECT * FROM counter")))
    assert "pair:192.0.2.1:alice" in str(rows)
    assert attempt.guess not in str(rows) and "a wrong password" not in str(rows)


def test_a_trusted_network_is_never_refused_and_locks_nobody_out_elsewhere(guard):
    delays = set()
    for number in range(500):
        delays.add(now(guard.admit("alice", f"10.1.{number % 250}.1", b"guess %d" % number, NOW)).delay)
    assert delays == {FAILURE_DELAY}
    for number in range(500, 1000):
        delays.add(now(guard.admit("alice", "10.1.0.1", b"guess %d" % number, NOW)).delay)
    assert delays == {FAILURE_DELAY, TRUSTED_DELAY}
    left = sum(wrong(guard, "alice", f"203.0.{number}.9", 3) for number in range(60))
    assert left == ACCOUNT.tries - throttle.TRUSTED_SHARE


def test_what_was_right_is_taken_back(guard, counters):
    for number in range(50):
        attempt = now(guard.admit(f"user{number}", "192.0.2.1", b"right", NOW))
        now(guard.take_back(attempt, NOW))
    assert wrong(guard, "alice", "192.0.2.1", 20) == PAIR.tries
    now(guard.succeeded("alice", "192.0.2.1", NOW))
    assert wrong(guard, "alice", "192.0.2.1", 20) > 0


def test_a_flood_is_bounded_and_pushes_no_good_place_out(counters):
    small = Ephemeral(None, Clock(), limit=100)
    guard = Throttle(small, SECRET)
    now(guard.succeeded("alice", "192.0.2.1", NOW))
    for number in range(2000):
        peer = f"100.{number % 250}.{number // 250}.1"
        now(guard.admit(f"user{number}" * 50, peer, b"guess %d" % number, NOW))
    assert sum(len(space) for space in small._spaces.values()) <= 100 * 7
    assert len(small._once) <= 100 and len(small._changed) <= 100 * 8
    assert now(small.get("good:192.0.2.0/24:alice", NOW, throttle.GOOD_HALF_LIFE)) == 1.0


# SMTP trap 29: a /24, a /64
def test_addresses_and_networks():
    assert (throttle.address("192.0.2.77"), throttle.network("192.0.2.77")) == ("192.0.2.77", "192.0.2.0/24")
    assert throttle.address("::ffff:192.0.2.77") == "192.0.2.77"
    assert throttle.network("::ffff:192.0.2.77") == "192.0.2.0/24"
    assert throttle.address("2001:db8:1:2:3::4") == throttle.network("2001:db8:1:2:3::4") == "2001:db8:1:2::/64"
    assert throttle.network("fe80::1%eth0") == "fe80::/64"
    assert throttle.network("") == throttle.address("") == ""


# Through the door


@implementer(ISessionMind)
class Mind:
    def __init__(self, protocol="imap", peer="192.0.2.1"):
        self.session, self.protocol, self.peer, self.server_name = "s1", protocol, peer, ""

    def tls_bindings(self):
        return {}

    def end(self, reason):
        raise AssertionError(reason)


class Threads:
    """The password pool: derivations wait until :meth:`let_go`. ``most``: as many were there at a time."""

    def __init__(self):
        self.waiting, self.runs, self.most, self.held = [], 0, 0, True

    async def run(self, pool, function, *args):
        self.runs += 1
        if self.held:
            turn = Deferred()
            self.waiting.append(turn)
            self.most = max(self.most, len(self.waiting))
            await turn
        return function(*args)

    def let_go(self):
        waiting, self.waiting = self.waiting, []
        for turn in waiting:
            turn.callback(None)


class Mails:
    def account(self, account_id):
        return account_id

    def require_service(self, account_id):
        pass


class DoorTests(SynchronousTestCase):
    def setUp(self):
        self.patch(passwords, "MEMORY_KIB", 64)
        self.patch(passwords, "SCRAM_ITERATIONS", 16)
        self.clock = Clock()
        self.clock.advance(NOW)
        engine = SqliteEngine(None)
        now(engine.start())
        self.counters = Ephemeral(engine, self.clock)
        self.directory = Directory(engine)
        now(self.directory.add_domain("a.test"))
        now(self.directory.add_account("alice", parse_address("alice@a.test"), 0.0))
        now(self.directory.replace_credentials("alice", "", make_credentials("alice", "right", 0.0)))
        self.threads = Threads()
        self.logins = self.door()

    def door(self, trusted=()):
        """Logins as one process has them; all have the counters in common."""
        realm = MailRealm(self.directory, Mails(), None, SessionCounts(), 1000)
        checker = DirectoryChecker(self.directory, self.threads, self.clock)
        portal = Portal(realm, [checker, ProofChecker(self.directory)])
        return Logins(portal, self.directory, Throttle(self.counters, SECRET, lambda: trusted), self.clock, SECRET)

    def trying(self, password, logins=None, mind=None, user=b"alice@a.test"):
        results = []
        login = (logins or self.logins).password(user, password, IMailUser, mind or Mind())
        Deferred.fromCoroutine(login).addBoth(results.append)
        return results

    def pass_seconds(self, seconds):
        for _ in range(int(4 * seconds)):
            self.threads.let_go()
            self.clock.advance(0.25)

    def test_connections_side_by_side_make_no_more_guesses_than_one(self):
        doors = [self.logins, self.door()]  # two processes
        tries = [self.trying(b"guess %d" % number, doors[number % 2]) for number in range(50)]
        self.assertEqual(self.threads.most, 2)  # one a process: one waits for another
        self.pass_seconds(30)
        self.assertEqual(self.threads.runs, PAIR.tries)
        kinds = [result[0].type for result in tries]
        self.assertEqual((kinds.count(AuthenticationFailed), kinds.count(TooManyFailures)), (10, 40))

    def test_right_ones_side_by_side_all_come_in(self):
        doors = [self.door() for _ in range(4)]
        tries = [self.trying(b"right", doors[number % 4]) for number in range(100)]
        self.pass_seconds(2)
        self.assertTrue(all(ILogin.providedBy(result[0]) for result in tries))

    def test_a_right_password_waits_for_nobody_s_delay(self):
        self.threads.held = False
        self.assertTrue(ILogin.providedBy(self.trying(b"right")[0]))
        for number in range(PAIR.tries - 2):
            self.trying(b"guess %d" % number)
        self.assertTrue(ILogin.providedBy(self.trying(b"right")[0]))  # no clock ran meanwhile

    def test_in_a_trusted_network_a_right_password_waits_for_nobody(self):
        self.threads.held = False
        webmail = self.door([ipaddress.ip_network("192.0.2.0/28")])
        wrong = [self.trying(b"guess %d" % number, webmail) for number in range(200)]
        self.assertTrue(ILogin.providedBy(self.trying(b"right", webmail)[0]))
        self.pass_seconds(TRUSTED_DELAY)
        self.assertEqual({result[0].type for result in wrong}, {AuthenticationFailed})
        elsewhere = self.trying(b"right", mind=Mind(peer="203.0.113.5"))
        self.assertTrue(ILogin.providedBy(elsewhere[0]))

    # SMTP trap 29: all protocols
    def test_protocols_count_together(self):
        self.threads.held = False
        for number in range(PAIR.tries):
            self.trying(b"guess %d" % number, mind=Mind(("imap", "pop3", "submission")[number % 3]))
        refused = self.trying(b"right", mind=Mind("pop3"))
        self.pass_seconds(1)
        refused[0].trap(TooManyFailures)

    # SMTP trap 28: the same words, and the same bounds
    def test_unknown_users_are_refused_like_known_ones(self):
        self.threads.held = False
        answers = {}
        for user in (b"alice@a.test", b"nobody@a.test"):
            peer = f"198.51.{len(answers)}.1"
            tries = [self.trying(b"guess %d" % n, mind=Mind(peer=peer), user=user) for n in range(PAIR.tries + 3)]
            at_once = [len(result) for result in tries]
            self.pass_seconds(1)
            answers[user] = at_once, [result[0].type for result in tries], self.threads.runs
            self.threads.runs = 0
        self.assertEqual(answers[b"alice@a.test"], answers[b"nobody@a.test"])

    def test_scram_is_counted_and_looked_at_no_further(self):
        import scramp

        kinds = []
        for _ in range(PAIR.tries + 2):
            client = scramp.ScramClient(["SCRAM-SHA-256"], "alice@a.test", "wrong")
            exchange = self.logins.exchange("SCRAM-SHA-256", IMailUser, Mind())
            client.set_server_first(now(exchange.step(client.get_client_first().encode())).decode())
            results = []
            Deferred.fromCoroutine(exchange.step(client.get_client_final().encode())).addBoth(results.append)
            self.pass_seconds(1)
            kinds.append(results[0].type)
        self.assertEqual(kinds, [AuthenticationFailed] * PAIR.tries + [TooManyFailures] * 2)
        # A program that sends its password does not pay for one with an old password and SCRAM.
        let_in = self.trying(b"right")
        self.pass_seconds(1)
        self.assertTrue(ILogin.providedBy(let_in[0]))

    def test_right_proofs_use_up_no_guesses(self):
        """What SCRAM is told cannot be told from another guess, so that each is counted until it turns out right."""
        import scramp

        for number in range(PLACE.tries + 2):
            client = scramp.ScramClient(["SCRAM-SHA-256"], "alice@a.test", "right")
            exchange = self.logins.exchange("SCRAM-SHA-256", IMailUser, Mind())
            client.set_server_first(now(exchange.step(client.get_client_first().encode())).decode())
            client.set_server_final(now(exchange.step(client.get_client_final().encode())).decode())
            now(exchange.step(b""))
            self.assertTrue(ILogin.providedBy(exchange.login), number)

    def test_no_lock_is_left_behind(self):
        tries = [self.trying(b"guess %d" % number) for number in range(20)]
        self.pass_seconds(10)
        self.assertTrue(all(tries))
        self.assertEqual(len(self.logins._turns), 0)
