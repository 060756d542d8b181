"""Logging in through the portal: the same door, answer and cost for everybody."""

import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha512
from unittest import mock

import scramp
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.auth import passwords
from mailnode.auth.checkers import DirectoryChecker, FirstThatKnows, ProofChecker
from mailnode.auth.foreign_hashes import adopt_hash
from mailnode.auth.logins import Logins
from mailnode.auth.mechanisms import Offer
from mailnode.auth.passwords import make_credentials
from mailnode.auth.realm import MailRealm, SessionCounts
from mailnode.auth.throttle import FAILURE_DELAY, PAIR, Throttle
from mailnode.errors import (
    AuthenticationFailed,
    Busy,
    IssuerUnavailable,
    LoginNotAllowed,
    StoreUnavailable,
    TooManyFailures,
)
from mailnode.interfaces.sessions import ILogin, ILogins, IMailUser, IPopUser, ISaslExchange, ISessionMind, ISubmitter
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.ephemeral import Ephemeral
from mailnode.values.address import parse_address
from mailnode.values.client_names import NO_NAMES, ClientNames

SECRET = b"k" * 32


@implementer(ISessionMind)
class Mind:
    def __init__(self, protocol="imap", peer="192.0.2.1", server_name=""):
        self.session, self.protocol, self.peer, self.server_name = "s1", protocol, peer, server_name
        self.ended = []
        self.bindings, self.names = {}, NO_NAMES

    def tls_bindings(self):
        return self.bindings

    def certificate_names(self):
        return self.names

    def end(self, reason):
        self.ended.append(reason)


class Threads:
    """The password pool, in the test's own thread; counts what it was given. ``meanwhile`` is awaited while a
    derivation is under way: after what it works on was read, before anybody hears of the result."""

    def __init__(self):
        self.runs = 0
        self.meanwhile = None

    async def run(self, pool, function, *args):
        self.runs += pool == "password"
        result = function(*args)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return result


class Mails:
    """Only what the realm asks of the mail store when it makes an avatar."""

    def account(self, account_id):
        return f"mail of {account_id}"

    def require_service(self, account_id):
        if account_id == self.not_served:
            raise StoreUnavailable

    not_served = ""


SSHA = "{SSHA512}" + b64encode(sha512(b"from elsewhere" + b"salt").digest() + b"salt").decode()


class LoginTests(SynchronousTestCase):
    def setUp(self):
        # The derivation is timed elsewhere; here only who is asked matters.
        self.patch(passwords, "MEMORY_KIB", 64)
        self.patch(passwords, "SCRAM_ITERATIONS", 16)
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.engine = SqliteEngine(None)
        self.now(self.engine.start())
        self.directory = Directory(self.engine)
        self.threads = Threads()
        self.realm = MailRealm(self.directory, Mails(), None, SessionCounts())
        other = InMemoryUsernamePasswordDatabaseDontUse(**{"bob@a.test": b"from a plug-in"})
        checker = FirstThatKnows([DirectoryChecker(self.directory, self.threads, self.clock), other])
        portal = Portal(self.realm, [checker, ProofChecker(self.directory)])
        throttle = Throttle(Ephemeral(self.engine, self.clock), SECRET)
        self.logins = Logins(portal, self.directory, throttle, self.clock, SECRET)
        self.now(self.directory.add_domain("a.test"))
        for name in ("alice", "bob"):
            self.now(self.directory.add_account(name, parse_address(f"{name}@a.test"), 0.0))
            self.set_password(name, f"{name}'s password")

    def now(self, coroutine):
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def set_password(self, account_id, password, **options):
        made = make_credentials(account_id, password, 0.0, **options)
        self.now(self.directory.replace_credentials(account_id, options.get("label", ""), made))

    def attempt(self, user, password, interface=IMailUser, mind=None):
        """Log in, letting the clock run; return (login or None, seconds it took)."""
        trying = Deferred.fromCoroutine(self.logins.password(user, password, interface, mind or Mind()))
        result = []
        trying.addBoth(result.append)
        seconds = 0.0
        while not result:
            self.clock.advance(0.25)
            seconds += 0.25
        if ILogin.providedBy(result[0]):
            return result[0], seconds
        result[0].trap(AuthenticationFailed)
        return None, seconds

    def test_provides(self):
        verifyObject(ILogins, self.logins)
        verifyObject(ISaslExchange, self.logins.exchange("PLAIN", IMailUser, Mind()))
        login, _ = self.attempt(b"alice@a.test", b"alice's password")
        verifyObject(ILogin, login)
        verifyObject(IMailUser, login.avatar)
        for interface in (IPopUser, ISubmitter):
            verifyObject(interface, self.attempt(b"alice@a.test", b"alice's password", interface)[0].avatar)

    def test_names_are_compared_without_case(self):
        login, seconds = self.attempt(b"Alice@A.TEST", b"alice's password")
        self.assertEqual((login.account.id, seconds), ("alice", 0.0))
        self.assertEqual(login.avatar.mail, "mail of alice")

    def entered(self, user, server_name=""):
        """The account of a login by each way there is; they agree."""
        mind = Mind(server_name=server_name)
        found = [self.attempt(user, b"alice's password", mind=mind)[0]]
        for name, messages in (
            ("PLAIN", [b"\0" + user + b"\0alice's password"]),
            ("LOGIN", [user, b"alice's password"]),
        ):
            exchange = self.logins.exchange(name, IMailUser, mind)
            trying = [Deferred.fromCoroutine(exchange.step(message)) for message in messages][-1]
            self.clock.advance(FAILURE_DELAY)
            trying.addErrback(lambda failure: failure.trap(AuthenticationFailed))
            found.append(exchange.login)
        _, exchange, trying = self.scram(user.decode(), "alice's password", server_name)
        trying.addErrback(lambda failure: failure.trap(AuthenticationFailed))
        if self.successResultOf(trying) not in (None, AuthenticationFailed):
            self.now(exchange.step(b""))
        found.append(exchange.login)
        accounts = {login.account.id if login is not None else None for login in found}
        self.assertEqual(len(accounts), 1, found)
        return accounts.pop()

    def test_a_name_without_a_domain_is_one_of_the_only_domain(self):
        self.assertEqual(self.entered(b"alice"), "alice")
        self.assertEqual(self.entered(b"ALICE", "imap.elsewhere.test"), "alice")
        self.now(self.directory.add_domain("other-name.test", "a.test"))  # an alias is no further one
        self.assertEqual(self.entered(b"alice"), "alice")
        self.now(self.directory.add_domain("b.test"))
        self.assertIsNone(self.entered(b"alice"))

    def test_the_name_of_the_server_says_the_domain(self):
        self.now(self.directory.add_domain("b.test"))
        self.now(self.directory.add_domain("other-name.test", "a.test"))
        for server_name in ("a.test", "mail.a.test", "imap.berlin.a.test", "mail.other-name.test"):
            self.assertEqual(self.entered(b"alice", server_name), "alice")
        for server_name in ("mail.b.test", "mail.elsewhere.test", "test", "\ufffd", "x..y", "a.test."):
            self.assertIsNone(self.entered(b"alice", server_name))
        self.assertEqual(self.entered(b"alice@a.test", "mail.b.test"), "alice")
        self.assertEqual(self.now(self.directory.login_domain("x." * 100 + "a.test")), "a.test")

    # SMTP trap 28: the same work
    # IMAP trap 49: the same cost
    def test_unknown_user_and_wrong_password_cost_the_same(self):
        results = {}
        for number, user in enumerate((b"alice@a.test", b"nobody@a.test", b"\xff\xfe", b"a@other.test")):
            before = self.threads.runs
            login, seconds = self.attempt(user, b"wrong", mind=Mind(peer=f"198.51.{number}.1"))
            self.assertIsNone(login)
            results[user] = (self.threads.runs - before, seconds)
        self.assertEqual(set(results.values()), {(1, FAILURE_DELAY)})

    def test_a_login_is_remembered_for_minutes_and_not_beyond_a_new_password(self):
        self.attempt(b"alice@a.test", b"alice's password")
        before = self.threads.runs
        self.assertTrue(self.attempt(b"alice@a.test", b"alice's password")[0])
        self.assertEqual(self.threads.runs, before)
        self.set_password("alice", "a new one")
        self.assertIsNone(self.attempt(b"alice@a.test", b"alice's password")[0])
        self.assertTrue(self.attempt(b"alice@a.test", b"a new one")[0])
        before = self.threads.runs
        self.clock.advance(400)
        self.assertTrue(self.attempt(b"alice@a.test", b"a new one")[0])
        self.assertEqual(self.threads.runs, before + 1)

    def test_a_password_may_be_good_for_one_protocol_only(self):
        self.set_password("alice", "for pop", label="pop", protocols=frozenset(["pop3"]))
        self.assertTrue(self.attempt(b"alice@a.test", b"for pop", IPopUser, Mind("pop3"))[0])
        self.assertIsNone(self.attempt(b"alice@a.test", b"for pop", IMailUser, Mind("imap"))[0])

    def test_a_checker_of_a_plug_in_knows_people_too(self):
        login, _ = self.attempt(b"bob@a.test", b"from a plug-in")
        self.assertEqual(login.account.id, "bob")

    def test_status_forbids(self):
        self.now(self.directory.set_status("alice", "no-login"))
        trying = Deferred.fromCoroutine(self.logins.password(b"alice@a.test", b"alice's password", IMailUser, Mind()))
        self.failureResultOf(trying, LoginNotAllowed)

    def test_changes_end_live_sessions_of_that_account_alone(self):
        mine, other = Mind(), Mind()
        self.attempt(b"alice@a.test", b"alice's password", mind=mine)
        self.attempt(b"bob@a.test", b"bob's password", mind=other)
        self.set_password("alice", "a new one")
        self.assertEqual((len(mine.ended), len(other.ended)), (1, 0))

    def changes(self):
        """What may happen to alice's account while somebody logs in with her password, by name."""

        async def new_password():
            made = make_credentials("alice", "a new one", 0.0)
            await self.directory.replace_credentials("alice", "", made)

        async def suspended():
            await self.directory.set_status("alice", "suspended")

        async def removed():
            await self.directory.remove_account("alice")

        async def given_to_another():
            await self.directory.remove_account("alice")
            await self.directory.add_account("other", parse_address("alice@a.test"), 0.0)

        return {
            "new password": (new_password, AuthenticationFailed),
            "suspended": (suspended, LoginNotAllowed),
            "removed": (removed, AuthenticationFailed),
            "given to another": (given_to_another, AuthenticationFailed),
        }

    def refused_by_a_change(self, name, logging_in):
        """Expect that a login under way fails, and leaves no session. ``logging_in(change)``: returns its Deferred."""
        change, error = self.changes()[name]
        trying = logging_in(change)
        self.clock.advance(FAILURE_DELAY)
        self.failureResultOf(trying, error)
        self.assertEqual(self.realm.live_sessions(), {})
        self.doCleanups()
        self.setUp()

    def test_a_change_of_the_account_stops_a_login_with_a_password_under_way(self):
        for mechanism in (None, "PLAIN", "LOGIN"):
            for name in self.changes():

                def logging_in(change, mechanism=mechanism):
                    self.threads.meanwhile = change
                    if mechanism is None:
                        trying = self.logins.password(b"alice@a.test", b"alice's password", IMailUser, Mind())
                    else:
                        exchange = self.logins.exchange(mechanism, IMailUser, Mind())
                        message = b"\0alice@a.test\0alice's password" if mechanism == "PLAIN" else b"alice's password"
                        if mechanism == "LOGIN":
                            self.now(exchange.step(b"alice@a.test"))
                        trying = exchange.step(message)
                    return Deferred.fromCoroutine(trying)

                self.refused_by_a_change(name, logging_in)

    def test_a_change_of_the_account_stops_a_remembered_login_under_way(self):
        for name in self.changes():
            self.attempt(b"alice@a.test", b"alice's password")[0].logout()
            record = self.directory.login_record

            def logging_in(change, record=record):
                async def then_changed(login):
                    found = await record(login)
                    self.directory.login_record = record
                    await change()
                    return found

                self.directory.login_record = then_changed
                trying = self.logins.password(b"alice@a.test", b"alice's password", IMailUser, Mind())
                return Deferred.fromCoroutine(trying)

            self.refused_by_a_change(name, logging_in)

    def test_a_change_of_the_account_stops_a_scram_exchange_under_way(self):
        for name in self.changes():

            def logging_in(change):
                client, exchange, trying = self.scram("alice@a.test", "alice's password")
                client.set_server_final(self.successResultOf(trying).decode())
                self.now(change())
                return Deferred.fromCoroutine(exchange.step(b""))

            self.refused_by_a_change(name, logging_in)

    def test_a_change_after_the_last_look_ends_the_session_that_begins(self):
        mind, entered = Mind(), []

        class Counts(SessionCounts):
            async def enter(counts, *arguments):
                entered.append(await self.directory.set_status("alice", "suspended"))
                return True

        self.realm._counts = Counts()
        self.attempt(b"alice@a.test", b"alice's password", mind=mind)
        self.assertEqual((len(entered), len(mind.ended)), (1, 1))

    def test_a_session_that_logged_out_is_left_alone(self):
        mind = Mind()
        login, _ = self.attempt(b"alice@a.test", b"alice's password", mind=mind)
        self.assertEqual(self.realm.live_sessions(), {"imap": 1})
        login.logout()
        login.logout()
        self.now(self.directory.set_status("alice", "suspended"))
        self.assertEqual((mind.ended, self.realm.live_sessions()), ([], {}))

    # IMAP trap 49: connections of one account
    def test_sessions_of_one_account_are_bounded(self):
        self.realm.sessions_per_account = 3
        for _ in range(3):
            self.assertTrue(self.attempt(b"alice@a.test", b"alice's password")[0])
        trying = Deferred.fromCoroutine(self.logins.password(b"alice@a.test", b"alice's password", IMailUser, Mind()))
        self.failureResultOf(trying, Busy)
        self.assertTrue(self.attempt(b"alice@a.test", b"alice's password", IPopUser, Mind("pop3"))[0])
        self.realm.sessions_per_account = 4
        self.assertTrue(self.attempt(b"alice@a.test", b"alice's password")[0])

    def test_who_has_mail_in_a_file_that_is_not_served_may_submit_but_not_read(self):
        self.patch(Mails, "not_served", "alice")
        for interface in (IMailUser, IPopUser):
            trying = Deferred.fromCoroutine(
                self.logins.password(b"alice@a.test", b"alice's password", interface, Mind())
            )
            self.failureResultOf(trying, StoreUnavailable)
            self.assertTrue(self.attempt(b"bob@a.test", b"bob's password", interface)[0])
        self.assertTrue(self.attempt(b"alice@a.test", b"alice's password", ISubmitter)[0])
        self.assertEqual(self.realm.live_sessions().get("imap", 0), 3)

    # SMTP trap 28: the same time
    def test_a_wrong_password_again_costs_no_derivation_and_the_same_time(self):
        for user in (b"alice@a.test", b"nobody@a.test"):
            first = self.attempt(user, b"wrong", mind=Mind(peer="198.51.100.1"))
            before = self.threads.runs
            again = self.attempt(user, b"wrong", mind=Mind(peer="198.51.100.1"))
            self.assertEqual((first, again, self.threads.runs), ((None, FAILURE_DELAY), (None, FAILURE_DELAY), before))

    def scram(self, user, password, server_name="", name="SCRAM-SHA-256"):
        client = scramp.ScramClient([name], user, password)
        exchange = self.logins.exchange(name, IMailUser, Mind(server_name=server_name))
        client.set_server_first(self.now(exchange.step(client.get_client_first().encode())).decode())
        trying = Deferred.fromCoroutine(exchange.step(client.get_client_final().encode()))
        self.clock.advance(FAILURE_DELAY)
        return client, exchange, trying

    def test_scram(self):
        client, exchange, trying = self.scram("alice@a.test", "alice's password")
        client.set_server_final(self.successResultOf(trying).decode())
        self.assertIsNone(self.now(exchange.step(b"")))
        self.assertEqual((exchange.login.account.id, exchange.login.mechanism), ("alice", "SCRAM-SHA-256"))

    # SMTP trap 28: in SCRAM
    def test_scram_does_not_tell_who_exists(self):
        for user in ("alice@a.test", "nobody@a.test"):
            _, _, trying = self.scram(user, "wrong")
            self.failureResultOf(trying, AuthenticationFailed)

        def salt(user):
            exchange = self.logins.exchange("SCRAM-SHA-256", IMailUser, Mind())
            return self.now(exchange.step(b"n,,n=" + user + b",r=abc")).split(b",", 1)[1]

        self.assertEqual(salt(b"nobody@a.test"), salt(b"nobody@a.test"))
        self.assertNotEqual(salt(b"nobody@a.test"), salt(b"nobody2@a.test"))
        self.assertEqual(salt(b"nobody@a.test").split(b",")[1], salt(b"alice@a.test").split(b",")[1])

    def test_plain_exchange(self):
        exchange = self.logins.exchange("PLAIN", ISubmitter, Mind("submission"))
        self.assertEqual(self.now(exchange.step(None)), b"")
        self.assertIsNone(self.now(exchange.step(b"\0alice@a.test\0alice's password")))
        self.assertEqual(exchange.login.mechanism, "PLAIN")

    def test_malformed_exchanges_fail_late(self):
        for name, message in (("PLAIN", b"nonsense"), ("LOGIN", b""), ("SCRAM-SHA-256", b64encode(b"x"))):
            trying = Deferred.fromCoroutine(self.logins.exchange(name, IMailUser, Mind()).step(message))
            self.assertNoResult(trying)
            self.clock.advance(FAILURE_DELAY)
            self.failureResultOf(trying, AuthenticationFailed)

    def test_no_mechanism_without_tls(self):
        self.assertEqual(self.logins.mechanisms(Mind(), False), ())
        self.assertEqual(self.logins.mechanisms(Mind(), True), ("SCRAM-SHA-256", "PLAIN", "LOGIN"))
        with self.assertRaises(KeyError):
            self.logins.exchange("CRAM-MD5", IMailUser, Mind())

    def test_each_client_is_offered_what_can_work_for_it(self):
        mind = Mind()
        mind.bindings, mind.names = {"tls-exporter": b"e"}, ClientNames(("alice@a.test",))
        self.assertEqual(self.logins.mechanisms(mind, True), ("SCRAM-SHA-256", "EXTERNAL", "PLAIN", "LOGIN"))
        self.logins.offer = Offer(bound=True)
        offered = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "EXTERNAL", "PLAIN", "LOGIN")
        self.assertEqual(self.logins.mechanisms(mind, True), offered)
        self.logins.offer = Offer(("SCRAM-SHA-1", "SCRAM-SHA-256"), "common-name", bound=True)
        offered = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")
        self.assertEqual(self.logins.mechanisms(mind, True), offered)
        self.logins.offer = Offer(())
        self.assertEqual(self.logins.mechanisms(Mind(), True), ("PLAIN", "LOGIN"))

    def test_scram_by_each_digest_that_was_on_when_the_password_was_set(self):
        for digest in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
            self.set_password("alice", "a new one", scram=[digest])
            for name in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
                client, exchange, trying = self.scram("alice@a.test", "a new one", name=name)
                if name == digest:
                    client.set_server_final(self.successResultOf(trying).decode())
                    self.assertIsNone(self.now(exchange.step(b"")))
                    self.assertEqual((exchange.login.account.id, exchange.login.mechanism), ("alice", name))
                else:
                    self.failureResultOf(trying, AuthenticationFailed)

    def test_an_account_without_a_verifier_looks_like_an_unknown_user(self):
        def first(user, name):
            exchange = self.logins.exchange(name, IMailUser, Mind())
            return self.now(exchange.step(b"n,,n=" + user + b",r=abc")).split(b",")[1:]

        self.set_password("alice", "a new one", scram=[])
        for name in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
            known, unknown = first(b"alice@a.test", name), first(b"nobody@a.test", name)
            self.assertEqual(known, first(b"ALICE@a.test", name))
            self.assertEqual((len(known[0]), known[1]), (len(unknown[0]), unknown[1]))
            self.assertNotEqual(known[0], unknown[0])
            _, _, trying = self.scram("alice@a.test", "a new one", name=name)
            self.failureResultOf(trying, AuthenticationFailed)
        self.assertNotEqual(first(b"alice@a.test", "SCRAM-SHA-1"), first(b"alice@a.test", "SCRAM-SHA-256"))

    def certified(self, emails, wanted=b"", mind=None):
        """The account that a certificate for these addresses lets in, or None."""
        mind = mind or Mind()
        mind.names = ClientNames(emails, ("alice",))
        exchange = self.logins.exchange("EXTERNAL", IMailUser, mind)
        trying = Deferred.fromCoroutine(exchange.step(wanted))
        self.clock.advance(FAILURE_DELAY)
        trying.addErrback(lambda failure: failure.trap(AuthenticationFailed))
        self.successResultOf(trying)
        return exchange.login and exchange.login.account.id

    def test_a_certificate_lets_in_whom_it_names(self):
        self.now(self.directory.add_address("alice", parse_address("second@a.test")))
        self.assertEqual(self.certified(("alice@a.test",)), "alice")
        self.assertEqual(self.certified(("unknown@a.test", "second@a.test", "alice@a.test")), "alice")
        self.assertEqual(self.certified(("second@a.test",), b"alice@a.test"), "alice")
        self.assertEqual(self.certified(("bob@a.test", "alice@a.test"), b"Bob@a.test"), "bob")
        for emails, wanted in (
            ((), b""),
            ((), b"alice@a.test"),
            (("unknown@a.test",), b""),
            (("bob@a.test", "alice@a.test"), b""),
            (("bob@a.test",), b"alice@a.test"),
            (("bob@a.test",), b"unknown@a.test"),
        ):
            self.assertIsNone(self.certified(emails, wanted), (emails, wanted))

    def test_the_common_name_is_who_it_is_where_that_was_asked_for(self):
        self.logins.offer = Offer(client_name="common-name")
        self.assertEqual(self.certified(("bob@a.test",)), "alice")

    def test_certificates_that_name_nobody_count_as_guesses(self):
        for _ in range(PAIR.tries):
            self.assertIsNone(self.certified(("bob@a.test",), b"alice@a.test"))
        trying = Deferred.fromCoroutine(self.logins.exchange("EXTERNAL", IMailUser, Mind()).step(b"alice@a.test"))
        for _ in range(8):
            self.clock.advance(FAILURE_DELAY)
        self.failureResultOf(trying, TooManyFailures)

    def test_a_change_of_the_account_stops_a_login_by_certificate_under_way(self):
        for name in self.changes():
            admit = self.logins.named

            def logging_in(change, admit=admit):
                async def then_changed(names, wanted):
                    found = await admit(names, wanted)
                    await change()
                    return found

                self.logins.named = then_changed
                mind = Mind()
                mind.names = ClientNames(("alice@a.test",))
                return Deferred.fromCoroutine(self.logins.exchange("EXTERNAL", IMailUser, mind).step(b""))

            self.refused_by_a_change(name, logging_in)

    def bearer(self, token, wanted="", name="OAUTHBEARER"):
        """Log in with a token; return (the account or None, what the program was told)."""
        self.logins.offer = Offer(tokens=True)
        self.logins._tokens = Tokens()
        exchange = self.logins.exchange(name, IMailUser, Mind())
        if name == "XOAUTH2":
            message = f"user={wanted}\x01auth=Bearer {token}\x01\x01"
        else:
            message = f"n,{wanted and 'a=' + wanted},\x01auth=Bearer {token}\x01\x01"
        trying = Deferred.fromCoroutine(exchange.step(message.encode()))
        self.clock.advance(FAILURE_DELAY)
        told = self.successResultOf(trying)
        if told is not None:
            ended = Deferred.fromCoroutine(exchange.step(b"\x01"))
            self.failureResultOf(ended, AuthenticationFailed)  # at once: it was late enough
        return exchange.login and exchange.login.account.id, told

    def test_a_token_lets_in_whom_it_is_for(self):
        for name in ("OAUTHBEARER", "XOAUTH2"):
            for wanted in ("alice@a.test", "Alice@A.test", "alice"):
                self.assertEqual(self.bearer("of-alice", wanted, name), ("alice", None))
            for token, wanted in (("of-alice", "bob@a.test"), ("of-nobody", "alice@a.test"), ("wrong", "alice@a.test")):
                account, told = self.bearer(token, wanted, name)
                self.assertIsNone(account)
                self.assertIn("status", json.loads(told))
        self.assertEqual(self.bearer("of-alice"), ("alice", None))

    def test_a_program_is_told_what_token_it_needs(self):
        told = {"scope": "mail", "openid-configuration": "https://issuer.test/c"}
        self.assertEqual(json.loads(self.bearer("wrong")[1]), {"status": "invalid_token", **told})
        self.assertEqual(json.loads(self.bearer("")[1]), {"status": "invalid_request", **told})
        expected = {"status": "400", "schemes": "bearer", "scope": "mail"}
        self.assertEqual(json.loads(self.bearer("wrong", "alice@a.test", "XOAUTH2")[1]), expected)

    def test_tokens_are_offered_where_somebody_knows_them(self):
        self.assertNotIn("OAUTHBEARER", self.logins.mechanisms(Mind(), True))
        self.logins.offer = Offer(tokens=True)
        offered = ("SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN")
        self.assertEqual(self.logins.mechanisms(Mind(), True), offered)

    def test_tokens_without_a_name_lock_nobody_out(self):
        for number in range(PAIR.tries + 5):
            self.assertIsNone(self.bearer(f"wrong{number}")[0])
        self.assertEqual(self.bearer("of-alice"), ("alice", None))

    def test_an_issuer_that_cannot_be_asked_is_no_failed_login(self):
        for _ in range(2 * PAIR.tries):
            self.logins.offer, self.logins._tokens = Offer(tokens=True), Tokens()
            exchange = self.logins.exchange("XOAUTH2", IMailUser, Mind())
            trying = exchange.step(b"user=alice@a.test\x01auth=Bearer down\x01\x01")
            self.failureResultOf(Deferred.fromCoroutine(trying), IssuerUnavailable)
        self.assertEqual(self.bearer("of-alice", "alice@a.test"), ("alice", None))

    def take_hash(self, *hashes):
        """Give Alice another server's hash in place of her password."""
        made = [one for text in hashes for one in adopt_hash("alice", text, 5.0, label="password")]
        self.now(self.directory.replace_credentials("alice", "", []))
        self.now(self.directory.replace_credentials("alice", "password", made))

    def kinds(self):
        return sorted(one.kind for one in self.now(self.directory.credentials("alice")))

    def test_a_foreign_hash_is_replaced_at_the_first_login_with_its_password(self):
        self.take_hash(SSHA)
        self.assertIsNone(self.attempt(b"alice@a.test", b"wrong")[0])
        self.assertEqual(self.kinds(), ["foreign"])
        before = self.now(self.directory.account("alice")).generation
        self.assertIsNotNone(self.attempt(b"alice@a.test", b"from elsewhere")[0])
        self.assertEqual(self.kinds(), ["argon2id", "scram-sha-256"])
        self.assertEqual(self.now(self.directory.account("alice")).generation, before)  # sessions go on
        self.assertIsNotNone(self.attempt(b"alice@a.test", b"from elsewhere")[0])
        self.assertIsNone(self.attempt(b"alice@a.test", b"wrong")[0])
        client, exchange, trying = self.scram("alice@a.test", "from elsewhere")
        client.set_server_final(self.successResultOf(trying).decode())
        self.assertIsNone(self.now(exchange.step(b"")))

    def test_a_password_that_was_set_meanwhile_stays(self):
        self.take_hash(SSHA)

        async def change():
            await self.directory.replace_credentials("alice", "password", make_credentials("alice", "another one", 0.0))

        self.threads.meanwhile = change
        self.assertIsNone(self.attempt(b"alice@a.test", b"from elsewhere")[0])
        self.assertIsNotNone(self.attempt(b"alice@a.test", b"another one")[0])
        self.assertIsNone(self.attempt(b"alice@a.test", b"from elsewhere")[0])

    def test_a_login_is_none_the_worse_when_the_store_cannot_replace_a_hash(self):
        self.take_hash(SSHA)

        async def refuse(*arguments):
            raise StoreUnavailable

        with mock.patch.object(self.directory, "renew_credentials", refuse):
            self.assertIsNotNone(self.attempt(b"alice@a.test", b"from elsewhere")[0])
        self.assertEqual(self.kinds(), ["foreign"])

    def test_a_protocol_that_a_foreign_hash_is_not_for_is_refused(self):
        (made,) = adopt_hash("alice", SSHA, 5.0)
        self.now(self.directory.replace_credentials("alice", "", [replace(made, protocols=frozenset({"pop3"}))]))
        self.assertIsNone(self.attempt(b"alice@a.test", b"from elsewhere")[0])
        self.assertEqual(self.kinds(), ["foreign"])


class Tokens:
    """Knows whose tokens are by their text."""

    schemes = {"scope": "mail", "openid-configuration": "https://issuer.test/c"}

    async def login_name(self, token):
        if token == "down":
            raise IssuerUnavailable
        if not token.startswith("of-"):
            raise AuthenticationFailed("unknown")
        return token.removeprefix("of-") + "@a.test"
